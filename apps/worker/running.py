"""Runs what changed: small changes at once in this process, large ones elsewhere; looks around for what no watch told.

One thread runs this; ``service`` makes it. Runs take the shard's lease like any other, so a command, Dagster and the worker
may all see the same change: one of them does the work. Which corpora there are is ``corpora``'s, what becomes of large
work ``handing``'s.
"""

import logging
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from apps.delivering import deliver_aside
from apps.errors import CommandError
from apps.following import follow_others
from apps.progress import silent
from apps.reports import RunReport
from apps.running import COLUMNS, follow, run_in
from apps.worker.changes import Change, Changes, wait_after
from apps.worker.corpora import Corpora
from apps.worker.handing import Handing, is_held
from cortex_assets.corpora.registry import Registered
from cortex_assets.corpora.sources import SourcesError
from cortex_assets.engine import events
from cortex_assets.engine.files import FilesStage
from cortex_assets.house import RUN_ERRORS, House
from resources.memory import give_back

log = logging.getLogger(__name__)

SMALL_FILES, SMALL_BYTES = 50, 2 * 10**6
"""A change of more than this is run elsewhere."""
LOOK_SECONDS = 300.0
"""How often all corpora are compared with their sources, whatever the watches tell."""
BUSY_SECONDS = 3.0
QUIET_SECONDS, LONGEST_SECONDS = 60.0, 900.0
"""Aggregates follow after so much quiet, or after the longest time without."""
SAID_SECONDS = 30.0


@dataclass(slots=True)
class Told:
    """What the worker tells of itself."""

    last_look: datetime | None = None
    last_run: RunReport | None = None
    runs: int = 0
    failed: int = 0
    at_work: str = ""


class Runner:
    """Takes changes and runs them, one after the other."""

    def __init__(self, house: House, changes: Changes) -> None:
        """Bind; ``house`` is this thread's alone."""
        self.house, self.changes, self.told = house, changes, Told()
        self.corpora, self.handing = Corpora(house, changes), Handing(house)
        house.lake.keep_columns_in(house.settings.cache / COLUMNS)
        self._look_at = time.monotonic() + 1.0
        self._lake_since: float | None = None
        self._worked_at = 0.0
        self._said_at = 0.0
        self._tokens: dict[str, str] = {}

    # -- one step ------------------------------------------------------------------------------------------------------

    def step(self) -> bool:
        """Do what is due, if anything is; whether something was done."""
        now = time.monotonic()
        if self.handing.follow(self.corpora.registry, now):
            self._lake_since = self._lake_since or now
            self._look_at = 0.0  # what is left of it is seen by looking
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
        for corpus in self.corpora.registry.corpora:
            tokens = {shard: differing.get(shard, "") for shard in corpus.shards}
            is_news = any(token and self._tokens.get(shard) != token for shard, token in tokens.items())
            if is_news and corpus.name not in self.handing.handed:
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
        corpus = self.corpora.registry.by_name(name)
        if corpus is None or not corpus.is_active:
            return
        if name in self.handing.handed or is_held(corpus, self.house.settings.locks):
            self.changes.put_back(name, change, BUSY_SECONDS, time.monotonic(), "another run has it")
            return
        try:
            if self._is_small(corpus, change):
                self._run_here(corpus, change)
            else:
                self.handing.hand_on(self.corpora.prepare(corpus), change)
                self.say()
                self.handing.start_next()
        except (*RUN_ERRORS, SourcesError) as error:
            self._failed(name, change, str(error))
        except CommandError as error:  # it was removed meanwhile
            log.info("%s: %s", name, error)

    def _run_here(self, corpus: Registered, change: Change) -> None:
        self.told.at_work, before = corpus.name, self.corpora.signature()
        try:
            report, did = run_in(self.house, [corpus.name], silent)
        finally:
            self.told.at_work = ""
        self.told.runs += 1
        self.told.last_run = report
        self.corpora.take(self.house.register.now(), before)
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

    def _is_small(self, corpus: Registered, change: Change) -> bool:
        """Whether a change is done sooner than another process has started."""
        if not change.is_open and corpus.shard_count and _bytes(change.paths) <= SMALL_BYTES:
            return True
        files = self.house.workshop.chain(corpus, self.corpora.registry).stages[0]
        if corpus.source.kind != "folder" or not isinstance(files, FilesStage):
            return False
        if files.is_settled():  # the tables moved, or the code that makes them
            return not any(self._tokens.get(shard) for shard in corpus.shards)
        intake = files.listing(datetime.now(UTC))
        decision, _ = files.foresee(intake)
        counts, kept = intake.counts, len(decision.withheld | decision.protected)
        count = counts.new + counts.changed + counts.vanished - kept
        return count <= SMALL_FILES and counts.bytes_to_read <= SMALL_BYTES

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
        self.handing.say(self.corpora.registry)


def _bytes(paths: Sequence[str] | set[str]) -> int:
    """Sizes of files together; a folder counts as too many."""
    total = 0
    for path in paths:
        try:
            total += SMALL_BYTES + 1 if os.path.isdir(path) else os.lstat(path).st_size  # noqa: PTH112
        except OSError:  # it is gone: a delete weighs nothing
            continue
    return total
