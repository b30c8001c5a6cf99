"""How rows lie in the Parquet files of a Delta table: their size, order and statistics.

A table that is edited in place is copied file by file when rows change, so its files are small: what an edit writes is
about one of them. delta-rs cuts files only after every 1,024 rows of a batch, which makes files of 5 MB of 1,024
documents; therefore the files of such tables are cut here, and only their names are committed by delta-rs.
"""

import io
import json
import math
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import polars as pl

from resources.bucket import Bucket

if TYPE_CHECKING:
    from deltalake.transaction import AddAction

EDITED_FILE_BYTES, LEAST_FILE_BYTES = 48 * 1024, 8 * 1024
"""Size aimed at for tables that are edited in place, and for small ones among them: an edit copies a file."""
FEW_FILES, EDITED_FILES = 50, 2_000
"""A small table's files are of the smaller sizes while these are fewer than the first; beyond the second (96 MB
compressed) a table's files grow with it."""
APPENDED_FILE_BYTES = 32 * 1024 * 1024
OVERSIZE = 4
"""A shard with a file of more than so many times the aim is laid out anew by ``optimize``."""
MIXED_FILES = 2.0
"""A shard is sorted anew when more files than this may hold a key, on average over its files' first keys."""
CHECKPOINT_INTERVAL = "50"
KEPT = timedelta(days=7)
"""How long a table's log is kept whole by itself; maintenance sets what CORTEX_RETENTION says."""
ROW_GROUP = 4096
_ROW_BYTES = 64
"""Of a row's numbers, dates and short words in memory, beside its texts."""
_USUAL_RATIO = 0.35


def is_edited_in_place(sort_by: Sequence[str]) -> bool:
    """Whether rows of a table are replaced by input key: such tables are sorted by it."""
    return "input_key" in sort_by


def file_bytes(sort_by: Sequence[str], table_bytes: int = 0) -> int:
    """Size of file to aim at in a table that will have so many (compressed) bytes; 0 says that this is not known."""
    if not is_edited_in_place(sort_by):
        return APPENDED_FILE_BYTES
    usual = (
        min(EDITED_FILE_BYTES, max(LEAST_FILE_BYTES, table_bytes // FEW_FILES)) if table_bytes else EDITED_FILE_BYTES
    )
    return max(usual, table_bytes // EDITED_FILES)


def likely_bytes(rows: pl.DataFrame) -> int:
    """About how many bytes rows take as Parquet."""
    return int(rows.estimated_size() * _USUAL_RATIO)


def writer_properties(dtypes: Mapping[str, pl.DataType]) -> Any:
    """How delta-rs writes Parquet: ZSTD 1 takes half of level 3's time for 4 % more bytes; numbers of vectors rarely repeat."""
    from deltalake import ColumnProperties, WriterProperties

    has_vectors = any(isinstance(dtype, pl.List) for dtype in dtypes.values())
    return WriterProperties(
        compression="ZSTD",
        compression_level=1,
        max_row_group_size=ROW_GROUP,
        default_column_properties=ColumnProperties(dictionary_enabled=False) if has_vectors else None,
    )


def log_properties(retention: timedelta) -> dict[str, str]:
    """Properties that keep a table's log bounded: at a checkpoint delta-rs removes commits, and forgets files, that are older.

    Left alone it keeps 30 days of commits, each a file, and every checkpoint names the files that went in a week. What a
    checkpoint does not name any more a light vacuum does not see, so below an hour a file that went is named for that long.
    """
    seconds = math.ceil(retention.total_seconds())
    hours = f"interval {math.ceil(seconds / 3600)} hours"
    log = hours if seconds >= 3600 else f"interval {seconds} seconds"
    return {"delta.logRetentionDuration": log, "delta.deletedFileRetentionDuration": hours}


def configuration(sort_by: Sequence[str], statistics: Sequence[str]) -> dict[str, str | None]:
    """Properties of a new table: checkpoints, log, file size, and the columns whose smallest and largest value is kept."""
    return {
        **log_properties(KEPT),
        "delta.checkpointInterval": CHECKPOINT_INTERVAL,
        "delta.targetFileSize": str(file_bytes(sort_by)),
        "delta.dataSkippingStatsColumns": ",".join(statistics),
    }


def write_files(
    root: str,
    data: pl.DataFrame,
    aim: int,
    statistics: Sequence[str],
    storage_options: Mapping[str, str] | None = None,
) -> "list[AddAction]":
    """Write sorted rows as files of about ``aim`` bytes; nothing is part of the table until it is committed.

    Args:
        root: folder or URI of a table partitioned by ``shard``.
        data: rows, sorted, with the column ``shard``.
        aim: size of a file (``file_bytes``); none of several rows is larger than twice that.
        statistics: text columns whose range is kept for each file.
        storage_options: of an object store.

    Returns:
        One action to commit for each file.
    """
    actions: list[AddAction] = []
    for (shard,), rows in data.group_by("shard", maintain_order=True):
        folder = f"shard={quote(str(shard), safe='')}"  # as delta-rs names it
        for piece, content in _cut(rows.drop("shard"), aim):
            name = f"{folder}/part-{uuid.uuid4()}.zstd.parquet"
            _store(root.rstrip("/"), name, content, storage_options)
            actions.append(_action(name, str(shard), len(content), piece, statistics))
    return actions


def _cut(rows: pl.DataFrame, aim: int) -> Iterator[tuple[pl.DataFrame, bytes]]:
    """Pieces of about the size aimed at and their Parquet bytes; each piece tells how well the next one compresses."""
    texts = [pl.col(name).str.len_bytes().fill_null(0) for name, dtype in rows.schema.items() if dtype == pl.String]
    ends = rows.select(pl.sum_horizontal(*texts, pl.lit(_ROW_BYTES)).cum_sum().alias("bytes")).to_series()
    start, ratio = 0, _USUAL_RATIO
    while start < rows.height:
        begin = int(ends[start - 1]) if start else 0
        end = min(rows.height, int(ends.search_sorted(begin + aim / ratio)) + 1)
        if rows.height - end < (end - start) // 4:  # no crumb at the end
            end = rows.height
        content = _parquet(rows[start:end])
        while len(content) > 2 * aim and end - start > 1:
            end = start + (end - start) // 2
            content = _parquet(rows[start:end])
        yield rows[start:end], content
        ratio = len(content) / (int(ends[end - 1]) - begin)
        start = end


def _parquet(rows: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    rows.write_parquet(buffer, compression="zstd", compression_level=1, row_group_size=ROW_GROUP)
    return buffer.getvalue()


def _store(root: str, name: str, content: bytes, storage_options: Mapping[str, str] | None) -> None:
    """Write a new file, on disk or in an object store (delta-rs' own writer keeps Python's lock while the store answers)."""
    if "://" not in root or root.startswith("file://"):
        path = Path(root.removeprefix("file://"), name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return
    Bucket(root, tuple((storage_options or {}).items())).write(name, content)


def _action(name: str, shard: str, size: int, rows: pl.DataFrame, statistics: Sequence[str]) -> "AddAction":
    """What the log says of a file (Delta protocol, "Add File and Remove File", "Per-file Statistics")."""
    from deltalake.transaction import AddAction

    known = rows.select(pl.col(column) for column in statistics)
    stats = {
        "numRecords": rows.height,
        "minValues": {column.name: column.min() for column in known},
        "maxValues": {column.name: column.max() for column in known},
        "nullCount": {column.name: column.null_count() for column in known},
    }
    return AddAction(name, size, {"shard": shard}, int(time.time() * 1000), True, json.dumps(stats))


def scattered_shards(handle: Any, aim: int) -> list[str]:
    """Shards of many small files, of files far too large, or of files whose ranges of input keys overlap.

    Args:
        handle: a ``deltalake.DeltaTable`` partitioned by shard; only the statistics in its log are read.
        aim: size of a file (``file_bytes``).
    """
    columns = {
        "partition.shard": "shard",
        "min.input_key": "first",
        "max.input_key": "last",
        "size_bytes": "bytes",
        "num_records": "rows",
    }
    files = pl.DataFrame(handle.get_add_actions(flatten=True)).select(pl.col(k).alias(v) for k, v in columns.items())
    pairs = files.join(files.select("shard", key="first"), on="shard")
    holding = pairs.filter(pl.col("key").is_between("first", "last")).group_by("shard").len("holding")
    is_oversize = (pl.col("bytes") > OVERSIZE * aim) & (pl.col("rows") > 1)
    totals = files.group_by("shard").agg(pl.len().alias("files"), pl.col("bytes").sum(), oversize=is_oversize.any())
    ideal = (pl.col("bytes") / aim).ceil()
    is_scattered = (pl.col("files") > 2 * ideal + 1) | (pl.col("holding") > MIXED_FILES * pl.col("files"))
    shards = totals.join(holding, on="shard").filter(pl.col("oversize") | (is_scattered & (pl.col("files") > 1)))
    return shards.get_column("shard").sort().to_list()
