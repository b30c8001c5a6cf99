"""Sums, percentiles and hours of calls: what reached no engine counts as none, hours are UTC, every lane and all together."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from apps.lane_history import by_hour, percentile, summed
from inference.generation.budget import Spent
from inference.generation.calls import Admitted, Ask, Ended, Past
from inference.generation.ledger import Ledger
from inference.generation.tallies import Tally
from inference.requests import Origin

NINE = datetime(2026, 11, 29, 9, tzinfo=UTC).timestamp()


def past(lane: str, minute: float, outcome: str = "ok", seconds: float = 1.0) -> Past:
    ended = Ended(outcome, seconds=seconds, prompt_tokens=10, completion_tokens=5, cost=0.5)
    return Past(lane, "big", NINE + 60 * minute, ended)


def test_what_reached_no_engine_is_no_call():
    found = summed(
        [past("a", 0), past("a", 1, "timeout", 60.0), past("a", 2, "cached", 0.0), past("a", 3, "unreachable", 0.1)]
    )
    assert (found.calls, found.failed, found.cached, found.tokens, found.cost) == (2, 1, 1, 30, 1.0)
    assert (found.p50, found.p95) == (1.0, 1.0), "a call that failed says nothing of how long an answer takes"
    assert summed([]).p50 is None


def test_hours_are_of_each_lane_and_of_all():
    calls = [past("a", 0, seconds=1), past("b", 59, "failed"), past("b", 60, seconds=3), past("b", 61, "cached")]
    lines = {(one.lane, one.started_at.hour): (one.calls, one.failed, one.p50) for one in by_hour(calls)}
    assert lines == {
        ("", 9): (2, 1, 1), ("", 10): (1, 0, 3), ("a", 9): (1, 0, 1), ("b", 9): (1, 1, None), ("b", 10): (1, 0, 3),
    }  # fmt: skip
    assert all(one.started_at.tzinfo is UTC for one in by_hour(calls))
    assert by_hour([]) == ()


@pytest.mark.parametrize(("share", "value"), [(0.0, 1), (0.5, 10), (0.95, 19), (1.0, 20)])
def test_a_percentile_is_a_value_that_was_seen(share, value):
    assert percentile(range(1, 21), share) == value


@pytest.fixture
def clock() -> list[float]:
    return [NINE]


@pytest.fixture
def ledger(tmp_path: Path, clock: list[float]) -> Iterator[Ledger]:
    made = Ledger(tmp_path / "calls.sqlite", clock=lambda: clock[0])
    yield made
    made.close()


def call(ledger: Ledger, outcome: str = "ok", seconds: float = 1.0, lane: str = "coder") -> None:
    ask = Ask(lane, "big", "m", "d", "r", Origin("test"), 1, False, 9.0, 9, Spent(), {}, {})
    admitted = ledger.admit(ask)
    assert isinstance(admitted, Admitted)
    if outcome != "open":
        ledger.finish(admitted, Ended(outcome, "none", seconds, prompt_tokens=7, completion_tokens=2))


def test_the_ledger_tells_calls_with_engine_and_time(ledger: Ledger):
    call(ledger)
    call(ledger, "open")
    (one,) = ledger.since(NINE)
    assert (one.lane, one.engine, one.started_at, one.ended.prompt_tokens) == ("coder", "big", NINE, 7)
    assert ledger.since(NINE + 1) == []


def test_what_ended_today_is_counted_and_only_grows_until_midnight(ledger: Ledger, clock: list[float]):
    call(ledger, seconds=0.5)
    call(ledger, seconds=2.0)
    call(ledger, "timeout", 60.0)
    call(ledger, lane="fast_rag")
    call(ledger, "open")
    found = ledger.tallies((1.0, 5.0))
    assert found == [
        Tally("coder", "big", "ok", 2, 14, 4, 2.5, (1, 2)),
        Tally("coder", "big", "timeout", 1, 7, 2, 60.0, (0, 0)),
        Tally("fast_rag", "big", "ok", 1, 7, 2, 1.0, (1, 1)),
    ]
    ledger.drained([row["id"] for row in ledger.undrained(99)])
    assert ledger.tallies((1.0, 5.0)) == found, "a call counts wherever else it is kept"
    clock[0] = NINE + 15 * 3600 - 1
    call(ledger, seconds=2.0, lane="governance")  # ends in the next day, and counts there
    assert ledger.tallies((1.0, 5.0))[:3] == found
    clock[0] += 2
    assert [(one.lane, one.calls) for one in ledger.tallies(())] == [("governance", 1)]
