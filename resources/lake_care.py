"""Care of a table: what no version needs any more is deleted, and a table of an earlier declaration is brought up to date.

Whoever calls holds the lake's maintenance lock where files go. How rows lie is ``lake_layout``'s, which rows go ``lake_writing``'s.
"""

import math
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from resources import delta_files
from resources.delta_log import has_checkpoint, spare_checkpoints
from resources.lake_handles import Handles, grown, set_properties
from resources.lake_table import Table
from resources.lake_writing import configuration


def vacuum(handles: Handles, table: Table, retention: timedelta) -> list[str]:
    """Delete files that no version within ``retention`` names, and clean the log; the caller holds the exclusive lock.

    Delta counts whole hours: what is begun counts whole, so that nothing inside the retention goes. Below an hour
    the versions inside it are named to it.
    """
    handle = handles.open(table)
    if handle is None:
        return []
    set_properties(handle, delta_files.log_properties(retention))
    removed = _vacuumed(handle, retention, is_dry_run=False)
    if not handles.is_local or not has_checkpoint(Path(handles.uri(table)), int(handle.version())):
        handle.create_checkpoint()
    handle.cleanup_metadata()
    for path in _spare_checkpoints(handles, table):
        path.unlink(missing_ok=True)
    return removed


def sweep_strays(handles: Handles, table: Table, older_than: timedelta) -> list[str]:
    """Delete data files that no version ever named, which killed writers leave; the caller holds the exclusive lock."""
    handle = handles.open(table)
    if handle is None:
        return []
    hours = _hours(older_than)
    return list(handle.vacuum(hours, dry_run=False, enforce_retention_duration=False, full=True))


def would_go(handles: Handles, table: Table, retention: timedelta, strays_older_than: timedelta) -> list[Path]:
    """Files that ``vacuum`` and ``sweep_strays`` would delete of a table, as it is now; its log's old commits apart.

    Those of an object store are relative to the table.
    """
    handle = handles.open(table)
    if handle is None:
        return []
    folder = Path(handles.uri(table)) if handles.is_local else Path()
    named = set(_vacuumed(handle, retention, is_dry_run=True))
    hours = _hours(max(retention, strays_older_than))
    named |= set(handle.vacuum(hours, dry_run=True, enforce_retention_duration=False, full=True))
    return [folder / name for name in sorted(named)] + _spare_checkpoints(handles, table)


def bring_up(handles: Handles, table: Table) -> bool:
    """Give a table the columns and properties that it would be made with today; whether it lacked any."""
    before = handles.version(table)
    handle = grown(table, handles.open(table))
    if handle is not None:
        set_properties(handle, {k: v for k, v in configuration(table).items() if v is not None})
    return handles.version(table) != before


def _vacuumed(handle: Any, retention: timedelta, is_dry_run: bool) -> list[str]:
    kept: list[int] = []
    hours = _hours(retention)
    if timedelta(0) < retention < timedelta(hours=1):
        hours, kept = 0, _versions_within(handle, datetime.now(UTC) - retention)
    return list(handle.vacuum(hours, dry_run=is_dry_run, enforce_retention_duration=False, keep_versions=kept or None))


def _spare_checkpoints(handles: Handles, table: Table) -> list[Path]:
    return spare_checkpoints(Path(handles.uri(table))) if handles.is_local else []


def _hours(retention: timedelta) -> int:
    """Whole hours, as Delta counts: what is begun counts whole."""
    return max(0, math.ceil(retention.total_seconds() / 3600))


def _versions_within(handle: Any, oldest: datetime) -> list[int]:
    """Versions that could be read since ``oldest``: those committed since then, and the one before them."""
    found: list[int] = []
    for commit in handle.history():  # the latest first
        found.append(int(commit["version"]))
        if datetime.fromtimestamp(commit["timestamp"] / 1000, UTC) < oldest:
            break
    return found
