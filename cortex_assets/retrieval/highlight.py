"""Where a chunk meets a question: the best window of its text, with the spans that matched.

A snippet is text and spans, never markup: a page escapes the text and draws the spans, a terminal prints it as it is,
because control
characters and escape sequences are gone. What a match is, is decided by ``words`` (stems, parts of identifiers,
bigrams).
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from cortex_assets.retrieval.languages import language_of, unit_stems
from cortex_assets.retrieval.words import UNSPACED, part_pattern, unit_ids, unit_pattern

Span = tuple[int, int]

SHOWN_WEIGHT = 0.25
"""Terms of less than this share of the weight of a question's heaviest one (its "the" and "in") are not stressed."""

_UNSAFE = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # terminal control sequences
    r"|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?"  # window titles, links and other strings for the terminal
    r"|\x1b.?|\x9b[0-?]*[ -/]*[@-~]"
    r"|[\x00-\x08\x0b-\x1f\x7f-\x9f]"  # control characters but tab and line feed
    r"|[\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]"  # marks that reorder or break lines unseen
    r"|[\ud800-\udfff]",  # halves of characters, which no terminal can encode
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Snippet:
    """A window of a text.

    Attributes:
        text: what to show: the window without control characters and escape sequences.
        spans: sorted, disjoint character spans in ``text`` to highlight.
        start: where the window starts in the text it was cut from (characters).
        end: where it ends there.
    """

    text: str
    spans: tuple[Span, ...]
    start: int
    end: int

    def segments(self) -> Iterator[tuple[str, bool]]:
        """The text in order, cut at the spans: (piece, is it highlighted)."""
        done = 0
        for start, end in self.spans:
            if start > done:
                yield self.text[done:start], False
            yield self.text[start:end], True
            done = end
        if done < len(self.text):
            yield self.text[done:], False


@dataclass(frozen=True, slots=True)
class Match:
    """A matched unit of a text: its span, and which query terms it has."""

    start: int
    end: int
    terms: frozenset[int]


def matches(text: str, weights: Mapping[int, float]) -> list[Match]:
    """Units of ``text`` that share a term with the query (term id to weight), in order."""
    asked = frozenset(weights)
    found: list[Match] = []
    if not asked:
        return found
    language = language_of(text)
    for unit in unit_pattern(text).finditer(text):
        terms = (*unit_ids(unit[0]), *unit_stems(unit[0], language))
        if not asked.isdisjoint(terms):
            found.append(Match(unit.start(), unit.end(), asked.intersection(terms)))
    return found


def match_spans(text: str, match: Match, asked: frozenset[int]) -> Iterator[Span]:
    """The spans inside one matched unit: all of it, or only the parts of an identifier or run that were asked."""
    unit = text[match.start : match.end]
    parts = [
        (match.start + start, match.start + end)
        for start, end in _parts(unit)
        if not asked.isdisjoint(unit_ids(unit[start:end]))
    ]
    words = set(match.terms)
    for start, end in parts:
        words.difference_update(unit_ids(text[start:end]))
    yield from parts if parts and not words else [(match.start, match.end)]


def _parts(unit: str) -> Iterator[Span]:
    for piece in part_pattern(unit).finditer(unit):
        if len(piece[0]) > 2 and UNSPACED.match(piece[0]):
            yield from ((i, i + 2) for i in range(piece.start(), piece.end() - 1))
        else:
            yield piece.span()


def snippet(text: str, weights: Mapping[int, float], width: int = 240) -> Snippet:
    """The window of at most ``width`` characters with the most query weight, each term counted once; first of equals.

    Args:
        text: a chunk's text.
        weights: query term id to idf weight.
        width: characters, at least 1.

    Returns:
        The window; the beginning of the text without spans when nothing matches.
    """
    found = matches(text, weights)
    first, last = _best_run(found, weights, width)
    start, end = _window(text, found[first].start, found[last].end, width) if found else _window(text, 0, 0, width)
    least = SHOWN_WEIGHT * max(weights.values(), default=0.0)
    asked = frozenset(term for term, weight in weights.items() if weight >= least)
    spans = [
        (max(low, start) - start, min(high, end) - start)
        for match in found
        if match.start < end and match.end > start
        if not asked.isdisjoint(match.terms)
        for low, high in match_spans(text, match, asked)
        if low < end and high > start
    ]
    shown, moved = displayable(text[start:end], _merged(spans))
    return Snippet(shown, tuple(moved), start, end)


def _best_run(found: Sequence[Match], weights: Mapping[int, float], width: int) -> tuple[int, int]:
    """First and last match of the run within ``width`` characters whose distinct terms weigh most."""
    best, best_run = -1.0, (0, 0)
    counts: dict[int, int] = {}
    total, left = 0.0, 0
    for right, match in enumerate(found):
        for term in match.terms:
            counts[term] = counts.get(term, 0) + 1
            total += weights[term] if counts[term] == 1 else 0.0
        while left < right and match.end - found[left].start > width:
            for term in found[left].terms:
                counts[term] -= 1
                total -= 0.0 if counts[term] else weights[term]
            left += 1
        if total > best + 1e-9:
            best, best_run = total, (left, right)
    return best_run


def _window(text: str, first: int, last: int, width: int) -> Span:
    """A window around [first, last) that starts and ends between words where it can."""
    lead = max(0, width - (last - first)) // 3
    start = max(0, first - lead)
    if start:
        line = text.rfind("\n", start, first) + 1
        gap = text.find(" ", start, first) + 1
        start = line or gap or start
    end = min(len(text), start + width)
    if end < len(text):
        gap = max(text.rfind(" ", last, end), text.rfind("\n", last, end))
        end = gap if gap > start else end
    elif end - start < width and start:
        start = max(0, end - width)
        start = text.find(" ", start, first) + 1 or start if start else 0
    return start, end


def _merged(spans: Sequence[Span]) -> list[Span]:
    merged: list[Span] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def displayable(text: str, spans: Sequence[Span] = ()) -> tuple[str, list[Span]]:
    """The text without escape sequences, control characters (but tab, line feed) and hidden marks; spans moved along.

    Args:
        text: any text.
        spans: sorted, disjoint spans in it.

    Returns:
        The safe text and the spans in it; a span of which nothing is left is dropped.
    """
    if not _UNSAFE.search(text):
        return text, list(spans)
    kept: list[int] = []
    done = 0
    for unsafe in _UNSAFE.finditer(text):
        kept.extend(range(done, unsafe.start()))
        done = unsafe.end()
    kept.extend(range(done, len(text)))
    places = {old: new for new, old in enumerate(kept)}
    moved: list[Span] = []
    for start, end in spans:
        inside = [places[i] for i in range(start, end) if i in places]
        if inside:
            moved.append((inside[0], inside[-1] + 1))
    return "".join(text[i] for i in kept), moved
