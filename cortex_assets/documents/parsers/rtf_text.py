"""Builds the text of an RTF document from what its groups and control words give: paragraphs, rows, notes.

Reading the file is ``rtf``'s.
"""

from cortex_assets.documents.markup_text import Cell, MarkupText

_MAX_CELLS = 200
_PAGE_NUMBER_LETTERS = 8
"""A header with no more letters says where one is (``Page 1 of 3``)."""


class RtfText:
    """The text under construction.

    Attributes:
        out: the finished part.
        title: by the document's properties, else by a paragraph in the title style.
    """

    def __init__(self) -> None:
        self.out = MarkupText()
        self.title = ""
        self._line: list[str] = []
        self._marker = ""
        self._cells: list[str] = []
        self._rows: list[list[str]] = []
        self._notes: list[str] = []
        self._author = ""

    def words(self, text: str) -> None:
        """Add words to the paragraph or the cell."""
        self._line.append(text)

    def paragraph(self, level: int | None, is_item: bool, in_table: bool) -> None:
        """End the paragraph.

        Args:
            level: of the heading that it is, 0 for the title; None for body text.
            is_item: whether it is in a list.
            in_table: whether it is in a cell, which then goes on.
        """
        if in_table or self._cells:
            self._line.append(" ")
            return
        self._end_table()
        text = "".join(self._line)
        self._line = []
        if level is not None and text.strip():
            self.out.open_heading(max(1, level))
            self.out.words(text)
            self.out.close_heading()
            if level == 0 and not self.title:
                self.title = " ".join(text.split())
        elif text.strip():
            if is_item or self._marker:
                is_number = self._marker.rstrip(".)").isalnum()
                self.out.open_item(0, self._marker if is_number else "-")
            self.out.words(text)
            self.out.end_block()
        self._marker = ""

    def cell(self) -> None:
        """End a cell."""
        self._cells.append(" ".join("".join(self._line).split()))
        self._line = []

    def row(self) -> None:
        """End a row; one without cells is none."""
        if self._cells:
            self._rows.append(self._cells[:_MAX_CELLS])
            self._cells = []

    def gathered(self, destination: str, text: str) -> None:
        """Take what a destination said: a title, a list marker, a note, a comment, a header or a footer."""
        if destination == "title":
            self.title = text
        elif destination in ("listtext", "pntext"):
            self._marker = text
        elif destination == "atnauthor":
            self._author = text
        elif destination == "annotation" and text:
            self._notes.append(f"Comment ({self._author}): {text}" if self._author else f"Comment: {text}")
        elif destination == "footnote" and text:
            self._notes.append(text)
        elif destination.startswith(("header", "footer")) and sum(map(str.isalpha, text)) > _PAGE_NUMBER_LETTERS:
            note = f"{destination[:6].capitalize()}: {text}"
            if note not in self._notes:
                self._notes.append(note)

    def finish(self, level: int | None) -> None:
        """End what is open, then write the notes."""
        self.row()
        self.paragraph(level, False, False)
        self._end_table()
        for note in self._notes:
            self.out.words(note)
            self.out.end_block()

    def _end_table(self) -> None:
        """Write the rows so far as a table; a single cell is a box around text."""
        rows, self._rows = self._rows, []
        if len(rows) == 1 and len(rows[0]) == 1:
            self.out.words(rows[0][0])
            self.out.end_block()
        elif any(cell for row in rows for cell in row):
            has_head = len(rows) > 1
            self.out.table([[Cell(cell, has_head and not index) for cell in row] for index, row in enumerate(rows)])
