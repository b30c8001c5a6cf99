"""HTML, DOCX and PDF: made here, small, with what goes wrong in them."""

import zlib

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


def pdf(pages: list[str | None], title: str = "", outline: str = "", broken: tuple[int, ...] = ()) -> bytes:
    """A PDF with one line of Helvetica on each page; None for a page without text."""
    objects = ["<< /Type /Catalog /Pages 2 0 R >>", "", "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"]
    objects.append(f"<< /Title ({title}) >>")
    kids: list[int] = []
    for number, text in enumerate(pages, 1):
        drawn = f"BT /F1 24 Tf 72 700 Td ({text}) Tj ET" if text is not None else ""
        packed = zlib.compress(drawn.encode())
        objects.append(
            f"<< /Length {len(packed)} /Filter /FlateDecode >>\nstream\n{packed.decode('latin-1')}\nendstream"
        )
        resources = f"<< /Font << /F1 3 0 R >> >> /MediaBox [0 0 612 792] /Contents {len(objects)} 0 R"
        kind = "/Nothing" if number in broken else "/Page"
        objects.append(f"<< /Type {kind} /Parent 2 0 R /Resources {resources} >>" if number not in broken else "null")
        kids.append(len(objects))
    objects[1] = f"<< /Type /Pages /Count {len(kids)} /Kids [{' '.join(f'{kid} 0 R' for kid in kids)}] >>"
    if outline:
        objects[0] = f"<< /Type /Catalog /Pages 2 0 R /Outlines {len(objects) + 1} 0 R >>"
        first = len(objects) + 2
        objects.append(f"<< /First {first} 0 R /Last {first} 0 R /Count 1 >>")
        objects.append(f"<< /Title ({outline}) /Parent {first - 1} 0 R /Dest [{kids[-1]} 0 R /Fit] >>")
    out, offsets = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, 1):
        offsets.append(len(out))
        out += f"{number} 0 obj\n{content}\nendobj\n".encode("latin-1")
    xref = f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n" + "".join(f"{at:010d} 00000 n \n" for at in offsets)
    trailer = f"trailer << /Size {len(objects) + 1} /Root 1 0 R /Info 4 0 R >>\nstartxref\n{len(out)}\n%%EOF"
    return out + (xref + trailer).encode()


def test_pdf_pages_title_and_outline(parse) -> None:  # type: ignore[no-untyped-def]
    document = only(parse(pdf(["Hello there", "2 Second thing"], "A title", "Second thing"), "application/pdf"))
    assert (document.title, document.page_count, document.status) == ("A title", 2, Status.OK)
    texts = [document.text[page.start : page.end] for page in document.structure.pages]
    assert texts == ["Hello there", "2 Second thing"]
    heading = document.structure.headings[0]
    assert (heading.title, heading.start) == ("Second thing", document.structure.pages[1].start)


def test_pdf_with_broken_pages_is_partial_and_lists_them(parse) -> None:  # type: ignore[no-untyped-def]
    document = only(parse(pdf(["one", "two", "three", "four"], broken=(2, 3)), "application/pdf"))
    assert document.status is Status.PARTIAL
    assert document.failed_pages == (2, 3)
    assert "2-3" in (document.reason or "")
    assert "four" in document.text


def test_pdf_without_text_is_empty(parse) -> None:  # type: ignore[no-untyped-def]
    document = only(parse(pdf([None, None]), "application/pdf"))
    assert (document.status, document.text) == (Status.EMPTY, "")
    assert "no text layer" in (document.reason or "")


def test_pdf_damage_is_told(parse) -> None:  # type: ignore[no-untyped-def]
    document = only(parse(b"%PDF-1.4 nothing else", "application/pdf"))
    assert document.status is Status.FAILED
    assert "damaged PDF" in (document.reason or "")


def test_pdf_titles_that_editors_make_are_no_titles(parse) -> None:  # type: ignore[no-untyped-def]
    assert only(parse(pdf(["x"], "Microsoft Word - draft.doc"), "application/pdf")).title == ""


def test_long_pdfs_come_in_parts_at_pages(parse, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr("cortex_assets.documents.parsers.pdf.PART_CHARS", 20)
    documents = parse(pdf([f"page number {n}" for n in range(5)]), "application/pdf")
    assert [document.inner for document in documents] == ["part-0001", "part-0002", "part-0003"]
    assert [page.number for document in documents for page in document.structure.pages] == [1, 2, 3, 4, 5]
