"""Rows of ``bronze/files`` from what was found out about files, and back.

Pure: facts in, frames out. Reading the bytes is ``engine.intake``'s; this module imports Polars, so a no-op scan does
    without it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from cortex_assets import identity, partitions
from cortex_assets.corpora.scan import KnownFile, StatTuple
from cortex_assets.corpora.schema import FILES, SCANS
from cortex_assets.tables import Status, short_reason

_EARLIEST_US = -62_135_596_800 * 10**6
_LATEST_US = 253_402_300_799 * 10**6


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What is known of one file after it was taken.

    Attributes:
        raw_path: relative path as bytes.
        stat: (size, mtime_ns, ctime_ns, inode) as listed.
        content_hash: SHA-256 in hex, None where the bytes were not read.
        media_type: by content, ``application/octet-stream`` where the bytes were not read.
        store: ``raw`` or ``reference``.
        status: ``ok``, ``too_large`` or ``failed``.
        reason: why, unless ``ok``.
    """

    raw_path: bytes
    stat: StatTuple
    content_hash: str | None
    media_type: str
    store: str
    status: Status = Status.OK
    reason: str | None = None


def display_path(raw_path: bytes) -> tuple[str, bytes | None]:
    """The path to show, and its bytes where they are not UTF-8 (then the shown path has replacement characters)."""
    try:
        return raw_path.decode("utf-8"), None
    except UnicodeDecodeError:
        return raw_path.decode("utf-8", "replace"), raw_path


def file_rows(corpus_id: str, corpus_name: str, shard_count: int, facts: Sequence[FileFacts]) -> pl.DataFrame:
    """Rows of ``bronze/files``, sorted by file id, with ``row_hash``.

    Args:
        corpus_id: the corpus.
        corpus_name: its name: the stem of its shards' names.
        shard_count: how many shards it has (0 counts as 1).
        facts: one per file.
    """
    rows = []
    for fact in facts:
        path, raw_path = display_path(fact.raw_path)
        file_id = identity.file_id(corpus_id, fact.raw_path)
        rows.append(
            {
                "shard": partitions.shard_of(corpus_name, file_id, shard_count),
                "file_id": file_id,
                "input_key": file_id,
                "corpus_id": corpus_id,
                "path": path,
                "raw_path": raw_path,
                "size": fact.stat[0],
                "modified_at": min(max(fact.stat[1] // 1000, _EARLIEST_US), _LATEST_US),
                "content_hash": fact.content_hash,
                "media_type": fact.media_type,
                "store": fact.store,
                "status": fact.status.value,
                "reason": None if fact.reason is None else short_reason(fact.reason),
            }
        )
    types = {name: dtype for name, dtype in FILES.dtypes.items() if name != "row_hash"}
    loose = types | {"modified_at": pl.Int64()}
    frame = pl.DataFrame(rows, schema=loose, orient="row").with_columns(
        pl.col("modified_at").cast(types["modified_at"])
    )
    hashed = identity.with_row_hash(frame.sort("file_id"), FILES.unhashed)
    return hashed.select(list(FILES.dtypes))


def scan_row(**values: object) -> pl.DataFrame:
    """The row of ``ops/scans`` with these values, one for each of its columns; ``unreadable`` takes raw prefixes.

    Raises:
        KeyError: a column has no value.
    """
    row = {name: values[name] for name in SCANS.dtypes}
    prefixes = row["unreadable"]
    if isinstance(prefixes, Sequence):
        row["unreadable"] = [display_path(prefix)[0] for prefix in prefixes]
    return pl.DataFrame([row], schema=SCANS.dtypes, orient="row")


def known_files(rows: pl.DataFrame) -> dict[bytes, KnownFile]:
    """Raw path to what ``bronze/files`` has of it, from that table's rows of one corpus."""
    names = ["path", "raw_path", "file_id", "shard", "size", "content_hash", "media_type", "store", "status"]
    known = {}
    for path, raw_path, *rest in rows.select(names).iter_rows():
        known[path.encode("utf-8") if raw_path is None else bytes(raw_path)] = KnownFile(*rest)
    return known
