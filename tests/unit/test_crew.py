"""Work shared with child processes: the same results in the same order, whatever becomes of a child."""

import logging
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from resources.crew import Crew

TASKS = """
import os, signal, time
import polars as pl

def double(frame, add=0): return frame.with_columns(pl.col("n") * 2 + add)
def who(frame): return frame.with_columns(pid=pl.lit(os.getpid()))
def dies(frame):
    if frame["n"][0] == 3: os.kill(os.getpid(), signal.SIGKILL)
    return double(frame)
def fails(frame):
    if frame["n"][0] == 3: raise ValueError("three is odd")
    return double(frame)
def slow(frame):
    time.sleep(60)
    return frame
"""


@pytest.fixture
def tasks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module of functions for the children."""
    (tmp_path / "crew_tasks.py").write_text(TASKS)
    monkeypatch.syspath_prepend(tmp_path)
    return "crew_tasks"


@pytest.fixture
def crew(tmp_path: Path) -> Iterator[Crew]:
    made = Crew(2, tmp_path / "crew")
    yield made
    made.close()
    assert list((tmp_path / "crew").glob("*")) == []


def frames(count: int) -> list[pl.DataFrame]:
    return [pl.DataFrame({"n": [number]}) for number in range(count)]


def double(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(pl.col("n") * 2)


def numbers(results: Iterator[pl.DataFrame]) -> list[int]:
    return [frame["n"][0] for frame in results]


@pytest.mark.parametrize("ahead", [None, 0, 1, 3])
def test_results_come_in_order_from_all_hands(crew: Crew, tasks: str, ahead: int | None) -> None:
    assert numbers(crew.map(f"{tasks}.double", double, frames(40), ahead=ahead)) == [2 * n for n in range(40)]


def test_children_take_part_and_get_the_arguments(crew: Crew, tasks: str) -> None:
    def here(frame: pl.DataFrame) -> pl.DataFrame:
        time.sleep(0.05)  # so that the children have time to start
        return frame.with_columns(pid=pl.lit(os.getpid()))

    seen = {frame["pid"][0] for frame in crew.map(f"{tasks}.who", here, frames(60))}
    assert len(seen) > 1
    assert os.getpid() in seen
    added = numbers(crew.map(f"{tasks}.double", lambda frame: double(frame).select(pl.col("n") + 5), frames(9), (5,)))
    assert added == [2 * n + 5 for n in range(9)]


@pytest.mark.parametrize("function", ["dies", "fails"])
def test_what_a_child_could_not_do_is_done_here_and_said(
    crew: Crew, tasks: str, function: str, caplog: pytest.LogCaptureFixture
) -> None:
    held = []

    def here(frame: pl.DataFrame) -> pl.DataFrame:
        if not held:
            held.append(1)
            time.sleep(1.5)  # the first one waits, so that a child takes number 3
        return double(frame)

    with caplog.at_level(logging.WARNING):
        assert numbers(crew.map(f"{tasks}.{function}", here, frames(12))) == [2 * n for n in range(12)]
    assert any("gave up" in record.message for record in caplog.records)


def test_an_error_of_the_work_itself_is_raised_here(crew: Crew, tasks: str) -> None:
    def here(frame: pl.DataFrame) -> pl.DataFrame:
        if frame["n"][0] == 3:
            raise ValueError("three is odd")
        return double(frame)

    with pytest.raises(ValueError, match="three is odd"):
        list(crew.map(f"{tasks}.fails", here, frames(12)))


def test_a_caller_that_wants_no_more_does_not_wait_for_the_children(crew: Crew, tasks: str) -> None:
    def here(frame: pl.DataFrame) -> pl.DataFrame:
        time.sleep(0.5)
        return frame

    begin = time.monotonic()
    results = crew.map(f"{tasks}.slow", here, frames(4))
    assert next(results)["n"][0] == 0
    results.close()  # type: ignore[attr-defined]
    assert time.monotonic() - begin < 10


def test_a_job_goes_on_while_this_process_does_something_else(crew: Crew, tasks: str) -> None:
    def never(frame: pl.DataFrame) -> pl.DataFrame:
        raise AssertionError("nobody waits, so nothing is done here")

    job = crew.begin(f"{tasks}.who", never, frames(3))
    assert job.take(is_waiting=False) is None, "a child starts in more time than that"
    found = []
    deadline = time.monotonic() + 30
    while len(found) < 3 and time.monotonic() < deadline:
        result = job.take(is_waiting=False)
        if result is None:
            time.sleep(0.01)
        else:
            found.append(result)
    assert numbers(iter(found)) == [0, 1, 2]
    assert os.getpid() not in {frame["pid"][0] for frame in found}
    assert job.take(is_waiting=True) is None
    job.join()


def test_two_jobs_share_the_children_and_who_waits_works_along(crew: Crew, tasks: str) -> None:
    job = crew.begin(f"{tasks}.slow", double, frames(4))
    begin = time.monotonic()
    assert numbers(crew.map(f"{tasks}.double", double, frames(20))) == [2 * n for n in range(20)]
    job.abandon()
    again = crew.begin(f"{tasks}.double", double, frames(6))
    found = [again.take(is_waiting=True) for _ in range(6)]
    again.join()
    assert [frame["n"][0] for frame in found if frame is not None] == [0, 2, 4, 6, 8, 10]
    assert time.monotonic() - begin < 30


def test_an_abandoned_job_starts_no_children_again(crew: Crew, tasks: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that has taken a frame and not yet called for it, when its job is given up, must not wait for a new child."""
    has_taken, may_go, real = threading.Event(), threading.Event(), pl.DataFrame.write_ipc

    def write_ipc(*given: Any, **named: Any) -> Any:
        has_taken.set()
        assert may_go.wait(20)
        return real(*given, **named)

    monkeypatch.setattr(pl.DataFrame, "write_ipc", write_ipc)
    job = crew.begin(f"{tasks}.slow", double, frames(4))
    assert has_taken.wait(20)
    giving_up = threading.Thread(target=job.abandon)
    giving_up.start()
    time.sleep(0.3)
    may_go.set()
    giving_up.join(20)
    assert not giving_up.is_alive()


def test_what_the_children_of_a_dismissed_crew_were_at_is_done_here(crew: Crew, tasks: str) -> None:
    job = crew.begin(f"{tasks}.slow", double, frames(3))
    time.sleep(0.5)
    crew.dismiss()
    assert job.take(is_waiting=True)["n"][0] == 0  # type: ignore[index]
    job.abandon()


def test_without_children_everything_is_done_here(tmp_path: Path) -> None:
    crew = Crew(0, tmp_path / "crew")
    assert numbers(crew.map("nowhere.nothing", double, frames(5))) == [0, 2, 4, 6, 8]
    assert crew.hands == 1
    assert not (tmp_path / "crew").exists()


def test_what_a_killed_process_left_is_removed_and_what_a_living_one_has_stays(tmp_path: Path, tasks: str) -> None:
    child = os.fork()
    if child == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    dead, fresh, living = f"{child}-old", f"{child}-new", f"{os.getppid()}-x"
    for name in (dead, fresh, living):
        (tmp_path / "crew" / name).mkdir(parents=True)
        (tmp_path / "crew" / name / "0.in").write_bytes(b"x")
    for name in (dead, living):
        os.utime(tmp_path / "crew" / name, (1, 1))
    crew = Crew(1, tmp_path / "crew")
    list(crew.map(f"{tasks}.double", double, frames(3)))
    crew.close()
    assert {path.name for path in (tmp_path / "crew").iterdir()} == {fresh, living}
