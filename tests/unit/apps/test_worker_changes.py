"""Which corpora changed and when they are due."""

import threading
import time

from apps.worker.changes import LONGEST_WAIT, MOST_PATHS, MOST_PATIENCE, Changes, wait_after

STILL = 2.0


def test_a_change_is_due_when_it_stood_still() -> None:
    changes = Changes(STILL)
    changes.note("notes", "/a", 10.0)
    assert changes.take(10.0) is None
    assert changes.take(11.9) is None
    taken = changes.take(12.0)
    assert taken is not None
    assert (taken[0], taken[1].paths, taken[1].is_open) == ("notes", {"/a"}, False)
    assert changes.take(99.0) is None


def test_a_file_that_never_stands_still_is_run_all_the_same() -> None:
    changes = Changes(STILL)
    moment = 10.0
    while moment < 10.0 + MOST_PATIENCE * STILL:
        changes.note("log", "/a", moment)
        assert changes.take(moment) is None
        moment += 0.5
    assert changes.take(moment) is not None


def test_of_many_paths_only_that_they_are_many_is_known() -> None:
    changes = Changes(STILL)
    for number in range(MOST_PATHS + 10):
        changes.note("notes", f"/{number}", 1.0)
    taken = changes.take(99.0)
    assert taken is not None
    assert taken[1].is_open
    assert len(taken[1].paths) == MOST_PATHS


def test_what_somebody_asks_for_is_due_at_once() -> None:
    changes = Changes(STILL)
    changes.note("notes", "/a", 10.0)
    changes.ask("notes", 10.1)
    taken = changes.take(10.1)
    assert taken is not None
    assert taken[1].is_open


def test_what_is_put_back_waits_and_keeps_what_was_heard_since() -> None:
    changes = Changes(STILL)
    changes.note("notes", "/a", 10.0)
    taken = changes.take(12.0)
    assert taken is not None
    changes.put_back("notes", taken[1], 60.0, 12.0, "the engine is away")
    assert changes.take(50.0) is None
    changes.note("notes", "/b", 50.0)  # a new edit is a reason to try again
    again = changes.take(52.0)
    assert again is not None
    assert again[1].paths == {"/a", "/b"}

    changes.note("notes", "/c", 60.0)
    changes.put_back("notes", again[1], 60.0, 60.0)
    both = changes.take(62.0)
    assert both is not None
    assert both[1].paths == {"/a", "/b", "/c"}


def test_of_several_the_one_that_waits_for_longest_comes_first() -> None:
    changes = Changes(STILL)
    changes.note("b", "/b", 10.0)
    changes.note("a", "/a", 10.5)
    first, second = changes.take(20.0), changes.take(20.0)
    assert first is not None
    assert second is not None
    assert (first[0], second[0]) == ("b", "a")


def test_failed_runs_wait_longer_each_time() -> None:
    assert [wait_after(attempts) for attempts in (1, 2, 3, 4, 9)] == [60.0, 240.0, 960.0, LONGEST_WAIT, LONGEST_WAIT]
    assert wait_after(10_000) == LONGEST_WAIT


def test_a_wait_ends_when_something_is_heard() -> None:
    changes = Changes(0.0)
    woken = threading.Event()

    def wait() -> None:
        changes.wait(time.monotonic(), 30.0)
        woken.set()

    thread = threading.Thread(target=wait)
    thread.start()
    changes.note("notes", "/a", time.monotonic())
    assert woken.wait(5.0)
    thread.join()
