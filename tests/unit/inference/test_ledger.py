"""The ledger: what calls of all processes share, and what becomes of those whose process is killed."""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from inference.errors import BudgetExhausted, LedgerUnavailable
from inference.generation.budget import Caps, Spent
from inference.generation.calls import Admitted, Ask, Closed, Ended, Later
from inference.generation.ledger import Ledger, _is_alive, owner_name
from inference.generation.rate import Rate
from inference.generation.shared_file import SharedFile
from inference.requests import Origin

ASK = Ask(
    lane="coder", engine="local", model="m", digest="d", request_id="r", origin=Origin("room", "run1", "notes", "t"),
    attempt=1, is_streamed=False, patience=60.0, concurrency=4, held=Spent(0.5, 100, 1), rates={}, caps={},
)  # fmt: skip
ROOT = Path(__file__).parents[3]


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ledger(tmp_path: Path, clock: Clock) -> Iterator[Ledger]:
    made = Ledger(tmp_path / "calls" / "calls.sqlite", clock)
    yield made
    made.close()


def admitted(ledger: Ledger, ask: Ask = ASK) -> Admitted:
    found = ledger.admit(ask)
    assert isinstance(found, Admitted), found
    return found


def test_a_call_is_written_down_twice(ledger: Ledger, clock: Clock) -> None:
    call = admitted(ledger)
    assert ledger.in_flight() == {"local": 1}
    assert ledger.undrained(10) == []
    clock.now += 2
    ledger.finish(call, Ended("ok", "success", 2.0, 0.1, 30, 12, 4, cost=0.2))
    assert ledger.in_flight() == {}
    [row] = ledger.undrained(10)
    told = {
        name: row[name] for name in ("lane", "engine", "outcome", "seconds", "first_token", "prompt_tokens", "cost")
    }
    assert told == {
        "lane": "coder", "engine": "local", "outcome": "ok", "seconds": 2.0, "first_token": 0.1, "prompt_tokens": 30, "cost": 0.2,
    }  # fmt: skip
    assert (row["caller"], row["run_id"], row["shard"], row["trace_id"]) == ("room", "run1", "notes", "t")
    assert ledger.spent("coder") == ledger.spent("coder", "run1") == Spent(0.2, 42, 1)
    assert ledger.spent("coder", "another") == Spent()


def test_a_second_end_counts_nothing_twice(ledger: Ledger) -> None:
    call = admitted(ledger)
    for _ in range(2):
        ledger.finish(call, Ended("ok", "success", prompt_tokens=1, cost=0.1))
    assert ledger.spent("coder") == Spent(0.1, 1, 1)


def test_what_no_engine_saw_is_not_spent(ledger: Ledger) -> None:
    ledger.finish(admitted(ledger), Ended("unreachable", "failure"))
    ledger.note_cached(ASK, Ended("cached", prompt_tokens=10, completion_tokens=5))
    assert ledger.spent("coder") == Spent()
    assert [row["outcome"] for row in ledger.undrained(9)] == ["unreachable", "cached"]


def test_calls_at_a_time(ledger: Ledger) -> None:
    calls = [admitted(ledger) for _ in range(4)]
    found = ledger.admit(ASK)
    assert isinstance(found, Later)
    assert found.kind == "busy"
    assert isinstance(ledger.admit(replace(ASK, engine="other")), Admitted)
    ledger.finish(calls[0], Ended("ok", "success"))
    admitted(ledger)


def test_a_breaker_is_shared_probed_by_one_and_reset_by_a_person(ledger: Ledger, clock: Clock) -> None:
    for _ in range(3):
        ledger.finish(admitted(ledger), Ended("timeout", "failure", why="it hung"))
    other = Ledger(ledger.path, clock)
    found = other.admit(ASK)
    assert found == Closed(30.0, "it hung")
    clock.now += 30
    probe = admitted(other)
    assert isinstance(ledger.admit(ASK), Closed)
    assert ledger.breakers()["local"].state == "half_open"
    other.finish(probe, Ended("ok", "success"))
    assert ledger.breakers()["local"].state == "closed"
    ledger.finish(admitted(ledger), Ended("quota", "fatal", why="no money"))
    assert isinstance(ledger.admit(ASK), Closed)
    ledger.reset("local")
    admitted(ledger)
    other.close()


def test_a_rate_takes_nothing_where_it_refuses(ledger: Ledger, clock: Clock) -> None:
    ask = replace(ASK, rates={"lane coder": Rate(60, 2), "room in lane coder": Rate(30, 1)})
    admitted(ledger, ask)
    found = ledger.admit(ask)
    assert isinstance(found, Later)
    assert (found.kind, found.seconds) == ("rate", pytest.approx(2.0))
    admitted(ledger, replace(ask, rates={"lane coder": Rate(60, 2)}))  # one token was left
    clock.now += 2.0
    admitted(ledger, ask)


def test_a_cap_stops_before_it_is_passed(ledger: Ledger, clock: Clock) -> None:
    ask = replace(ASK, caps={"run": Caps(cost=1.2)})
    for _ in range(2):
        ledger.finish(admitted(ledger, ask), Ended("ok", "success", cost=0.4))
    with pytest.raises(
        BudgetExhausted, match=r"lane coder: the next call could bring run run1 to 1\.3 cost of 1\.2; .*again"
    ):
        ledger.admit(ask)
    ledger.finish(admitted(ledger, replace(ask, origin=Origin(run_id="run2"))), Ended("ok", "success"))
    day = replace(ASK, caps={"day": Caps(calls=3)})
    with pytest.raises(BudgetExhausted, match="day 1970-01-12 to 4 calls of 3"):
        ledger.admit(day)
    clock.now += 86_400
    admitted(ledger, day)


def test_what_calls_under_way_hold_is_waited_for(ledger: Ledger) -> None:
    ask = replace(ASK, caps={"run": Caps(cost=0.8)})
    call = admitted(ledger, ask)
    found = ledger.admit(ask)
    assert isinstance(found, Later)
    assert found.kind == "budget"
    ledger.finish(call, Ended("ok", "success", cost=0.1))
    admitted(ledger, ask)


def test_drained_rows_stay_as_long_as_the_day_needs_them(ledger: Ledger, clock: Clock) -> None:
    ledger.finish(admitted(ledger), Ended("ok", "success", cost=0.1))
    [row] = ledger.undrained(10)
    ledger.drained([row["id"]])
    assert ledger.undrained(10) == []
    clock.now += 4 * 86_400
    ledger.drained([])
    assert ledger._file.read("SELECT count(*) FROM calls")[0][0] == 0


KILLED = """
import sys, time
from tests.unit.inference.test_ledger import ASK
from inference.generation.ledger import Ledger
print(Ledger(__import__("pathlib").Path(sys.argv[1])).admit(ASK), flush=True)
time.sleep(60)
"""


def test_a_killed_process_loses_its_call_and_frees_its_place(tmp_path: Path) -> None:
    path = tmp_path / "calls.sqlite"
    ledger = Ledger(path)
    child = subprocess.Popen([sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE, cwd=ROOT, text=True)
    assert child.stdout is not None
    assert "Admitted" in child.stdout.readline()
    one = replace(ASK, concurrency=1)
    assert isinstance(ledger.admit(one), Later)
    assert ledger.undrained(9) == []  # it lives
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    child.stdout.close()
    call = admitted(ledger, one)
    [lost] = ledger.undrained(9)
    assert (lost["outcome"], lost["cost"], lost["is_estimated"]) == ("lost", 0.5, 1)
    assert ledger.spent("coder").calls == 1
    ledger.finish(call, Ended("ok", "success"))
    ledger.close()


def test_a_call_that_should_have_given_up_long_ago_is_lost(ledger: Ledger, clock: Clock) -> None:
    admitted(ledger)
    clock.now += 60 + 29
    assert ledger.undrained(9) == []
    clock.now += 2
    assert [row["outcome"] for row in ledger.undrained(9)] == ["lost"]


def test_many_processes_and_threads_keep_one_limit(tmp_path: Path) -> None:
    path = tmp_path / "calls.sqlite"
    ledger, most, running, lock = Ledger(path), [0], [0], threading.Lock()
    outcomes: Counter[str] = Counter()

    def work(mine: Ledger) -> None:
        for _ in range(15):
            while not isinstance(found := mine.admit(replace(ASK, concurrency=3)), Admitted):
                time.sleep(0.002)
            with lock:
                running[0] += 1
                most[0] = max(most[0], running[0])
            time.sleep(0.002)
            with lock:
                running[0] -= 1
            mine.finish(found, Ended("ok", "success", prompt_tokens=1))
            outcomes["ok"] += 1

    ledgers = [Ledger(path) for _ in range(4)]
    threads = [threading.Thread(target=work, args=(one,)) for one in ledgers for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most[0] == 3
    assert outcomes["ok"] == ledger.spent("coder").calls == len(ledger.undrained(1000)) == 120
    for one in (ledger, *ledgers):
        one.close()


def test_a_damaged_file_is_put_aside_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "calls.sqlite"
    path.write_bytes(b"no database at all, but long enough to be looked at" * 50)
    ledger = Ledger(path)
    admitted(ledger)
    assert "put aside" in caplog.text
    assert [one.name for one in tmp_path.glob("*damaged*")]
    ledger.close()


def test_a_file_of_another_version_is_put_aside(tmp_path: Path) -> None:
    path = tmp_path / "calls.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    ledger = Ledger(path)
    admitted(ledger)
    assert len(list(tmp_path.glob("*damaged*"))) == 1
    ledger.close()


def test_no_call_is_made_that_cannot_be_written_down(tmp_path: Path) -> None:
    (tmp_path / "calls").write_text("a file where a folder should be")
    with pytest.raises(LedgerUnavailable, match="cannot be written down"):
        Ledger(tmp_path / "calls" / "calls.sqlite").admit(ASK)


FORKING = """
import os, signal, sys, threading, time
from pathlib import Path
from inference.generation.shared_file import SharedFile

file, held = SharedFile(Path(sys.argv[1]), "CREATE TABLE t (x);", 1), threading.Event()

def hold():
    with file.transaction():
        held.set()
        time.sleep(0.5)

threading.Thread(target=hold).start()
held.wait()
child = os.fork()
if not child:
    signal.alarm(10)
with file.transaction() as connection:
    connection.execute("INSERT INTO t VALUES (?)", (child,))
if not child:
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
assert len(file.read("SELECT * FROM t")) == 2
"""


def test_a_fork_while_another_thread_writes_leaves_both_processes_a_file(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "ignore", "-c", FORKING, str(tmp_path / "x.sqlite")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_a_file_that_is_taken_away_is_begun_anew_for_all(ledger: Ledger) -> None:
    admitted(ledger)
    for one in list(ledger.path.parent.iterdir()):
        one.unlink()
    call = admitted(ledger)
    other = Ledger(ledger.path)
    assert other.in_flight() == {"local": 1}
    other.close()
    ledger.finish(call, Ended("ok"))
    ledger.path.unlink()
    ledger.path.mkdir()
    with pytest.raises(LedgerUnavailable):
        ledger.admit(ASK)


def test_a_process_is_the_same_after_the_clock_was_set(monkeypatch: pytest.MonkeyPatch) -> None:
    owner = owner_name()
    if sys.platform == "linux":
        booted = psutil.boot_time()
        monkeypatch.setattr("psutil._pslinux.boot_time", lambda: booted + 3600.0)
    assert _is_alive(owner)
    pid, _, begun = owner.partition("-")
    assert not _is_alive(f"{pid}-{int(begun) + 5}")


def test_a_caller_waits_for_a_held_file_no_longer_than_it_may(ledger: Ledger) -> None:
    admitted(ledger)
    other = sqlite3.connect(ledger.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    waited: list[float] = []

    def hurry() -> None:
        begin = time.monotonic()
        with pytest.raises(LedgerUnavailable):
            ledger.admit(ASK, wait=0.3)
        waited.append(time.monotonic() - begin)

    threads = [threading.Thread(target=hurry) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    other.execute("ROLLBACK")
    other.close()
    assert len(waited) == 4
    assert max(waited) < 3
    admitted(ledger)


def test_a_clock_that_is_set_back_closes_nothing_for_longer(ledger: Ledger, clock: Clock) -> None:
    for _ in range(3):
        ledger.finish(admitted(ledger), Ended("timeout", "failure"))
    rated = replace(ASK, engine="other", rates={"r": Rate(60, 1)})
    admitted(ledger, rated)
    clock.now -= 86_400
    assert isinstance(ledger.admit(ASK), Closed)
    assert isinstance(ledger.admit(rated), Later)
    clock.now += 31
    admitted(ledger, rated)
    admitted(ledger)


def test_a_file_that_another_process_began_anew_is_not_put_aside(tmp_path: Path) -> None:
    path = tmp_path / "calls.sqlite"
    path.write_bytes(b"no database " * 100)
    late = SharedFile(path, "CREATE TABLE t (x);", 1)
    seen = path.stat()
    path.unlink()
    (tmp_path / "hole").write_bytes(b"")  # takes the number of the file that went
    other = Ledger(path)
    admitted(other)
    late._put_aside(OSError("damaged"), (seen.st_dev, seen.st_ino))
    assert not list(tmp_path.glob("*damaged*"))
    assert other.in_flight() == {"local": 1}
    other.close()
