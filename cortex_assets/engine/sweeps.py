"""What sweeps may take out: vectors of texts and of spaces that no retained version names; bytes are asked for by name.

``engine.care`` calls this in turns. Nothing is told that was named within the retention, and within the sweeps' age where that is longer.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl

from cortex_assets.chunks.schema import CHUNKS
from cortex_assets.corpora.schema import FILES
from cortex_assets.embeddings.schema import EMBEDDINGS
from cortex_assets.ops.schema import SNAPSHOTS
from resources.lakehouse import Lakehouse


def named_contents(lake: Lakehouse, retention: timedelta) -> set[str]:
    """Content hashes of files in the latest version and in every version within the retention."""
    oldest = datetime.now(UTC) - retention
    named: set[str] = set()
    for commit in lake.history(FILES, limit=100_000):
        version = int(commit["version"])
        is_old = datetime.fromtimestamp(commit["timestamp"] / 1000, UTC) < oldest
        rows = lake.scan(FILES, version=version).select(pl.col("content_hash").drop_nulls().unique()).collect()
        named.update(rows.to_series().to_list())
        if is_old:
            break
    return named


@dataclass(frozen=True, slots=True)
class Doomed:
    """Vectors that are to go: those of whole spaces, those of texts, and how many rows that is."""

    spaces: tuple[str, ...]
    texts: tuple[str, ...]
    rows: int


def doomed_spaces(lake: Lakehouse, spaces: Collection[str], age: timedelta, now: datetime) -> list[str]:
    """Spaces that no corpus is searched in, and that were last published before ``age`` began."""
    published = lake.scan(SNAPSHOTS).group_by("space_id").agg(pl.col("published_at").max()).collect()
    is_old = pl.col("published_at") < now - age
    return published.filter(is_old & ~pl.col("space_id").is_in(list(spaces)))["space_id"].sort().to_list()


def doomed_vectors(
    lake: Lakehouse, spaces: Collection[str], retention: timedelta, sweep_age: timedelta, now: datetime
) -> Doomed:
    """Vectors of texts that no retained version of the chunks names, and of spaces that nothing uses any more.

    A vector has no age of its own, so nothing is told that was named within the retention, and within
    ``sweep_age`` where that is longer.

    Args:
        lake: the tables.
        spaces: spaces that corpora are searched in. Others stay too where they were published within the retention, or
            never yet (a corpus is on its way to them).
        retention: how long old versions stay.
        sweep_age: how old at least what goes must be.
        now: the end of the retention.
    """
    dropped = doomed_spaces(lake, spaces, max(retention, sweep_age), now)
    held = lake.scan(EMBEDDINGS).select("space_id", "embed_hash").collect()
    latest = lake.history(CHUNKS, limit=1)
    is_told = retention >= sweep_age or not latest or _committed_at(latest[0]) < now - sweep_age
    gone = held.clear()
    if is_told:
        gone = held.join(named_texts(lake, now - retention), on="embed_hash", how="anti")
    rows = held.filter(pl.col("space_id").is_in(dropped) | pl.col("embed_hash").is_in(gone["embed_hash"].implode()))
    return Doomed(tuple(dropped), tuple(gone["embed_hash"].unique().sort()), rows.height)


def sweep_vectors(
    lake: Lakehouse, spaces: Collection[str], retention: timedelta, sweep_age: timedelta, now: datetime
) -> int:
    """Delete what ``doomed_vectors`` tells; the number of rows. The caller holds the lake's lease."""
    doomed = doomed_vectors(lake, spaces, retention, sweep_age, now)
    lake.delete_where(EMBEDDINGS, "space_id", doomed.spaces)
    lake.delete_where(EMBEDDINGS, "embed_hash", doomed.texts)
    return doomed.rows


def named_texts(lake: Lakehouse, oldest: datetime) -> pl.DataFrame:
    """Embed hashes of chunks in the latest version and in every one since ``oldest``; each data file is read once."""
    files: set[str] = set()
    for commit in lake.history(CHUNKS, limit=100_000):
        handle = lake.open(CHUNKS, int(commit["version"]))
        files.update(handle.file_uris() if handle is not None else ())
        if _committed_at(commit) < oldest:
            break
    if not files:
        return pl.DataFrame(schema={"embed_hash": pl.String})
    return pl.scan_parquet(sorted(files)).select(pl.col("embed_hash").cast(pl.String)).unique().collect()


def _committed_at(commit: Mapping[str, Any]) -> datetime:
    return datetime.fromtimestamp(commit["timestamp"] / 1000, UTC)
