"""What ``apps.actions`` does for the lake as a whole: maintain, reshard, back up, restore, upgrade. Imported late."""

import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import polars as pl

from apps.care_reports import BackedUp, Resharded, Restored, SavedTable, Upgraded
from apps.dagster_events import forget_shards
from apps.errors import USAGE, CommandError
from apps.progress import ProgressSink
from apps.reports import MaintainedTable, MaintainReport
from apps.running import chosen, opened
from apps.supervisor.state import is_held
from cortex_assets.corpora.schema import FILES
from cortex_assets.engine import backup as engine_backup
from cortex_assets.engine import migrations
from cortex_assets.engine import restore as engine_restore
from cortex_assets.engine.admission import finish_restore
from cortex_assets.engine.formats import CURRENT, format_of
from cortex_assets.engine.lease import lake_lease
from cortex_assets.partitions import advised_shards
from resources.archive import Archive
from resources.lakehouse import Lakehouse
from resources.manifest import Manifest
from resources.raw_store import RawStore
from resources.settings import Settings, free_space_guard, load_settings

PROVIDER = "copy the bucket, or switch its versioning on, with your provider's tools while no run is at work"
ALLOWED = tuple(2**power for power in range(11))


def maintain(is_dry_run: bool, wait_seconds: float) -> MaintainReport:
    """See ``apps.actions.maintain``."""
    begin = time.perf_counter()
    with opened() as house:
        done = house.maintain(is_dry_run, wait_seconds)
    tables = tuple(
        MaintainedTable(one.name, one.files_before, one.files_after, one.bytes_freed, one.seconds, one.rows)
        for one in done.cared
    )
    return MaintainReport(tables, time.perf_counter() - begin, done.busy, done.longest_hold, is_dry_run)


def _lake(settings: Settings, lock: Callable[[], AbstractContextManager[object]]) -> Lakehouse:
    return Lakehouse(
        settings.lake_root,
        storage_options=settings.lake_options,
        before_write=lambda: free_space_guard(settings.lake, settings),
        maintenance_lock=lock,
    )


def _not_on_store(settings: Settings, what: str, remedy: str) -> None:
    """Refuse what only a lake in a folder has."""
    if settings.bucket is not None:
        raise CommandError(f"the lake is on an object store, and {what} is not made there", settings.lake_root, remedy)


def reshard(name: str, count: int | None, wait_seconds: float) -> Resharded:
    """See ``apps.actions.reshard``."""
    begin = time.perf_counter()
    with opened() as house:
        registry = house.sync_registry()
        (corpus,) = chosen(registry, [name])
        if not corpus.shard_count:
            raise CommandError("the corpus has no shards yet", name, "`cortex run` lists it first", USAGE)
        mine = house.lake.scan(FILES).filter(pl.col("corpus_id") == corpus.corpus_id)
        wanted = count or advised_shards(mine.select(pl.len()).collect().item())
        if wanted not in ALLOWED:
            raise CommandError(
                f"{wanted} shards are not possible", "--shards", f"a power of two up to {ALLOWED[-1]}", USAGE
            )
        done = house.reshard(corpus, wanted, wait_seconds)
        gone = [shard for shard in corpus.shards if shard not in done.corpus.shards]
        forget_shards(house.settings, gone)
    seconds = time.perf_counter() - begin
    return Resharded(
        name,
        corpus.shard_count,
        done.corpus.shard_count,
        done.corpus.shard_epoch,
        done.rows,
        done.points,
        done.notes,
        seconds,
    )


def backup(destination: str, parts: frozenset[str], is_checked: bool, progress: ProgressSink) -> BackedUp:
    """See ``apps.actions.backup``."""
    begin = time.perf_counter()
    with opened() as house:
        _not_on_store(house.settings, "a backup of it", PROVIDER)
        folder = _outside(Path(destination).expanduser().absolute(), house.settings)
        archive = Archive(folder, lambda size: free_space_guard(folder, house.settings, size))
        wanted = engine_backup.Wanted(parts, is_checked)
        manifest = engine_backup.back_up(
            house.lake, house.raw, house.settings, archive, wanted, format_of(house.settings), progress
        )
    return BackedUp(
        folder,
        manifest.made_at,
        manifest.parts,
        _tables(manifest),
        len(manifest.files),
        manifest.size,
        archive.copied[0],
        archive.copied[1],
        manifest.missing,
        time.perf_counter() - begin,
    )


def restore(source: str, is_replacing: bool, progress: ProgressSink) -> Restored:
    """See ``apps.actions.restore``. No house is open: its folders are swapped."""
    begin = time.perf_counter()
    settings = load_settings()
    _not_on_store(settings, "a restore", PROVIDER)
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    _nothing_is_up(settings)
    archive = Archive(Path(source).expanduser().absolute())
    done = engine_restore.restore(settings, archive, is_replacing, CURRENT, progress)
    manifest = done.manifest
    return Restored(
        archive.folder,
        manifest.made_at,
        manifest.parts,
        _tables(manifest),
        len(manifest.files),
        manifest.size,
        done.is_replaced,
        done.added,
        done.kept,
        time.perf_counter() - begin,
    )


def upgrade(is_dry_run: bool) -> Upgraded:
    """See ``apps.actions.upgrade``. No house is open: it would refuse a lake that has to be upgraded."""
    settings = load_settings()
    finish_restore(settings)
    if not is_dry_run:
        _nothing_is_up(settings)
    if is_dry_run or not (settings.bucket or settings.lake.is_dir()):
        done = migrations.planned(settings)
    else:
        if migrations.planned(settings).steps:
            _not_on_store(settings, "the snapshot before an upgrade", PROVIDER)
        lake = _lake(settings, lambda: lake_lease(settings.leases))
        done = migrations.upgrade(settings, lake, RawStore(settings.raw))
    return Upgraded(done.before, done.after, done.steps, done.snapshot, is_dry_run)


def _nothing_is_up(settings: Settings) -> None:
    """Refuse where app, Dagster or worker are up: they have tables and caches open that are about to be swapped."""
    if is_held(settings.up):
        raise CommandError(
            "`cortex up` is at work on this lake",
            str(settings.data_dir),
            "`cortex down` first, and `cortex up` again after it",
        )


def _outside(folder: Path, settings: Settings) -> Path:
    """The folder, which is not to lie in the data folder: what harms the one would harm the other."""
    if folder.resolve().is_relative_to(settings.data_dir.resolve()):
        raise CommandError(
            "a backup does not belong into the data folder",
            str(folder),
            "choose a place outside, best on another disk",
            USAGE,
        )
    return folder


def _tables(manifest: Manifest) -> tuple[SavedTable, ...]:
    files: dict[str, list[int]] = defaultdict(list)
    for file in manifest.files:
        for name in manifest.tables:
            if file.path.startswith(f"lake/{name}/"):
                files[name].append(file.size)
    return tuple(
        SavedTable(name, mark.version, mark.rows, len(files[name]), sum(files[name]))
        for name, mark in sorted(manifest.tables.items())
    )
