"""A small segment as one Arrow file: what an edit brings. It is read whole and searched by scanning.

A qdrant-edge shard is 27 files in 13 folders, 150 kB on disk for one point; this is one file of what the points are. Scanning
two thousand points takes a tenth of a millisecond. Columns are those of ``stored``, vectors in half precision.
"""

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from resources.vectors.filters import Condition
from resources.vectors.generation import sync_tree, unreadable
from resources.vectors.protocol import Payload, SparseQuery
from resources.vectors.ranking import DIGITS, Candidate
from resources.vectors.segment import Segment, SegmentVanishedError
from resources.vectors.stored import (
    BODY,
    FILTER_FIELDS,
    SIDECAR,
    STORED_SCHEMA,
    Counts,
    Terms,
    count_terms,
    look_up,
    matching,
    unfolded,
)

Mask = npt.NDArray[np.bool_]
Scores = npt.NDArray[np.float32]


class FlatWriter:
    """``segment.SegmentWriter`` of a flat segment."""

    def __init__(self, folder: Path) -> None:
        """Create the folder, which must not exist."""
        folder.mkdir(parents=True)
        self.folder = folder
        self._parts = [pl.DataFrame(schema=STORED_SCHEMA)]

    def add(self, frame: pl.DataFrame) -> None:
        """See ``SegmentWriter.add``."""
        self._parts.append(frame)

    def finish(self, has_graph: bool) -> int:
        """See ``SegmentWriter.finish``; so few points need no graph."""
        points = pl.concat(self._parts).sort("chunk_id")
        halves = points.with_columns(pl.col("vector").cast(pl.List(pl.Float16)))
        halves.write_ipc(self.folder / SIDECAR, compression="zstd")
        sync_tree(self.folder)
        return points.height


@dataclass(frozen=True, slots=True)
class _Content:
    """A flat segment in memory: rows, dense vectors of those that have one, terms inverted."""

    rows: pl.DataFrame
    dense_rows: npt.NDArray[np.int64]
    dense: Scores
    terms: Terms
    term_rows: npt.NDArray[np.int64]
    weights: Scores
    counts: Counts


class FlatSegment(Segment):
    """``Segment`` over one Arrow file."""

    def __init__(self, folder: Path) -> None:
        """Remember the folder; the file is read when it is needed."""
        super().__init__(folder)
        self._lock = threading.Lock()
        self._content: _Content | None = None

    def search_dense(
        self, vector: Sequence[float], where: Mask | None, limit: int, floor: float | None
    ) -> list[Candidate]:
        """See ``Segment.search_dense``."""
        content = self._open()
        if not content.dense_rows.size:
            return []
        halved = np.asarray(vector, dtype=np.float16).astype(np.float32)  # as qdrant-edge does with half vectors
        scores = content.dense @ halved
        return self._best(content.dense_rows, scores, where, limit, floor)

    def search_sparse(self, query: SparseQuery, where: Mask | None, limit: int, floor: float | None) -> list[Candidate]:
        """See ``Segment.search_sparse``."""
        content = self._open()
        total = np.zeros(content.rows.height, dtype=np.float32)
        is_found = np.zeros(content.rows.height, dtype=np.bool_)
        starts = np.searchsorted(content.terms, np.asarray(query.indices, dtype=np.uint32), side="left")
        ends = np.searchsorted(content.terms, np.asarray(query.indices, dtype=np.uint32), side="right")
        for start, end, weight in zip(starts.tolist(), ends.tolist(), query.weights, strict=True):
            rows = content.term_rows[start:end]  # a point holds a term once
            total[rows] += content.weights[start:end] * np.float32(weight)
            is_found[rows] = True
        found = np.flatnonzero(is_found)
        return self._best(found, total[found], where, limit, floor)

    def frequencies(self, terms: Terms) -> npt.NDArray[np.int64]:
        """See ``Segment.frequencies``."""
        return look_up(*self._open().counts, terms)

    def payloads(self, ids: Iterable[str]) -> dict[str, Payload]:
        """See ``Segment.payloads``."""
        rows = self._rows(ids).select("chunk_id", "row_hash", *FILTER_FIELDS, BODY)
        return {row.pop("chunk_id"): unfolded(row) for row in rows.to_dicts()}

    def present(self, ids: Iterable[str]) -> list[str]:
        """See ``Segment.present``."""
        return self._rows(ids)["chunk_id"].to_list()

    def stored(self, ids: Sequence[str]) -> pl.DataFrame:
        """See ``Segment.stored``."""
        return self._rows(ids)

    def real_points(self) -> pl.DataFrame:
        """See ``Segment.real_points``."""
        rows = self._open().rows
        return rows.select("chunk_id", "row_hash", has_vector=pl.col("vector").is_not_null())

    def close(self) -> None:
        """See ``Segment.close``."""
        self._content = None

    def _open(self) -> _Content:
        with self._lock:
            if self._content is None:
                self._content = _read(self.folder)
            return self._content

    def _rows(self, ids: Iterable[str]) -> pl.DataFrame:
        wanted = pl.Series("chunk_id", list(ids), dtype=pl.String)
        return self._open().rows.filter(pl.col("chunk_id").is_in(wanted.implode()))

    def _best(
        self, rows: npt.NDArray[np.int64], scores: Scores, where: Mask | None, limit: int, floor: float | None
    ) -> list[Candidate]:
        kept = np.ones(rows.size, dtype=np.bool_) if where is None else where[rows]
        if floor is not None:
            kept &= scores >= floor
        rows, scores = rows[kept], scores[kept]
        order = np.argsort(-scores, kind="stable")[:limit]
        ids = self._open().rows["chunk_id"].gather(rows[order]).to_list()
        return [
            Candidate(chunk, round(score, DIGITS)) for chunk, score in zip(ids, scores[order].tolist(), strict=True)
        ]

    def _translated(self, conditions: Sequence[Condition]) -> tuple[bool, Mask]:
        mask = self._open().rows.select(matching(conditions)).to_series().to_numpy()
        return bool(mask.any()), mask

    def _distinct_paths(self) -> set[str]:
        return set(self._open().rows["path"].drop_nulls())


def _read(folder: Path) -> _Content:
    path = folder / SIDECAR
    try:
        rows = pl.read_ipc(path.read_bytes()).select(pl.col(name).cast(kind) for name, kind in STORED_SCHEMA.items())
    except FileNotFoundError as error:
        raise SegmentVanishedError(str(folder)) from error
    except (pl.exceptions.PolarsError, OSError) as error:
        raise unreadable(path, error) from error
    lengths = rows["terms"].list.len().fill_null(0).to_numpy()
    terms = _flat(rows["terms"]).astype(np.uint32)
    order = np.argsort(terms, kind="stable")
    has_vector = rows["vector"].is_not_null().to_numpy()
    vectors = _flat(rows["vector"])
    return _Content(
        rows=rows,
        dense_rows=np.flatnonzero(has_vector),
        dense=vectors.reshape(max(1, int(has_vector.sum())), -1),
        terms=terms[order],
        term_rows=np.repeat(np.arange(rows.height), lengths)[order],
        weights=_flat(rows["weights"]).astype(np.float32)[order],
        counts=count_terms(rows["terms"]),
    )


def _flat(lists: pl.Series) -> npt.NDArray[Any]:
    """The values of a column of lists, one after the other."""
    return lists.list.explode(empty_as_null=False, keep_nulls=False).to_numpy()
