"""SQL over Delta tables: what is answered, what is refused, and that nothing hostile gets through."""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
from deltalake import write_deltalake

from apps.reports import to_json
from apps.sql_reports import SqlResult
from resources import sql_child
from resources.sql import SqlAnswer, SqlDoor, SqlError, SqlLimits, SqlTable, sql_type
from tests.unit import hostile_queries

Ask = Callable[..., SqlAnswer]
SECRET = "canary-7f3a-never-shown"
LIMITS = SqlLimits(seconds=1.0, memory_mb=256, process_mb=1_500)
RUNS = (("run_id", "VARCHAR"), ("n", "BIGINT"), ("later", "VARCHAR"), ("made_at", "TIMESTAMP WITH TIME ZONE"))


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("lake")
    when = datetime(2026, 11, 1, tzinfo=UTC)
    runs = pl.DataFrame({"run_id": ["a", "b", "c"], "n": [1, 2, 3], "made_at": [when] * 3})
    write_deltalake(root / "ops" / "runs", runs.to_arrow())
    parts = pl.DataFrame(
        {"shard": ["x", "x", "y"], "name": ["a", None, "c"], "raw": [b"1", None, b"3"], "tags": [["a"]] * 3}
    )
    write_deltalake(root / "bronze" / "files", parts.to_arrow(), partition_by=["shard"])
    write_deltalake(root / "bronze" / "files", parts.clear().to_arrow(), mode="append")
    broken = root / "silver" / "chunks" / "_delta_log"
    broken.mkdir(parents=True)
    (broken / "00000000000000000000.json").write_text("this is no log")
    return root


@pytest.fixture(scope="module")
def tables(lake: Path) -> tuple[SqlTable, ...]:
    return (
        SqlTable("ops", "runs", str(lake / "ops" / "runs"), RUNS),
        SqlTable("ops", "absent", str(lake / "ops" / "absent"), (("id", "VARCHAR"),)),
        SqlTable(
            "bronze",
            "files",
            str(lake / "bronze" / "files"),
            (("shard", "VARCHAR"), ("name", "VARCHAR"), ("raw", "BLOB"), ("tags", "VARCHAR[]"), ("notes", "VARCHAR[]")),
        ),
        SqlTable("silver", "chunks", str(lake / "silver" / "chunks"), (("id", "VARCHAR"), ("n", "BIGINT"))),
    )


@pytest.fixture(scope="module")
def door() -> Iterator[SqlDoor]:
    made = SqlDoor(LIMITS)
    yield made
    made.close()


@pytest.fixture
def ask(door: SqlDoor, tables: tuple[SqlTable, ...]) -> Ask:
    def asked(query: str, limit: int = 100) -> SqlAnswer:
        return door.ask(query, tables, limit)

    return asked


def test_rows_columns_types_and_versions(ask: Ask) -> None:
    answer = ask("SELECT run_id, n * 2 AS double, made_at FROM ops.runs WHERE n > 1 ORDER BY n")
    assert answer.columns == ("run_id", "double", "made_at")
    assert answer.types == ("VARCHAR", "BIGINT", "TIMESTAMP WITH TIME ZONE")
    when = datetime(2026, 11, 1, tzinfo=UTC)
    assert answer.rows == (("b", 4, when), ("c", 6, when))
    assert answer.versions == {"ops.runs": 0} and not answer.is_cut


def test_a_column_declared_later_is_null_and_an_absent_table_is_empty(ask: Ask) -> None:
    assert ask("SELECT count(*), count(later) FROM ops.runs").rows == ((3, 0),)
    answer = ask("SELECT * FROM ops.absent")
    assert answer.rows == () and answer.columns == ("id",) and answer.versions == {"ops.absent": -1}


def test_only_named_tables_are_opened(ask: Ask) -> None:
    """The log of silver.chunks is damaged: only a query that names it can know."""
    assert ask("SELECT count(*) FROM ops.runs").rows == ((3,),)
    assert len(ask("SHOW ALL TABLES").rows) >= 3
    with pytest.raises(SqlError):
        ask("SELECT count(*) FROM silver.chunks")
    with pytest.raises(SqlError):
        ask("SELECT (SELECT max(n) FROM SILVER.Chunks) FROM ops.runs")


def test_filters_and_columns_are_pushed_into_the_reading(ask: Ask) -> None:
    (plan,) = ask("EXPLAIN SELECT run_id FROM ops.runs WHERE n = 2").rows
    assert "Filters" in str(plan[1]) and "Projections: run_id" in str(plan[1])


@pytest.mark.parametrize(
    ("where", "names"),
    [
        ("shard = 'x'", ["a", None]),
        ("shard IN ('x', 'y') AND name >= 'b'", ["c"]),
        ("name = 'a'", ["a"]),
        ("name IN ('a', 'c')", ["a", "c"]),
        ("name IS NULL", [None]),
        ("name <> 'a'", ["c"]),
        ("name LIKE 'c%'", ["c"]),
        ("raw = '3'::BLOB", ["c"]),
        ("shard = 'nothing'", []),
        ("tags = ['a'] AND notes IS NULL AND shard = 'y'", ["c"]),
    ],
)
def test_pushed_filters_give_the_right_rows(ask: Ask, where: str, names: list[str | None]) -> None:
    rows = ask(f"SELECT name FROM bronze.files WHERE {where} ORDER BY name NULLS LAST").rows
    assert [row[0] for row in rows] == names


@pytest.mark.parametrize(
    "query",
    [
        "WITH a AS (SELECT * FROM ops.runs) SELECT count(*) FROM a",
        "FROM ops.runs",
        "VALUES (1)",
        "DESCRIBE ops.runs",
        "DESCRIBE SELECT * FROM ops.runs",
        "SUMMARIZE ops.runs",
        "SHOW TABLES FROM ops",
        "EXPLAIN SELECT 1",
        "explain analyze -- all of it\n SELECT count(*) FROM ops.runs",
        "SELECT 1;",
        "SELECT ';' AS a -- ; DROP TABLE x",
        "SELECT unnest([1, 2, 3])",
        "SELECT * FROM generate_series(1, 3)",
        "PIVOT ops.runs ON n IN (1, 2) USING count(*) GROUP BY run_id",
        "SELECT 'größer 東京' AS a",
        "EXPLAIN /* größer 東京 */ SELECT 'größer' AS a",
    ],
)
def test_what_reads_is_answered(ask: Ask, query: str) -> None:
    assert ask(query).rows


def test_many_filtered_scans_at_once_do_not_wait_for_each_other(ask: Ask) -> None:
    """A scanner over a scanner waited for a thread of the pool that it held itself."""
    joined = " JOIN ".join(f"(SELECT n FROM ops.runs WHERE run_id <> 'c{k}') t{k} USING (n)" for k in range(1, 13))
    assert ask(f"SELECT count(*) FROM (SELECT n FROM ops.runs WHERE run_id <> 'z') t0 JOIN {joined}").rows == ((3,),)
    for _ in range(5):
        assert len(ask("SELECT run_id FROM ops.runs WHERE run_id >= 'a' LIMIT 1").rows) == 1


def test_files_that_cannot_hold_what_is_wanted_are_not_opened(tmp_path: Path, door: SqlDoor) -> None:
    """The log tells: one file of three is damaged, and only a query that needs it can know."""
    for shard, name in (("x", "a"), ("x", "m"), ("y", "z")):
        rows = pl.DataFrame({"shard": [shard], "name": [name], "n": [1]})
        write_deltalake(tmp_path / "t", rows.to_arrow(), partition_by=["shard"], mode="append")
    (damaged,) = (tmp_path / "t" / "shard=y").glob("*.parquet")
    damaged.write_bytes(b"PAR1 no more PAR1")
    table = SqlTable("a", "t", str(tmp_path / "t"), (("shard", "VARCHAR"), ("name", "VARCHAR"), ("n", "BIGINT")))
    for where, count in (("shard = 'x'", 2), ("name < 'c'", 1), ("name IN ('a', 'm') AND n = 1", 2), ("name = 'b'", 0)):
        assert door.ask(f"SELECT count(n) FROM a.t WHERE {where}", (table,), 1).rows == ((count,),)
    for where in ("shard = 'y'", "name > 'b'", "n = 1"):
        with pytest.raises(SqlError):
            door.ask(f"SELECT count(n) FROM a.t WHERE {where}", (table,), 1)


def test_rows_and_values_are_limited(ask: Ask) -> None:
    begin = time.perf_counter()
    answer = ask("SELECT * FROM range(100000000000)", 7)
    assert [row[0] for row in answer.rows] == list(range(7)) and answer.is_cut
    assert time.perf_counter() - begin < 3
    assert not ask("SELECT * FROM range(7)", 7).is_cut
    (row,) = ask("SELECT repeat('x', 50000) AS a, repeat('x', 50000)::BLOB AS b").rows
    assert str(row[0]).endswith("… (50,000 characters)") and len(str(row[0])) < 21_000
    assert len(str(row[1])) < 21_000
    many = ask("SELECT repeat('x', 19999) FROM range(5000)", 5000)
    assert many.is_cut and 0 < len(many.rows) < 5000


def test_values_are_plain() -> None:
    shown = sql_child._Shown(100)
    assert shown.plain(Decimal("1.5")) == 1.5
    assert shown.plain(Decimal("0.12345678901234567890")) == "0.12345678901234567890"
    assert shown.plain(float("nan")) == "nan"


def test_every_value_has_a_json_form(ask: Ask) -> None:
    answer = ask(
        "SELECT 1.5, 10::HUGEINT, INTERVAL 3 DAY, uuid(), {'a': [now()]}, MAP {'k': 1}, [1, NULL], '\\x00'::BLOB, TIME '10:00',"
        " now(), 'inf'::DOUBLE, DATE '2020-01-01', 1::BIT, 'infinity'::TIMESTAMP, NULL, MAP {[1]: 'list as key'}"
    )
    result = SqlResult(answer.columns, answer.types, answer.rows, answer.is_cut, 0.0, answer.versions)
    assert '"0x00"' in to_json(result) and '"inf"' in to_json(result)


def test_sql_types() -> None:
    assert sql_type(pl.List(pl.Struct({"a": pl.Datetime(time_zone="UTC")}))) == (
        'STRUCT("a" TIMESTAMP WITH TIME ZONE)[]'
    )
    with pytest.raises(TypeError):
        sql_type(pl.Categorical())


# -- attacks -----------------------------------------------------------------------------------------------------------


class Listening:
    """A loopback port that counts who connects."""

    def __init__(self) -> None:
        self.connections = 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        while True:
            try:
                self._socket.accept()[0].close()
            except OSError:
                return
            self.connections += 1

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


REFUSED = (*hostile_queries.WRITES, *hostile_queries.READS, *hostile_queries.NETWORK, *hostile_queries.SEVERAL)


def test_hostile_queries_are_refused(
    lake: Path, tables: tuple[SqlTable, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No write, no file, no connection, no hang, a clear error; the next question is answered as ever."""
    assert len(REFUSED) >= 60
    outside, home, here = tmp_path / "outside", tmp_path / "home", tmp_path / "here"
    for folder in (outside, home, here):
        folder.mkdir()
    file = outside / "secret.csv"
    file.write_text(f"a,b\n{SECRET},2\n")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("CANARY", SECRET)
    monkeypatch.setenv("TMPDIR", str(outside))
    monkeypatch.chdir(here)
    before, listening = (everything(lake), everything(tmp_path)), Listening()
    door = SqlDoor(LIMITS)
    answered = []
    try:
        for query in REFUSED:
            filled = query.replace("{file}", str(file)).replace("{folder}", str(outside))
            filled = filled.replace("{port}", str(listening.port))
            begin = time.perf_counter()
            with pytest.raises(SqlError) as caught:
                answered.append((query, door.ask(filled, tables, 100)))
            assert SECRET not in str(caught.value) + caught.value.remedy, query
            assert 5 < len(str(caught.value)) < 2_500, query
            assert "INTERNAL" not in str(caught.value), query
            assert time.perf_counter() - begin < 5, query
        assert not answered
        assert (everything(lake), everything(tmp_path)) == before
        assert listening.connections == 0
        assert door.ask("SELECT count(*) FROM ops.runs", tables, 1).rows == ((3,),)
    finally:
        door.close()
        listening.close()


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(hostile_queries.BOMBS)))
def test_bombs_end(ask: Ask, lake: Path, number: int) -> None:
    """They end in time, by an error or an answer of bounded size, and this process keeps its memory."""
    before, begin = everything(lake), time.perf_counter()
    resident = _resident()
    try:
        answer = ask(hostile_queries.BOMBS[number])
    except SqlError as error:
        assert 5 < len(str(error)) < 2_500
    else:
        assert len(repr(answer.rows)) < 20_000_000
    assert time.perf_counter() - begin < LIMITS.seconds + 7
    assert _resident() - resident < 200_000_000
    assert everything(lake) == before
    assert ask("SELECT count(*) FROM ops.runs").rows == ((3,),)


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


def test_each_lock_holds_alone(tmp_path: Path) -> None:
    """Where the judgement of a query failed, the engine's own locks and the transaction still would hold."""
    import duckdb

    file = tmp_path / "secret.csv"
    file.write_text(SECRET)
    with duckdb.connect(":memory:") as connection:
        sql_child._lock_down(connection, LIMITS)
        connection.execute("CREATE SCHEMA ops")
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        for query in (
            f"SELECT * FROM read_text('{file}')",
            f"COPY (SELECT 1) TO '{tmp_path}/out.csv'",
            f"ATTACH '{tmp_path}/out.db'",
            "LOAD httpfs",
            "SET enable_external_access = true",
            "SET python_enable_replacements = true",
            "SELECT * FROM file",
        ):
            with pytest.raises(duckdb.Error):
                connection.execute(query)
        connection.execute("BEGIN TRANSACTION READ ONLY")
        with pytest.raises(duckdb.Error):
            connection.execute("CREATE TABLE ops.mine (a INTEGER)")
    assert [path.name for path in tmp_path.iterdir()] == ["secret.csv"]


def test_a_table_that_was_not_named_is_never_read_as_empty(tables: tuple[SqlTable, ...]) -> None:
    """Where the judgement missed a name, reading it fails instead of giving no rows."""
    import duckdb

    with duckdb.connect(":memory:") as connection:
        sql_child._open(connection, tables, frozenset(), None)
        for query in (
            "SELECT count(*) FROM ops.runs",
            "SELECT sum(n) FROM ops.runs WHERE run_id = 'a'",
            "FROM ops.runs",
        ):
            with pytest.raises(duckdb.Error, match="not opened"):
                connection.execute(query).fetchall()
