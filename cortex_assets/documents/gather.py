"""Gathers the documents of many files into frames of the documents table: a frame a file would cost more than parsing it."""

import polars as pl

from cortex_assets.documents.model import ParsedDocument
from cortex_assets.documents.parse import FRAME_CHARS, FRAME_ROWS, FileInput, document_row, rows_frame, unique_inner
from cortex_assets.documents.schema import DOCUMENTS
from cortex_assets.tables import Status


class RowGatherer:
    """Rows of one file after the other; take ``frame()`` whenever ``is_full``."""

    def __init__(self) -> None:
        self._rows: list[dict[str, object]] = []
        self._chars = 0
        self._seen: dict[str, int] = {}
        self._count = 0

    @property
    def is_full(self) -> bool:
        """Enough for a frame: 512 rows or 4 MiB characters."""
        return self._chars >= FRAME_CHARS or len(self._rows) >= FRAME_ROWS

    def add(self, file: FileInput, document: ParsedDocument) -> None:
        """Take a document of the current file in; a repeated inner name is made unique."""
        self._rows.append(document_row(file, document, unique_inner(document.inner, self._seen)))
        self._chars += len(document.text)
        self._count += 1

    def end(self, file: FileInput) -> None:
        """Close the current file; one that gave nothing becomes an ``empty`` row."""
        if not self._count:
            reason = "the parser found no document in the file"
            self.add(file, ParsedDocument("", "none", status=Status.EMPTY, reason=reason))
        self._seen, self._count = {}, 0

    def frame(self) -> pl.DataFrame:
        """What was gathered since the last call."""
        rows, self._rows, self._chars = self._rows, [], 0
        return rows_frame(rows) if rows else pl.DataFrame(schema=DOCUMENTS.dtypes)
