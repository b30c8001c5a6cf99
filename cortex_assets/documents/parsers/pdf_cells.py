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
_MAX_HEAD_ROWS = 5
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
    """The cells of one grid while words come in, in the order of the page.

    Args:
        grid: where the cells are.
        em: the usual height of a word; header words nearer than this to the one before stay in its cell.
    """

    def __init__(self, grid: Grid, em: float) -> None:
        self.grid, self._em = grid, em
        self._last: tuple[int, int, float] | None = None
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
        if row < grid.head_rows:
            return self._add_to_head(word, box, row, column)
        self._words[row][column].append(word)
        self._count += 1
        self._crossing += self._crosses(box, place, (row, column))
        return row, column

    def _add_to_head(self, word: str, box: Box, row: int, column: int) -> tuple[int, int]:
        """Put a word above the aligned rows into its cell, or into that of the word right before it."""
        last = self._last
        is_next = last is not None and last[0] == row and 0 <= box[0] - last[2] < 0.9 * self._em
        if last is not None and is_next and not _is_number(word):
            column = last[1]
        self._last = (row, column, box[2])
        self._words[row][column].append(word)
        return row, column

    def _crosses(self, box: Box, place: tuple[int, int], home: tuple[int, int]) -> bool:
        """Whether a word goes over the border of its cell."""
        grid, (row, column) = self.grid, place
        is_across = box[0] + 1 < grid.xs[column] or box[2] - 1 > grid.xs[column + 1]
        is_through = grid.is_ruled and (box[3] - 2 > grid.ys[row] or box[1] + 2 < grid.ys[row + 1])
        if not (is_across or is_through):
            return False
        middle = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
        ends = [grid.cell(box[0] + 1, middle[1]), grid.cell(box[2] - 1, middle[1])] if is_across else []
        if is_through:
            ends += [grid.cell(middle[0], box[1] + 2), grid.cell(middle[0], box[3] - 2)]
        return any(end is None or self._homes[end[0]][end[1]] != home for end in ends)

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
        while begin < end and full[begin] < self.grid.head_rows and not any(spread[full[begin]][1:]):
            before = "\n".join(part for part in (before, spread[full[begin]][0]) if part)
            begin += 1
        kept = full[begin:end]
        columns = [column for column in range(len(self.grid.xs) - 1) if any(spread[number][column] for number in kept)]
        rows = [[spread[number][column] for column in columns] for number in kept]
        if not _is_table(rows, self.grid) or self._is_drawing(kept):
            return None
        bold = [self._bold[number][1] > self._bold[number][0] for number in kept]
        head = _head_rows(rows, bold, sum(1 for number in kept if number < self.grid.head_rows), self.grid.is_ruled)
        return _markdown(rows, head, before, after)

    def _is_drawing(self, kept: list[int]) -> bool:
        """Whether most cells of ruled rows span over others, as in charts and drawings."""
        homes = {home for number in kept for home in self._homes[number]}
        return len(homes) < 0.6 * len(kept) * (len(self.grid.xs) - 1)


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
    if _is_contents(rows):
        return False
    return any(_numbers(rows, column) >= _MIN_FILLED for column in range(width))


def _numbers(rows: list[list[str]], column: int) -> float:
    """Which share of the filled cells of a column are numbers or dashes."""
    filled = [row[column] for row in rows if row[column]]
    return sum(1 for cell in filled if _is_number(cell)) / len(filled) if len(filled) > 1 else 0.0


def _is_number(cell: str) -> bool:
    return cell in ("-", "\u2013", "\u2014", "\u2212", "\u2020") or _NUMBER.match(cell) is not None


def _is_contents(rows: list[list[str]]) -> bool:
    """Whether the last column holds page numbers that only grow and the others no numbers of their own."""
    last = [row[-1] for row in rows]
    if not all(cell.isdigit() and len(cell) < 5 for cell in last):
        return False
    pages = [int(cell) for cell in last]
    return pages == sorted(pages) and all(_numbers(rows, column) < 0.5 for column in range(1, len(rows[0]) - 1))


def _head_rows(rows: list[list[str]], bold: list[bool], above: int, is_ruled: bool) -> int:
    """How many of the first rows are headers; ``above`` of them stand above the aligned rows."""
    head = min(above, len(rows) - 1)
    named = next((number for number in range(head) if not _is_heading(rows[number])), head)
    if named:
        while named >= head and named < min(_MAX_HEAD_ROWS, len(rows) - 1) and _is_over_numbers(rows[named:]):
            named += 1
        return named
    first = rows[0]
    if any(len(cell) > _MAX_HEAD_CELL or cell.endswith(":") for cell in first):
        return 0
    if bold[0] and not bold[1]:
        return 1
    if _is_over_numbers(rows):
        return 1
    texts = all(cell and not _is_number(cell) for cell in first)
    return 1 if texts and is_ruled and len(first) > 2 else 0


def _is_heading(row: list[str]) -> bool:
    """Whether a row has no numbers but years."""
    return not any(_is_number(cell) and not _YEAR.match(cell) for cell in row)


def _is_over_numbers(rows: list[list[str]]) -> bool:
    """Whether the first row names what stands below it: no number but years in it, and columns of numbers below."""
    first, below = rows[0], rows[1:]
    if not _is_heading(first) or sum(1 for cell in first if cell) < 2:
        return False
    return any(cell and _numbers(below, column) >= _MIN_FILLED for column, cell in enumerate(first))
