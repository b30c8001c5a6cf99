"""Builds the text of a marked-up document (HTML, DOCX) as it is walked, with the places of headings, tables and code.

The result is Markdown-like, because people read it in snippets: ``# Title``, ``- item``, ``| a | b |``, fenced code.
Characters are never escaped: what the document says is what is stored. Walking a format does not belong here.
"""

import re
from dataclasses import dataclass

from cortex_assets.documents.model import Block, Heading, Place, Structure

_SPACES = re.compile(r"[ \t\r\n\f\v]+")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u200b\ufeff\ud800-\udfff]")
_MAX_CELLS = 200


@dataclass(frozen=True, slots=True)
class Cell:
    """A table cell: its text on one line, whether it is a header, and how many columns and rows it spans."""

    text: str
    is_header: bool = False
    columns: int = 1
    rows: int = 1


class MarkupText:
    """Text under construction; offsets are those of ``text()``."""

    def __init__(self) -> None:
        self._done: list[str] = []
        self._size = 0
        self._line: list[str] = []
        self._headings: list[Heading] = []
        self._blocks: list[Block] = []
        self._links: dict[str, None] = {}
        self._places: list[Place] = []
        self._place: tuple[str, int] | None = None
        self._heading_level: int | None = None
        self._code: list[str] | None = None
        self._code_language: str | None = None
        self._lists: list[int | None] = []
        self._marker = ""
        self._is_tight = False
        self._was_item = False

    def words(self, raw: str) -> None:
        """Add running text; white space collapses, in code it is kept."""
        if self._code is not None:
            self._code.append(raw)
        elif raw:
            self._line.append(raw)

    def link(self, target: str) -> None:
        """Note a link's target; its words come as ``words``."""
        self._links[target[:2000]] = None

    def open_place(self, label: str) -> None:
        """Begin a span with a name of its own (a slide, a chapter); it ends the one before."""
        self.close_place()
        self._place = (label, self._size)

    def close_place(self) -> None:
        """End the open span; one without text leaves nothing."""
        self.end_block()
        if self._place is None:
            return
        (label, before), self._place = self._place, None
        if self._size > before:
            self._places.append(Place(label, before + 2 if before else 0, self._size))

    def has_place_text(self) -> bool:
        """Whether there is text in the open span so far."""
        self.end_block()
        return self._place is not None and self._size > self._place[1]

    def line_break(self) -> None:
        """End a line within a paragraph."""
        if self._code is not None:
            self._code.append("\n")
        elif self._heading_level is not None:
            self._line.append(" ")
        else:
            self.end_line()

    def end_line(self) -> None:
        """End the line; what follows is in the same paragraph."""
        if self._code is None and self._flush():
            self._is_tight = True

    def end_block(self) -> None:
        """End the paragraph."""
        if self._code is None and self._heading_level is None:
            self._flush()
            self._is_tight = False

    def open_heading(self, level: int) -> None:
        """Begin a heading of level 1..6."""
        self.end_block()
        if self._code is None:
            self._heading_level = level

    def close_heading(self) -> None:
        """End the heading; an empty one leaves nothing."""
        if self._heading_level is None:
            return
        level, self._heading_level = self._heading_level, None
        title = self._taken()
        if title:
            start = self._append(f"{'#' * level} {title}")
            self._headings.append(Heading(level, title, start))
        self._is_tight = False

    def open_list(self, is_numbered: bool) -> None:
        """Begin a list."""
        self._flush()
        self._is_tight = bool(self._lists)
        self._lists.append(0 if is_numbered else None)

    def close_list(self) -> None:
        """End a list."""
        self._flush()
        if self._lists:
            self._lists.pop()
        self._is_tight = bool(self._lists)

    def open_item(self, depth: int | None = None, mark: str | None = None) -> None:
        """Begin a list item.

        Args:
            depth: how deep it is, from 0; by default the number of open lists.
            mark: its marker, such as ``-`` or ``3.``; by default that of the innermost open list, counted here.
        """
        self._flush()
        if depth is None:
            depth = max(0, len(self._lists) - 1)
        counter = self._lists[-1] if self._lists else None
        if mark is None and counter is not None:
            self._lists[-1] = counter + 1
            mark = f"{counter + 1}."
        self._marker = "  " * min(depth, 8) + (mark or "-") + " "
        self._is_tight = self._is_tight or self._was_item

    def open_code(self, language: str | None) -> None:
        """Begin preformatted text."""
        if self._code is not None:
            return
        self.end_block()
        self._code, self._code_language = [], language

    def close_code(self) -> None:
        """End preformatted text."""
        if self._code is None:
            return
        body = _CONTROL.sub("", "".join(self._code)).replace("\r\n", "\n").strip("\n")
        self._code = None
        if body.strip():
            fence = "```"
            while fence in body:
                fence += "`"
            start = self._append(f"{fence}{self._code_language or ''}\n{body}\n{fence}")
            self._blocks.append(Block("code", start, self._size, language=self._code_language))
        self._is_tight = False

    def table(self, rows: list[list[Cell]], caption: str = "") -> None:
        """Add a table; a spanned cell is repeated down its rows, so that each row can be read alone."""
        self.end_block()
        grid, header_rows = _grid(rows)
        if caption:
            self._append(caption)
            self._is_tight = False
        lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in grid]
        head_end = None
        if header_rows:
            lines.insert(header_rows, "|" + " --- |" * len(grid[0]))
            head_end = sum(len(line) + 1 for line in lines[: header_rows + 1])
        body = "\n".join(lines)
        start = self._append(body)
        self._blocks.append(
            Block("table", start, self._size, head_end=min(start + head_end, self._size) if head_end else None)
        )
        self._is_tight = False

    def text(self) -> str:
        """All text so far."""
        self._flush()
        return "".join(self._done)

    def inline(self) -> str:
        """All text so far on one line."""
        return " ".join(self.text().split())

    def structure(self) -> Structure:
        """Headings, blocks, links and places so far."""
        return Structure(tuple(self._headings), (), tuple(self._blocks), tuple(self._links), tuple(self._places))

    def _taken(self) -> str:
        line = _SPACES.sub(" ", _CONTROL.sub("", "".join(self._line))).strip()
        self._line = []
        return line

    def _flush(self) -> bool:
        """Write the open line out; whether there was one."""
        if self._heading_level is not None:
            return False
        line = self._taken()
        if not line:
            return False
        marker, self._marker = self._marker, ""
        self._append(marker + line)
        self._was_item = bool(marker)
        return True

    def _append(self, piece: str) -> int:
        """Add a finished piece after a line end (within a paragraph) or a blank line; return where it starts."""
        gap = "" if not self._done else "\n" if self._is_tight else "\n\n"
        start = self._size + len(gap)
        self._done.append(gap + piece)
        self._size = start + len(piece)
        self._was_item = False
        return start


def _grid(rows: list[list[Cell]]) -> tuple[list[list[str]], int]:
    """Cells laid out with spans repeated, all rows equally wide; and how many rows are header rows."""
    grid: list[list[str]] = []
    header_rows = 0
    carried: dict[int, tuple[str, int]] = {}
    for number, row in enumerate(rows):
        line: list[str] = []
        pending = list(row)
        while (pending or len(line) in carried) and len(line) < _MAX_CELLS:
            column = len(line)
            if column in carried:
                text, left = carried.pop(column)
                line.append(text)
                if left > 1:
                    carried[column] = (text, left - 1)
                continue
            cell = pending.pop(0)
            for offset in range(cell.columns):
                line.append(cell.text if offset == 0 else "")
                if cell.rows > 1:
                    carried[column + offset] = (cell.text if offset == 0 else "", cell.rows - 1)
        grid.append(line)
        if number == 0 and all(cell.is_header for cell in row):
            header_rows = min(max(cell.rows for cell in row), 4, len(rows))
    width = max(map(len, grid))
    return [line + [""] * (width - len(line)) for line in grid], header_rows
