"""Points of one shard on their way into the index: what is published together, and how far it is.

Where other processes write the segments, the caller goes on with its next slice and publishes each segment once it is
there (``advance``). Which points there should be is ``engine.wanted``'s, what a point shows ``engine.points``'.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from cortex_assets.engine.fresh import forget
from cortex_assets.engine.grown import Files
from cortex_assets.engine.points import parts_of, segment_apart
from cortex_assets.engine.report import ProgressSink, StageReport
from inference.protocols import Space
from resources.crew import Crew, Job
from resources.lakehouse import Lakehouse
from resources.memory import give_back
from resources.vectors.protocol import Generation, Upserts, VectorStore

PUBLISH_POINTS = 16_000
"""About so many in one segment of a large import, at 5 kB of memory each: what a crash loses of it, and enough that it need
not be merged."""
SHARED_FROM, LEAST_SHARE = 5_000, 2_500
"""More points than the first are written as segments side by side, none smaller than the second."""
SMALL_BLOCK = 2_000
SEGMENT_APART = "cortex_assets.engine.points.segment_apart"


@dataclass(frozen=True, slots=True)
class Changes:
    """What one publication changes.

    Attributes:
        points: how many the shard will have.
        upserts: ``chunk_id point_hash embed_hash has_vector input_key document_id``, in the order of their rows' storage.
        deletes: ids to take out.
        versions: of the tables, recorded with the generation: those of before the points were planned.
        read_at: of the tables, for reading rows: not before the plan, so that a vector that it knows is there.
        sparse_only: how many of ``points`` have no vector.
        fresh: files that hold some of the vectors (``engine.fresh``); gone when it is published.
        files: the tables' data files, where everything in them is published by this; None where that is not sure.
    """

    points: int
    upserts: pl.DataFrame
    deletes: Sequence[str]
    versions: dict[str, int]
    read_at: dict[str, int]
    sparse_only: int
    fresh: Sequence[Path] = ()
    files: Files | None = None

    @property
    def is_empty(self) -> bool:
        """Nothing to publish."""
        return not self.upserts.height and not self.deletes


class Publication:
    """Publishes ``changes`` group by group; ``close`` it, whether it came to its end or not."""

    def __init__(
        self,
        changes: Changes,
        space: Space,
        shard: str,
        store: VectorStore,
        lake: Lakehouse,
        crew: Crew,
        report: StageReport,
        progress: ProgressSink,
        before_publish: Callable[[], None],
    ) -> None:
        """Begin: the segments of many points are written by the crew from now on.

        Args:
            changes: what is published.
            space: whose vectors.
            shard: whose points.
            store: what is published to.
            lake: where their rows are.
            crew: writes segments apart.
            report: takes what was done.
            progress: hears of it.
            before_publish: raises to refuse a publish (free-space guard).
        """
        self.changes, self.report = changes, report
        self.generation: Generation | None = None
        self._space, self._shard, self._store, self._lake, self._crew = space, shard, store, lake, crew
        self._progress, self._before_publish = progress, before_publish
        is_shared = store.takes_segments and crew.hands > 1 and changes.upserts.height > SHARED_FROM
        self._groups = _groups(changes.upserts, crew.hands if is_shared else 1)
        self._published = 0
        self._points = 0
        progress(shard, report.stage, 0, changes.upserts.height, "points")
        self._job = self._begun() if is_shared else None

    @property
    def is_apart(self) -> bool:
        """Whether other processes are at it."""
        return self._job is not None

    def _begun(self) -> Job:
        self._before_publish()  # segments are written before they are published
        give_back()
        ids = self._space.space_id, self._space.dimensions
        lake, read_at = self._lake, self.changes.read_at
        args = (
            lake.root,
            lake.storage_options,
            ids,
            self._shard,
            str(self._crew.folder()),
            read_at,
            list(self.changes.fresh),
        )
        return self._crew.begin(SEGMENT_APART, lambda group: segment_apart(group, *args), self._groups, args)

    def advance(self, is_waiting: bool) -> bool:
        """Publish the groups that are ready, or all of them (working along on those that nobody has begun).

        Returns:
            Whether everything is published.
        """
        while self._published < len(self._groups):
            points = self._next(is_waiting)
            if points is None:
                return False
            self._publish(points)
        return True

    def close(self) -> None:
        """End what still goes on; what is not published by now a later plan finds missing."""
        if self._job is not None and self._published == len(self._groups):
            self._job.join()
        elif self._job is not None:
            self._job.abandon()
        forget(self.changes.fresh)

    def _next(self, is_waiting: bool) -> Upserts | None:
        """The next group as the store takes it, None while its segment is not written."""
        group = self._groups[self._published]
        if self._job is None:
            ids = self._lake, self._space.space_id, self._shard
            return Upserts(group["chunk_id"], parts_of(*ids, group, self.changes.fresh))
        written = self._job.take(is_waiting)
        return None if written is None else Upserts(group["chunk_id"], segment=Path(written["segment"].item()))

    def _publish(self, points: Upserts) -> None:
        self._before_publish()
        space, changes = self._space, self.changes
        gone = changes.deletes if self._published == 0 else ()
        self.generation = self._store.publish(
            space.space_id, space.dimensions, self._shard, points, gone, changes.versions
        )
        self._published += 1
        self._points += points.height
        if points.height > SMALL_BLOCK and points.segment is None:
            give_back()
        self._progress(self._shard, self.report.stage, self._points, changes.upserts.height, "points")


def _groups(upserts: pl.DataFrame, hands: int) -> list[pl.DataFrame]:
    """The points of one publish each; as many for each of several hands."""
    count = max(1, round(upserts.height / PUBLISH_POINTS))
    if hands > 1:
        count = min(max(1, round(count / hands)) * hands, upserts.height // LEAST_SHARE)
    size = max(1, math.ceil(upserts.height / count))
    return [upserts.slice(start, size) for start in range(0, max(1, upserts.height), size)]


def counted(report: StageReport, early: StageReport, before: pl.DataFrame, after: pl.DataFrame) -> None:
    """Make ``report`` that of two publishes: points by what the sidecar said before the first and says after the last.

    Args:
        report: of the last one.
        early: of the first one.
        before: the sidecar (``chunk_id row_hash``) before the first.
        after: the sidecar now.
    """
    known = dict(before.select("chunk_id", "row_hash").iter_rows())
    held = dict(after.select("chunk_id", "row_hash").iter_rows())
    report.new = len(held.keys() - known.keys())
    report.deleted = len(known.keys() - held.keys())
    report.changed = sum(held.get(chunk, row_hash) != row_hash for chunk, row_hash in known.items())
    report.unchanged = len(held) - report.new - report.changed
    report.rows_written += early.rows_written
    report.rows_added, report.rows_removed = report.new, report.deleted
    report.commits += early.commits
    report.seconds += early.seconds
