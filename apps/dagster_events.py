"""Tells Dagster what a run outside it did, so that the UI shows the same materializations (no run is launched).

Only where a DAGSTER_HOME exists: who never opens the UI pays nothing. What was done is written into a spool folder; where
Dagster is imported already it is told at once, else a process of its own does it, for importing Dagster takes longer than
a small run. Events that a process left behind are told by the next one.
"""

import contextlib
import fcntl
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from cortex_assets.engine.report import ShardReport, StageReport
from resources.settings import Settings, child_environment, load_settings

ROOT = Path(__file__).resolve().parents[1]
MOST_SECONDS = 60.0
_started: list[subprocess.Popen[bytes]] = []
"""Kept, so that nobody is told that a process still runs: it is meant to."""


def report_to_dagster(settings: Settings, reports: Sequence[ShardReport]) -> int:
    """Have a materialization reported for every stage that wrote something; the number of them."""
    count = spool(settings, reports)
    if count and "dagster" in sys.modules:
        drain(settings)
    elif count:
        _drain_elsewhere(settings)
    return count


def spool(settings: Settings, reports: Sequence[ShardReport]) -> int:
    """Note what is to be reported, for whoever drains; the number of materializations, none without a DAGSTER_HOME."""
    if not (settings.dagster_home / "dagster.yaml").is_file():
        return 0
    done = [stage for report in reports for stage in report.stages.values() if stage.did_something]
    if not done:
        return 0
    folder = _spool(settings)
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{time.time_ns():020d}-{os.getpid()}"
    unfinished = folder / f"{name}.new"
    unfinished.write_text(json.dumps([stage.to_dict() for stage in done]), encoding="utf-8")
    unfinished.rename(folder / f"{name}.json")
    return len(done)


def forget_shards(settings: Settings, shards: Sequence[str]) -> None:
    """Remove the partitions of shards that are no more, where there is a Dagster; what they materialized stays in its history."""
    if not shards or not (settings.dagster_home / "dagster.yaml").is_file():
        return
    import dagster as dg

    from cortex_assets.partitions import FILES_SHARDS

    with dg.DagsterInstance.from_config(str(settings.dagster_home)) as instance:
        for shard in shards:
            if instance.has_dynamic_partition(FILES_SHARDS, shard):
                instance.delete_dynamic_partition(FILES_SHARDS, shard)


def drain(settings: Settings) -> int:
    """Report everything in the spool, after whoever is at it; the number of materializations."""
    folder, count = _spool(settings), 0
    patience = time.monotonic() + MOST_SECONDS
    while (files := sorted(folder.glob("*.json"))) and time.monotonic() < patience:
        with _alone(folder) as is_mine:
            for file in files if is_mine else []:
                with contextlib.suppress(FileNotFoundError):
                    count += _tell(settings, [StageReport(**stage) for stage in json.loads(file.read_bytes())])
                    file.unlink()
        if not is_mine:
            time.sleep(0.2)
    return count


def _tell(settings: Settings, stages: Sequence[StageReport]) -> int:
    import dagster as dg

    from cortex_assets.definitions import FILES_CHAIN
    from cortex_assets.engine.assets import column_lineage, stage_metadata
    from cortex_assets.partitions import FILES_SHARDS

    lineage = {spec.key.to_user_string(): column_lineage(spec) for spec in FILES_CHAIN}
    with dg.DagsterInstance.from_config(str(settings.dagster_home)) as instance:
        known = set(instance.get_dynamic_partitions(FILES_SHARDS))
        new = sorted({stage.shard for stage in stages} - known)
        if new:
            instance.add_dynamic_partitions(FILES_SHARDS, new)
        for stage in stages:
            metadata = stage_metadata(stage) | lineage.get(stage.stage, {})
            instance.report_runless_asset_event(
                dg.AssetMaterialization(stage.stage, metadata=metadata, partition=stage.shard)
            )
    return len(stages)


def _spool(settings: Settings) -> Path:
    return settings.cache / "dagster-events"


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[bool]:
    """True while no other process drains the spool."""
    with open(folder / "lock", "wb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True


def _drain_elsewhere(settings: Settings) -> None:
    """Start a process that drains the spool and outlives this one; what it says goes to a log beside the spool."""
    environment = child_environment(
        CORTEX_DATA=str(settings.data_dir),
        DAGSTER_HOME=str(settings.dagster_home),
        DAGSTER_DISABLE_TELEMETRY="yes",
    )
    with open(_spool(settings) / "log.txt", "wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "apps.dagster_events"],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    _started.append(process)


if __name__ == "__main__":
    drain(load_settings())
