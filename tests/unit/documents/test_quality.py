"""The quality of a document: what lowers it, by how much, and that notes quote nothing."""

import time

import pytest

from cortex_assets.documents.model import Page, ParsedDocument, Structure
from cortex_assets.documents.quality import LOW, Quality, assess
from cortex_assets.tables import Status

PROSE = "The harbour wall was repaired in the spring, and the tide gauge was moved to its new place. " * 8


def paged(*texts: str, **fields: object) -> ParsedDocument:
    """A document with one page for each text."""
    pages, start = [], 0
    for number, text in enumerate(texts, start=1):
        pages.append(Page(number, start, start + len(text)))
        start += len(text) + 2
    structure = Structure(pages=tuple(pages))
    return ParsedDocument("\n\n".join(texts), "pdf", structure=structure, page_count=len(texts), **fields)  # type: ignore[arg-type]


def test_plain_text_is_whole() -> None:
    assert assess(ParsedDocument(PROSE, "text")) == Quality(1.0)
    assert assess(ParsedDocument("über \U0001f511 \x1b[0m\ttab\r\n", "text")) == Quality(1.0)
    assert assess(paged("First. " + PROSE, "Second. " + PROSE, "Third. " + PROSE)) == Quality(1.0)


@pytest.mark.parametrize(
    "status", [Status.FAILED, Status.QUARANTINED, Status.UNSUPPORTED, Status.TOO_LARGE, Status.EMPTY]
)
def test_what_was_not_read_has_nothing(status: Status) -> None:
    assert assess(ParsedDocument("", "none", status=status, reason="why")) == Quality(0.0)


@pytest.mark.parametrize(
    ("document", "low", "note"),
    [
        (ParsedDocument(PROSE + "\ufffd", "text"), False, "1 characters could not be decoded"),
        (ParsedDocument("a\ufffd" * 50, "text"), True, "50 characters could not be decoded (50.00%)"),
        (ParsedDocument("ab\x00\x01" * 50, "text"), True, "100 control characters (50.00%)"),
        (ParsedDocument("\ue001\ue002 " * 50, "pdf"), True, "100 characters without a known meaning"),
        (ParsedDocument("(cid:12)" * 50, "pdf"), True, "50 characters without a known meaning"),
        (paged(PROSE, "", "", "", empty_pages=(2, 3, 4)), True, "3 of 4 pages have no text"),
        (paged(PROSE, PROSE, status=Status.PARTIAL, reason="x", failed_pages=(2,)), True, "1 of 2 pages failed"),
        (paged("1", "2", "3"), True, "2 characters on a page"),
        (ParsedDocument(PROSE, "text", doubt="encoding guessed"), False, "encoding guessed"),
    ],
)
def test_what_lowers_it(document: ParsedDocument, low: bool, note: str) -> None:
    quality = assess(document)
    assert (quality.score < LOW) == low, quality
    assert quality.score < 1
    assert any(found.startswith(note) for found in quality.notes), quality.notes


def test_running_heads_are_told_without_being_quoted() -> None:
    pages = [f"Tide report 2025, page {n}\n{PROSE}{n}\nHarbour office" for n in range(1, 9)]
    quality = assess(paged(*pages))
    assert quality.notes == ("100% of the first and last lines repeat from page to page",)
    assert LOW < quality.score < 1
    assert "Harbour" not in str(quality.notes)


def test_scores_are_rounded_and_between_0_and_1() -> None:
    for count in range(0, 200, 7):
        score = assess(ParsedDocument("a" * 200 + "\ufffd" * count, "text", doubt="x")).score
        assert 0 <= score <= 1 and round(score, 4) == score


def test_it_costs_little() -> None:
    document = ParsedDocument((PROSE + "é\n") * 6_000, "text")
    begin = time.perf_counter()
    assess(document)
    assert len(document.text) > 4_000_000
    assert time.perf_counter() - begin < 0.5
