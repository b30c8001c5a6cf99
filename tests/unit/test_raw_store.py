"""The raw store: what is taken is whole, found by its hash, and swept only when nothing names it."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from resources import raw_store
from resources.raw_store import RawStore, SourceMoved, StoreWriteError, hash_file


@contextmanager
def opened(path: Path) -> Iterator[int]:
    fd = os.open(path, os.O_RDONLY)
    try:
        yield fd
    finally:
        os.close(fd)


def stored(root: Path) -> list[str]:
    return sorted(path.name for path in root.glob("??/*"))


@pytest.mark.parametrize("size", [0, 10, 100_000, raw_store._SMALL, raw_store._SMALL + 1, raw_store._SMALL + 3_000_000])
def test_bytes_come_back_by_their_hash(tmp_path: Path, size: int) -> None:
    content = os.urandom(size)
    source = tmp_path / "source"
    source.write_bytes(content)
    with RawStore(tmp_path / "raw") as store, opened(source) as fd:
        taken = store.take(fd)
        assert not store.path_of(taken.content_hash).exists()
        assert store.has(taken.content_hash)
    assert (taken.content_hash, taken.size) == (hashlib.sha256(content).hexdigest(), size)
    assert store.path_of(taken.content_hash).read_bytes() == content
    assert store.verify(taken.content_hash)
    with opened(source) as fd:
        assert hash_file(fd) == taken
    assert list((tmp_path / "raw" / ".incoming").iterdir()) == []


def test_equal_content_is_stored_once(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"same")
    (tmp_path / "b").write_bytes(b"same")
    store = RawStore(tmp_path / "raw")
    for _ in range(2):
        for name in ("a", "b"):
            with opened(tmp_path / name) as fd:
                store.take(fd)
        store.flush()
    assert stored(tmp_path / "raw") == [hashlib.sha256(b"same").hexdigest()]
    assert list((tmp_path / "raw" / ".incoming").iterdir()) == []


@pytest.mark.parametrize("size", [1_000, raw_store._SMALL + 1])
def test_a_source_that_grows_meanwhile_is_refused(tmp_path: Path, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "growing"
    source.write_bytes(b"x" * size)
    store = RawStore(tmp_path / "raw")
    real = os.read

    def growing(fd: int, count: int) -> bytes:
        with source.open("ab") as file:
            file.write(b"more")
        return real(fd, count)

    monkeypatch.setattr(raw_store.os, "read", growing)
    store._can_reflink = False
    with opened(source) as fd, pytest.raises(SourceMoved):
        store.take(fd)
    store.flush()
    assert stored(tmp_path / "raw") == []


def test_a_crash_before_flush_leaves_only_what_a_sweep_removes(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"content")
    store = RawStore(tmp_path / "raw")
    with opened(tmp_path / "a") as fd:
        taken = store.take(fd)
    assert stored(tmp_path / "raw") == []
    fresh = RawStore(tmp_path / "raw")
    assert not fresh.has(taken.content_hash)
    assert fresh.sweep(set(), time.time() - 3600).files == 0
    assert fresh.sweep(set(), time.time() + 1).files == 1


_KILLED = """
import os, signal, sys
from pathlib import Path
from resources.raw_store import RawStore
store = RawStore(Path(sys.argv[1]))
store.take(os.open(sys.argv[2], os.O_RDONLY))
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_process_left_is_removed_and_what_a_living_one_holds_is_not(tmp_path: Path) -> None:
    incoming = tmp_path / "raw" / ".incoming"
    (tmp_path / "a").write_bytes(b"content")
    assert RawStore(tmp_path / "raw").remove_abandoned() == 0
    store = RawStore(tmp_path / "raw")
    with opened(tmp_path / "a") as fd:
        taken = store.take(fd)
    mine = sorted(path.name for path in incoming.iterdir())
    done = subprocess.run([sys.executable, "-c", _KILLED, tmp_path / "raw", tmp_path / "a"], check=False)
    assert done.returncode == -signal.SIGKILL
    assert len(list(incoming.iterdir())) == len(mine) + 2
    assert RawStore(tmp_path / "raw").remove_abandoned() == 1
    assert sorted(path.name for path in incoming.iterdir()) == mine
    store.flush()
    assert stored(tmp_path / "raw") == [taken.content_hash]
    assert list(incoming.iterdir()) == []


def test_leftovers_of_an_older_cortex_are_removed_after_a_day(tmp_path: Path) -> None:
    incoming = tmp_path / "raw" / ".incoming"
    incoming.mkdir(parents=True)
    for name in ("17-00ff-1", "17-00ff-2"):
        (incoming / name).write_bytes(b"content")
    os.utime(incoming / "17-00ff-1", (1_000, 1_000))
    assert RawStore(tmp_path / "raw").remove_abandoned() == 1
    assert [path.name for path in incoming.iterdir()] == ["17-00ff-2"]


def test_sweep_keeps_what_is_named_and_what_is_young(tmp_path: Path) -> None:
    store, hashes = RawStore(tmp_path / "raw"), []
    for content in (b"named", b"young", b"old", b"old but claimed"):
        (tmp_path / "f").write_bytes(content)
        with opened(tmp_path / "f") as fd:
            hashes.append(store.take(fd).content_hash)
    store.flush()
    for place in (0, 2, 3):
        os.utime(store.path_of(hashes[place]), (1_000, 1_000))
    assert store.claim(hashes[3])
    swept = store.sweep({hashes[0]}, time.time() - 3600)
    assert (swept.files, swept.size) == (1, 3)
    assert stored(tmp_path / "raw") == sorted([hashes[0], hashes[1], hashes[3]])


def test_verify_sees_damage_and_loss(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"content")
    with RawStore(tmp_path / "raw") as store, opened(tmp_path / "f") as fd:
        taken = store.take(fd)
    path = store.path_of(taken.content_hash)
    path.chmod(0o640)
    path.write_bytes(b"c0ntent")
    assert not store.verify(taken.content_hash)
    path.unlink()
    assert not store.verify(taken.content_hash)


def test_a_hash_is_no_path(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is not a SHA-256"):
        RawStore(tmp_path).path_of("../../etc/passwd")


def test_a_store_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "raw").write_text("a file where the folder should be")
    (tmp_path / "f").write_bytes(b"content")
    with opened(tmp_path / "f") as fd, pytest.raises(StoreWriteError, match="cannot be written"):
        RawStore(tmp_path / "raw").take(fd)


@pytest.mark.parametrize("size", [10, 5 << 20])
def test_the_guard_is_asked_before_bytes_are_written(tmp_path: Path, size: int) -> None:
    asked: list[int] = []

    def guard(needed: int) -> None:
        asked.append(needed)
        raise RuntimeError("the disk is full")

    (tmp_path / "source").write_bytes(b"x" * size)
    store = RawStore(tmp_path / "raw", guard)
    with (tmp_path / "source").open("rb") as source, pytest.raises(RuntimeError, match="full"):
        store.take(source.fileno())
    assert asked == [size]
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path.name != "source"]
