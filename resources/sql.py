"""SQL over Delta tables, read-only, in a child process that may crash or be killed without harm to this one.

Which tables there are, and what they are called, is the caller's to say. A question is one statement that reads; what
counts as that is judged in the child (``sql_child``), by the engine's own parser and its syntax tree. Limits on rows,
bytes, memory and time hold for every question, and the engine opens no file, no address and no extension.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from resources.sandbox import Crashed, Failed, OutOfMemory, Sandbox, TimedOut

ANSWER = "resources.sql_child.answer"
MOST_QUERY_CHARS = 100_000


class SqlError(Exception):
    """A question that is refused, or that fails.

    Attributes:
        remedy: what whoever asked can do.
    """

    def __init__(self, what: str, remedy: str = "") -> None:
        super().__init__(what)
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class SqlTable:
    """A table as SQL sees it.

    Attributes:
        schema: first part of its name.
        name: second part.
        uri: where the Delta table lies; where there is none yet, it reads as empty.
        columns: name and SQL type of each declared column, in order.
    """

    schema: str
    name: str
    uri: str
    columns: tuple[tuple[str, str], ...]

    @property
    def full_name(self) -> str:
        """``schema.name``."""
        return f"{self.schema}.{self.name}"


@dataclass(frozen=True, slots=True)
class SqlLimits:
    """How far one question may go.

    Attributes:
        seconds: of its own work; reading the tables counts, starting the child does not.
        memory_mb: that the engine takes for data; nothing is spilled to disk.
        process_mb: address space that the child may take beyond what it starts with.
        threads: of the engine.
        answer_bytes: characters of an answer, about.
        cell_chars: characters of one value; longer ones are cut and say so.
    """

    seconds: float = 10.0
    memory_mb: int = 512
    process_mb: int = 3_072
    threads: int = 2
    answer_bytes: int = 16_000_000
    cell_chars: int = 20_000


@dataclass(frozen=True, slots=True)
class SqlAnswer:
    """What a question gave: plain values only (texts, numbers, booleans, times, lists, dictionaries, None).

    Attributes:
        columns: names.
        types: the engine's, such as ``VARCHAR``.
        rows: at most as many as asked for.
        is_cut: whether there were more rows or longer values than are here.
        versions: Delta version of each table that was read, by its SQL name; -1 = it does not exist yet.
    """

    columns: tuple[str, ...]
    types: tuple[str, ...]
    rows: tuple[tuple[object, ...], ...]
    is_cut: bool
    versions: Mapping[str, int] = field(default_factory=dict)


class SqlDoor:
    """Answers questions, two at a time; the child stays warm between them. Close it at the end."""

    def __init__(self, limits: SqlLimits | None = None) -> None:
        """No child is started before the first question."""
        self.limits = limits or SqlLimits()
        # The engine ends a question by itself; a child that does not come back from it is killed some seconds later.
        self._sandbox = Sandbox(2, self.limits.seconds + 5.0, self.limits.process_mb, file_mb=1)

    def close(self) -> None:
        """End the children."""
        self._sandbox.close()

    def ask(
        self, query: str, tables: Sequence[SqlTable], limit: int, storage_options: Mapping[str, str] | None = None
    ) -> SqlAnswer:
        """Answer one question.

        Args:
            query: one statement that reads.
            tables: what it may read; only those that it names are opened, all at one set of versions.
            limit: rows that come back at most.
            storage_options: of an object store.

        Raises:
            SqlError: it is refused, fails, or takes more than the limits allow.
        """
        if "\0" in query:
            raise SqlError("the query holds a NUL character", "take it out")
        if len(query) > MOST_QUERY_CHARS:
            raise SqlError(
                f"the query has {len(query):,} characters", f"at most {MOST_QUERY_CHARS:,} are read: make it shorter"
            )
        options = dict(storage_options) if storage_options else None
        call = self._sandbox.call(ANSWER, query, tuple(tables), options, limit, self.limits)
        results = list(call)
        match call.outcome:
            case TimedOut():
                raise _too_slow(self.limits)
            case OutOfMemory():
                raise _too_large(self.limits)
            case Crashed(reason=reason):
                raise SqlError(f"the query ended the process that answered it: {reason}", "ask in another way")
            case Failed(reason=reason):
                raise SqlError(f"the query failed: {reason}")
            case outcome if not results:
                raise SqlError(f"the tables could not be read: {outcome.reason}", "run the query again")
        kind, value = results[0]
        if kind == "answer":
            return SqlAnswer(*value)
        if kind == "slow":
            raise _too_slow(self.limits)
        raise _too_large(self.limits) if kind == "large" else SqlError(*value)


def _too_slow(limits: SqlLimits) -> SqlError:
    return SqlError(
        f"the query took more than {limits.seconds:g} seconds and was stopped", "narrow it by a WHERE clause"
    )


def _too_large(limits: SqlLimits) -> SqlError:
    return SqlError(
        f"the query needs more than {limits.memory_mb} MB of memory and was stopped",
        "aggregate or filter before joining and sorting, or select fewer columns",
    )


def sql_type(dtype: pl.DataType) -> str:
    """The SQL type of a column that a Delta table can hold.

    Raises:
        TypeError: no table of the lake has such a column.
    """
    if isinstance(dtype, pl.List):
        return f"{sql_type(_instance(dtype.inner))}[]"
    if isinstance(dtype, pl.Struct):
        fields = (f'"{one.name}" {sql_type(_instance(one.dtype))}' for one in dtype.fields)
        return f"STRUCT({', '.join(fields)})"
    if isinstance(dtype, pl.Datetime):
        return "TIMESTAMP WITH TIME ZONE" if dtype.time_zone else "TIMESTAMP"
    name = _TYPES.get(type(dtype))
    if name is None:
        raise TypeError(f"{dtype} has no SQL type here; see resources.sql")
    return name


def _instance(dtype: Any) -> pl.DataType:
    """The type that a list or a struct names by its class or by an instance."""
    made: pl.DataType = dtype() if isinstance(dtype, type) else dtype
    return made


_TYPES: dict[type[pl.DataType], str] = {
    pl.String: "VARCHAR",
    pl.Boolean: "BOOLEAN",
    pl.Int8: "TINYINT",
    pl.Int16: "SMALLINT",
    pl.Int32: "INTEGER",
    pl.Int64: "BIGINT",
    pl.Float32: "FLOAT",
    pl.Float64: "DOUBLE",
    pl.Date: "DATE",
    pl.Binary: "BLOB",
}
