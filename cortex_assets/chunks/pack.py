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
and priorities in, borders out. ``cut.cpp`` does the work; tests hold it to the same rules in Python.
"""

from dataclasses import dataclass

from cortex_assets.chunks import cut
from inference.hashing import Positions

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

    @property
    def numbers(self) -> tuple[int, int, int]:
        """The bounds in the order in which ``cut`` takes them."""
        return self.most, self.anchor, self.alone


def borders(before: Positions, priorities: Positions, sizes: Sizes) -> list[int]:
    """Return the units that begin a new piece, ascending, without the first.

    Args:
        before: tokens before each unit and, last, all tokens: one more than there are units.
        priorities: of the border before each unit; the first is not read. ``WALL`` is always cut.
        sizes: bounds; a piece above ``sizes.most`` is a single unit.
    """
    return cut.borders(before, priorities, sizes.numbers)
