"""What Dagster's sensors ask of the house: looks at shards, remotes, alerts, and what follows runs; each tick opens it anew.

Idle ticks are decided by file stats (``glance``, ``events_moved``) and open nothing.
"""

import hashlib
import json
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import dagster as dg

from cortex_assets.engine.announce import run_failed
from cortex_assets.engine.dirty import dirty_file, fresh_dirty
from cortex_assets.engine.events import Lineage, drain
from cortex_assets.engine.fingerprint import remember_in
from cortex_assets.engine.rest import standing
from cortex_assets.house import House
from cortex_assets.ops.checks import alert_evaluations
from inference.errors import InferenceError
from resources.git_source import GitError, fetched_commit, remote_head
from resources.memory import give_back
from resources.settings import Settings
from resources.webhooks import deliver
from sensors.after_runs import FailedRun
from sensors.repositories import Repository
from sensors.shards import Look

LOOK_SECONDS = 1.0
"""A look at the shards begins nothing further after so long."""
LONG_SECONDS, PAUSES = 0.6, 100
"""A look at folders that took more of a core than this is followed by a pause of so many times that."""
DELIVER_SECONDS = 15.0
COLUMNS = "columns"
"""Folder of the cache that runs keep ids and hashes of the tables in (``apps.running``)."""
RETRY_SECONDS = 30.0


def retry_after(error: Exception) -> float | None:
    """Seconds after which a shard's run may be tried again: a remote or an engine did not answer. None for other errors."""
    heals = isinstance(error, GitError) or (isinstance(error, InferenceError) and error.is_transient)
    return RETRY_SECONDS if heals else None


class Watching:
    """The callables that ``definitions`` gives to the sensors, over one data folder."""

    def __init__(self, settings: Settings, trigger: str, lineage: Lineage) -> None:
        """Opens nothing yet.

        Args:
            settings: of the data folder.
            trigger: what runs from here are due to.
            lineage: where columns come from.
        """
        self._where, self._trigger, self._lineage = settings, trigger, lineage
        self._told: dict[str, bool] = {}
        self._has_looked, self._pause_until = False, 0.0

    def shards(self) -> list[str]:
        """Every shard of every listed corpus; folders that appeared in the inbox are registered."""
        with House.open(self._where, self._trigger) as house:
            return house.sync_registry().shards

    def look(self) -> Look:
        """Which shards differ: by the worker's list, or by a look at the folders where there is none.

        A look at large folders is followed by a pause, so that it takes a hundredth of a core, not more.
        """
        dirty, why = fresh_dirty(dirty_file(self._where.cache), time.time())
        begin = time.process_time()
        if not self._has_looked:
            remember_in(self._where.cache)  # versions of the code take more than a second to work out
        with House.open(self._where, self._trigger) as house:
            house.lake.keep_columns_in(self._where.cache / COLUMNS)
            shards = house.sync_registry().shards
            wait = self._pause_until - time.monotonic() if dirty is None else 0.0
            if wait > 0:
                return Look(
                    shards, {}, how=f"folders are looked at again in {wait:.0f} s, for that takes long and {why}"
                )
            tokens = house.differing(LOOK_SECONDS, None if dirty is None else dirty.shards)
            due = house.next_due()
        give_back()
        spent = time.process_time() - begin
        if dirty is None and spent > LONG_SECONDS and self._has_looked:
            self._pause_until = time.monotonic() + spent * PAUSES
        self._has_looked = True  # the first look of a process pays for what it imports
        how = f"folders were looked at, for {why}" if dirty is None else "folders as the worker's list says"
        taken = frozenset(shards if dirty is not None else ())
        return Look(shards, tokens, taken, how, float("inf") if due is None else due.timestamp())

    def glance(self) -> str:
        """How everything stands that a look depends on; empty where no worker says how the folders stand."""
        dirty, _ = fresh_dirty(dirty_file(self._where.cache), time.time())
        if dirty is None or self._where.bucket is not None:  # how the tables stand is not seen by looking at files
            return ""
        heads = {str(path): path.stat().st_mtime_ns for path in self._where.cache.glob("git/*/.git/refs/cortex/head")}
        values = [dict(dirty.shards), standing(self._where), heads]
        return hashlib.blake2b(json.dumps(values, sort_keys=True).encode(), digest_size=12).hexdigest()

    def repositories(self) -> dict[str, Repository]:
        """The listed git corpora by name; nothing is opened where no repository was ever fetched or declared."""
        with House.open(self._where, self._trigger) as house:
            corpora = house.repositories()
        found = {}
        for corpus in corpora:
            folder = self._where.cache / "git" / corpus.corpus_id
            head = partial(remote_head, corpus.source.uri, folder, corpus.source.branch)
            found[corpus.name] = Repository(corpus.shards, fetched_commit(folder), head)
        return found

    def events_moved(self) -> str:
        """How Dagster's own event file stands; empty where its events lie elsewhere."""
        folder = self._where.dagster_home / "history" / "runs"
        files = [folder / name for name in ("index.db", "index.db-wal")]
        seen = [_stat(file) for file in files]
        return json.dumps(seen) if seen[0] else ""

    def runs_failed(self, runs: Sequence[FailedRun]) -> None:
        """Tell of runs that failed before the house could say so."""
        for run in runs:
            corpus = run.shard.partition(".")[0]
            run_failed(self._where, run.run_id, corpus, run.shard, f"job {run.job}: {run.reason}")

    def deliver(self) -> str:
        """Tell Dagster of runs outside it, and deliver webhook messages that wait; what came of it, for people."""
        told = drain(self._where, self._lineage, DELIVER_SECONDS)
        done = deliver(self._where.webhooks_file, self._where.webhook_spool, DELIVER_SECONDS)
        said = [f"{done.sent} messages sent, {done.waiting} wait"] if done.sent or done.failed or done.dead else []
        said += [f"{told} materializations of runs outside Dagster"] if told else []
        return "; ".join([*said, *done.notes])

    def alerts(self) -> list[dg.AssetCheckEvaluation]:
        """Evaluate the alert checks; what began or ended is told, and those checks are given whose result is another now."""
        if self._where.bucket is None and not self._where.lake.is_dir():
            return []
        with House.open(self._where, self._trigger) as house:
            firing, _ = house.tell_alerts(datetime.now(UTC))
        found = alert_evaluations(firing)
        told = [one for one in found if self._told.get(one.check_name) != one.passed]
        self._told = {one.check_name: one.passed for one in found}
        return told


def _stat(file: Path) -> list[int]:
    try:
        seen = file.stat()
    except FileNotFoundError:
        return []
    return [seen.st_ino, seen.st_size, seen.st_mtime_ns]
