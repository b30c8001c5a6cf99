"""The lake: Delta tables on disk or in an object store, one door to reading them, writing them and caring for them.

Generic over a table specification given as argument (structurally typed, see ``lake_table``); knows no room and no Dagster.
What rows mean belongs to the rooms; who may write when belongs to ``engine`` (leases). Reading is here; how the rest is
done, in ``lake_handles`` (opening), ``lake_writing``, ``lake_layout`` and ``lake_care``. Measured facts behind the choices:
a literal shard and literal input keys in the MERGE predicate keep concurrent writers of other shards from conflicting and
prune files; concurrent OPTIMIZE corrupts a table silently, so ``optimize`` and ``vacuum`` demand an exclusive lock.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from resources import lake_care, lake_layout
from resources.coercion import empty_frame
from resources.delta_reads import rows_near, rows_of, rows_picked
from resources.delta_scan import rows_where
from resources.lake_handles import Handles
from resources.lake_table import Commit, LakeError, LakeFull, RepeatedIds, Table, literal
from resources.lake_writing import Writes
from resources.narrow import KEPT_ROWS, NarrowColumns

__all__ = ["Commit", "LakeError", "LakeFull", "Lakehouse", "RepeatedIds", "Table", "literal"]


class Lakehouse:
    """The lake: tables below one root (a folder or an object-store URI)."""

    def __init__(
        self,
        root: str | Path,
        *,
        storage_options: Mapping[str, str] | None = None,
        before_write: Callable[[], None] | None = None,
        maintenance_lock: Callable[[], AbstractContextManager[object]] | None = None,
        at: Mapping[str, int] | None = None,
        fences: Callable[[], Sequence[str]] | None = None,
    ) -> None:
        """Bind the lake to a root.

        Args:
            root: folder or URI.
            storage_options: credentials and endpoint of an object store.
            before_write: called before every write; raises to refuse it (free-space guard, kill points of tests).
            maintenance_lock: exclusive lock taken around optimize and vacuum; without one they refuse to run.
            at: table name to the version that is read whatever is committed later; -1 = the table was not there yet.
            fences: names that commits carry; one that would jump over another's of the same name is refused (leases).
        """
        self.root = str(root)
        self.storage_options = dict(storage_options) if storage_options else None
        self._handles = Handles(self.root, self.storage_options, at or {})
        self._writes = Writes(self._handles, before_write, fences)
        self._maintenance_lock = maintenance_lock
        self._narrow = NarrowColumns()

    # -- as it stands ----------------------------------------------------------------------------------------------

    def uri(self, table: Table) -> str:
        """Where a table lives."""
        return self._handles.uri(table)

    def open(self, table: Table, version: int | None = None) -> Any | None:
        """A fresh ``deltalake.DeltaTable`` handle, or None where the table does not exist yet."""
        return self._handles.open(table, version)

    def version(self, table: Table) -> int:
        """Latest version of a table, -1 where it does not exist. Local tables are answered by listing their log."""
        return self._handles.version(table)

    def stamp(self, table: Table) -> tuple[object, ...]:
        """What changes with every commit to a table, also where it was deleted and made anew; cheap for local tables."""
        return self._handles.stamp(table)

    def version_at(self, table: Table, when: datetime) -> int:
        """The last version committed at or before ``when`` (aware datetime)."""
        handle = self.open(table)
        if handle is None:
            raise LakeError(f"{table.name} does not exist")
        handle.load_as_version(when)
        return int(handle.version())

    def rows(self, table: Table) -> int:
        """How many rows a table has, by its log."""
        handle = self._handles.snapshot(table)
        return 0 if handle is None else int(handle.count())

    def rows_at(self, table: Table, version: int) -> int | None:
        """How many rows a version had, by the log; None where that version is not kept any more."""
        if version < 0:
            return 0
        from deltalake.exceptions import DeltaError

        try:
            handle = self.open(table, version)
        except DeltaError:
            return None
        return None if handle is None else int(handle.count())

    def file_count(self, table: Table, column: str, value: str) -> int:
        """In how many files a partition lies."""
        handle = self._handles.snapshot(table)
        return 0 if handle is None else len(handle.file_uris(file_pruning_predicate=[(column, "=", value)]))

    def files(self, table: Table, where: Mapping[str, str]) -> frozenset[str]:
        """URIs of a partition's data files, none of which ever changes; see ``scan_data``."""
        handle = self._handles.snapshot(table)
        if handle is None:
            return frozenset()
        return frozenset(handle.file_uris(file_pruning_predicate=[(k, "=", v) for k, v in where.items()]))

    def data_files(self, table: Table, version: int) -> list[Path]:
        """Data files of a version of a local table, none of which ever changes."""
        handle = self.open(table, version)
        return [] if handle is None else [Path(uri.removeprefix("file://")) for uri in handle.file_uris()]

    def partition_token(self, table: Table, column: str, values: Sequence[str]) -> str:
        """A short text that changes whenever the rows of some partitions do, and with no other partition's commits."""
        handle = self._handles.snapshot(table)
        if handle is None:
            return "none"
        files = handle.file_uris(file_pruning_predicate=[(column, "in", list(values))])
        return hashlib.blake2b("\n".join(sorted(files)).encode(), digest_size=8).hexdigest()

    def history(self, table: Table, limit: int = 20) -> list[dict[str, Any]]:
        """Latest commits of a table, newest first."""
        handle = self._handles.snapshot(table)
        return [] if handle is None else list(handle.history(limit))

    # -- reading ---------------------------------------------------------------------------------------------------

    def scan(
        self,
        table: Table,
        *,
        where: Mapping[str, str] | None = None,
        keys: Mapping[str, Sequence[str]] | None = None,
        version: int | None = None,
    ) -> pl.LazyFrame:
        """Lazily read a table with file pruning.

        Args:
            table: what to read; a table that does not exist yet reads as an empty frame of its schema.
            where: column to literal (partition columns prune whole folders).
            keys: column to literal values (file statistics prune files).
            version: time travel; None reads the latest.

        Returns:
            LazyFrame with the declared columns in declared order.
        """
        handle = self._handles.snapshot(table) if version is None else self.open(table, version)
        if handle is None or any(not values for values in (keys or {}).values()):
            return empty_frame(table.dtypes).lazy()
        return rows_where(handle, table.partition_by, table.dtypes, where or {}, keys or {}, self._handles.is_local)

    def scan_data(self, table: Table, files: Iterable[str], columns: Sequence[str]) -> pl.LazyFrame:
        """Columns, none of them a partition's, of some data files that ``files`` named."""
        types = {name: table.dtypes[name] for name in columns}
        named = sorted(files)
        return rows_of(named, self.storage_options, types) if named else pl.LazyFrame(schema=types)

    def scan_narrow(
        self,
        table: Table,
        columns: Sequence[str],
        where: Mapping[str, str] | None = None,
        is_lasting: bool = False,
    ) -> pl.LazyFrame:
        """Some columns of a table, kept in memory where the table is local and small: see ``narrow``.

        Args:
            table: what to read; a table that does not exist yet reads as an empty frame.
            columns: none of them wide; each set of columns of a table is kept apart.
            where: partition column to literal.
            is_lasting: whether they may be kept on disk, too (``keep_columns_in``): nothing that tells of a content.
        """
        handle = self._handles.snapshot(table)
        if handle is None or not self._handles.is_local or handle.count() > KEPT_ROWS:
            self._narrow.forget(table.name)
            return self.scan(table, where=where).select(columns)
        dtypes = {name: table.dtypes[name] for name in columns}
        frame = self._narrow.rows(table.name, dtypes, table.partition_by, handle, is_lasting).lazy()
        for column, value in (where or {}).items():
            frame = frame.filter(pl.col(column) == value)
        return frame

    def keep_columns_in(self, folder: Path) -> None:
        """Take narrow columns that last from a folder of the cache, as far as their files are what they were."""
        self._narrow.keep_in(folder)

    def save_columns(self) -> None:
        """Leave the narrow columns that were read to the next process, where they are worth it."""
        self._narrow.save()

    def near(
        self, table: Table, where: Mapping[str, str], keys: Mapping[str, Sequence[str]], columns: Sequence[str]
    ) -> pl.DataFrame:
        """``columns`` of the rows with certain values in columns that the table is sorted by (``rows_near``).

        Args:
            table: what to read; one that does not exist yet has no rows.
            where: partition column to literal.
            keys: column to the values wanted; a row has one of them in each.
            columns: returned.
        """
        types = {name: table.dtypes[name] for name in columns}
        handle = self._handles.snapshot(table)
        if handle is None or not all(keys.values()):
            return pl.DataFrame(schema=types)
        return rows_near(handle, self.storage_options, where, keys, types)

    def pick(
        self, table: Table, where: Mapping[str, str], column: str, values: Sequence[str], columns: Sequence[str]
    ) -> pl.DataFrame:
        """``near`` where statistics cannot tell the files, such as of hashes, and rows are wide (``rows_picked``).

        No partition column is returned.
        """
        types = {name: table.dtypes[name] for name in columns}
        handle = self._handles.snapshot(table)
        if handle is None or not values:
            return pl.DataFrame(schema=types)
        return rows_picked(handle, self.storage_options, where, column, values, types)

    # -- writing: lake_writing -------------------------------------------------------------------------------------

    def append(self, table: Table, frame: pl.DataFrame, transaction: tuple[str, int] | None = None) -> Commit:
        """Append rows; with ``transaction`` (app id, number) a number that was already written is skipped.

        Appends never conflict with each other.
        """
        return self._writes.append(table, frame, transaction)

    def overwrite(self, table: Table, frame: pl.DataFrame, predicate: str = "true") -> Commit:
        """Replace the rows that match ``predicate`` by ``frame``. Always with a predicate: a stale handle without one keeps old rows."""
        return self._writes.overwrite(table, frame, predicate)

    def replace_keys(
        self, table: Table, shard: str, frame: pl.DataFrame, input_keys: Sequence[str], gone: Sequence[str] = ()
    ) -> Commit:
        """Make ``frame`` the rows of ``input_keys`` in a shard, in one commit: what differs, appended, overwritten or merged.

        Args:
            table: a sharded table with a one-column key, ``input_key`` and ``row_hash``.
            shard: the literal partition.
            frame: rows that the keys have now.
            input_keys: every key that may have rows in ``frame`` or ``gone``.
            gone: ids that the keys had and do not have any more.

        Returns:
            Commit; unchanged input makes no commit.

        Raises:
            RepeatedIds: ``frame`` holds an id twice.
        """
        return self._writes.replace_keys(table, shard, frame, input_keys, gone)

    def delete_where(self, table: Table, column: str, values: Sequence[str], shard: str | None = None) -> Commit:
        """Delete the rows whose ``column`` is one of ``values``; nothing matched makes no commit."""
        return self._writes.delete_where(table, column, values, shard)

    def delete_before(self, table: Table, column: str, moment: datetime) -> Commit:
        """Delete the rows whose time is before ``moment`` (aware); nothing matched makes no commit."""
        return self._writes.delete_before(table, column, moment)

    def restore(self, table: Table, version: int) -> Commit:
        """Make an older version the latest one (a new commit)."""
        return self._writes.restore(table, version)

    # -- how rows lie: lake_layout ---------------------------------------------------------------------------------

    def optimize(self, table: Table) -> dict[str, Any]:
        """Compact small files under the exclusive maintenance lock; the table is opened after the lock is taken.

        A shard of a table sorted by input key is written anew, sorted, when its files are many or large or their keys
        overlap: compacting joins files that are not neighbours, and then a literal key prunes few of them. The lock is let
        go between shards.
        """
        return lake_layout.optimize(self._handles, self._writes, lambda: self._exclusive(table), table)

    def scattered(self, table: Table) -> list[str]:
        """Shards that ``optimize`` would write anew; none of a table that is only appended to."""
        return lake_layout.scattered(self._handles, table)

    def rearrange(
        self, table: Table, shards: Sequence[str], columns: Sequence[str], placed: Callable[[pl.DataFrame], pl.Series]
    ) -> int:
        """Move rows of some shards between them, in one commit; rows that are where they belong make none.

        The caller sees to it that nobody writes the table. Blocks of rows are in memory, never the table.

        Args:
            table: a sharded table.
            shards: those that rows come from and go to; no other is touched.
            columns: what ``placed`` needs to see, none of them wide.
            placed: the shard of each row.

        Returns:
            How many rows were in another shard than theirs.
        """
        return lake_layout.rearrange(self._handles, self._writes, table, shards, columns, placed)

    # -- care: lake_care -------------------------------------------------------------------------------------------

    def vacuum(self, table: Table, retention: timedelta) -> list[str]:
        """Delete files that no version within ``retention`` names, and clean the log, under the exclusive lock.

        Delta counts whole hours: what is begun counts whole, so that nothing inside the retention goes. Below an hour
        the versions inside it are named to it.
        """
        with self._exclusive(table):
            return lake_care.vacuum(self._handles, table, retention)

    def sweep_strays(self, table: Table, older_than: timedelta) -> list[str]:
        """Delete data files that no version ever named, which killed writers leave, under the exclusive lock."""
        with self._exclusive(table):
            return lake_care.sweep_strays(self._handles, table, older_than)

    def would_go(self, table: Table, retention: timedelta, strays_older_than: timedelta) -> list[Path]:
        """Files that ``vacuum`` and ``sweep_strays`` would delete of a table, as it is now; its log's old commits apart.

        Those of an object store are relative to the table.
        """
        return lake_care.would_go(self._handles, table, retention, strays_older_than)

    def bring_up(self, table: Table) -> bool:
        """Give a table the columns and properties that it would be made with today; whether it lacked any."""
        return lake_care.bring_up(self._handles, table)

    def _exclusive(self, table: Table) -> AbstractContextManager[object]:
        if self._maintenance_lock is None:
            raise LakeError(
                f"{table.name}: maintenance without a lock is refused; two OPTIMIZEs at once corrupt a table"
            )
        return self._maintenance_lock()
