"""PPTX: show order, titles, lists, tables, notes, comments, hidden slides; what cannot be read is named by slide."""

from typing import Any

import pytest

from cortex_assets.documents.model import Mark, ParsedDocument, Place
from cortex_assets.tables import Status
from tests.unit.documents.packages import NAMESPACES, PPTX, docx, paragraph, pptx, relations, shape, slide, zipped


def only(documents: list[Any]) -> ParsedDocument:
    (document,) = (document for document in documents if not isinstance(document, Mark))
    return document


def test_slides_in_show_order(parse) -> None:  # type: ignore[no-untyped-def]
    cell = "<a:tc><a:txBody><a:p><a:r><a:t>{}</a:t></a:r></a:p></a:txBody></a:tc>"
    rows = "".join(f"<a:tr>{cell.format(a)}{cell.format(b)}</a:tr>" for a, b in ("kv", "x1"))
    table = f'<p:graphicFrame><a:graphic><a:tbl><a:tblPr firstRow="1"/>{rows}</a:tbl></a:graphic></p:graphicFrame>'
    slides = [
        slide(shape("one\ntwo", "") + shape("Second", "title") + shape("4", "sldNum"), 'show="0"'),
        slide(shape("First", "ctrTitle") + table + f"<p:grpSp>{shape('grouped')}</p:grpSp>"),
    ]
    notes = f"<p:notes {NAMESPACES}><p:cSld><p:spTree>{shape('Say hello', 'body')}{shape('2', 'sldNum')}</p:spTree></p:cSld></p:notes>"
    more = {
        "ppt/slides/_rels/slide2.xml.rels": relations(n="notesSlide ../notesSlides/n1.xml", c="comments ../c1.xml"),
        "ppt/notesSlides/n1.xml": notes,
        "ppt/c1.xml": f'<p:cmLst {NAMESPACES}><p:cm authorId="0"><p:text>why?</p:text></p:cm></p:cmLst>',
        "ppt/commentAuthors.xml": f'<p:cmAuthorLst {NAMESPACES}><p:cmAuthor id="0" name="Ann"/></p:cmAuthorLst>',
    }
    document = only(parse(pptx(slides, more, order=[2, 1]), PPTX))
    assert document.text == (
        "# First\n\n| k | v |\n| --- | --- |\n| x | 1 |\n\ngrouped\n\nNotes: Say hello\n\nComment (Ann): why?\n\n"
        "# Second\n\n(hidden slide)\n\n- one\n- two"
    )
    second = document.text.index("# Second")
    assert document.structure.places == (Place("slide 1", 0, second - 2), Place("slide 2", second, len(document.text)))
    assert (document.kind, document.title, document.page_count) == ("slides", "First", 2)
    assert [heading.title for heading in document.structure.headings] == ["First", "Second"]


def test_a_damaged_slide_is_named_and_the_others_are_read(parse) -> None:  # type: ignore[no-untyped-def]
    good = slide(shape("Good", "title"))
    document = only(parse(pptx([good, "<p:sld", good, slide("")]), PPTX))
    assert document.status is Status.PARTIAL
    assert (document.failed_pages, document.empty_pages) == ((2,), (4,))
    assert "slide 2" in (document.reason or "")
    assert [place.label for place in document.structure.places] == ["slide 1", "slide 3"]


def test_a_presentation_without_its_list_gives_the_slides_by_name(parse) -> None:  # type: ignore[no-untyped-def]
    parts: dict[str, str | bytes] = {f"ppt/slides/slide{n}.xml": slide(shape(f"S{n}", "title")) for n in (10, 2)}
    document = only(parse(zipped(parts), PPTX))
    assert document.text == "# S2\n\n# S10"
    assert document.status is Status.PARTIAL and "list of slides is missing" in (document.reason or "")


def test_a_cut_off_presentation_gives_the_slides_before(parse) -> None:  # type: ignore[no-untyped-def]
    data = pptx([slide(shape(f"Title {n}", "title") + shape(str(n**99), "")) for n in range(1, 60)])
    document = only(parse(data[: len(data) * 2 // 3], PPTX))
    assert document.status is Status.PARTIAL
    assert "Title 5" in document.text and "Title 59" not in document.text
    assert 59 in document.failed_pages and 2 not in document.failed_pages


@pytest.mark.parametrize(
    ("data", "status", "said"),
    [
        (pptx([slide("")]), Status.EMPTY, "no text"),
        (pptx([]), Status.EMPTY, "no slides"),
        (docx(paragraph("x")), Status.FAILED, "main document"),
        (b"PK\x03\x04garbage", Status.FAILED, "damaged"),
        (pptx(["<!DOCTYPE x [<!ENTITY a 'b'>]><x>&a;</x>"]), Status.FAILED, "slide 1"),
    ],
)
def test_what_has_no_text_says_why(data: bytes, status: Status, said: str, parse) -> None:  # type: ignore[no-untyped-def]
    document = only(parse(data, PPTX))
    assert document.status is status and said in (document.reason or "")
