"""What ``apps.reader`` does with SQL: names the lake's tables, asks the door, explains what went wrong. Imported late.

``layer/name`` is ``layer.name`` in SQL; what lies deeper is joined by ``_``: ``ops/ledger/documents`` is
``ops.ledger_documents``. Nothing here opens the lake: the door's child process does, and only tables that a query names.
"""

import atexit
import time
from functools import cache

from apps.errors import USAGE, CommandError
from apps.sql_reports import SqlResult, SqlTableLine
from cortex_assets.engine.care import TABLES
from cortex_assets.tables import TableSpec
from resources.settings import load_settings
from resources.sql import SqlDoor, SqlError, SqlTable, sql_type

MOST_ROWS = 100_000


def sql(query: str, limit: int) -> SqlResult:
    """See ``apps.reader.sql``."""
    if not 1 <= limit <= MOST_ROWS:
        raise CommandError(f"{limit} rows cannot be asked for", "--limit", f"choose between 1 and {MOST_ROWS:,}", USAGE)
    begin = time.perf_counter()
    settings = load_settings()
    root = settings.lake_root
    tables = [SqlTable(*_name(spec), f"{root.rstrip('/')}/{spec.name}", _columns(spec)) for spec in TABLES]
    try:
        answer = _door().ask(query, tables, limit, settings.lake_options)
    except SqlError as error:
        raise CommandError(str(error), "SQL", error.remedy, USAGE) from error
    seconds = time.perf_counter() - begin
    return SqlResult(answer.columns, answer.types, answer.rows, answer.is_cut, seconds, answer.versions)


def tables() -> list[SqlTableLine]:
    """See ``apps.reader.sql_tables``."""
    return [SqlTableLine(".".join(_name(spec)), spec.name, _columns(spec)) for spec in TABLES]


@cache
def _door() -> SqlDoor:
    """One door a process, whose child stays warm."""
    door = SqlDoor()
    atexit.register(door.close)
    return door


def _name(spec: TableSpec) -> tuple[str, str]:
    layer, _, rest = spec.name.partition("/")
    return layer, rest.replace("/", "_")


def _columns(spec: TableSpec) -> tuple[tuple[str, str], ...]:
    return tuple((name, sql_type(dtype)) for name, dtype in spec.dtypes.items())
