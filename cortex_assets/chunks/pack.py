"""Which units (paragraphs, sentences, rows, functions) become one piece: content-defined, so that an edit stays local.

A unit's *priority* is its strength (a heading is stronger than a paragraph) and then a hash of its content. A border
between two units is an *anchor* if no border within ``anchor`` tokens on either side has a higher priority; pieces are
cut at the anchors. Whether a border is an anchor depends on nothing farther away than ``anchor`` tokens, and anchors
are farther apart than that, so one changed unit replaces at most three stretches between anchors. A stretch of more
than ``most`` tokens is cut again where the next higher border is farthest, which is a local matter, too; only edits beside
such stretches can reach farther. A unit of ``alone`` tokens or more is a piece by itself.

Measured on a million edits of one unit (insert, delete, change) in documents of real paragraphs: 1.5 pieces on average,
more than three in 24 of ten thousand, more than four in 3 of a hundred thousand; on paragraphs of even sizes a third of that.
Anchors alone never cost more than three; what exceeds it is a long stretch beside two anchors that moved, four times in five
after inserting a unit that stands alone. It is a tendency, not a guarantee: no rule that knows only the new text and fills
pieces this well was found that keeps to three always (docs/decisions/2026-11-20-chunk-borders-by-content.md). Greedy
packing fills pieces to 0.9 of the limit instead of 0.57, and moves every later border. Nothing here knows texts: sizes
and priorities in, borders out.
"""

from collections.abc import Sequence
from dataclasses import dataclass

WALL = 1 << 62
"""Priority of a border that is cut whatever its neighbours are."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """Token bounds of pieces.

    Attributes:
        most: no piece of several units is larger.
        anchor: anchors are farther apart than this, so most pieces are larger.
        alone: a unit of this size or more is a piece by itself.
    """

    most: int
    anchor: int
    alone: int

    @classmethod
    def of(cls, most: int) -> "Sizes":
        """The usual proportions for pieces of at most ``most`` tokens.

        A larger ``anchor`` fills pieces better (0.25: 50 % of a limit of 256 tokens on prose, 0.31: 57 %, 0.4: 63 %)
        and lets an edit reach farther.
        """
        return cls(most, most * 31 // 100, most * 62 // 100)


def borders(before: Sequence[int], priorities: Sequence[int], sizes: Sizes) -> list[int]:
    """Return the units that begin a new piece, ascending, without the first.

    Args:
        before: tokens before each unit and, last, all tokens: one more than there are units.
        priorities: of the border before each unit; the first is not read. ``WALL`` is always cut.
        sizes: bounds; a piece above ``sizes.most`` is a single unit.
    """
    count = len(priorities)
    if count < 2 or before[count] - before[0] <= min(sizes.anchor, sizes.most):
        return [unit for unit in range(1, count) if priorities[unit] >= WALL]
    ranks = list(priorities)
    alone = sizes.alone
    for unit in range(count):
        if before[unit + 1] - before[unit] >= alone:
            ranks[unit] = WALL
            if unit + 1 < count:
                ranks[unit + 1] = WALL
    radii = _radii(before, ranks)
    result: list[int] = []
    start = 0
    anchor, most = sizes.anchor, sizes.most
    for unit in range(1, count):
        if ranks[unit] >= WALL or radii[unit] > anchor:
            if before[unit] - before[start] > most:
                _halve(before, radii, start, unit, most, result)
            result.append(unit)
            start = unit
    if before[count] - before[start] > most:
        _halve(before, radii, start, count, most, result)
    result.sort()
    return result


def _radii(before: Sequence[int], ranks: list[int]) -> list[int]:
    """Tokens from each border to the nearest one of a higher rank (equal ranks: the earlier counts as higher)."""
    count = len(ranks)
    radii = [0] * count
    open_units = [0]
    ranks[0] = WALL
    for unit in range(1, count):
        rank, here = ranks[unit], before[unit]
        while ranks[open_units[-1]] < rank:
            lower = open_units.pop()
            reach = here - before[lower]
            if reach < radii[lower]:
                radii[lower] = reach
        radii[unit] = here - before[open_units[-1]]
        open_units.append(unit)
    end = before[count]
    for unit in open_units:
        radii[unit] = min(radii[unit], end - before[unit])
    return radii


def _halve(before: Sequence[int], radii: list[int], first: int, last: int, most: int, result: list[int]) -> None:
    """Cut units ``first`` to ``last`` until each piece is within ``most`` or a single unit; append the borders."""
    pending = [(first, last)]
    while pending:
        start, end = pending.pop()
        total = before[end] - before[start]
        if total <= most or end - start < 2:
            continue
        border = _best(before, radii, start, end, most)
        result.append(border)
        pending += [(start, border), (border, end)]


def _best(before: Sequence[int], radii: list[int], start: int, end: int, most: int) -> int:
    """The border between ``start`` and ``end`` with the most tokens to the next higher one; of equals, the most central."""
    low, high = before[start], before[end]
    floor = most // 8 if high - low <= 8 * most else (high - low) // 4
    inside = [u for u in range(start + 1, end) if before[u] - low >= floor and high - before[u] >= floor]
    if not inside:
        return min(range(start + 1, end), key=lambda u: (abs(2 * before[u] - low - high), u))
    return max(inside, key=lambda u: (radii[u], -abs(2 * before[u] - low - high)))
