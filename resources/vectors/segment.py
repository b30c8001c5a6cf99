"""One immutable segment of a shard's index, as readers and mergers see it; its two kinds are ``edge_segment`` and ``flat_segment``.

    seg-000009/
        points.arrow   chunk_id, row_hash of every point, sorted; a flat segment has everything else in it, too
        edge/          the qdrant-edge shard of a segment that is not flat; beside it, terms and what is shown of its points

Which segments count is ``generation``'s matter, which kind a new one gets is ``publishing``'s.
"""

import errno
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import polars as pl

from resources.vectors.filters import AnyOf, Condition, Filter, matching_paths
from resources.vectors.generation import unreadable
from resources.vectors.postings import Postings
from resources.vectors.protocol import Payload, SparseQuery
from resources.vectors.quantizing import GRAPH, NONE
from resources.vectors.ranking import Candidate
from resources.vectors.stored import SIDECAR, Counts, Terms

_REMEMBERED_GLOBS = 16


class SegmentVanishedError(Exception):
    """The folder is gone: a newer generation replaced it; read ``current.json`` again."""


def read_columns(folder: Path, name: str, columns: Sequence[str]) -> pl.DataFrame:
    """Some columns of an Arrow file of a segment.

    Raises:
        SegmentVanishedError: it is gone.
        DamagedIndexError: it is no such file. What the system refuses (too many open files, no permission) is an OSError.
    """
    try:
        return pl.scan_ipc(folder / name).select(columns).collect()
    except FileNotFoundError as error:
        raise SegmentVanishedError(str(folder)) from error
    except pl.exceptions.PolarsError as error:
        raise unreadable(folder / name, error) from error
    except OSError as error:
        if error.errno not in (None, errno.EINVAL):  # an empty file cannot be mapped
            raise
        raise unreadable(folder / name, error) from error


@dataclass(frozen=True, slots=True)
class Form:
    """What a new segment is to be.

    Attributes:
        is_flat: one file, searched by scanning; the others hold for other segments only.
        has_graph: a graph is built for dense search.
        quantized: how vectors are scanned (``quantizing``).
    """

    is_flat: bool = False
    has_graph: bool = False
    quantized: str = NONE


class SegmentWriter(Protocol):
    """Collects points into a new segment folder; nothing reads it before ``finish`` returned."""

    def add(self, frame: pl.DataFrame) -> None:
        """Add the points of a stored frame (``stored``)."""
        ...

    def finish(self) -> int:
        """Write what is left, make all of it durable; returns the points."""
        ...


class Segment(ABC):
    """An open segment. Safe to read from several threads; ``close`` it, or let it go.

    Every method that reads a file raises SegmentVanishedError where the segment was removed, and DamagedIndexError where
    it is there and cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        """Remember the folder; files are opened when they are needed."""
        self.folder = folder
        self.inode = folder.stat().st_ino if folder.exists() else 0
        self._paths: list[str] | None = None
        self._matched: dict[tuple[str, ...], list[str]] = {}

    def points(self, *columns: str) -> pl.DataFrame:
        """The sidecar, sorted by chunk_id: ``columns`` of ``chunk_id``, ``row_hash``."""
        return read_columns(self.folder, SIDECAR, columns)

    def dead_terms(self, dead: Iterable[str]) -> Counts:
        """Sorted terms of the points ``dead`` and in how many of them each occurs."""
        return self._postings().counts_of(self._rows_of(dead))

    def frequencies(self, terms: Terms) -> npt.NDArray[np.int64]:
        """In how many points of the segment, dead ones included, each of ``terms`` occurs."""
        return self._postings().frequencies(terms)

    def sparse_scores(self, query: SparseQuery, ids: Iterable[str]) -> list[Candidate]:
        """The sparse dot product of the points among ``ids`` that the sidecar lists, in the order of rows."""
        rows = self._rows_of(ids)
        return self._candidates(np.asarray(rows, dtype=np.int64), self._postings().scores(query, rows))

    def condition(self, wanted: Filter | None) -> tuple[bool, Any]:
        """Whether any point of the segment may match, and the filter as this kind of segment's searches take it."""
        if wanted is None:
            return True, None
        conditions = list(wanted.conditions())
        if wanted.path_globs:
            paths = self._matching(wanted.path_globs)
            if not paths:
                return False, None
            conditions.append(AnyOf("path", tuple(paths)))
        return self._translated(conditions) if conditions else (True, None)

    @abstractmethod
    def search_dense(
        self, vector: Sequence[float], where: Any, limit: int, floor: float | None, width: int = GRAPH.width
    ) -> list[Candidate]:
        """Nearest points by dot product that reach ``floor``, best first, scores rounded; ``width`` where a graph is searched."""

    @abstractmethod
    def search_sparse(self, query: SparseQuery, where: Any, limit: int, floor: float | None) -> list[Candidate]:
        """Points with the greatest sparse dot product that reach ``floor``, best first, scores rounded."""

    @abstractmethod
    def payloads(self, ids: Iterable[str]) -> dict[str, Payload]:
        """Payloads of the points among ``ids`` that the sidecar lists."""

    @abstractmethod
    def vectors(self, ids: Sequence[str]) -> dict[str, Sequence[float]]:
        """Vectors of the points among ``ids`` that the sidecar lists and that have one."""

    @abstractmethod
    def present(self, ids: Iterable[str]) -> list[str]:
        """Which of ``ids`` are really there."""

    @abstractmethod
    def stored(self, ids: Sequence[str]) -> pl.DataFrame:
        """The points among ``ids`` that are really there, whole (``stored``)."""

    @abstractmethod
    def real_points(self) -> pl.DataFrame:
        """Every point that is really there: ``chunk_id``, ``row_hash``, ``has_vector``."""

    @abstractmethod
    def close(self) -> None:
        """Release what is open."""

    @abstractmethod
    def _postings(self) -> Postings:
        """The points' terms; rows are those of the sidecar."""

    @abstractmethod
    def _rows_of(self, ids: Iterable[str]) -> list[int]:
        """Row of each point among ``ids`` that the sidecar lists, ascending."""

    @abstractmethod
    def _candidates(self, rows: npt.NDArray[np.int64], scores: npt.NDArray[np.float64]) -> list[Candidate]:
        """The points in some rows with their scores, rounded."""

    @abstractmethod
    def _translated(self, conditions: Sequence[Condition]) -> tuple[bool, Any]:
        """``condition`` of conditions all of which must hold."""

    @abstractmethod
    def _distinct_paths(self) -> set[str]:
        """Every value of the payload field ``path``."""

    def _matching(self, globs: tuple[str, ...]) -> list[str]:
        matched = self._matched.get(globs)
        if matched is None:
            if len(self._matched) >= _REMEMBERED_GLOBS:
                self._matched.clear()
            matched = self._matched[globs] = matching_paths(globs, self._all_paths())
        return matched

    def _all_paths(self) -> list[str]:
        if self._paths is None:
            self._paths = sorted(self._distinct_paths())
        return self._paths
