"""The index stage: what Delta says a shard's points are becomes a published generation (ARCHITECTURE 5).

A projection: the desired points (chunk, its document, whether it has a vector) are compared with the generation's sidecar,
and only the difference is encoded and written. Chunks without a vector are published sparse-only and counted.
"""

import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import cache
from pathlib import Path

import polars as pl

from cortex_assets.chunks.schema import CHUNKS
from cortex_assets.documents.schema import DOCUMENTS
from cortex_assets.embeddings.schema import EMBEDDINGS
from cortex_assets.engine.fingerprint import Producer
from cortex_assets.engine.narrow import narrow
from cortex_assets.engine.points import parts_of, segment_apart
from cortex_assets.engine.report import ProgressSink, StageReport, silent
from cortex_assets.engine.stage import Budget
from cortex_assets.index.points import desired_points, diff, point_payload
from cortex_assets.ops.schema import SNAPSHOTS
from cortex_assets.retrieval.sparse import encode_points
from inference.protocols import Space
from resources.crew import Crew
from resources.lakehouse import Lakehouse
from resources.memory import give_back
from resources.state import State
from resources.vectors.protocol import DamagedIndexError, Upserts, VectorStore

PUBLISH_POINTS = 16_000
"""About so many in one segment of a large import, at 5 kB of memory each: what a crash loses of it, and enough that it need
not be merged."""
SHARED_FROM, LEAST_SHARE = 5_000, 2_500
"""More points than the first are written as segments side by side, none smaller than the second."""
SMALL_BLOCK = 2_000
SEGMENT_APART = "cortex_assets.engine.points.segment_apart"


class IndexStage:
    """Publishes a shard's points of one space."""

    name = "index"

    def __init__(
        self,
        space: Space,
        store: VectorStore,
        lake: Lakehouse,
        state: State,
        crew: Crew,
        before_publish: Callable[[], None] = lambda: None,
    ) -> None:
        """Bind; nothing is read yet. ``before_publish`` raises to refuse a publish (free-space guard)."""
        self._crew = crew
        self.space, self._store, self._lake, self._state = space, store, lake, state
        self._before_publish = before_publish
        self._before_early: dict[str, tuple[pl.DataFrame, StageReport]] = {}

    def _generation(self, shard: str) -> int:
        """Number of the current generation; -1 where there is none, or none that can be read."""
        try:
            current = self._store.generation(self.space.space_id, shard)
        except DamagedIndexError:
            return -1
        return -1 if current is None else current.number

    def version(self, shard: str) -> tuple[str, str, int]:
        """What a shard's points are, beside the tables: space, encoder, generation."""
        return self.space.space_id, encoder_version(), self._generation(shard)

    def _versions(self) -> dict[str, int]:
        return {t.name: self._lake.version(t) for t in (DOCUMENTS, CHUNKS, EMBEDDINGS)}

    def desired(self, shard: str) -> pl.DataFrame:
        """What the points of a shard should be: ``chunk_id point_hash has_vector``."""
        columns = ("chunk_id", "row_hash", "embed_hash", "document_id", "is_active")
        chunks = narrow(self._lake, CHUNKS, {"shard": shard}).select(columns)
        documents = narrow(self._lake, DOCUMENTS, {"shard": shard}).select("document_id", "row_hash")
        vectors = narrow(self._lake, EMBEDDINGS, {"space_id": self.space.space_id}).select("embed_hash")
        return desired_points(chunks, documents, vectors, encoder_version())

    def _by_place(self, shard: str, desired: pl.DataFrame, chunk_ids: Sequence[str]) -> pl.DataFrame:
        """Those points as ``parts_of`` wants them, in the order in which their rows are stored: a part lies in few files."""
        ids = pl.DataFrame({"chunk_id": chunk_ids}, {"chunk_id": pl.String})
        wanted = desired.join(ids, on="chunk_id", how="semi")
        places = narrow(self._lake, CHUNKS, {"shard": shard}).select(
            "chunk_id", "embed_hash", "input_key", "document_id"
        )
        found = places.join(wanted.lazy(), on="chunk_id", how="inner").collect(engine="streaming")
        return found.sort("input_key", "chunk_id")

    def real_points(self, shard: str) -> pl.DataFrame:
        """The points themselves: ``chunk_id row_hash has_vector``."""
        return self._store.real_points(self.space.space_id, shard)

    def sidecar_ids(self, shard: str) -> set[str]:
        """Ids of the points that the current generation says it holds."""
        return set(self._store.sidecar(self.space.space_id, shard).get_column("chunk_id").to_list())

    def rewrite(self, shard: str, upserts: Sequence[str], deletes: Sequence[str], now: datetime) -> None:
        """Publish points again that the sidecar thinks are right (repair)."""
        versions, report = self._versions(), StageReport(self.name, shard)
        self._publish(shard, self.desired(shard), upserts, deletes, versions, now, report, silent)

    def pending(self, shard: str) -> tuple[pl.DataFrame, list[str], list[str]]:
        """(desired points, ids to upsert, ids to delete) against the current generation's sidecar."""
        desired = self.desired(shard)
        upserts, deletes = diff(desired, self._store.sidecar(self.space.space_id, shard))
        return desired, upserts, deletes

    def _signature(self, shard: str) -> dict[str, object]:
        return {"tables": self._versions(), "generation": self._generation(shard), "encoder": encoder_version()}

    def is_complete(self, shard: str, now: datetime) -> dict[str, object] | None:
        """The record of the last complete publish where nothing moved since, else None. Reads no table."""
        record = self._state.complete(shard, self.name)
        return record if record is not None and record.get("signature") == self._signature(shard) else None

    def run(self, shard: str, budget: Budget, now: datetime, progress: ProgressSink = silent) -> StageReport:
        """Publish the difference; no difference publishes nothing. A publish before this one is reported here, too."""
        report = self._run(shard, now, progress)
        if shard in self._before_early:
            sidecar, early = self._before_early.pop(shard)
            _count_as_one(report, early, sidecar, self._store.sidecar(self.space.space_id, shard))
        return report

    def run_early(self, shard: str, now: datetime, progress: ProgressSink = silent) -> None:
        """Publish what is there before the vectors are; ``run`` reports it, so that a point counts once."""
        try:
            sidecar = self._store.sidecar(self.space.space_id, shard)
        except DamagedIndexError:
            sidecar = pl.DataFrame(schema={"chunk_id": pl.String, "row_hash": pl.Int64})
        early = self._run(shard, now, progress)
        if early.did_something:
            first, before = self._before_early.get(shard, (sidecar, StageReport(self.name, shard)))
            before.add(early)
            self._before_early[shard] = first, before

    def _run(self, shard: str, now: datetime, progress: ProgressSink) -> StageReport:
        begin = time.perf_counter()
        report = StageReport(self.name, shard)
        versions = self._versions()
        signature = self._signature(shard)
        record = self.is_complete(shard, now)
        if record is not None:
            report.unchanged = int(str(record.get("points", 0)))
            return report
        try:
            desired = self._published(shard, versions, now, report, progress)
        except DamagedIndexError as error:
            report.notes.append(f"the index is built anew: {error}")
            self._store.drop(self.space.space_id, shard)
            desired = self._published(shard, versions, now, report, progress)
        report.seconds = time.perf_counter() - begin
        signature["generation"] = self._generation(shard)
        self._state.set_complete(shard, self.name, {"signature": signature, "points": desired.height})
        return report

    def drop_if_damaged(self, shard: str) -> None:
        """Remove the shard's index where its points cannot be read; the next run builds it anew from Delta."""
        try:
            self.real_points(shard)
        except DamagedIndexError:
            self._store.drop(self.space.space_id, shard)

    def chunks_of(self, shard: str, embed_hashes: Sequence[str]) -> list[str]:
        """Ids of the points that show some vectors."""
        return (
            narrow(self._lake, CHUNKS, {"shard": shard})
            .filter(pl.col("is_active") & pl.col("embed_hash").is_in(list(embed_hashes)))
            .select("chunk_id")
            .collect()
            .to_series()
            .to_list()
        )

    def _published(
        self, shard: str, versions: dict[str, int], now: datetime, report: StageReport, progress: ProgressSink
    ) -> pl.DataFrame:
        """Publish what is pending; returns the desired points. An index that cannot be read is a DamagedIndexError."""
        desired, upserts, deletes = self.pending(shard)
        report.unchanged = desired.height - len(upserts)
        if upserts or deletes:
            self._publish(shard, desired, upserts, deletes, versions, now, report, progress)
        else:
            self._record_current(shard, now)
        return desired

    def _publish(
        self,
        shard: str,
        desired: pl.DataFrame,
        upserts: Sequence[str],
        deletes: Sequence[str],
        versions: dict[str, int],
        now: datetime,
        report: StageReport,
        progress: ProgressSink,
    ) -> None:
        known = self._store.sidecar(self.space.space_id, shard).get_column("chunk_id")
        report.changed = int(known.is_in(pl.Series(upserts, dtype=pl.String).implode()).sum())
        report.new = len(upserts) - report.changed
        del known
        progress(shard, self.name, 0, len(upserts), "points")
        done = 0
        for number, points in enumerate(self._groups(shard, self._by_place(shard, desired, upserts))):
            self._before_publish()
            gone = deletes if number == 0 else ()
            space = self.space
            generation = self._store.publish(space.space_id, space.dimensions, shard, points, gone, versions)
            done += points.height
            if points.height > SMALL_BLOCK and points.segment is None:
                give_back()
            progress(shard, self.name, done, len(upserts), "points")
        report.deleted = len(deletes)
        report.rows_written = len(upserts)
        report.commits += 1
        sparse_only = desired.filter(~pl.col("has_vector")).height
        if sparse_only:
            report.notes.append(f"{sparse_only} points are keyword-only: their vectors are not there yet")
        self._snapshot(shard, generation.number, versions, desired.height, now)

    def _groups(self, shard: str, wanted: pl.DataFrame) -> Iterator[Upserts]:
        """The points of one publish each; the segments of a large import are written by several processes."""
        lake, space, hands = self._lake, self.space, self._crew.hands
        is_shared = self._store.takes_segments and hands > 1 and wanted.height > SHARED_FROM
        count = max(1, round(wanted.height / PUBLISH_POINTS))
        if is_shared:
            count = min(max(1, round(count / hands)) * hands, wanted.height // LEAST_SHARE)
        size = max(1, math.ceil(wanted.height / count))
        wanted = wanted.select("chunk_id", "point_hash", "embed_hash", "has_vector", "input_key", "document_id")
        groups = [wanted.slice(start, size) for start in range(0, max(1, wanted.height), size)]
        if not is_shared:
            for group in groups:
                yield Upserts(group["chunk_id"], parts_of(lake, space.space_id, shard, group))
            return
        self._before_publish()  # segments are written before they are published
        give_back()
        ids = space.space_id, space.dimensions
        args = lake.root, lake.storage_options, ids, shard, str(self._crew.folder())
        made = self._crew.map(SEGMENT_APART, lambda group: segment_apart(group, *args), groups, args)
        for group, written in zip(groups, made, strict=True):
            yield Upserts(group["chunk_id"], segment=Path(written["segment"].item()))

    def _record_current(self, shard: str, now: datetime) -> None:
        """Write the snapshot row of the current generation where a crash came between its publish and that row."""
        current = self._store.generation(self.space.space_id, shard)
        if current is None:
            return
        mine = (pl.col("space_id") == self.space.space_id) & (pl.col("generation") == current.number)
        recorded = self._lake.scan(SNAPSHOTS, where={"shard": shard}).filter(mine).select(pl.len()).collect().item()
        if not recorded:
            self._snapshot(shard, current.number, dict(current.versions), current.points, now)

    def _snapshot(self, shard: str, generation: int, versions: dict[str, int], points: int, now: datetime) -> None:
        row = {
            "shard": shard,
            "space_id": self.space.space_id,
            "generation": generation,
            "published_at": now,
            "versions": json.dumps(versions, sort_keys=True),
            "points": points,
        }
        self._lake.append(SNAPSHOTS, pl.DataFrame([row], schema=SNAPSHOTS.dtypes))


def _count_as_one(report: StageReport, early: StageReport, before: pl.DataFrame, after: pl.DataFrame) -> None:
    """Make ``report`` that of two publishes: points by what the sidecar said before the first and says after the last."""
    known = dict(before.select("chunk_id", "row_hash").iter_rows())
    held = dict(after.select("chunk_id", "row_hash").iter_rows())
    report.new = len(held.keys() - known.keys())
    report.deleted = len(known.keys() - held.keys())
    report.changed = sum(held.get(chunk, row_hash) != row_hash for chunk, row_hash in known.items())
    report.unchanged = len(held) - report.new - report.changed
    report.rows_written += early.rows_written
    report.commits += early.commits
    report.seconds += early.seconds


@cache
def encoder_version() -> str:
    """Version of what encodes the sparse terms and says what a point shows."""
    return Producer((encode_points, point_payload)).version()
