"""How a table's rows lie in files and shards, made anew: compacted, sorted, moved between shards. Their values stay.

What new rows are written as is ``delta_files``'s; what is deleted for good is ``lake_care``'s.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any

import polars as pl

from resources import delta_files
from resources.delta_scan import rows_where
from resources.lake_handles import Handles, grown, stored_bytes
from resources.lake_table import Table
from resources.lake_writing import Writes, statistics

LAYOUT_BYTES = 32 * 1024 * 1024
"""Compressed bytes of a shard that are held in memory while it is laid out anew."""


def optimize(
    handles: Handles, writes: Writes, exclusive: Callable[[], AbstractContextManager[object]], table: Table
) -> dict[str, Any]:
    """Compact small files under the exclusive maintenance lock; the table is opened after the lock is taken.

    A shard of a table sorted by input key is written anew, sorted, when its files are many or large or their keys
    overlap: compacting joins files that are not neighbours, and then a literal key prunes few of them. The lock is let
    go between shards.

    Args:
        handles: of the lake.
        writes: of the lake.
        exclusive: takes the lock.
        table: which.
    """
    with exclusive():
        handle = grown(table, handles.open(table))
        if handle is None:
            return {}
        writes.before_write()
        if not delta_files.is_edited_in_place(table.sort_by):
            target, how = delta_files.APPENDED_FILE_BYTES, delta_files.writer_properties(table.dtypes)
            return dict(handle.optimize.compact(target_size=target, writer_properties=how))
    done = {}
    for shard in scattered(handles, table):
        with exclusive():
            writes.before_write()
            done[shard] = _lay_out(handles, writes, table, shard)
    return done


def scattered(handles: Handles, table: Table) -> list[str]:
    """Shards that ``optimize`` would write anew; none of a table that is only appended to."""
    handle = handles.open(table)
    if handle is None or not delta_files.is_edited_in_place(table.sort_by):
        return []
    return delta_files.scattered_shards(handle, delta_files.file_bytes(table.sort_by, stored_bytes(handle)))


def _lay_out(handles: Handles, writes: Writes, table: Table, shard: str) -> int:
    """Write a shard anew, sorted, as files of its table's size; the number of files."""
    handle = handles.existing(table)
    aim = delta_files.file_bytes(table.sort_by, stored_bytes(handle))
    rows = rows_where(handle, table.partition_by, table.dtypes, {"shard": shard}, {}, handles.is_local)
    actions = []
    for block in _blocks(handle, rows, [shard]):
        sorted_rows = block.sort(list(table.sort_by)).collect()
        actions += delta_files.write_files(
            handles.uri(table), sorted_rows, aim, statistics(table), handles.storage_options
        )
    if not actions:  # gone since it was found scattered
        return 0
    only = [("shard", "=", shard)]
    writes.overwrite_files(table, handle, actions, only)
    return len(actions)


def rearrange(
    handles: Handles,
    writes: Writes,
    table: Table,
    shards: Sequence[str],
    columns: Sequence[str],
    placed: Callable[[pl.DataFrame], pl.Series],
) -> int:
    """See ``Lakehouse.rearrange``. Blocks of rows are in memory, never the table."""
    handle = handles.open(table)
    if handle is None or not shards:
        return 0
    rows = rows_where(handle, table.partition_by, table.dtypes, {}, {"shard": list(shards)}, handles.is_local)
    narrow = rows.select("shard", *columns).collect()
    moved = narrow.filter(narrow["shard"] != placed(narrow)).height
    if not moved:
        return 0
    writes.before_write()
    aim, actions = delta_files.file_bytes(table.sort_by, stored_bytes(handle)), []
    for block in _blocks(handle, rows, shards):
        found = block.collect()
        sorted_rows = found.with_columns(placed(found).alias("shard")).sort("shard", *table.sort_by)
        actions += delta_files.write_files(
            handles.uri(table), sorted_rows, aim, statistics(table), handles.storage_options
        )
    only = [("shard", "in", list(shards))]
    writes.overwrite_files(table, handle, actions, only)
    return moved


def _blocks(handle: Any, rows: pl.LazyFrame, shards: Sequence[str]) -> Iterator[pl.LazyFrame]:
    """Rows of some shards by ranges of their input keys, about ``LAYOUT_BYTES`` at a time."""
    keys = rows.select("input_key").sort("input_key").collect().to_series()
    files = pl.DataFrame(handle.get_add_actions(flatten=True)).filter(pl.col("partition.shard").is_in(list(shards)))
    blocks = math.ceil(files["size_bytes"].sum() / LAYOUT_BYTES)
    if keys.is_empty():
        return
    firsts = keys.gather([keys.len() * number // blocks for number in range(blocks)]).unique(maintain_order=True)
    for first, last in zip(firsts, [*firsts[1:], None], strict=True):
        block = rows.filter(pl.col("input_key") >= first)
        yield block if last is None else block.filter(pl.col("input_key") < last)
