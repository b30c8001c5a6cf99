"""The door to vector stores: import from here. The parts are in ``resources.vectors``."""

from pathlib import Path

from resources.vectors.edge import EdgeStore
from resources.vectors.filters import Filter
from resources.vectors.protocol import (
    BadPointsError,
    BadQueryError,
    DamagedIndexError,
    Frequencies,
    Generation,
    Hit,
    Hits,
    Payload,
    PublishBusyError,
    SparseQuery,
    VectorStore,
    VectorStoreError,
)
from resources.vectors.server import ServerStore

__all__ = [
    "BadPointsError",
    "BadQueryError",
    "DamagedIndexError",
    "EdgeStore",
    "Filter",
    "Frequencies",
    "Generation",
    "Hit",
    "Hits",
    "Payload",
    "PublishBusyError",
    "ServerStore",
    "SparseQuery",
    "VectorStore",
    "VectorStoreError",
    "open_store",
]


def open_store(root: Path, url: str | None = None, api_key: str | None = None) -> VectorStore:
    """The Qdrant server at ``url`` where one is configured, else the embedded store below ``root``."""
    return ServerStore.connect(url, api_key) if url else EdgeStore(root)
