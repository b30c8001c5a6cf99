"""How much of a document its text is likely to be: a score, and notes on what speaks against it.

It looks at what a parser gave, not at the file: characters that are no text, pages without any, lines that repeat on
every page. What the text says is not judged. Whether a score is too low is the check's to say.
"""

import re
from collections import Counter
from dataclasses import dataclass

from cortex_assets.documents.model import ParsedDocument
from cortex_assets.tables import Status

LOW = 0.6
"""Documents below this are listed by the check."""
FEW_CHARS = 40
"""A page with fewer characters than this, on average, is hardly one of text."""
LEAST_PAGES = 3
"""Lines that repeat are looked for in documents of at least so many pages."""
MOST_PAGES = 2_000
_CONTROLS = bytes(set(range(0x20)) - set(b"\t\n\r\f\v\b\x1b")) + b"\x7f"
_PRIVATE = b"\xee"
"""Begins the UTF-8 of U+E000 to U+EFFF, most of the private use area: glyphs without a meaning that is known."""
_DIGITS = re.compile(r"\d+")


@dataclass(frozen=True, slots=True)
class Quality:
    """0 (nothing of it was read) to 1, rounded to 1e-4, and what was taken off for; no content."""

    score: float
    notes: tuple[str, ...] = ()


def assess(document: ParsedDocument) -> Quality:
    """Score a document as its parser gave it; one without text has 0."""
    if document.status not in (Status.OK, Status.PARTIAL):
        return Quality(0.0)
    score, notes = 1.0, []
    for factor, note in (*_characters(document.text), *_pages(document), *_doubts(document)):
        score *= factor
        notes.append(note)
    return Quality(round(max(0.0, score), 4), tuple(notes))


def _characters(text: str) -> list[tuple[float, str]]:
    """What is no text among the characters."""
    found = []
    content = text.encode("utf-8", "surrogatepass")
    counts = (
        ("characters could not be decoded", text.count("\ufffd"), 20),
        ("control characters", len(content) - len(content.translate(None, _CONTROLS)), 10),
        ("characters without a known meaning", content.count(_PRIVATE) + text.count("(cid:"), 10),
    )
    for what, count, weight in counts:
        if count:
            share = count / len(text)
            found.append((max(0.0, 1 - weight * share), f"{count} {what} ({share:.2%})"))
    return found


def _pages(document: ParsedDocument) -> list[tuple[float, str]]:
    """Pages that are missing, empty, or hold little."""
    count = document.page_count or 0
    found = []
    if document.failed_pages:
        failed = len(document.failed_pages)
        found.append((max(0.0, 1 - failed / max(count, failed)), f"{failed} of {max(count, failed)} pages failed"))
    if document.empty_pages:
        empty = len(document.empty_pages)
        found.append((1 - 0.8 * empty / max(count, empty), f"{empty} of {max(count, empty)} pages have no text"))
    read = count - len(document.failed_pages) - len(document.empty_pages)
    if document.structure.pages and read > 0 and len(document.text) < FEW_CHARS * read:
        found.append((0.5, f"{len(document.text) // read} characters on a page"))
    repeated = _repeated_share(document)
    if repeated > 0:
        found.append((1 - 0.2 * repeated, f"{repeated:.0%} of the first and last lines repeat from page to page"))
    return found


def _repeated_share(document: ParsedDocument) -> float:
    """Share of the first and last lines of pages, numbers apart, that stand so on at least half of the pages."""
    pages = document.structure.pages[:MOST_PAGES]
    if len(pages) < LEAST_PAGES:
        return 0.0
    lines: Counter[str] = Counter()
    for page in pages:
        text = document.text[page.start : page.end].strip()
        if text:
            edges = {text.partition("\n")[0], text.rpartition("\n")[2]}
            lines.update(_DIGITS.sub("0", edge.strip())[:200] for edge in edges)
    total = sum(lines.values())
    return sum(n for n in lines.values() if 2 * n >= len(pages)) / total if total else 0.0


def _doubts(document: ParsedDocument) -> list[tuple[float, str]]:
    found = [(0.9, document.doubt)] if document.doubt else []
    if document.confidence < 1:
        found.append(
            (document.confidence, f"encoding {document.encoding or 'of the body'} is {document.confidence:.0%} sure")
        )
    return found
