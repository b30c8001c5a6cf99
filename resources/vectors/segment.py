"""One immutable segment: a folder with a qdrant-edge shard and what must be known without opening it.

    seg-000009/
        edge/          the qdrant-edge shard (no write-ahead log: durable once flushed)
        points.arrow   chunk_id, row_hash, terms of every point; uncompressed, so that a reader maps it
        df.npy         uint32 (2, n): sorted term ids and in how many points of the segment each occurs

A point's payload has the fields that filters know, ``row_hash``, and everything else as JSON text in one field:
building twenty fields a point costs more than its vector. ``SegmentWriter`` makes a segment, ``Segment`` reads one.
Which segments count is ``generation``'s matter. Payload indexes pay from ``INDEXED_FROM`` points on: below, they only
cost files. A graph (HNSW) is built when segments are compacted, never in a publish: it takes minutes at 100,000 points.
"""

import json
import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import numpy as np
import numpy.typing as npt
import polars as pl

from resources.vectors.filters import DATETIME_FIELDS, KEYWORD_FIELDS, AnyOf, Between, Filter, matching_paths
from resources.vectors.generation import sync_tree, unreadable
from resources.vectors.protocol import POINT_COLUMNS, REAL_POINTS_SCHEMA, DamagedIndexError, Payload, SparseQuery
from resources.vectors.ranking import DIGITS, Candidate

if TYPE_CHECKING:
    import qdrant_edge as qe

BATCH = 1_000
INDEXED_FROM = 1_000
_POINTS_SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "chunk_id": pl.String,
    "row_hash": pl.Int64,
    "terms": pl.List(pl.UInt32),
}
_BODY = "_body"
_REMEMBERED_GLOBS = 16
_READ_AHEAD = 128 * 1024
_ISO = "%Y-%m-%dT%H:%M:%S%.6fZ"


class SegmentVanishedError(Exception):
    """The folder is gone: a newer generation replaced it; read ``current.json`` again."""


class SegmentWriter:
    """Collects points into a new segment folder; nothing reads it before ``finish`` returned."""

    def __init__(self, folder: Path, dimensions: int, expected: int) -> None:
        """Create the folder and an empty shard in it.

        Args:
            folder: must not exist.
            dimensions: length of a vector.
            expected: points that will come; decides whether payloads are indexed.
        """
        import qdrant_edge as qe

        (folder / "edge").mkdir(parents=True)
        self.folder = folder
        self._parts: list[pl.DataFrame] = []
        graph = qe.HnswIndexConfig(m=16, ef_construct=100, full_scan_threshold=10_000, max_indexing_threads=2)
        config = qe.EdgeConfig(
            vectors={"dense": qe.EdgeVectorParams(dimensions, qe.Distance.Dot, memory=qe.Memory.Cold)},
            sparse_vectors={"terms": qe.EdgeSparseVectorParams()},
            hnsw_config=graph,
            optimizers=qe.EdgeOptimizersConfig(default_segment_number=1, max_segment_size=2**31),
            max_search_threads=1,
            payload_memory=qe.Memory.Cold,
            wal_enabled=False,
        )
        self._shard = qe.EdgeShard.create(str(folder / "edge"), config)
        if expected >= INDEXED_FROM:
            for name in KEYWORD_FIELDS:
                self._shard.update(qe.UpdateOperation.create_field_index(name, qe.KeywordIndexParams()))
            for name in DATETIME_FIELDS:
                self._shard.update(qe.UpdateOperation.create_field_index(name, qe.DatetimeIndexParams()))

    def add_frame(self, upserts: pl.DataFrame) -> None:
        """Add the rows of an upsert frame (``protocol``), in batches."""
        import qdrant_edge as qe

        for part in upserts.iter_slices(BATCH):
            batch = _folded(plain_payload(part))
            payloads = batch.drop("chunk_id", "vector", "terms", "weights").to_dicts()
            vectors = zip(_rows(batch["vector"]), batch["terms"].to_list(), batch["weights"].to_list(), strict=True)
            named = [_named_vectors(dense, terms, weights) for dense, terms, weights in vectors]
            ids = [UUID(chunk) for chunk in batch["chunk_id"].to_list()]
            self._upsert([qe.Point(*parts) for parts in zip(ids, named, payloads, strict=True)])
            self._parts.append(batch.select(pl.col(name).cast(kind) for name, kind in _POINTS_SCHEMA.items()))

    def add_records(self, records: Sequence[Any]) -> None:
        """Add points as they were read from another segment; their own row_hash goes into the sidecar."""
        import qdrant_edge as qe

        self._upsert([qe.Point(record.id, record.vector, record.payload) for record in records])
        rows = [(record.id.hex, record.payload["row_hash"], _terms_of(record.vector)) for record in records]
        self._parts.append(pl.DataFrame(rows, schema=_POINTS_SCHEMA, orient="row"))

    def finish(self, has_graph: bool) -> int:
        """Build the graph where wanted, close, write the sidecars, make all of it durable; returns the points."""
        if has_graph:
            self._shard.optimize()
        self._shard.flush()
        self._shard.close()
        points = pl.concat(self._parts) if self._parts else pl.DataFrame(schema=_POINTS_SCHEMA)
        points = points.sort("chunk_id")
        points.write_ipc(self.folder / "points.arrow", compression="uncompressed")
        np.save(self.folder / "df.npy", np.stack(count_terms(points["terms"])))
        sync_tree(self.folder)
        return points.height

    def _upsert(self, points: list["qe.Point"]) -> None:
        import qdrant_edge as qe

        if points:
            self._shard.update(qe.UpdateOperation.upsert_points(points))


class Segment:
    """An open segment. Safe to read from several threads; ``close`` it, or let it go."""

    def __init__(self, folder: Path) -> None:
        """Remember the folder; files are opened when they are needed."""
        self.folder = folder
        self.inode = folder.stat().st_ino if folder.exists() else 0
        self._lock = threading.Lock()
        self._shard: qe.EdgeShard | None = None
        self._paths: list[str] | None = None
        self._matched: dict[tuple[str, ...], list[str]] = {}
        self._df: npt.NDArray[np.uint32] | None = None

    def points(self, *columns: str) -> pl.DataFrame:
        """The sidecar, sorted by chunk_id: ``columns`` of ``chunk_id``, ``row_hash``, ``terms``.

        Raises:
            SegmentVanishedError: the segment was removed.
            DamagedIndexError: the file is there and cannot be read.
        """
        try:
            return pl.scan_ipc(self.folder / "points.arrow").select(columns).collect()
        except FileNotFoundError as error:
            raise SegmentVanishedError(str(self.folder)) from error
        except pl.exceptions.PolarsError as error:
            raise unreadable(self.folder / "points.arrow", error) from error

    def dead_terms(self, dead: Iterable[str]) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32]]:
        """Sorted terms of the points ``dead`` and in how many of them each occurs."""
        points = self.points("chunk_id", "terms")
        return count_terms(points.filter(pl.col("chunk_id").is_in(list(dead)))["terms"])

    def open(self) -> "qe.EdgeShard":
        """The qdrant-edge shard, loaded once.

        Raises:
            SegmentVanishedError: the segment was removed.
            DamagedIndexError: it is there and cannot be loaded.
        """
        with self._lock:
            if self._shard is None:
                self._shard = load_shard(self.folder)
            return self._shard

    def close(self) -> None:
        """Release the shard's files."""
        if self._shard is not None:
            self._shard.close()
            self._shard = None

    def search_dense(
        self, vector: Sequence[float], where: "qe.Filter | None", limit: int, floor: float | None
    ) -> list[Candidate]:
        """Nearest points by dot product that reach ``floor``, best first, scores rounded."""
        import qdrant_edge as qe

        return self._search(qe.Query.Nearest(list(vector), using="dense"), where, limit, floor)

    def search_sparse(
        self, query: SparseQuery, where: "qe.Filter | None", limit: int, floor: float | None
    ) -> list[Candidate]:
        """Points with the greatest sparse dot product that reach ``floor``, best first, scores rounded."""
        import qdrant_edge as qe

        vector = qe.SparseVector(list(query.indices), list(query.weights))
        return self._search(qe.Query.Nearest(vector, using="terms"), where, limit, floor)

    def records(self, ids: Iterable[str]) -> list[Any]:
        """The points among ``ids`` that are really there, whole, as the engine gives them."""
        return self.open().retrieve([UUID(chunk) for chunk in ids], True, True)

    def payloads(self, ids: Iterable[str]) -> dict[str, Payload]:
        """Payloads of the points among ``ids`` that are really there."""
        records: list[Any] = self.open().retrieve([UUID(chunk) for chunk in ids], True, False)
        return {record.id.hex: _unfolded(record.payload or {}) for record in records}

    def present(self, ids: Iterable[str]) -> list[str]:
        """Which of ``ids`` are really there."""
        records: list[Any] = self.open().retrieve([UUID(chunk) for chunk in ids], False, False)
        return [record.id.hex for record in records]

    def real_points(self) -> pl.DataFrame:
        """Every point that is really there: ``chunk_id``, ``row_hash``, ``has_vector``."""
        import qdrant_edge as qe

        dense = qe.Filter(must=[qe.HasVectorCondition("dense")])
        with_vector = {record.id.hex for record in _scroll(self.open(), [], dense)}
        rows = [
            (record.id.hex, record.payload.get("row_hash"), record.id.hex in with_vector)
            for record in _scroll(self.open(), ["row_hash"])
        ]
        return pl.DataFrame(rows, schema=REAL_POINTS_SCHEMA, orient="row")

    def frequencies(self, terms: npt.NDArray[np.uint32]) -> npt.NDArray[np.int64]:
        """In how many points of the segment, dead ones included, each of ``terms`` occurs."""
        if self._df is None:
            try:
                self._df = np.load(self.folder / "df.npy", mmap_mode="r")
            except FileNotFoundError as error:
                raise SegmentVanishedError(str(self.folder)) from error
            except ValueError as error:
                raise unreadable(self.folder / "df.npy", error) from error
        known, counts = self._df
        return look_up(known, counts, terms)

    def condition(self, wanted: Filter | None) -> "tuple[bool, qe.Filter | None]":
        """Whether any point of the segment may match, and the filter for the engine."""
        import qdrant_edge as qe

        if wanted is None:
            return True, None
        must: list[Any] = []
        conditions = list(wanted.conditions())
        if wanted.path_globs:
            paths = self._matching(wanted.path_globs)
            if not paths:
                return False, None
            if len(paths) < len(self._all_paths()):
                conditions.append(AnyOf("path", tuple(paths)))
        for condition in conditions:
            match condition:
                case AnyOf(key, values):
                    must.append(qe.FieldCondition(key, match=qe.MatchAny(list(values))))
                case Between(key, after, before):
                    must.append(qe.FieldCondition(key, range=qe.RangeDateTime(gte=after, lt=before)))
        return True, qe.Filter(must=must) if must else None

    def _search(self, query: Any, where: "qe.Filter | None", limit: int, floor: float | None) -> list[Candidate]:
        import qdrant_edge as qe

        request = qe.QueryRequest(limit, query=query, filter=where, with_payload=False, score_threshold=floor)
        found: list[Any] = self.open().query(request)
        return [Candidate(point.id.hex, round(point.score, DIGITS)) for point in found]

    def _matching(self, globs: tuple[str, ...]) -> list[str]:
        if globs not in self._matched:
            if len(self._matched) >= _REMEMBERED_GLOBS:
                self._matched.clear()
            self._matched[globs] = matching_paths(globs, self._all_paths())
        return self._matched[globs]

    def _all_paths(self) -> list[str]:
        if self._paths is None:
            self._paths = sorted(_distinct_paths(self.open()))
        return self._paths


def load_shard(folder: Path) -> "qe.EdgeShard":
    """Load the qdrant-edge shard of a segment folder.

    Raises:
        SegmentVanishedError: the folder is gone, perhaps while it was read.
        DamagedIndexError: it is there and cannot be loaded.
    """
    import qdrant_edge as qe

    try:
        shard = qe.EdgeShard.load(str(folder / "edge"))
        _read_ahead(folder)
        return shard
    except Exception as error:  # qdrant-edge raises nothing narrower
        if not (folder / "points.arrow").exists():
            raise SegmentVanishedError(str(folder)) from error
        raise DamagedIndexError(f"{folder} cannot be loaded ({error}); rebuild the shard's index") from error


def _read_ahead(folder: Path) -> None:
    """Ask the system to read what is really in the files; loading them "cached" would read their holes as well.

    Another process that loads the same shard writes and removes small temporary files beside them meanwhile.
    """
    for parent, _, names in os.walk(folder):  # unlike a glob, it passes over a folder that is gone when its turn comes
        for name in names:
            if name.endswith((".mmap", ".dat")):
                with open(Path(parent, name), "rb") as handle:
                    size = os.fstat(handle.fileno()).st_blocks * 512
                    for start in range(0, size, _READ_AHEAD):  # one call reads no more than that
                        os.posix_fadvise(handle.fileno(), start, _READ_AHEAD, os.POSIX_FADV_WILLNEED)


def _scroll(shard: "qe.EdgeShard", fields: list[str], where: "qe.Filter | None" = None) -> Iterator[Any]:
    """Every point of a shard with the named payload fields, without vectors."""
    import qdrant_edge as qe

    selector = qe.PayloadSelector.Include(fields)
    offset = None
    while True:
        request = qe.ScrollRequest(offset=offset, limit=20_000, filter=where, with_payload=selector, with_vector=False)
        records, offset = shard.scroll(request)
        yield from records
        if offset is None:
            return


def _distinct_paths(shard: "qe.EdgeShard") -> set[str]:
    import qdrant_edge as qe

    info = shard.info()
    if "path" in info.payload_schema:
        return {str(hit.value) for hit in shard.facet(qe.FacetRequest("path", limit=info.points_count, exact=True))}
    return {record.payload["path"] for record in _scroll(shard, ["path"]) if record.payload.get("path") is not None}


def plain_payload(upserts: pl.DataFrame) -> pl.DataFrame:
    """Columns in point order, Datetime payload columns as ISO 8601 text in UTC."""
    payload = [name for name in upserts.columns if name not in POINT_COLUMNS]
    moments = [name for name in payload if isinstance(upserts.schema[name], pl.Datetime)]
    as_text = [pl.col(name).dt.convert_time_zone("UTC").dt.strftime(_ISO) for name in moments]
    return upserts.select(*POINT_COLUMNS, *payload).with_columns(as_text)


def _folded(upserts: pl.DataFrame) -> pl.DataFrame:
    """Payload columns that no filter knows, as JSON text in one column."""
    plain = {*POINT_COLUMNS, *KEYWORD_FIELDS, *DATETIME_FIELDS}
    others = [name for name in upserts.columns if name not in plain]
    if not others:
        return upserts
    body = pl.struct(others).struct.json_encode().alias(_BODY)
    return upserts.select(pl.exclude(others), body)


def _unfolded(payload: dict[str, Any]) -> Payload:
    body = payload.pop(_BODY, None)
    return payload | json.loads(body) if body is not None else payload


def look_up(
    known: npt.NDArray[np.uint32], counts: npt.NDArray[np.uint32], terms: npt.NDArray[np.uint32]
) -> npt.NDArray[np.int64]:
    """``counts`` of ``terms`` in the sorted ``known``, 0 where unknown."""
    if known.size == 0:
        return np.zeros(terms.size, dtype=np.int64)
    places = np.minimum(np.searchsorted(known, terms), known.size - 1)
    return np.where(known[places] == terms, counts[places], 0).astype(np.int64)


def count_terms(terms: pl.Series) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32]]:
    """Sorted distinct terms of a column of lists and in how many lists each occurs (a list holds a term once)."""
    flat = terms.list.explode(empty_as_null=False, keep_nulls=False).to_numpy()
    known, counts = np.unique(flat.astype(np.uint32), return_counts=True)
    return known, counts.astype(np.uint32)


def _rows(vectors: pl.Series) -> list[memoryview | None]:
    """The vectors of a List(Float32) column as views, which cost a third of lists of Python's floats; null stays None."""
    lengths = vectors.list.len().to_list()
    flat = vectors.drop_nulls().list.explode().to_numpy().astype(np.float32, copy=False).data
    rows: list[memoryview | None] = []
    start = 0
    for length in lengths:
        rows.append(None if length is None else flat[start : start + length])
        start += length or 0
    return rows


def _named_vectors(dense: memoryview | None, terms: list[int], weights: list[float]) -> dict[str, Any]:
    import qdrant_edge as qe

    named: dict[str, Any] = {}
    if dense is not None:
        named["dense"] = dense
    if terms:
        named["terms"] = qe.SparseVector(terms, weights)
    return named


def _terms_of(vectors: dict[str, Any]) -> list[int]:
    return list(vectors["terms"].indices) if "terms" in vectors else []
