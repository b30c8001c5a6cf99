"""What ``apps.reader`` gives back of SQL: results and the tables that can be asked. Plain values, no engine."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class SqlResult:
    """The answer to a query.

    Attributes:
        columns: names.
        types: SQL type of each column, such as ``VARCHAR``.
        rows: values that can be shown and written as JSON: texts, numbers, booleans, times, lists, dictionaries, None.
        is_cut: whether there were more rows or longer values than are here.
        seconds: that it took.
        versions: Delta version of each table that was read; -1 = it does not exist yet.
    """

    columns: tuple[str, ...]
    types: tuple[str, ...]
    rows: tuple[tuple[object, ...], ...]
    is_cut: bool
    seconds: float
    versions: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SqlTableLine:
    """A table that SQL can read.

    Attributes:
        name: in SQL, such as ``ops.ledger_documents``.
        table: in the lake, such as ``ops/ledger/documents``.
        columns: name and SQL type of each column, in order.
    """

    name: str
    table: str
    columns: tuple[tuple[str, str], ...]
