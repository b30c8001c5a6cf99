"""A spool of what runs outside Dagster did, for whoever tells Dagster: its UI then shows the same materializations.

Writing costs a small file; telling needs Dagster, whose import takes longer than a small run. So runs write, and whoever has
Dagster imported tells: a sensor, a process of its own, or the next run.
"""

import contextlib
import fcntl
import json
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

from cortex_assets.engine.report import ShardReport, StageReport
from cortex_assets.partitions import FILES_SHARDS
from resources.settings import Settings

log = logging.getLogger(__name__)

MOST_SECONDS = 60.0
_FORMS: Mapping[object, tuple[type, ...]] = {str: (str,), int: (int,), float: (int, float)}

Lineage = Callable[[], Mapping[str, Mapping[str, Any]]]
"""Asset to the part of its metadata that says where columns come from; asked once there is something to tell."""


def spool_folder(settings: Settings) -> Path:
    """Where the spool is."""
    return settings.cache / "dagster-events"


def spool(settings: Settings, reports: Sequence[ShardReport]) -> int:
    """Note what is to be told; the number of materializations, none without a DAGSTER_HOME."""
    if not (settings.dagster_home / "dagster.yaml").is_file():
        return 0
    done = [stage for report in reports for stage in report.stages.values() if stage.did_something]
    if not done:
        return 0
    folder = spool_folder(settings)
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{time.time_ns():020d}-{os.getpid()}"
    unfinished = folder / f"{name}.new"
    unfinished.write_text(json.dumps([stage.to_dict() for stage in done]), encoding="utf-8")
    unfinished.rename(folder / f"{name}.json")
    return len(done)


def drain(settings: Settings, lineage: Lineage, seconds: float = MOST_SECONDS) -> int:
    """Tell Dagster everything in the spool, after whoever is at it; the number of materializations.

    Args:
        settings: of the data folder.
        lineage: see ``Lineage``.
        seconds: after this long the rest is left to the next one.
    """
    folder, count = spool_folder(settings), 0
    patience = time.monotonic() + seconds
    while (files := sorted(folder.glob("*.json"))) and time.monotonic() < patience:
        with _alone(folder) as is_mine:
            for file in files if is_mine else []:
                with contextlib.suppress(FileNotFoundError):
                    count += _tell(settings, _stages(file), lineage)
                    file.unlink()
                if time.monotonic() > patience:
                    break
        if not is_mine:
            time.sleep(0.2)
    return count


def _stages(file: Path) -> list[StageReport]:
    """What a file of the spool tells; nothing where it cannot be read, is damaged, or another release wrote it."""
    try:
        stages = [StageReport(**stage) for stage in json.loads(file.read_bytes())]
        for stage in stages:
            for one in fields(stage):
                if type(getattr(stage, one.name)) not in _FORMS.get(one.type, (list,)):
                    raise TypeError(f"{one.name} is of another form")
        return stages
    except FileNotFoundError:
        raise
    except (OSError, ValueError, TypeError, RecursionError) as error:
        log.warning("%s tells Dagster nothing: %s", file.name, error)
        return []


def _tell(settings: Settings, stages: Sequence[StageReport], lineage: Lineage) -> int:
    if not stages:
        return 0
    import dagster as dg

    from cortex_assets.engine.assets import stage_metadata

    by_asset = lineage()
    with dg.DagsterInstance.from_config(str(settings.dagster_home)) as instance:
        known = set(instance.get_dynamic_partitions(FILES_SHARDS))
        new = sorted({stage.shard for stage in stages} - known)
        if new:
            instance.add_dynamic_partitions(FILES_SHARDS, new)
        for stage in stages:
            metadata = stage_metadata(stage) | dict(by_asset.get(stage.stage, {}))
            instance.report_runless_asset_event(
                dg.AssetMaterialization(stage.stage, metadata=metadata, partition=stage.shard)
            )
    return len(stages)


@contextmanager
def _alone(folder: Path) -> Iterator[bool]:
    """True while no other process drains the spool."""
    with open(folder / "lock", "wb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
