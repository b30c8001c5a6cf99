"""HTML, DOCX and PDF: made here, small, with what goes wrong in them."""

import io
import zipfile
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
