"""Corpora in numbers: the function of the ``corpus_statistics`` global (pure)."""

from collections.abc import Mapping

import polars as pl

from cortex_assets.corpora.schema import CORPUS_STATISTICS


def corpus_statistics(tables: Mapping[str, pl.LazyFrame]) -> pl.DataFrame:
    """One row a corpus, sorted by corpus id.

    Args:
        tables: lazy frames of ``bronze/files``, ``bronze/documents`` and ``silver/chunks``.
    """
    files = tables["bronze/files"].group_by("corpus_id").agg(files=pl.len(), bytes=pl.col("size").sum())
    documents = (
        tables["bronze/documents"]
        .group_by("corpus_id")
        .agg(
            documents=pl.len(),
            documents_not_ok=(pl.col("status") != "ok").sum(),
            characters=pl.col("char_count").sum(),
        )
    )
    chunks = (
        tables["silver/chunks"]
        .group_by("corpus_id")
        .agg(chunks=pl.len(), tokens=pl.col("token_count").sum(), distinct_texts=pl.col("embed_hash").n_unique())
    )
    joined = files.join(documents, on="corpus_id", how="left").join(chunks, on="corpus_id", how="left")
    counts = [name for name in CORPUS_STATISTICS.dtypes if name != "corpus_id"]
    return joined.with_columns(pl.col(counts).fill_null(0).cast(pl.Int64)).sort("corpus_id").collect()
