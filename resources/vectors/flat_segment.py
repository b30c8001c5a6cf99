"""A small segment as one Arrow file: what an edit brings. It is read whole and searched by scanning.

A qdrant-edge shard is 27 files in 13 folders, 150 kB on disk for one point; this is one file of what the points are. Scanning
two thousand points takes a tenth of a millisecond. Columns are those of ``stored``, vectors in half precision.
"""

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from resources.vectors.filters import Condition
from resources.vectors.generation import sync_tree, unreadable
from resources.vectors.postings import Mask, Postings, top
from resources.vectors.protocol import Payload, SparseQuery
from resources.vectors.ranking import DIGITS, Candidate
from resources.vectors.segment import Segment, SegmentVanishedError
from resources.vectors.stored import BODY, FILTER_FIELDS, SIDECAR, STORED_SCHEMA, matching, unfolded

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

    def finish(self) -> int:
        """See ``SegmentWriter.finish``."""
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
    postings: Postings


class FlatSegment(Segment):
    """``Segment`` over one Arrow file."""

    def __init__(self, folder: Path) -> None:
        """Remember the folder; the file is read when it is needed."""
        super().__init__(folder)
        self._lock = threading.Lock()
        self._content: _Content | None = None

    def search_dense(
        self, vector: Sequence[float], where: Mask | None, limit: int, floor: float | None, width: int = 0
    ) -> list[Candidate]:
        """See ``Segment.search_dense``."""
        content = self._open()
        if not content.dense_rows.size:
            return []
        halved = np.asarray(vector, dtype=np.float16).astype(np.float32)  # as qdrant-edge does with half vectors
        scores = (content.dense @ halved).astype(np.float64)
        if where is not None:
            scores[~where[content.dense_rows]] = -np.inf
        places, best = top(scores, limit, -np.finfo(np.float64).max if floor is None else floor)
        return self._candidates(content.dense_rows[places], best)

    def search_sparse(self, query: SparseQuery, where: Mask | None, limit: int, floor: float | None) -> list[Candidate]:
        """See ``Segment.search_sparse``."""
        return self._candidates(*self._postings().best(query, where, limit, floor))

    def payloads(self, ids: Iterable[str]) -> dict[str, Payload]:
        """See ``Segment.payloads``."""
        rows = self._rows(ids).select("chunk_id", "row_hash", *FILTER_FIELDS, BODY)
        return {row.pop("chunk_id"): unfolded(row) for row in rows.to_dicts()}

    def vectors(self, ids: Sequence[str]) -> dict[str, Sequence[float]]:
        """See ``Segment.vectors``."""
        rows = self._rows(ids).filter(pl.col("vector").is_not_null()).select("chunk_id", "vector")
        return dict(rows.iter_rows())

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

    def _postings(self) -> Postings:
        return self._open().postings

    def _rows_of(self, ids: Iterable[str]) -> list[int]:
        wanted = pl.Series("chunk_id", list(ids), dtype=pl.String)
        return self._open().rows.select(pl.arg_where(pl.col("chunk_id").is_in(wanted.implode()))).to_series().to_list()

    def _candidates(self, rows: npt.NDArray[np.int64], scores: npt.NDArray[np.float64]) -> list[Candidate]:
        ids = self._open().rows["chunk_id"].gather(rows).to_list()
        return [Candidate(chunk, round(score, DIGITS)) for chunk, score in zip(ids, scores.tolist(), strict=True)]

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
    has_vector = rows["vector"].is_not_null().to_numpy()
    vectors = rows["vector"].list.explode(empty_as_null=False, keep_nulls=False).to_numpy()
    return _Content(
        rows=rows,
        dense_rows=np.flatnonzero(has_vector),
        dense=vectors.reshape(max(1, int(has_vector.sum())), -1),
        postings=Postings.of(rows["terms"], rows["weights"]),
    )
