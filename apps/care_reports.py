"""What backups, restores and other care of the lake give back; beside ``apps.reports``, which says how reports are made."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class SavedTable:
    """A table in a backup."""

    name: str
    version: int
    rows: int
    files: int
    bytes: int


@dataclass(frozen=True, slots=True)
class BackedUp:
    """A backup that was made or read.

    Attributes:
        folder: where it is.
        made_at: the moment of the lake that it holds (UTC, ISO 8601).
        parts: ``human``, ``tables``, ``raw``, ``inbox``.
        tables: what it holds of tables.
        files: all files in it.
        bytes: of all files.
        copied_files: those that were written now; the others were there.
        copied_bytes: of those.
        missing: paths that should be in it and could not be read.
        seconds: it took.
    """

    folder: Path
    made_at: str
    parts: tuple[str, ...]
    tables: tuple[SavedTable, ...]
    files: int
    bytes: int
    copied_files: int
    copied_bytes: int
    missing: tuple[str, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class Restored:
    """A backup that was put back.

    Attributes:
        folder: where it is.
        made_at: the moment of the lake that is back (UTC, ISO 8601).
        parts: what was put back.
        tables: by name, with version and rows.
        files: of the backup.
        bytes: of those.
        is_replaced: a lake was there, and is not any more.
        added: stored bytes and files of the inbox that were written.
        kept: paths that are there in another state than in the backup, and stayed.
        seconds: it took.
    """

    folder: Path
    made_at: str
    parts: tuple[str, ...]
    tables: tuple[SavedTable, ...]
    files: int
    bytes: int
    is_replaced: bool
    added: int
    kept: tuple[str, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class Upgraded:
    """An upgrade of the lake's format.

    Attributes:
        before: the format that the lake had.
        after: the one it has now.
        steps: what was done, in order.
        snapshot: a backup of the lake as it was, to go back by; None where nothing was to do.
        is_dry_run: nothing was done: this is what would be.
    """

    before: int
    after: int
    steps: tuple[str, ...]
    snapshot: Path | None
    is_dry_run: bool


@dataclass(frozen=True, slots=True)
class Resharded:
    """A change of the number of a corpus' shards.

    Attributes:
        corpus: its name.
        before: how many shards it had.
        after: how many it has.
        epoch: how often that was changed.
        rows: of files, documents and chunks that moved.
        points: that were copied in the index.
        notes: what the next run has to make anew.
        seconds: it took.
    """

    corpus: str
    before: int
    after: int
    epoch: int
    rows: int
    points: int
    notes: tuple[str, ...]
    seconds: float
