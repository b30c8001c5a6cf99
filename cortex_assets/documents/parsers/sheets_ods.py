"""ODS (OpenDocument workbooks): every sheet as a heading and tables of its rows; cells say the text that people see.

The cells are read as a stream, so repeated empty rows cost nothing. Text and slides are ``opendocument``'s.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import groupby

from cortex_assets.documents.model import Parsed, ParsedDocument, ParseInput
from cortex_assets.documents.parsers.ooxml import judged, note_end, parse_package, whole_number
from cortex_assets.documents.parsers.opendocument import meta_title, refuse_encrypted
from cortex_assets.documents.parsers.package import Package, PackageError
from cortex_assets.documents.parsers.sheet_text import (
    TEXT,
    VALUE,
    CellValue,
    Row,
    Sheet,
    WorkbookText,
    clean_cell,
    column_name,
)
from cortex_assets.documents.parsers.xml_stream import StreamError, parsed_blocks

MAX_REPEATED_ROWS = 1000
MAX_REPEATED_CELLS = 1024
MAX_COMMENTS = 5000
_MAX_COLUMN = 16_384
_TEXTS = frozenset({"p", "h"})
_CELLS = frozenset({"table-cell", "covered-table-cell"})

Event = tuple[Sheet, Row | None, str]
"""A sheet that begins (no row), a row of it, or a comment on it."""


def parse_ods(source: ParseInput) -> Iterator[Parsed]:
    """Parse an OpenDocument workbook; text above 4 MiB characters comes in parts."""
    return parse_package(source, "ODS", "sheet", _documents)


def _documents(package: Package, source: ParseInput) -> Iterator[Parsed]:
    refuse_encrypted(package)
    out = WorkbookText(meta_title(package))
    reader = _OdsReader(package.blocks("content.xml"))
    for sheet, events in groupby(_whole(reader, package), key=lambda event: event[0]):
        comments: list[str] = []
        yield from out.sheet(sheet, _rows(events, comments))
        out.lines(comments)
    has_cells = reader.cells > 0 or out.has_parts()
    if out.rows_left_out:
        package.limits.append(f"{out.rows_left_out:,} rows are left out: the text is at its limit")
    if reader.repeats_left_out:
        package.limits.append(f"{reader.repeats_left_out:,} rows that repeat the one above are left out")
    last: ParsedDocument = replace(out.last(), page_count=reader.sheets)
    yield judged(last if has_cells else replace(last, text=""), package, "the sheets have no cells with values")


def _whole(reader: "_OdsReader", package: Package) -> Iterator[Event]:
    """What the reader gives, up to where the file is damaged; that is noted."""
    try:
        yield from reader.events()
    except (StreamError, PackageError) as error:
        note_end(package, "content.xml", error)


def _rows(events: Iterable[Event], comments: list[str]) -> Iterator[Row]:
    """The rows of one sheet; its comments are put aside."""
    for _, row, comment in events:
        if row is not None:
            yield row
        elif comment and len(comments) < MAX_COMMENTS:
            comments.append(comment)


class _OdsReader:
    """Reads ``content.xml`` of a workbook.

    Attributes:
        sheets: how many there were.
        cells: how many held something.
        repeats_left_out: rows that a row stands for, beyond a thousand.
    """

    def __init__(self, blocks: Iterable[bytes]) -> None:
        self.sheets = self.cells = self.repeats_left_out = 0
        self._blocks = blocks
        self._events: list[Event] = []
        self._hidden: set[str] = set()
        self._style = ""
        self._depth = 0
        self._sheet = Sheet(0, "", False)
        self._row = 0
        self._row_repeats = 1
        self._column = 0
        self._in_cell = False
        self._in_comment = False
        self._taking = 0
        self._row_cells: list[CellValue] = []

    def events(self) -> Iterator[Event]:
        """Sheets, rows and comments in order.

        Raises:
            StreamError: the XML is damaged or has a document type; what came before it was given.
        """
        try:
            for _ in parsed_blocks(self._blocks, self._start, self._end, self._characters):
                yield from self._taken()
        except StreamError as error:
            yield from self._taken()
            raise type(error)(f"{error} in sheet {self.sheets} after row {self._row}") from error

    def _taken(self) -> list[Event]:
        events, self._events = self._events, []
        return events

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if name in _TEXTS:
            self._taking += self._in_cell
            if self._taking:
                self._buffer().append(" ")
        elif name in _CELLS:
            self._open_cell(attributes)
        elif name == "table-row" and self._depth == 1:
            self._row_repeats = max(1, whole_number(attributes.get("table:number-rows-repeated")))
            self._column = 0
            self._row_cells = []
        elif name == "annotation":
            self._in_comment = True
            self._comment: list[str] = []
        elif name in ("s", "tab", "line-break"):
            self._characters(" ")
        elif name == "table":
            self._open_table(attributes)
        elif name == "style":
            self._style = attributes.get("style:name", "")
        elif name == "table-properties" and attributes.get("table:display") == "false":
            self._hidden.add(self._style)

    def _open_table(self, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth == 1:
            self.sheets += 1
            is_hidden = attributes.get("table:style-name") in self._hidden
            self._sheet = Sheet(self.sheets, attributes.get("table:name", ""), is_hidden)
            self._row = 0
            self._events.append((self._sheet, None, ""))

    def _open_cell(self, attributes: dict[str, str]) -> None:
        if self._depth != 1:
            return
        self._in_cell = True
        self._text: list[str] = []
        self._repeats = max(1, whole_number(attributes.get("table:number-columns-repeated")))
        self._kind = TEXT if attributes.get("office:value-type", "string") == "string" else VALUE
        self._value = attributes.get("office:value", "") or attributes.get("office:date-value", "")

    def _buffer(self) -> list[str]:
        return self._comment if self._in_comment else self._text

    def _characters(self, data: str) -> None:
        if self._taking:
            self._buffer().append(data)

    def _end(self, name: str) -> None:
        if name in _TEXTS:
            self._taking -= self._in_cell and self._taking > 0
        elif name in _CELLS and self._depth == 1:
            self._close_cell()
        elif name == "table-row" and self._depth == 1:
            self._close_row()
        elif name == "annotation":
            self._in_comment = False
            if text := clean_cell("".join(self._comment)):
                cell = f"{column_name(self._column + 1)}{self._row + 1}"
                self._events.append((self._sheet, None, f"Comment on {cell}: {text}"))
        elif name == "table":
            self._depth -= 1

    def _close_cell(self) -> None:
        """Take the cell as often as it is repeated; an empty one only moves on."""
        text = clean_cell("".join(self._text)) or clean_cell(self._value)
        if text:
            for number in range(min(self._repeats, MAX_REPEATED_CELLS, _MAX_COLUMN - self._column)):
                self._row_cells.append((self._column + 1 + number, text, self._kind))
        self._column += min(self._repeats, _MAX_COLUMN)
        self._in_cell = False
        self._taking = 0

    def _close_row(self) -> None:
        """Take the row as often as it is repeated; empty rows only count."""
        if self._row_cells:
            self.cells += len(self._row_cells)
            shown = min(self._row_repeats, MAX_REPEATED_ROWS)
            self.repeats_left_out += self._row_repeats - shown
            self._events.extend((self._sheet, (self._row + 1 + number, self._row_cells), "") for number in range(shown))
        self._row += self._row_repeats
