"""The sandbox, with functions that really hang, crash and eat memory."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from resources.sandbox import Crashed, Failed, Ok, OutOfMemory, Sandbox, TimedOut, Unreadable

TASKS = """
import ctypes, os, sys, time

def twice(value): return value * 2
def count(number):
    for value in range(number): yield value
def pid(): return os.getpid()
def noisy():
    print("to stdout"); print("x" * 300000, file=sys.stderr); os.write(2, b"raw noise")
    yield "fine"
def fails(): raise ValueError("page 3 is odd")
def fails_late():
    yield "one"
    raise KeyError("k")
def reads(path): return open(path, "rb").read()
def bad_image(): raise OSError("cannot identify image")
def hangs():
    yield "before"
    while True: time.sleep(1)
def hangs_natively(): ctypes.PyDLL(None).sleep(100)
def segfault():
    print("last words", file=sys.stderr, flush=True)
    ctypes.string_at(0)
def leaves(): os._exit(7)
def eats():
    held = []
    while True: held.append(bytearray(8 * 1024 * 1024))
def big(size): return b"x" * size
def unpicklable(): return lambda: None
def heavy_modules(): return sorted({"polars", "dagster", "torch"} & set(sys.modules))
"""


@pytest.fixture
def sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    (tmp_path / "sandbox_tasks.py").write_text(TASKS)
    monkeypatch.syspath_prepend(str(tmp_path))
    with Sandbox(timeout_s=5, memory_mb=256) as made:
        yield made


def run(sandbox: Sandbox, name: str, *args: object) -> tuple[list[object], object]:
    call = sandbox.call(f"sandbox_tasks.{name}", *args)
    return list(call), call.outcome


def test_results_come_back_and_the_child_stays_warm(sandbox: Sandbox) -> None:
    assert run(sandbox, "twice", "ab") == (["abab"], Ok())
    assert run(sandbox, "count", 1000) == (list(range(1000)), Ok())
    assert run(sandbox, "pid") == run(sandbox, "pid")
    assert run(sandbox, "heavy_modules") == ([[]], Ok())


def test_results_larger_than_a_pipe_pass(sandbox: Sandbox) -> None:
    values, outcome = run(sandbox, "big", 20_000_000)
    assert (len(values[0]), outcome) == (20_000_000, Ok())  # type: ignore[arg-type]
    assert run(sandbox, "twice", b"y" * 3_000_000)[1] == Ok()


def test_noise_does_not_disturb(sandbox: Sandbox) -> None:
    assert run(sandbox, "noisy") == (["fine"], Ok())


def test_an_exception_is_permanent_and_keeps_the_child(sandbox: Sandbox) -> None:
    before = run(sandbox, "pid")
    values, outcome = run(sandbox, "fails")
    assert values == []
    assert outcome == Failed("ValueError: page 3 is odd")
    assert isinstance(outcome, Failed) and outcome.is_permanent
    assert run(sandbox, "fails_late") == (["one"], Failed("KeyError: 'k'"))
    assert run(sandbox, "pid") == before


def test_what_cannot_be_found_or_pickled_is_said(sandbox: Sandbox) -> None:
    assert "no_such" in run(sandbox, "no_such")[1].reason  # type: ignore[attr-defined]
    assert isinstance(run(sandbox, "unpicklable")[1], Failed)
    with pytest.raises((AttributeError, TypeError)):
        sandbox.call("sandbox_tasks.twice", lambda: None)


@pytest.mark.parametrize("name", ["hangs", "hangs_natively"])
def test_a_hang_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    (tmp_path / "sandbox_tasks.py").write_text(TASKS)
    monkeypatch.syspath_prepend(str(tmp_path))
    with Sandbox(timeout_s=0.7) as sandbox:
        before = run(sandbox, "pid")[0]
        start = time.monotonic()
        values, outcome = run(sandbox, name)
        assert time.monotonic() - start < 5
        assert values == (["before"] if name == "hangs" else [])
        assert isinstance(outcome, TimedOut) and not outcome.is_permanent
        values, outcome = run(sandbox, "pid")
        assert outcome == Ok() and values != before


def test_a_segmentation_fault_is_told_with_its_signal(sandbox: Sandbox) -> None:
    _, outcome = run(sandbox, "segfault")
    assert isinstance(outcome, Crashed) and outcome.is_permanent
    assert outcome.signal_number == signal.SIGSEGV
    assert "SIGSEGV" in outcome.reason and "last words" in outcome.reason
    assert run(sandbox, "twice", 2) == ([4], Ok())


def test_leaving_is_a_crash(sandbox: Sandbox) -> None:
    _, outcome = run(sandbox, "leaves")
    assert isinstance(outcome, Crashed) and outcome.signal_number is None and "7" in outcome.reason
    assert run(sandbox, "twice", 2) == ([4], Ok())


def test_eating_memory_is_stopped(sandbox: Sandbox) -> None:
    before = run(sandbox, "pid")
    _, outcome = run(sandbox, "eats")
    assert isinstance(outcome, OutOfMemory) and not outcome.is_permanent
    after = run(sandbox, "pid")
    assert after[1] == Ok() and after != before


def test_a_call_given_up_frees_the_slot(sandbox: Sandbox) -> None:
    call = sandbox.call("sandbox_tasks.hangs")
    assert next(iter(call)) == "before"
    with pytest.raises(RuntimeError, match="not ended"):
        _ = call.outcome
    call.close()
    assert run(sandbox, "twice", 3) == ([6], Ok())


def test_children_are_replaced_and_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sandbox_tasks.py").write_text(TASKS)
    monkeypatch.syspath_prepend(str(tmp_path))
    with Sandbox(calls_per_child=2) as sandbox:
        pids = [run(sandbox, "pid")[0][0] for _ in range(4)]
    assert pids[0] == pids[1] != pids[2] == pids[3]
    for pid in pids:
        assert not Path(f"/proc/{pid}").exists()
    with pytest.raises(RuntimeError, match="closed"):
        sandbox.call("sandbox_tasks.pid")


def test_a_thread_that_ends_does_not_take_the_child_along(sandbox: Sandbox) -> None:
    pids: list[object] = []
    for _ in range(2):
        thread = threading.Thread(target=lambda: pids.extend(run(sandbox, "pid")[0]))
        thread.start()
        thread.join()
        time.sleep(0.1)
    assert pids[0] == pids[1]


def test_a_child_that_was_killed_while_idle_is_replaced(sandbox: Sandbox) -> None:
    (first,) = sandbox.call("os.getpid")
    os.kill(first, signal.SIGKILL)
    while ") Z " not in Path(f"/proc/{first}/stat").read_text():
        time.sleep(0.01)
    call = sandbox.call("os.getpid")
    (second,) = call
    assert call.outcome == Ok() and second != first


def test_calls_from_threads_share_the_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sandbox_tasks.py").write_text(TASKS)
    monkeypatch.syspath_prepend(str(tmp_path))
    results: list[tuple[list[object], object]] = []
    with Sandbox(workers=2) as sandbox:
        threads = [threading.Thread(target=lambda n=n: results.append(run(sandbox, "twice", n))) for n in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(results, key=lambda result: result[0]) == [([2 * n], Ok()) for n in range(6)]


def test_children_die_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    (tmp_path / "sandbox_tasks.py").write_text(TASKS)
    code = (
        "import sys, time; from resources.sandbox import Sandbox; s = Sandbox();"
        "print(next(iter(s.call('sandbox_tasks.pid'))), flush=True); c = iter(s.call('sandbox_tasks.hangs'));"
        "next(c); time.sleep(100)"
    )
    root = Path(__file__).parents[2]
    parent = subprocess.Popen(
        [sys.executable, "-c", f"import sys; sys.path[:0] = [{str(root)!r}, {str(tmp_path)!r}]; {code}"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.stdout.close()
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    deadline = time.monotonic() + 5
    while Path(f"/proc/{child}").exists() and "Z" not in Path(f"/proc/{child}/stat").read_text().split()[2]:
        assert time.monotonic() < deadline, "the child outlived its parent"
        time.sleep(0.02)


def test_missing_bytes_are_transient_and_bad_ones_are_not(sandbox: Sandbox) -> None:
    _, outcome = run(sandbox, "reads", "/nowhere/at/all")
    assert isinstance(outcome, Unreadable) and not outcome.is_permanent
    assert isinstance(run(sandbox, "bad_image")[1], Failed)
