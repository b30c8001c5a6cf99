"""Writes to the tables of a lake: append, overwrite, replace by key, delete, restore; again where another writer came first.

One commit each. Which of a batch's rows are new or changed is told by ``replacing``, how rows lie in files by ``delta_files``;
what rearranges a table without changing its rows is ``lake_layout``'s.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

import polars as pl

from resources import delta_files
from resources.coercion import SchemaMismatch, coerce, empty_frame
from resources.delta_reads import rows_near
from resources.delta_scan import rows_where
from resources.lake_handles import Handles, stored_bytes
from resources.lake_table import Commit, LakeError, RepeatedIds, Table, literal
from resources.replacing import Change, change

log = logging.getLogger(__name__)

COMMIT_ATTEMPTS = 6
OVERWRITTEN_KEYS = 64
"""Up to so many keys or rows are overwritten by a predicate that names them, more are merged."""
SMALL_KEYS_ROWS = 1_000
"""Of so many rows of overwritten keys, those that did not change are written again, too: they stay together."""
_Result = TypeVar("_Result")


class Writes:
    """Writes to the tables that some handles are of."""

    def __init__(
        self, handles: Handles, before_write: Callable[[], None] | None, fences: Callable[[], Sequence[str]] | None
    ) -> None:
        """Bind.

        Args:
            handles: of the lake.
            before_write: called before every write; raises to refuse it.
            fences: names that commits carry; one that would jump over another's of the same name is refused.
        """
        self._handles = handles
        self.before_write = before_write or (lambda: None)
        self._fences = fences or (lambda: ())

    def append(self, table: Table, frame: pl.DataFrame, transaction: tuple[str, int] | None = None) -> Commit:
        """Append rows; with ``transaction`` (app id, number) a number that was already written is skipped.

        Appends never conflict with each other.
        """
        if frame.is_empty():
            return Commit(self._handles.version(table))
        data = self._prepare(table, frame)
        if transaction is not None:
            handle = self._handles.open(table)
            done = None if handle is None else handle.transaction_version(transaction[0])
            if handle is not None and done is not None and done >= transaction[1]:
                return Commit(int(handle.version()))
        if delta_files.is_edited_in_place(table.sort_by) and transaction is None:
            self._retry(table, lambda: self._append_cut(table, data))
        else:
            self._retry(table, lambda: self._write(table, data, "append", None, transaction))
        return Commit(self._handles.version(table), inserted=data.height)

    def overwrite(self, table: Table, frame: pl.DataFrame, predicate: str = "true") -> Commit:
        """Replace the rows that match ``predicate`` by ``frame``. Always with a predicate: a stale handle without one keeps old rows."""
        data = self._prepare(table, frame)
        if self._handles.version(table) < 0:
            return self.append(table, frame)
        self._retry(table, lambda: self._write(table, data, "overwrite", predicate, None))
        return Commit(self._handles.version(table), inserted=data.height)

    def _write(
        self, table: Table, data: pl.DataFrame, mode: Any, predicate: str | None, transaction: tuple[str, int] | None
    ) -> None:
        from deltalake import write_deltalake

        handle = self._handles.to_write(table)
        write_deltalake(
            self._handles.uri(table) if handle is None else handle,
            data,
            mode=mode,
            predicate=predicate,
            partition_by=list(table.partition_by) or None,
            configuration=configuration(table) if handle is None else None,
            storage_options=self._handles.storage_options,
            target_file_size=delta_files.file_bytes(table.sort_by),
            writer_properties=delta_files.writer_properties(table.dtypes),
            commit_properties=self._carried(transaction),
        )
        self._handles.read_through(table, handle)

    def _append_cut(self, table: Table, data: pl.DataFrame) -> None:
        """Append to a table that is edited in place, as files of its size."""
        handle = self._handles.to_write(table)
        if handle is None:
            self._write(table, data.clear(), "append", None, None)
            handle = self._handles.existing(table)
        aim = delta_files.file_bytes(table.sort_by, stored_bytes(handle) + delta_files.likely_bytes(data))
        actions = delta_files.write_files(
            self._handles.uri(table), data, aim, statistics(table), self._handles.storage_options
        )
        carried = self._carried()
        handle.create_write_transaction(
            actions, "append", handle.schema(), list(table.partition_by), commit_properties=carried
        )
        self._handles.read_through(table, handle)

    def replace_keys(
        self, table: Table, shard: str, frame: pl.DataFrame, input_keys: Sequence[str], gone: Sequence[str] = ()
    ) -> Commit:
        """See ``Lakehouse.replace_keys``."""
        (id_column,) = table.key
        data = self._prepare(table, frame)
        if data.get_column(id_column).n_unique() != data.height:
            repeated = data.filter(pl.col(id_column).is_duplicated()).get_column(id_column).unique().sort()
            raise RepeatedIds(
                f"{table.name}: {repeated.len()} ids stand twice in one batch of shard {shard}, such as {repeated[0]}; "
                "the function that made the rows must give distinct ids"
            )
        before = self._handles.version(table)
        if before < 0:
            return self.append(table, frame)
        found = change(self._compared(table, shard, input_keys), data, gone, id_column)
        if found.is_nothing:
            return Commit(before)
        if found.is_repeated or not data.filter(pl.col("shard") != shard).is_empty():
            return self._merge(table, shard, input_keys, found)
        if found.is_addition:
            return self.append(table, found.fresh)
        is_small = data.height <= SMALL_KEYS_ROWS or not found.fresh.height
        if data.height and is_small and found.is_whole and len(input_keys) <= OVERWRITTEN_KEYS:
            return self._overwrite_named(table, shard, {"input_key": input_keys}, data, found)
        ids = [*found.fresh[id_column], *found.leaving]
        if found.fresh.height and len(ids) <= OVERWRITTEN_KEYS:
            named = {"input_key": found.keys, id_column: ids}
            return self._overwrite_named(table, shard, named, found.fresh, found)
        return self._merge(table, shard, input_keys, found)

    def _compared(self, table: Table, shard: str, input_keys: Sequence[str]) -> pl.DataFrame:
        """What rows of some keys are compared by: id, key and hash."""
        types = {name: table.dtypes[name] for name in (*table.key, "input_key", "row_hash")}
        handle = self._handles.snapshot(table)
        if handle is None or not input_keys:
            return pl.DataFrame(schema=types)
        return rows_near(handle, self._handles.storage_options, {"shard": shard}, {"input_key": input_keys}, types)

    def _overwrite_named(
        self, table: Table, shard: str, named: Mapping[str, Sequence[str]], rows: pl.DataFrame, found: Change
    ) -> Commit:
        """Make ``rows`` those with certain values, for half of what a MERGE takes.

        Values of the first column that the table is sorted by are what keeps other files from being read.
        """
        conditions = [
            f"{column} IN ({', '.join(literal(value) for value in values)})" for column, values in named.items()
        ]
        predicate = " AND ".join([f"shard = {literal(shard)}", *conditions])
        self._retry(table, lambda: self._write(table, rows, "overwrite", predicate, None))
        return Commit(self._handles.version(table), found.inserted, found.updated, len(found.leaving))

    def _merge(self, table: Table, shard: str, input_keys: Sequence[str], found: Change) -> Commit:
        (id_column,) = table.key
        gone = empty_frame(table.dtypes).clear(len(found.leaving))
        gone = gone.with_columns(pl.Series(id_column, found.leaving, dtype=pl.String), shard=pl.lit(shard))
        source = pl.concat([found.fresh.with_columns(op=pl.lit("U")), gone.with_columns(op=pl.lit("D"))])
        keys = ", ".join(literal(key) for key in input_keys)
        predicate = f"t.shard = {literal(shard)} AND t.input_key IN ({keys}) AND t.{id_column} = s.{id_column}"
        metrics = self._retry(table, lambda: self._merged(table, source, predicate))
        return Commit(
            self._handles.version(table),
            metrics["num_target_rows_inserted"],
            metrics["num_target_rows_updated"],
            metrics["num_target_rows_deleted"],
        )

    def _merged(self, table: Table, source: pl.DataFrame, predicate: str) -> dict[str, int]:
        columns = {name: f"s.{name}" for name in table.dtypes}
        handle = self._handles.to_write(table) or self._handles.existing(table)
        merger = handle.merge(
            source,
            predicate,
            source_alias="s",
            target_alias="t",
            writer_properties=delta_files.writer_properties(table.dtypes),
            streamed_exec=False,
            commit_properties=self._carried(),
        )
        metrics: dict[str, int] = (
            merger.when_matched_delete("s.op = 'D'")
            .when_matched_update(columns, predicate="s.op = 'U' AND s.row_hash != t.row_hash")
            .when_not_matched_insert(columns, predicate="s.op = 'U'")
            .execute()
        )
        self._handles.read_through(table, handle)
        return metrics

    def delete_where(self, table: Table, column: str, values: Sequence[str], shard: str | None = None) -> Commit:
        """Delete the rows whose ``column`` is one of ``values``; nothing matched makes no commit."""
        if not values or self._handles.version(table) < 0:
            return Commit(self._handles.version(table))
        deleted = 0
        for start in range(0, len(values), 2_000):
            some = ", ".join(literal(value) for value in values[start : start + 2_000])
            predicate = f"{column} IN ({some})" + (f" AND shard = {literal(shard)}" if shard is not None else "")
            deleted += self._retry(table, lambda p=predicate: self._delete(table, p))  # type: ignore[misc]
        return Commit(self._handles.version(table), deleted=deleted)

    def delete_before(self, table: Table, column: str, moment: datetime) -> Commit:
        """Delete the rows whose time is before ``moment`` (aware); nothing matched makes no commit."""
        if self._is_none_before(table, column, moment):
            return Commit(self._handles.version(table))
        predicate = f"{column} < {literal(moment.astimezone(UTC).strftime('%Y-%m-%d %H:%M:%S.%f+00:00'))}"
        deleted = self._retry(table, lambda: self._delete(table, predicate))
        return Commit(self._handles.version(table), deleted=deleted)

    def _is_none_before(self, table: Table, column: str, moment: datetime) -> bool:
        handle = self._handles.snapshot(table)
        if handle is None:
            return True
        rows = rows_where(handle, table.partition_by, table.dtypes, {}, {}, self._handles.is_local)
        return bool(rows.filter(pl.col(column) < moment).select(pl.len()).collect().item() == 0)

    def _delete(self, table: Table, predicate: str) -> int:
        handle = self._handles.to_write(table)
        if handle is None:
            return 0
        deleted = int(handle.delete(predicate, commit_properties=self._carried())["num_deleted_rows"] or 0)
        self._handles.read_through(table, handle)
        return deleted

    def restore(self, table: Table, version: int) -> Commit:
        """Make an older version the latest one (a new commit)."""
        handle = self._handles.open(table)
        if handle is None:
            raise LakeError(f"{table.name} does not exist: nothing to restore")
        self.before_write()
        handle.restore(version)
        return Commit(self._handles.version(table))

    def overwrite_files(self, table: Table, handle: Any, actions: Any, only: Any) -> None:
        """Make files those of some partitions."""
        self.before_write()
        columns, carried = list(table.partition_by), self._carried()
        handle.create_write_transaction(actions, "overwrite", handle.schema(), columns, only, commit_properties=carried)

    def _carried(self, transaction: tuple[str, int] | None = None) -> Any | None:
        """What a commit carries besides rows: the fences, and a transaction of the writer's own; None where that is nothing."""
        from deltalake import CommitProperties, Transaction

        now = int(time.time() * 1000)
        wanted = [(f"lease/{name}", now) for name in self._fences()] + ([transaction] if transaction else [])
        return CommitProperties(app_transactions=[Transaction(*one) for one in wanted]) if wanted else None

    def _prepare(self, table: Table, frame: pl.DataFrame) -> pl.DataFrame:
        try:
            data = coerce(frame, table.dtypes)
        except SchemaMismatch as error:
            raise LakeError(f"{table.name}: {error}") from error
        return data.sort(list(table.sort_by)) if table.sort_by else data

    def _retry(self, table: Table, write: Callable[[], _Result]) -> _Result:
        """Run a write; on a commit conflict do it again on a fresh handle, with back-off."""
        from deltalake.exceptions import CommitFailedError

        for attempt in range(COMMIT_ATTEMPTS):
            self.before_write()
            try:
                return write()
            except CommitFailedError as error:
                if attempt == COMMIT_ATTEMPTS - 1:
                    raise LakeError(
                        f"{table.name}: {COMMIT_ATTEMPTS} commits in a row met another writer; run again when it is done"
                    ) from error
                log.info("%s: commit conflict, attempt %d", table.name, attempt + 1)
                time.sleep(0.05 * 2**attempt)
            except OSError as error:
                raise self._handles.told(error) from None
        raise AssertionError("unreachable")


def configuration(table: Table) -> dict[str, str | None]:
    """Properties that a table is made with."""
    return delta_files.configuration(table.sort_by, statistics(table))


def statistics(table: Table) -> list[str]:
    """Columns whose least and greatest value is kept of each file."""
    return [name for name in table.sort_by or table.key if name not in table.partition_by]
