"""The state cache: it answers, it survives damage, and two processes may use it."""

import multiprocessing
import os
import sqlite3
from pathlib import Path

import pytest

from resources.state import CachedFile, State

FILE = CachedFile(5, 10**18, 10**18, 7, "ab" * 32, "text/plain", 2 * 10**18)


def test_files_come_back(tmp_path: Path) -> None:
    with State(tmp_path / "cache" / "state.sqlite") as state:
        state.remember("c", {b"a\xff\n": FILE, b"b": FILE._replace(content_hash=None)})
        state.remember("d", {b"a": FILE})
        state.remember("c", {}, [b"b", b"never there"])
    with State(tmp_path / "cache" / "state.sqlite") as state:
        assert state.files("c") == {b"a\xff\n": FILE}
        assert state.stats("c") == {b"a\xff\n": (5, 10**18, 10**18, 7)}
        state.forget_corpus("c")
        assert (state.files("c"), len(state.files("d"))) == ({}, 1)


def test_racy_files_are_counted(tmp_path: Path) -> None:
    with State(tmp_path / "s.sqlite") as state:
        second = 10**9
        still = FILE._replace(mtime_ns=98 * second, hashed_at_ns=100 * second)
        state.remember("c", {b"still": still, b"young": still._replace(mtime_ns=98 * second + 1)})
        future = still._replace(mtime_ns=500 * second, ctime_ns=10 * second)
        state.remember("c", {b"future": future, b"future young": future._replace(ctime_ns=99 * second)})
        assert state.racy_count("c", 2 * second) == 2


def test_complete_records(tmp_path: Path) -> None:
    with State(tmp_path / "s.sqlite") as state:
        state.set_complete("notes", "documents", {"version": 3})
        state.set_complete("notes", "chunks", {"version": 4})
        assert state.completes("notes") == {"documents": {"version": 3}, "chunks": {"version": 4}}
        state.clear_complete("notes", "documents")
        assert state.complete("notes", "documents") is None
        state.clear_complete("notes")
        assert state.completes("notes") == {}


@pytest.mark.parametrize("content", [b"", b"not a database at all" * 500, b"SQLite format 3\x00" + b"\xff" * 8192])
def test_a_damaged_file_is_replaced(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "s.sqlite").write_bytes(content)
    with State(tmp_path / "s.sqlite") as state:
        state.remember("c", {b"a": FILE})
    with State(tmp_path / "s.sqlite") as state:
        assert state.files("c") == {b"a": FILE}


def test_damage_that_shows_later_is_replaced_too(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    with State(path) as state:
        state.remember("c", {b"%d" % number: FILE for number in range(5_000)})
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(8 * 4096)
        file.write(os.urandom(size - 16 * 4096))
    with State(path) as state:
        assert state.files("c") == {}
        state.remember("c", {b"a": FILE})
        assert state.files("c") == {b"a": FILE}
    with State(path) as state:
        assert state.files("c") == {b"a": FILE}


def test_a_damaged_file_that_another_holds_is_left_to_it(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    with State(path) as first:
        first.set_meta("who", "first")
        second = State(path)
        second._connection.close()
        second._connection = second._rebuilt()
        assert second.meta("who") is None
        second.set_meta("who", "second")
        assert first.meta("who") == "first"
        second.close()
    with State(path) as third:
        assert third.meta("who") == "first"


def test_another_version_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE listing (old TEXT)")
    connection.execute("PRAGMA user_version = 1")
    connection.commit()
    connection.close()
    with State(path) as state:
        assert state.files("c") == {}


def _writer(path: Path, name: str) -> None:
    with State(path) as state:
        for number in range(40):
            state.remember(name, {b"%d" % number: FILE})


def test_two_processes_write_at_once(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    context = multiprocessing.get_context("spawn")
    names = ("one", "two", "three", "four")
    workers = [context.Process(target=_writer, args=(path, name)) for name in names]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0] * 4
    with State(path) as state:
        assert [len(state.files(name)) for name in names] == [40] * 4
