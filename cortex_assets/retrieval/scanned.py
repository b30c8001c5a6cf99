"""A store that was never indexed: points scored one block after the other for one question, then asked like any other store.

It serves questions about an earlier state, of which there are tables and no index. ``search_spaces`` ranks what it gives just
as it ranks an index's: both are exact, and the sparse vectors are made by the same encoder. Reading blocks and payloads is
the caller's.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from cortex_assets.retrieval.calibrate import DIGITS
from cortex_assets.retrieval.sparse import Fields, SparseBatch, TermIds, encode_points

Scores = npt.NDArray[np.float64]
Payloads = Callable[[str, str, Sequence[str]], Mapping[str, Mapping[str, Any]]]
"""Payloads of some chunks of a space's shard, by chunk id."""
Vectors = Callable[[str, str, Sequence[str]], Mapping[str, Sequence[float]]]
"""Vectors of some chunks of a space's shard, by chunk id."""
_FIELDS = ("text", "context", "title", "symbol", "path", "language")


@dataclass(frozen=True, slots=True)
class ScannedPoint:
    """A point that was found, with what it shows."""

    chunk_id: str
    score: float
    payload: Mapping[str, Any]
    shard: str


@dataclass(frozen=True, slots=True)
class _Block:
    space_id: str
    shard: str
    chunk_ids: list[str]
    dense: Scores
    is_kept: npt.NDArray[np.bool_]
    weights: npt.NDArray[np.float32]
    """One row a point, one column a term of the question."""


@dataclass(slots=True)
class ScannedStore:
    """Points of some shards, scored for one question; a ``ChunkStore`` whose filter was applied by ``add``.

    Attributes:
        terms: of the question, ascending (``sparse.query_terms``).
        payloads: reads what found points show.
        read_vectors: reads the vectors of found points.
    """

    terms: TermIds
    payloads: Payloads
    read_vectors: Vectors
    _blocks: list[_Block] = field(default_factory=list)

    def add(self, space_id: str, shard: str, points: pl.DataFrame) -> None:
        """Score a block of points; what is kept of it is a few numbers a point.

        Args:
            space_id: theirs.
            shard: theirs.
            points: ``chunk_id dense is_kept text context title symbol path language``; ``dense`` is the cosine with the question, null
                where there is no vector; what is not kept counts in the frequencies of words and is not found.
        """
        if points.is_empty():
            return
        columns = [points.get_column(name).fill_null("").to_list() for name in _FIELDS]
        batch = encode_points([Fields(*row) for row in zip(*columns, strict=True)])
        self._blocks.append(
            _Block(
                space_id,
                shard,
                points.get_column("chunk_id").to_list(),
                points.get_column("dense").cast(pl.Float64).fill_null(float("nan")).to_numpy(),
                points.get_column("is_kept").to_numpy(),
                _asked(batch, self.terms),
            )
        )

    def search_dense(
        self, space_id: str, shards: Sequence[str], vector: Sequence[float], limit: int, _filter: object, /
    ) -> list[ScannedPoint]:
        """The points nearest to the question, by the cosines that they came with."""
        blocks = self._of(space_id, shards)
        return self._best(blocks, limit, lambda block: np.where(np.isnan(block.dense), -np.inf, block.dense), -np.inf)

    def search_sparse(
        self,
        space_id: str,
        shards: Sequence[str],
        indices: Sequence[int],
        weights: Sequence[float],
        limit: int,
        _filter: object,
        /,
    ) -> list[ScannedPoint]:
        """The points with the greatest sparse dot product, of those above zero."""
        query = self._query(indices, weights)
        return self._best(self._of(space_id, shards), limit, lambda block: block.weights @ query, 0.0)

    def sparse_scores(
        self,
        space_id: str,
        shards: Sequence[str],
        indices: Sequence[int],
        weights: Sequence[float],
        ids: Sequence[str],
        /,
    ) -> dict[str, float]:
        """The sparse dot product of some points."""
        query, wanted = self._query(indices, weights), set(ids)
        scores: dict[str, float] = {}
        for block in self._of(space_id, shards):
            mine = [place for place, chunk_id in enumerate(block.chunk_ids) if chunk_id in wanted]
            found = block.weights[mine] @ query
            scores |= {
                block.chunk_ids[place]: round(float(score), DIGITS) for place, score in zip(mine, found, strict=True)
            }
        return scores

    def ids(self, space_id: str, shards: Sequence[str]) -> list[str]:
        """Of every point."""
        return [chunk for block in self._of(space_id, shards) for chunk in block.chunk_ids]

    def vectors(self, space_id: str, shards: Sequence[str], ids: Sequence[str], /) -> dict[str, Sequence[float]]:
        """The vectors of the points among ``ids`` that have one."""
        wanted, found = set(ids), dict[str, Sequence[float]]()
        for shard in shards:
            mine = [chunk for block in self._of(space_id, [shard]) for chunk in block.chunk_ids if chunk in wanted]
            found |= self.read_vectors(space_id, shard, mine) if mine else {}
        return found

    def document_frequencies(
        self, space_id: str, shards: Sequence[str], terms: Sequence[int], /
    ) -> tuple[dict[int, int], int]:
        """In how many points each term of the question occurs, and how many points there are."""
        blocks = self._of(space_id, shards)
        counts = sum((np.count_nonzero(block.weights, axis=0) for block in blocks), np.zeros(len(self.terms), np.int64))
        known = dict(zip(self.terms.tolist(), counts.tolist(), strict=True))
        return {term: known[term] for term in terms if known.get(term)}, sum(len(block.chunk_ids) for block in blocks)

    def _of(self, space_id: str, shards: Sequence[str]) -> list[_Block]:
        return [block for block in self._blocks if block.space_id == space_id and block.shard in shards]

    def _query(self, indices: Sequence[int], weights: Sequence[float]) -> Scores:
        asked = dict(zip(indices, weights, strict=True))
        return np.array([asked.get(term, 0.0) for term in self.terms.tolist()], dtype=np.float64)

    def _best(
        self, blocks: Sequence[_Block], limit: int, score: Callable[[_Block], Scores], above: float
    ) -> list[ScannedPoint]:
        """By score (rounded) and then by id, as every store ranks; only points that are kept and score above a floor."""
        found: list[tuple[float, str, str]] = []
        for block in blocks:
            scores = np.where(block.is_kept, np.round(score(block), DIGITS), -np.inf)
            places = np.flatnonzero(scores > above)
            if len(places) > limit:  # those that tie with the last one stay
                least = np.partition(scores[places], len(places) - limit)[len(places) - limit]
                places = places[scores[places] >= least]
            found += [(-float(scores[place]), block.chunk_ids[place], block.shard) for place in places]
        best = sorted(found)[:limit]
        shown: dict[str, Mapping[str, Any]] = {}
        for shard in {shard for _, _, shard in best}:
            shown |= self.payloads(blocks[0].space_id, shard, [chunk_id for _, chunk_id, mine in best if mine == shard])
        return [ScannedPoint(chunk_id, -negative, shown[chunk_id], shard) for negative, chunk_id, shard in best]


def _asked(batch: SparseBatch, terms: TermIds) -> npt.NDArray[np.float32]:
    """The weights of the question's terms in each vector of a batch: one row a vector, one column a term."""
    weights = np.zeros((len(batch), len(terms)), dtype=np.float32)
    if len(terms) and len(batch.ids):
        column = np.minimum(np.searchsorted(terms, batch.ids), len(terms) - 1)
        is_asked = terms[column] == batch.ids
        row = np.repeat(np.arange(len(batch)), np.diff(batch.offsets))
        weights[row[is_asked], column[is_asked]] = batch.weights[is_asked]
    return weights
