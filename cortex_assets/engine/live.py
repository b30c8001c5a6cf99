"""What the runs of shards are at: one small file a shard, written by its run, read by whoever shows it.

A run says its stage, how far it is, which documents it works on, and that it is alive. Whether it still is, is told by the
shard's lease: the kernel gives that back however a run ends, so a killed run reads as interrupted at once. What is past
is in ``ops/runs``. Importing this module brings in neither Polars nor Dagster.
"""

import contextlib
import json
import os
import socket
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from cortex_assets.engine.lease import holders
from cortex_assets.engine.report import ProgressSink, silent

BEAT_SECONDS = 1.0
SILENT_SECONDS = 30.0
"""A run without a sign of life for so long is shown as silent: it hangs, or the machine sleeps."""
MOST_DOCUMENTS = 50

_FORMS: Mapping[object, tuple[type, ...]] = {str: (str,), int: (int,), float: (int, float)}

RUNNING, SILENT, INTERRUPTED, ENDED, FAILED = "running", "silent", "interrupted", "ended", "failed"


@dataclass(frozen=True, slots=True)
class AtWork:
    """A document that a stage works on, and since when (seconds since the epoch)."""

    path: str
    stage: str
    since: float


@dataclass(frozen=True, slots=True)
class LiveRun:
    """The latest run of a shard, as it told last.

    Attributes:
        run_id: of the run.
        shard: what it works on.
        corpus_id: whose shard that is.
        trigger: what started it: ``command``, ``worker``, ``dagster``.
        pid: of its process.
        host: where that runs.
        started_at: seconds since the epoch, like every time here.
        heartbeat_at: last sign of life.
        state: ``running``, ``silent`` (alive, and says nothing), ``interrupted``, ``ended`` or ``failed``.
        reason: why it failed.
        stage: what it is at.
        stage_started_at: since when.
        done: of ``total`` in this stage.
        total: see ``done``.
        unit: files, keys, tokens or points.
        documents: some of what it works on at this moment.
    """

    run_id: str
    shard: str
    corpus_id: str
    trigger: str
    pid: int
    host: str
    started_at: float
    heartbeat_at: float
    state: str = RUNNING
    reason: str = ""
    stage: str = ""
    stage_started_at: float = 0.0
    done: int = 0
    total: int = 0
    unit: str = ""
    documents: tuple[AtWork, ...] = ()

    @property
    def seconds_left(self) -> float | None:
        """Of this stage, by its pace so far; None where that cannot be said."""
        passed = self.heartbeat_at - self.stage_started_at
        if self.state != RUNNING or not 0 < self.done <= self.total or passed <= 0:
            return None
        return passed / self.done * (self.total - self.done)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; inverse of ``from_dict``."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "LiveRun":
        """A run from plain JSON values.

        Raises:
            TypeError, KeyError: the values are of another form.
        """
        documents = tuple(AtWork(**document) for document in values["documents"])
        run = cls(**{**values, "documents": documents})
        parts: tuple[LiveRun | AtWork, ...] = (run, *documents)
        for part in parts:
            for one in fields(part):
                if type(getattr(part, one.name)) not in _FORMS.get(one.type, (tuple,)):
                    raise TypeError(f"{one.name} is of another form")
        return run


@dataclass(slots=True)
class _Told:
    """A run's own record while it goes on."""

    run: LiveRun
    path: Path
    lock: threading.Lock = field(default_factory=threading.Lock)

    def change(self, **values: Any) -> None:
        with self.lock:
            self.run = replace(self.run, **values)

    def write(self) -> None:
        """Put the record in its file, whole; without room on the disk the last one stays."""
        with self.lock:
            self.run = replace(self.run, heartbeat_at=time.time())
            text = json.dumps(self.run.to_dict(), ensure_ascii=True)
        fresh = self.path.with_name(f"{self.path.name}.{os.getpid()}")
        try:
            fresh.write_text(text, encoding="ascii")
            fresh.replace(self.path)
        except OSError:
            with contextlib.suppress(OSError):
                fresh.unlink(missing_ok=True)


class Board:
    """Where the runs of one process say what they are at."""

    def __init__(self, folder: Path, trigger: str) -> None:
        """Nothing is said yet; ``folder`` is made at the first run."""
        self.folder, self.trigger = folder, trigger
        self._told: dict[str, _Told] = {}

    @contextmanager
    def run(self, shard: str, corpus_id: str) -> Iterator["Live"]:
        """Say that a run of a shard began, and that it ended; the caller holds the shard's lease."""
        self.folder.mkdir(parents=True, exist_ok=True)
        now = time.time()
        run_id = f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime(now))}.{int(now * 1e6) % 10**6:06d}-{os.getpid()}"
        run = LiveRun(run_id, shard, corpus_id, self.trigger, os.getpid(), socket.gethostname(), now, now)
        told = self._told[shard] = _Told(run, _file(self.folder, shard))
        over = threading.Event()
        told.write()
        beating = threading.Thread(target=_beat, args=(told, over), name=f"live {shard}", daemon=True)
        beating.start()
        try:
            yield Live(told)
        except BaseException as error:
            # Ctrl-C says nothing: whoever is stopped is shown as interrupted.
            state = FAILED if isinstance(error, Exception) else INTERRUPTED
            told.change(state=state, reason=str(error)[:500], documents=())
            raise
        else:
            told.change(state=ENDED, documents=())
        finally:
            over.set()
            beating.join()
            told.write()
            self._told.pop(shard, None)

    def at(self, shard: str, stage: str, paths: Sequence[str]) -> None:
        """Say which documents a stage works on from now; nobody hears it outside a run."""
        told = self._told.get(shard)
        if told is not None:
            now = time.time()
            told.change(documents=tuple(AtWork(path, stage, now) for path in paths[:MOST_DOCUMENTS]))


class Live:
    """What a run tells of itself."""

    def __init__(self, told: _Told) -> None:
        """Of ``Board.run``."""
        self._told = told

    @property
    def run_id(self) -> str:
        """Of the run."""
        return self._told.run.run_id

    @property
    def started_at(self) -> float:
        """When it began (seconds since the epoch)."""
        return self._told.run.started_at

    def heard(self, progress: ProgressSink = silent) -> ProgressSink:
        """A sink that notes how far the run is, and tells ``progress``."""

        def hear(shard: str, stage: str, done: int, total: int, unit: str) -> None:
            run = self._told.run
            values: dict[str, Any] = {"done": done, "total": total, "unit": unit}
            if run.stage != stage or done < run.done:
                values |= {"stage": stage, "stage_started_at": time.time(), "documents": ()}
            self._told.change(**values)
            progress(shard, stage, done, total, unit)

        return hear


def left(folder: Path, shard: str) -> LiveRun | None:
    """The run that held a shard before and did not end well, for whoever holds the lease now."""
    run = _read(_file(folder, shard))
    if run is None or run.state == ENDED:
        return None
    return replace(run, state=INTERRUPTED) if run.state == RUNNING else run


def live_runs(folder: Path, locks: Path, now: float) -> list[LiveRun]:
    """The latest run of every shard, by shard; of those that were killed the state says so."""
    runs = [run for path in sorted(folder.glob("*.json")) if (run := _read(path)) is not None]
    is_any = any(run.state == RUNNING for run in runs)  # else no lease has to be looked at
    at_work = {holder.name: holder.pid for holder in holders(locks)} if is_any else {}
    return [_judged(run, at_work, now) for run in runs]


def _judged(run: LiveRun, at_work: Mapping[str, int], now: float) -> LiveRun:
    if run.state != RUNNING:
        return run
    if at_work.get(run.shard) != run.pid:
        return replace(run, state=INTERRUPTED)
    return replace(run, state=SILENT) if now - run.heartbeat_at > SILENT_SECONDS else run


def _beat(told: _Told, over: threading.Event) -> None:
    while not over.wait(BEAT_SECONDS):
        told.write()


def _file(folder: Path, shard: str) -> Path:
    return folder / f"{quote(shard, safe='')}.json"


def _read(path: Path) -> LiveRun | None:
    try:
        return LiveRun.from_dict(json.loads(path.read_text(encoding="ascii")))
    except (OSError, ValueError, TypeError, KeyError, RecursionError):  # gone, damaged, or of another version
        return None
