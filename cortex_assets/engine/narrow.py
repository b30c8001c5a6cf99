"""The columns that plans, comparisons and statistics read, table by table: ids, hashes and counts, never texts or vectors.

A run asks for them at every stage; where a table is small the lakehouse reads them once and afterwards only what a commit
added. List a column here when a stage reads it for all rows of a shard; whole rows of a few keys are read by ``Lakehouse.scan``.
"""

from collections.abc import Mapping, Sequence

import polars as pl

from cortex_assets.chunks.schema import CHUNKS
from cortex_assets.corpora.schema import FILES
from cortex_assets.documents.schema import DOCUMENTS
from cortex_assets.embeddings.schema import EMBEDDINGS
from cortex_assets.tables import TableSpec
from resources.lakehouse import Lakehouse

COLUMNS: Mapping[str, Sequence[str]] = {
    FILES.name: tuple(FILES.dtypes),
    DOCUMENTS.name: (
        "shard",
        "document_id",
        "input_key",
        "corpus_id",
        "content_hash",
        "status",
        "char_count",
        "modified_at",
        "row_hash",
    ),
    CHUNKS.name: (
        "shard",
        "chunk_id",
        "input_key",
        "document_id",
        "corpus_id",
        "embed_hash",
        "token_count",
        "is_active",
        "row_hash",
    ),
    EMBEDDINGS.name: ("space_id", "embed_hash"),
}
LASTING = frozenset({DOCUMENTS.name, CHUNKS.name, EMBEDDINGS.name})
"""Tables whose columns above are ids, hashes and counts alone: a run leaves them to the next one (``keep_columns_in``)."""


def narrow(lake: Lakehouse, table: TableSpec, where: Mapping[str, str] | None = None) -> pl.LazyFrame:
    """The columns of a table that are listed here; all columns, read anew each time, of a table that is not.

    Args:
        lake: the tables.
        table: what to read.
        where: partition column to literal.
    """
    columns = COLUMNS.get(table.name)
    if columns is None:
        return lake.scan(table, where=where)
    return lake.scan_narrow(table, columns, where, table.name in LASTING)
