"""Text of a PDF's tables: words put into the cells of a grid, and rows judged and written as Markdown.

Which rows are header rows is told by bold type, by numbers that begin below them, and by what stands above the aligned
rows. Where tables are is ``pdf_tables``'s.
"""

import re
from dataclasses import dataclass

from cortex_assets.documents.parsers.pdf_layout import Box
from cortex_assets.documents.parsers.pdf_tables import Grid

_NUMBER = re.compile(r"[-\u2013\u2212+(<>~]?\s?[$\u20ac\u00a3]?\s?\d[\d,.\u00a0 ]*\s?%?\)?[a-z*]?$")
_YEAR = re.compile(r"(?:19|20)\d\d(?:\s?[-\u2013/]\s?(?:\d\d){1,2})?[a-z*]?$")
_LEADERS = re.compile(r"(?:\.\s?){4,}|(?:_\s?){4,}")
_MAX_CELL = 600
_MAX_HEAD_CELL = 80
_MIN_FILLED = 0.6


@dataclass(frozen=True, slots=True)
class TableText:
    """A table as Markdown.

    Attributes:
        text: its lines.
        head_end: where its header ends in ``text``; 0 for none.
        before: what stands in a first row over all columns, such as a title.
        after: what stands in a last row over all columns, such as a source.
    """

    text: str
    head_end: int
    before: str = ""
    after: str = ""


class Cells:
    """The cells of one grid while words come in, in the order of the page."""

    def __init__(self, grid: Grid) -> None:
        self.grid = grid
        self._homes = grid.homes()
        self._words: list[list[list[str]]] = [[[] for _ in row] for row in self._homes]
        self._bold = [[0, 0] for _ in self._homes]
        self._count = self._crossing = 0

    def add(self, word: str, box: Box) -> tuple[int, int] | None:
        """Put a word into its cell; its row and column, or None outside the table."""
        grid = self.grid
        place = grid.cell((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
        if place is None:
            return None
        row, column = self._homes[place[0]][place[1]]
        self._words[row][column].append(word)
        self._count += 1
        ends = grid.cell(box[0] + 1, (box[1] + box[3]) / 2), grid.cell(box[2] - 1, (box[1] + box[3]) / 2)
        if grid.is_ruled:
            ends += grid.cell((box[0] + box[2]) / 2, box[1] + 2), grid.cell((box[0] + box[2]) / 2, box[3] - 2)
        self._crossing += any(end is None or self._homes[end[0]][end[1]] != (row, column) for end in ends)
        return row, column

    def weigh(self, row: int, is_bold: bool) -> None:
        """Note the weight of a word of a row."""
        self._bold[row][is_bold] += 1

    def table(self) -> TableText | None:
        """The table; None if its text says that it is none after all."""
        texts = [[" ".join(words) for words in row] for row in self._words]
        spread = [
            [texts[home[0]][home[1]] if home[1] == column else "" for column, home in enumerate(row)]
            for row in self._homes
        ]
        full = [number for number, row in enumerate(spread) if any(row)]
        if self._crossing * 50 > self._count or not full:
            return None
        wide = [len({home[1] for home in self._homes[number]}) == 1 for number in full]
        begin = next((index for index, is_wide in enumerate(wide) if not is_wide), len(full))
        end = next((len(full) - index for index, is_wide in enumerate(reversed(wide)) if not is_wide), begin)
        before, after = ("\n".join(spread[number][0] for number in part) for part in (full[:begin], full[end:]))
        kept = full[begin:end]
        columns = [column for column in range(len(self.grid.xs) - 1) if any(spread[number][column] for number in kept)]
        rows = [[spread[number][column] for column in columns] for number in kept]
        if not _is_table(rows, self.grid):
            return None
        head = _head_rows(rows, [self._bold[number][1] > self._bold[number][0] for number in kept], self.grid)
        return _markdown(rows, head, before, after)


def _markdown(rows: list[list[str]], head: int, before: str, after: str) -> TableText:
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    if head:
        lines.insert(head, "|" + " --- |" * len(rows[0]))
    text = "\n".join(lines)
    head_end = min(len(text), sum(len(line) + 1 for line in lines[: head + 1])) if head else 0
    return TableText(text, head_end, before, after)


def _is_table(rows: list[list[str]], grid: Grid) -> bool:
    """Whether the text is that of a table: several rows and columns, most cells filled, none with pages in it."""
    width = len(rows[0]) if rows else 0
    if len(rows) < 2 or width < 2:
        return False
    cells = [cell for row in rows for cell in row]
    filled = [cell for cell in cells if cell]
    if any(_LEADERS.search(cell) for cell in filled) or max(map(len, filled)) > _MAX_CELL:
        return False
    if sum(1 for row in rows if sum(1 for cell in row if cell) > 1) < 2:
        return False
    if len(filled) < _MIN_FILLED * len(cells):
        return False
    if grid.is_ruled:
        return any(len(cell) > 2 for cell in filled)
    return any(_numbers(rows, column) >= _MIN_FILLED for column in range(width))


def _numbers(rows: list[list[str]], column: int) -> float:
    """Which share of the filled cells of a column are numbers or dashes."""
    filled = [row[column] for row in rows if row[column]]
    return sum(1 for cell in filled if _is_number(cell)) / len(filled) if len(filled) > 1 else 0.0


def _is_number(cell: str) -> bool:
    return cell in ("-", "\u2013", "\u2014", "\u2212", "\u2020") or _NUMBER.match(cell) is not None


def _head_rows(rows: list[list[str]], bold: list[bool], grid: Grid) -> int:
    """How many of the first rows are headers."""
    if len(rows) < 2:
        return 0
    head = min(grid.head_rows, len(rows) - 1)
    if head:
        return head + (1 if len(rows) > head + 1 and _is_over_numbers(rows[head:]) else 0)
    first = rows[0]
    if any(len(cell) > _MAX_HEAD_CELL or cell.endswith(":") for cell in first):
        return 0
    if bold[0] and not bold[1]:
        return 1
    if _is_over_numbers(rows):
        return 1
    texts = all(cell and not _is_number(cell) for cell in first)
    return 1 if texts and grid.is_ruled and len(first) > 2 else 0


def _is_over_numbers(rows: list[list[str]]) -> bool:
    """Whether the first row names what stands below it: no number but years in it, and columns of numbers below."""
    first, below = rows[0], rows[1:]
    if any(_is_number(cell) and not _YEAR.match(cell) for cell in first) or sum(1 for cell in first if cell) < 2:
        return False
    columns = [column for column in range(len(first)) if first[column] and _numbers(below, column) >= _MIN_FILLED]
    return bool(columns) and not any(all(_YEAR.match(row[column]) for row in below) for column in columns)
