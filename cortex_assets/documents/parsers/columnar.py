"""Parquet and Arrow files: schema, row count, a profile of each column and the first rows.

Limits and nulls of a whole Parquet file are taken from its footer where that states them. A file whose rows cannot be
read gives its schema. Other column stores do not belong here.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from cortex_assets.documents.errors import in_words
from cortex_assets.documents.model import Mark, Parsed, ParsedDocument, ParseInput
from cortex_assets.documents.parsers.table_text import (
    MAX_COLUMNS,
    Opaque,
    Profile,
    Sections,
    TableText,
    cell_text,
    most_profiled,
)
from cortex_assets.tables import Status, short_reason

MAX_GROUP = 512 * 1024 * 1024
"""Bytes of a row group, unpacked; above it no row is read."""
MAX_STATED = 100_000
MAX_BATCHES = 10_000
_BATCH = 256
_UNIT = "rows"
_DAMAGE = (ValueError, KeyError, OSError, NotImplementedError, OverflowError, MemoryError)


class _RowsError(ValueError):
    """The rows cannot be read; the message says why."""


def parse_parquet(source: ParseInput) -> Iterator[Parsed]:
    """Parse a Parquet file."""
    from pyarrow import parquet

    try:
        file = parquet.ParquetFile(
            source.stream, thrift_string_size_limit=64 * 1024 * 1024, thrift_container_size_limit=1_000_000
        )
        schema, metadata = file.schema_arrow, file.metadata
        table = _table(schema)
    except _DAMAGE as error:
        yield _failed("Parquet", error)
        return
    yield Mark(_UNIT)
    problem = _read(source, table, _parquet_rows(file, len(table.profiles)))
    if 0 < table.profiled < metadata.num_rows:
        _state(table.profiles, metadata)
    yield _document(table, "Parquet", metadata.num_rows, len(schema.names), problem)


def parse_arrow(source: ParseInput) -> Iterator[Parsed]:
    """Parse an Arrow IPC file (Feather version 2)."""
    import pyarrow as pa

    try:
        file = pa.ipc.open_file(source.stream)
        schema = file.schema
        table = _table(schema)
    except _DAMAGE as error:
        yield _failed("Arrow", error)
        return
    yield Mark(_UNIT)
    problem = _read(source, table, _arrow_rows(file, len(table.profiles)))
    try:
        total = _arrow_count(file) if problem is None else None
    except _DAMAGE as error:
        total, problem = None, _short(error)
    yield _document(table, "Arrow", total, len(schema.names), problem)


def _failed(what: str, error: Exception) -> ParsedDocument:
    reason = short_reason(f"damaged {what} file ({_short(error)}): write it again")
    return ParsedDocument("", "table", status=Status.FAILED, reason=reason)


def _short(error: Exception) -> str:
    return in_words(error)


def _table(schema: Any) -> TableText:
    fields = [schema.field(position) for position in range(min(len(schema.names), MAX_COLUMNS))]
    return TableText("table", [Profile(str(field.name), str(field.type)) for field in fields])


def _read(source: ParseInput, table: TableText, rows: Iterator[Sequence[object]]) -> str | None:
    """Read rows into the table; why not all that were wanted could be read."""
    if _UNIT in source.options.avoid:
        return source.options.avoid[_UNIT]
    try:
        table.read(rows)
    except _DAMAGE as error:
        return _short(error)
    return None


def _parquet_rows(file: Any, columns: int) -> Iterator[Sequence[object]]:
    """The first rows."""
    metadata = file.metadata
    left = most_profiled(columns)
    for group in range(metadata.num_row_groups):
        if metadata.row_group(group).total_byte_size > MAX_GROUP:
            raise _RowsError(f"row groups above {MAX_GROUP // 2**20} MB are not read: write smaller ones")
        names = file.schema_arrow.names[:columns]
        for batch in file.iter_batches(_BATCH, row_groups=[group], columns=names, use_threads=False):
            yield from _rows(batch, columns)
            left -= batch.num_rows
            if left <= 0:
                return


def _arrow_rows(file: Any, columns: int) -> Iterator[Sequence[object]]:
    """The first rows; batches are checked, as nothing else protects from offsets that lie."""
    left = most_profiled(columns)
    for number in range(file.num_record_batches):
        batch = file.get_batch(number)
        batch.validate(full=True)
        for start in range(0, min(batch.num_rows, left), _BATCH):
            yield from _rows(batch.slice(start, _BATCH), columns)
        left -= batch.num_rows
        if left <= 0:
            return


def _arrow_count(file: Any) -> int | None:
    """Rows of all batches; None for very many batches."""
    if file.num_record_batches > MAX_BATCHES:
        return None
    return int(sum(file.get_batch(number).num_rows for number in range(file.num_record_batches)))


def _rows(batch: Any, columns: int) -> Iterator[Sequence[object]]:
    """Rows of a batch as Python values."""
    return zip(*(_values(batch.column(position)) for position in range(min(columns, batch.num_columns))), strict=True)


def _values(column: Any) -> list[object]:
    """A column's values; those that Python cannot hold (a date in the year 20,000) by themselves as text."""
    try:
        return [
            Opaque(cell_text(value)) if isinstance(value, (dict, list, bytes)) else value
            for value in column.to_pylist()
        ]
    except (ValueError, OverflowError):
        return [_value(scalar) for scalar in column]


def _value(scalar: Any) -> object:
    try:
        return scalar.as_py()
    except (ValueError, OverflowError):
        return str(scalar.value)


def _state(profiles: list[Profile], metadata: Any) -> None:
    """Replace nulls and limits by those of the whole file, for columns whose every row group states them."""
    groups = metadata.num_row_groups
    if groups * metadata.num_columns > MAX_STATED:
        return
    by_name = {profile.name: profile for profile in profiles}
    for position in range(metadata.num_columns):
        stated = [metadata.row_group(group).column(position) for group in range(groups)]
        profile = by_name.get(stated[0].path_in_schema) if stated else None
        statistics = [chunk.statistics for chunk in stated if chunk.is_stats_set]
        if profile is None or len(statistics) < groups:
            continue
        if all(each.has_null_count for each in statistics):
            profile.nulls = sum(each.null_count for each in statistics)
        for each in statistics:
            if each.has_min_max and len(profile.lows) == 1:
                _widen(profile, each)


def _widen(profile: Profile, statistics: Any) -> None:
    """Take a row group's limits in where they are of the kind that the rows are."""
    kind, low = next(iter(profile.lows.items()))
    try:
        if isinstance(statistics.min, type(low)) and isinstance(statistics.max, type(low)):
            profile.limit(kind, statistics.min, statistics.max)
    except (ValueError, OverflowError, TypeError):
        return


def _document(table: TableText, what: str, total: int | None, columns: int, problem: str | None) -> ParsedDocument:
    """The table as a document."""
    table.label = f"{what} table"
    if problem is not None:
        table.note = f"Rows are not read to their end: {problem}"
    sections = Sections("table")
    list(sections.add(*table.section(total, False, columns), "table"))
    document = sections.last()
    note = table.sample_note(total, False)
    doubt = short_reason(f"rows are a sample: {note[0].lower()}{note[1:]}") if note else None
    if problem is not None:
        reason = short_reason(f"rows are read only in part ({problem}): write the file again")
        return replace(document, status=Status.PARTIAL, reason=reason, doubt=doubt)
    return replace(document, doubt=doubt)
