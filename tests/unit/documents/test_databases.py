"""SQLite, Parquet and Arrow files: schema, counts, profile and first rows; damaged and hostile ones."""

import datetime as dt
import io
import random
import sqlite3
import time
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from cortex_assets.documents.model import Mark, ParsedDocument, ParseInput, ParseOptions, Structure
from cortex_assets.documents.parse import parse_path
from cortex_assets.documents.parsers import sqlite
from cortex_assets.documents.registry import parser_for
from cortex_assets.media.detect import HEAD_BYTES, TAIL_BYTES, media_type
from cortex_assets.tables import Status
from resources.sandbox import Ok, Sandbox

SCHEMA = """
CREATE TABLE orders(id INTEGER PRIMARY KEY, customer TEXT, total REAL, note TEXT, scan BLOB, made DATE);
CREATE TABLE "od""d | name"(a, "b c", d AS (a || '!') VIRTUAL);
CREATE TABLE empty(x TEXT);
CREATE VIEW sums AS SELECT customer, sum(total) FROM orders GROUP BY customer;
"""


def database(script: str = SCHEMA, orders: int = 0) -> bytes:
    connection = sqlite3.connect(":memory:")
    connection.executescript(script)
    rows = (
        (n, f"Kunde {n % 7}", n * 1.5, None if n % 2 else "two\nlines | pipe", b"x" * n, f"2024-01-{n % 28 + 1:02}")
        for n in range(1, orders + 1)
    )
    if orders:
        connection.executemany("INSERT INTO orders VALUES(?,?,?,?,?,?)", rows)
        connection.execute("INSERT INTO \"od\"\"d | name\" VALUES('left', 2), (NULL, 'right')")
    connection.commit()
    raw = connection.serialize()
    connection.close()
    return raw


def opened(raw: bytes, path: str, avoid: dict[str, str] | None = None) -> list[ParsedDocument]:
    found = media_type(raw[:HEAD_BYTES], raw[HEAD_BYTES:][-TAIL_BYTES:], path, len(raw))
    source = ParseInput(io.BytesIO(raw), len(raw), path, found, ParseOptions(avoid=avoid or {}))
    documents = [item for item in parser_for(found).parser(source) if not isinstance(item, Mark)]
    for document in documents:
        assert document.reason or document.status is Status.OK
        assert_sound(document)
    return documents


def only(documents: list[ParsedDocument]) -> ParsedDocument:
    assert len(documents) == 1
    return documents[0]


def assert_sound(document: ParsedDocument) -> None:
    structure = document.structure
    assert Structure.from_json(structure.to_json()) == structure
    for heading in structure.headings:
        assert document.text[heading.start :].startswith("## " + heading.title)
    for block in structure.blocks:
        assert 0 <= block.start < block.end <= len(document.text)
        if block.kind == "table":
            lines = document.text[block.start : block.end].split("\n")
            assert all(line.startswith("| ") and line.endswith(" |") for line in [lines[0], *lines[2:]])
            assert document.text[block.start : block.head_end].endswith("--- |\n") or len(lines) == 2
    for left, right in pairwise(structure.blocks):
        assert left.end <= right.start


def test_a_database_is_its_tables_with_columns_profile_and_first_rows() -> None:
    document = only(opened(database(orders=1000), "shop.db"))
    text = document.text
    assert document.kind == "database" and document.status is Status.OK
    assert [place.label for place in document.structure.places] == [
        "table orders",
        'table od"d | name',
        "table empty",
    ]
    assert "1,000 rows, 6 columns" in text and "0 rows, 1 columns" in text
    assert "| total | REAL | 0 | 1.5 | 1500.0 | 1.5, 3.0, 4.5, 6.0, 7.5, … |" in text
    assert "| note | TEXT | 500 |" in text
    assert "| 2 | Kunde 2 | 3.0 | two lines \\| pipe | (2 bytes) | 2024-01-03 |" in text
    assert "| 200 | Kunde 4 |" in text and "| 201 | Kunde" not in text
    assert document.doubt == "rows are a sample: first 200 of 1,000 rows of table orders"
    orders = document.structure.places[0]
    assert text[orders.start : orders.end].startswith("## table orders") and "od" not in text[orders.start : orders.end]


def test_small_tables_are_whole_and_views_are_shown_not_run() -> None:
    document = only(opened(database(orders=150), "shop.sqlite3"))
    assert document.doubt is None and "All rows" in document.text
    assert "| left | 2 |" in document.text and "|  | right |" in document.text
    assert "CREATE VIEW sums AS SELECT customer" in document.text


def test_a_file_on_disk_and_a_copy_in_memory_give_the_same(tmp_path: Path) -> None:
    raw = database(orders=300)
    path = tmp_path / "a b%20?.db"
    path.write_bytes(raw)
    on_disk = [d for d in parse_path(str(path), "a.db", "application/vnd.sqlite3", len(raw)) if not isinstance(d, Mark)]
    assert on_disk == opened(raw, "a.db")
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name] and path.read_bytes() == raw


def test_a_database_with_a_write_ahead_log(tmp_path: Path) -> None:
    path = tmp_path / "wal.db"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.executescript("CREATE TABLE t(x); INSERT INTO t VALUES('kept');")
    connection.close()
    raw = path.read_bytes()
    assert raw[18:20] == b"\x02\x02"
    assert "| kept |" in only(opened(raw, "wal.db")).text
    parsed = [d for d in parse_path(str(path), "a.db", "application/vnd.sqlite3", len(raw)) if not isinstance(d, Mark)]
    assert "| kept |" in only(parsed).text


def test_a_database_without_tables_is_empty() -> None:
    raw = database("CREATE TABLE t(x); DROP TABLE t;")
    document = only(opened(raw, "x.db"))
    assert (document.status, document.reason) == (Status.EMPTY, "the database has no tables")


def test_virtual_tables_are_named_and_what_they_index_is_read() -> None:
    raw = database("CREATE VIRTUAL TABLE notes USING fts5(body); INSERT INTO notes VALUES('remember the milk');")
    document = only(opened(raw, "x.db"))
    assert "Virtual tables (not read): notes" in document.text and "remember the milk" in document.text
    assert "notes_idx" not in document.text


def test_a_view_and_a_default_that_would_never_end_are_not_run() -> None:
    endless = "WITH RECURSIVE r(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM r) SELECT count(*) FROM r"
    raw = database(f"CREATE VIEW endless AS {endless}; CREATE TABLE t(x); INSERT INTO t VALUES(1);")
    started = time.monotonic()
    assert "CREATE VIEW endless" in only(opened(raw, "x.db")).text
    assert time.monotonic() - started < 5


def test_a_table_that_takes_too_many_steps_costs_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "_STEPS", 1000)
    monkeypatch.setattr(sqlite, "_MOST_STEPS", 5)
    script = """CREATE TABLE a(x); CREATE TABLE b(x); INSERT INTO b VALUES('short');
    WITH RECURSIVE r(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM r LIMIT 20000) INSERT INTO a SELECT x FROM r;"""
    document = only(opened(database(script), "x.db"))
    assert document.status is Status.PARTIAL and "table a" in (document.reason or "")
    assert "interrupted" in (document.reason or "") and "| short |" in document.text


def test_a_schema_that_lies() -> None:
    script = """CREATE TABLE t(x); INSERT INTO t VALUES(1); PRAGMA writable_schema=ON;
    INSERT INTO sqlite_master VALUES('table', 'ghost', 'ghost', 2, 'CREATE TABLE ghost(x, y, z)');
    UPDATE sqlite_master SET sql = 'CREATE TABLE t(x DEFAULT (load_extension(''/x'')), CHECK(' WHERE name = 't';"""
    documents = opened(database(script), "x.db")
    assert {d.status for d in documents} <= {Status.FAILED, Status.PARTIAL}


def test_large_blobs_are_counted_and_not_shown() -> None:
    raw = database("CREATE TABLE t(x); INSERT INTO t VALUES(zeroblob(30000000)), ('after');")
    document = only(opened(raw, "x.db"))
    assert (len(document.text) < 2000 and "bytes)" in document.text) or document.status is Status.PARTIAL


def test_a_damaged_database_keeps_what_can_be_read() -> None:
    raw = database(orders=3000)
    page = int.from_bytes(raw[16:18], "big")
    bad = bytearray(raw)
    for at in range(40 * page, 42 * page):
        bad[at] = 0xAA
    document = only(opened(bytes(bad), "x.db"))
    assert document.status is Status.PARTIAL and "table orders" in (document.reason or "")
    assert "| 1 | Kunde 1 |" in document.text and "Not read to its end" in document.text
    cut = opened(raw[: 3 * page], "x.db")
    assert {d.status for d in cut} <= {Status.FAILED, Status.PARTIAL}
    assert only(opened(raw[:100] + b"\0" * 5000, "x.db")).status is Status.FAILED


def test_mutated_databases_never_crash_the_sandbox(tmp_path: Path) -> None:
    raw = database(orders=400)
    dice = random.Random(7)
    with Sandbox(timeout_s=20, memory_mb=1024) as sandbox:
        for number in range(120):
            bad = bytearray(raw)
            for _ in range(dice.choice((3, 30, 300))):
                bad[dice.randrange(16, len(bad) if number % 2 else 2000)] = dice.randrange(256)
            path = tmp_path / "x.db"
            path.write_bytes(bad)
            call = sandbox.call(
                "cortex_assets.documents.parse.parse_path", str(path), "x.db", "application/vnd.sqlite3", len(bad)
            )
            documents = [item for item in call if not isinstance(item, Mark)]
            assert call.outcome == Ok() and documents
            assert all(document.reason or document.status is Status.OK for document in documents)


def test_a_table_that_ended_an_attempt_is_left_out() -> None:
    document = only(opened(database(orders=10), "x.db", avoid={"table orders": "crashed: signal 11"}))
    assert document.status is Status.PARTIAL and "signal 11" in (document.reason or "")
    assert "Kunde" not in document.text and "| left | 2 |" in document.text


def frame(rows: int = 5000) -> pa.Table:
    start = dt.datetime(2020, 1, 1)
    return pa.table(
        {
            "id": range(rows),
            "name": [f"n{number % 5}" for number in range(rows)],
            "when": [start + dt.timedelta(hours=number) for number in range(rows)],
            "tags": [["a", "b"]] * rows,
            "raw": [b"xyz"] * rows,
            "maybe": [None if number % 2 else number for number in range(rows)],
        }
    )


def parquet_bytes(table: pa.Table, **options: int) -> bytes:
    stream = io.BytesIO()
    parquet.write_table(table, stream, **options)
    return stream.getvalue()


def arrow_bytes(table: pa.Table) -> bytes:
    stream = io.BytesIO()
    with pa.ipc.new_file(stream, table.schema) as writer:
        writer.write_table(table, max_chunksize=1000)
    return stream.getvalue()


@pytest.mark.parametrize(("suffix", "write"), [("parquet", parquet_bytes), ("arrow", arrow_bytes)])
def test_column_stores(suffix: str, write: object) -> None:
    assert callable(write)
    document = only(opened(write(frame()), f"x.{suffix}"))
    assert document.kind == "table" and document.status is Status.OK
    assert "5,000 rows, 6 columns" in document.text
    assert "| maybe | int64 | 2,500 | 0 | 4998 |" in document.text
    assert '| 1 | n1 | 2020-01-01 01:00:00 | ["a", "b"] | (3 bytes) |  |' in document.text
    assert document.doubt == "rows are a sample: first 200 of 5,000 rows"
    assert document.structure.places[0].label == "table"
    whole = only(opened(write(frame(3)), f"x.{suffix}"))
    assert whole.doubt is None and "All rows" in whole.text
    none = only(opened(write(frame(0)), f"x.{suffix}"))
    assert none.status is Status.OK and "0 rows" in none.text


def test_limits_of_a_large_parquet_file_are_those_of_all_rows() -> None:
    table = pa.table({"n": range(60_000), "s": [str(number) for number in range(60_000)]})
    document = only(opened(parquet_bytes(table, row_group_size=10_000), "x.parquet"))
    assert "| n | int64 | 0 | 0 | 59999 |" in document.text and "profile of the first 50,000 rows" in document.text


def test_damaged_column_stores() -> None:
    raw = parquet_bytes(frame())
    bad = bytearray(raw)
    bad[1000:1400] = b"\xff" * 400
    document = only(opened(bytes(bad), "x.parquet"))
    assert document.status is Status.PARTIAL and "| name | string |" in document.text
    assert only(opened(raw[:-100], "x.parquet")).status is Status.FAILED
    assert only(opened(arrow_bytes(frame())[:-300], "x.arrow")).status is Status.FAILED
    skipped = only(opened(raw, "x.parquet", avoid={"rows": "crashed: signal 11"}))
    assert skipped.status is Status.PARTIAL and "5,000 rows" in skipped.text


def test_a_row_group_that_unpacks_to_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cortex_assets.documents.parsers.columnar.MAX_GROUP", 1000)
    document = only(opened(parquet_bytes(frame()), "x.parquet"))
    assert document.status is Status.PARTIAL and "row groups above" in (document.reason or "")


def test_many_large_tables_come_in_parts() -> None:
    script = "".join(f"CREATE TABLE t{number}(x);" for number in range(120))
    script += "".join(
        f"WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r LIMIT 200) "
        f"INSERT INTO t{number} SELECT n || '{'x' * 190}' FROM r;"
        for number in range(120)
    )
    documents = opened(database(script), "x.db")
    assert [document.inner for document in documents] == ["part-0001", "part-0002"]
    assert sum(len(document.structure.places) for document in documents) == 120
