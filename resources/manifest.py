"""A backup's manifest: what a backup holds, file by file, and whether that may be believed (``resources.archive`` keeps it)."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

FORMAT = 1
_HEX = frozenset("0123456789abcdef")


class BackupError(Exception):
    """A backup cannot be made, read or used; the message says what, where and what to do."""


@dataclass(frozen=True, slots=True)
class Stored:
    """One file of a backup.

    Attributes:
        path: relative, with ``/``; bytes that are no UTF-8 are surrogates, as ``os.fsdecode`` gives them.
        size: bytes.
        sha256: of its bytes, hex.
        mtime_ns: its last modification.
    """

    path: str
    size: int
    sha256: str
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class TableMark:
    """A table in a backup: its Delta version and how many rows that has."""

    version: int
    rows: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup holds.

    Attributes:
        made_at: when it was begun (UTC, ISO 8601).
        lake_format: format of the lake.
        parts: what was asked for.
        tables: by name.
        files: sorted by path.
        missing: paths that should be there and could not be taken, sorted.
        format: of this manifest.
    """

    made_at: str
    lake_format: int
    parts: tuple[str, ...]
    tables: Mapping[str, TableMark]
    files: tuple[Stored, ...]
    missing: tuple[str, ...] = ()
    format: int = FORMAT

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)

    def to_bytes(self) -> bytes:
        """As it is written: JSON in ASCII, with a sum of itself."""
        values = asdict(self)
        return json.dumps(values | {"sum": _sum(values)}, indent=1, sort_keys=True).encode("ascii")

    @classmethod
    def from_bytes(cls, content: bytes, place: Path) -> "Manifest":
        """Inverse of ``to_bytes``.

        Raises:
            BackupError: it is damaged, or of a newer format.
        """
        try:
            values: dict[str, Any] = json.loads(content)
            known, made_by = values.pop("sum"), int(values["format"])
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise BackupError(f"{place} is no manifest of a backup ({error}); take another backup") from error
        if made_by > FORMAT:
            raise BackupError(
                f"{place} is of format {made_by}, and this Cortex reads formats up to {FORMAT}; use a newer Cortex"
            )
        if known != _sum(values):
            raise BackupError(f"{place} is damaged: it is not what was written; take another backup")
        try:
            marks = {name: TableMark(**mark) for name, mark in values["tables"].items()}
            files = tuple(Stored(**file) for file in values["files"])
            lists = {"parts": tuple(values["parts"]), "missing": tuple(values["missing"])}
            made = cls(**{**values, "tables": marks, "files": files, **lists})
        except (KeyError, TypeError, AttributeError) as error:
            raise BackupError(f"{place} has another form than a manifest ({error}); take another backup") from error
        if not _is_well_formed(made):
            raise BackupError(f"{place} holds values that no backup has; take another backup")
        return made


def _is_well_formed(manifest: Manifest) -> bool:
    """Whether all values are of their types and sizes: a sum can be made by anybody."""
    texts = [manifest.made_at, *manifest.parts, *manifest.missing, *manifest.tables]
    texts += [text for file in manifest.files for text in (file.path, file.sha256)]
    numbers = [
        manifest.lake_format,
        *(number for mark in manifest.tables.values() for number in (mark.version, mark.rows)),
    ]
    numbers += [file.size for file in manifest.files]
    times = [file.mtime_ns for file in manifest.files]
    return (
        all(isinstance(text, str) for text in texts)
        and all(type(number) is int and 0 <= number < 2**63 for number in numbers)
        and all(type(time) is int and -(2**63) <= time < 2**63 for time in times)
    )


def is_sha256(text: str) -> bool:
    """Whether a text is a SHA-256 in hex."""
    return len(text) == 64 and _HEX.issuperset(text)


def _sum(values: Mapping[str, Any]) -> str:
    text = json.dumps(json.loads(json.dumps(values)), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def check_paths(manifest: Manifest, place: Path) -> None:
    """Refuse a manifest that would lead out of the folder that it is restored to, or that contradicts itself.

    Raises:
        BackupError: naming the first such path.
    """
    seen: set[str] = set()
    folders: set[str] = set()
    for file in manifest.files:
        path, pure = file.path, PurePosixPath(file.path)
        is_plain = bool(path) and not pure.is_absolute() and str(pure) == path and ".." not in pure.parts
        if not is_plain or "\0" in path or path == ".":
            raise BackupError(f"{place}: the path {path[:100]!r} leads out of the backup; nothing is restored from it")
        if not is_sha256(file.sha256):
            raise BackupError(f"{place}: the hash of {path[:100]!r} is none; nothing is restored from it")
        if path in seen:
            raise BackupError(f"{place}: the path {path[:100]!r} stands there twice; nothing is restored from it")
        seen.add(path)
        folders.update(str(parent) for parent in pure.parents)
    clash = next(iter(sorted(seen & folders)), None)
    if clash is not None:
        raise BackupError(f"{place}: {clash[:100]!r} is both a file and a folder; nothing is restored from it")
