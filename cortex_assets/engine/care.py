"""Care of the lake: compact, vacuum, sweep, in turns under the lake lease (ARCHITECTURE 4 "Storage").

Each step takes the lease for itself and lets it go, so that runs get in between. Which files are left over for nobody is
``engine.leftovers``', which rows of ``ops/`` are too old ``engine.ages``'. Sweeps remove only what no retained version
names and what is older than ``Settings.sweep_age``. Nothing here changes what a table of content holds.
"""

import shutil
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cortex_assets.calls.schema import MODEL_CALLS
from cortex_assets.chunks.schema import CHUNKS
from cortex_assets.corpora.registry import Registered
from cortex_assets.corpora.schema import CORPORA, CORPUS_STATISTICS, DUPLICATES, FILES, SCANS
from cortex_assets.documents.schema import DOCUMENTS
from cortex_assets.embeddings.schema import EMBEDDINGS
from cortex_assets.engine.ages import AGED, aged, remove_aged
from cortex_assets.engine.lease import LeaseBusy, lake_lease
from cortex_assets.engine.leftovers import PLACES, leftovers
from cortex_assets.engine.sweeps import doomed_spaces, doomed_vectors, named_contents, sweep_vectors
from cortex_assets.evaluation.schema import (
    ACCEPTED_EVALUATIONS,
    DECIDED_CANDIDATES,
    EVALUATED_QUESTIONS,
    EVALUATIONS,
    FEEDBACK,
)
from cortex_assets.ops.schema import CHECKS, LAKE, QUARANTINED_ROWS, RUNS, SECRET_COUNTS, SNAPSHOTS, ledger_table
from cortex_assets.tables import TableSpec
from resources.bucket import Bucket, LeasePlace
from resources.lakehouse import Lakehouse
from resources.raw_store import RawStore
from resources.settings import Settings
from resources.vectors.generation import folder_name
from resources.vectors.protocol import VectorStore

LEDGERS = tuple(ledger_table(name) for name in ("documents", "chunks", "embeddings", "duplicates", "corpus_statistics"))
TABLES = (
    CORPORA,
    FILES,
    SCANS,
    DOCUMENTS,
    CHUNKS,
    EMBEDDINGS,
    DUPLICATES,
    CORPUS_STATISTICS,
    EVALUATIONS,
    EVALUATED_QUESTIONS,
    ACCEPTED_EVALUATIONS,
    FEEDBACK,
    DECIDED_CANDIDATES,
    LAKE,
    SNAPSHOTS,
    QUARANTINED_ROWS,
    SECRET_COUNTS,
    RUNS,
    CHECKS,
    MODEL_CALLS,
    *LEDGERS,
)


@dataclass(frozen=True, slots=True)
class Cared:
    """What care did for one table or store, or would do.

    Attributes:
        name: of it.
        files_before: on disk.
        files_after: see there.
        bytes_freed: on disk.
        seconds: it took.
        rows: that were deleted because of their age, or because nothing names them.
    """

    name: str
    files_before: int
    files_after: int
    bytes_freed: int
    seconds: float
    rows: int = 0


@dataclass(frozen=True, slots=True)
class Maintained:
    """One maintenance.

    Attributes:
        cared: what was done, in order.
        busy: steps that were left out because runs were at work, and which.
        longest_hold: seconds for which runs were kept out at a time, at most.
    """

    cared: tuple[Cared, ...]
    busy: tuple[str, ...]
    longest_hold: float


class Turns:
    """Takes the lake's lease for one short step after another, so that runs get in between, and waits for a turn."""

    def __init__(self, leases: Path | LeasePlace, patience: float) -> None:
        """Begin.

        Args:
            leases: where the leases are.
            patience: seconds to wait in all while runs are at work.
        """
        self._leases, self._deadline = leases, time.monotonic() + patience
        self.longest = 0.0

    @contextmanager
    def lease(self) -> Iterator[None]:
        """Hold the lake for one step.

        Raises:
            LeaseBusy: runs are at work, and patience is at its end.
        """
        with lake_lease(self._leases, max(0.0, self._deadline - time.monotonic())):
            begin = time.perf_counter()
            try:
                yield
            finally:
                self.longest = max(self.longest, time.perf_counter() - begin)


@dataclass(frozen=True)
class Step:
    """One thing that is done, in turns.

    Attributes:
        name: as it is shown.
        folders: what is weighed before and after.
        work: does it; the number of rows deleted.
        would: files and folders that it would delete, and rows.
        is_shown_always: also where nothing came of it.
        stored: where it is that is weighed, if not in folders: a bucket and a prefix in it.
    """

    name: str
    folders: tuple[Path, ...]
    work: Callable[[], int]
    would: Callable[[], tuple[Collection[Path], int]]
    is_shown_always: bool = True
    stored: tuple[Bucket, str] | None = None

    def weigh(self) -> tuple[int, int]:
        """(files, bytes) of what it cares for."""
        if self.stored is None:
            return _weigh(self.folders)
        bucket, prefix = self.stored
        found = bucket.list(prefix)
        return len(found), sum(one.size for one in found)

    def weigh_some(self, paths: Collection[Path]) -> tuple[int, int]:
        """(files, bytes) of some of it."""
        if self.stored is None:
            return _weigh(tuple(paths))
        bucket, prefix = self.stored
        wanted = {f"{prefix}{path.as_posix()}" for path in paths}
        sizes = [one.size for one in bucket.list(prefix) if one.key in wanted] if wanted else []
        return len(sizes), sum(sizes)


class Upkeep:
    """Everything that maintenance does for a lake."""

    def __init__(
        self,
        lake: Lakehouse,
        raw: RawStore,
        store: VectorStore,
        corpora: Sequence[Registered],
        settings: Settings,
        turns: Turns,
    ) -> None:
        """Bind; nothing is done yet. ``lake`` takes its turns of ``turns`` for optimize and vacuum."""
        self._lake, self._raw, self._store, self._settings, self._turns = lake, raw, store, settings, turns
        self._corpora = corpora
        self._spaces: dict[str, list[str]] = {}
        for corpus in corpora:
            for space_id in corpus.every_space:
                self._spaces.setdefault(space_id, []).extend(corpus.every_shard)

    def steps(self) -> list[Step]:
        """All of it, in the order in which it is to be done."""
        tables = [table for table in TABLES if self._lake.version(table) >= 0]
        aged = [self._aged(table) for table in tables if table in AGED]
        indexes = [self._index(space, shard) for space, shards in self._spaces.items() for shard in shards]
        return [self._vectors(), *aged, *map(self._table, tables), *indexes, self._bytes(), *self._leftovers()]

    def _vectors(self) -> Step:
        spaces, ages = frozenset(self._spaces), (self._settings.retention, self._settings.sweep_age)

        def work() -> int:
            with self._turns.lease():
                return sweep_vectors(self._lake, spaces, *ages, datetime.now(UTC))

        def would() -> tuple[Collection[Path], int]:
            return (), doomed_vectors(self._lake, spaces, *ages, datetime.now(UTC)).rows

        return Step("vectors of texts that are gone", (), work, would, is_shown_always=False)

    def _aged(self, table: TableSpec) -> Step:
        how = (self._settings.history, max(self._settings.retention, self._settings.sweep_age))

        def work() -> int:
            with self._turns.lease():
                return remove_aged(self._lake, table, *how, datetime.now(UTC))

        def would() -> tuple[Collection[Path], int]:
            return (), aged(self._lake, table, *how, datetime.now(UTC)).height

        return Step(f"old rows of {table.name}", (), work, would, is_shown_always=False)

    def _table(self, table: TableSpec) -> Step:
        lake, retention, sweep_age = self._lake, self._settings.retention, self._settings.sweep_age

        def work() -> int:
            lake.optimize(table)
            lake.vacuum(table, retention)
            lake.sweep_strays(table, max(retention, sweep_age))
            return 0

        def would() -> tuple[Collection[Path], int]:
            return lake.would_go(table, retention, sweep_age), 0

        bucket = self._settings.bucket
        if bucket is not None:
            return Step(table.name, (), work, would, stored=(bucket, f"{table.name}/"))
        return Step(table.name, (Path(lake.uri(table)),), work, would)

    def _index(self, space_id: str, shard: str) -> Step:
        folder = self._settings.index / folder_name(space_id) / folder_name(shard)

        def work() -> int:
            with self._turns.lease():
                self._store.compact(space_id, shard)
            return 0

        return Step(f"index {shard}", (folder,), work, lambda: ((), 0))

    def _bytes(self) -> Step:
        retention, oldest = self._settings.retention, time.time() - self._settings.sweep_age.total_seconds()

        def work() -> int:
            with self._turns.lease():
                self._raw.sweep(named_contents(self._lake, retention), oldest)
            return 0

        def would() -> tuple[Collection[Path], int]:
            return self._raw.unnamed(named_contents(self._lake, retention), oldest), 0

        return Step("raw store", (self._settings.raw,), work, would)

    def _leftovers(self) -> list[Step]:
        return [self._leftover(place) for place in PLACES]

    def _leftover(self, place: str) -> Step:
        ages = self._settings.retention, self._settings.sweep_age

        def found() -> tuple[Path, ...]:
            dropped = doomed_spaces(self._lake, frozenset(self._spaces), max(ages), datetime.now(UTC))
            ids = {corpus.corpus_id for corpus in self._corpora}
            names = {table.name for table in TABLES}
            return leftovers(place, self._settings, ids, names, self._spaces, dropped, time.time())

        def work() -> int:
            with self._turns.lease():
                for path in found():
                    _remove(path)
            return 0

        return Step(f"leftovers in {place}", (), work, lambda: (found(), 0), is_shown_always=False)


def maintain_lake(upkeep: Upkeep, turns: Turns, is_dry_run: bool = False) -> Maintained:
    """Do every step, each under the lake's lease for itself; those that find runs at work are left out and named.

    Args:
        upkeep: what there is to do.
        turns: those of ``upkeep``.
        is_dry_run: only say what would go; no lease is taken and nothing is written.

    Raises:
        LeaseBusy: not one step could be done.
    """
    done: list[Cared] = []
    busy: list[LeaseBusy] = []
    names: list[str] = []
    shown = False
    for step in upkeep.steps():
        try:
            cared = _foreseen(step) if is_dry_run else _done(step)
        except LeaseBusy as error:
            busy.append(error)
            names.append(f"{step.name}: {error}")
            continue
        shown = True
        if step.is_shown_always or cared.rows or cared.bytes_freed or cared.files_before != cared.files_after:
            done.append(cared)
    if busy and not shown:
        raise busy[0]
    return Maintained(tuple(done), tuple(names), turns.longest)


def _done(step: Step) -> Cared:
    begin = time.perf_counter()
    before = step.weigh()
    rows = step.work()
    after = step.weigh()
    return Cared(step.name, before[0], after[0], before[1] - after[1], time.perf_counter() - begin, rows)


def _foreseen(step: Step) -> Cared:
    begin = time.perf_counter()
    before = step.weigh()
    paths, rows = step.would()
    going = step.weigh_some(paths)
    files = before[0] if step.folders or step.stored else going[0]
    return Cared(step.name, files, files - going[0], going[1], time.perf_counter() - begin, rows)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _weigh(places: Sequence[Path]) -> tuple[int, int]:
    """(files, bytes on disk) of files, and of all below folders."""
    files = size = 0
    for place in places:
        for path in place.rglob("*") if place.is_dir() else (place,):
            with suppress(FileNotFoundError):
                if path.is_file():
                    files, size = files + 1, size + path.lstat().st_blocks * 512
    return files, size
