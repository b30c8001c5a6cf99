"""A text cut into what can be quoted alone: sentences, list items, table rows, headings, short blocks of code.

Rules, not a model, so that the same text is cut the same way everywhere; for any script, abbreviations of a few European
languages known. Pieces are disjoint, in order, without white space at their ends, and leave out nothing but white space.
Choosing among them belongs to ``answer``.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

LONGEST = 480
"""Characters of a piece at most; a longer sentence or line is cut between words, where there are any."""
CODE_LINES = 8
"""Lines of a block of code at most."""
SHORT_LINE = 0.6
"""A line of prose that is at most so wide as the widest of its block may be a heading."""
HEADING_WORDS = 8

_LINE = re.compile(r"[^\r\n]+")
_FENCE = re.compile(r"[ \t]*(?:```|~~~)")
_HEADING = re.compile(r"[ \t]{0,3}#{1,6}[ \t]|[=]{1,6} \S.* [=]{1,6}$|\.\.? ?_")
_UNDERLINE = re.compile(r"[ \t]{0,3}(?:={3,}|-{3,}|~{3,})[ \t]*$")
_ITEM = re.compile(r"[ \t>]*(?:[-*+•‣◦·–—][ \t]+|\(?(?:\d{1,3}|[a-zA-Z])[.)][ \t]+|[①-⑳])")
_ROW = re.compile(r"[ \t]*\|.*\|[ \t]*$|[^\t]*\t[^\t]*\t")
_CLOSERS = "\"'”’»)\\]}›」』）】*_`"
_END = re.compile(
    rf"[.!?…]+[{_CLOSERS}]*(?=\s+[\"'“‘«(\[{{‹¿¡*_`]*(?P<next>\S))"
    rf"|[。！？｡]+[{_CLOSERS}]*"
    rf"|[؟।॥۔։።]+[{_CLOSERS}]*(?=\s|$)"
)
_LAST_WORD = re.compile(r"[^\s(\[\"'“‘«/]+$")
_NUMBER = re.compile(r"(?<!\S)[-+]?\d[\d.,:%]*(?!\S)")
_SPACED = re.compile(r"\s+")
_KNOWN_ABBREVIATIONS = (
    "mr mrs ms dr prof rev gen sen rep gov st sgt capt lt col jr sr vs etc al cf viz approx no nos vol fig figs eq eqs sec "
    "ch art pp ed eds inc ltd corp dept est ca resp incl excl jan feb mar apr jun jul aug sep sept oct nov dec mt ft "
    "bzw usw evtl ggf vgl str abb nr bd hrsg tel sog zzgl inkl mme mlle m av env sra srta ud uds pág núm"
)
_ABBREVIATIONS = frozenset(_KNOWN_ABBREVIATIONS.split())
"""Words, lower case and without their full stop, after which a sentence goes on."""


class Layout(StrEnum):
    """How a text is to be read."""

    PROSE = "prose"
    """Paragraphs, lists, tables, headings, fenced code; of Markdown, mails, pages."""
    CODE = "code"
    """Lines that belong to their neighbours."""
    ROWS = "rows"
    """Lines that stand alone."""


class Kind(StrEnum):
    """What a piece is."""

    PROSE = "prose"
    """A sentence."""
    ITEM = "item"
    """A sentence of a list item, or a row of a table."""
    HEADING = "heading"
    """It says what follows is about, and is no answer by itself."""
    CODE = "code"
    """A few lines that stand together."""


@dataclass(frozen=True, slots=True)
class Piece:
    """``text[start:end]`` and what it is."""

    start: int
    end: int
    kind: Kind


def pieces(text: str, layout: Layout = Layout.PROSE) -> list[Piece]:
    """Cut a text, read in a layout; see the module."""
    if layout is Layout.ROWS:
        lines = [span for line in _LINE.finditer(text) for span in _short(text, *line.span())]
        return [Piece(*span, Kind.ITEM) for span in lines]
    found: list[Piece] = []
    for start, end, kind in _blocks(text, is_code=layout is Layout.CODE):
        for low, high, what in _titled(text, start, end) if kind is Kind.PROSE else [(start, end, kind)]:
            cuts = _lines_of_code(text, low, high) if what is Kind.CODE else _sentences(text, low, high, what)
            found += [Piece(*span, what) for cut in cuts for span in _short(text, *cut)]
    return found


def _blocks(text: str, *, is_code: bool) -> Iterator[tuple[int, int, Kind]]:
    """Runs of lines of one kind; every line that is not blank is in one."""
    begun: tuple[int, int, Kind] | None = None
    is_fenced = False
    last_end = 0
    for line in _LINE.finditer(text):
        is_new = text.count("\n", last_end, line.start()) > 1 or not line[0].strip()
        last_end = line.end()
        is_fence = not is_code and bool(_FENCE.match(line[0]))
        kind = Kind.CODE if is_code or is_fenced or is_fence else _kind(line[0])
        if begun is not None and kind is not Kind.CODE and _UNDERLINE.match(line[0]) and not is_new:
            yield begun[0], line.end(), Kind.HEADING if begun[2] is Kind.PROSE else begun[2]
            begun = None
            continue
        starts = kind in (Kind.ITEM, Kind.HEADING) or (is_fence and not is_fenced)
        goes_on = begun is not None and not (is_new or starts) and begun[2] is not Kind.HEADING
        if begun is not None and goes_on and (begun[2] is Kind.CODE) == (kind is Kind.CODE):
            begun = begun[0], line.end(), begun[2]
        else:
            if begun is not None:
                yield begun
            begun = (line.start(), line.end(), kind) if line[0].strip() else None
        is_fenced ^= is_fence
    if begun is not None:
        yield begun


def _kind(line: str) -> Kind:
    if _HEADING.match(line):
        return Kind.HEADING
    return Kind.ITEM if _ITEM.match(line) or _ROW.match(line) else Kind.PROSE


def _titled(text: str, start: int, end: int) -> Iterator[tuple[int, int, Kind]]:
    """Prose, the short lines in it apart: headings without a mark, or rows of a table where there are several numbers."""
    lines = [line.span() for line in _LINE.finditer(text, start, end)]
    widest = max(high - low for low, high in lines)
    for (low, high), (following, _) in pairwise(lines):
        line = text[low:high].strip()
        is_short = len(line) <= SHORT_LINE * widest and len(line.split()) <= HEADING_WORDS
        if is_short and line[-1:].isalnum() and not text[following].islower() and not line[:1].islower():
            if start < low:
                yield start, low, Kind.PROSE
            yield low, high, Kind.ITEM if len(_NUMBER.findall(line)) > 1 else Kind.HEADING
            start = following
    yield start, end, Kind.PROSE


def _sentences(text: str, start: int, end: int, kind: Kind) -> Iterator[tuple[int, int]]:
    if kind is not Kind.HEADING:
        marker = _ITEM.match(text, start, end)
        for stop in _END.finditer(text, marker.end() if marker else start, end):
            if _ends(text, start, stop):
                yield start, stop.end()
                start = stop.end()
    yield start, end


def _ends(text: str, start: int, stop: re.Match[str]) -> bool:
    """Whether a sentence ends at a stop: not after an abbreviation or an initial, not where the next word is lower case."""
    follows = stop["next"]
    if follows is None or not stop[0].startswith(".") or stop[0].startswith(".."):
        return follows is None or not (follows.islower() and stop[0][0] != "?")
    if follows.islower() or follows in ",;:":
        return False
    word = _LAST_WORD.search(text, max(start, stop.start() - 40), stop.start())
    last = word[0].lower() if word else ""
    is_initial = len(last) == 1 and last.isalpha() and last != "i"
    return not (is_initial or last in _ABBREVIATIONS or re.fullmatch(r"(?:[^\W\d]\.)+[^\W\d]", last))


def _lines_of_code(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """At most ``CODE_LINES`` lines and about ``LONGEST`` characters at a time."""
    first, count, done = start, 0, start
    for line in _LINE.finditer(text, start, end):
        if count and (count >= CODE_LINES or line.end() - first > LONGEST):
            yield first, done
            first, count = line.start(), 0
        count, done = count + 1, line.end()
    yield first, end


def _short(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The span without white space at its ends, cut where it is longer than ``LONGEST``; nothing for a blank one."""
    while True:
        while start < end and text[start].isspace():
            start += 1
        while end > start and text[end - 1].isspace():
            end -= 1
        if start == end:
            return
        if end - start <= LONGEST:
            yield start, end
            return
        gap = max((space.end() for space in _SPACED.finditer(text, start + LONGEST // 2, start + LONGEST)), default=0)
        cut = gap or start + LONGEST
        tail = cut
        while text[tail - 1].isspace():
            tail -= 1
        yield start, tail
        start = cut
