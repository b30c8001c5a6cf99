"""Which of a shard's chunks are in a space: all of them, or those of some kinds where a corpus has several models.

Where it is all of them, the columns that runs keep in memory are read; where it is some, the kind of each chunk, too.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import polars as pl

from cortex_assets.chunks.schema import CHUNKS
from cortex_assets.embeddings.schema import EMBEDDINGS
from cortex_assets.engine.narrow import narrow
from resources.lakehouse import Lakehouse


@dataclass(frozen=True, slots=True)
class Selection:
    """Kinds of chunks, sorted; None is every chunk."""

    kinds: tuple[str, ...] | None = None

    @property
    def name(self) -> str:
        """As signatures have it; empty for every chunk."""
        return "" if self.kinds is None else " ".join(self.kinds)

    def of(self, lake: Lakehouse, shard: str) -> pl.LazyFrame:
        """The chunks of a shard that are in the space: ids and hashes (``engine.narrow``)."""
        here = {"shard": shard}
        if self.kinds is None:
            return narrow(lake, CHUNKS, here)
        return lake.scan(CHUNKS, where=here).filter(pl.col("kind").is_in(list(self.kinds))).drop("text", "context")

    def added(self, lake: Lakehouse, files: Collection[str], columns: Sequence[str]) -> pl.LazyFrame:
        """Columns of those of the chunks that lie in some data files."""
        if self.kinds is None:
            return lake.scan_data(CHUNKS, files, columns)
        rows = lake.scan_data(CHUNKS, files, (*columns, "kind"))
        return rows.filter(pl.col("kind").is_in(list(self.kinds))).drop("kind")


EVERY = Selection()


def dimensions_of(lake: Lakehouse, space_id: str) -> int:
    """How long the vectors of a space are; 0 where there is none."""
    vectors = lake.scan(EMBEDDINGS, where={"space_id": space_id}).head(1)
    found = vectors.select(pl.col("vector").list.len()).collect().to_series()
    return int(found[0]) if len(found) else 0
