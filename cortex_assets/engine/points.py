"""A shard's points as they are published: payload, vector, sparse terms, read from Delta for a block of chunks.

What points there should be and which of them differ is ``engine.project``'s.
"""

from collections.abc import Mapping

import polars as pl

from cortex_assets.chunks.schema import CHUNKS
from cortex_assets.documents.schema import DOCUMENTS
from cortex_assets.embeddings.schema import EMBEDDINGS
from cortex_assets.index.points import point_payload
from cortex_assets.retrieval.sparse import Fields, SparseBatch, encode_points
from resources.lakehouse import Lakehouse

NO_POINTS: dict[str, pl.DataType | type[pl.DataType]] = {
    "chunk_id": pl.String,
    "row_hash": pl.Int64,
    "vector": pl.List(pl.Float32()),
    "terms": pl.List(pl.UInt32()),
    "weights": pl.List(pl.Float32()),
}


def points_of(lake: Lakehouse, space_id: str, shard: str, wanted: pl.DataFrame) -> pl.DataFrame:
    """Full points of some chunks, as ``VectorStore.publish`` takes them.

    Args:
        lake: the tables.
        space_id: whose vectors.
        shard: whose chunks.
        wanted: ``chunk_id point_hash embed_hash has_vector input_key``, one row a point.

    Returns:
        Payload, row hash, vector (null where there is none), sparse terms and weights.
    """
    if wanted.is_empty():
        return pl.DataFrame(schema=NO_POINTS)
    keys = {"input_key": wanted.get_column("input_key").unique().to_list(), "chunk_id": wanted["chunk_id"].to_list()}
    chunks = lake.scan(CHUNKS, where={"shard": shard}, keys=keys).collect()
    document_ids = chunks.get_column("document_id").unique().to_list()
    documents = (
        lake.scan(DOCUMENTS, where={"shard": shard}, keys={"document_id": document_ids})
        .drop("text", "structure")
        .collect()
    )
    shown = wanted.select("chunk_id", "point_hash", "has_vector", "embed_hash")
    payload = point_payload(chunks, documents).join(shown, on="chunk_id", maintain_order="left")
    hashes = payload.filter("has_vector").get_column("embed_hash").unique().to_list()
    vectors = lake.pick(EMBEDDINGS, {"space_id": space_id}, "embed_hash", hashes, ("embed_hash", "vector"))
    terms, weights = _sparse_columns(encode_points(_fields(payload)))
    return (
        payload.with_columns(terms, weights, row_hash=pl.col("point_hash"))
        .join(vectors.unique("embed_hash", keep="first"), on="embed_hash", how="left", maintain_order="left")
        .drop("point_hash", "has_vector", "embed_hash")
    )


def points_apart(
    wanted: pl.DataFrame, root: str, storage_options: Mapping[str, str] | None, space_id: str, shard: str
) -> pl.DataFrame:
    """``points_of`` for another process (``resources.crew``), which opens the lake at ``root`` itself."""
    return points_of(Lakehouse(root, storage_options=storage_options), space_id, shard, wanted)


def _fields(payload: pl.DataFrame) -> list[Fields]:
    columns = [payload.get_column(n).fill_null("").to_list() for n in ("text", "context", "title", "symbol", "path")]
    return [Fields(*row) for row in zip(*columns, strict=True)]


def _sparse_columns(batch: SparseBatch) -> tuple[pl.Series, pl.Series]:
    """The batch's flat arrays as list columns, without copying."""
    import pyarrow as pa

    offsets = pa.array(batch.offsets, pa.int64())
    terms = pa.LargeListArray.from_arrays(offsets, pa.array(batch.ids, pa.uint32()))
    weights = pa.LargeListArray.from_arrays(offsets, pa.array(batch.weights, pa.float32()))
    return pl.Series("terms", terms), pl.Series("weights", weights)
