"""The doors that shelves and rooms open, as protocols in plain types, nothing that does I/O itself.

Add a protocol when pure code needs something that a resource provides; the resource satisfies it by shape and never
imports this module.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeVar

FilterT = TypeVar("FilterT", contravariant=True)
"""What a store takes as a filter; what its fields mean is the store's to say."""


class FoundPoint(Protocol):
    """A stored chunk that a search found."""

    @property
    def chunk_id(self) -> str:
        """Id of the chunk."""
        ...

    @property
    def score(self) -> float:
        """Dot product of the stored vector with the query's; higher is better."""
        ...

    @property
    def payload(self) -> Mapping[str, Any]:
        """The chunk's columns: text, context, ids, path, title, kind, language, symbol, spans, modified_at."""
        ...

    @property
    def shard(self) -> str:
        """The shard it is stored in."""
        ...


class ChunkStore(Protocol[FilterT]):
    """Searchable chunks of one or more shards in one embedding space. Results: best first, ties by chunk_id."""

    def search_dense(
        self,
        space_id: str,
        shards: Sequence[str],
        vector: Sequence[float],
        limit: int,
        filter: FilterT | None,  # noqa: A002 (the word people know)
        /,
    ) -> Sequence[FoundPoint]:
        """The ``limit`` points nearest to ``vector`` (length 1) that the filter keeps (None keeps all)."""
        ...

    def search_sparse(
        self,
        space_id: str,
        shards: Sequence[str],
        indices: Sequence[int],
        weights: Sequence[float],
        limit: int,
        filter: FilterT | None,  # noqa: A002 (the word people know)
        /,
    ) -> Sequence[FoundPoint]:
        """The ``limit`` points with the greatest sparse dot product, of those above zero that the filter keeps."""
        ...

    def sparse_scores(
        self,
        space_id: str,
        shards: Sequence[str],
        indices: Sequence[int],
        weights: Sequence[float],
        ids: Sequence[str],
        /,
    ) -> Mapping[str, float]:
        """The sparse dot product of the points among ``ids``; one without a common term may be left out."""
        ...

    def vectors(self, space_id: str, shards: Sequence[str], ids: Sequence[str], /) -> Mapping[str, Sequence[float]]:
        """The vectors (length 1) of the points among ``ids`` that have one."""
        ...

    def document_frequencies(
        self, space_id: str, shards: Sequence[str], terms: Sequence[int], /
    ) -> tuple[Mapping[int, int], int]:
        """In how many points each term occurs, and how many points there are; over all shards given, unfiltered."""
        ...
