"""Citations: which characters of which document an answer stands on, and whether they still stand there.

Pure: the document's stored text is an argument. Finding what to cite belongs to ``search``.
"""

import re
from collections import Counter
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import StrEnum

_WORD = re.compile(r"[\u0e00-\u0eff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af]|\w+")
QUOTE_WORDS = 400
"""A longer quote is compared by its first words only."""
LEAST_RATIO = 0.8
"""Below this share of equal words two texts are not the same quotation."""
_CANDIDATES = 3


class Verdict(StrEnum):
    """How well a citation is borne out by the stored text."""

    EXACT = "exact"
    """``text[start_char:end_char] == quote``."""
    FUZZY = "fuzzy"
    """The quote stands elsewhere in the document, or nearly so (``ratio``)."""
    UNVERIFIED = "unverified"
    """The document does not contain it, or there is no text to look in."""


@dataclass(frozen=True, slots=True)
class Citation:
    """A verbatim quote and where it stands.

    Attributes:
        document_id: the document.
        path: its display path.
        start_char: first character of the quote in the document's text.
        end_char: one after the last.
        start_line: from 1.
        end_line: from 1, inclusive.
        start_page: from 1, or None where there are no pages.
        end_page: inclusive, or None.
        quote: the characters themselves.
    """

    document_id: str
    path: str
    start_char: int
    end_char: int
    start_line: int
    end_line: int
    start_page: int | None
    end_page: int | None
    quote: str

    @property
    def place(self) -> str:
        """For people: ``notes/plan.md:12-14`` or ``report.pdf p. 3``."""
        if self.start_page is not None:
            last = f"-{self.end_page}" if self.end_page not in (None, self.start_page) else ""
            return f"{self.path} p. {self.start_page}{last}"
        last = f"-{self.end_line}" if self.end_line != self.start_line else ""
        return f"{self.path}:{self.start_line}{last}"


@dataclass(frozen=True, slots=True)
class Anchor:
    """Where a chunk's text begins in its document, and what it is called.

    Attributes:
        document_id: the document.
        path: its display path, safe to print.
        start_char: of the chunk in the document's text.
        start_line: from 1.
        start_page: from 1, or None where there are no pages.
        end_page: inclusive, or None.
    """

    document_id: str
    path: str
    start_char: int
    start_line: int
    start_page: int | None
    end_page: int | None

    def cite(self, text: str, start: int, end: int) -> Citation:
        """``text[start:end]`` of the chunk's text as a citation: its characters and lines, the chunk's pages."""
        quote = text[start:end]
        line = self.start_line + text.count("\n", 0, start)
        return Citation(
            document_id=self.document_id,
            path=self.path,
            start_char=self.start_char + start,
            end_char=self.start_char + end,
            start_line=line,
            end_line=line + quote.rstrip("\n").count("\n"),
            start_page=self.start_page,
            end_page=self.end_page,
            quote=quote,
        )


@dataclass(frozen=True, slots=True)
class Verified:
    """What became of a citation.

    Attributes:
        verdict: exact, fuzzy or unverified.
        start_char: where the quote was found (None when it was not).
        end_char: one after its last character there.
        ratio: share of equal words, 0..1, rounded to 1e-4; 1 for exact and for the same words elsewhere.
    """

    verdict: Verdict
    start_char: int | None
    end_char: int | None
    ratio: float


_NOT_FOUND = Verified(Verdict.UNVERIFIED, None, None, 0.0)


def verify_citation(citation: Citation, document_text: str | None) -> Verified:
    """Check a citation against the document's stored text (None when the document is gone).

    Tried in this order: the cited span itself; the same characters nearest to it; the same words with other white
    space; the closest
    passage with at least ``LEAST_RATIO`` of the words in order. Time is linear in the document and bounded in the
    quote.
    """
    quote, start = citation.quote, citation.start_char
    if not document_text or not quote.strip():
        return _NOT_FOUND
    if start >= 0 and document_text[start : citation.end_char] == quote and start + len(quote) == citation.end_char:
        return Verified(Verdict.EXACT, start, citation.end_char, 1.0)
    start = min(max(start, 0), len(document_text))
    places = [document_text.rfind(quote, 0, start + len(quote)), document_text.find(quote, start)]
    found = [place for place in places if place >= 0]
    if found:
        nearest = min(found, key=lambda place: (abs(place - start), place))
        return Verified(Verdict.FUZZY, nearest, nearest + len(quote), 1.0)
    spaced = _spaced_otherwise(quote, document_text, start)
    return spaced or _closest(quote, document_text)


def _spaced_otherwise(quote: str, text: str, start: int) -> Verified | None:
    pattern = re.compile(r"\s+".join(re.escape(piece) for piece in quote.split()))
    found = min(pattern.finditer(text), key=lambda match: (abs(match.start() - start), match.start()), default=None)
    return Verified(Verdict.FUZZY, found.start(), found.end(), 1.0) if found else None


def _closest(quote: str, text: str) -> Verified:
    """The passage of as many words as the quote that shares most of them, compared in order."""
    wanted = [match[0].casefold() for match in _WORD.finditer(quote)][:QUOTE_WORDS]
    if not wanted:
        return _NOT_FOUND
    spans = [match.span() for match in _WORD.finditer(text)]
    words = [text[start:end].casefold() for start, end in spans]
    best = _NOT_FOUND
    for at in _likely_windows(wanted, words):
        low, window = at, words[at : at + len(wanted)]
        matcher = SequenceMatcher(None, wanted, window, autojunk=False)
        ratio = round(matcher.ratio(), 4)
        blocks = matcher.get_matching_blocks()[:-1]
        if ratio >= LEAST_RATIO and ratio > best.ratio and blocks:
            high = low + blocks[-1].b + blocks[-1].size - 1
            best = Verified(Verdict.FUZZY, spans[low + blocks[0].b][0], spans[high][1], ratio)
    return best


def _likely_windows(wanted: list[str], words: list[str]) -> list[int]:
    """Starts of the few windows of len(wanted) words that share most words with the quote, order apart."""
    need = Counter(wanted)
    size = min(len(wanted), len(words))
    shared, scores = 0, []
    for index, word in enumerate(words):
        need[word] -= 1
        shared += need[word] >= 0
        if index >= size:
            gone = words[index - size]
            shared -= need[gone] >= 0
            need[gone] += 1
        if index >= size - 1:
            scores.append(shared)
    least = LEAST_RATIO * size
    starts = sorted((at for at, score in enumerate(scores) if score >= least), key=lambda at: (-scores[at], at))
    chosen: list[int] = []
    for at in starts:
        if all(abs(at - other) > size // 2 for other in chosen):
            chosen.append(at)
        if len(chosen) == _CANDIDATES:
            break
    return chosen
