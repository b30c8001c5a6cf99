"""A Delta table at one version as a pyarrow dataset: filters skip files by what the log says of them, columns are read alone.

Files that delta-rs writes call their texts views, and pyarrow compares the ranges in such a file with views only (26.0):
``DeltaTable.to_pyarrow_dataset`` fails on every filter by a text. Here files are chosen by the log, and what is read of
them is filtered after, batch by batch. Reading rows for the rooms is ``lakehouse``'s.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import reduce
from operator import and_
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.fs as pa_fs
from deltalake import DeltaTable
from deltalake.fs import DeltaStorageHandler

READER_VERSION = 1
READAHEAD = {"batch_readahead": 4, "fragment_readahead": 2}
"""Blocks and files that are read before they are asked for: texts are wide, and memory is bounded."""


class LoggedDataset(ds.FileSystemDataset):  # type: ignore[misc]
    """Data files with what the log says of each as its partition expression."""

    def scanner(self, columns: list[str] | None = None, filter: Any = None, **options: Any) -> Any:  # noqa: A002 - pyarrow's name
        """What reads some columns of the rows that pass a filter (``pyarrow.dataset.Expression``)."""
        options = READAHEAD | options
        if filter is None:
            return super().scanner(columns=columns, **options)
        wanted = self.schema.names if columns is None else columns
        spoken = str(filter)  # a name that stands in a literal is read in vain, none is left out
        needed = list(dict.fromkeys([*wanted, *(name for name in self.schema.names if name in spoken)]))
        chosen = ds.FileSystemDataset(list(self.get_fragments(filter)), self.schema, self.format, self.filesystem)
        return _Filtered(chosen.scanner(columns=needed, **options), wanted, filter)

    def replace_schema(self, schema: Any) -> "LoggedDataset":
        """The same files with another schema: columns that no file has are null."""
        return LoggedDataset(list(self.get_fragments()), schema, self.format, self.filesystem)


class _Filtered:
    """What a scanner reads, filtered in the thread that asks: a scanner over a scanner waits for its own threads."""

    def __init__(self, scanner: Any, columns: Sequence[str], condition: Any) -> None:
        self._scanner, self._columns, self._condition = scanner, list(columns), condition

    @property
    def projected_schema(self) -> Any:
        """Of what comes back."""
        schema = self._scanner.projected_schema
        return pa.schema([schema.field(name) for name in self._columns])

    def to_reader(self) -> Any:
        """The rows as a ``pyarrow.RecordBatchReader``."""
        return pa.RecordBatchReader.from_batches(self.projected_schema, self._batches())

    def _batches(self) -> Iterator[Any]:
        with self._scanner.to_reader() as reader:
            for batch in reader:
                yield batch.filter(self._condition).select(self._columns)


def dataset_of(handle: DeltaTable, uri: str, options: Mapping[str, str] | None, partition_by: Sequence[str]) -> Any:
    """The data files of a table; filters and columns are pushed into their reading.

    Args:
        handle: nobody moves it to another version.
        uri: the table's folder or address.
        options: of an object store.
        partition_by: its partition columns, which are texts.

    Returns:
        A ``pyarrow.dataset.Dataset`` with the table's columns.
    """
    if handle.protocol().min_reader_version > READER_VERSION:  # knows what it cannot read, and says so
        return handle.to_pyarrow_dataset()
    schema = pa.schema(handle.schema().to_arrow())
    files = {name.rpartition("/")[2]: name for name in handle.file_uris()}
    is_local = "://" not in uri
    root = uri.rstrip("/") + "/"
    store: Any = pa_fs.LocalFileSystem()
    if not is_local:
        store = pa_fs.PyFileSystem(DeltaStorageHandler(uri, dict(options or {})))
    form = ds.ParquetFileFormat()
    fragments = [
        form.make_fragment(
            files[path.rpartition("/")[2]].removeprefix("" if is_local else root),
            filesystem=store,
            partition_expression=condition,
        )
        for path, condition in _told(handle, schema, partition_by)
    ]
    return LoggedDataset(fragments, schema, form, store)


def _told(handle: DeltaTable, schema: Any, partition_by: Sequence[str]) -> list[tuple[str, Any]]:
    """Path of each file, and what the log says of its partition and of the ranges of its text columns."""
    actions = pl.DataFrame(handle.get_add_actions(flatten=True))
    texts = [one.name for one in schema if one.type == pa.string() and f"min.{one.name}" in actions.columns]
    ranged = [name for name in texts if {f"max.{name}", f"null_count.{name}"} <= set(actions.columns)]
    told = []
    for file in actions.iter_rows(named=True):
        conditions = [ds.field(name) == file[f"partition.{name}"] for name in partition_by]
        for name in ranged:
            low, high = file[f"min.{name}"], file[f"max.{name}"]
            if low is not None and high is not None and file[f"null_count.{name}"] == 0:
                conditions.append((ds.field(name) >= low) & (ds.field(name) <= high))
        told.append((file["path"], reduce(and_, conditions) if conditions else ds.scalar(value=True)))
    return told
