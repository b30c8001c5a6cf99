"""ODT and ODP: headings, lists, tables, notes, tracked changes; encryption is told apart from damage."""

from typing import Any

import pytest

from cortex_assets.documents.model import Mark, ParsedDocument, Place
from cortex_assets.tables import Status
from tests.unit.documents.packages import ODF_NAMESPACES, ODP, ODT, odf, zipped


def only(documents: list[Any]) -> ParsedDocument:
    (document,) = (document for document in documents if not isinstance(document, Mark))
    return document


def test_odt_in_order(parse) -> None:  # type: ignore[no-untyped-def]
    cell = "<table:table-cell><text:p>{}</text:p></table:table-cell>"
    rows = "".join(f"<table:table-row>{cell.format(a)}{cell.format(b)}</table:table-row>" for a, b in ("kv", "x1"))
    nested = "<text:list><text:list-item><text:p>nested</text:p></text:list-item></text:list>"
    body = (
        "<text:tracked-changes><text:changed-region><text:deletion><text:p>deleted</text:p></text:deletion>"
        "</text:changed-region></text:tracked-changes>"
        '<text:p text:style-name="P1">The title</text:p><text:h text:outline-level="2">Head</text:h>'
        '<text:p>Some<text:s text:c="3"/>words<text:line-break/>and <text:a xlink:href="https://a.b/">a link</text:a>'
        "<text:note><text:note-citation>1</text:note-citation><text:note-body><text:p>A note</text:p></text:note-body></text:note>"
        "<office:annotation><dc:creator>Ann</dc:creator><text:p>why?</text:p></office:annotation>.</text:p>"
        f'<text:list text:style-name="L"><text:list-item><text:p>item</text:p>{nested}</text:list-item></text:list>'
        f"<table:table><table:table-header-rows/>{rows}</table:table>"
        "<text:section><text:p>in a section<draw:frame>"
        "<draw:text-box><text:p>boxed</text:p></draw:text-box></draw:frame></text:p></text:section>"
    )
    styles = (
        '<style:style style:name="P1" style:parent-style-name="Title"/><text:list-style style:name="L">'
        '<text:list-level-style-number text:level="1" style:num-format="1"/></text:list-style>'
    )
    document = only(parse(odf(ODT, body, styles), ODT))
    assert document.text == (
        "# The title\n\n## Head\n\nSome words\nand a link.\n\n1. item\n  - nested\n\n"
        "| k | v |\n| --- | --- |\n| x | 1 |\n\nin a section\n\nboxed\n\nA note\n\nComment (Ann): why?"
    )
    assert (document.title, document.kind, document.status) == ("The title", "word", Status.OK)
    assert document.structure.links == ("https://a.b/",)
    assert [heading.level for heading in document.structure.headings] == [1, 2]


def test_odp_slides(parse) -> None:  # type: ignore[no-untyped-def]
    def frame(text: str, kind: str = "") -> str:
        mark = f'presentation:class="{kind}"' if kind else ""
        return f"<draw:frame {mark}><draw:text-box><text:p>{text}</text:p></draw:text-box></draw:frame>"

    notes = f"<presentation:notes>{frame('say it', 'notes')}</presentation:notes>"
    body = (
        f"<draw:page>{frame('body')}{frame('One', 'title')}{notes}</draw:page>"
        f'<draw:page draw:style-name="d">{frame("hidden text")}{frame("no", "footer")}</draw:page>'
        "<draw:page/>"
    )
    styles = (
        '<style:style style:name="d"><style:drawing-page-properties presentation:visibility="hidden"/></style:style>'
    )
    document = only(parse(odf(ODP, body, styles), ODP))
    assert document.text == "# One\n\nbody\n\nNotes: say it\n\n(hidden slide)\n\nhidden text"
    second = document.text.index("(hidden")
    assert document.structure.places == (Place("slide 1", 0, second - 2), Place("slide 2", second, len(document.text)))
    assert (document.page_count, document.empty_pages, document.title) == (3, (3,), "One")


def test_a_chart_is_a_table(parse) -> None:  # type: ignore[no-untyped-def]
    cell = "<table:table-cell><text:p>{}</text:p></table:table-cell>"
    rows = "".join(f"<table:table-row>{cell.format(a)}{cell.format(b)}</table:table-row>" for a, b in ("xy", "12"))
    chart = (
        f"<office:document-content {ODF_NAMESPACES}><office:body><office:chart><chart:chart><chart:title><text:p>Sales</text:p>"
        f"</chart:title><table:table><table:table-rows>{rows}</table:table-rows></table:table></chart:chart></office:chart>"
        "</office:body></office:document-content>"
    )
    body = '<text:p><draw:frame><draw:object xlink:href="./Object 1"/></draw:frame></text:p>'
    document = only(parse(odf(ODT, body, more={"Object 1/content.xml": chart}), ODT))
    assert document.text == "Chart: Sales\n\n| x | y |\n| --- | --- |\n| 1 | 2 |"


ENCRYPTED = (
    f"<manifest:manifest {ODF_NAMESPACES}><manifest:file-entry>"
    "<manifest:encryption-data/></manifest:file-entry></manifest:manifest>"
)


@pytest.mark.parametrize(
    ("data", "status", "said"),
    [
        (odf(ODT, ""), Status.EMPTY, "no text"),
        (odf(ODP, ""), Status.FAILED, "no text"),
        (
            zipped({"mimetype": ODT, "content.xml": b"\1\2", "META-INF/manifest.xml": ENCRYPTED}),
            Status.FAILED,
            "password",
        ),
        (zipped({"mimetype": ODT}), Status.FAILED, "content.xml is missing"),
        (zipped({"content.xml": "<!DOCTYPE x [<!ENTITY a 'b'>]><x/>"}), Status.FAILED, "entities"),
        (odf(ODT, "<text:section>" * 3000 + "</text:section>" * 3000), Status.FAILED, "nested too deeply"),
        (b"PK\x03\x04\x00", Status.FAILED, "damaged ODT"),
    ],
)
def test_what_has_no_text_says_why(data: bytes, status: Status, said: str, parse) -> None:  # type: ignore[no-untyped-def]
    document = only(parse(data, ODT))
    assert document.status is status and said in (document.reason or "")


def test_a_cut_off_document_gives_what_came_before(parse) -> None:  # type: ignore[no-untyped-def]
    data = odf(ODT, "".join(f"<text:p>paragraph {number} {number**50}</text:p>" for number in range(2000)))
    document = only(parse(data[: len(data) // 2], ODT))
    assert document.status is Status.PARTIAL
    assert "paragraph 500 " in document.text and "paragraph 1999 " not in document.text
