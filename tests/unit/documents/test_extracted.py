"""HTML and DOCX: made here, small, with what goes wrong in them."""

import io
import zipfile

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


def docx(body: str, **parts: str) -> bytes:
    namespaces = (
        'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main" '
        'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"'
    )
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as package:
        package.writestr("[Content_Types].xml", "<Types/>")
        package.writestr("word/document.xml", f"<w:document {namespaces}><w:body>{body}</w:body></w:document>")
        for name, xml in parts.items():
            package.writestr(f"word/{name}.xml", xml.replace("<w:root", f"<w:root {namespaces}"))
    return made.getvalue()


def paragraph(text: str, properties: str = "") -> str:
    return f"<w:p><w:pPr>{properties}</w:pPr><w:r><w:t>{text}</w:t></w:r></w:p>"


STYLES = (
    '<w:root><w:style w:styleId="H1"><w:name w:val="heading 1"/></w:style>'
    '<w:style w:styleId="Mine"><w:name w:val="Mine"/><w:basedOn w:val="H1"/></w:style>'
    '<w:style w:styleId="Loop"><w:name w:val="Loop"/><w:basedOn w:val="Loop"/></w:style></w:root>'
)


def test_docx_in_order(parse) -> None:  # type: ignore[no-untyped-def]
    cell = "<w:tc><w:p><w:r><w:t>{}</w:t></w:r></w:p></w:tc>"
    table = "<w:tbl>" + "".join(f"<w:tr>{cell.format(a)}{cell.format(b)}</w:tr>" for a, b in ("kv", "x1")) + "</w:tbl>"
    body = (
        paragraph("Head", '<w:pStyle w:val="Mine"/>')
        + paragraph("C# is *not* escaped_", '<w:pStyle w:val="Loop"/>')
        + paragraph("item", '<w:numPr><w:ilvl w:val="1"/><w:numId w:val="3"/></w:numPr>')
        + table
        + f"<w:sdt><w:sdtContent>{paragraph('controlled')}</w:sdtContent></w:sdt>"
        + "<w:p><w:ins><w:r><w:t>new</w:t></w:r></w:ins><w:del><w:r><w:delText>old</w:delText></w:r></w:del>"
        + "<w:r><w:tab/><w:t>after tab</w:t></w:r></w:p>"
    )
    separator = f'<w:footnote w:type="separator">{paragraph("no")}</w:footnote>'
    notes = f"<w:root>{separator}<w:footnote>{paragraph('A note')}</w:footnote></w:root>"
    document = only(parse(docx(body, styles=STYLES, footnotes=notes), DOCX))
    assert document.status is Status.OK
    assert document.text == (
        "# Head\n\nC# is *not* escaped_\n\n  - item\n\n"
        "| k | v |\n| --- | --- |\n| x | 1 |\n\ncontrolled\n\nnew after tab\n\nA note"
    )
    assert document.title == "Head"
    block = document.structure.blocks[0]
    assert document.text[block.start : block.head_end] == "| k | v |\n| --- | --- |\n"


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"PK\x03\x04 cut off", "damaged"),
        (docx("")[:200], "damaged"),
        (docx("<w:p>"), "damaged"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "encrypted"),
        (docx("").replace(b"word/document.xml", b"word/documenx.xml"), "main document"),
    ],
)
def test_docx_that_cannot_be_read_says_why(data: bytes, said: str, parse) -> None:  # type: ignore[no-untyped-def]
    document = only(parse(data, DOCX))
    assert document.status is Status.FAILED
    assert said in (document.reason or "")


def test_docx_entities_are_not_expanded(parse) -> None:  # type: ignore[no-untyped-def]
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as package:
        package.writestr("word/document.xml", '<!DOCTYPE x [<!ENTITY a "aaaa">]><w>&a;</w>')
    assert "entities" in (only(parse(made.getvalue(), DOCX)).reason or "")


def test_docx_without_text_is_empty(parse) -> None:  # type: ignore[no-untyped-def]
    assert only(parse(docx("<w:p/>"), DOCX)).status is Status.EMPTY
