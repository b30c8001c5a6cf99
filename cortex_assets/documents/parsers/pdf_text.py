"""The text of one page of a PDF: as the file orders it, unless columns were written line by line or tables are there.

Few facts decide cheaply whether a page is looked at word by word: boxes of its runs of text, and lines of numbers; rules
are asked for only where lines have gaps. Pages turned sideways, and text written from right to left, are left in the
order of the file. Geometry is ``pdf_layout``'s and ``pdf_tables``'s; which pages are read, and what fails, is ``pdf``'s.
"""

import ctypes
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib import import_module
from itertools import pairwise
from typing import Any, NamedTuple

from cortex_assets.documents.decode import PART_CHARS
from cortex_assets.documents.model import Block
from cortex_assets.documents.parsers.pdf_calls import page_reader
from cortex_assets.documents.parsers.pdf_cells import Cells, TableText
from cortex_assets.documents.parsers.pdf_layout import (
    Box,
    Columns,
    columns_of,
    em_of,
    has_shared_gap,
    is_out_of_order,
    lines_of,
)
from cortex_assets.documents.parsers.pdf_rules import rules_of
from cortex_assets.documents.parsers.pdf_tables import Grid, aligned_grids, ruled_grids, with_lines_as_rows

MAX_PAGE_CHARS = PART_CHARS
_MAX_LAYOUT_CHARS = 20_000
_MAX_BOXES = 6_000
_SOFT_HYPHEN = re.compile("[\ufffe\x02\u00ad]\r?\n?(?=(.)?)")
_LINE_HYPHEN = re.compile(r"(?<=[^\W\d_])-\n(?=[^\W\d_A-Z])")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufdd0-\ufdef\ufffe\uffff\ud800-\udfff]")
_RIGHT_TO_LEFT = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]")
_BOLD = re.compile(rb"(?i)bold|black|heavy|demi|cmbx|sfbx")
_WORD = re.compile(r"[^\s\xa0]+")
_HYPHEN = re.compile("[\ufffe\x02\u00ad]")
_NUMBERS = re.compile(r"(?<![^\s(])[-(+$]?\d[\d.,]*%?[)*a-z]?[ \t]+(?:[^\n]*[ \t])?[-(+$]?\d[\d.,]*%?[)*a-z]?(?=\s|$)")
_WEIGHED_ROWS = 6
_WORD_GAP = 0.6


@dataclass(frozen=True, slots=True)
class PageText:
    """What a page says.

    Attributes:
        text: clean, with tables as Markdown.
        tables: their places in ``text``.
        is_cut: whether the page has more than 4 Mi characters, and the rest was left out.
    """

    text: str
    tables: tuple[Block, ...] = ()
    is_cut: bool = False


class _Word(NamedTuple):
    """A word, the white space before it, its box, and the index of its first character."""

    space: str
    text: str
    box: Box
    first: int


@dataclass(slots=True)
class _Piece:
    """Running text, or the table of a grid."""

    words: list[_Word] = field(default_factory=list)
    cells: Cells | None = None
    table: TableText | None = None


def clean(text: str) -> str:
    """Text with line feeds, words that were hyphenated at a line end joined, and no control characters."""
    text = _SOFT_HYPHEN.sub(lambda match: "" if (match[1] or "").islower() else "-", text)
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _CONTROL.sub("", text).strip()


def page_text(page: Any) -> PageText:
    """Text of a loaded ``pypdfium2.PdfPage``.

    Raises:
        pypdfium2.PdfiumError: its text cannot be read.
    """
    textpage = page.get_textpage()
    try:
        count = textpage.count_chars()
        is_cut = count > MAX_PAGE_CHARS
        raw_text = textpage.get_text_range(0, MAX_PAGE_CHARS if is_cut else -1) if count else ""
        found = None
        if 0 < count <= _MAX_LAYOUT_CHARS and not _RIGHT_TO_LEFT.search(raw_text):
            found = _laid_out(page, textpage, count, raw_text)
        return found or PageText(clean(raw_text), is_cut=is_cut)
    finally:
        textpage.close()


def _laid_out(page: Any, textpage: Any, count: int, raw_text: str) -> PageText | None:
    """The page in columns and with tables; None where it has neither, or its characters cannot be told apart."""
    raw: Any = import_module("pypdfium2.raw")
    if len(raw_text) != count or raw.FPDFPage_GetRotation(page) in (1, 3):
        return None
    boxes = _boxes(raw, textpage)
    em = em_of(boxes)
    lines = lines_of(boxes, em)
    has_gaps = has_shared_gap(lines)
    columns = columns_of(lines, em) if has_gaps else None
    is_tabular = columns is None and _has_rows_of_numbers(raw_text)
    grids = ruled_grids(*rules_of(page)) if has_gaps or is_tabular else []
    if columns is not None and not is_out_of_order(boxes, columns):
        columns = None
    if not grids and columns is None and not is_tabular:
        return None
    words = _words(textpage, raw_text)
    grids = [with_lines_as_rows(grid, [word.box for word in words]) for grid in grids]
    if is_tabular:
        word_lines = lines_of([word.box for word in words], em, _WORD_GAP)
        grids += [grid for grid in aligned_grids(word_lines, em) if not any(_overlap(grid, other) for other in grids)]
    pieces = _pieces(raw, textpage, words, grids, em)
    if any(piece.cells is not None and piece.table is None for piece in pieces):
        grids = [piece.cells.grid for piece in pieces if piece.cells is not None and piece.table is not None]
        if not grids and columns is None:
            return None
        pieces = _pieces(raw, textpage, words, grids, em)
    return _joined(pieces, columns, em)


def _has_rows_of_numbers(text: str) -> bool:
    """Whether four lines in a row, or nearly so, have at least two numbers each, as tables without rules do."""
    if not _NUMBERS.search(text):
        return False
    run = 0
    for line in text.split("\n"):
        if _NUMBERS.search(line):
            run += 1
            if run >= 4:
                return True
        else:
            run = 0
    return False


def _overlap(one: Grid, two: Grid) -> bool:
    a, b = one.box, two.box
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _boxes(raw: Any, textpage: Any) -> list[Box]:
    """Boxes of the page's runs of text, in the order of the file; none where they are too many to look at."""
    count = raw.FPDFText_CountRects(textpage, 0, -1)
    if not 0 < count <= _MAX_BOXES:
        return []
    found = page_reader().rects(textpage, count)
    return [(left, bottom, right, top) for left, top, right, bottom in found if right > left and top > bottom]


def _words(textpage: Any, text: str) -> list[_Word]:
    """The words of a page, each with the box around its first and last character."""
    has_hyphens = _HYPHEN.search(text) is not None
    spans: list[tuple[int, int]] = []
    ends: list[int] = []
    for match in _WORD.finditer(text):
        first, end = match.span()
        hyphen = _HYPHEN.search(text, first, end) if has_hyphens else None
        spans.append((first, end))
        ends += (first, max(first, (hyphen.start() if hyphen else end) - 1))
    boxes = iter(page_reader().chars(textpage, ends))
    words: list[_Word] = []
    before = 0
    for (first, end), (left, right, bottom, top), (_, far, low, high) in zip(spans, boxes, boxes, strict=True):
        if far > right:
            right, bottom, top = far, min(bottom, low), max(top, high)
        words.append(_Word(text[before:first], text[first:end], (left, bottom, right, top), first))
        before = end
    return words


def _pieces(raw: Any, textpage: Any, words: Iterable[_Word], grids: list[Grid], em: float) -> list[_Piece]:
    """Running text and tables in turn; a table stands where its first word does."""
    waiting = {id(cells): _Piece(cells=cells) for cells in (Cells(grid, em) for grid in grids)}
    tables = [piece.cells for piece in waiting.values() if piece.cells is not None]
    pieces = [_Piece()]
    was_table = False
    for word in words:
        is_table = False
        for cells in tables:
            place = cells.add(word.text, word.box)
            if place is None:
                continue
            is_table = True
            if place[0] < _WEIGHED_ROWS and not cells.grid.head_rows:
                cells.weigh(place[0], _is_bold(raw, textpage, word.first))
            piece = waiting.pop(id(cells), None)
            if piece is not None:
                pieces += [piece, _Piece()]
            break
        if not is_table:
            pieces[-1].words.append(word._replace(space="\n") if was_table else word)
        was_table = is_table
    for piece in pieces:
        piece.table = piece.cells.table() if piece.cells is not None else None
    return pieces


def _is_bold(raw: Any, textpage: Any, index: int) -> bool:
    """Whether a character's font is a bold one, by its name or weight."""
    name = ctypes.create_string_buffer(128)
    raw.FPDFText_GetFontInfo(textpage, index, name, len(name), None)
    return _BOLD.search(name.value) is not None or raw.FPDFText_GetFontWeight(textpage, index) >= 600


def _joined(pieces: list[_Piece], columns: Columns | None, em: float) -> PageText:
    """The pieces as one text, tables apart by blank lines."""
    done: list[str] = []
    tables: list[Block] = []
    size = 0
    parts: tuple[str, ...]
    for piece in pieces:
        table = piece.table
        if table is not None:
            head, parts = table.head_end, (clean(table.before), _CONTROL.sub(" ", table.text), clean(table.after))
        elif columns is not None:
            head, parts = 0, (clean(_LINE_HYPHEN.sub("", "\n".join(_reordered(piece.words, columns, em)))),)
        else:
            head, parts = 0, (clean("".join(word.space + word.text for word in piece.words)),)
        for number, text in enumerate(parts):
            if not text:
                continue
            start = size + (2 if done else 0)
            done.append(text)
            size = start + len(text)
            if table is not None and number == 1:
                tables.append(Block("table", start, size, head_end=start + head if head else None))
    return PageText("\n\n".join(done), tuple(tables))


def _reordered(words: list[_Word], columns: Columns, em: float) -> list[str]:
    """Lines with the columns one after the other; a line across the columns ends them."""
    lines: list[list[_Word]] = []
    for word in words:
        if "\n" in word.space or not lines:
            lines.append([])
        lines[-1].append(word)
    out: list[str] = []
    held: list[list[str]] = [[] for _ in range(len(columns.gutters) + 1)]
    for line in lines:
        parts = _split(line, columns, em)
        if parts is None:
            for column in held:
                out += column
                column.clear()
            out.append("".join(word.space + word.text for word in line).strip())
            continue
        for number, part in enumerate(parts):
            if part:
                held[number].append(part)
    return out + [line for column in held for line in column]


def _split(line: list[_Word], columns: Columns, em: float) -> list[str] | None:
    """A line's text in each column; None where it goes across."""
    parts: list[list[_Word]] = [[] for _ in range(len(columns.gutters) + 1)]
    for word in line:
        column = columns.column(word.box)
        if column < 0:
            return None
        parts[column].append(word)
    edges = [(part[0].box[0], part[-1].box[2]) for part in parts if part]
    if any(two[0] - one[1] < 0.6 * em for one, two in pairwise(edges)):
        return None
    return ["".join(word.space + word.text for word in part).strip() for part in parts]
