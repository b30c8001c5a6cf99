"""The rows of one worksheet part (XLSX), as a stream: values as people see them, merged cells repeated down their rows.

Nothing is kept but the row that is being read, so a used range of a million empty rows costs no memory. What sheets a
workbook has is ``sheets``'.
"""

import math
import re
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from cortex_assets.documents.parsers.number_format import Show, plain_number
from cortex_assets.documents.parsers.sheet_text import BOLD, TEXT, VALUE, CellValue, Row, clean_cell
from cortex_assets.documents.parsers.xml_stream import StreamError, parsed_blocks

MAX_MERGES = 10_000
_MAX_ACTIVE_MERGES = 200
_MERGE = re.compile(rb"<(?:\w+:)?mergeCell\s[^>]{0,50}?ref=\"([A-Z]{1,3})(\d{1,7}):([A-Z]{1,3})(\d{1,7})\"")
_ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_")
_TRUTH = {"1": "TRUE", "0": "FALSE"}


@dataclass(frozen=True, slots=True)
class Book:
    """What the cells of all sheets refer to.

    Attributes:
        strings: texts that cells name by number, clean.
        shows: of each cell style, what shows a number.
        bold: of each cell style, whether its text is bold.
    """

    strings: list[str]
    shows: list[Show]
    bold: list[bool]


@dataclass(frozen=True, slots=True)
class Merge:
    """Cells merged down: first row, column, last row."""

    first: int
    column: int
    last: int


def unescaped(text: str) -> str:
    """Text of a string in a workbook, where ``_x000D_`` stands for a character."""
    return _ESCAPED.sub(lambda match: chr(int(match[1], 16)), text) if "_x" in text else text


def column_number(letters: str) -> int:
    """``A`` is 1, ``AA`` is 27; 0 for what is no column."""
    number = 0
    for char in letters[:4]:
        if not "A" <= char <= "Z":
            return 0
        number = number * 26 + ord(char) - 64
    return number if number <= 16_384 else 0


def merges_in(raw: bytes) -> list[Merge]:
    """Merged cells that span rows, in order of their first row."""
    found: list[Merge] = []
    for match in _MERGE.finditer(raw):
        first, last = int(match[2]), int(match[4])
        if first < last and len(found) < MAX_MERGES:
            found.append(Merge(first, column_number(match[1].decode()), last))
    return sorted(found, key=lambda merge: (merge.first, merge.column))


class XlsxRows:
    """Reads one worksheet; iterate over ``rows()`` once, then look at what was missing.

    Attributes:
        formulas_without_value: cells that show their formula.
        strings_missing: cells whose text is not in the workbook.

    Args:
        blocks: the part's bytes.
        book: what its cells refer to.
        merges: merged cells that span rows.
    """

    def __init__(self, blocks: Iterable[bytes], book: Book, merges: list[Merge]) -> None:
        self.formulas_without_value = self.strings_missing = 0
        self._blocks = blocks
        self._book = book
        self._merges = deque(merges)
        self._active: list[tuple[int, CellValue]] = []
        self._rows: deque[Row] = deque()
        self._number = 0
        self._cells: list[CellValue] = []
        self._column = 0
        self._columns: dict[str, int] = {}
        self._type = ""
        self._style = -1
        self._value = ""
        self._formula = ""
        self._taking = False
        self._phonetic = False
        self._buffer: list[str] = []

    def rows(self) -> Iterator[Row]:
        """Rows in the order of the sheet, those with cells only.

        Raises:
            StreamError: the XML is damaged, has a document type, or is too much; rows before that were given.
        """
        try:
            for _ in parsed_blocks(self._blocks, self._start, self._end, self._text):
                yield from self._taken()
        except StreamError as error:
            yield from self._taken()
            raise type(error)(f"{error} after row {self._number}") from error

    def _taken(self) -> Iterator[Row]:
        while self._rows:
            yield self._rows.popleft()

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "c":
            self._type = attributes.get("t", "n")
            style = attributes.get("s", "0")
            self._style = int(style) if style.isdigit() and len(style) < 9 else -1
            self._value = self._formula = ""
            letters = attributes.get("r", "").rstrip("0123456789")
            column = self._columns.get(letters)
            if column is None:
                column = self._columns[letters] = column_number(letters)
            self._column = column or self._column + 1
        elif name in ("v", "t", "f"):
            self._taking = not self._phonetic
            self._buffer.clear()
        elif name == "row":
            number = attributes.get("r", "")
            self._number = int(number) if number.isdigit() and len(number) < 9 else self._number + 1
            self._column = 0
            self._cells = []
        elif name == "rPh":
            self._phonetic = True

    def _text(self, data: str) -> None:
        if self._taking:
            self._buffer.append(data)

    def _end(self, name: str) -> None:
        if name in ("v", "t"):
            if self._taking:
                self._value += "".join(self._buffer)
            self._taking = False
        elif name == "c":
            cell = self._cell()
            if cell is not None:
                self._cells.append(cell)
        elif name == "row":
            self._end_row()
        elif name == "f":
            self._formula = "".join(self._buffer)
            self._taking = False
        elif name == "rPh":
            self._phonetic = False

    def _cell(self) -> CellValue | None:
        """The cell that ends; None where it holds nothing."""
        raw, kind = self._value, self._type
        if not raw:
            if not self._formula or kind == "str":
                return None
            self.formulas_without_value += 1
            return (self._column, clean_cell(f"={self._formula}"), VALUE)
        book = self._book
        if kind == "s":
            known = raw.isdigit() and len(raw) < 10 and int(raw) < len(book.strings)
            self.strings_missing += not known
            text = book.strings[int(raw)] if known else ""
        elif kind in ("str", "inlineStr"):
            text = clean_cell(unescaped(raw))
        elif kind == "b":
            return (self._column, _TRUTH.get(raw, raw[:10]), VALUE)
        elif kind == "n":
            return (self._column, self._shown(raw), VALUE)
        else:  # an error such as #N/A, or a date of strict Office Open XML
            return (self._column, clean_cell(raw.removesuffix("T00:00:00")), VALUE)
        if not text:
            return None
        is_bold = 0 <= self._style < len(book.bold) and book.bold[self._style]
        return (self._column, text, BOLD if is_bold else TEXT)

    def _shown(self, raw: str) -> str:
        """A number as its style shows it."""
        try:
            number = float(raw)
        except ValueError:
            return clean_cell(raw)
        if not math.isfinite(number):
            return clean_cell(raw)
        show = self._book.shows[self._style] if 0 <= self._style < len(self._book.shows) else plain_number
        return clean_cell(show(number))

    def _end_row(self) -> None:
        """Take the row, with the values of cells merged down into it."""
        number, cells = self._number, self._cells
        while self._merges and self._merges[0].first <= number:
            merge = self._merges.popleft()
            own = next((cell for cell in cells if cell[0] == merge.column), None)
            if own is not None and merge.first == number and len(self._active) < _MAX_ACTIVE_MERGES:
                self._active.append((merge.last, own))
        if cells and self._active:
            self._active = [(last, cell) for last, cell in self._active if last >= number]
            held = {cell[0] for cell in cells}
            cells.extend(cell for _, cell in self._active if cell[0] not in held)
            cells.sort()
        if cells:
            self._rows.append((number, cells))
        self._cells = []
