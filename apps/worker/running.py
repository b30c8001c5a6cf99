"""Runs what changed: small changes at once in this process, large ones elsewhere; looks around for what no watch told.

One thread runs this; ``service`` makes it. Runs take the shard's lease like any other, so a command, Dagster and the worker
may all see the same change: one of them does the work.
"""

import contextlib
import logging
import os
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from apps.delivering import deliver_aside
from apps.errors import CommandError
from apps.following import follow_others
from apps.progress import silent
from apps.reports import RunReport
from apps.running import COLUMNS, follow, run_in
from apps.worker.changes import Change, Changes, wait_after
from apps.worker.launching import NotLaunched, launch_in_dagster, start_process
from cortex_assets.corpora.registry import Registered
from cortex_assets.corpora.schema import CORPORA
from cortex_assets.corpora.sources import SourcesError
from cortex_assets.engine import events
from cortex_assets.engine.dirty import dirty_file, write_dirty
from cortex_assets.engine.files import FilesStage
from cortex_assets.engine.lease import LAKE, holders
from cortex_assets.engine.live import live_runs
from cortex_assets.house import RUN_ERRORS, House
from cortex_assets.register import Registry
from resources.bucket import ObjectStoreError
from resources.memory import give_back

log = logging.getLogger(__name__)

SMALL_FILES, SMALL_BYTES = 50, 2 * 10**6
"""A change of more than this is run elsewhere."""
LOOK_SECONDS = 300.0
"""How often all corpora are compared with their sources, whatever the watches tell."""
BUSY_SECONDS = 3.0
QUEUE_SECONDS = 900.0
"""A run that Dagster took and did not begin within this time is started as a process."""
QUIET_SECONDS, LONGEST_SECONDS = 60.0, 900.0
"""Aggregates follow after so much quiet, or after the longest time without."""
SAID_SECONDS = 30.0
BAD_SOURCES = (SourcesError, UnicodeDecodeError)


@dataclass(slots=True)
class Handed:
    """Work that was handed on: the change, to whom, when (monotonic), and the process where it is one."""

    change: Change
    how: str
    at: float
    process: "subprocess.Popen[bytes] | None" = None


@dataclass(slots=True)
class Told:
    """What the worker tells of itself."""

    last_look: datetime | None = None
    last_run: RunReport | None = None
    runs: int = 0
    failed: int = 0
    at_work: str = ""
    handed: dict[str, Handed] = field(default_factory=dict)
    problem: str = ""
    """Why the registry cannot be brought up to date: ``sources.yaml`` is wrong, mostly, and is being edited."""


class Runner:
    """Takes changes and runs them, one after the other."""

    def __init__(self, house: House, changes: Changes) -> None:
        """Bind; ``house`` is this thread's alone."""
        self.house, self.changes, self.told = house, changes, Told()
        self._version, self._version_at = -1, float("-inf")
        before = self._signature()
        self.registry = self._synced() or house.register.now()
        house.lake.keep_columns_in(house.settings.cache / COLUMNS)
        self._look_at = time.monotonic() + 1.0
        self._lake_since: float | None = None
        self._worked_at = 0.0
        self._said_at = 0.0
        self._seen: tuple[object, ...] = () if self.told.problem else self._seen_since(before)
        self._roots = self._root_stamps()
        self._tokens: dict[str, str] = {}
        self._is_strange = threading.Event()
        self._is_to_be_watched = False

    # -- the registry --------------------------------------------------------------------------------------------------

    def _signature(self) -> tuple[object, ...]:
        """What moves when corpora come or go; costs microseconds."""
        settings = self.house.settings
        stats: list[object] = []
        for path in (settings.inbox, settings.sources_file):
            try:
                seen = path.stat()
                stats.append((seen.st_mtime_ns, seen.st_ino))
            except OSError:
                stats.append(None)
        return (self._registry_version(), *stats)

    def _seen_since(self, before: tuple[object, ...]) -> tuple[object, ...]:
        """The signature of now, but for the folders: there ``before`` counts, so that what came meanwhile is seen."""
        self._version_at = float("-inf")
        return (self._registry_version(), *before[1:])

    def _registry_version(self) -> int:
        """Of the table of corpora; an object store is not asked at every step."""
        now = time.monotonic()
        if self.house.settings.bucket is None or now - self._version_at > SAID_SECONDS:
            self._version_at = now
            with contextlib.suppress(ObjectStoreError):  # a run that fails says so
                self._version = self.house.lake.version(CORPORA)
        return self._version

    def _root_stamps(self) -> dict[str, tuple[int, int] | None]:
        """Corpus to (device, inode) of its folder, None where that is gone: a stick that is unplugged, or plugged in again."""
        stamps: dict[str, tuple[int, int] | None] = {}
        for corpus in self.registry.corpora:
            if corpus.is_active and corpus.source.kind == "folder":
                try:
                    seen = Path(corpus.source.uri).stat()
                    stamps[corpus.name] = seen.st_dev, seen.st_ino
                except OSError:
                    stamps[corpus.name] = None
        return stamps

    def follow_registry(self) -> bool:
        """Read the registry again where something moved; whether folders are to be watched anew. New corpora are changes."""
        roots = self._root_stamps()
        moved = [name for name, stamp in roots.items() if self._roots.get(name, stamp) != stamp]
        self._roots = roots
        for name in moved:
            self.changes.note(name, None, time.monotonic())
        is_to_be_watched, self._is_to_be_watched = self._is_to_be_watched or bool(moved), False
        signature = self._signature()
        if not self._is_strange.is_set() and signature == self._seen:
            return is_to_be_watched
        self._is_strange.clear()
        synced = self._synced()
        if synced is None:  # it is tried again at the next step
            return is_to_be_watched
        self._take(synced, signature)
        is_to_be_watched, self._is_to_be_watched = is_to_be_watched or self._is_to_be_watched, False
        return is_to_be_watched

    def _take(self, registry: Registry, before: tuple[object, ...]) -> None:
        """Go by this registry; corpora that are new in it are changes, and other folders are to be watched.

        Args:
            registry: as it is now.
            before: the signature from before it was read: whoever came meanwhile is seen at the next step.
        """
        known, folders = {corpus.corpus_id for corpus in self.registry.corpora if corpus.is_active}, self.folders()
        self.registry, self._seen = registry, self._seen_since(before)
        self._is_to_be_watched |= self.folders() != folders
        for corpus in registry.corpora:
            if corpus.is_active and corpus.corpus_id not in known:
                self.changes.note(corpus.name, None, time.monotonic())

    def hear_of_a_stranger(self) -> None:
        """Something in the inbox changed that is of no corpus yet, perhaps in the midst of a run; any thread may say so."""
        self._is_strange.set()

    def _synced(self) -> Registry | None:
        """The registry, brought up to date; None where ``sources.yaml`` cannot be used: then all goes on as it was."""
        try:
            registry = self.house.sync_registry()
        except (*RUN_ERRORS, *BAD_SOURCES) as error:
            is_no_text = isinstance(error, UnicodeDecodeError)
            told = f"{self.house.settings.sources_file}: not UTF-8; save it as UTF-8" if is_no_text else str(error)
            if told != self.told.problem:
                log.warning("%s", told)
            self.told.problem = told
            return None
        if self.told.problem:
            self.told.problem = ""
            for name in self.changes.waiting():  # its runs failed for that very reason
                self.changes.ask(name, time.monotonic())
        return registry

    def folders(self) -> list[Path]:
        """What is to be watched: the inbox, and the folders of listed corpora that are there."""
        roots = [Path(c.source.uri) for c in self.registry.corpora if c.is_active and c.source.kind == "folder"]
        inbox = self.house.settings.inbox
        return [inbox, *(root for root in roots if not root.is_relative_to(inbox) and root.is_dir())]

    # -- one step ------------------------------------------------------------------------------------------------------

    def step(self) -> bool:
        """Do what is due, if anything is; whether something was done."""
        now = time.monotonic()
        self._follow_handed(now)
        if now >= self._look_at:
            self.look()
            self._look_at = time.monotonic() + LOOK_SECONDS
        taken = self.changes.take(now)
        if taken is not None:
            self._run(*taken)
            self._worked_at = time.monotonic()
            return True
        self._follow_runs(now)
        if now - self._said_at > SAID_SECONDS:
            deliver_aside(self.house.settings)
            self.say()
        return False

    def look_soon(self) -> None:
        """Compare all corpora with their sources at the next step."""
        self._look_at = 0.0
        self.changes.wake()

    def look(self) -> None:
        """Compare all corpora with their sources; what differs is a change, one that a run left as it was waits longer."""
        try:
            differing = self.house.differing(LOOK_SECONDS)
        except RUN_ERRORS as error:
            log.warning("the corpora could not be compared with their sources: %s", error)
            return
        now = time.monotonic()
        for corpus in self.registry.corpora:
            tokens = {shard: differing.get(shard, "") for shard in corpus.shards}
            is_news = any(token and self._tokens.get(shard) != token for shard, token in tokens.items())
            if is_news and corpus.name not in self.told.handed:
                self.changes.note(corpus.name, None, now)
            self._tokens |= tokens
        try:
            for note in follow_others(self.house):
                log.info("%s", note)
        except RUN_ERRORS as error:
            log.warning("what other machines run was not followed: %s", error)
        self.told.last_look = datetime.now(UTC)
        self.say()

    def _run(self, name: str, change: Change) -> None:
        corpus = self.registry.by_name(name)
        if corpus is None or not corpus.is_active:
            return
        if name in self.told.handed or self._is_held(corpus):
            self.changes.put_back(name, change, BUSY_SECONDS, time.monotonic(), "another run has it")
            return
        try:
            if self._is_small(corpus, change):
                self._run_here(corpus, change)
            else:
                self._hand_on(corpus, change)
        except (*RUN_ERRORS, *BAD_SOURCES) as error:
            self._failed(name, change, str(error))
        except CommandError as error:  # it was removed meanwhile
            log.info("%s: %s", name, error)

    def _run_here(self, corpus: Registered, change: Change) -> None:
        self.told.at_work, before = corpus.name, self._signature()
        try:
            report, did = run_in(self.house, [corpus.name], silent)
        finally:
            self.told.at_work = ""
        self.told.runs += 1
        self.told.last_run = report
        self._take(self.house.register.now(), before)
        if any(stage.did_something for one in did for stage in one.stages.values()):
            self._lake_since = self._lake_since or time.monotonic()
            events.spool(self.house.settings, did)
        if report.errors:
            self._failed(corpus.name, change, "; ".join(report.errors))
        elif report.busy:
            self.changes.put_back(corpus.name, change, BUSY_SECONDS, time.monotonic(), "another run has it")
        elif any(stage.deferred for one in did for stage in one.stages.values()):
            still = self.house.settings.still_seconds
            self.changes.put_back(corpus.name, change, max(still, 0.5), time.monotonic(), "files did not stand still")

    def _failed(self, name: str, change: Change, reason: str) -> None:
        self.told.failed += 1
        change.attempts += 1
        wait = wait_after(change.attempts)
        log.warning("%s: %s; tried again in %.0f s, or when it changes", name, reason, wait)
        self.changes.put_back(name, change, wait, time.monotonic(), reason)

    # -- large or small ------------------------------------------------------------------------------------------------

    def _is_small(self, corpus: Registered, change: Change) -> bool:
        """Whether a change is done sooner than another process has started."""
        if not change.is_open and corpus.shard_count and _bytes(change.paths) <= SMALL_BYTES:
            return True
        files = self.house.workshop.chain(corpus, self.registry).stages[0]
        if corpus.source.kind != "folder" or not isinstance(files, FilesStage):
            return False
        if files.is_settled():  # the tables moved, or the code that makes them
            return not any(self._tokens.get(shard) for shard in corpus.shards)
        intake = files.listing(datetime.now(UTC))
        decision, _ = files.foresee(intake)
        counts, kept = intake.counts, len(decision.withheld | decision.protected)
        count = counts.new + counts.changed + counts.vanished - kept
        return count <= SMALL_FILES and counts.bytes_to_read <= SMALL_BYTES

    def _is_held(self, corpus: Registered) -> bool:
        names = {holder.name for holder in holders(self.house.settings.locks)}
        return LAKE in names or bool(names.intersection(corpus.shards))

    # -- elsewhere -----------------------------------------------------------------------------------------------------

    def _hand_on(self, corpus: Registered, change: Change) -> None:
        prepared = self.house.prepare(corpus, self.registry)
        self.registry = self.registry.with_corpus(prepared)
        self._seen = self._seen_since(self._seen)
        url = dagster_url(self.house.settings.up)
        if url is not None:
            try:
                launch_in_dagster(url, prepared.shards)
            except NotLaunched as error:
                log.warning("%s: %s; a process of its own runs it", corpus.name, error)
            else:
                self._handed(corpus.name, Handed(change, "dagster", time.monotonic()))
                return
        self._handed(corpus.name, Handed(change, "process", time.monotonic()))
        self._start_next()

    def _start_next(self) -> None:
        """Start the process of the work that waits for one for longest; one at a time, for each takes much memory."""
        waiting = [one for one in self.told.handed.items() if one[1].how == "process"]
        if waiting and all(handed.process is None for _, handed in waiting):
            name, handed = waiting[0]
            handed.process = start_process(self.house.settings, [name])

    def _handed(self, name: str, handed: Handed) -> None:
        self.told.handed[name] = handed
        log.info("%s: a large change, handed to %s", name, handed.how)
        self.say()

    def _follow_handed(self, now: float) -> None:
        """Take back what was handed on and is done, or did not begin."""
        for name, handed in list(self.told.handed.items()):
            corpus = self.registry.by_name(name)
            if corpus is None or self._is_over(corpus, handed):
                del self.told.handed[name]
                self._lake_since = self._lake_since or now
                self._look_at = 0.0  # what is left of it is seen by looking
            elif handed.how == "dagster" and not self._has_begun(corpus, handed):
                is_there = dagster_url(self.house.settings.up) is not None
                if now - handed.at > (QUEUE_SECONDS if is_there else BUSY_SECONDS):
                    log.warning("%s: Dagster did not begin; a process runs it", name)
                    handed.how = "process"
        self._start_next()

    def _is_over(self, corpus: Registered, handed: Handed) -> bool:
        if handed.how == "process":
            return handed.process is not None and handed.process.poll() is not None
        return self._has_begun(corpus, handed) and not self._is_held(corpus)

    def _has_begun(self, corpus: Registered, handed: Handed) -> bool:
        """Whether a run of each of the corpus's shards began after it was handed on."""
        since = time.time() - (time.monotonic() - handed.at)
        runs = {run.shard: run for run in live_runs(self.house.board.folder, self.house.settings.locks, time.time())}
        return all(shard in runs and runs[shard].started_at >= since for shard in corpus.shards)

    # -- what follows --------------------------------------------------------------------------------------------------

    def _follow_runs(self, now: float) -> None:
        """Aggregates after a minute of quiet, or after the longest time without; memory and caches, too."""
        if self._lake_since is None:
            return
        if now - self._worked_at < QUIET_SECONDS and now - self._lake_since < LONGEST_SECONDS:
            return
        self._lake_since = None
        try:
            for note in follow(self.house):
                log.info("%s", note)
        except RUN_ERRORS as error:
            log.warning("aggregates are made later: %s", error)
            self._lake_since = self._worked_at = now
        self.house.lake.save_columns()
        give_back()

    def say(self) -> None:
        """Tell sensors what is left to them."""
        self._said_at = time.monotonic()
        shards: dict[str, str] = {}
        for name, handed in self.told.handed.items():
            corpus = self.registry.by_name(name)
            if corpus is not None:
                shards |= dict.fromkeys(corpus.shards, f"handed {handed.at:.0f}")
        with contextlib.suppress(OSError):  # without room on the disk the old word grows stale
            write_dirty(dirty_file(self.house.settings.cache), shards)


def dagster_url(up: Path) -> str | None:
    """Where Dagster's webserver is up, as the supervisor says; None where it is not."""
    from apps.supervisor.state import url_of

    return url_of(up, "dagster")


def _bytes(paths: Sequence[str] | set[str]) -> int:
    """Sizes of files together; a folder counts as too many."""
    total = 0
    for path in paths:
        try:
            total += SMALL_BYTES + 1 if os.path.isdir(path) else os.lstat(path).st_size  # noqa: PTH112
        except OSError:  # it is gone: a delete weighs nothing
            continue
    return total
