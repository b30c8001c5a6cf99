"""The child's side of ``resources.sql``: judges a question by its syntax tree, opens what it names, and answers it.

Several locks lie behind one another: only a statement that the parser calls a query, made of nodes and table functions
that are listed here; an engine without files, network, extensions and Python's variables, whose configuration is locked;
a transaction that may not write; an interrupt when the time is over; and the process's limits (``sandbox``).
"""

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from math import isfinite
from typing import Any

import duckdb
import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import TableNotFoundError

from resources.delta_dataset import dataset_of
from resources.sql import SqlError, SqlLimits, SqlTable

TABLE_FUNCTIONS = frozenset({"range", "generate_series", "unnest", "json_each", "json_tree", "histogram_values"})
NODES = frozenset({"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"})
ALLOWED = "SELECT, WITH, FROM, VALUES, DESCRIBE, SUMMARIZE, SHOW and EXPLAIN"
STABLE_READS = 5
_BLOCK = 500
_SETTINGS = (
    "python_enable_replacements = false",
    "python_scan_all_frames = false",
    "autoinstall_known_extensions = false",
    "autoload_known_extensions = false",
    "allow_community_extensions = false",
    "temp_directory = ''",
    "TimeZone = 'UTC'",
)

_NAMES = (duckdb.CatalogException, duckdb.BinderException)
_IN_GENERAL = "DuckDB's SQL is understood; examples stand in docs/sql.md"

Answered = tuple[str, tuple[Any, ...]]


def answer(
    query: str, tables: Sequence[SqlTable], options: Mapping[str, str] | None, limit: int, limits: SqlLimits
) -> Answered:
    """Answer one question.

    Returns:
        ``answer`` with the fields of ``SqlAnswer``; ``refused`` with the arguments of ``SqlError``; ``slow`` or ``large``.
    """
    pa.set_cpu_count(limits.threads)
    pa.set_io_thread_count(limits.threads)
    connection = duckdb.connect(":memory:")
    over = threading.Timer(limits.seconds, connection.interrupt)
    over.daemon = True
    over.start()
    try:
        _lock_down(connection, limits)
        named = _named_tables(connection, query, tables)
        versions = _open(connection, tables, named, options)
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        connection.execute("BEGIN TRANSACTION READ ONLY")
        connection.execute(query)
        return "answer", (*_fetched(connection, limit, limits), versions)
    except SqlError as error:
        return "refused", (str(error), error.remedy)
    except duckdb.InterruptException:
        return "slow", ()
    except (duckdb.OutOfMemoryException, MemoryError):
        return "large", ()
    except duckdb.Error as error:
        remedy = "the tables and their columns: cortex sql --tables" if isinstance(error, _NAMES) else _IN_GENERAL
        return "refused", (str(error).replace("\n\n", "\n").strip()[:2_000], remedy)
    except RecursionError:
        return "refused", ("the query is nested too deeply", "make it flatter")
    finally:
        over.cancel()
        connection.close()


def _lock_down(connection: duckdb.DuckDBPyConnection, limits: SqlLimits) -> None:
    sized = (f"memory_limit = '{limits.memory_mb}MB'", f"threads = {limits.threads}")
    for setting in (*_SETTINGS, *sized):
        connection.execute(f"SET {setting}")


# -- what may be asked -------------------------------------------------------------------------------------------------


def _named_tables(
    connection: duckdb.DuckDBPyConnection, query: str, tables: Sequence[SqlTable]
) -> frozenset[tuple[str, str]]:
    """Schema and name of the tables that a question reads.

    Raises:
        SqlError: it is not one statement that only reads.
    """
    statements = connection.extract_statements(query)
    if len(statements) != 1:
        told = "no statement" if not statements else f"{len(statements)} statements"
        raise SqlError(f"the query holds {told}", "ask one question at a time, with one statement")
    kind = statements[0].type.name
    if kind not in ("SELECT", "EXPLAIN"):
        raise SqlError(f"a statement of kind {kind} is not answered here", f"only {ALLOWED} are: nothing is written")
    text = query if kind == "SELECT" else _explained(query)
    serialized = connection.execute("SELECT json_serialize_sql(?::VARCHAR)", [text]).fetchone()
    tree = json.loads(serialized[0] if serialized else "{}")
    if tree.get("error", True):
        raise SqlError(
            f"the query is not understood: {tree.get('error_message', 'no syntax tree')}",
            f"only {ALLOWED} are answered",
        )
    return frozenset(_judged(tree, {(table.schema, table.name) for table in tables}))


def _explained(query: str) -> str:
    """What an EXPLAIN explains."""
    keywords = [at for at, kind in duckdb.tokenize(query) if kind != duckdb.token_type.comment]
    encoded = query.encode()  # positions are bytes
    words = [encoded[at:].split(None, 1)[0].decode("utf-8", "replace").lower() for at in keywords[:2]]
    if len(keywords) < 2 or words[0] != "explain":
        raise SqlError("this EXPLAIN is not understood", "write EXPLAIN, or EXPLAIN ANALYZE, and a SELECT")
    skipped = 2 if words[1] == "analyze" and len(keywords) > 2 else 1
    return encoded[keywords[skipped] :].decode("utf-8", "replace")


def _judged(tree: Any, known: set[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """The lake's tables in a syntax tree; anything that does not only read is refused."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, list):
            waiting += node
            continue
        if not isinstance(node, dict):
            continue
        waiting += node.values()
        kind = str(node.get("type", ""))
        if kind.endswith("_NODE") and kind not in NODES:
            raise SqlError(
                f"a query may not hold a {kind.removesuffix('_NODE').lower()}", f"only {ALLOWED} are answered"
            )
        if kind == "TABLE_FUNCTION":
            name = str(node["function"].get("function_name", "")).lower()
            if name not in TABLE_FUNCTIONS:
                raise SqlError(
                    f"the table function {name[:60]!r} is not available here",
                    "read the lake's tables (cortex sql --tables); no file, address or setting can be read",
                )
        if kind == "BASE_TABLE":
            path = tuple(str(part).lower() for part in node["qualified_name"]["path"])
            if path[-2:] in known:
                yield path[-2], path[-1]


# -- what it reads -----------------------------------------------------------------------------------------------------


def _open(
    connection: duckdb.DuckDBPyConnection,
    tables: Sequence[SqlTable],
    named: frozenset[tuple[str, str]],
    options: Mapping[str, str] | None,
) -> dict[str, int]:
    """Make every table known, and those that are named readable, all at one set of versions."""
    wanted = [table for table in tables if (table.schema, table.name) in named]
    handles = {table.full_name: _handle(table, options) for table in wanted}
    for _ in range(STABLE_READS):  # until no table moved while they were all looked at
        before = {name: handle.version() for name, handle in handles.items() if handle is not None}
        for handle in handles.values():
            if handle is not None:
                handle.update_incremental()
        if before == {name: handle.version() for name, handle in handles.items() if handle is not None}:
            break
    for schema in sorted({table.schema for table in tables}):
        connection.execute(f"CREATE SCHEMA {_quoted(schema)}")
    for table in tables:
        _view(connection, table, table.full_name in handles, handles.get(table.full_name), options)
    return {name: -1 if handle is None else int(handle.version()) for name, handle in sorted(handles.items())}


def _handle(table: SqlTable, options: Mapping[str, str] | None) -> DeltaTable | None:
    try:
        return DeltaTable(table.uri, storage_options=dict(options) if options else None)
    except TableNotFoundError:
        return None


def _view(
    connection: duckdb.DuckDBPyConnection,
    table: SqlTable,
    is_named: bool,
    handle: DeltaTable | None,
    options: Mapping[str, str] | None,
) -> None:
    """A view of the declared columns. One of a table that the question does not name fails when it is read."""
    place = f"{_quoted(table.schema)}.{_quoted(table.name)}"
    source = f"lake_{table.schema}_{table.name}"
    if handle is not None:
        connection.register(source, _dataset(table, handle, options))
        columns = ", ".join(_quoted(name) for name, _ in table.columns)
        connection.execute(f"CREATE VIEW {place} AS SELECT {columns} FROM {_quoted(source)}")  # noqa: S608 - declared names
        return
    value, condition = ("NULL", "false") if is_named else ("error('not opened')", "error('not opened')")
    columns = ", ".join(f"CAST({value} AS {kind}) AS {_quoted(name)}" for name, kind in table.columns)
    connection.execute(f"CREATE VIEW {place} AS SELECT {columns} WHERE {condition}")


def _dataset(table: SqlTable, handle: DeltaTable, options: Mapping[str, str] | None) -> Any:
    """The table's rows; columns that it lacks yet are null."""
    partition_by = tuple(handle.metadata().partition_columns)
    dataset = dataset_of(handle, table.uri, options, partition_by)
    lacking = {name: kind for name, kind in table.columns if name not in dataset.schema.names}
    if not lacking:
        return dataset
    nulls = ", ".join(f"CAST(NULL AS {kind}) AS {_quoted(name)}" for name, kind in lacking.items())
    with duckdb.connect(":memory:") as typing:
        added = typing.sql(f"SELECT {nulls}").to_arrow_table().schema
    return dataset.replace_schema(pa.schema([*dataset.schema, *added]))


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


# -- what comes back ---------------------------------------------------------------------------------------------------


def _fetched(
    connection: duckdb.DuckDBPyConnection, limit: int, limits: SqlLimits
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[tuple[object, ...], ...], bool]:
    """Columns, types, rows as plain values, and whether something was left out."""
    shown = _Shown(limits.cell_chars)
    described = connection.description or []
    rows: list[tuple[object, ...]] = []
    while len(rows) <= limit and shown.chars <= limits.answer_bytes:
        block = connection.fetchmany(min(_BLOCK, limit + 1 - len(rows)))
        if not block:
            break
        rows += [tuple(shown.plain(value) for value in row) for row in block]
    is_cut = len(rows) > limit or shown.is_cut or shown.chars > limits.answer_bytes
    columns = tuple(str(column[0]) for column in described)
    return columns, tuple(str(column[1]) for column in described), tuple(rows[:limit]), is_cut


class _Shown:
    """Makes values plain and counts their characters."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.chars = 0
        self.is_cut = False

    def plain(self, value: object) -> object:
        """A value that can be shown and has a JSON form."""
        self.chars += 8
        if value is None or isinstance(value, bool | int):
            return value
        if isinstance(value, float):
            return value if isfinite(value) else self.text(str(value))
        if isinstance(value, Decimal):
            number = float(value)
            return number if Decimal(repr(number)) == value else self.text(str(value))
        if isinstance(value, datetime | date):
            return value
        if isinstance(value, bytes | bytearray | memoryview):
            return self.text("0x" + bytes(value[: self.most // 2]).hex(), len(value) * 2 + 2)
        if isinstance(value, list | tuple):
            return [self.plain(item) for item in value]
        if isinstance(value, dict):
            return {self.text(str(key)): self.plain(item) for key, item in value.items()}
        return self.text(value.isoformat() if isinstance(value, time) else _duration(value))

    def text(self, value: str, length: int | None = None) -> str:
        """A text, cut where it is longer than shown."""
        length = len(value) if length is None else length
        self.chars += min(length, self.most)
        if length <= self.most:
            return value
        self.is_cut = True
        return f"{value[: self.most]}… ({length:,} characters)"


def _duration(value: object) -> str:
    return f"{value.total_seconds():g} s" if isinstance(value, timedelta) else str(value)
