"""Handles of a lake's tables: opened anew, kept for reading, or taken for one write; and how a table stands, cheaply.

Every handle of ``deltalake`` is made here. What is read by one is ``lakehouse``'s, what is written by one ``lake_writing``'s.
"""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from resources.bucket import Bucket
from resources.bucket_log import BucketLog
from resources.lake_table import LakeError, Table
from resources.snapshots import Snapshots, Stamp, latest_stamp, latest_version

log = logging.getLogger(__name__)

REOPENINGS = 3
"""So often a table is opened again whose checkpoint went away meanwhile."""


class Handles:
    """Handles of the tables below one root (a folder or an object-store URI)."""

    def __init__(self, root: str, storage_options: dict[str, str] | None, at: Mapping[str, int]) -> None:
        """Open nothing yet.

        Args:
            root: folder or URI.
            storage_options: credentials and endpoint of an object store.
            at: table name to the version that ``snapshot`` gives; -1 = the table was not there yet.
        """
        self.root, self.storage_options = root, storage_options
        self.is_local = "://" not in root
        self._at = dict(at)
        self._fixed: dict[str, Any | None] = {}
        self._log = self._log_of_root()
        self._snapshots = Snapshots(self._log)

    def uri(self, table: Table) -> str:
        """Where a table lives."""
        return f"{self.root.rstrip('/')}/{table.name}"

    def open(self, table: Table, version: int | None = None) -> Any | None:
        """A fresh ``deltalake.DeltaTable`` handle, or None where the table does not exist yet."""
        if version is None and self._is_absent_locally(table):
            return None
        from deltalake.exceptions import DeltaError

        for _ in range(REOPENINGS if version is None else 0):
            try:
                return self._opened(table, None)
            except DeltaError as error:
                if not _is_of_a_checkpoint(error):
                    raise
                log.info("%s: a checkpoint went away while the table was opened; again", table.name)
        return self._opened(table, version)

    def _opened(self, table: Table, version: int | None) -> Any | None:
        from deltalake import DeltaTable
        from deltalake.exceptions import TableNotFoundError

        try:
            return DeltaTable(self.uri(table), version=version, storage_options=self.storage_options)
        except TableNotFoundError:
            return None
        except OSError as error:
            raise self.told(error) from None

    def existing(self, table: Table) -> Any:
        """``open`` for a table that was there just now."""
        handle = self.open(table)
        if handle is None:
            raise LakeError(f"{table.name} vanished while it was written; run again")
        return handle

    def to_write(self, table: Table) -> Any | None:
        """A handle of the latest version to write by, or None where there is no table; readers get another one meanwhile."""
        if self._log is None:
            return grown(table, self.open(table))
        return grown(table, self._snapshots.take(self._place(table), lambda: self.open(table)))

    def snapshot(self, table: Table) -> Any | None:
        """A handle for reading only, shared between callers while the table stays as it is; see ``open``."""
        if table.name in self._at:
            if table.name not in self._fixed:
                version = self._at[table.name]
                self._fixed[table.name] = None if version < 0 else self.open(table, version)
            return self._fixed[table.name]
        if self._log is None:
            return self.open(table)
        return self._snapshots.get(self._place(table), lambda: self.open(table))

    def read_through(self, table: Table, written: Any | None) -> None:
        """Read from now on by the handle of a write, which knows what it committed; no later write takes it."""
        if written is not None and self._log is not None:
            self._snapshots.put(self._place(table), written)

    def version(self, table: Table) -> int:
        """Latest version of a table, -1 where it does not exist. Local tables are answered by listing their log."""
        if self.is_local:
            return latest_version(Path(self.uri(table)))
        if self._log is not None:
            stamp = self._log(self._place(table))
            return -1 if stamp is None else int(stamp[0][:20])
        handle = self.open(table)
        return -1 if handle is None else int(handle.version())

    def stamp(self, table: Table) -> tuple[object, ...]:
        """What changes with every commit to a table, also where it was deleted and made anew; cheap for local tables."""
        if self._log is None:
            return (self.version(table),)
        return self._log(self._place(table)) or ()

    def told(self, error: OSError) -> Exception:
        """An object store's error in our words; one of a folder is what it is."""
        if self.is_local:
            return error
        return Bucket(self.root, tuple((self.storage_options or {}).items())).explained(error)

    def _log_of_root(self) -> Callable[[Path], Stamp | None] | None:
        """What tells cheaply how a table stands; None where nothing does."""
        if self.root.startswith("s3://"):
            return BucketLog(Bucket(self.root.rstrip("/"), tuple((self.storage_options or {}).items()))).stamp
        return latest_stamp if self.is_local else None

    def _place(self, table: Table) -> Path:
        """Where ``_log`` finds a table."""
        return Path(self.uri(table)) if self.is_local else Path(table.name)

    def _is_absent_locally(self, table: Table) -> bool:
        return self.is_local and not (Path(self.uri(table)) / "_delta_log").is_dir()


def _is_of_a_checkpoint(error: Exception) -> bool:
    """Whether a checkpoint that the log named was gone: care had written a newer one and removed it in between."""
    told = str(error)
    return ".checkpoint" in told and "not found" in told


def grown(table: Table, handle: Any | None) -> Any | None:
    """The handle of a table that has every declared column: those of a later declaration are added to it, as nulls."""
    if handle is None:
        return None
    present = {field.name for field in handle.schema().fields}
    lacking = {name: dtype for name, dtype in table.dtypes.items() if name not in present}
    if lacking:
        from deltalake import Schema

        added = Schema.from_arrow(pl.Schema(lacking))
        handle.alter.add_columns(list(added.fields))
        log.info("%s: columns added: %s", table.name, ", ".join(lacking))
    return handle


def set_properties(handle: Any, wanted: Mapping[str, str]) -> None:
    """Set what differs in a table's properties; nothing makes no commit."""
    present = handle.metadata().configuration
    changed = {name: value for name, value in wanted.items() if present.get(name) != value}
    if changed:
        handle.alter.set_table_properties(changed)


def stored_bytes(handle: Any) -> int:
    """Bytes of a table's files."""
    return int(pl.DataFrame(handle.get_add_actions(flatten=True)).get_column("size_bytes").sum())
