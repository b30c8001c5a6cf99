"""Reading ahead: in order, without harm where it fails, and no longer than it is wanted."""

import threading

from cortex_assets.engine.ahead import beforehand


def test_readings_are_done_in_order_and_a_failure_is_left_to_who_needs_it():
    done, is_last = [], threading.Event()

    def fails():
        done.append("fails")
        raise OSError("gone")

    with beforehand([lambda: done.append("first"), fails, lambda: done.append("last"), is_last.set]):
        assert is_last.wait(10)
    assert done == ["first", "fails", "last"]


def test_no_reading_is_begun_after_the_end_and_the_one_under_way_is_waited_for():
    done, is_begun, may_end = [], threading.Event(), threading.Event()

    def slow():
        is_begun.set()
        may_end.wait(10)
        done.append("slow")

    with beforehand([slow, lambda: done.append("late")]):
        assert is_begun.wait(10)
        threading.Timer(0.05, may_end.set).start()
    assert done == ["slow"]
