"""Delta tables on disk or in an object store: scan, append, replace by key, restore, and care.

Generic over a table specification given as argument (structurally typed, see ``Table``); knows no room and no Dagster.
What rows mean belongs to the rooms; who may write when belongs to ``engine`` (leases). Measured facts behind the choices:
a literal shard and literal input keys in the MERGE predicate keep concurrent writers of other shards from conflicting and
prune files; concurrent OPTIMIZE corrupts a table silently, so ``optimize`` and ``vacuum`` demand an exclusive lock.
"""

import hashlib
import logging
import math
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol, TypeVar

import polars as pl

from resources import delta_files
from resources.bucket import Bucket
from resources.bucket_log import BucketLog
from resources.coercion import SchemaMismatch, coerce, empty_frame
from resources.delta_log import has_checkpoint, spare_checkpoints
from resources.delta_reads import rows_near, rows_of, rows_picked
from resources.delta_scan import scan_files, with_columns_of
from resources.narrow import KEPT_ROWS, NarrowColumns
from resources.replacing import Change, change
from resources.snapshots import Snapshots, Stamp, latest_stamp, latest_version

log = logging.getLogger(__name__)

COMMIT_ATTEMPTS = 6
OVERWRITTEN_KEYS = 64
"""Up to so many keys or rows are overwritten by a predicate that names them, more are merged."""
SMALL_KEYS_ROWS = 1_000
"""Of so many rows of overwritten keys, those that did not change are written again, too: they stay together."""
LAYOUT_BYTES = 32 * 1024 * 1024
"""Compressed bytes of a shard that are held in memory while it is laid out anew."""
_LITERAL = re.compile(r"^[\w .@:+=-]*$")
_Result = TypeVar("_Result")


class Table(Protocol):
    """What the lakehouse needs to know of a table (``cortex_assets.tables.TableSpec`` has it)."""

    @property
    def name(self) -> str:
        """Path below the root, such as ``bronze/documents``."""
        ...

    @property
    def key(self) -> tuple[str, ...]:
        """Columns that identify a row."""
        ...

    @property
    def partition_by(self) -> tuple[str, ...]:
        """Delta partition columns."""
        ...

    @property
    def sort_by(self) -> tuple[str, ...]:
        """Order of rows inside files."""
        ...

    @property
    def dtypes(self) -> dict[str, pl.DataType]:
        """Column name to dtype."""
        ...


class LakeError(Exception):
    """The lake cannot do what was asked; the message names table, reason and remedy."""


class RepeatedIds(LakeError):
    """A batch holds one id twice; delta-rs would insert both rows without a word, so the batch is refused."""


class LakeFull(LakeError):
    """Free space is below the limit; nothing was written."""


@dataclass(frozen=True, slots=True)
class Commit:
    """What a write did: the version after it (unchanged where nothing was written) and row counts."""

    version: int
    inserted: int = 0
    updated: int = 0
    deleted: int = 0


def literal(value: str) -> str:
    """Quote a string for a Delta predicate; only ids, shard names and the like are allowed, never free text."""
    if not _LITERAL.match(value):
        raise LakeError(
            f"value {value[:60]!r} cannot stand in a table predicate: only word characters, space and .@:+=- may"
        )
    return f"'{value}'"


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
        self._before_write = before_write or (lambda: None)
        self._maintenance_lock = maintenance_lock
        self._fences = fences or (lambda: ())
        self._at = dict(at or {})
        self._fixed: dict[str, Any | None] = {}
        self._log = self._log_of_root()
        self._snapshots = Snapshots(self._log)
        self._narrow = NarrowColumns()

    # -- reading ---------------------------------------------------------------------------------------------------

    def uri(self, table: Table) -> str:
        """Where a table lives."""
        return f"{self.root.rstrip('/')}/{table.name}"

    def open(self, table: Table, version: int | None = None) -> Any | None:
        """A fresh ``deltalake.DeltaTable`` handle, or None where the table does not exist yet."""
        if version is None and self._is_absent_locally(table):
            return None
        from deltalake import DeltaTable
        from deltalake.exceptions import TableNotFoundError

        try:
            return DeltaTable(self.uri(table), version=version, storage_options=self.storage_options)
        except TableNotFoundError:
            return None
        except OSError as error:
            raise self._told(error) from None

    def _existing(self, table: Table) -> Any:
        handle = self.open(table)
        if handle is None:
            raise LakeError(f"{table.name} vanished while it was written; run again")
        return handle

    def _to_write(self, table: Table) -> Any | None:
        """A handle of the latest version to write by, or None where there is no table; readers get another one meanwhile."""
        if self._log is None:
            return _grown(table, self.open(table))
        return _grown(table, self._snapshots.take(self._place(table), lambda: self.open(table)))

    def _log_of_root(self) -> Callable[[Path], Stamp | None] | None:
        """What tells cheaply how a table stands; None where nothing does."""
        if self.root.startswith("s3://"):
            return BucketLog(Bucket(self.root.rstrip("/"), tuple((self.storage_options or {}).items()))).stamp
        return None if "://" in self.root else latest_stamp

    def _place(self, table: Table) -> Path:
        """Where ``_log`` finds a table."""
        return Path(self.uri(table)) if "://" not in self.root else Path(table.name)

    def _is_absent_locally(self, table: Table) -> bool:
        return "://" not in self.root and not (Path(self.uri(table)) / "_delta_log").is_dir()

    def version(self, table: Table) -> int:
        """Latest version of a table, -1 where it does not exist. Local tables are answered by listing their log."""
        if "://" not in self.root:
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

    def _snapshot(self, table: Table) -> Any | None:
        """A handle for reading only, shared between callers while the table stays as it is; see ``open``."""
        if table.name in self._at:
            if table.name not in self._fixed:
                version = self._at[table.name]
                self._fixed[table.name] = None if version < 0 else self.open(table, version)
            return self._fixed[table.name]
        if self._log is None:
            return self.open(table)
        return self._snapshots.get(self._place(table), lambda: self.open(table))

    def rows(self, table: Table) -> int:
        """How many rows a table has, by its log."""
        handle = self._snapshot(table)
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

    def files(self, table: Table, where: Mapping[str, str]) -> frozenset[str]:
        """URIs of a partition's data files, none of which ever changes; see ``scan_data``."""
        handle = self._snapshot(table)
        if handle is None:
            return frozenset()
        return frozenset(handle.file_uris(file_pruning_predicate=[(k, "=", v) for k, v in where.items()]))

    def scan_data(self, table: Table, files: Iterable[str], columns: Sequence[str]) -> pl.LazyFrame:
        """Columns, none of them a partition's, of some data files that ``files`` named."""
        types = {name: table.dtypes[name] for name in columns}
        named = sorted(files)
        return rows_of(named, self.storage_options, types) if named else pl.LazyFrame(schema=types)

    def file_count(self, table: Table, column: str, value: str) -> int:
        """In how many files a partition lies."""
        handle = self._snapshot(table)
        return 0 if handle is None else len(handle.file_uris(file_pruning_predicate=[(column, "=", value)]))

    def partition_token(self, table: Table, column: str, values: Sequence[str]) -> str:
        """A short text that changes whenever the rows of some partitions do, and with no other partition's commits."""
        handle = self._snapshot(table)
        if handle is None:
            return "none"
        files = handle.file_uris(file_pruning_predicate=[(column, "in", list(values))])
        return hashlib.blake2b("\n".join(sorted(files)).encode(), digest_size=8).hexdigest()

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
        handle = self._snapshot(table) if version is None else self.open(table, version)
        if handle is None:
            return empty_frame(table.dtypes).lazy()
        if any(not values for values in (keys or {}).values()):
            return empty_frame(table.dtypes).lazy()
        is_local = "://" not in self.root
        if is_local:
            frame = scan_files(handle, table.partition_by, where or {}, keys or {}, table.dtypes)
        else:
            frame = with_columns_of(pl.scan_delta(handle), table.dtypes)
        for column, value in (where or {}).items():
            frame = frame.filter(pl.col(column) == value)
        for column, values in (keys or {}).items():
            frame = frame.filter(pl.col(column).is_between(pl.lit(min(values)), pl.lit(max(values))))
            frame = frame.filter(pl.col(column).is_in(list(values)))
        return frame.select(pl.col(name).cast(dtype) for name, dtype in table.dtypes.items())

    def keep_columns_in(self, folder: Path) -> None:
        """Take narrow columns that last from a folder of the cache, as far as their files are what they were."""
        self._narrow.keep_in(folder)

    def save_columns(self) -> None:
        """Leave the narrow columns that were read to the next process, where they are worth it."""
        self._narrow.save()

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
        handle = self._snapshot(table)
        if handle is None or "://" in self.root or handle.count() > KEPT_ROWS:
            self._narrow.forget(table.name)
            return self.scan(table, where=where).select(columns)
        dtypes = {name: table.dtypes[name] for name in columns}
        frame = self._narrow.rows(table.name, dtypes, table.partition_by, handle, is_lasting).lazy()
        for column, value in (where or {}).items():
            frame = frame.filter(pl.col(column) == value)
        return frame

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
        handle = self._snapshot(table)
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
        handle = self._snapshot(table)
        if handle is None or not values:
            return pl.DataFrame(schema=types)
        return rows_picked(handle, self.storage_options, where, column, values, types)

    def data_files(self, table: Table, version: int) -> list[Path]:
        """Data files of a version of a local table, none of which ever changes."""
        handle = self.open(table, version)
        return [] if handle is None else [Path(uri.removeprefix("file://")) for uri in handle.file_uris()]

    def history(self, table: Table, limit: int = 20) -> list[dict[str, Any]]:
        """Latest commits of a table, newest first."""
        handle = self._snapshot(table)
        return [] if handle is None else list(handle.history(limit))

    # -- writing ---------------------------------------------------------------------------------------------------

    def append(self, table: Table, frame: pl.DataFrame, transaction: tuple[str, int] | None = None) -> Commit:
        """Append rows; with ``transaction`` (app id, number) a number that was already written is skipped.

        Appends never conflict with each other.
        """
        if frame.is_empty():
            return Commit(self.version(table))
        data = self._prepare(table, frame)
        if transaction is not None:
            handle = self.open(table)
            done = None if handle is None else handle.transaction_version(transaction[0])
            if handle is not None and done is not None and done >= transaction[1]:
                return Commit(int(handle.version()))
        if delta_files.is_edited_in_place(table.sort_by) and transaction is None:
            self._retry(table, lambda: self._append_cut(table, data))
        else:
            self._retry(table, lambda: self._write(table, data, "append", None, transaction))
        return Commit(self.version(table), inserted=data.height)

    def overwrite(self, table: Table, frame: pl.DataFrame, predicate: str = "true") -> Commit:
        """Replace the rows that match ``predicate`` by ``frame``. Always with a predicate: a stale handle without one keeps old rows."""
        data = self._prepare(table, frame)
        if self.version(table) < 0:
            return self.append(table, frame)
        self._retry(table, lambda: self._write(table, data, "overwrite", predicate, None))
        return Commit(self.version(table), inserted=data.height)

    def _write(
        self, table: Table, data: pl.DataFrame, mode: Any, predicate: str | None, transaction: tuple[str, int] | None
    ) -> None:
        from deltalake import write_deltalake

        handle = self._to_write(table)
        write_deltalake(
            self.uri(table) if handle is None else handle,
            data,
            mode=mode,
            predicate=predicate,
            partition_by=list(table.partition_by) or None,
            configuration=self._configuration(table) if handle is None else None,
            storage_options=self.storage_options,
            target_file_size=delta_files.file_bytes(table.sort_by),
            writer_properties=delta_files.writer_properties(table.dtypes),
            commit_properties=self._carried(transaction),
        )
        self._read_through(table, handle)

    def _append_cut(self, table: Table, data: pl.DataFrame) -> None:
        """Append to a table that is edited in place, as files of its size."""
        handle = self._to_write(table)
        if handle is None:
            self._write(table, data.clear(), "append", None, None)
            handle = self._existing(table)
        aim = delta_files.file_bytes(table.sort_by, _bytes(handle) + delta_files.likely_bytes(data))
        actions = delta_files.write_files(self.uri(table), data, aim, _statistics(table), self.storage_options)
        carried = self._carried()
        handle.create_write_transaction(
            actions, "append", handle.schema(), list(table.partition_by), commit_properties=carried
        )
        self._read_through(table, handle)

    def _configuration(self, table: Table) -> dict[str, str | None]:
        return delta_files.configuration(table.sort_by, _statistics(table))

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
        (id_column,) = table.key
        data = self._prepare(table, frame)
        if data.get_column(id_column).n_unique() != data.height:
            repeated = data.filter(pl.col(id_column).is_duplicated()).get_column(id_column).unique().sort()
            raise RepeatedIds(
                f"{table.name}: {repeated.len()} ids stand twice in one batch of shard {shard}, such as {repeated[0]}; "
                "the function that made the rows must give distinct ids"
            )
        before = self.version(table)
        if before < 0:
            return self.append(table, frame)
        compared = dict.fromkeys((id_column, "input_key", "row_hash"))
        known = self.near(table, {"shard": shard}, {"input_key": input_keys}, list(compared))
        found = change(known, data, gone, id_column)
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
        return Commit(self.version(table), found.inserted, found.updated, len(found.leaving))

    def _merge(self, table: Table, shard: str, input_keys: Sequence[str], found: Change) -> Commit:
        (id_column,) = table.key
        gone = empty_frame(table.dtypes).clear(len(found.leaving))
        gone = gone.with_columns(pl.Series(id_column, found.leaving, dtype=pl.String), shard=pl.lit(shard))
        source = pl.concat([found.fresh.with_columns(op=pl.lit("U")), gone.with_columns(op=pl.lit("D"))])
        keys = ", ".join(literal(key) for key in input_keys)
        predicate = f"t.shard = {literal(shard)} AND t.input_key IN ({keys}) AND t.{id_column} = s.{id_column}"
        metrics = self._retry(table, lambda: self._merged(table, source, predicate))
        return Commit(
            self.version(table),
            metrics["num_target_rows_inserted"],
            metrics["num_target_rows_updated"],
            metrics["num_target_rows_deleted"],
        )

    def _merged(self, table: Table, source: pl.DataFrame, predicate: str) -> dict[str, int]:
        columns = {name: f"s.{name}" for name in table.dtypes}
        handle = self._to_write(table) or self._existing(table)
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
        self._read_through(table, handle)
        return metrics

    def delete_where(self, table: Table, column: str, values: Sequence[str], shard: str | None = None) -> Commit:
        """Delete the rows whose ``column`` is one of ``values``; nothing matched makes no commit."""
        if not values or self.version(table) < 0:
            return Commit(self.version(table))
        deleted = 0
        for start in range(0, len(values), 2_000):
            some = ", ".join(literal(value) for value in values[start : start + 2_000])
            predicate = f"{column} IN ({some})" + (f" AND shard = {literal(shard)}" if shard is not None else "")
            deleted += self._retry(table, lambda p=predicate: self._delete(table, p))  # type: ignore[misc]
        return Commit(self.version(table), deleted=deleted)

    def _delete(self, table: Table, predicate: str) -> int:
        handle = self._to_write(table)
        if handle is None:
            return 0
        deleted = int(handle.delete(predicate, commit_properties=self._carried())["num_deleted_rows"] or 0)
        self._read_through(table, handle)
        return deleted

    def restore(self, table: Table, version: int) -> Commit:
        """Make an older version the latest one (a new commit)."""
        handle = self.open(table)
        if handle is None:
            raise LakeError(f"{table.name} does not exist: nothing to restore")
        self._before_write()
        handle.restore(version)
        return Commit(self.version(table))

    # -- care ------------------------------------------------------------------------------------------------------

    def optimize(self, table: Table) -> dict[str, Any]:
        """Compact small files under the exclusive maintenance lock; the table is opened after the lock is taken.

        A shard of a table sorted by input key is written anew, sorted, when its files are many or large or their keys
        overlap: compacting joins files that are not neighbours, and then a literal key prunes few of them. The lock is let
        go between shards.
        """
        with self._exclusive(table):
            handle = _grown(table, self.open(table))
            if handle is None:
                return {}
            self._before_write()
            if not delta_files.is_edited_in_place(table.sort_by):
                target, how = delta_files.APPENDED_FILE_BYTES, delta_files.writer_properties(table.dtypes)
                return dict(handle.optimize.compact(target_size=target, writer_properties=how))
        done = {}
        for shard in self.scattered(table):
            with self._exclusive(table):
                self._before_write()
                done[shard] = self._lay_out(table, shard)
        return done

    def scattered(self, table: Table) -> list[str]:
        """Shards that ``optimize`` would write anew; none of a table that is only appended to."""
        handle = self.open(table)
        if handle is None or not delta_files.is_edited_in_place(table.sort_by):
            return []
        return delta_files.scattered_shards(handle, delta_files.file_bytes(table.sort_by, _bytes(handle)))

    def _lay_out(self, table: Table, shard: str) -> int:
        """Write a shard anew, sorted, as files of its table's size; the number of files."""
        handle = self._existing(table)
        aim = delta_files.file_bytes(table.sort_by, _bytes(handle))
        rows = self.scan(table, where={"shard": shard}, version=int(handle.version()))
        actions = []
        for block in _blocks(handle, rows, [shard]):
            sorted_rows = block.sort(list(table.sort_by)).collect()
            actions += delta_files.write_files(
                self.uri(table), sorted_rows, aim, _statistics(table), self.storage_options
            )
        if not actions:  # gone since it was found scattered
            return 0
        only = [("shard", "=", shard)]
        self._overwrite_files(table, handle, actions, only)
        return len(actions)

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
        handle = self.open(table)
        if handle is None:
            return 0
        rows = self.scan(table, keys={"shard": list(shards)}, version=int(handle.version()))
        narrow = rows.select("shard", *columns).collect()
        moved = narrow.filter(narrow["shard"] != placed(narrow)).height
        if not moved:
            return 0
        self._before_write()
        aim, actions = delta_files.file_bytes(table.sort_by, _bytes(handle)), []
        for block in _blocks(handle, rows, shards):
            found = block.collect()
            sorted_rows = found.with_columns(placed(found).alias("shard")).sort("shard", *table.sort_by)
            actions += delta_files.write_files(
                self.uri(table), sorted_rows, aim, _statistics(table), self.storage_options
            )
        only = [("shard", "in", list(shards))]
        self._overwrite_files(table, handle, actions, only)
        return moved

    def _overwrite_files(self, table: Table, handle: Any, actions: Any, only: Any) -> None:
        """Make files those of some partitions."""
        self._before_write()
        columns, carried = list(table.partition_by), self._carried()
        handle.create_write_transaction(actions, "overwrite", handle.schema(), columns, only, commit_properties=carried)

    def vacuum(self, table: Table, retention: timedelta) -> list[str]:
        """Delete files that no version within ``retention`` names, and clean the log, under the exclusive lock.

        Delta counts whole hours: what is begun counts whole, so that nothing inside the retention goes. Below an hour
        the versions inside it are named to it.
        """
        with self._exclusive(table):
            handle = self.open(table)
            if handle is None:
                return []
            _set_properties(handle, delta_files.log_properties(retention))
            removed = self._vacuumed(handle, retention, is_dry_run=False)
            if "://" in self.root or not has_checkpoint(Path(self.uri(table)), int(handle.version())):
                handle.create_checkpoint()
            handle.cleanup_metadata()
            for path in self._spare_checkpoints(table):
                path.unlink(missing_ok=True)
            return removed

    def sweep_strays(self, table: Table, older_than: timedelta) -> list[str]:
        """Delete data files that no version ever named, which killed writers leave, under the exclusive lock."""
        with self._exclusive(table):
            handle = self.open(table)
            if handle is None:
                return []
            hours = _hours(older_than)
            return list(handle.vacuum(hours, dry_run=False, enforce_retention_duration=False, full=True))

    def would_go(self, table: Table, retention: timedelta, strays_older_than: timedelta) -> list[Path]:
        """Files that ``vacuum`` and ``sweep_strays`` would delete of a table, as it is now; its log's old commits apart.

        Those of an object store are relative to the table.
        """
        handle = self.open(table)
        if handle is None:
            return []
        folder = Path() if "://" in self.root else Path(self.uri(table))
        named = set(self._vacuumed(handle, retention, is_dry_run=True))
        hours = _hours(max(retention, strays_older_than))
        named |= set(handle.vacuum(hours, dry_run=True, enforce_retention_duration=False, full=True))
        return [folder / name for name in sorted(named)] + self._spare_checkpoints(table)

    def _vacuumed(self, handle: Any, retention: timedelta, is_dry_run: bool) -> list[str]:
        kept: list[int] = []
        hours = _hours(retention)
        if timedelta(0) < retention < timedelta(hours=1):
            hours, kept = 0, _versions_within(handle, datetime.now(UTC) - retention)
        return list(
            handle.vacuum(hours, dry_run=is_dry_run, enforce_retention_duration=False, keep_versions=kept or None)
        )

    def _spare_checkpoints(self, table: Table) -> list[Path]:
        return [] if "://" in self.root else spare_checkpoints(Path(self.uri(table)))

    def delete_before(self, table: Table, column: str, moment: datetime) -> Commit:
        """Delete the rows whose time is before ``moment`` (aware); nothing matched makes no commit."""
        if self.scan(table).filter(pl.col(column) < moment).select(pl.len()).collect().item() == 0:
            return Commit(self.version(table))
        predicate = f"{column} < {literal(moment.astimezone(UTC).strftime('%Y-%m-%d %H:%M:%S.%f+00:00'))}"
        deleted = self._retry(table, lambda: self._delete(table, predicate))
        return Commit(self.version(table), deleted=deleted)

    def _exclusive(self, table: Table) -> AbstractContextManager[object]:
        if self._maintenance_lock is None:
            raise LakeError(
                f"{table.name}: maintenance without a lock is refused; two OPTIMIZEs at once corrupt a table"
            )
        return self._maintenance_lock()

    def bring_up(self, table: Table) -> bool:
        """Give a table the columns and properties that it would be made with today; whether it lacked any."""
        before = self.version(table)
        handle = _grown(table, self.open(table))
        if handle is not None:
            _set_properties(handle, {k: v for k, v in self._configuration(table).items() if v is not None})
        return self.version(table) != before

    def version_at(self, table: Table, when: datetime) -> int:
        """The last version committed at or before ``when`` (aware datetime)."""
        handle = self.open(table)
        if handle is None:
            raise LakeError(f"{table.name} does not exist")
        handle.load_as_version(when)
        return int(handle.version())

    # -- within ----------------------------------------------------------------------------------------------------

    def _carried(self, transaction: tuple[str, int] | None = None) -> Any | None:
        """What a commit carries besides rows: the fences, and a transaction of the writer's own; None where that is nothing."""
        from deltalake import CommitProperties, Transaction

        now = int(time.time() * 1000)
        wanted = [(f"lease/{name}", now) for name in self._fences()] + ([transaction] if transaction else [])
        return CommitProperties(app_transactions=[Transaction(*one) for one in wanted]) if wanted else None

    def _told(self, error: OSError) -> Exception:
        """An object store's error in our words; one of a folder is what it is."""
        if "://" not in self.root:
            return error
        return Bucket(self.root, tuple((self.storage_options or {}).items())).explained(error)

    def _read_through(self, table: Table, written: Any | None) -> None:
        """Read from now on by the handle of a write, which knows what it committed; no later write takes it."""
        if written is not None and self._log is not None:
            self._snapshots.put(self._place(table), written)

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
            self._before_write()
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
                raise self._told(error) from None
        raise AssertionError("unreachable")


def _grown(table: Table, handle: Any | None) -> Any | None:
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


def _set_properties(handle: Any, wanted: Mapping[str, str]) -> None:
    """Set what differs in a table's properties; nothing makes no commit."""
    present = handle.metadata().configuration
    changed = {name: value for name, value in wanted.items() if present.get(name) != value}
    if changed:
        handle.alter.set_table_properties(changed)


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


def _statistics(table: Table) -> list[str]:
    return [name for name in table.sort_by or table.key if name not in table.partition_by]


def _blocks(handle: Any, rows: pl.LazyFrame, shards: Sequence[str]) -> Iterator[pl.LazyFrame]:
    """Rows of some shards by ranges of their input keys, about ``LAYOUT_BYTES`` at a time."""
    keys = rows.select("input_key").sort("input_key").collect().to_series()
    files = pl.DataFrame(handle.get_add_actions(flatten=True)).filter(pl.col("partition.shard").is_in(list(shards)))
    blocks = math.ceil(files["size_bytes"].sum() / LAYOUT_BYTES)
    if keys.is_empty():
        return
    firsts = keys.gather([keys.len() * number // blocks for number in range(blocks)]).unique(maintain_order=True)
    for first, last in zip(firsts, [*firsts[1:], None], strict=True):
        block = rows.filter(pl.col("input_key") >= first)
        yield block if last is None else block.filter(pl.col("input_key") < last)


def _bytes(handle: Any) -> int:
    """Bytes of a table's files."""
    return int(pl.DataFrame(handle.get_add_actions(flatten=True)).get_column("size_bytes").sum())
