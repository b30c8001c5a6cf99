"""Large work that was handed on, until it is over: to Dagster where it is up, so that it is seen there, else to processes.

The worker keeps small changes to itself; a first import or a new parser would make it large and deaf for minutes. How a run
is started elsewhere is ``launching``'s; what is large is told by ``running``.
"""

import contextlib
import logging
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from apps.worker.changes import Change
from apps.worker.launching import NotLaunched, launch_in_dagster, start_process
from cortex_assets.corpora.registry import Registered
from cortex_assets.engine.dirty import dirty_file, write_dirty
from cortex_assets.engine.lease import LAKE, holders
from cortex_assets.engine.live import live_runs
from cortex_assets.house import House
from cortex_assets.register import Registry

log = logging.getLogger(__name__)

QUEUE_SECONDS, GONE_SECONDS = 900.0, 3.0
"""A run that Dagster took and did not begin within this time is started as a process; the latter where Dagster is gone."""


@dataclass(slots=True)
class Handed:
    """Work that was handed on: the change, to whom, when (monotonic), and the process where it is one."""

    change: Change
    how: str
    at: float
    process: "subprocess.Popen[bytes] | None" = None


class Handing:
    """The work of one worker that is done elsewhere."""

    def __init__(self, house: House) -> None:
        """Nothing is handed on yet."""
        self.house = house
        self.handed: dict[str, Handed] = {}
        """By the name of the corpus."""

    def hand_on(self, corpus: Registered, change: Change) -> None:
        """Give a corpus that was prepared to Dagster, or let it wait for a process; see ``start_next``."""
        how = "dagster" if self._is_launched_in_dagster(corpus) else "process"
        self.handed[corpus.name] = Handed(change, how, time.monotonic())
        log.info("%s: a large change, handed to %s", corpus.name, how)

    def _is_launched_in_dagster(self, corpus: Registered) -> bool:
        url = dagster_url(self.house.settings.up)
        if url is None:
            return False
        try:
            launch_in_dagster(url, corpus.shards)
        except NotLaunched as error:
            log.warning("%s: %s; a process of its own runs it", corpus.name, error)
            return False
        return True

    def start_next(self) -> None:
        """Start the process of the work that waits for one for longest; one at a time, for each takes much memory."""
        waiting = [one for one in self.handed.items() if one[1].how == "process"]
        if waiting and all(handed.process is None for _, handed in waiting):
            name, handed = waiting[0]
            handed.process = start_process(self.house.settings, [name])

    def follow(self, registry: Registry, now: float) -> bool:
        """Take back what is over, give to a process what did not begin, start what waits; whether something is over."""
        is_any_over = False
        for name, handed in list(self.handed.items()):
            corpus = registry.by_name(name)
            if corpus is None or self._is_over(corpus, handed):
                del self.handed[name]
                is_any_over = True
            elif handed.how == "dagster" and not self._has_begun(corpus, handed):
                is_there = dagster_url(self.house.settings.up) is not None
                if now - handed.at > (QUEUE_SECONDS if is_there else GONE_SECONDS):
                    log.warning("%s: Dagster did not begin; a process runs it", name)
                    handed.how = "process"
        self.start_next()
        return is_any_over

    def _is_over(self, corpus: Registered, handed: Handed) -> bool:
        if handed.how == "process":
            return handed.process is not None and handed.process.poll() is not None
        return self._has_begun(corpus, handed) and not is_held(corpus, self.house.settings.locks)

    def _has_begun(self, corpus: Registered, handed: Handed) -> bool:
        """Whether a run of each of the corpus's shards began after it was handed on."""
        since = time.time() - (time.monotonic() - handed.at)
        runs = {run.shard: run for run in live_runs(self.house.board.folder, self.house.settings.locks, time.time())}
        return all(shard in runs and runs[shard].started_at >= since for shard in corpus.shards)

    def say(self, registry: Registry) -> None:
        """Tell sensors which shards are not theirs to run, and with the file's age that the worker lives."""
        shards: dict[str, str] = {}
        for name, handed in self.handed.items():
            corpus = registry.by_name(name)
            if corpus is not None:
                shards |= dict.fromkeys(corpus.shards, f"handed {handed.at:.0f}")
        with contextlib.suppress(OSError):  # without room on the disk the old word grows stale
            write_dirty(dirty_file(self.house.settings.cache), shards)


def is_held(corpus: Registered, locks: Path) -> bool:
    """Whether somebody has a lease of one of a corpus's shards, or of the whole lake."""
    names = {holder.name for holder in holders(locks)}
    return LAKE in names or bool(names.intersection(corpus.shards))


def dagster_url(up: Path) -> str | None:
    """Where Dagster's webserver is up, as the supervisor says; None where it is not."""
    from apps.supervisor.state import url_of

    return url_of(up, "dagster")
