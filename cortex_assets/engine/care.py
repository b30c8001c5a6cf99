"""Care of the lake: compact, vacuum, sweep, under the lake lease (ARCHITECTURE 4 "Storage").

Sweeps remove only what no retained version names and what is older than 24 hours. Nothing here changes what a table holds.
"""

import shutil
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from cortex_assets.chunks.schema import CHUNKS
from cortex_assets.corpora.schema import CORPORA, CORPUS_STATISTICS, DUPLICATES, FILES, SCANS
from cortex_assets.documents.schema import DOCUMENTS
from cortex_assets.embeddings.schema import EMBEDDINGS
from cortex_assets.engine.lease import lake_lease
from cortex_assets.ops.schema import CHECKS, LAKE, QUARANTINED_ROWS, RUNS, SECRET_COUNTS, SNAPSHOTS, ledger_table
from cortex_assets.tables import TableSpec
from resources.lakehouse import Lakehouse
from resources.raw_store import RawStore
from resources.settings import Settings
from resources.vectors.protocol import VectorStore

LEDGERS = tuple(ledger_table(name) for name in ("documents", "chunks", "embeddings", "duplicates", "corpus_statistics"))
TABLES = (
    CORPORA,
    FILES,
    SCANS,
    DOCUMENTS,
    CHUNKS,
    EMBEDDINGS,
    DUPLICATES,
    CORPUS_STATISTICS,
    LAKE,
    SNAPSHOTS,
    QUARANTINED_ROWS,
    SECRET_COUNTS,
    RUNS,
    CHECKS,
    *LEDGERS,
)
SWEEP_AGE = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Cared:
    """What care did for one table or store: files before and after, bytes freed on disk, seconds."""

    name: str
    files_before: int
    files_after: int
    bytes_freed: int
    seconds: float


def maintain_lake(
    lake: Lakehouse, raw: RawStore, store: VectorStore, spaces: Mapping[str, Sequence[str]], settings: Settings
) -> list[Cared]:
    """Sweep vectors, compact and vacuum every table, merge index segments, sweep raw bytes and git checkouts.

    Raises:
        LeaseBusy: a run holds a shard.
    """
    with lake_lease(settings.locks):
        sweep_vectors(lake, frozenset(spaces), settings.retention, datetime.now(UTC))
    done = [_care(lake, table, settings.retention) for table in TABLES if lake.version(table) >= 0]
    for space_id, shards in spaces.items():
        for shard in shards:
            begin = time.perf_counter()
            before = _weigh(settings.index)
            with lake_lease(settings.locks):
                store.compact(space_id, shard)
            after = _weigh(settings.index)
            freed = before[1] - after[1]
            done.append(Cared(f"index {shard}", before[0], after[0], freed, time.perf_counter() - begin))
    begin = time.perf_counter()
    before = _weigh(settings.raw)
    with lake_lease(settings.locks):
        raw.sweep(named_contents(lake, settings.retention), time.time() - SWEEP_AGE.total_seconds())
    after = _weigh(settings.raw)
    done.append(Cared("raw store", before[0], after[0], before[1] - after[1], time.perf_counter() - begin))
    begin = time.perf_counter()
    before = _weigh(settings.cache / "git")
    with lake_lease(settings.locks):
        sweep_checkouts(lake, settings.cache / "git", time.time() - SWEEP_AGE.total_seconds())
    after = _weigh(settings.cache / "git")
    if before != after:
        done.append(Cared("git checkouts", before[0], after[0], before[1] - after[1], time.perf_counter() - begin))
    return done


def _care(lake: Lakehouse, table: TableSpec, retention: timedelta) -> Cared:
    begin = time.perf_counter()
    folder = Path(lake.uri(table))
    before = _weigh(folder)
    lake.optimize(table)
    lake.vacuum(table, retention)
    after = _weigh(folder)
    return Cared(table.name, before[0], after[0], before[1] - after[1], time.perf_counter() - begin)


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


def sweep_vectors(lake: Lakehouse, spaces: Collection[str], retention: timedelta, now: datetime) -> int:
    """Delete vectors of texts that no retained version of the chunks names, and of spaces that nothing uses any more.

    A vector has no age of its own, so nothing is deleted that was named within the retention, and within 24 hours where
    that is longer. The caller holds the lake's lease.

    Args:
        lake: the tables.
        spaces: spaces that corpora are searched in. Others stay too where they were published within the retention, or
            never yet (a corpus is on its way to them).
        retention: how long old versions stay.
        now: the end of the retention.

    Returns:
        Number of rows deleted.
    """
    before = lake.scan(EMBEDDINGS).select(pl.len()).collect().item()
    oldest = now - max(retention, SWEEP_AGE)
    published = lake.scan(SNAPSHOTS).group_by("space_id").agg(pl.col("published_at").max()).collect()
    dropped = published.filter((pl.col("published_at") < oldest) & ~pl.col("space_id").is_in(list(spaces)))
    lake.delete_where(EMBEDDINGS, "space_id", dropped.get_column("space_id").to_list())
    latest = lake.history(CHUNKS, limit=1)
    is_told = retention >= SWEEP_AGE or not latest or _committed_at(latest[0]) < oldest
    if is_told:
        named = named_texts(lake, now - retention)
        texts = lake.scan(EMBEDDINGS).select("embed_hash").unique().collect()
        gone = texts.join(named, on="embed_hash", how="anti").get_column("embed_hash").sort().to_list()
        lake.delete_where(EMBEDDINGS, "embed_hash", gone)
    return int(before - lake.scan(EMBEDDINGS).select(pl.len()).collect().item())


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


def sweep_checkouts(lake: Lakehouse, folder: Path, older_than: float) -> int:
    """Remove git checkouts of corpora that are not registered any more, last touched before ``older_than`` (epoch seconds)."""
    known = set(lake.scan(CORPORA).select("corpus_id").collect().get_column("corpus_id"))
    left = [path for path in folder.iterdir() if path.name not in known] if folder.is_dir() else []
    old = [path for path in left if path.is_dir() and path.stat().st_mtime < older_than]
    for path in old:
        shutil.rmtree(path)
    return len(old)


def _committed_at(commit: Mapping[str, Any]) -> datetime:
    return datetime.fromtimestamp(commit["timestamp"] / 1000, UTC)


def _weigh(folder: Path) -> tuple[int, int]:
    """(files, bytes on disk) below a folder."""
    sizes = [path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file()] if folder.exists() else []
    return len(sizes), sum(sizes)
