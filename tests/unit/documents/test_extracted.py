"""HTML: made here, small, with what goes wrong in it."""

import pytest

from cortex_assets.documents.model import ParsedDocument
from cortex_assets.tables import Status

DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"


def only(documents: list[ParsedDocument]) -> ParsedDocument:
    assert len(documents) == 1
    return documents[0]


def test_html_structure(parse) -> None:  # type: ignore[no-untyped-def]
    page = (
        "<!doctype html><title> My  page </title><body><nav><a href=/x>Home</a></nav><main><h1>One</h1><p>First<br>"
        "line with <a href='https://a.example/'>a link</a> and <b>bold</b>.<script>var x</script>"
        "<ul><li>a<ul><li>b</ul><li>c</ul>"
        "<ol><li>first<li>second</ol><h2>Two</h2><table><tr><th>k<th>v<tr><td rowspan=2>x<td>1<tr><td>2</table>"
        "<pre class=language-python>def f():\n    return 1\n</pre><p hidden>unseen</p></main><footer>foot</footer>"
    )
    document = only(parse(page, "text/html"))
    text, structure = document.text, document.structure
    assert document.title == "My page"
    assert [(h.level, h.title) for h in structure.headings] == [(1, "One"), (2, "Two")]
    assert all(text[h.start :].startswith("#" * h.level + " " + h.title) for h in structure.headings)
    assert "First\nline with a link and bold." in text
    assert "- a\n  - b\n- c" in text and "1. first\n2. second" in text
    table, code = structure.blocks
    assert text[table.start : table.end] == "| k | v |\n| --- | --- |\n| x | 1 |\n| x | 2 |"
    assert text[table.start : table.head_end] == "| k | v |\n| --- | --- |\n"
    assert text[code.start : code.end] == "```python\ndef f():\n    return 1\n```"
    assert structure.links == ("https://a.example/",)
    for absent in ("Home", "foot", "unseen", "var x"):
        assert absent not in text


@pytest.mark.parametrize(
    "page",
    [
        "<nav>Only <a href=/a>navigation</a> here</nav>",
        "<footer>Only a footer</footer>",
        "just words, no tags",
        "<table><tr><td>layout <h1>Head</h1></table>",
        "<button>Press</button>",
        "<div>" * 30_000 + "deep",
        "<body><p>unclosed <b>and <i>nested",
    ],
)
def test_html_with_visible_text_is_never_empty(page: str, parse) -> None:  # type: ignore[no-untyped-def]
    document = only(parse(page, "text/html"))
    assert document.status is Status.OK
    assert document.text.strip()


@pytest.mark.parametrize("page", ["<html></html>", "<div id=root></div><script>draw()</script>", "<!-- nothing -->"])
def test_html_without_visible_text_says_so(page: str, parse) -> None:  # type: ignore[no-untyped-def]
    document = only(parse(page, "text/html"))
    assert document.status is Status.EMPTY
    assert "no visible text" in (document.reason or "")


def test_html_charset_is_honoured(parse) -> None:  # type: ignore[no-untyped-def]
    page = '<meta charset="iso-8859-2"><p>Łódź i Gdańsk są piękne</p>'
    assert "Łódź i Gdańsk" in only(parse(page.encode("iso-8859-2"), "text/html")).text
    page = '<meta http-equiv="Content-Type" content="text/html; charset=Shift_JIS"><p>日本語</p>'
    assert only(parse(page.encode("cp932"), "text/html")).text == "日本語"
    assert only(parse("<p>größer</p>".encode("utf-16"), "text/html")).text == "größer"
