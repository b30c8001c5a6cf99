"""A small exact store in memory: what ``ChunkStore`` promises, by brute force."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np

from cortex_assets.retrieval.filters import SearchFilter
from cortex_assets.retrieval.sparse import encode_point


@dataclass(frozen=True)
class Found:
    chunk_id: str
    score: float
    payload: Mapping[str, Any]
    shard: str


def payload(text: str, **columns: Any) -> dict[str, Any]:
    """A payload with every column."""
    start = int(columns.pop("start_char", 0))
    first = int(columns.pop("start_line", 1))
    row = {
        "text": text,
        "context": "",
        "corpus_id": "notes",
        "document_id": "d1",
        "path": "notes/one.md",
        "title": "",
        "kind": "markdown",
        "language": "en",
        "symbol": None,
        "start_char": start,
        "end_char": start + len(text),
        "start_line": first,
        "end_line": first + text.count("\n"),
        "start_page": None,
        "end_page": None,
        "modified_at": datetime(2026, 1, 1, tzinfo=UTC),
    }
    return {**row, **columns}


@dataclass
class ExactStore:
    """Chunks by (space, shard): id, payload and vector (or None for sparse-only chunks)."""

    rows: list[tuple[str, str, str, dict[str, Any], np.ndarray | None]] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)

    def add(
        self,
        chunk_id: str,
        row: dict[str, Any],
        vector: Sequence[float] | None = None,
        shard: str = "s",
        space: str = "v",
    ):
        self.rows.append((space, shard, chunk_id, row, None if vector is None else np.asarray(vector, np.float32)))

    def _rows(self, space: str, shards: Sequence[str], wanted: SearchFilter | None = None):
        return [
            row
            for row in self.rows
            if row[0] == space and row[1] in shards and (wanted is None or row[3]["kind"] in wanted.kinds)
        ]

    @staticmethod
    def _vector(row: Mapping[str, Any]) -> dict[int, float]:
        fields = (row["text"], row["context"], row["title"], row["symbol"] or "", row["path"])
        language = row["language"] if row["kind"] == "code" else ""
        ids, weights = encode_point(*fields, language)
        return dict(zip(ids.tolist(), weights.tolist(), strict=True))

    def search_dense(self, space_id, shards, vector, limit, filter):  # noqa: A002
        self.calls.append("dense")
        scored = [
            Found(chunk, float(stored @ np.asarray(vector, np.float32)), row, shard)
            for _, shard, chunk, row, stored in self._rows(space_id, shards, filter)
            if stored is not None
        ]
        return sorted(scored, key=lambda hit: (-hit.score, hit.chunk_id))[:limit]

    def search_sparse(self, space_id, shards, indices, weights, limit, filter):  # noqa: A002
        self.calls.append("sparse")
        asked = dict(zip(indices, weights, strict=True))
        scored = []
        for _, shard, chunk, row, _ in self._rows(space_id, shards, filter):
            stored = self._vector(row)
            score = sum(weight * stored.get(term, 0.0) for term, weight in asked.items())
            if score > 0:
                scored.append(Found(chunk, score, row, shard))
        return sorted(scored, key=lambda hit: (-hit.score, hit.chunk_id))[:limit]

    def sparse_scores(self, space_id, shards, indices, weights, ids):
        found = self.search_sparse(space_id, shards, indices, weights, len(self.rows), None)
        return {hit.chunk_id: hit.score for hit in found if hit.chunk_id in ids}

    def vectors(self, space_id, shards, ids):
        rows = [row for row in self._rows(space_id, shards) if row[2] in ids and row[4] is not None]
        return {chunk: stored.tolist() for _, _, chunk, _, stored in rows}

    def document_frequencies(self, space_id, shards, terms):
        stored = [self._vector(row) for _, _, _, row, _ in self._rows(space_id, shards)]
        return {term: sum(term in vector for vector in stored) for term in terms}, len(stored)
