"""Rows of ``ops/snapshots``: which table versions a shard's index generation was made from; ``as_of`` resolves to them."""

import json
from collections.abc import Mapping
from datetime import datetime

import polars as pl

from cortex_assets.ops.schema import SNAPSHOTS
from resources.lakehouse import Lakehouse
from resources.vectors.protocol import VectorStore


def record(
    lake: Lakehouse, space_id: str, shard: str, generation: int, versions: Mapping[str, int], points: int, now: datetime
) -> None:
    """Append the row of a generation.

    Args:
        lake: takes it.
        space_id: of the generation.
        shard: of the generation.
        generation: its number.
        versions: table name to version.
        points: how many it holds.
        now: when it was published.
    """
    row = {
        "shard": shard,
        "space_id": space_id,
        "generation": generation,
        "published_at": now,
        "versions": json.dumps(dict(versions), sort_keys=True),
        "points": points,
    }
    lake.append(SNAPSHOTS, pl.DataFrame([row], schema=SNAPSHOTS.dtypes))


def record_current(lake: Lakehouse, store: VectorStore, space_id: str, shard: str, now: datetime) -> None:
    """Append the row of the current generation where a crash came between its publish and that row."""
    current = store.generation(space_id, shard)
    if current is None:
        return
    mine = (pl.col("space_id") == space_id) & (pl.col("generation") == current.number)
    if not lake.scan(SNAPSHOTS, where={"shard": shard}).filter(mine).select(pl.len()).collect().item():
        record(lake, space_id, shard, current.number, current.versions, current.points, now)
