"""Which contents stand in several files: the function of the ``duplicates`` aggregate (pure)."""

from collections.abc import Iterator

import polars as pl

from cortex_assets.corpora.schema import DUPLICATES
from cortex_assets.identity import with_row_hash

SHOWN_PATHS = 20
COLUMNS = ("file_id", "corpus_id", "path", "size")


def duplicate_rows(files: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """One row a content hash.

    Args:
        files: ``content_hash`` and ``COLUMNS`` of all files of some content hashes.

    Yields:
        One frame of the ``Duplicates`` columns but ``shard``.
    """
    frame = (
        files.sort("content_hash", "path", "file_id")
        .group_by("content_hash", maintain_order=True)
        .agg(
            pl.len().cast(pl.Int64).alias("copies"),
            pl.col("size").first(),
            pl.col("corpus_id").unique().sort().alias("corpus_ids"),
            pl.col("path").head(SHOWN_PATHS).alias("paths"),
        )
        .with_columns(input_key=pl.col("content_hash"))
    )
    yield with_row_hash(frame, DUPLICATES.unhashed)
