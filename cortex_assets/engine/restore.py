"""From a backup back to a lake: checked whole first, written beside the lake, then put in its place (``engine.backup``).

Everything is written to ``<data>/restoring`` and made durable before anything is replaced. Then a small file says what is
to be swapped, and from there on a restore is finished whatever happens: whoever opens the lake next does it (``finish``).
Before it, whatever a killed restore left is garbage, and the lake is what it was. Stored bytes and files of the inbox are
only added: what is there already is never overwritten.
"""

import contextlib
import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from cortex_assets.engine.backup import REST
from cortex_assets.engine.care import TABLES
from cortex_assets.engine.formats import PENDING
from cortex_assets.engine.lease import lake_lease
from cortex_assets.engine.report import ProgressSink, silent
from resources.archive import Archive, damaged
from resources.delta_log import LOG
from resources.durability import fsync, make_durable
from resources.manifest import BackupError, Manifest, Stored
from resources.settings import Settings, free_space_guard
from resources.state import State

LAKE, RAW, INBOX, GOLDEN = "lake", "raw", "inbox", "golden"
SOURCES, INFERENCE = "sources.yaml", "inference.yaml"
_ADDED = (RAW, INBOX, GOLDEN, SOURCES, INFERENCE)
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore did.

    Attributes:
        manifest: of the backup.
        is_replaced: a lake was there, and is not any more.
        added: stored bytes, golden sets and files of the inbox that were written.
        kept: paths of the inbox, golden sets, ``sources.yaml`` and ``inference.yaml``, that are there in another state and stayed so.
    """

    manifest: Manifest
    is_replaced: bool
    added: int
    kept: tuple[str, ...]


def restore(
    settings: Settings, archive: Archive, is_replacing: bool, lake_format: int, progress: ProgressSink = silent
) -> Restored:
    """Put back what a backup holds. Where it holds all tables they become the lake; else human rows alone are replaced.

    Args:
        settings: where everything goes.
        archive: the backup.
        is_replacing: whether a lake that is there may be replaced.
        lake_format: the newest format of a lake that this Cortex knows.
        progress: told bytes done.

    Raises:
        BackupError: the backup is damaged, too new, or leads out of the data folder; or a lake is there and is to stay.
        LeaseBusy: a run or maintenance is at work.
        DiskFullError: there is too little room for a second lake beside the first.
    """
    manifest = archive.read()
    _check(manifest, archive.folder, lake_format)
    with lake_lease(settings.locks):
        finish(settings)
        _discard(settings)
        is_replaced = has_lake(settings)
        if is_replaced and not is_replacing:
            raise BackupError(f"{settings.lake} holds a lake; --replace puts the backup in its place")
        _check_places(settings)
        _verify(archive, manifest, progress)
        free_space_guard(settings.data_dir, settings, manifest.size)
        try:
            added, kept = _staged(settings, archive, manifest, progress)
        except BaseException:
            _discard(settings)
            raise
        _announce(settings, manifest)
        finish(settings)
    return Restored(manifest, is_replaced, added, kept)


def _check(manifest: Manifest, place: Path, lake_format: int) -> None:
    """Refuse what this Cortex cannot place.

    Raises:
        BackupError: naming it.
    """
    if manifest.lake_format > lake_format:
        raise BackupError(
            f"the lake in {place} is of format {manifest.lake_format}, and this Cortex knows formats up to "
            f"{lake_format}; use a newer Cortex"
        )
    known = {table.name for table in TABLES}
    unknown = sorted(manifest.tables.keys() - known)
    if unknown:
        raise BackupError(f"{place} holds a table that this Cortex does not know: {unknown[0][:80]!r}")
    for file in manifest.files:
        top, _, below = file.path.partition("/")
        is_table = top == LAKE and any(below.startswith(f"{name}/") for name in manifest.tables)
        is_raw = top == RAW and below == f"{file.sha256[:2]}/{file.sha256}"
        if not (is_table or is_raw or (top in (INBOX, GOLDEN) and below) or file.path in (SOURCES, INFERENCE)):
            raise BackupError(f"{place}: {file.path[:100]!r} has no place in a lake; nothing is restored from it")


def _check_places(settings: Settings) -> None:
    """Refuse before anything is done what could not be swapped by renaming.

    Raises:
        BackupError: a folder is a link, or on a disk of its own.
    """
    for folder in (settings.lake, settings.index):
        if folder.is_symlink() or (folder.exists() and folder.stat().st_dev != settings.data_dir.stat().st_dev):
            raise BackupError(
                f"{folder} lies on another disk than {settings.data_dir}, so it cannot be swapped; move it there first"
            )


def _verify(archive: Archive, manifest: Manifest, progress: ProgressSink) -> None:
    """Read every byte of the backup before one is written.

    Raises:
        BackupError: one of them is not what it was.
    """
    done, total = 0, manifest.size

    def heard(size: int) -> None:
        nonlocal done
        done += size
        progress("lake", "verify", done, total, "bytes")

    bad = damaged(archive, manifest.files, heard)
    if bad:
        more = f" and {len(bad) - _SHOWN} more" if len(bad) > _SHOWN else ""
        raise BackupError(
            f"{archive.folder}: missing or damaged: {', '.join(bad[:_SHOWN])}{more}; nothing was written. Take the backup "
            "again with --verify where its lake is still there, or another backup"
        )


def has_lake(settings: Settings) -> bool:
    """Whether a table is there."""
    return any(LOG in folders for _, folders, _ in os.walk(settings.lake))


def _staged(
    settings: Settings, archive: Archive, manifest: Manifest, progress: ProgressSink
) -> tuple[int, tuple[str, ...]]:
    """Write the tables beside the lake, and add bytes and files; durable; files added, paths that are other and stay."""
    new = settings.data_dir / "restoring" / "new"
    new.mkdir(parents=True)
    added: list[Path] = []
    kept: list[str] = []
    done = 0
    for file in manifest.files:
        top = file.path.partition("/")[0]
        if top in _ADDED:
            target = _own_place(settings, file)
            if target is None or target.exists():
                if top != RAW and not _is_same(target, file):
                    kept.append(file.path)
            else:
                _add(archive, file, target, new.parent / "part")
                added.append(target)
        else:
            target = new / file.path
            target.parent.mkdir(parents=True, exist_ok=True)
            archive.fetch(file, target)
        done += file.size
        progress("lake", "restore", done, manifest.size, "bytes")
    written = [path for path in new.rglob("*") if path.is_file()]
    folders = {path.parent for path in [*written, *added]}
    make_durable([*written, *added, *sorted(folders)], settings.data_dir)
    return len(added), tuple(kept)


def _own_place(settings: Settings, file: Stored) -> Path | None:
    """Where bytes or a file of the inbox go; None where a link or a file on the way would lead elsewhere."""
    place = settings.data_dir
    *folders, name = file.path.split("/")
    for depth, part in enumerate(folders):
        place = place / part
        if depth and (place.is_symlink() or (place.exists() and not place.is_dir())):
            return None
    place.mkdir(parents=True, exist_ok=True)
    target = place / name
    return None if target.is_symlink() else target


def _is_same(target: Path | None, file: Stored) -> bool:
    if target is None or not target.is_file():
        return False
    with target.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest() == file.sha256


def _add(archive: Archive, file: Stored, target: Path, part: Path) -> None:
    """Put a file where nothing is, whole or not at all."""
    archive.fetch(file, part)
    part.rename(target)


def _announce(settings: Settings, manifest: Manifest) -> None:
    """The point of no return: say durably what is to be swapped."""
    swaps = [LAKE] if REST in manifest.parts else [f"{LAKE}/{name}" for name in sorted(manifest.tables)]
    place = _place(settings)
    fresh = place.with_suffix(".new")
    fresh.write_text(json.dumps({"swaps": swaps, "is_whole": REST in manifest.parts}), encoding="ascii")
    fsync(fresh)
    fresh.replace(place)
    fsync(place.parent)
    fsync(settings.data_dir)


def is_unfinished(settings: Settings) -> bool:
    """Whether a restore was cut off after the point of no return: ``finish`` it under the lake's lease."""
    return _place(settings).is_file()


def finish(settings: Settings) -> None:
    """Swap what a restore announced and forget what was made of the old lake; nothing announced does nothing.

    The caller holds the lake's lease. It may be cut off anywhere and done again.
    """
    if not is_unfinished(settings):
        return
    announced = json.loads(_place(settings).read_bytes())
    folder = settings.data_dir / "restoring"
    if announced["is_whole"]:
        _aside(settings.index, folder / "old" / "index")
    _forget_caches(settings)
    for name in announced["swaps"]:
        _swap(folder / "new" / name, settings.data_dir / name, folder / "old" / name)
    _place(settings).unlink()
    fsync(folder)
    shutil.rmtree(folder)


def _swap(new: Path, target: Path, old: Path) -> None:
    """Put ``new`` in the place of ``target``, which goes to ``old``; where ``new`` is not there any more that is done."""
    if not new.exists():
        return
    _aside(target, old)
    target.parent.mkdir(parents=True, exist_ok=True)
    new.rename(target)
    fsync(target.parent)


def _aside(target: Path, old: Path) -> None:
    """Move a folder away; where an earlier attempt did, what is there again is a stray of no one's."""
    if not target.exists():
        return
    if old.exists():
        shutil.rmtree(target)
        return
    old.parent.mkdir(parents=True, exist_ok=True)
    target.rename(old)
    fsync(target.parent)


def _forget_caches(settings: Settings) -> None:
    """What caches know of a lake is about versions, which count anew now. Other processes have them open: emptied, not removed."""
    file = settings.cache / "state.sqlite"
    if file.is_file():
        with State(file) as state:
            state.forget_everything()
    (settings.data_dir / "snapshots" / PENDING).unlink(missing_ok=True)
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(settings.cache / "columns")


def _discard(settings: Settings) -> None:
    """Remove what a restore left that never came to the point of no return."""
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(settings.data_dir / "restoring")


def _place(settings: Settings) -> Path:
    return settings.data_dir / "restoring" / "swaps.json"
