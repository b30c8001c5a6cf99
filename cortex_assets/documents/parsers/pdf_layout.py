"""Where text stands on a page of a PDF: lines and their segments, columns and their order. Numbers in and out.

Coordinates are PDF points, up and to the right. Tables are ``pdf_tables``'s; asking the library for boxes, and text,
is ``pdf_text``'s. Everything here is conservative: what is not clearly columns is left in the order of the file.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

Box = tuple[float, float, float, float]
"""Left, bottom, right, top."""

_MIN_COLUMN_LINES = 6
_MAX_COLUMNS = 4
_MIN_FILL = 0.65
_MIN_COLUMN_EMS = 12.0


@dataclass(frozen=True, slots=True)
class Line:
    """Boxes at one height, merged into segments wherever the gap between them is no wider than a word space."""

    segments: tuple[Box, ...]
    bottom: float
    top: float

    @property
    def middle(self) -> float:
        """Half its height."""
        return (self.bottom + self.top) / 2


@dataclass(frozen=True, slots=True)
class Columns:
    """Columns of running text.

    Attributes:
        gutters: x of the middle of each gap between columns, from the left.
        bottom: where the part of the page that has them ends.
        top: where it begins.
        rows: how many lines have text in more than one column.
    """

    gutters: tuple[float, ...]
    bottom: float
    top: float
    rows: int = 0

    def column(self, box: Box) -> int:
        """Number of the column from 0 that a box is in; -1 for one across a gutter or outside the columns' height."""
        middle = (box[1] + box[3]) / 2
        if not self.bottom <= middle <= self.top:
            return -1
        for number, gutter in enumerate(self.gutters):
            if box[2] <= gutter:
                return number
            if box[0] < gutter:
                return -1
        return len(self.gutters)


def em_of(boxes: Sequence[Box]) -> float:
    """The usual height of a box: about 0.7 of the font size; at least one point."""
    return max(1.0, median(box[3] - box[1] for box in boxes)) if boxes else 1.0


def lines_of(boxes: Sequence[Box], em: float, gap: float = 0.9) -> list[Line]:
    """Boxes as lines from top to bottom; gaps wider than ``gap`` times ``em`` part their segments."""
    lines: list[Line] = []
    held: list[Box] = []
    middle = height = 0.0
    for box in sorted(boxes, key=lambda box: (-(box[1] + box[3]), box[0])):
        center = (box[1] + box[3]) / 2
        tall = box[3] - box[1]
        if held and middle - center > 0.3 * em and middle - center > 0.5 * min(max(height, tall), 1.5 * em):
            lines.append(_line(held, gap * em))
            held = []
        if not held:
            middle, height = center, tall
        held.append(box)
    if held:
        lines.append(_line(held, gap * em))
    return lines


def _line(boxes: list[Box], gap: float) -> Line:
    boxes.sort()
    segments: list[Box] = []
    left, bottom, right, top = boxes[0]
    for box in boxes[1:]:
        if box[0] - right > gap:
            segments.append((left, bottom, right, top))
            left, bottom, right, top = box
            continue
        if box[1] < bottom:
            bottom = box[1]
        if box[2] > right:
            right = box[2]
        if box[3] > top:
            top = box[3]
    segments.append((left, bottom, right, top))
    return Line(tuple(segments), min([box[1] for box in segments]), max([box[3] for box in segments]))


def has_shared_gap(lines: Sequence[Line]) -> bool:
    """Whether two lines, one after the other among those with gaps, have a gap at the same place, as rows of tables do."""
    above: list[tuple[float, float]] = []
    for line in lines:
        if len(line.segments) < 2:
            continue
        gaps = [(one[2], two[0]) for one, two in pairwise(line.segments)]
        if any(one[0] < two[1] and two[0] < one[1] for one in above for two in gaps):
            return True
        above = gaps
    return False


def columns_of(lines: Sequence[Line], em: float) -> Columns | None:
    """Columns of running text, if the page clearly has them.

    Clear: a gap at the same place in at least six lines and a quarter of all, and crossed by few between the first and
    the last of them; each column wide, its lines without gaps and most of them nearly full, as cells of a table are not.
    """
    gutters: list[float] = []
    gaps = [(one[2], two[0]) for line in lines if len(line.segments) > 1 for one, two in pairwise(line.segments)]
    while len(gutters) < _MAX_COLUMNS - 1 and len(gaps) >= _MIN_COLUMN_LINES:
        span, count = _common(gaps)
        if count < max(_MIN_COLUMN_LINES, 0.25 * len(lines)):
            break
        gutters.append((span[0] + span[1]) / 2)
        gaps = [gap for gap in gaps if not gap[0] <= gutters[-1] <= gap[1]]
    while gutters:
        gutters.sort()
        found = _checked(lines, gutters, em)
        if found is not None:
            return found
        gutters.pop()
    return None


def _common(gaps: list[tuple[float, float]]) -> tuple[tuple[float, float], int]:
    """The span that lies in most gaps, and in how many."""
    events = sorted([(left, 0) for left, _ in gaps] + [(right, 1) for _, right in gaps])
    depth = best = 0
    span = (0.0, 0.0)
    for number, (x, is_end) in enumerate(events):
        if is_end:
            depth -= 1
            continue
        depth += 1
        if depth > best:
            best, span = depth, (x, events[number + 1][0])
    return span, best


def _checked(lines: Sequence[Line], gutters: list[float], em: float) -> Columns | None:
    """The columns between gutters if all of them hold running text."""
    whole = Columns(tuple(gutters), float("-inf"), float("inf"))
    placed = [[(whole.column(segment), segment) for segment in line.segments] for line in lines]
    both = [n for n, line in enumerate(placed) if len({number for number, _ in line if number >= 0}) > 1]
    if len(both) < _MIN_COLUMN_LINES:
        return None
    region = range(both[0], both[-1] + 1)
    crossing = sum(1 for n in region if any(number < 0 for number, _ in placed[n]))
    if crossing > 0.2 * len(both):
        return None
    for number in range(len(gutters) + 1):
        cells = [[box for place, box in placed[n] if place == number] for n in region]
        cells = [cell for cell in cells if cell]
        if len(cells) < _MIN_COLUMN_LINES or not _is_prose(cells, em):
            return None
    return Columns(tuple(gutters), lines[both[-1]].bottom - em, lines[both[0]].top + em, len(both))


def _is_prose(cells: list[list[Box]], em: float) -> bool:
    """Whether the lines of a column are running text: one segment each, most of them nearly as wide as the column."""
    lefts, rights = sorted(cell[0][0] for cell in cells), sorted(cell[-1][2] for cell in cells)
    width = rights[len(rights) * 9 // 10] - lefts[len(lefts) // 10]
    if width < _MIN_COLUMN_EMS * em:
        return False
    gapped = sum(1 for cell in cells if len(cell) > 1)
    return gapped <= 0.2 * len(cells) and median(cell[-1][2] - cell[0][0] for cell in cells) >= _MIN_FILL * width


def is_out_of_order(boxes: Sequence[Box], columns: Columns) -> bool:
    """Whether boxes in the order of the file jump from column to column at every line."""
    jumps = 0
    last = -1
    for box in boxes:
        number = columns.column(box)
        if number < 0:
            continue
        jumps += last >= 0 and number != last
        last = number
    return jumps >= columns.rows
