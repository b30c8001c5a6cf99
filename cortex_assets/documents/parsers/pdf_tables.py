"""Where tables are on a page of a PDF: by their ruled lines, or by cells that are clearly aligned. Numbers in and out.

A false table is worse than a missed one: what is in doubt stays running text. Text of cells, and which rows are
header rows, are ``pdf_cells``'s.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from operator import neg

from cortex_assets.documents.parsers.pdf_layout import Box, Line

_NEAR = 3.0
_MAX_RULES = 600
_MAX_ROWS, _MAX_COLUMNS = 400, 40
_MIN_ROWS, _MIN_COLUMNS = 4, 3
_MAX_HEAD = 3


@dataclass(frozen=True, slots=True)
class Rule:
    """A line drawn along an axis: its place on the other axis, and from where to where it goes."""

    at: float
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Grid:
    """A table's place.

    Attributes:
        xs: borders of its columns from the left, one more than there are columns.
        ys: borders of its rows from the top down, one more than there are rows.
        walls: upright rules that are drawn; none for a table without rules, whose cells all stand alone.
        floors: level rules that are drawn.
        head_rows: rows that stand above the aligned ones, as headers do.
        is_ruled: whether rules and not only alignment say that it is a table.
    """

    xs: tuple[float, ...]
    ys: tuple[float, ...]
    walls: tuple[Rule, ...] = ()
    floors: tuple[Rule, ...] = ()
    head_rows: int = 0
    is_ruled: bool = False

    @property
    def box(self) -> Box:
        """The rectangle around it."""
        return self.xs[0], self.ys[-1], self.xs[-1], self.ys[0]

    def cell(self, x: float, y: float) -> tuple[int, int] | None:
        """Row and column of a point; None outside."""
        if not (self.xs[0] <= x < self.xs[-1] and self.ys[-1] < y <= self.ys[0]):
            return None
        return max(0, bisect_left(self.ys, -y, key=neg) - 1), bisect_right(self.xs, x) - 1

    def homes(self) -> list[list[tuple[int, int]]]:
        """For each row and column, the first row and column of the cell that spans over it."""
        columns = range(len(self.xs) - 1)
        if not self.is_ruled:
            return [[(row, column) for column in columns] for row in range(len(self.ys) - 1)]
        homes: list[list[tuple[int, int]]] = []
        for row in range(len(self.ys) - 1):
            homes.append([])
            for column in columns:
                home = (row, column)
                if column and not self._is_drawn(self.walls, self.xs[column], self.ys[row], self.ys[row + 1]):
                    home = homes[row][column - 1]
                elif row and not self._is_drawn(self.floors, self.ys[row], self.xs[column], self.xs[column + 1]):
                    home = homes[row - 1][column]
                homes[row].append(home)
        return homes

    def _is_drawn(self, rules: tuple[Rule, ...], at: float, one: float, two: float) -> bool:
        """Whether the border between two cells is drawn."""
        middle = (one + two) / 2
        return any(abs(rule.at - at) <= _NEAR + 1 and rule.start <= middle <= rule.end for rule in rules)


def merged(rules: Iterable[Rule]) -> list[Rule]:
    """Rules with those that lie on one another, or end where the next begins, joined; sorted by place."""
    joined: list[Rule] = []
    for rule in sorted(rules, key=lambda rule: (round(rule.at / 1.5), rule.start)):
        last = joined[-1] if joined else None
        if last is not None and abs(last.at - rule.at) <= 1.5 and rule.start <= last.end + _NEAR:
            joined[-1] = Rule(last.at, last.start, max(last.end, rule.end))
        else:
            joined.append(rule)
    return joined


def ruled_grids(level: Iterable[Rule], upright: Iterable[Rule]) -> list[Grid]:
    """Tables whose rules cross: at least two rows and two columns each; from the top of the page down."""
    across, walls = merged(level), merged(upright)
    if len(across) < 2 or len(walls) < 2 or len(across) + len(walls) > _MAX_RULES:
        return []
    group = list(range(len(across) + len(walls)))

    def root(number: int) -> int:
        while group[number] != number:
            group[number] = group[group[number]]
            number = group[number]
        return number

    for one, rule in enumerate(across):
        for two, wall in enumerate(walls):
            is_across = rule.start - _NEAR <= wall.at <= rule.end + _NEAR
            if is_across and wall.start - _NEAR <= rule.at <= wall.end + _NEAR:
                group[root(len(across) + two)] = root(one)
    members: dict[int, tuple[list[Rule], list[Rule]]] = {}
    for number in range(len(group)):
        pair = members.setdefault(root(number), ([], []))
        if number < len(across):
            pair[0].append(across[number])
        else:
            pair[1].append(walls[number - len(across)])
    grids = [_ruled(rules, sides) for rules, sides in members.values() if len(rules) >= 2 and sides]
    return sorted((grid for grid in grids if grid is not None), key=lambda grid: -grid.ys[0])


def _ruled(rules: list[Rule], walls: list[Rule]) -> Grid | None:
    """The grid of rules that hang together; sides that are left open are closed where the rules end."""
    xs = [wall.at for wall in walls] + [min(rule.start for rule in rules), max(rule.end for rule in rules)]
    ys = [rule.at for rule in rules] + [min(wall.start for wall in walls), max(wall.end for wall in walls)]
    columns, rows = _distinct(xs), _distinct(ys)
    if not (3 <= len(columns) <= _MAX_COLUMNS + 1 and 3 <= len(rows) <= _MAX_ROWS + 1):
        return None
    return Grid(tuple(columns), tuple(reversed(rows)), tuple(walls), tuple(rules), is_ruled=True)


def with_lines_as_rows(grid: Grid, boxes: Iterable[Box]) -> Grid:
    """The grid with a ruled row cut at its lines of text where all its cells have equally many, at least three.

    Many tables draw a rule below their header only. The cuts count as drawn.
    """
    lines: dict[tuple[int, int], list[tuple[float, float]]] = {}
    for box in boxes:
        place = grid.cell((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
        if place is not None:
            lines.setdefault(place, []).append((box[1], box[3]))
    cuts: list[float] = []
    for row in range(len(grid.ys) - 1):
        cells = [_union(spans, 0.0) for (number, _), spans in lines.items() if number == row]
        counts = {len(cell) for cell in cells}
        if len(cells) > 1 and len(counts) == 1 and min(counts) >= 3:
            together = _union([span for cell in cells for span in cell], 0.0)
            if len(together) == len(cells[0]):
                cuts += [(one[1] + two[0]) / 2 for one, two in pairwise(together)]
    drawn = tuple(Rule(cut, grid.xs[0], grid.xs[-1]) for cut in cuts)
    ys = tuple(sorted((*grid.ys, *cuts), reverse=True))
    return replace(grid, ys=ys, floors=grid.floors + drawn) if len(ys) <= _MAX_ROWS + 1 else grid


def _distinct(values: list[float]) -> list[float]:
    """Sorted values without those that are near the one before."""
    kept: list[float] = []
    for value in sorted(values):
        if not kept or value - kept[-1] > _NEAR + 1:
            kept.append(value)
    return kept


def aligned_grids(lines: Sequence[Line], em: float) -> list[Grid]:
    """Tables without rules: at least four lines of three or more cells, all in the same columns; from the top down."""
    grids: list[Grid] = []
    number = 0
    while number < len(lines):
        if len(lines[number].segments) < _MIN_COLUMNS:
            number += 1
            continue
        end, columns = _run(lines, number, em)
        grid = _aligned(lines, number, end, columns, em)
        if grid is not None:
            grids.append(grid)
            number = end
        else:
            number += 1
    return grids


def _run(lines: Sequence[Line], begin: int, em: float) -> tuple[int, list[tuple[float, float]]]:
    """The lines from one on that keep the same columns apart: the end of the run and the columns' spans."""
    columns: list[tuple[float, float]] = []
    end = begin
    for number in range(begin, min(len(lines), begin + _MAX_ROWS)):
        line = lines[number]
        if number > begin and lines[number - 1].middle - line.middle > 4 * em:
            break
        union = _union([*columns, *((box[0], box[2]) for box in line.segments)], 0.4 * em)
        is_over = any(
            sum(1 for left, right in columns if box[0] < right and box[2] > left) > 1 for box in line.segments
        )
        is_apart = len(union) >= max(len(columns), len(line.segments)) and not is_over
        if not is_apart or len(union) > _MAX_COLUMNS or (len(line.segments) == 1 and len(union) > len(columns)):
            break
        columns = union
        if len(line.segments) > 1:
            end = number + 1
    return end, columns


def _union(spans: list[tuple[float, float]], gap: float) -> list[tuple[float, float]]:
    """Spans with those that overlap or nearly touch made one."""
    joined: list[tuple[float, float]] = []
    for left, right in sorted(spans):
        if joined and left - joined[-1][1] < gap:
            joined[-1] = (joined[-1][0], max(joined[-1][1], right))
        else:
            joined.append((left, right))
    return joined


def _aligned(lines: Sequence[Line], begin: int, end: int, columns: list[tuple[float, float]], em: float) -> Grid | None:
    """The grid of a run, with the header lines above it, if it is dense enough and not columns of prose."""
    run = lines[begin:end]
    full = sum(1 for line in run if len(line.segments) >= _MIN_COLUMNS)
    cells = sum(len(line.segments) for line in run)
    if full < _MIN_ROWS or len(columns) < _MIN_COLUMNS or cells < 0.75 * len(run) * len(columns):
        return None
    widths = [
        sorted(box[2] - box[0] for line in run for box in line.segments if left <= box[0] <= right)
        for left, right in columns
    ]
    prose = sum(
        1
        for (left, right), found in zip(columns, widths, strict=True)
        if right - left > 14 * em and found[len(found) // 2] > 0.7 * (right - left)
    )
    if prose > 1:
        return None
    xs = [columns[0][0] - em]
    xs += [(one[1] + two[0]) / 2 for one, two in pairwise(columns)]
    xs.append(columns[-1][1] + em)
    head = _head_lines(lines, begin, xs, em)
    rows = lines[begin - head : end]
    xs[0] = min(xs[0], *(line.segments[0][0] - 1 for line in rows))
    xs[-1] = max(xs[-1], *(line.segments[-1][2] + 1 for line in rows))
    ys = [rows[0].top + 0.2 * em]
    ys += [(one.bottom + two.top) / 2 for one, two in pairwise(rows)]
    ys.append(rows[-1].bottom - 0.2 * em)
    if any(one <= two for one, two in pairwise(ys)):
        return None
    return Grid(tuple(xs), tuple(ys), head_rows=head)


def _head_lines(lines: Sequence[Line], begin: int, xs: list[float], em: float) -> int:
    """How many lines right above a run are headers: over one column, or several pieces over the table's columns."""
    count = 0
    while count < _MAX_HEAD and begin - count > 0:
        line, below = lines[begin - count - 1], lines[begin - count]
        segments = line.segments
        over = 4 * em if len(segments) > 1 else 0.0
        if line.middle - below.middle > 3 * em or segments[0][0] < xs[0] - over or segments[-1][2] > xs[-1] + over:
            break
        if len(segments) == 1 and bisect_right(xs, segments[0][0]) != bisect_right(xs, segments[0][2]):
            break
        count += 1
    return count
