"""A spool of what runs outside Dagster did, for whoever tells Dagster: its UI then shows the same materializations.

Writing costs a small file; telling needs Dagster, whose import takes longer than a small run. So runs write, and whoever has
Dagster imported tells: a sensor, a process of its own, or the next run.
"""

import contextlib
import json
import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from cortex_assets.engine.report import ShardReport, StageReport
from cortex_assets.partitions import FILES_SHARDS
from resources.file_lock import alone
from resources.settings import Settings

log = logging.getLogger(__name__)

MOST_SECONDS = 60.0
_FORMS: Mapping[object, tuple[type, ...]] = {str: (str,), int: (int,), float: (int, float)}

Lineage = Callable[[], Mapping[str, Mapping[str, Any]]]
"""Asset to the part of its metadata that says where columns come from; asked once there is something to tell."""


@dataclass(frozen=True, slots=True)
class WholeReport:
    """What the making of an asset that has no shards counted."""

    asset: str
    counts: dict[str, int]


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
    _put(settings, [stage.to_dict() for stage in done])
    return len(done)


def spool_whole(settings: Settings, counts: Mapping[str, Mapping[str, int]]) -> None:
    """Note that assets which are made for the lake as a whole were made anew: asset to what it counted."""
    if (settings.dagster_home / "dagster.yaml").is_file():
        _put(settings, [asdict(WholeReport(asset, dict(counted))) for asset, counted in counts.items()])


def _put(settings: Settings, told: Sequence[Mapping[str, Any]]) -> None:
    folder = spool_folder(settings)
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{time.time_ns():020d}-{os.getpid()}"
    unfinished = folder / f"{name}.new"
    unfinished.write_text(json.dumps(told), encoding="utf-8")
    unfinished.rename(folder / f"{name}.json")


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
        with alone(folder / "lock") as is_mine:
            for file in files if is_mine else []:
                with contextlib.suppress(FileNotFoundError):
                    count += _tell(settings, _reports(file), lineage)
                    file.unlink()
                if time.monotonic() > patience:
                    break
        if not is_mine:
            time.sleep(0.2)
    return count


def _reports(file: Path) -> list[StageReport | WholeReport]:
    """What a file of the spool tells; nothing where it cannot be read, is damaged, or another release wrote it."""
    try:
        items = json.loads(file.read_bytes())
        reports = [WholeReport(**item) if "asset" in item else StageReport(**item) for item in items]
        for report in reports:
            _check(report)
        return reports
    except FileNotFoundError:
        raise
    except (OSError, ValueError, TypeError, RecursionError) as error:
        log.warning("%s tells Dagster nothing: %s", file.name, error)
        return []


def _check(report: StageReport | WholeReport) -> None:
    """Raise a TypeError where a value is of another form: what is told then would fail, and be tried for ever."""
    if isinstance(report, WholeReport):
        values: list[tuple[object, object]] = [
            (str, report.asset),
            *((int, count) for count in dict(report.counts).values()),
        ]
    else:
        values = [(one.type, getattr(report, one.name)) for one in fields(report)]
    for kind, value in values:
        if type(value) not in _FORMS.get(kind, (list,)):
            raise TypeError(f"{value!r:.40} is of another form")


def _tell(settings: Settings, reports: Sequence[StageReport | WholeReport], lineage: Lineage) -> int:
    if not reports:
        return 0
    import dagster as dg

    from cortex_assets.engine.assets import stage_metadata

    by_asset = lineage()
    with dg.DagsterInstance.from_config(str(settings.dagster_home)) as instance:
        known = set(instance.get_dynamic_partitions(FILES_SHARDS))
        new = sorted({report.shard for report in reports if isinstance(report, StageReport)} - known)
        if new:
            instance.add_dynamic_partitions(FILES_SHARDS, new)
        for report in reports:
            if isinstance(report, WholeReport):
                event = dg.AssetMaterialization(report.asset, metadata=dict(report.counts))
            else:
                metadata = stage_metadata(report) | dict(by_asset.get(report.stage, {}))
                event = dg.AssetMaterialization(report.stage, metadata=metadata, partition=report.shard)
            instance.report_runless_asset_event(event)
    return len(reports)
