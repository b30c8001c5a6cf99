"""From an older format of the lake to the current one (``cortex upgrade``), step by step, with a way back.

A step is a line in ``MIGRATIONS``: what it does for people, and a function that does it. It may be killed and done again,
so it changes only what is not yet as it should be. Before the first one a snapshot is taken: a backup in ``data/snapshots``
that links the lake's files, which nobody changes, so it takes no room while they are in the lake. The way back is
``cortex restore data/snapshots/<name> --replace``.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cortex_assets.engine import backup
from cortex_assets.engine.care import TABLES
from cortex_assets.engine.formats import CURRENT, PENDING, check, format_of, record
from cortex_assets.engine.lease import lake_lease
from resources.archive import Archive
from resources.durability import fsync
from resources.lakehouse import Lakehouse
from resources.raw_store import RawStore
from resources.settings import Settings


@dataclass(frozen=True, slots=True)
class Migration:
    """A step.

    Attributes:
        reaches: the format after it.
        what: what it does.
        step: does it, as far as it is still to be done.
    """

    reaches: int
    what: str
    step: Callable[[Lakehouse], None]


def _columns_and_logs(lake: Lakehouse) -> None:
    for table in TABLES:
        lake.bring_up(table)


def _nothing(lake: Lakehouse) -> None:
    """Rows of the format before are rows of this one."""


MIGRATIONS = (
    Migration(
        2,
        "every table gets the columns and the log settings of today, and ops/lake tells the format",
        _columns_and_logs,
    ),
    Migration(3, "a corpus may be in several embedding spaces (its rows stay as they are)", _nothing),
)
"""In order; the last one reaches ``formats.CURRENT``."""


@dataclass(frozen=True, slots=True)
class Upgraded:
    """What an upgrade did, or would do.

    Attributes:
        before: the format that the lake had.
        after: the one it has.
        steps: what was done, in order.
        snapshot: folder of the backup of the lake as it was; None where nothing was to do.
    """

    before: int
    after: int
    steps: tuple[str, ...]
    snapshot: Path | None


def planned(settings: Settings) -> Upgraded:
    """What ``upgrade`` would do.

    Raises:
        NewerLake: the lake is of a newer format.
    """
    before = format_of(settings)
    if before > CURRENT:
        check(settings)
    todo = [migration.what for migration in MIGRATIONS if migration.reaches > before]
    return Upgraded(before, CURRENT, tuple(todo), None)


def upgrade(settings: Settings, lake: Lakehouse, raw: RawStore) -> Upgraded:
    """Migrate the lake to the current format. Cut off at any point, it goes on when called again.

    Args:
        settings: where everything is.
        lake: the tables.
        raw: the stored bytes; they are not part of the snapshot.

    Raises:
        LeaseBusy: a run or maintenance is at work.
        NewerLake: the lake is of a newer format.
    """
    with lake_lease(settings.leases):
        plan = planned(settings)
        if not plan.steps:
            _pending(settings).unlink(missing_ok=True)
            return plan
        snapshot = _snapshot(settings, lake, raw, plan.before)
        for migration in MIGRATIONS:
            if migration.reaches > plan.before:
                migration.step(lake)
                record(lake, migration.reaches, datetime.now(UTC), snapshot.name)
        _pending(settings).unlink()
    return Upgraded(plan.before, CURRENT, plan.steps, snapshot)


def _snapshot(settings: Settings, lake: Lakehouse, raw: RawStore, before: int) -> Path:
    """Back the lake up as it was before the first step: an upgrade that was cut off has done that already."""
    begun = _begun(settings)
    if begun is not None:
        return begun
    name = f"format-{before}-{datetime.now(UTC):%Y%m%dT%H%M%S}"
    folder = settings.data_dir / "snapshots" / name
    wanted = backup.Wanted(frozenset({backup.REST}), is_linked=True)
    backup.write(lake, raw, settings, Archive(folder), wanted, before)
    fresh = _pending(settings).with_suffix(".new")
    fresh.write_text(json.dumps({"snapshot": name}), encoding="ascii")
    fsync(fresh)
    fresh.replace(_pending(settings))
    fsync(folder.parent)
    return folder


def _begun(settings: Settings) -> Path | None:
    """The snapshot of an upgrade that was cut off."""
    if not _pending(settings).is_file():
        return None
    return settings.data_dir / "snapshots" / str(json.loads(_pending(settings).read_bytes())["snapshot"])


def _pending(settings: Settings) -> Path:
    return settings.data_dir / "snapshots" / PENDING
