"""What a passage stands in: its section where that is short enough, else as much of the text around it as is to be shown.

A chunk is cut for an embedder; people, and whoever composes an answer, need what belongs to it (small-to-big retrieval). Pure: the
document's text and its headings are arguments.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

MOST_CHARACTERS = 4_000


@dataclass(frozen=True, slots=True)
class Section:
    """A span of a document's text (characters), and the heading that it begins with; empty where it has none."""

    start: int
    end: int
    title: str = ""


def surroundings(
    text: str, headings: Sequence[tuple[int, int, str]], start: int, end: int, most: int = MOST_CHARACTERS
) -> Section:
    """The smallest section around ``[start, end)``, or the part of it near the passage, at paragraph borders.

    Args:
        text: the document's.
        headings: level, where its line starts, title; in the order of the text.
        start: first character of the passage.
        end: one after its last.
        most: characters; a longer passage comes back as it is.
    """
    start, end = max(0, min(start, len(text))), max(0, min(end, len(text)))
    section = _section(text, headings, start, end)
    if section.end - section.start <= most:
        return section
    room = max(0, most - (end - start))
    first = max(section.start, start - room // 2)
    last = min(section.end, end + room - (start - first))
    first = _paragraph_after(text, first, start) if first > section.start else first
    last = _paragraph_before(text, end, last) if last < section.end else last
    return Section(first, last, section.title)


def _section(text: str, headings: Sequence[tuple[int, int, str]], start: int, end: int) -> Section:
    """From the last heading before or at the passage to the next one of its level or above that is not in the passage."""
    starts = [place for _, place, _ in headings]
    own = bisect_right(starts, start) - 1
    if own < 0:
        after = bisect_left(starts, end)
        return Section(0, starts[after] if after < len(starts) else len(text))
    level, place, title = headings[own]
    following = (at for depth, at, _ in headings[own + 1 :] if depth <= level and at >= end)
    return Section(place, next(following, len(text)), title)


def _paragraph_after(text: str, low: int, high: int) -> int:
    """The first beginning of a paragraph, else of a line, in ``[low, high]``; ``high`` for none."""
    for border in ("\n\n", "\n"):
        found = text.find(border, low, high)
        if found >= 0:
            return found + len(border)
    return high


def _paragraph_before(text: str, low: int, high: int) -> int:
    """The last end of a paragraph, else of a line, in ``[low, high]``; ``low`` for none."""
    for border in ("\n\n", "\n"):
        found = text.rfind(border, low, high)
        if found >= 0:
            return found
    return low
