"""The worker as a whole: watches, runs and answers over one data folder, until it is told to stop.

Searches have a house of their own, so a run never keeps a question waiting for its locks. Engine errors of one run are told
and tried again; what nobody foresaw ends the process, and the supervisor starts it anew.
"""

import logging
import os
import secrets
import signal
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, date, datetime
from pathlib import Path
from types import FrameType
from typing import Any

from apps.errors import USAGE, CommandError
from apps.reports import plain
from apps.search_reports import SearchFilters, Wishes
from apps.searching import search_in
from apps.worker.changes import Changes
from apps.worker.client import Address, alive, remove_card, write_card
from apps.worker.running import Runner
from apps.worker.server import Server
from apps.worker.watches import Watches
from cortex_assets.corpora.ignore import corpus_scope
from cortex_assets.corpora.registry import Registered
from cortex_assets.house import House
from cortex_assets.promoting import guarded
from resources.listing import left_out
from resources.settings import Settings

log = logging.getLogger(__name__)

TURN_SECONDS = 2.0
"""How long the runner sleeps at most: new corpora are seen within it."""
MOST_JUDGED = 200
"""Of a burst of more paths not each is asked whether it counts."""


class Worker:
    """Everything resident over one data folder. Use ``run``."""

    def __init__(self, settings: Settings) -> None:
        """Open the house twice: for runs, and for questions."""
        self.settings = settings
        self.started_at = datetime.now(UTC)
        self._house = guarded(House(settings, "worker"))
        self._asked = House(settings, "worker")
        self._asking = threading.Lock()
        self.changes = Changes(settings.still_seconds)
        self.runner = Runner(self._house, self.changes)
        self.watches = Watches(self._heard)
        self._stop = threading.Event()
        answers = {"search": self._search, "health": self._health, "run": self._run, "look": self._look}
        self.server = Server(secrets.token_urlsafe(32), answers)

    def run(self) -> None:
        """Work until SIGTERM or Ctrl-C; a run in its midst is left as an interrupted one, which the next one continues."""
        signal.signal(signal.SIGTERM, self._on_signal)
        with alive(self.settings.up):
            self._work()

    def _work(self) -> None:
        serving = threading.Thread(target=self.server.serve_forever, args=(0.5,), name="answers", daemon=True)
        try:
            serving.start()
            write_card(self.settings.up, Address(self.server.port, self.server.token, os.getpid()))
            self.watches.set_folders(self.runner.corpora.folders())
            log.info("worker is up: port %d, %d folders watched", self.server.port, len(self.watches.folders))
            while not self._stop.is_set():
                self._turn()
        except KeyboardInterrupt:
            log.info("worker is stopped")
        finally:
            self.close()

    def _turn(self) -> None:
        if self.runner.corpora.follow():
            self.watches.set_folders(self.runner.corpora.folders())
        if not self.runner.step():
            self.changes.wait(time.monotonic(), TURN_SECONDS)

    def close(self) -> None:
        """Stop watching and answering, and close both houses."""
        remove_card(self.settings.up, os.getpid())
        self.watches.close()
        self.server.shutdown()
        self.server.server_close()
        self._house.close()
        self._asked.close()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._stop.set()
        raise KeyboardInterrupt

    # -- what is heard -------------------------------------------------------------------------------------------------

    def _heard(self, paths: Sequence[str]) -> None:
        """Note the corpora that paths belong to, unless nothing of what changed there counts."""
        now = time.monotonic()
        roots = _roots(self.runner.corpora.registry.corpora)
        for number, path in enumerate(paths):
            corpus, root = _owner(path, roots)
            if corpus is None:
                self.runner.corpora.hear_of_a_stranger()
                continue
            if number < MOST_JUDGED and self._is_left_out(corpus, root, path):
                continue
            self.changes.note(corpus.name, path if number < MOST_JUDGED else None, now)
        self.changes.wake()

    def _is_left_out(self, corpus: Registered, root: str, path: str) -> bool:
        relative = os.fsencode(path)[len(os.fsencode(root)) + 1 :]
        if os.path.isdir(path):  # noqa: PTH112 (a folder counts where a file in it would)
            relative += b"/file"
        listed = self._house.workshop.corpus_to_list(corpus, self.runner.corpora.registry)
        scope = corpus_scope(listed.include, listed.exclude, listed.corpora_below)
        try:
            return left_out(Path(root), relative, scope) is not None
        except OSError:
            return False

    # -- what is asked -------------------------------------------------------------------------------------------------

    def _search(self, body: Mapping[str, Any]) -> Any:
        filters = dict(body.get("filters") or {})
        for name in ("after", "before"):
            filters[name] = date.fromisoformat(filters[name]) if filters.get(name) else None
        for name in ("corpora", "kinds", "languages", "paths"):
            filters[name] = tuple(filters.get(name) or ())
        asked = str(body["question"]), int(body["k"]), SearchFilters(**filters), Wishes(**body["wishes"])
        with self._asking:
            return plain(search_in(self._asked, *asked))

    def _run(self, body: Mapping[str, Any]) -> Any:
        registry = self.runner.corpora.registry
        names = [str(name) for name in body.get("corpora") or ()]
        listed = [corpus.name for corpus in registry.corpora if corpus.is_active]
        for name in names:
            if name not in listed:
                known = ", ".join(listed) or "none yet"
                raise CommandError("no listed corpus has that name", name, f"listed are: {known}", USAGE)
        for name in names or listed:
            self.changes.ask(name, time.monotonic())
        return {"corpora": names or listed}

    def _look(self, body: Mapping[str, Any]) -> Any:
        self.runner.look_soon()
        return {}

    def _health(self, body: Mapping[str, Any]) -> Any:
        import psutil

        told, now = self.runner.told, time.monotonic()
        last = told.last_run
        return {
            "pid": os.getpid(),
            "started_at": self.started_at.isoformat(),
            "memory_bytes": psutil.Process().memory_info().rss,
            "watched": [str(folder) for folder in self.watches.folders],
            "problem": self.watches.problem,
            "registry_problem": self.runner.corpora.problem,
            "last_look": told.last_look.isoformat() if told.last_look else None,
            "at_work": told.at_work,
            "runs": told.runs,
            "failed": told.failed,
            "waiting": {
                name: {"paths": len(change.paths), "due_in": round(change.due_at - now, 1), "reason": change.reason}
                for name, change in self.changes.waiting().items()
            },
            "handed": {name: handed.how for name, handed in self.runner.handing.handed.items()},
            "last_run": {"seconds": last.seconds, "stages": [asdict(line) for line in last.stages]} if last else None,
        }


def _roots(corpora: Sequence[Registered]) -> list[tuple[str, Registered]]:
    """(root, corpus) of listed folders, the deepest first."""
    roots = [(c.source.uri.rstrip("/"), c) for c in corpora if c.is_active and c.source.kind == "folder"]
    return sorted(roots, key=lambda pair: -len(pair[0]))


def _owner(path: str, roots: Sequence[tuple[str, Registered]]) -> tuple[Registered | None, str]:
    """The corpus that a path belongs to, and its root; of a flat corpus only the root's own files do."""
    for root, corpus in roots:
        if path.startswith(f"{root}/") and not (corpus.source.is_flat and "/" in path[len(root) + 1 :]):
            return corpus, root
    return None, ""
