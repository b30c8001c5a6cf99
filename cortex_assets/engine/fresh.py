"""Vectors made in this run, kept beside the lake until their points are published.

Reading a vector back from Parquet costs more than all else of its point, and files of vectors do not lie in the order of
points. A copy in Arrow's format is mapped, not decoded. Delta stays the truth: a vector that is not here is read there.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import polars as pl

LEAST_ROWS, MOST_FILES = 512, 64
"""Fewer vectors at once are as well read from Delta; more files are not kept, whoever forgot to take them."""


class FreshVectors:
    """What a run's embeddings stage leaves for its index stage, shard by shard."""

    def __init__(self, folder: Callable[[], Path]) -> None:
        """Keep nothing yet; ``folder`` gives one that is gone with this process."""
        self._folder = folder
        self._kept: dict[str, list[Path]] = {}
        self._count = 0

    def keep(self, shard: str, rows: pl.DataFrame) -> None:
        """Keep ``embed_hash vector`` of rows that are committed. Without room on the disk nothing is kept."""
        kept = self._kept.setdefault(shard, [])
        if rows.height < LEAST_ROWS or len(kept) >= MOST_FILES:
            return
        self._count += 1
        path = self._folder() / f"vectors-{self._count}.arrow"
        try:
            rows.select("embed_hash", "vector").write_ipc(path, compression="uncompressed")
        except OSError:
            path.unlink(missing_ok=True)
        else:
            kept.append(path)

    def take(self, shard: str) -> list[Path]:
        """Files kept for a shard since the last call; to be given to ``forget`` when they are read."""
        return self._kept.pop(shard, [])


def forget(files: Sequence[Path]) -> None:
    """Remove files that nobody reads any more."""
    for path in files:
        path.unlink(missing_ok=True)


def fresh_vectors(files: Sequence[Path], hashes: pl.DataFrame) -> pl.DataFrame:
    """``embed_hash vector`` of those of ``hashes`` (column ``embed_hash``) that lie in the files, each once."""
    there = [path for path in files if path.exists()]
    if not there:
        return pl.DataFrame(schema={"embed_hash": pl.String, "vector": pl.List(pl.Float32)})
    return (
        pl.scan_ipc(there).join(hashes.lazy(), on="embed_hash", how="semi").collect().unique("embed_hash", keep="first")
    )
