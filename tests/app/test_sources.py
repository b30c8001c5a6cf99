"""Sources: the lines of a passage with what is marked, pages drawn from the bytes, nothing outside of the corpus."""

import shutil

import pytest

from apps import actions, reader
from apps.errors import CommandError
from apps.showing import marked_lines, why_no_picture
from tests.app.conftest import PROJECT

TEXT = "one\ntwo <b>\nthree four\nfive\n\nsix"


def pieces(lines):
    return [[(line.text[a:b], is_quote) for a, b, is_quote in line.spans] for line in lines]


def test_lines_around_a_chunk_are_numbered_and_marked():
    chunk = TEXT.index("two"), TEXT.index("\nfive")
    quote = TEXT.index("four"), TEXT.index("four") + 4
    lines, is_above, is_below = marked_lines(TEXT, chunk, quote, 1)
    assert [line.number for line in lines] == [1, 2, 3, 4]
    assert pieces(lines) == [[], [("two <b>", False)], [("three ", False), ("four", True)], []]
    assert (is_above, is_below) == (False, True)
    lines, is_above, is_below = marked_lines(TEXT, chunk, (0, 0), 0)
    assert [line.text for line in lines] == ["two <b>", "three four"]
    assert (is_above, is_below) == (True, True)
    lines, is_above, is_below = marked_lines(TEXT, chunk, quote, 99)
    assert "\n".join(line.text for line in lines) == TEXT
    assert (is_above, is_below) == (False, False)


def test_a_long_line_is_cut_to_what_is_cited():
    text = "x" * 50_000 + "needle" + "y" * 50_000
    (line,), _, _ = marked_lines(text, (0, len(text)), (50_000, 50_006), 3)
    assert len(line.text) <= 4_000
    assert [line.text[a:b] for a, b, is_quote in line.spans if is_quote] == ["needle"]


def test_marks_stay_where_control_characters_are_taken_out():
    text = "a\x1b[31mred\x00 needle"
    start = text.index("needle")
    (line,), _, _ = marked_lines(text, (0, len(text)), (start, start + 6), 0)
    assert line.text == "ared needle"
    assert [line.text[a:b] for a, b, is_quote in line.spans if is_quote] == ["needle"]


def test_a_pdf_is_shown_at_its_page(sample):
    hit = reader.search("what was the highest still water level of 2025?").hits[0]
    shown = reader.source(hit.corpus, hit.document_id, hit.chunk_id, hit.start_char, hit.end_char)
    assert shown.pages == shown.picture_pages == (2,)
    assert shown.disk_path == str(sample / "inbox" / "sample" / hit.path)
    picture = reader.page_picture(hit.corpus, hit.document_id, 2, width=500)
    assert picture.startswith(b"\x89PNG")
    assert int.from_bytes(picture[16:20], "big") == 500
    assert picture != reader.page_picture(hit.corpus, hit.document_id, 1, width=500)
    with pytest.raises(CommandError, match="cannot be drawn"):
        reader.page_picture(hit.corpus, hit.document_id, 99)


def test_only_pdf_pages_are_drawn(sample):
    hit = next(hit for hit in reader.search("north gauge reads low").hits if hit.path.endswith(".md"))
    with pytest.raises(CommandError, match="only PDF"):
        reader.page_picture(hit.corpus, hit.document_id, 1)


def test_a_document_of_another_corpus_is_not_given(sample):
    hit = reader.search("north gauge").hits[0]
    with pytest.raises(CommandError, match="no corpus has that name"):
        reader.source("other", hit.document_id, hit.chunk_id)
    with pytest.raises(CommandError, match="no such document"):
        reader.source(hit.corpus, "../../etc/passwd", hit.chunk_id)


def test_a_page_whose_bytes_are_gone_is_said(empty):
    folder = empty / "inbox" / "papers"
    folder.mkdir(parents=True)
    shutil.copy(PROJECT / "data" / "sample" / "reports" / "annual-tide-report-2025.pdf", folder / "report.pdf")
    actions.run()
    hit = reader.search("highest still water level").hits[0]
    shown = reader.source(hit.corpus, hit.document_id, hit.chunk_id)
    assert shown.picture_pages
    (empty / "inbox" / "papers" / "report.pdf").unlink()
    for stored in (empty / "raw").glob("??/*"):
        stored.unlink()
    with pytest.raises(CommandError, match="bytes cannot be read"):
        reader.page_picture(hit.corpus, hit.document_id, 2)


@pytest.mark.parametrize(
    ("document", "file", "why"),
    [
        ({"inner": "", "findings": []}, {"media_type": "application/pdf"}, ""),
        ({"inner": "", "findings": [{"rule": "aws"}]}, {"media_type": "application/pdf"}, "secrets"),
        ({"inner": "/in/a.pdf", "findings": []}, {"media_type": "application/pdf"}, "inside of another"),
        ({"inner": "", "findings": []}, {"media_type": "text/plain"}, "only PDF"),
        ({"inner": "", "findings": []}, None, "only PDF"),
    ],
)
def test_why_a_page_is_not_drawn(document, file, why):
    said = why_no_picture(document, file)
    assert why in said if why else said == ""
