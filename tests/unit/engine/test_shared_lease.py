"""Leases among machines: one wins, the dead are replaced, who was late writes nothing, and no clock is compared with another."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, tzinfo
from pathlib import Path

import polars as pl
import pytest

from cortex_assets.engine import shared_lease
from cortex_assets.engine.lease import (
    LAKE,
    LeaseBusy,
    LeaseLost,
    check_held,
    fences,
    holders,
    lake_lease,
    shard_lease,
    take,
)
from cortex_assets.ops.schema import SNAPSHOTS
from resources.bucket import Bucket, LeasePlace
from resources.lake_handles import Handles
from resources.lake_table import Table
from resources.lakehouse import Lakehouse
from tests.object_store import Store, serving

ROOT = Path(__file__).parents[3]
TERM = 1.0
OVER = TERM + 2 * shared_lease.RESOLUTION + 0.2
HOLD = """
import sys
from pathlib import Path
from cortex_assets.engine.lease import LeaseLost, check_held, lake_lease, shard_lease
from resources.bucket import Bucket, LeasePlace
folder, machine, name, url, *pairs = sys.argv[1:]
bucket = Bucket(url, tuple(tuple(pair.split("=", 1)) for pair in pairs))
place = LeasePlace(Path(folder), bucket, machine, 1.0)
with (lake_lease(place) if name == "lake" else shard_lease(place, name)):
    print("held", flush=True)
    sys.stdin.readline()
    try:
        check_held(place)
        print("mine", flush=True)
    except LeaseLost as error:
        print(f"lost: {error}", flush=True)
"""


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    with serving() as server:
        yield server


class Machines:
    """Machines that share one new place in the store."""

    def __init__(self, bucket: Bucket, folder: Path) -> None:
        self.bucket, self.folder = bucket, folder

    def place(self, machine: str, bucket: Bucket | None = None) -> LeasePlace:
        return LeasePlace(self.folder / machine, bucket or self.bucket, machine, TERM)

    @contextmanager
    def child_holds(self, machine: str, name: str) -> Iterator["subprocess.Popen[str]"]:
        pairs = [f"{key}={value}" for key, value in self.bucket.settings]
        command = [sys.executable, "-c", HOLD, str(self.folder / machine), machine, name, self.bucket.url, *pairs]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        with subprocess.Popen(command, cwd=ROOT, text=True, **pipes) as child:  # type: ignore[call-overload]
            try:
                assert child.stdout is not None
                assert child.stdout.readline() == "held\n"
                yield child
            finally:
                child.kill()


@pytest.fixture
def machines(store: Store, tmp_path: Path) -> Machines:
    return Machines(store.bucket(f"s3://lake/{tmp_path.name.replace('_', '-')}"), tmp_path)


def test_of_many_one_wins(machines: Machines) -> None:
    start, done = threading.Barrier(8), threading.Barrier(8)

    def run(number: int) -> bool:
        place = machines.place(f"m{number}")
        start.wait()
        try:
            with shard_lease(place, "notes"):
                done.wait()
                return True
        except LeaseBusy:
            done.wait()
            return False

    for _ in range(3):  # created the first time, taken when it was given back the other times
        with ThreadPoolExecutor(8) as pool:
            assert sum(pool.map(run, range(8))) == 1


def test_busy_says_who_and_where(machines: Machines) -> None:
    with machines.child_holds("desk", "notes") as child:
        here = machines.place("laptop")
        with pytest.raises(LeaseBusy, match=f"process {child.pid} on desk"), shard_lease(here, "notes"):
            pass
        assert [(holder.name, holder.host) for holder in holders(here)] == [("notes", "desk")]
        with shard_lease(here, "other"):
            assert [holder.name for holder in holders(machines.place("desk"))] == ["notes", "other"]
            assert fences(here) == ("other",)
    assert fences(here) == ()


def test_a_killed_holder_is_replaced_on_its_own_machine_at_once(machines: Machines) -> None:
    with machines.child_holds("desk", "notes") as child:
        child.kill()
        child.wait()
        with pytest.raises(LeaseBusy), shard_lease(machines.place("laptop"), "notes"):
            pass
        with shard_lease(machines.place("desk"), "notes"):
            pass


def test_what_a_term_without_a_sign_of_life_means(machines: Machines) -> None:
    """One wait for all: for what was killed, for what sleeps and is replaced, or is not, and for what is renewed."""
    here, holds = machines.place("laptop"), machines.child_holds
    with (
        holds("one", "killed") as killed,
        holds("two", "replaced") as replaced,
        holds("three", "undisturbed") as undisturbed,
        holds("four", "kept out") as kept_out,
    ):
        with shard_lease(machines.place("five"), "renewed"):
            killed.kill()
            killed.wait()
            for child in (replaced, undisturbed, kept_out):
                os.kill(child.pid, signal.SIGSTOP)
            for name in ("killed", "replaced", "renewed"):
                with pytest.raises(LeaseBusy), shard_lease(here, name):
                    pass
            time.sleep(OVER)
            with shard_lease(here, "killed"):
                pass
            check_held(machines.place("five"))
            with pytest.raises(LeaseBusy), shard_lease(here, "renewed"):
                pass
        with shard_lease(here, "replaced"):
            os.kill(replaced.pid, signal.SIGCONT)
            assert "lost: the lease of shard replaced was not renewed in time and is held by process" in told(replaced)
            replaced.wait()  # what it gave back was not its own any more
            check_held(here)
            with pytest.raises(LeaseBusy), shard_lease(machines.place("third"), "replaced"):
                pass
        os.kill(undisturbed.pid, signal.SIGCONT)
        assert told(undisturbed) == "mine\n"
        undisturbed.wait()
        with lake_lease(here):  # maintenance does not wait for a dead run, and keeps it from reviving
            os.kill(kept_out.pid, signal.SIGCONT)
            assert told(kept_out).startswith("lost: the lease of the lake")


@contextmanager
def lake_lease_refused(place: LeasePlace) -> Iterator[None]:
    with pytest.raises(LeaseBusy, match=r"shard notes|the lake"), lake_lease(place):
        pass
    yield


def told(child: "subprocess.Popen[str]") -> str:
    assert child.stdin is not None and child.stdout is not None
    child.stdin.write("\n")
    child.stdin.flush()
    return child.stdout.readline()


def test_maintenance_and_runs_exclude_each_other(machines: Machines) -> None:
    here, there = machines.place("desk"), machines.place("laptop")
    with shard_lease(here, "notes"), lake_lease_refused(there):
        pass
    with lake_lease(there):
        with pytest.raises(LeaseBusy, match="the lake is leased by"), shard_lease(here, "notes"):
            pass
        with lake_lease_refused(here):
            pass
    with shard_lease(here, "notes"), shard_lease(there, "other"):
        pass
    assert [one.key for one in machines.bucket.list("_locks/_lake.shared/")] == []


def test_either_some_runs_or_one_maintenance(machines: Machines) -> None:
    """Many at once: never a run beside maintenance, and never two maintenances."""
    at_work: list[str] = []
    wrong: list[list[str]] = []
    lock, end = threading.Lock(), time.monotonic() + 3

    def work(number: int) -> None:
        place, kind = machines.place(f"m{number}"), "maintenance" if number < 2 else "run"
        while time.monotonic() < end:
            try:
                with lake_lease(place) if kind == "maintenance" else shard_lease(place, f"shard{number}"):
                    with lock:
                        at_work.append(kind)
                        if "maintenance" in at_work and len(at_work) > 1:
                            wrong.append(list(at_work))
                    time.sleep(0.02)
                    with lock:
                        at_work.remove(kind)
                    done.add(kind)
            except LeaseBusy:
                time.sleep(0.01 * number)

    done: set[str] = set()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    assert not wrong
    assert "run" in done


def test_no_clock_of_a_machine_counts(machines: Machines, monkeypatch: pytest.MonkeyPatch) -> None:
    for year in (1999, 2199):

        class Wrong(datetime):
            @classmethod
            def now(cls, tz: tzinfo | None = None) -> "datetime":
                return datetime(year, 1, 1, tzinfo=tz)  # noqa: B023

        with monkeypatch.context() as patch:
            patch.setattr(shared_lease, "datetime", Wrong)
            lease = take(machines.place("desk"), f"notes{year}")
        with pytest.raises(LeaseBusy), shard_lease(machines.place("laptop"), f"notes{year}"):
            pass
        lease.release()
        with shard_lease(machines.place("laptop"), f"notes{year}"):
            pass


class Forgetful(Bucket):
    """A store whose answer to a put is lost, so that the put is sent again and refused."""

    def create(self, key: str, content: bytes) -> str | None:
        super().create(key, content)
        return None

    def replace(self, key: str, content: bytes, tag: str) -> str | None:
        super().replace(key, content, tag)
        return None


def test_a_lost_answer_is_no_lost_lease(machines: Machines) -> None:
    bucket = Forgetful(machines.bucket.url, machines.bucket.settings)
    here = machines.place("desk", bucket)
    with take(here, "notes"):
        time.sleep(TERM)
        check_held(here)
        with pytest.raises(LeaseBusy), take(machines.place("laptop"), "notes"):
            pass


def test_without_the_store_nothing_is_written_after_half_a_term(tmp_path: Path) -> None:
    with serving() as own:
        here = LeasePlace(tmp_path, own.bucket("s3://lake/one"), "desk", TERM)
        with shard_lease(here, "notes"):
            check_held(here)
            own.process.kill()
            time.sleep(TERM)
            with pytest.raises(LeaseLost, match=r"could not be renewed in time.*cannot be reached") as caught:
                check_held(here)
            assert "s3cret" not in str(caught.value)


def test_the_commit_of_a_holder_that_was_late_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its check went well, and then it slept until another one had taken over and written."""
    late_lost = threading.Event()

    def check() -> None:
        if late_lost.is_set():
            raise LeaseLost("lost")

    class LateHandles(Handles):
        def to_write(self, table: Table) -> object:
            handle = super().to_write(table)
            if not late_lost.is_set():
                late_lost.set()
                successor.append(SNAPSHOTS, row("successor"))
            return handle

    def row(space: str) -> pl.DataFrame:
        values = {"shard": "notes", "space_id": space, "generation": 1, "published_at": datetime.now(UTC)}
        return pl.DataFrame([values | {"versions": "{}", "points": 0}], schema=SNAPSHOTS.dtypes)

    successor = Lakehouse(tmp_path, fences=lambda: ["notes"])
    successor.append(SNAPSHOTS, row("first"))
    monkeypatch.setattr("resources.lakehouse.Handles", LateHandles)
    late = Lakehouse(tmp_path, before_write=check, fences=lambda: ["notes"])
    with pytest.raises(LeaseLost):
        late.append(SNAPSHOTS, row("late"))
    assert set(successor.scan(SNAPSHOTS).collect()["space_id"]) == {"first", "successor"}
    other = Lakehouse(tmp_path, fences=lambda: ["other"])  # of another shard: no conflict
    late_lost.clear()
    other.append(SNAPSHOTS, row("other"))
    assert successor.scan(SNAPSHOTS).collect().height == 4


def test_the_lake_is_named_in_a_refusal(machines: Machines) -> None:
    with machines.child_holds("desk", "lake"), pytest.raises(LeaseBusy) as caught, take(machines.place("a"), LAKE):
        pass
    assert caught.value.holder is not None
    assert caught.value.holder.host == "desk"
