"""One shard's readers: an open generation and what is asked of each of its parts. Writes nothing."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from resources.vectors import generation as files
from resources.vectors.filters import Filter
from resources.vectors.generation import Manifest, SegmentEntry
from resources.vectors.kinds import open_segment
from resources.vectors.protocol import Hit, Payload, SparseQuery
from resources.vectors.quantizing import GRAPH
from resources.vectors.ranking import Candidate, Fetch, Floor, exact_top
from resources.vectors.segment import Segment, SegmentVanishedError
from resources.vectors.stored import Counts, Terms, look_up

Stamp = tuple[int, int, int]


class Floors:
    """What one query's searches of all parts share."""

    def __init__(self, limit: int, graphs: int = 1) -> None:
        """``limit`` places in each half; so many of the parts have a graph."""
        self.limit = limit
        self.width = GRAPH.width_among(graphs)
        self.dense = Floor(limit)
        self.sparse = Floor(limit)


@dataclass(slots=True)
class Part:
    """One segment of an open generation with the ids in it that do not count."""

    shard: str
    entry: SegmentEntry
    segment: Segment
    dead: frozenset[str]
    _dead_terms: Counts | None = None

    def sidecar(self) -> pl.DataFrame:
        """``chunk_id``, ``row_hash`` of the live points as the sidecar lists them."""
        return self._living(self.segment.points("chunk_id", "row_hash"))

    def real_points(self) -> pl.DataFrame:
        """``chunk_id``, ``row_hash``, ``has_vector`` of the live points, read from the disk anew."""
        segment = open_segment(self.segment.folder)
        points = self._living(segment.real_points())
        segment.close()
        return points

    def frequencies(self, terms: Terms) -> npt.NDArray[np.int64]:
        """In how many live points each term occurs."""
        counts = self.segment.frequencies(terms)
        if self.dead:
            self._dead_terms = self._dead_terms or self.segment.dead_terms(self.dead)
            counts = counts - look_up(*self._dead_terms, terms)
        return counts

    def search(
        self, vector: Sequence[float] | None, sparse: SparseQuery | None, where: Filter | None, floors: Floors
    ) -> tuple[list[Candidate], list[Candidate]]:
        """Dense and sparse candidates: all that may be among the first places."""
        may_match, condition = self.segment.condition(where)
        if not may_match:
            return [], []
        dense: list[Candidate] = []
        lexical: list[Candidate] = []
        if vector is not None:
            ask = partial(self.segment.search_dense, vector, condition, width=floors.width)
            dense = self._top(ask, floors.dense, floors.limit)
        if sparse is not None and len(sparse.indices):
            lexical = self._top(partial(self.segment.search_sparse, sparse, condition), floors.sparse, floors.limit)
        return dense, lexical

    def sparse_scores(self, query: SparseQuery, ids: Sequence[str]) -> list[Candidate]:
        """The sparse dot product of the live points among ``ids``."""
        return self.segment.sparse_scores(query, [chunk for chunk in ids if chunk not in self.dead])

    def _top(self, fetch: Fetch, floor: Floor, limit: int) -> list[Candidate]:
        return exact_top(fetch, limit, self.dead, len(self.dead), self.entry.points + len(self.dead), floor)

    def _living(self, points: pl.DataFrame) -> pl.DataFrame:
        return points.filter(~pl.col("chunk_id").is_in(list(self.dead))) if self.dead else points


@dataclass(slots=True)
class OpenGeneration:
    """A generation as a reader holds it; ``stamp`` tells when ``current.json`` was switched."""

    stamp: Stamp
    manifest: Manifest
    parts: list[Part] = field(default_factory=list)


def current_stamp(folder: Path) -> Stamp | None:
    """What changes when a generation is switched, or None where there is none."""
    try:
        stat = (folder / files.CURRENT).stat()
    except FileNotFoundError:
        return None
    return stat.st_ino, stat.st_mtime_ns, stat.st_size


def open_generation(folder: Path, shard: str, stamp: Stamp, known: OpenGeneration | None) -> OpenGeneration | None:
    """Read the manifest; segments that ``known`` has open already are taken over.

    Raises:
        SegmentVanishedError: a newer generation took files away in between.
    """
    manifest = files.read_manifest(folder)
    if manifest is None:
        return None
    try:
        rows = files.read_dead(folder, manifest)
        inodes = {entry.folder: (folder / entry.folder).stat().st_ino for entry in manifest.segments}
    except FileNotFoundError as error:
        raise SegmentVanishedError(str(folder)) from error
    dead = {str(name): frozenset(ids) for name, ids in rows.group_by("segment").agg("chunk_id").iter_rows()}
    reusable = {(part.entry.folder, part.segment.inode): part.segment for part in known.parts} if known else {}
    opened = OpenGeneration(stamp, manifest)
    for entry in manifest.segments:
        segment = reusable.get((entry.folder, inodes[entry.folder])) or open_segment(
            folder / entry.folder, entry.quantized
        )
        opened.parts.append(Part(shard, entry, segment, dead.get(entry.folder, frozenset())))
    return opened


def payloads_of(pairs: Sequence[tuple[Candidate, Part]]) -> dict[str, Payload]:
    """Payloads of ranked candidates, asked once of each segment."""
    wanted: dict[int, set[str]] = {}
    parts: dict[int, Part] = {}
    for candidate, part in pairs:
        parts[id(part)] = part
        wanted.setdefault(id(part), set()).add(candidate.chunk_id)
    found: dict[str, Payload] = {}
    for key, part in parts.items():
        found |= part.segment.payloads(wanted[key])
    return found


def as_hit(pair: tuple[Candidate, Part], payloads: dict[str, Payload]) -> Hit:
    """A ranked candidate for callers."""
    candidate, part = pair
    return Hit(candidate.chunk_id, candidate.score, payloads.get(candidate.chunk_id, {}), part.shard)
