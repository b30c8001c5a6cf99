"""Rows and points in shards that no corpus has: left by a purge that was cut off, or by a change of the number of shards.

No run ever looks at them, so verification must; searches would go on finding them by their space.
"""

from collections.abc import Callable, Collection, Mapping, Sequence

from cortex_assets.chunks.schema import CHUNKS
from cortex_assets.corpora.schema import FILES
from cortex_assets.documents.schema import DOCUMENTS
from cortex_assets.engine.verify import Finding
from cortex_assets.ops.schema import ledger_table
from cortex_assets.tables import TableSpec
from resources.lakehouse import Lakehouse
from resources.vectors.protocol import VectorStore

TABLES: Mapping[str, TableSpec] = {"files": FILES, "documents": DOCUMENTS, "chunks": CHUNKS}
LEDGERS = ("documents", "chunks", "embeddings")


def unowned(
    lake: Lakehouse, store: VectorStore, spaces: Collection[str], owned: Callable[[], Collection[str]]
) -> list[Finding]:
    """One finding for each table or index that has something in a shard that is not ``owned``.

    Args:
        lake: the tables.
        store: the index.
        spaces: embedding spaces whose indexes are looked at.
        owned: the shards of all registered corpora, paused ones included; asked last, because a corpus is registered
            before its first row is written.
    """
    held: list[tuple[str, str, int]] = []
    for asset, table in TABLES.items():
        counts = lake.scan(table).group_by("shard").len().collect().sort("shard")
        held += [(asset, shard, count) for shard, count in counts.iter_rows()]
    held += [("index", shard, 1) for space in sorted(spaces) for shard in store.shards(space)]
    mine = frozenset(owned())
    return [Finding(asset, "orphans", "orphaned", shard, count) for asset, shard, count in held if shard not in mine]


def take_out_unowned(lake: Lakehouse, store: VectorStore, spaces: Collection[str], shard: str) -> None:
    """Delete a shard's points, rows and ledgers. The caller holds its lease and has seen that no corpus has it."""
    for space in spaces:
        store.drop(space, shard)
    for table in _deletable():
        lake.delete_where(table, "shard", [shard])


def _deletable() -> Sequence[TableSpec]:
    return (CHUNKS, DOCUMENTS, FILES, *(ledger_table(name) for name in LEDGERS))
