"""Leases between processes and threads; a killed holder leaves nothing behind."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cortex_assets.engine.lease import LeaseBusy, holders, lake_lease, shard_lease

ROOT = Path(__file__).parents[3]
HOLD = """
import sys, time
from pathlib import Path
from cortex_assets.engine.lease import lake_lease, shard_lease
folder, name = Path(sys.argv[1]), sys.argv[2]
with (lake_lease(folder) if name == "lake" else shard_lease(folder, name)):
    print("held", flush=True)
    time.sleep(60)
"""


@contextmanager
def child_holds(folder: Path, name: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", HOLD, str(folder), name]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == "held\n"
            yield child
        finally:
            child.kill()


def test_another_process_is_refused_until_the_holder_is_killed(tmp_path: Path) -> None:
    with child_holds(tmp_path, "notes") as child:
        with pytest.raises(LeaseBusy) as caught, shard_lease(tmp_path, "notes"):
            pass
        assert caught.value.holder is not None
        assert caught.value.holder.pid == child.pid
        assert str(child.pid) in str(caught.value)
        assert [holder.name for holder in holders(tmp_path)] == ["notes"]
        with shard_lease(tmp_path, "other"):
            pass
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        with shard_lease(tmp_path, "notes"):
            pass
    assert holders(tmp_path) == []


def test_maintenance_and_runs_exclude_each_other(tmp_path: Path) -> None:
    with child_holds(tmp_path, "notes") as child:
        with pytest.raises(LeaseBusy) as caught, lake_lease(tmp_path):
            pass
        assert caught.value.holder is not None
        assert caught.value.holder.pid == child.pid
    with child_holds(tmp_path, "lake"):
        with pytest.raises(LeaseBusy, match="the lake"), shard_lease(tmp_path, "notes"):
            pass
        with pytest.raises(LeaseBusy, match="the lake"), lake_lease(tmp_path):
            pass
    with lake_lease(tmp_path):
        pass


def test_the_same_process_is_refused_too(tmp_path: Path) -> None:
    refused: list[str] = []

    def second() -> None:
        try:
            with shard_lease(tmp_path, "notes"):
                pass
        except LeaseBusy as error:
            refused.append(str(error))

    with shard_lease(tmp_path, "notes"):
        second()
        thread = threading.Thread(target=second)
        thread.start()
        thread.join()
    assert len(refused) == 2
    assert all("this very process" in text for text in refused)
    with shard_lease(tmp_path, "notes"):
        pass


def test_a_child_does_not_inherit_the_lease(tmp_path: Path) -> None:
    with shard_lease(tmp_path, "notes"):
        started = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(30)"], close_fds=False)
        read, write = os.pipe()
        forked = os.fork()
        if forked == 0:
            os.close(write)
            os.read(read, 1)
            os._exit(0)
        os.close(read)
    try:
        with shard_lease(tmp_path, "notes"):
            pass
    finally:
        os.close(write)
        os.waitpid(forked, 0)
        started.kill()
        started.wait()


def test_a_sign_of_life_is_written(tmp_path: Path) -> None:
    with shard_lease(tmp_path, "notes") as lease:
        first = holders(tmp_path)[0]
        time.sleep(1.1)
        lease.beat()
        second = holders(tmp_path)[0]
    assert second.started_at == first.started_at
    assert second.heartbeat_at > first.heartbeat_at


@pytest.mark.parametrize("name", ["notes.00", "../up", "a/b", ".hidden", "x y", "_lake2", "ä"])
def test_names_are_encoded(tmp_path: Path, name: str) -> None:
    with shard_lease(tmp_path / "locks", name):
        assert [holder.name for holder in holders(tmp_path / "locks")] == [name]
    assert [path.name for path in tmp_path.iterdir()] == ["locks"]


def test_a_replaced_lock_file_is_noticed(tmp_path: Path) -> None:
    with shard_lease(tmp_path, "notes"):
        (tmp_path / "notes.lock").unlink()
    with shard_lease(tmp_path, "notes"), pytest.raises(LeaseBusy), shard_lease(tmp_path, "notes"):
        pass


def test_given_back_its_file_names_nobody_and_keeps_its_room(tmp_path: Path) -> None:
    """On a full disk the next holder writes its name where the last one's was."""
    with shard_lease(tmp_path, "notes"):
        assert b"pid" in (tmp_path / "notes.lock").read_bytes()
    assert (tmp_path / "notes.lock").read_bytes() == b"{"


def test_whoever_looks_at_holders_keeps_nobody_from_a_lease(tmp_path: Path) -> None:
    """To see that a lease is free it is taken for an instant; a run that comes just then tries again."""
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            holders(tmp_path)

    with shard_lease(tmp_path, "notes"):
        pass
    lookers = [threading.Thread(target=look) for _ in range(2)]
    for looker in lookers:
        looker.start()
    try:
        for _ in range(1_500):
            with shard_lease(tmp_path, "notes"):
                pass
    finally:
        over.set()
        for looker in lookers:
            looker.join()
