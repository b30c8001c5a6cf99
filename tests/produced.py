"""What becomes of one file on the way that a run takes: media type by content, route, sandbox, recovery, rows.

For tests and fuzzing: it differs from a run only in that the bytes lie where a test put them. Besides the rows it keeps
the documents as the parsers gave them, because rows hide what a parser gets wrong (an overlong reason is cut, say).
"""

import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from cortex_assets.documents.derive import DocumentsCompute
from cortex_assets.documents.model import ParsedDocument, ParseOptions
from cortex_assets.documents.recovery import Call
from cortex_assets.documents.registry import Route, parser_for
from cortex_assets.media.detect import HEAD_BYTES, TAIL_BYTES, media_type
from resources.sandbox import Sandbox

_WHEN = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Produced:
    """What one file became.

    Attributes:
        media: its media type.
        route: which parser read it.
        documents: as the parser gave them.
        rows: of the documents table.
        failure: why the file counts as failed; empty where it does not.
        seconds: how long it took.
        longest: the longest time in which no document came, in seconds.
        attempts: how many calls in child processes that were.
    """

    media: str
    route: Route
    documents: list[ParsedDocument]
    rows: pl.DataFrame
    failure: str
    seconds: float
    longest: float
    attempts: int

    @property
    def status(self) -> str:
        """The file's own status: that of its documents that are no members, ``partial`` where those differ."""
        own = self.rows.filter(~pl.col("inner").str.starts_with("/"))
        statuses = set((own if own.height else self.rows).get_column("status"))
        return statuses.pop() if len(statuses) == 1 else "partial"

    @property
    def reason(self) -> str:
        """The reasons of all rows, each once."""
        return " | ".join(self.rows.get_column("reason").drop_nulls().unique(maintain_order=True))


def produce(path: Path, sandbox: Sandbox, name: str = "", passwords: tuple[str, ...] = ()) -> Produced:
    """Take one file the whole way.

    Args:
        path: where its bytes are.
        sandbox: where isolated parsers run.
        name: what the file is called in its corpus; the name of ``path`` where empty.
        passwords: of the corpus.
    """
    name = name or path.name
    size = path.stat().st_size
    with open(path, "rb") as stream:
        head = stream.read(HEAD_BYTES)
        stream.seek(max(len(head), size - TAIL_BYTES))
        media = media_type(head, stream.read(TAIL_BYTES), name, size)
    counted = _Counted(sandbox)
    compute = _Kept(lambda row: nullcontext(path), lambda: counted, options=lambda: ParseOptions(passwords=passwords))
    begin = time.monotonic()
    outputs = list(compute(_row(name, media, size)))
    seconds = time.monotonic() - begin
    failures = [failure.reason for output in outputs for failure in output.failures.values()]
    rows = pl.concat(output.frame for output in outputs)
    return Produced(
        media, parser_for(media), compute.documents, rows, "; ".join(failures), seconds, compute.longest, counted.calls
    )


def _row(name: str, media: str, size: int) -> pl.DataFrame:
    """The file's row as the documents stage reads it."""
    row = {
        "file_id": "f" * 32,
        "corpus_id": "c" * 32,
        "shard": "test",
        "path": name,
        "raw_path": None,
        "media_type": media,
        "size": size,
        "content_hash": "0" * 64,
        "store": "reference",
        "modified_at": _WHEN,
    }
    return pl.DataFrame([row])


class _Counted:
    """A sandbox that counts its calls."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox, self.calls = sandbox, 0

    def call(self, function: str, *args: Any) -> Call:
        self.calls += 1
        return self._sandbox.call(function, *args)

    def call_apart(self, function: str, *args: Any) -> Call:
        self.calls += 1
        return self._sandbox.call_apart(function, *args)


class _Kept(DocumentsCompute):
    """Keeps the documents beside the rows."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.documents: list[ParsedDocument] = []
        self.longest = 0.0

    def _parsed(self, *args: Any, **options: Any) -> Iterator[ParsedDocument]:
        since = time.monotonic()
        for document in super()._parsed(*args, **options):
            self.longest = max(self.longest, time.monotonic() - since)
            self.documents.append(document)
            yield document
            since = time.monotonic()
        self.longest = max(self.longest, time.monotonic() - since)
