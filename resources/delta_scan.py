"""A lazy scan of a Delta table by the files that its log names, without what ``polars.scan_delta`` needs to be complete.

That one imports pyarrow and takes some milliseconds for every frame that it opens; a run after an edit asks thirty times.
Tables that only the later Delta readers understand (deletion vectors, mapped columns) and types that are not listed
here are left to it. ``scan_files`` leaves out files, ``rows_where`` rows, too; which are wanted is for ``lakehouse``'s callers.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import polars as pl

READER_VERSION: Final = 1
FEW_KEYS: Final = 64
"""Up to so many keys are compared with each file's range one by one; of more, the smallest and the greatest are."""
_TYPES: Final[Mapping[str, pl.DataType]] = {
    "string": pl.String(),
    "long": pl.Int64(),
    "integer": pl.Int32(),
    "short": pl.Int16(),
    "byte": pl.Int8(),
    "float": pl.Float32(),
    "double": pl.Float64(),
    "boolean": pl.Boolean(),
    "date": pl.Date(),
    "timestamp": pl.Datetime("us", "UTC"),
    "binary": pl.Binary(),
}


def scan_files(
    handle: Any,
    partition_by: Sequence[str],
    where: Mapping[str, str],
    keys: Mapping[str, Sequence[str]],
    declared: Mapping[str, pl.DataType] | None = None,
) -> pl.LazyFrame:
    """The rows of a local table at the version of a handle; files that cannot hold what is wanted are left out, rows are not.

    Args:
        handle: a ``deltalake.DeltaTable``; it is looked at now, not when the frame is collected.
        partition_by: the table's partition columns.
        where: column to literal.
        keys: column to the values wanted, at least one each.
        declared: columns that are wanted; those that the table does not have yet are null.
    """
    types = _types(handle)
    if types is None:
        return with_columns_of(pl.scan_delta(handle), declared or {})
    types |= {name: dtype for name, dtype in (declared or {}).items() if name not in types}
    wanted: list[tuple[str, str, Any]] = [(name, "=", value) for name, value in where.items()]
    for column, values in keys.items():
        if len(values) <= FEW_KEYS:
            wanted.append((column, "in", list(values)))
        else:
            wanted += [(column, ">=", min(values)), (column, "<=", max(values))]
    files = handle.file_uris(file_pruning_predicate=wanted or None)
    if not files:
        return pl.LazyFrame(schema=types)
    return pl.scan_parquet(
        files,
        schema={name: dtype for name, dtype in types.items() if name not in partition_by},
        hive_partitioning=bool(partition_by),
        hive_schema={name: types[name] for name in partition_by} if partition_by else None,
        missing_columns="insert",
        extra_columns="ignore",
    )


def rows_where(
    handle: Any,
    partition_by: Sequence[str],
    declared: Mapping[str, pl.DataType],
    where: Mapping[str, str],
    keys: Mapping[str, Sequence[str]],
    is_local: bool,
) -> pl.LazyFrame:
    """The rows of a table that have certain values, with the declared columns in declared order; see ``scan_files``.

    Args:
        handle: a ``deltalake.DeltaTable``.
        partition_by: the table's partition columns.
        declared: column to type.
        where: column to literal.
        keys: column to the values wanted, at least one each.
        is_local: whether the files lie in a folder.
    """
    frame = (
        scan_files(handle, partition_by, where, keys, declared)
        if is_local
        else with_columns_of(pl.scan_delta(handle), declared)
    )
    for column, value in where.items():
        frame = frame.filter(pl.col(column) == value)
    for column, values in keys.items():
        frame = frame.filter(pl.col(column).is_between(pl.lit(min(values)), pl.lit(max(values))))
        frame = frame.filter(pl.col(column).is_in(list(values)))
    return frame.select(pl.col(name).cast(dtype) for name, dtype in declared.items())


def with_columns_of(frame: pl.LazyFrame, declared: Mapping[str, pl.DataType]) -> pl.LazyFrame:
    """The frame with those of the declared columns that it lacks, as nulls."""
    present = set(frame.collect_schema().names())
    lacking = [pl.lit(None, dtype).alias(name) for name, dtype in declared.items() if name not in present]
    return frame.with_columns(lacking) if lacking else frame


def _types(handle: Any) -> dict[str, pl.DataType] | None:
    """Column name to Polars type, in the table's order; None where the table is not plain."""
    if handle.protocol().min_reader_version > READER_VERSION:
        return None
    types: dict[str, pl.DataType] = {}
    for field in handle.schema().fields:
        dtype = _type(field.type)
        if dtype is None:
            return None
        types[field.name] = dtype
    return types


def _type(kind: Any) -> pl.DataType | None:
    if kind.type == "array":
        inner = _type(kind.element_type)
        return None if inner is None else pl.List(inner)
    if kind.type == "struct":
        fields = {field.name: _type(field.type) for field in kind.fields}
        known = {name: dtype for name, dtype in fields.items() if dtype is not None}
        return pl.Struct(known) if len(known) == len(fields) else None
    return _TYPES.get(kind.type) if isinstance(kind.type, str) else None
