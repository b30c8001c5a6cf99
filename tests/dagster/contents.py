"""What a lake holds, as plain values that two lakes of the same source share: rows, ledgers, real points, vectors.

Left out: versions, times, generations, and embeddings that no chunk needs any more (the table is append-only).
"""

from collections.abc import Mapping
from typing import Any

import polars as pl

from apps.running import opened
from cortex_assets.chunks.schema import CHUNKS
from cortex_assets.corpora.schema import CORPUS_STATISTICS, DUPLICATES, FILES
from cortex_assets.documents.schema import DOCUMENTS
from cortex_assets.embeddings.schema import EMBEDDINGS
from cortex_assets.engine.aggregate import BUCKETS
from cortex_assets.engine.ledger import AssetLedger
from cortex_assets.house import House
from resources.vectors.edge import EdgeStore

HASHED = (FILES, DOCUMENTS, CHUNKS, DUPLICATES)
TEXTS = {"bronze/documents": "text", "silver/chunks": "text"}


def contents(with_vectors: bool = False) -> dict[str, Any]:
    """Everything comparable in the lake that the environment names; ``vectors`` is empty unless asked for."""
    with opened() as house:
        return contents_of(house, with_vectors)


def contents_of(house: House, with_vectors: bool = False) -> dict[str, Any]:
    """See ``contents``."""
    registered = house.register.corpora()
    shards = sorted(shard for corpus in registered for shard in corpus.shards)
    result: dict[str, Any] = {"corpora": sorted((c.corpus_id, c.name, c.shard_count, c.is_listed) for c in registered)}
    result["spaces"] = sorted((c.corpus_id, c.every_space) for c in registered)
    for table in HASHED:
        extra = [TEXTS[table.name]] if table.name in TEXTS else []
        rows = house.lake.scan(table).select("shard", table.key[0], "row_hash", *extra).collect()
        result[table.name] = [list(row) for row in rows.sort("shard", table.key[0]).iter_rows()]
    statistics = house.lake.scan(CORPUS_STATISTICS).collect().sort("corpus_id")
    result["statistics"] = [list(row) for row in statistics.iter_rows()]
    result["ledgers"] = {
        name: [row for place in places for row in _ledger(house, name, place)]
        for name, places in (("documents", shards), ("chunks", shards), ("duplicates", BUCKETS))
    }
    spaces = sorted({space_id for corpus in registered for space_id in corpus.every_space})
    result["points"], result["sidecars"] = _points(house, spaces, real=True), _points(house, spaces, real=False)
    result["unstored"] = _unstored(house)
    result["without vector"] = _without_vector(house)
    result["vectors"] = _vectors(house, spaces) if with_vectors else {}
    return _plain(result)


def _ledger(house: House, asset: str, shard: str) -> list[list[Any]]:
    columns = ["input_key", "input_hash", "row_count", "row_sum", "status"]
    rows = AssetLedger(house.lake, asset).rows(shard).select(columns).sort("input_key")
    return [[shard, *row] for row in rows.iter_rows()]


def _points(house: House, spaces: list[str], real: bool) -> dict[str, list[list[Any]]]:
    found = {}
    for space in spaces:
        for shard in house.store.shards(space):
            frame = house.store.real_points(space, shard) if real else house.store.sidecar(space, shard)
            if frame.height:
                found[f"{space}/{shard}"] = [list(row) for row in frame.sort("chunk_id").iter_rows()]
    return found


def _unstored(house: House) -> list[str]:
    """Content hashes that files name and whose bytes the raw store lacks or holds damaged."""
    named = house.lake.scan(FILES).filter((pl.col("store") == "raw") & pl.col("content_hash").is_not_null())
    hashes = named.select("content_hash").unique().collect().to_series().sort().to_list()
    return [content_hash for content_hash in hashes if not house.raw.verify(content_hash)]


def _without_vector(house: House) -> list[str]:
    chunks = house.lake.scan(CHUNKS).select("embed_hash", "chunk_id").collect()
    have = house.lake.scan(EMBEDDINGS).select("embed_hash").unique().collect()
    return chunks.join(have, on="embed_hash", how="anti").get_column("chunk_id").sort().to_list()


def _vectors(house: House, spaces: list[str]) -> dict[str, list[float]]:
    """Dense vector of every live point, as the index really holds it, by space and chunk id; empty where it has none."""
    assert isinstance(house.store, EdgeStore)
    found: dict[str, list[float]] = {}
    for space in spaces:
        for shard in house.store.shards(space):
            generation = house.store._open(space, shard)
            for part in generation.parts if generation else ():
                points = part.segment.stored(part.sidecar().get_column("chunk_id").to_list())
                for chunk_id, vector in points.select("chunk_id", "vector").iter_rows():
                    found[f"{space}/{chunk_id}"] = vector or []
    return found


def _plain(value: Any) -> Any:
    """JSON's own types, so that an image from another process equals one from here."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value
