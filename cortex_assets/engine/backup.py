"""What goes into a backup, taken at one state of the lake while runs go on (``resources.archive`` is where it goes to).

The versions of all tables are read twice: where nothing moved in between, they were all current at that moment, and a
moment of the lake is what a killed run leaves, too: the next run over it comes to the same rows. Versions and data files
never change, so they are copied while runs commit further ones. Only maintenance could remove them: it is kept out by
the lake's lease, shared as runs share it. The index and the caches are made anew and never backed up.
"""

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from cortex_assets.corpora.schema import FILES
from cortex_assets.documents.schema import DOCUMENTS
from cortex_assets.engine.care import TABLES
from cortex_assets.engine.lease import LAKE, Lease
from cortex_assets.engine.report import ProgressSink, silent
from cortex_assets.tables import Kind, TableSpec
from resources.archive import Archive, FileMoved
from resources.delta_log import LogGap, log_files
from resources.lakehouse import Lakehouse
from resources.manifest import BackupError, Manifest, Stored, TableMark
from resources.raw_store import RawStore
from resources.settings import Settings

HUMAN, REST, RAW, INBOX = "human", "tables", "raw", "inbox"
PARTS = (HUMAN, REST, RAW, INBOX)
PINNING_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be backed up.

    Attributes:
        parts: of ``PARTS``; human rows are always among them.
        is_checked: read again what an earlier backup wrote.
        is_linked: link instead of copying: for a snapshot beside the lake.
    """

    parts: frozenset[str] = frozenset()
    is_checked: bool = False
    is_linked: bool = False

    def __contains__(self, part: str) -> bool:
        return part == HUMAN or part in self.parts

    @property
    def tables(self) -> tuple[TableSpec, ...]:
        """The tables that are wanted."""
        return tuple(table for table in TABLES if table.kind == Kind.HUMAN or REST in self)


@dataclass(frozen=True, slots=True)
class _Item:
    """A file that is to be taken: where it is, what it is called, and whether it may be gone or change."""

    source: Path
    path: str
    is_moving: bool = False


def pinned(lake: Lakehouse, tables: Sequence[TableSpec]) -> dict[str, int]:
    """Versions that all tables had at one moment; tables that are not there are left out.

    Raises:
        BackupError: tables were committed to faster than they could be looked at, for half a minute.
    """
    patience = time.monotonic() + PINNING_SECONDS
    seen = {table.name: lake.version(table) for table in tables}
    while time.monotonic() < patience:
        again = {table.name: lake.version(table) for table in tables}
        if again == seen:
            return {name: version for name, version in seen.items() if version >= 0}
        seen = again
    raise BackupError("the lake did not stand still for a moment; make the backup again when fewer runs are at work")


def back_up(
    lake: Lakehouse,
    raw: RawStore,
    settings: Settings,
    archive: Archive,
    wanted: Wanted,
    lake_format: int,
    progress: ProgressSink = silent,
) -> Manifest:
    """Write a backup, or bring one up to date.

    Args:
        lake: the tables.
        raw: the stored bytes.
        settings: where everything is.
        archive: takes it; nobody else may write there.
        wanted: what goes in.
        lake_format: of the lake.
        progress: told files done.

    Raises:
        LeaseBusy: maintenance is at work.
        BackupError: the folder cannot take it, or the lake lacks files of its own.
    """
    with Lease(settings.locks, LAKE, is_shared=True):
        return write(lake, raw, settings, archive, wanted, lake_format, progress)


def write(
    lake: Lakehouse,
    raw: RawStore,
    settings: Settings,
    archive: Archive,
    wanted: Wanted,
    lake_format: int,
    progress: ProgressSink = silent,
) -> Manifest:
    """``back_up`` for whoever holds the lake's lease."""
    made_at = datetime.now(UTC).isoformat(timespec="seconds")
    with archive.writing():
        versions = pinned(lake, TABLES)
        marks: dict[str, TableMark] = {}
        items: list[_Item] = []
        for table in wanted.tables:
            if table.name in versions:
                items += _of_table(lake, table, versions[table.name])
                marks[table.name] = TableMark(versions[table.name], lake.rows_at(table, versions[table.name]) or 0)
        items += _of_folders(lake, raw, settings, wanted, versions.get(FILES.name))
        files, missing = _taken(archive, items, wanted, progress)
        parts = tuple(part for part in PARTS if part in wanted)
        manifest = Manifest(made_at, lake_format, parts, marks, tuple(files), tuple(missing))
        archive.seal(manifest)
    return manifest


def _of_table(lake: Lakehouse, table: TableSpec, version: int) -> list[_Item]:
    folder = Path(lake.uri(table))
    try:
        # The log first: the checkpoint of a run may remove commits that are old.
        paths = [*log_files(folder, version), *lake.data_files(table, version)]
    except LogGap as gap:
        raise BackupError(f"{table.name}: {gap}, so it cannot be backed up; `cortex verify` tells more") from gap
    return [_Item(path, f"lake/{table.name}/{path.relative_to(folder).as_posix()}") for path in paths]


def _of_folders(
    lake: Lakehouse, raw: RawStore, settings: Settings, wanted: Wanted, version: int | None
) -> Iterator[_Item]:
    if settings.sources_file.is_file():
        yield _Item(settings.sources_file, "sources.yaml", is_moving=True)
    if settings.inference_file == settings.data_dir / "inference.yaml" and settings.inference_file.is_file():
        yield _Item(settings.inference_file, "inference.yaml", is_moving=True)
    if settings.golden.is_dir():
        for path in sorted(path for path in settings.golden.iterdir() if path.is_file() and not path.is_symlink()):
            yield _Item(path, f"golden/{path.name}", is_moving=True)
    if RAW in wanted and version is not None:
        for content_hash in named_bytes(lake, raw, version):
            path = raw.path_of(content_hash)
            yield _Item(path, f"raw/{path.relative_to(raw.root).as_posix()}", is_moving=True)
    if INBOX in wanted:
        for path in _files_below(settings.inbox):
            yield _Item(path, f"inbox/{path.relative_to(settings.inbox).as_posix()}", is_moving=True)


def named_bytes(lake: Lakehouse, raw: RawStore, version: int) -> list[str]:
    """Hashes of the bytes that files name at a version, sorted, but for those that are not kept because of secrets."""
    rows = lake.scan(FILES, version=version).filter((pl.col("store") == "raw") & pl.col("content_hash").is_not_null())
    named = rows.select("file_id", "content_hash").collect()
    found = lake.scan(DOCUMENTS).filter(pl.col("findings").list.len() > 0).select("file_id").unique().collect()
    withheld = set(named.join(found, on="file_id", how="semi")["content_hash"])
    hashes = named["content_hash"].unique().sort()
    return [content_hash for content_hash in hashes if content_hash not in withheld or raw.has(content_hash)]


def _files_below(folder: Path) -> Iterator[Path]:
    """Regular files, sorted; links are not followed and not taken."""
    for place, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            path = Path(place, name)
            if path.is_file() and not path.is_symlink():
                yield path


def _taken(
    archive: Archive, items: Sequence[_Item], wanted: Wanted, progress: ProgressSink
) -> tuple[list[Stored], list[str]]:
    """Take everything in; (files, paths that could not be taken), both sorted."""
    files, missing = [], []
    for number, item in enumerate(items, start=1):
        try:
            files.append(_one(archive, item, wanted))
        except (FileMoved, FileNotFoundError, PermissionError) as error:
            if not item.is_moving:
                raise BackupError(
                    f"{item.source}: a file that the lake names cannot be read ({error}); `cortex verify` tells more"
                ) from error
            missing.append(item.path)
        progress("lake", "backup", number, len(items), "files")
    return sorted(files, key=lambda file: file.path), sorted(missing)


def _one(archive: Archive, item: _Item, wanted: Wanted) -> Stored:
    """Take a file in; one that changes meanwhile is taken once more."""
    is_linked = wanted.is_linked and not item.is_moving
    try:
        return archive.add(item.source, item.path, is_checked=wanted.is_checked, is_linked=is_linked)
    except FileMoved:
        return archive.add(item.source, item.path, is_checked=wanted.is_checked, is_linked=is_linked)
