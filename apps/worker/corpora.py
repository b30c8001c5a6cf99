"""The corpora that the worker takes care of: the registry, read again when something moved, and the folders to be watched.

Corpora that are new, and folders that went or came, are changes. What becomes of a change is ``running``'s.
"""

import contextlib
import logging
import threading
import time
from pathlib import Path

from apps.worker.changes import Changes
from cortex_assets.corpora.registry import Registered
from cortex_assets.corpora.schema import CORPORA
from cortex_assets.corpora.sources import SourcesError
from cortex_assets.house import RUN_ERRORS, House
from cortex_assets.register import Registry
from resources.bucket import ObjectStoreError

log = logging.getLogger(__name__)

ASKED_SECONDS = 30.0
"""How often an object store is asked whether its table of corpora moved."""


class Corpora:
    """What is registered, as the worker knows it. One thread uses it; others may ``hear_of_a_stranger``."""

    def __init__(self, house: House, changes: Changes) -> None:
        """Read the registry, brought up to date where ``sources.yaml`` can be used."""
        self.house, self.changes = house, changes
        self.problem = ""
        """Why the registry cannot be brought up to date: ``sources.yaml`` is wrong, mostly, and is being edited."""
        self._version, self._version_at = -1, float("-inf")
        before = self.signature()
        self.registry = self._synced() or house.register.now()
        self._seen: tuple[object, ...] = () if self.problem else self._seen_since(before)
        self._roots = self._root_stamps()
        self._is_strange = threading.Event()
        self._is_to_be_watched = False

    def folders(self) -> list[Path]:
        """What is to be watched: the inbox, and the folders of listed corpora that are there."""
        roots = [Path(c.source.uri) for c in self.registry.corpora if c.is_active and c.source.kind == "folder"]
        inbox = self.house.settings.inbox
        return [inbox, *(root for root in roots if not root.is_relative_to(inbox) and root.is_dir())]

    def hear_of_a_stranger(self) -> None:
        """Something in the inbox changed that is of no corpus yet, perhaps in the midst of a run; any thread may say so."""
        self._is_strange.set()

    def follow(self) -> bool:
        """Read the registry again where something moved; whether folders are to be watched anew. New corpora are changes."""
        roots = self._root_stamps()
        moved = [name for name, stamp in roots.items() if self._roots.get(name, stamp) != stamp]
        self._roots = roots
        for name in moved:
            self.changes.note(name, None, time.monotonic())
        is_to_be_watched, self._is_to_be_watched = self._is_to_be_watched or bool(moved), False
        signature = self.signature()
        if not self._is_strange.is_set() and signature == self._seen:
            return is_to_be_watched
        self._is_strange.clear()
        synced = self._synced()
        if synced is None:  # it is tried again at the next step
            return is_to_be_watched
        self.take(synced, signature)
        is_to_be_watched, self._is_to_be_watched = is_to_be_watched or self._is_to_be_watched, False
        return is_to_be_watched

    def take(self, registry: Registry, before: tuple[object, ...]) -> None:
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

    def prepare(self, corpus: Registered) -> Registered:
        """A corpus made ready for its first shard; what this writes to the registry is no news."""
        prepared = self.house.prepare(corpus, self.registry)
        self.registry = self.registry.with_corpus(prepared)
        self._seen = self._seen_since(self._seen)
        return prepared

    def signature(self) -> tuple[object, ...]:
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
        if self.house.settings.bucket is None or now - self._version_at > ASKED_SECONDS:
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

    def _synced(self) -> Registry | None:
        """The registry, brought up to date; None where ``sources.yaml`` cannot be used: then all goes on as it was."""
        try:
            registry = self.house.sync_registry()
        except (*RUN_ERRORS, SourcesError) as error:
            told = str(error)
            if told != self.problem:
                log.warning("%s", told)
            self.problem = told
            return None
        if self.problem:
            self.problem = ""
            for name in self.changes.waiting():  # its runs failed for that very reason
                self.changes.ask(name, time.monotonic())
        return registry
