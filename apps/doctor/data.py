"""The data folder: may be written, has room, lies on a disk that can do locks; DAGSTER_HOME, leases, and what is up."""

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

from apps.doctor.report import BAD, GOOD, WARNING, Diagnosis
from apps.supervisor.state import UP, read_state
from apps.worker import client
from cortex_assets.engine.lease import holders
from cortex_assets.engine.live import INTERRUPTED, SILENT, live_runs
from resources.bucket import ObjectStoreError
from resources.settings import DiskFullError, Settings, free_space_guard

AREA = "data"
NETWORK = frozenset({"nfs", "nfs4", "cifs", "smb3", "9p", "drvfs", "fuse.sshfs", "vboxsf"})
LEAST_WATCHES = 65_536
LARGE_HOME = 2 * 10**9


def examine(settings: Settings) -> Iterator[Diagnosis]:
    """Look at the data folder."""
    yield _folder(settings)
    yield _room(settings)
    yield _file_system(settings)
    yield _dagster_home(settings)
    yield _watch_limit()
    yield from _leases(settings)
    yield from _up(settings)


def _folder(settings: Settings) -> Diagnosis:
    folder = settings.data_dir
    if not folder.exists():
        return Diagnosis(AREA, "folder", GOOD, f"{folder} is made at the first run")
    lacking = [
        p
        for p in (folder, settings.lake, settings.index, settings.cache, settings.locks)
        if p.exists() and not os.access(p, os.W_OK)
    ]
    if lacking:
        return Diagnosis(
            AREA, "folder", BAD, f"not writable: {', '.join(map(str, lacking))}", "give this user write access"
        )
    return Diagnosis(AREA, "folder", GOOD, str(folder))


def _room(settings: Settings) -> Diagnosis:
    try:
        free_space_guard(settings.data_dir, settings)
    except DiskFullError as error:
        return Diagnosis(
            AREA, "room", BAD, str(error), "free some space, run `cortex maintain`, or lower CORTEX_MIN_FREE"
        )
    present = next(path for path in (settings.data_dir, *settings.data_dir.parents) if path.exists())
    stats = os.statvfs(present)
    return Diagnosis(AREA, "room", GOOD, f"{stats.f_bavail * stats.f_frsize / 1e9:.1f} GB free")


def _file_system(settings: Settings) -> Diagnosis:
    kind = _kind_of(settings.data_dir)
    if kind in NETWORK:
        remedy = "put CORTEX_DATA on a local disk; on WSL below the Linux home, not below /mnt"
        return Diagnosis(AREA, "file system", WARNING, f"{kind}: locks and change notices may not work", remedy)
    return Diagnosis(AREA, "file system", GOOD, kind)


def _kind_of(path: Path) -> str:
    """Type of the file system below a path, as the kernel names it."""
    best, kind = "", "unknown"
    try:
        mounts = Path("/proc/mounts").read_text(encoding="utf-8").splitlines()
    except OSError:
        return kind
    for line in mounts:
        _, place, found, *_ = line.split(" ")
        if (str(path) == place or str(path).startswith(place.rstrip("/") + "/")) and len(place) >= len(best):
            best, kind = place, found
    return kind


def _dagster_home(settings: Settings) -> Diagnosis:
    home = settings.dagster_home
    if not (home / "dagster.yaml").is_file():
        return Diagnosis(AREA, "DAGSTER_HOME", GOOD, f"{home} is made by `cortex up`")
    size = sum(path.stat().st_size for path in home.rglob("*.db*") if path.is_file())
    for database in home.rglob("*.db"):
        try:
            address = f"{database.absolute().as_uri()}?mode=ro"
            with contextlib.closing(sqlite3.connect(address, uri=True, timeout=5)) as connection:
                connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except sqlite3.DatabaseError as error:
            remedy = "stop `cortex up` and put that file aside: Dagster's history is in it, no row of yours"
            return Diagnosis(AREA, "DAGSTER_HOME", BAD, f"{database.name}: {error}", remedy)
    detail = f"{home}: {size / 1e6:.0f} MB of runs and events"
    if size > LARGE_HOME:
        return Diagnosis(AREA, "DAGSTER_HOME", WARNING, detail, "let the job `maintain` prune old runs")
    return Diagnosis(AREA, "DAGSTER_HOME", GOOD, detail)


def _watch_limit() -> Diagnosis:
    try:
        limit = int(Path("/proc/sys/fs/inotify/max_user_watches").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return Diagnosis(
            AREA, "file watches", WARNING, "the kernel tells no limit", "changes are found by looking around"
        )
    if limit < LEAST_WATCHES:
        remedy = f"sysctl fs.inotify.max_user_watches={8 * LEAST_WATCHES}"
        return Diagnosis(AREA, "file watches", WARNING, f"at most {limit:,} folders", remedy)
    return Diagnosis(AREA, "file watches", GOOD, f"at most {limit:,} folders")


def _leases(settings: Settings) -> Iterator[Diagnosis]:
    now = time.time()
    runs = live_runs(settings.cache / "live", settings.locks, now)
    for run in runs:
        at = time.strftime("%Y-%m-%d %H:%M", time.localtime(run.heartbeat_at))
        if run.state == INTERRUPTED:
            detail = f"a run was interrupted at {at} in stage {run.stage or 'none'}"
            yield Diagnosis(AREA, f"shard {run.shard}", WARNING, detail, "the next run continues: cortex run")
        elif run.state == SILENT:
            detail = f"process {run.pid} runs it and gives no sign of life since {at}"
            yield Diagnosis(
                AREA, f"shard {run.shard}", BAD, detail, f"see what it does (py-spy), or end process {run.pid}"
            )
    try:
        held = [f"{holder.name} ({holder})" for holder in holders(settings.leases)]
    except ObjectStoreError:  # ``store`` says so
        held = [f"{holder.name} ({holder})" for holder in holders(settings.locks)]
    yield Diagnosis(AREA, "leases", GOOD, "; ".join(held)[:500] or "none is held")


def _up(settings: Settings) -> Iterator[Diagnosis]:
    state = read_state(settings.up)
    if state is None:
        yield Diagnosis("up", "cortex up", GOOD, "nothing is up: `cortex up` starts everything")
        return
    for part in state.parts:
        told = f"{part.state}, process {part.pid}" + (f", {part.url}" if part.url else "")
        told += f", started again {part.restarts} times, last because {part.reason}" if part.restarts else ""
        state_of = GOOD if part.state == UP and not part.restarts else WARNING if part.state == UP else BAD
        yield Diagnosis("up", part.name, state_of, told, f"see {part.log}" if state_of != GOOD else "")
    yield from _worker(settings)


def _worker(settings: Settings) -> Iterator[Diagnosis]:
    try:
        told = client.ask(settings.up, "health", seconds=5.0)
    except client.NoWorker:
        return
    if told["problem"]:
        yield Diagnosis("up", "watches", WARNING, told["problem"], "raise the limit, then restart `cortex up`")
    else:
        yield Diagnosis("up", "watches", GOOD, f"{len(told['watched'])} folders are watched")
    for name, waiting in told["waiting"].items():
        if waiting["reason"]:
            yield Diagnosis("up", f"corpus {name}", WARNING, waiting["reason"], "it is tried again by itself")
