"""Read one listed file: into the raw store, or only its hash; every outcome is a value.

Here: opening, copying, hashing, and telling a file that is not ready from one that cannot be read. Which files are
    read, and when,
is ``engine.intake``'s.
"""

import errno
import os
from collections.abc import Container, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from cortex_assets.corpora.scan import KnownFile, StatTuple
from cortex_assets.engine.corpus import Corpus, MediaTypes, TakenFile
from resources.listing import OutsideRootError, open_inside
from resources.raw_store import RawStore, SourceMoved, hash_file
from resources.state import CachedFile

if TYPE_CHECKING:
    from cortex_assets.corpora.take import FileFacts

UNREAD_TYPE = "application/octet-stream"

_PERMANENT = {errno.EACCES, errno.EPERM, errno.ELOOP, errno.ENAMETOOLONG}


class Outcome(StrEnum):
    """What became of one file."""

    TAKEN = "taken"
    MOVED_ON = "moved_on"
    GONE = "gone"
    UNREADABLE = "unreadable"
    IO_ERROR = "io_error"
    TOO_LARGE = "too_large"


_FAILED = (Outcome.UNREADABLE, Outcome.IO_ERROR)


@dataclass(frozen=True, slots=True)
class Reading:
    """One file read, or why not.

    Attributes:
        outcome: ``moved_on`` = it is not as listed any more, take it next time; ``unreadable`` stays so until it
            changes; ``io_error`` may pass.
        content_hash: SHA-256 in hex where taken.
        size: bytes read.
        reason: why it was not taken.
    """

    outcome: Outcome
    content_hash: str | None = None
    size: int = 0
    reason: str | None = None


def read_file(real_root: bytes, raw_path: bytes, listed: StatTuple, store: RawStore | None) -> Reading:
    """Take the bytes of a listed file into ``store``, or only hash them where it is None.

    Raises:
        StoreWriteError: the store cannot be written; nothing else is raised for a bad file.
    """
    try:
        descriptor = open_inside(real_root, raw_path)
    except (FileNotFoundError, NotADirectoryError):
        return Reading(Outcome.GONE)
    except OutsideRootError:
        return Reading(Outcome.MOVED_ON, reason="leads out of its corpus, or is no regular file any more")
    except OSError as error:
        return _failed(error)
    try:
        seen = os.fstat(descriptor)
        if (seen.st_size, seen.st_mtime_ns) != listed[:2]:
            return Reading(Outcome.MOVED_ON, reason="changed after it was listed")
        taken = hash_file(descriptor) if store is None else store.take(descriptor)
    except SourceMoved:
        return Reading(Outcome.MOVED_ON, reason="changed while it was read")
    except OSError as error:
        return _failed(error)
    finally:
        os.close(descriptor)
    return Reading(Outcome.TAKEN, taken.content_hash, taken.size)


def retake(corpus: Corpus, raw_path: bytes, content_hash: str, store: RawStore) -> bool:
    """Put the bytes of a hash into the store again, in place of damaged ones, if the file still has them; then ``flush``.

    Raises:
        StoreWriteError: the store cannot be written.
    """
    try:
        descriptor = open_inside(os.path.realpath(os.fsencode(corpus.root)), raw_path)
    except OSError:
        return False
    try:
        if hash_file(descriptor).content_hash != content_hash:
            return False
        store.discard(content_hash)
        return store.take(descriptor).content_hash == content_hash
    except OSError:
        return False
    finally:
        os.close(descriptor)


def _failed(error: OSError) -> Reading:
    outcome = Outcome.UNREADABLE if error.errno in _PERMANENT else Outcome.IO_ERROR
    return Reading(outcome, reason=f"cannot be read: {error.strerror or type(error).__name__}")


class Reader:
    """Reads the files of one scan.

    Attributes:
        hashes: what was only hashed so far, in the search for moves.
        unreadable: known files that could not be read, with the reason: their rows stay as they are.
    """

    def __init__(
        self,
        corpus: Corpus,
        entries: Mapping[bytes, StatTuple],
        known: Mapping[bytes, KnownFile],
        cached: Mapping[bytes, CachedFile],
        trusted: Container[bytes],
        is_retake: bool,
    ) -> None:
        """See ``engine.intake.list_corpus`` and ``corpora.scan.Classified``."""
        self.hashes: dict[bytes, Reading] = {}
        self.unreadable: dict[bytes, str] = {}
        self._corpus = corpus
        self._entries = entries
        self._known = known
        self._cached = cached
        self._trusted = trusted
        self._is_retake = is_retake
        self._real_root = os.path.realpath(os.fsencode(corpus.root))

    def hashed(self, path: bytes) -> Reading:
        """The hash of a listed file; from the cache where that is trusted. Nothing is stored."""
        if path in self._trusted:
            return Reading(Outcome.TAKEN, self._cached[path].content_hash)
        return read_file(self._real_root, path, self._entries[path], None)

    def taken(self, path: bytes, store: RawStore) -> Reading:
        """Take one file; where its hash is known and its bytes are stored, it is not read again."""
        stat = self._entries[path]
        if stat[0] > self._corpus.max_bytes:
            return Reading(Outcome.TOO_LARGE, reason=f"{stat[0]} bytes, the limit is {self._corpus.max_bytes}")
        content_hash = self.hashes[path].content_hash if path in self.hashes else None
        if path in self._trusted:
            content_hash = self._cached[path].content_hash
        is_kept = self._corpus.store != "raw"
        if content_hash is not None and (is_kept or store.claim(content_hash)):
            return Reading(Outcome.TAKEN, content_hash)
        return read_file(self._real_root, path, stat, None if is_kept else store)

    def facts(
        self, readings: Mapping[bytes, Reading], store: RawStore, media_types: MediaTypes
    ) -> tuple[list["FileFacts"], set[bytes]]:
        """Facts of the files whose row is new or differs, and the paths whose row stays as it is; neither waits."""
        from cortex_assets.corpora.take import FileFacts
        from cortex_assets.tables import Status

        facts: list[FileFacts] = []
        touched: set[bytes] = set()
        fresh: list[bytes] = []
        for path, reading in readings.items():
            stat, old = self._entries[path], self._known.get(path)
            status = Status.TOO_LARGE if reading.outcome == Outcome.TOO_LARGE else Status.FAILED
            if reading.outcome == Outcome.TAKEN:
                same = old is not None and (old.content_hash, old.store) == (reading.content_hash, self._corpus.store)
                if same and not self._is_retake:
                    touched.add(path)
                else:
                    fresh.append(path)
            elif reading.outcome in (Outcome.GONE, Outcome.MOVED_ON):
                continue
            elif reading.outcome in _FAILED and old is not None and old.content_hash is not None:
                self.unreadable[path] = reading.reason or ""
            elif old is not None and (old.status, old.size, old.content_hash) == (status, stat[0], None):
                touched.add(path)
            else:
                facts.append(FileFacts(path, stat, None, UNREAD_TYPE, self._corpus.store, status, reading.reason))
        types = media_types([self._taken_file(path, readings[path], store) for path in fresh]) if fresh else []
        for path, media_type in zip(fresh, types, strict=True):
            if media_type is None:
                continue
            stat, content_hash = self._entries[path], readings[path].content_hash
            facts.append(FileFacts(path, stat, content_hash, media_type, self._corpus.store))
        return facts, touched

    def _taken_file(self, path: bytes, reading: Reading, store: RawStore) -> TakenFile:
        display = path.decode("utf-8", "replace")
        if self._corpus.store == "raw" and reading.content_hash is not None:
            return TakenFile(store.path_of(reading.content_hash), display, self._entries[path][0])
        place = Path(os.fsdecode(self._real_root + b"/" + path))
        return TakenFile(place, display, self._entries[path][0], self._real_root)
