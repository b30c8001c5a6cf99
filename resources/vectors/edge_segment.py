"""A large segment: a qdrant-edge shard and what must be known without opening it.

    seg-000009/
        edge/             the qdrant-edge shard: vectors, row_hash, group (no write-ahead log: durable once flushed)
        points.arrow      chunk_id, row_hash, place of payload of every point; uncompressed: some columns are read
        df.npy            terms of all points, inverted (``postings``)
        postings.npy      the same
        fields.arrow      fields that filters know (``payloads``)
        payloads.jsonl    everything else that a point shows (``payloads``)
        sums.json         size and checksum of the five

The index of groups pays from ``INDEXED_FROM`` points on: below, it only costs files. A graph (HNSW) is built when segments
are compacted, never in a publish: it takes minutes at 100,000 points. Vectors are quantized (``quantizing``) in both.
"""

import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

import numpy as np
import numpy.typing as npt
import polars as pl

from resources.vectors.edge_shard import FOLDER, load_shard, scroll, shard_config
from resources.vectors.filters import Condition
from resources.vectors.generation import check_sums, sync_tree, write_sums
from resources.vectors.payloads import PLACE_SCHEMA, Payloads, PayloadWriter
from resources.vectors.postings import Mask, Postings
from resources.vectors.protocol import REAL_POINTS_SCHEMA, Payload, SparseQuery
from resources.vectors.quantizing import GRAPH, NONE, edge_parameters
from resources.vectors.ranking import DIGITS, Candidate
from resources.vectors.segment import Form, Segment, SegmentVanishedError
from resources.vectors.stored import POINTS_SCHEMA, SIDECAR, STORED_SCHEMA

if TYPE_CHECKING:
    import qdrant_edge as qe

BATCH = 1_000
INDEXED_FROM = 1_000
ROW_HASH, GROUP = "row_hash", "group"
_VECTORS_SCHEMA = {name: STORED_SCHEMA[name] for name in ("chunk_id", "row_hash", "vector")}
_TERMS_SCHEMA = {name: STORED_SCHEMA[name] for name in ("terms", "weights")}


class Where(NamedTuple):
    """A filter as the two halves of a search take it."""

    groups: "qe.Filter"
    rows: Mask


class EdgeWriter:
    """``segment.SegmentWriter`` of a segment with a qdrant-edge shard."""

    def __init__(self, folder: Path, dimensions: int, expected: int, form: Form) -> None:
        """Create the folder and an empty shard in it.

        Args:
            folder: must not exist.
            dimensions: length of a vector.
            expected: points that will come; decides whether groups are indexed.
            form: whether a graph is built and how vectors are quantized.
        """
        import qdrant_edge as qe

        (folder / FOLDER).mkdir(parents=True)
        self.folder = folder
        self._parts = [pl.DataFrame(schema=POINTS_SCHEMA | _TERMS_SCHEMA | PLACE_SCHEMA)]
        self._payloads = PayloadWriter(folder)
        self._is_optimized = form.has_graph or form.quantized != NONE
        self._shard = qe.EdgeShard.create(str(folder / FOLDER), shard_config(dimensions, form))
        if expected >= INDEXED_FROM:
            by_number = qe.IntegerIndexParams(lookup=True, range=False)
            self._shard.update(qe.UpdateOperation.create_field_index(GROUP, by_number))

    def add(self, frame: pl.DataFrame) -> None:
        """See ``SegmentWriter.add``."""
        import qdrant_edge as qe

        for batch in frame.iter_slices(BATCH):
            places = self._payloads.add(batch)
            shown = zip(batch["row_hash"].to_list(), places[GROUP].to_list(), strict=True)
            payloads = [{ROW_HASH: row_hash, GROUP: group} for row_hash, group in shown]
            named: list[dict[str, Any]] = [
                {} if dense is None else {"dense": dense} for dense in _rows(batch["vector"])
            ]
            ids = [UUID(chunk) for chunk in batch["chunk_id"].to_list()]
            points = [qe.Point(*parts) for parts in zip(ids, named, payloads, strict=True)]
            self._shard.update(qe.UpdateOperation.upsert_points(points))
            self._parts.append(pl.concat([batch.select(*POINTS_SCHEMA, *_TERMS_SCHEMA), places], how="horizontal"))

    def finish(self) -> int:
        """See ``SegmentWriter.finish``."""
        if self._is_optimized:
            self._shard.optimize()
        self._shard.flush()
        self._shard.close()
        self._payloads.finish()
        points = pl.concat(self._parts).sort("chunk_id")
        points.drop(*_TERMS_SCHEMA).write_ipc(self.folder / SIDECAR, compression="uncompressed")
        Postings.of(points["terms"], points["weights"]).save(self.folder)
        write_sums(self.folder)
        sync_tree(self.folder)
        return points.height


class EdgeSegment(Segment):
    """``Segment`` over a qdrant-edge shard."""

    def __init__(self, folder: Path, quantized: str = NONE) -> None:
        """Remember the folder; files are opened when they are needed. ``quantized`` is how its vectors are scanned."""
        super().__init__(folder)
        self._quantized = quantized
        self._lock = threading.Lock()
        self._shard: qe.EdgeShard | None = None
        self._payloads = Payloads(folder)
        self._inverted: Postings | None = None

    def open(self) -> "qe.EdgeShard":
        """The qdrant-edge shard, loaded once."""
        with self._lock:
            if self._shard is None:
                self._shard = load_shard(self.folder, self._quantized)
            return self._shard

    def close(self) -> None:
        """See ``Segment.close``."""
        self._payloads.close()
        self._inverted = None
        if self._shard is not None:
            self._shard.close()
            self._shard = None

    def search_dense(
        self, vector: Sequence[float], where: Where | None, limit: int, floor: float | None, width: int = GRAPH.width
    ) -> list[Candidate]:
        """See ``Segment.search_dense``."""
        import qdrant_edge as qe

        query = qe.Query.Nearest(list(vector), using="dense")
        only = where.groups if where else None
        least = floor if self._quantized == NONE else None  # else it would be compared with scores of the small copy
        params = edge_parameters(self._quantized, width)
        ask = limit
        while True:  # again where points are found that the sidecar does not list: damage, which ``verify`` finds
            request = qe.QueryRequest(
                ask, query=query, filter=only, with_payload=False, score_threshold=least, params=params
            )
            points: list[Any] = self.open().query(request)
            found = [Candidate(point.id.hex, round(point.score, DIGITS)) for point in points]
            is_all = len(found) < ask
            if floor is not None and least is None:
                found = [candidate for candidate in found if candidate.score >= floor]
            listed = self._payloads.listed([candidate.chunk_id for candidate in found])
            if all(listed):
                return found
            kept = [candidate for candidate, is_listed in zip(found, listed, strict=True) if is_listed]
            if len(kept) >= limit or is_all:
                return kept[:limit]
            ask *= 2

    def search_sparse(
        self, query: SparseQuery, where: Where | None, limit: int, floor: float | None
    ) -> list[Candidate]:
        """See ``Segment.search_sparse``."""
        return self._candidates(*self._postings().best(query, where.rows if where else None, limit, floor))

    def payloads(self, ids: Iterable[str]) -> dict[str, Payload]:
        """See ``Segment.payloads``."""
        return self._payloads.payloads(ids)

    def vectors(self, ids: Sequence[str]) -> dict[str, Sequence[float]]:
        """See ``Segment.vectors``."""
        listed: list[int | UUID | str] = [
            UUID(chunk) for chunk, is_here in zip(ids, self._payloads.listed(ids), strict=True) if is_here
        ]
        if not listed:
            return {}
        records: list[Any] = self.open().retrieve(listed, False, True)
        return {record.id.hex: record.vector["dense"] for record in records if record.vector}

    def present(self, ids: Iterable[str]) -> list[str]:
        """See ``Segment.present``."""
        records: list[Any] = self.open().retrieve([UUID(chunk) for chunk in ids], False, False)
        return [record.id.hex for record in records]

    def stored(self, ids: Sequence[str]) -> pl.DataFrame:
        """See ``Segment.stored``."""
        records: list[Any] = self.open().retrieve([UUID(chunk) for chunk in ids], True, True)
        points = _vectors_of(records)
        shown = self._payloads.stored(points["chunk_id"])
        shown = shown.with_columns(*self._postings().lists_of(self._payloads.rows(points["chunk_id"])))
        return points.join(shown, on="chunk_id", maintain_order="left").select(*STORED_SCHEMA)

    def real_points(self) -> pl.DataFrame:
        """See ``Segment.real_points``; what lies beside the shard must be what was written."""
        import qdrant_edge as qe

        try:
            check_sums(self.folder)
        except FileNotFoundError as error:
            raise SegmentVanishedError(str(self.folder)) from error
        dense = qe.Filter(must=[qe.HasVectorCondition("dense")])
        with_vector = {record.id.hex for record in scroll(self.open(), [], dense)}
        rows = [
            (record.id.hex, record.payload.get(ROW_HASH), record.id.hex in with_vector)
            for record in scroll(self.open(), [ROW_HASH])
        ]
        return pl.DataFrame(rows, schema=REAL_POINTS_SCHEMA, orient="row")

    def _postings(self) -> Postings:
        with self._lock:
            if self._inverted is None:
                try:
                    self._inverted = Postings.load(self.folder, self._payloads.size)
                except FileNotFoundError as error:
                    raise SegmentVanishedError(str(self.folder)) from error
            return self._inverted

    def _rows_of(self, ids: Iterable[str]) -> list[int]:
        return self._payloads.rows(ids)

    def _candidates(self, rows: npt.NDArray[np.int64], scores: npt.NDArray[np.float64]) -> list[Candidate]:
        ids = self._payloads.ids(rows)
        return [Candidate(chunk, round(score, DIGITS)) for chunk, score in zip(ids, scores.tolist(), strict=True)]

    def _translated(self, conditions: Sequence[Condition]) -> tuple[bool, Where | None]:
        import qdrant_edge as qe

        groups = self._payloads.groups(conditions)
        if len(groups) in (0, self._payloads.fields().height):
            return bool(groups), None
        only = qe.Filter(must=[qe.FieldCondition(GROUP, match=qe.MatchAny(groups))])
        return True, Where(only, self._payloads.mask(groups))

    def _distinct_paths(self) -> set[str]:
        return set(self._payloads.fields()["path"].drop_nulls())


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


def _vectors_of(records: Sequence[Any]) -> pl.DataFrame:
    """Points as the engine gives them, in columns of ``_VECTORS_SCHEMA``; row by row, it would cost three times as much."""
    dense = [(record.vector or {}).get("dense") for record in records]
    there = [vector for vector in dense if vector is not None]
    places = pl.Series([n for n, vector in enumerate(dense) if vector is not None], dtype=pl.UInt32)
    rows = np.array(there, dtype=np.float32).reshape(len(there), -1 if there else 1)
    vectors = pl.DataFrame({"place": places, "vector": pl.Series(rows, dtype=pl.Array(pl.Float32, rows.shape[1]))})
    points = pl.DataFrame(
        {
            "place": pl.Series(range(len(records)), dtype=pl.UInt32),
            "chunk_id": pl.Series([record.id.hex for record in records], dtype=pl.String),
            "row_hash": pl.Series([(record.payload or {}).get(ROW_HASH) for record in records], dtype=pl.Int64),
        }
    ).join(vectors, on="place", how="left", maintain_order="left")
    return points.select(pl.col(name).cast(kind) for name, kind in _VECTORS_SCHEMA.items())
