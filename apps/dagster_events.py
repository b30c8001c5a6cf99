"""Tells Dagster what a run outside it did, so that the UI shows the same materializations (no run is launched).

Only where a DAGSTER_HOME exists: who never opens the UI pays nothing. Where Dagster is imported already it is told at once,
else a process of its own does it. The worker only writes the spool (``cortex_assets.engine.events``): a sensor tells.
"""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cortex_assets.engine import events
from cortex_assets.engine.events import spool_folder
from cortex_assets.engine.report import ShardReport
from resources.settings import Settings, child_environment, load_settings

ROOT = Path(__file__).resolve().parents[1]
_started: list[subprocess.Popen[bytes]] = []
"""Kept, so that nobody is told that a process still runs: it is meant to."""


def report_to_dagster(settings: Settings, reports: Sequence[ShardReport]) -> int:
    """Have a materialization reported for every stage that wrote something; the number of them."""
    count = events.spool(settings, reports)
    if count and "dagster" in sys.modules:
        drain(settings)
    elif count:
        _drain_elsewhere(settings)
    return count


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
    """Report everything in the spool; the number of materializations."""
    return events.drain(settings, _lineage)


def _lineage() -> Mapping[str, Mapping[str, Any]]:
    from cortex_assets.definitions import chain_lineage

    return chain_lineage()


def _drain_elsewhere(settings: Settings) -> None:
    """Start a process that drains the spool and outlives this one; what it says goes to a log beside the spool."""
    environment = child_environment(
        CORTEX_DATA=str(settings.data_dir),
        DAGSTER_HOME=str(settings.dagster_home),
        DAGSTER_DISABLE_TELEMETRY="yes",
    )
    with open(spool_folder(settings) / "log.txt", "wb") as log:
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
