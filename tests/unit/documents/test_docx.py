"""DOCX: order, lists, tables, notes, comments, headers, embedded files; damage, bombs and encryption are told apart."""

import io
import random
import zipfile

import pytest

from cortex_assets.documents.model import Limits, Mark, ParsedDocument, ParseInput, ParseOptions
from cortex_assets.documents.parsers import package
from cortex_assets.documents.registry import parser_for
from cortex_assets.tables import Status
from tests.unit.documents.packages import (
    DOCX,
    NAMESPACES,
    OLE,
    PPTX,
    docx,
    paragraph,
    pptx,
    relations,
    shape,
    slide,
    zipped,
)

STYLES = (
    '<w:root><w:style w:styleId="H1"><w:name w:val="heading 1"/></w:style>'
    '<w:style w:styleId="Mine"><w:name w:val="Mine"/><w:basedOn w:val="H1"/></w:style>'
    '<w:style w:styleId="Loop"><w:name w:val="Loop"/><w:basedOn w:val="Loop"/></w:style></w:root>'
)


def parsed(data: bytes, media: str = DOCX, options: ParseOptions | None = None) -> list[ParsedDocument]:
    source = ParseInput(io.BytesIO(data), len(data), "folder/file.docx", media, options or ParseOptions())
    return [item for item in parser_for(media).parser(source) if not isinstance(item, Mark)]


def only(data: bytes) -> ParsedDocument:
    (document,) = parsed(data)
    return document


def test_docx_in_order() -> None:
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
    document = only(docx(body, styles=STYLES, footnotes=notes))
    assert document.status is Status.OK
    assert document.text == (
        "# Head\n\nC# is *not* escaped_\n\n  - item\n\n"
        "| k | v |\n| --- | --- |\n| x | 1 |\n\ncontrolled\n\nnew after tab\n\nA note"
    )
    assert document.title == "Head"
    block = document.structure.blocks[0]
    assert document.text[block.start : block.head_end] == "| k | v |\n| --- | --- |\n"


def test_lists_count_where_the_document_says_so() -> None:
    level = '<w:lvl w:ilvl="0"><w:numFmt w:val="decimal"/></w:lvl><w:lvl w:ilvl="1"><w:numFmt w:val="bullet"/></w:lvl>'
    numbering = (
        f'<w:root><w:abstractNum w:abstractNumId="7">{level}</w:abstractNum>'
        '<w:num w:numId="2"><w:abstractNumId w:val="7"/></w:num></w:root>'
    )
    items = [("a", 0), ("b", 1), ("c", 0)]
    body = "".join(
        paragraph(text, f'<w:numPr><w:ilvl w:val="{depth}"/><w:numId w:val="2"/></w:numPr>') for text, depth in items
    )
    assert only(docx(body, numbering=numbering)).text == "1. a\n  - b\n2. c"


def test_comments_and_headers_come_once_with_what_they_are() -> None:
    links = relations(
        h="header header1.xml", i="header header2.xml", f="footer footer1.xml", x="hyperlink https://a.b/"
    )
    body = (
        paragraph("The body says Quarterly report")
        + '<w:p><w:hyperlink r:id="x"><w:r><w:t>link</w:t></w:r></w:hyperlink></w:p>'
    )
    data = docx(
        body,
        comments=f'<w:root><w:comment w:author="Ann">{paragraph("Is this so?")}</w:comment></w:root>',
        header1=f"<w:root>{paragraph('Confidential draft')}</w:root>",
        header2=f"<w:root>{paragraph('Confidential draft')}</w:root>",
        footer1=f"<w:root>{paragraph('Page 1 of 3')}</w:root>",
        **{"_rels/document.xml": ""},
    )
    parts = {"word/_rels/document.xml.rels": links}
    document = only(with_parts(data, parts))
    assert document.text == (
        "The body says Quarterly report\n\nlink\n\nComment (Ann): Is this so?\n\nHeader: Confidential draft"
    )
    assert document.structure.links == ("https://a.b/",)


def with_parts(data: bytes, more: dict[str, str | bytes]) -> bytes:
    """A package with parts added or replaced."""
    with zipfile.ZipFile(io.BytesIO(data)) as read:
        return zipped({name: read.read(name) for name in read.namelist()} | more)


def test_embedded_files_are_inner_documents() -> None:
    inside = pptx([slide(shape("Inside", "title"))])
    data = with_parts(docx(paragraph("outside")), {"word/embeddings/deck.pptx": inside, "word/embeddings/o.bin": OLE})
    outer, inner = parsed(data)
    assert (outer.text, outer.inner) == ("outside", "")
    assert (inner.text, inner.inner, inner.kind) == ("# Inside", "/word/embeddings/deck.pptx", "slides")
    refused = parsed(data, options=ParseOptions(limits=Limits(member_bytes=100)))
    assert refused[1].status is Status.TOO_LARGE and "limit" in (refused[1].reason or "")


def test_a_chart_is_a_table() -> None:
    points = '<c:pt idx="0"><c:v>{}</c:v></c:pt><c:pt idx="1"><c:v>{}</c:v></c:pt>'
    chart = (
        "<c:chartSpace {ns}><c:chart><c:title><c:tx><c:rich><a:p><a:r><a:t>Sales</a:t></a:r></a:p></c:rich></c:tx></c:title>"
        "<c:plotArea><c:barChart><c:ser><c:tx><c:v>Q1</c:v></c:tx>"
        f"<c:cat>{points.format('East', 'West')}</c:cat><c:val>{points.format('1', '0.30000000000000004')}</c:val>"
        "</c:ser></c:barChart></c:plotArea></c:chart></c:chartSpace>"
    )
    data = with_parts(
        docx('<w:p><w:r><w:t>See</w:t></w:r><w:r><w:drawing><c:chart r:id="c1"/></w:drawing></w:r></w:p>'),
        {
            "word/charts/chart1.xml": chart.replace("{ns}", NAMESPACES),
            "word/_rels/document.xml.rels": relations(c1="chart charts/chart1.xml"),
        },
    )
    assert only(data).text == "See\n\nChart: Sales\n\n|  | Q1 |\n| --- | --- |\n| East | 1 |\n| West | 0.3 |"


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"PK\x03\x04 cut off", "damaged"),
        (docx("")[:200], "damaged"),
        (docx("<w:p>"), "damaged"),
        (OLE + bytes(600), "OLE"),
        (docx("").replace(b"word/document.xml", b"word/documenx.xml"), "main document"),
        (pptx([slide("")]), "main document"),
        (zipped({"word/document.xml": "<document/>"}), "no body"),
        (zipped({"word/document.xml": '<!DOCTYPE x [<!ENTITY a "aaaa">]><w>&a;</w>'}), "entities"),
        (zipped({"word/document.xml": '<!DOCTYPE x [<!ENTITY a "aaaa">]><w>&a;</w>'.encode("utf-16")}), "entities"),
        (zipped({"word/document.xml": b"<?xml version='1.0' encoding='cp037'?><w/>"}), "encoding"),
        (docx("<w:sdt>" * 3000 + "</w:sdt>" * 3000), "nested too deeply"),
    ],
)
def test_what_cannot_be_read_says_why(data: bytes, said: str) -> None:
    document = only(data)
    assert document.status is Status.FAILED
    assert said in (document.reason or "") and not document.text


def test_a_document_without_text_is_empty() -> None:
    document = only(docx("<w:p/>"))
    assert (document.status, document.reason) == (Status.EMPTY, "the document has no text")


def test_strict_namespaces_are_read() -> None:
    strict = 'xmlns:w="http://purl.oclc.org/ooxml/wordprocessingml/main"'
    body = f"<w:document {strict}><w:body>{paragraph('strict text')}</w:body></w:document>"
    assert only(zipped({"word/document.xml": body})).text == "strict text"


def test_a_cut_off_file_gives_what_came_before() -> None:
    words = random.Random(7)  # text that does not compress away
    body = "".join(paragraph(f"paragraph {number} {words.random()}") for number in range(2000))
    data = docx(body)
    document = only(data[: len(data) // 2])
    assert document.status is Status.PARTIAL
    assert "paragraph 500 " in document.text and "paragraph 1999 " not in document.text
    assert "cut off" in (document.reason or "") and len(document.reason or "") <= 200


def test_a_damaged_part_beside_the_text_makes_it_partial() -> None:
    document = only(docx(paragraph("kept"), styles="<w:root><w:style"))
    assert (document.text, document.status) == ("kept", Status.PARTIAL)
    assert "styles.xml" in (document.reason or "")


def test_a_bomb_in_a_part_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(package, "MAX_TREE_TAGS", 1000)
    document = only(docx("<w:p/>" * 2000))
    assert document.status is Status.TOO_LARGE and "tags" in (document.reason or "")
    bomb = zipped({"word/document.xml": b" " * (package.MAX_TREE_BYTES + 1)})
    document = only(bomb)
    assert document.status is Status.TOO_LARGE and "unpacks" in (document.reason or "")


def test_long_text_comes_in_parts_that_join_to_the_whole() -> None:
    body = "".join(paragraph(f"{number} " + "word " * 400) for number in range(2500))
    documents = parsed(docx(paragraph("Head", '<w:outlineLvl w:val="0"/>') + body))
    assert [document.inner for document in documents] == ["part-0001", "part-0002"]
    assert all(len(document.text) <= 4 * 1024 * 1024 for document in documents)
    assert "".join(document.text for document in documents).count("\n\n") == 2500
    assert documents[1].title == "Head (part 2)"


def test_the_kinds_of_packages_are_not_mixed_up() -> None:
    assert parsed(pptx([slide(shape("x", "title"))]), PPTX)[0].kind == "slides"
