"""Old and binary workbooks (XLS, XLSB), by python-calamine: values, without the formats that numbers are shown in.

The library holds each sheet as a full rectangle of cells, so a hostile one may end the process: each sheet is marked
before it is read. XLSX and ODS do not belong here.
"""

import io
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from typing import Any

from cortex_assets.documents.errors import in_words
from cortex_assets.documents.model import Mark, Parsed, ParsedDocument, ParseInput, Structure
from cortex_assets.documents.parsers.number_format import plain_number
from cortex_assets.documents.parsers.ole import MAGIC, decrypted, parse_ole, stream_names
from cortex_assets.documents.parsers.sheet_text import TEXT, VALUE, CellValue, Row, Sheet, WorkbookText, clean_cell
from cortex_assets.tables import Status

_OPENING = "workbook"
"""The unit that opening is: the library reads all cells of an XLS file then."""


def parse_xls(source: ParseInput) -> Iterator[Parsed]:
    """Parse an old Excel workbook; what is no OLE container but a text that only has its name is ``unsupported``."""
    source.stream.seek(0)
    if source.stream.read(8) == MAGIC:
        names = stream_names(source.stream) or set()
        if "encryptedpackage" in names:
            yield from parse_ole(source)
            return
    source.stream.seek(0)
    yield from binary_documents(source, "XLS")


def parse_xlsb(source: ParseInput) -> Iterator[Parsed]:
    """Parse a binary Excel workbook."""
    yield from binary_documents(source, "XLSB")


def binary_documents(source: ParseInput, what: str) -> Iterator[Parsed]:
    """The documents of a workbook that calamine reads."""
    import python_calamine as calamine

    if _OPENING in source.options.avoid:
        reason = f"the {what} ends the process that reads it, it is damaged or too large: open it and save it as .xlsx"
        yield ParsedDocument("", "sheet", status=Status.QUARANTINED, reason=reason)
        return
    yield Mark(_OPENING)
    source.stream.seek(0)
    raw = source.stream.read()
    try:
        workbook = _opened(raw)
    except calamine.PasswordError:
        plain = decrypted(io.BytesIO(raw), source.options.passwords)
        if isinstance(plain, str):
            yield ParsedDocument("", "sheet", status=Status.FAILED, reason=plain)
            return
        workbook = _opened(plain)
    except (calamine.CalamineError, OSError, ValueError) as error:
        reason = f"damaged {what} ({in_words(error)}): open and save it again, best as .xlsx"
        yield ParsedDocument("", "sheet", status=Status.FAILED, reason=reason)
        return
    yield from _documents(workbook, source, what)


def _opened(raw: bytes) -> Any:
    """A workbook of calamine.

    Raises:
        ValueError: the library gave up on the file (it panics on some damaged ones).
    """
    import python_calamine as calamine

    return _unpanicked(lambda: calamine.CalamineWorkbook.from_filelike(io.BytesIO(raw)))


def _unpanicked(call: Any) -> Any:
    """The result of a call into the library; a panic of it becomes a ValueError."""
    try:
        return call()
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise ValueError("the library gave up on the file") from None


def _documents(workbook: Any, source: ParseInput, what: str) -> Iterator[Parsed]:
    import python_calamine as calamine

    sheets = workbook.sheets_metadata
    out = WorkbookText("")
    failed: list[int] = []
    problems: list[str] = []
    has_cells = False
    for number, about in enumerate(sheets, 1):
        unit = f"sheet {number}"
        if unit in source.options.avoid:
            failed.append(number)
            problems.append(f"{unit} ends the process that reads it: it is damaged or too large")
            continue
        yield Mark(unit)
        try:
            sheet = _unpanicked(lambda name=about.name: workbook.get_sheet_by_name(name))
        except (calamine.CalamineError, OSError, ValueError) as error:
            failed.append(number)
            problems.append(f"{unit} cannot be read ({in_words(error)})")
            continue
        has_cells = has_cells or sheet.start is not None
        is_hidden = about.visible != calamine.SheetVisibleEnum.Visible
        for part in out.sheet(Sheet(number, about.name, is_hidden), _rows(sheet)):
            yield replace(part, page_count=len(sheets))
    if out.rows_left_out:
        problems.append(f"{out.rows_left_out:,} rows are left out: the text is at its limit; split the workbook")
    last = replace(out.last(), page_count=len(sheets), failed_pages=tuple(failed))
    reason = "; ".join(problems) + f"; save the {what} as .xlsx" if problems else None
    if not has_cells and not out.has_parts():
        status = Status.FAILED if problems else Status.EMPTY
        reason = reason or "the sheets have no cells with values"
        yield replace(last, text="", structure=Structure(), status=status, reason=reason)
        return
    yield replace(last, status=Status.PARTIAL if problems else Status.OK, reason=reason)


def _rows(sheet: Any) -> Iterator[Row]:
    """Rows with values; calamine begins its rows at the first of the sheet, and its columns at the first used one."""
    first = sheet.start[1] + 1 if sheet.start is not None else 1
    for number, values in enumerate(sheet.iter_rows(), 1):
        cells: list[CellValue] = []
        for column, value in enumerate(values, first):
            if value == "" or value is None:
                continue
            text = value if isinstance(value, str) else _shown(value)
            if text := clean_cell(text):
                cells.append((column, text, TEXT if isinstance(value, str) else VALUE))
        if cells:
            yield number, cells


def _shown(value: object) -> str:
    """A value that is no text, as people would write it."""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, int | float):
        return plain_number(float(value)) if isinstance(value, float) else str(value)
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M" + (":%S" if value.second else ""))
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return str(value)
    return str(value)
