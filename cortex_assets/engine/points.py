"""A shard's points as they are published: payload, vector, sparse terms, read from Delta for a block of chunks.

What points there should be and which of them differ is ``engine.wanted``'s.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache, lru_cache
from pathlib import Path

import polars as pl

from cortex_assets.chunks.schema import CHUNKS
from cortex_assets.documents.schema import DOCUMENTS
from cortex_assets.embeddings.schema import EMBEDDINGS
from cortex_assets.engine.fresh import fresh_vectors
from cortex_assets.engine.narrow import narrow
from cortex_assets.index.points import DOCUMENT_COLUMNS, code_language, point_payload
from cortex_assets.retrieval.sparse import Fields, SparseBatch, encode_points
from resources.lakehouse import Lakehouse
from resources.memory import give_back
from resources.vectors.protocol import Upserts
from resources.vectors.publishing import write_segment

READ_POINTS, PART_POINTS = 11_000, 1_000
"""Read at once, and encoded at once: what a process that writes points has in memory."""
WHOLE_FROM, WHOLE_ROWS = 4_000, 50_000
"""Of so many points all documents of the shard are read, which a filter by their ids takes longer for, where the shard has
no more of them than that: a mailbox may hold a million."""


def parts_of(
    lake: Lakehouse, space_id: str, shard: str, wanted: pl.DataFrame, fresh: Sequence[Path] = ()
) -> Iterator[pl.DataFrame]:
    """Full points of some chunks, some thousands at a time, as ``VectorStore.publish`` takes them.

    Args:
        lake: the tables.
        space_id: whose vectors.
        shard: whose chunks.
        wanted: ``chunk_id point_hash embed_hash has_vector input_key document_id``, one row a point.
        fresh: files that hold some of the vectors (``engine.fresh``).

    Yields:
        Payload, row hash, vector (null where there is none), sparse terms and weights.
    """
    documents = _documents(lake, shard, wanted)
    for start in range(0, wanted.height, READ_POINTS):
        some = wanted.slice(start, READ_POINTS)
        yield from _parts(lake, shard, some, documents, _vectors(lake, space_id, some, fresh))


def _documents(lake: Lakehouse, shard: str, wanted: pl.DataFrame) -> pl.DataFrame:
    """``DOCUMENT_COLUMNS`` of some points; of many points those of the whole shard, read once while they stay."""
    places = narrow(lake, DOCUMENTS, {"shard": shard}).select("document_id", "input_key")
    if wanted.height >= WHOLE_FROM and places.select(pl.len()).collect().item() <= WHOLE_ROWS:
        return _all_documents(lake, shard, lake.partition_token(DOCUMENTS, "shard", [shard]))
    ids = wanted.select("document_id").unique()
    found = places.join(ids.lazy(), on="document_id", how="semi").collect(engine="streaming")
    files = found.get_column("input_key").unique()
    keys = {"input_key": files.to_list(), "document_id": ids["document_id"].to_list()}
    return lake.near(DOCUMENTS, {"shard": shard}, keys, DOCUMENT_COLUMNS)


@lru_cache(maxsize=1)
def _all_documents(lake: Lakehouse, shard: str, token: str) -> pl.DataFrame:
    return lake.scan(DOCUMENTS, where={"shard": shard}).select(DOCUMENT_COLUMNS).collect()


def _vectors(lake: Lakehouse, space_id: str, wanted: pl.DataFrame, fresh: Sequence[Path]) -> pl.DataFrame:
    """``embed_hash vector`` of some points, each once."""
    hashes = wanted.filter("has_vector").select("embed_hash").unique()
    found = fresh_vectors(fresh, hashes)
    others = hashes.join(found, on="embed_hash", how="anti").get_column("embed_hash").to_list()
    read = lake.pick(EMBEDDINGS, {"space_id": space_id}, "embed_hash", others, ("embed_hash", "vector"))
    return pl.concat([found, read.unique("embed_hash", keep="first")])


def _parts(
    lake: Lakehouse, shard: str, wanted: pl.DataFrame, documents: pl.DataFrame, vectors: pl.DataFrame
) -> Iterator[pl.DataFrame]:
    """``parts_of`` of some points, whose rows are read at once: vectors do not lie in their order."""
    keys = wanted.get_column("input_key").unique().to_list()
    found = lake.near(CHUNKS, {"shard": shard}, {"input_key": keys}, list(CHUNKS.dtypes))
    chunks = wanted.select("chunk_id").join(found, on="chunk_id", maintain_order="left")
    shown = wanted.select("chunk_id", "point_hash", "has_vector", "embed_hash")
    del found
    for start in range(0, chunks.height, PART_POINTS):
        payload = point_payload(chunks.slice(start, PART_POINTS), documents)
        payload = payload.join(shown, on="chunk_id", maintain_order="left")
        terms, weights = _sparse_columns(encode_points(_fields(payload)))
        part = payload.with_columns(terms, weights, row_hash=pl.col("point_hash"))
        part = part.join(vectors, on="embed_hash", how="left", maintain_order="left")
        yield part.drop("point_hash", "has_vector", "embed_hash")


def segment_apart(
    wanted: pl.DataFrame,
    root: str,
    storage_options: Mapping[str, str] | None,
    space: tuple[str, int],
    shard: str,
    place: str,
    versions: Mapping[str, int],
    fresh: Sequence[Path],
) -> pl.DataFrame:
    """Write points as a segment to be published, in whatever process (``resources.crew``), while later commits go on.

    Args:
        wanted: see ``parts_of``.
        root: the lake's.
        storage_options: the lake's.
        space: its id and dimensions.
        shard: whose chunks.
        place: folder for the segment.
        versions: of the tables, by name: those that ``wanted`` was read from.
        fresh: files that hold some of the vectors.

    Returns:
        One row, column ``segment``: the folder.
    """
    space_id, dimensions = space
    lake = _lake(root, tuple((storage_options or {}).items()), tuple(sorted(versions.items())))
    parts = parts_of(lake, space_id, shard, wanted, fresh)
    _give_back_once()
    segment = write_segment(Path(place), dimensions, Upserts(wanted["chunk_id"], parts))
    return pl.DataFrame({"segment": [str(segment)]})


@lru_cache(maxsize=1)
def _lake(root: str, storage_options: tuple[tuple[str, str], ...], at: tuple[tuple[str, int], ...]) -> Lakehouse:
    """The lake at some versions as this process knows it: opened once, not once a segment."""
    return Lakehouse(root, storage_options=dict(storage_options), at=dict(at))


@cache
def _give_back_once() -> None:
    """What chunking left in this process; later it only costs time."""
    give_back()


def _fields(payload: pl.DataFrame) -> list[Fields]:
    shown = payload.with_columns(language=code_language())
    names = ("text", "context", "title", "symbol", "path", "language")
    columns = [shown.get_column(name).fill_null("").to_list() for name in names]
    return [Fields(*row) for row in zip(*columns, strict=True)]


def _sparse_columns(batch: SparseBatch) -> tuple[pl.Series, pl.Series]:
    """The batch's flat arrays as list columns, without copying; importing pyarrow for it takes .1 s."""
    from arro3.core import Array, list_array

    offsets = Array.from_numpy(batch.offsets)
    columns = {"terms": batch.ids, "weights": batch.weights}
    terms, weights = (
        pl.Series(list_array(offsets, Array.from_numpy(values))).alias(name) for name, values in columns.items()
    )
    return terms, weights
