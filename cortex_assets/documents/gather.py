"""Gathers the documents of many files into frames of the documents table: a frame a file would cost more than parsing it.

Secrets are found and masked here, for all documents of a frame at once, so no row is made with one.
"""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import polars as pl

from cortex_assets.documents.left_out import LeftOut
from cortex_assets.documents.model import ParsedDocument
from cortex_assets.documents.parse import (
    FRAME_CHARS,
    FRAME_ROWS,
    FileInput,
    document_row,
    rows_frame,
    storable_document,
    unique_inner,
)
from cortex_assets.documents.redact import MASKING, Redaction, redacted, redacted_line
from cortex_assets.documents.schema import DOCUMENTS
from cortex_assets.tables import Status


class RowGatherer:
    """Rows of one file after the other; take ``frame()`` whenever ``is_full``."""

    def __init__(self, redaction: Redaction = MASKING) -> None:
        self._counts: Counter[str] = Counter()
        self._redaction = redaction
        self._waiting: list[tuple[FileInput, ParsedDocument, str]] = []
        self._chars = 0
        self._seen: dict[str, int] = {}
        self._count = 0
        self._left_out = LeftOut(redaction)

    @property
    def is_full(self) -> bool:
        """Enough for a frame: 512 rows or 4 MiB characters."""
        return self._chars >= FRAME_CHARS or len(self._waiting) >= FRAME_ROWS

    def look(self, file: FileInput, path: Path) -> None:
        """Search a file's bytes too, for what its parser leaves out; before its first document is added.

        Raises:
            OSError: they cannot be read.
        """
        self._left_out.look(file.file_id, path)

    def add(self, file: FileInput, document: ParsedDocument) -> None:
        """Take a document of the current file in; a repeated inner name is made unique."""
        whole = storable_document(document)
        # Names are masked before they are compared: two that differ in a secret are one name then.
        inner = redacted_line(whole.inner, self._redaction) if whole.inner else ""
        self._waiting.append((file, whole, unique_inner(inner, self._seen)))
        self._chars += len(whole.text)
        self._count += 1

    def end(self, file: FileInput) -> None:
        """Close the current file; one that gave nothing becomes an ``empty`` row."""
        if not self._count:
            reason = "the parser found no document in the file"
            self.add(file, ParsedDocument("", "none", status=Status.EMPTY, reason=reason))
        self._seen, self._count = {}, 0

    def frame(self) -> pl.DataFrame:
        """What was gathered since the last call."""
        waiting, self._waiting, self._chars = self._waiting, [], 0
        if not waiting:
            return pl.DataFrame(schema=DOCUMENTS.dtypes)
        in_bytes = self._left_out.take()
        documents = redacted(
            [document for _, document, _ in waiting],
            self._redaction,
            [in_bytes.pop(file.file_id, ()) for file, _, _ in waiting] if in_bytes else (),
        )
        self._counts.update(str(finding["rule"]) for one in documents for finding in one.findings)
        return rows_frame(
            [document_row(file, one, inner) for (file, _, inner), one in zip(waiting, documents, strict=True)]
        )

    def take_counts(self) -> Mapping[str, int]:
        """Rule to the number of its findings in the frames since this was last asked."""
        counts, self._counts = self._counts, Counter()
        return counts
