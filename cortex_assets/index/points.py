"""From chunks and documents to points of the index: which there should be, what differs, what a point shows. Pure.

Reading the tables and publishing the difference is the asset's work; what a store does with points is
``resources.vectors``'. A point's hash covers its chunk's row, its document's row, whether its vector exists and the
version of the encoder of its sparse terms; ``modified_at`` is shown and not hashed, as in the documents table, so that
a touch moves nothing.
"""

from typing import NamedTuple

import numpy as np
import polars as pl

from cortex_assets.identity import value_hash
from inference.hashing import Hashes, mixed

PAYLOAD_COLUMNS = (
    "text",
    "context",
    "corpus_id",
    "document_id",
    "file_id",
    "path",
    "title",
    "kind",
    "chunk_kind",
    "language",
    "symbol",
    "start_char",
    "end_char",
    "start_line",
    "end_line",
    "start_page",
    "end_page",
    "place",
    "inner",
    "modified_at",
    "row_hash",
)
DOCUMENT_COLUMNS = ("document_id", "file_id", "inner", "path", "title", "kind", "language", "modified_at")
"""What a point shows of its document."""
_POINTS_SCHEMA = {"chunk_id": pl.String, "point_hash": pl.Int64, "has_vector": pl.Boolean}

_STEP = np.uint64(0x9E3779B97F4A7C15)


class Difference(NamedTuple):
    """What to publish; an id in both lists is held twice or falsely: remove every copy, then insert it."""

    upserts: list[str]
    deletes: list[str]


def desired_points(
    chunks: pl.DataFrame | pl.LazyFrame,
    documents: pl.DataFrame | pl.LazyFrame,
    vectors: pl.DataFrame | pl.LazyFrame,
    encoder_version: str,
) -> pl.DataFrame:
    """The points that the index should hold.

    Args:
        chunks: ``chunk_id``, ``row_hash``, ``embed_hash``, ``document_id``, ``is_active``.
        documents: ``document_id``, ``row_hash``.
        vectors: ``embed_hash`` of the vectors that exist in the space.
        encoder_version: of the encoder of sparse terms.

    Returns:
        ``chunk_id``, ``point_hash`` (Int64), ``has_vector``, in no order: one row per active chunk whose document exists. Of
        lazy frames the other columns are never in memory as a whole.
    """
    have = vectors.lazy().select("embed_hash").unique().with_columns(has_vector=pl.lit(True))
    joined = (
        chunks.lazy()
        .filter(pl.col("is_active"))
        .select("chunk_id", "embed_hash", "document_id", chunk_hash="row_hash")
        .join(documents.lazy().select("document_id", document_hash="row_hash"), on="document_id", how="inner")
        .join(have, on="embed_hash", how="left")
        .select("chunk_id", "chunk_hash", "document_hash", pl.col("has_vector").fill_null(False))
    )
    rows = joined.collect(engine="streaming")
    if rows.is_empty():
        return pl.DataFrame(schema=_POINTS_SCHEMA)
    hashed = _combined(
        np.uint64(value_hash(encoder_version) % 2**64),
        rows["chunk_hash"].to_numpy().astype(np.int64).view(np.uint64),
        rows["document_hash"].to_numpy().astype(np.int64).view(np.uint64),
        rows["has_vector"].to_numpy().astype(np.uint64),
    )
    point_hash = pl.Series("point_hash", hashed.view(np.int64), dtype=pl.Int64)
    return rows.select("chunk_id", point_hash, "has_vector")


def diff(desired: pl.DataFrame, held: pl.DataFrame) -> Difference:
    """What turns ``held`` into ``desired``.

    Args:
        desired: ``chunk_id``, ``point_hash``.
        held: ``chunk_id``, ``row_hash``: a generation's sidecar or its real points; an id that is there twice is wrong.

    Returns:
        Sorted ids: to upsert (missing, stale or held twice), to delete (extra or held twice).
    """
    if held.get_column("chunk_id").n_unique() < held.height:
        return _diff_of_repeated(desired, held)
    left, right = desired.select("chunk_id", "point_hash"), held.select("chunk_id", "row_hash")
    both = left.join(right, on="chunk_id", how="full", coalesce=False)
    is_extra = pl.col("chunk_id").is_null()
    differs = ~is_extra & (pl.col("point_hash") == pl.col("row_hash")).fill_null(False).not_()
    return Difference(
        both.filter(differs)["chunk_id"].sort().to_list(), both.filter(is_extra)["chunk_id_right"].sort().to_list()
    )


def _diff_of_repeated(desired: pl.DataFrame, held: pl.DataFrame) -> Difference:
    """``diff`` where an id is held twice."""
    counts = held.group_by("chunk_id").agg(pl.len().alias("copies"), pl.col("row_hash").first())
    right = desired.join(
        counts.filter(pl.col("copies") == 1),
        left_on=["chunk_id", "point_hash"],
        right_on=["chunk_id", "row_hash"],
        how="semi",
        nulls_equal=False,
    )
    upserts = desired.join(right, on="chunk_id", how="anti")["chunk_id"].sort().to_list()
    extra = counts.join(desired, on="chunk_id", how="anti")["chunk_id"]
    twice = counts.filter(pl.col("copies") > 1)["chunk_id"]
    return Difference(upserts, pl.concat([extra, twice]).unique().sort().to_list())


def point_payload(chunks: pl.DataFrame, documents: pl.DataFrame) -> pl.DataFrame:
    """``chunk_id`` and ``PAYLOAD_COLUMNS`` but ``row_hash`` of every chunk whose document exists, in the chunks' order.

    Args:
        chunks: whole rows of silver/chunks.
        documents: ``DOCUMENT_COLUMNS`` of bronze/documents.

    Returns:
        What a search result shows without a look into any table. ``kind`` is the document's, ``chunk_kind`` the
        chunk's. ``row_hash`` is left out: a store takes ``desired_points``' ``point_hash`` for it.
    """
    shown = [name for name in PAYLOAD_COLUMNS if name != "row_hash"]
    return (
        chunks.rename({"kind": "chunk_kind"})
        .join(documents.select(DOCUMENT_COLUMNS), on="document_id", how="inner", maintain_order="left")
        .select("chunk_id", *shown)
    )


def code_language() -> pl.Expr:
    """Of rows with ``kind`` (the document's) and ``language``: the language where it is one of code, else null."""
    return pl.when(pl.col("kind") == "code").then(pl.col("language"))


def _combined(seed: np.uint64, *columns: Hashes) -> Hashes:
    """One 64-bit hash per row; the order of the columns counts."""
    state = np.full(columns[0].shape, seed, dtype=np.uint64)
    for column in columns:
        state = mixed((state ^ mixed(column + _STEP)) + _STEP)
    return state
