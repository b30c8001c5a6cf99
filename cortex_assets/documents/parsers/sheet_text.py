"""Builds the text of a workbook as its rows come: a heading per sheet, contiguous rows as tables that name their cells.

Parts are given off as they fill, so memory does not grow with the workbook. Reading a format does not belong here.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from cortex_assets.documents.decode import PART_CHARS
from cortex_assets.documents.model import Block, Heading, ParsedDocument, Place, Structure

MAX_TEXT_CHARS = 64 * 1024 * 1024
"""Of one workbook; rows beyond it are counted and left out."""
MAX_CELL_CHARS = 32_768
_WIDE = 64
_MAX_AREA = 500_000
_MAX_ROW_CHARS = PART_CHARS // 4
_MAX_HEAD_CHARS = 100
_UNSAFE = re.compile(r"[\x00-\x1f\x7f|\u200b\ufeff\ud800-\udfff]|  ")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u200b\ufeff\ud800-\udfff]")

TEXT, BOLD, VALUE = 0, 1, 2
"""What a cell holds: text, text in bold, or a number, date or truth value."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """A sheet: its number from 1, its name, and whether people see it only when they unhide it."""

    number: int
    name: str
    is_hidden: bool


CellValue = tuple[int, str, int]
"""Column from 1, text on one line, and ``TEXT``, ``BOLD`` or ``VALUE``."""
Row = tuple[int, list[CellValue]]
"""Number from 1, and the cells that hold something, by column."""


def clean_cell(text: str) -> str:
    """The text of a cell on one line, safe between bars."""
    if len(text) > MAX_CELL_CHARS:
        text = text[: MAX_CELL_CHARS - 1] + "…"
    if not _UNSAFE.search(text):
        return text.strip(" ")
    return " ".join(_CONTROL.sub("", text).replace("|", "\\|").split())


def column_name(number: int) -> str:
    """``1`` is ``A``, ``27`` is ``AA``."""
    name = ""
    while number > 0:
        number, digit = divmod(number - 1, 26)
        name = chr(65 + digit) + name
    return name


class WorkbookText:
    """The text of a workbook under construction; every method that adds yields the parts that are full.

    Args:
        title: of the workbook.

    Attributes:
        rows_left_out: how many rows were not taken, because the text is at its limit.
        rows_cut: how many rows were too long, so that their last cells are missing.
    """

    def __init__(self, title: str) -> None:
        self.rows_left_out = 0
        self.rows_cut = 0
        self._title = title
        self._parts = 0
        self._given_chars = 0
        self._sheet = ""
        self._sheet_start = 0
        self._clear()

    def sheet(self, sheet: Sheet, rows: Iterable[Row]) -> Iterator[ParsedDocument]:
        """Add a sheet with its rows, in order of their numbers; rows without cells are gaps."""
        if self._size > PART_CHARS:
            yield self._part()
        self._sheet = " ".join(_CONTROL.sub("", sheet.name).split())[:200] or f"Sheet {sheet.number}"
        start = self._append(f"# {self._sheet}")
        self._headings.append(Heading(1, self._sheet, start))
        self._sheet_start = start
        if sheet.is_hidden:
            self._append("(hidden sheet)")
        for group in self._groups(rows):
            if self._size > PART_CHARS:
                yield self._part()
            self._table(group)
        self._close_sheet()

    def lines(self, lines: Iterable[str]) -> None:
        """Add lines that belong to the sheet which was added last, such as comments."""
        for number, line in enumerate(filter(None, map(clean_cell, lines))):
            start = self._append(line, "\n" if number else "\n\n")
            if not number:
                self._sheet_start = start
        self._close_sheet()

    def link(self, target: str) -> None:
        """Note a link's target."""
        self._links[target[:2000]] = None

    def last(self) -> ParsedDocument:
        """What has not been given off: the whole workbook, or its last part."""
        return self._part(is_last=True)

    def has_parts(self) -> bool:
        """Whether a part has been given off before."""
        return self._parts > 0

    def _clear(self) -> None:
        self._pieces: list[str] = []
        self._size = 0
        self._headings: list[Heading] = []
        self._blocks: list[Block] = []
        self._places: list[Place] = []
        self._links: dict[str, None] = {}

    def _close_sheet(self) -> None:
        if self._size > self._sheet_start:
            label = f"sheet {self._sheet}"
            if self._places and self._places[-1].label == label:
                self._sheet_start = self._places.pop().start
            self._places.append(Place(label, self._sheet_start, self._size))
            self._sheet_start = self._size

    def _part(self, is_last: bool = False) -> ParsedDocument:
        """Give off the text so far."""
        self._close_sheet()
        structure = Structure(tuple(self._headings), (), tuple(self._blocks), tuple(self._links), tuple(self._places))
        title, inner = self._title, ""
        if self._parts or not is_last:
            self._parts += 1
            inner = f"part-{self._parts:04d}"
            title = f"{title} (part {self._parts})" if title else ""
        document = ParsedDocument("".join(self._pieces), "sheet", title, inner=inner, structure=structure)
        self._given_chars += self._size
        self._clear()
        self._sheet_start = 0
        return document

    def _append(self, piece: str, gap: str = "\n\n") -> int:
        start = self._size + (len(gap) if self._pieces else 0)
        self._pieces.append((gap if self._pieces else "") + piece)
        self._size = start + len(piece)
        return start

    def _groups(self, rows: Iterable[Row]) -> Iterator[list[Row]]:
        """Rows without gaps between them, of bounded area; at the limit of the text, rows are only counted."""
        group: list[Row] = []
        low, high, chars = 1 << 30, 0, 0
        for number, cells in rows:
            if not cells:
                continue
            length = sum(len(text) + 3 for _, text, _ in cells)
            if length > _MAX_ROW_CHARS:
                cells, length = self._shortened(cells)
            if self._given_chars + self._size + chars > MAX_TEXT_CHARS:
                self.rows_left_out += 1
                continue
            first, last = min(low, cells[0][0]), max(high, cells[-1][0])
            is_full = chars > PART_CHARS // 2 or (len(group) + 1) * (last - first + 1) > _MAX_AREA
            if group and (number != group[-1][0] + 1 or is_full):
                yield group
                group, first, last, chars = [], cells[0][0], cells[-1][0], 0
            group.append((number, cells))
            low, high = first, last
            chars += length
        if group:
            yield group

    def _shortened(self, cells: list[CellValue]) -> tuple[list[CellValue], int]:
        """The first cells of a row that is too long to be one, and their length."""
        self.rows_cut += 1
        kept: list[CellValue] = []
        length = 0
        for cell in cells:
            length += len(cell[1]) + 3
            if length > _MAX_ROW_CHARS:
                break
            kept.append(cell)
        return kept, length

    def _table(self, group: list[Row]) -> None:
        """Write a group as a table; of a very wide one, columns that are empty in all of it are left out."""
        low = min(cells[0][0] for _, cells in group)
        high = max(cells[-1][0] for _, cells in group)
        columns = list(range(low, high + 1))
        if len(columns) > _WIDE:
            columns = sorted({column for _, cells in group for column, _, _ in cells})
        place = {column: index for index, column in enumerate(columns)}
        lines: list[str] = []
        for _, cells in group:
            texts = [""] * len(columns)
            for column, text, _ in cells:
                texts[place[column]] = text
            lines.append("| " + " | ".join(texts) + " |")
        head_length = None
        if heads := header_rows(group):
            lines.insert(heads, "|" + " --- |" * len(columns))
            head_length = sum(len(line) + 1 for line in lines[: heads + 1])
        start = self._append("\n".join(lines))
        cells_name = f"{self._sheet}!{column_name(low)}{group[0][0]}:{column_name(high)}{group[-1][0]}"
        head_end = start + head_length if head_length is not None else None
        self._blocks.append(Block("table", start, self._size, head_end, cells=cells_name))


def header_rows(group: list[Row]) -> int:
    """How many rows at the top of a group name its columns: none, one, or one below up to two rows of a single cell.

    Names are short, different texts above rows of another kind: bold above plain, or text above a column of numbers.
    Where neither is so, no row is a header.
    """
    titles = 0
    while titles < 2 and titles < len(group) and len(group[titles][1]) == 1:
        titles += 1
    return titles + 1 if titles < len(group) and _is_header(group[titles][1], group[titles + 1 : titles + 21]) else 0


def _is_header(head: list[CellValue], sample: list[Row]) -> bool:
    """Whether a row names the columns of the rows below it; the first column may have no name."""
    if not sample or len(head) < 2 or any(kind == VALUE for _, _, kind in head):
        return False
    texts = {text.casefold() for _, text, _ in head}
    if len(texts) < len(head) or any(len(text) > _MAX_HEAD_CHARS for text in texts):
        return False
    names = {column for column, _, _ in head} | {head[0][0] - 1}
    values: dict[int, int] = {}
    others: dict[int, int] = {}
    for _, cells in sample:
        for column, _, kind in cells:
            if column not in names:
                return False
            counted = values if kind == VALUE else others
            counted[column] = counted.get(column, 0) + 1
    if any(count > others.get(column, 0) for column, count in values.items()):
        return True
    return all(kind == BOLD for _, _, kind in head) and all(kind != BOLD for _, _, kind in sample[0][1])
