"""SQLite databases: each table's columns, profile and first rows; views by their definition, never run.

Opened read only and immutable; the schema is not trusted, work is counted in steps of SQLite's machine and stops at a
limit. Virtual tables are named and not read. A table that is damaged costs itself.
"""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from cortex_assets.documents.errors import in_words
from cortex_assets.documents.markup_text import MarkupText
from cortex_assets.documents.model import Mark, Parsed, ParsedDocument, ParseInput, Structure
from cortex_assets.documents.parsers.table_text import (
    CELL_CHARS,
    MAX_COLUMNS,
    Opaque,
    Profile,
    Sections,
    TableText,
    most_profiled,
    one_line,
)
from cortex_assets.tables import Status, short_reason

MAX_TABLES = 500
MAX_COUNTED = 5_000_000
MAX_IN_MEMORY = 128 * 1024 * 1024
_STEPS = 10_000
_MOST_STEPS = 20_000
_MOST_STEPS_IN_ALL = 100_000
_LONGEST_VALUE = 16 * 1024 * 1024
_VIRTUAL = re.compile(r"(?i)\s*create\s+virtual\s+table\b")
_DAMAGE = (sqlite3.Error, UnicodeDecodeError, OverflowError)
"""Messages that name damaged columns may not be decodable themselves."""
_REPAIR = "repair it (sqlite3 FILE .recover) or export its tables"


@dataclass(slots=True)
class _Told:
    """What is said of the whole database in the end."""

    problems: list[str]
    samples: list[str]


def parse_sqlite(source: ParseInput) -> Iterator[Parsed]:
    """Parse an SQLite database."""
    try:
        with closing(_opened(source)) as connection:
            yield from _documents(source, connection)
    except _DAMAGE as error:
        yield _failed(f"damaged SQLite database ({str(error)[:80]}): {_REPAIR}")
    except _TooLargeError:
        reason = f"a database above {MAX_IN_MEMORY // 2**20} MB in a container is not read: unpack it"
        yield _failed(reason, Status.TOO_LARGE)


class _TooLargeError(ValueError):
    """The database is no file of its own, and too large for memory."""


def _failed(reason: str, status: Status = Status.FAILED) -> ParsedDocument:
    return ParsedDocument("", "database", status=status, reason=short_reason(reason))


def _opened(source: ParseInput) -> sqlite3.Connection:
    """A connection that reads the file where it lies, or a copy in memory of a container's member."""
    name = getattr(source.stream, "name", None)
    if isinstance(name, str):
        connection = sqlite3.connect(Path(name).absolute().as_uri() + "?mode=ro&immutable=1", uri=True)
    else:
        if source.size > MAX_IN_MEMORY:
            raise _TooLargeError
        content = bytearray(source.stream.read())
        content[18:20] = b"\x01\x01"  # a database in memory cannot have a write-ahead log, which it would ask for
        connection = sqlite3.connect(":memory:")
        connection.deserialize(content)
    connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST_VALUE)
    for pragma in ("query_only=ON", "trusted_schema=OFF", "cell_size_check=ON", "mmap_size=0", "cache_size=-8192"):
        connection.execute(f"PRAGMA {pragma}")
    return connection


def _documents(source: ParseInput, connection: sqlite3.Connection) -> Iterator[Parsed]:
    """All tables, then the views."""
    steps = _Steps(connection)
    rows = connection.execute("SELECT type, name, sql FROM sqlite_master ORDER BY rowid LIMIT 100000").fetchall()
    names = [(str(name), str(sql or "")) for kind, name, sql in rows if kind == "table"]
    virtual = [name for name, sql in names if _VIRTUAL.match(sql)]
    tables = [name for name, sql in names if not _VIRTUAL.match(sql) and not _is_internal(name, virtual)]
    views = [(str(name), str(sql or "")) for kind, name, sql in rows if kind == "view"]
    if not tables and not views and not virtual:
        yield _failed("the database has no tables", Status.EMPTY)
        return
    sections, told = Sections("database"), _Told([], [])
    yield from sections.add(*_overview(len(tables), views, virtual))
    for name in tables[:MAX_TABLES]:
        yield Mark(f"table {name}")
        steps.begin_table()
        yield from _table(source, connection, name, sections, told)
    if len(tables) > MAX_TABLES:
        told.problems.append(f"only the first {MAX_TABLES} of {len(tables):,} tables are read: export the others")
    yield _judged(sections.last(), told)


def _is_internal(name: str, virtual: list[str]) -> bool:
    """Whether a table is SQLite's own, or a side table of a virtual one; what full-text search indexes is neither."""
    if name.lower().startswith("sqlite_"):
        return True
    return any(name.startswith(owner + "_") and not name.endswith("_content") for owner in virtual)


def _overview(tables: int, views: list[tuple[str, str]], virtual: list[str]) -> tuple[str, Structure]:
    """What the database holds, with the definitions of its views."""
    out = MarkupText()
    out.words(f"SQLite database with {tables:,} tables and {len(views):,} views")
    out.end_block()
    if virtual:
        out.words("Virtual tables (not read): " + ", ".join(one_line(name) for name in virtual[:MAX_TABLES]))
        out.end_block()
    for name, sql in views[:MAX_TABLES]:
        out.open_heading(2)
        out.words(f"view {one_line(name)}"[:CELL_CHARS])
        out.close_heading()
        out.open_code("sql")
        out.words(sql[:4000])
        out.close_code()
    return out.text(), out.structure()


def _table(
    source: ParseInput, connection: sqlite3.Connection, name: str, sections: Sections, told: _Told
) -> Iterator[ParsedDocument]:
    """One table's section."""
    label = f"table {name}"
    table = TableText(label, [])
    total: int | None = None
    columns = 0
    try:
        listed = connection.execute(f"PRAGMA table_xinfo({_quoted(name)})").fetchall()
        columns = len(listed)
        plain = [(str(row[1]), str(row[2])) for row in listed if row[6] == 0][:MAX_COLUMNS]
        table.profiles = [Profile(column, kind) for column, kind in plain]
        if label in source.options.avoid:
            raise sqlite3.DatabaseError(source.options.avoid[label])
        found = connection.execute(_select(name, [column for column, _ in plain], most_profiled(len(plain))))
        table.read(
            [Opaque(f"({value.decode()} bytes)") if type(value) is bytes else value for value in row] for row in found
        )
        total = _count(connection, name)
    except _DAMAGE as error:
        table.note = f"Not read to its end: {one_line(str(error))[:80]}"
        told.problems.append(f"{label[:40]} is read only in part ({in_words(error, 60)}): {_REPAIR}")
    at_least = total is not None and total > MAX_COUNTED
    text, structure = table.section(min(total, MAX_COUNTED) if total is not None else None, at_least, columns)
    if note := table.sample_note(total, at_least):
        told.samples.append(f"{note[0].lower()}{note[1:]} of {label[:60]}")
    yield from sections.add(text, structure, one_line(label)[:CELL_CHARS])


def _count(connection: sqlite3.Connection, name: str) -> int:
    """Rows of a table, up to one more than are counted; step by step, so that a damaged table can be interrupted."""
    query = f"SELECT count(*) FROM (SELECT 1 FROM {_quoted(name)} LIMIT {MAX_COUNTED + 1})"  # noqa: S608 - quoted
    return int(connection.execute(query).fetchone()[0])


def _select(name: str, columns: list[str], most: int) -> str:
    """A query for the first rows: long texts cut, blobs as their size."""
    cells = ", ".join(
        f"CASE typeof({column}) WHEN 'blob' THEN CAST(length({column}) AS BLOB) "
        f"WHEN 'text' THEN substr({column}, 1, {CELL_CHARS + 1}) ELSE {column} END"
        for column in map(_quoted, columns)
    )
    return f"SELECT {cells or '1'} FROM {_quoted(name)} LIMIT {most}"  # noqa: S608 - quoted


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


class _Steps:
    """Counts the steps of SQLite's machine; where one table or the database took too many, SQLite is interrupted."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._table = self._all = 0
        connection.set_progress_handler(self._is_over, _STEPS)

    def begin_table(self) -> None:
        """Count anew for a table."""
        self._table = 0

    def _is_over(self) -> bool:
        self._table += 1
        self._all += 1
        return self._table > _MOST_STEPS or self._all > _MOST_STEPS_IN_ALL


def _judged(document: ParsedDocument, told: _Told) -> ParsedDocument:
    """The last document with what is to be said of the whole."""
    doubt = None
    if told.samples:
        more = f" (and {len(told.samples) - 1} other tables)" if len(told.samples) > 1 else ""
        doubt = short_reason(f"rows are a sample: {told.samples[0]}{more}")
    if told.problems:
        more = f" (and {len(told.problems) - 1} more)" if len(told.problems) > 1 else ""
        reason = short_reason(told.problems[0] + more)
        return replace(document, status=Status.PARTIAL, reason=reason, doubt=doubt)
    return replace(document, doubt=doubt)
