"""The values of an intake: a corpus, what a listing counted, what a slice took. The doing is in ``engine.intake``."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cortex_assets.corpora.scan import STILL_NS

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True, slots=True)
class Corpus:
    """A corpus as the intake needs it.

    Attributes:
        corpus_id: its id.
        name: the stem of its shards' names.
        root: absolute folder (for a git URL, its checkout).
        shard_count: shards it has (0 counts as 1).
        store: ``raw`` (bytes are kept) or ``reference`` (read in place).
        include: globs of which a file must match one; empty = all.
        exclude: globs that leave files out.
        corpora_below: relative directories that belong to other corpora.
        is_flat: the root's own files only.
        max_bytes: larger files are rows of status ``too_large``.
        still_ns: nanoseconds a file must have stood still; 0 for a git checkout, which is whole when it is listed.
    """

    corpus_id: str
    name: str
    root: Path
    shard_count: int = 1
    store: str = "raw"
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    corpora_below: tuple[bytes, ...] = ()
    is_flat: bool = False
    max_bytes: int = 2 * 2**30
    still_ns: int = STILL_NS

    @property
    def fingerprint(self) -> str:
        """Changes when a setting changes that decides what is listed or how it is stored."""
        return hashlib.blake2b(repr(self).encode("utf-8", "surrogateescape"), digest_size=8).hexdigest()


@dataclass(frozen=True, slots=True)
class ListedCounts:
    """Numbers of a listing before anything is read; ``bytes_to_read``: size of what is new or may have changed."""

    listed: int
    unchanged: int
    new: int
    changed: int
    vanished: int
    deferred: int
    ignored: int
    unreadable: int
    bytes_to_read: int


@dataclass(frozen=True, slots=True)
class ShardCounts:
    """Numbers of one shard of a listing: files that are new, changed (or may be), vanished, unchanged."""

    new: int
    changed: int
    vanished: int
    unchanged: int


@dataclass(frozen=True, slots=True)
class Disagreement:
    """Paths of one shard of which ``bronze/files`` says something else than the folder: not taken, other bytes, not there."""

    missing: tuple[bytes, ...]
    stale: tuple[bytes, ...]
    extra: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class TakenFile:
    """A file whose media type is asked for.

    Attributes:
        path: where its bytes are to be read.
        display_path: its path in its corpus.
        size: bytes.
        real_root: what ``path`` may not lead out of; None for stored bytes.
    """

    path: Path
    display_path: str
    size: int
    real_root: bytes | None = None


MediaTypes = Callable[[Sequence[TakenFile]], Sequence[str | None]]
"""Media types of many files, in their order; None for one that cannot be read any more."""


@dataclass(frozen=True, slots=True)
class Batch:
    """One slice of taken files.

    Attributes:
        rows: rows of ``bronze/files`` that are new or differ from what is known.
        deleted: file ids to delete.
        touched: files whose stat changed and whose content did not: no row.
        not_ready: files that changed or vanished between listing and reading: the next scan sees them.
        bytes_read: bytes read from the corpus.
        remaining: files that still wait, for the next slice.
    """

    rows: "pl.DataFrame"
    deleted: tuple[str, ...]
    touched: int
    not_ready: int
    bytes_read: int
    remaining: int
