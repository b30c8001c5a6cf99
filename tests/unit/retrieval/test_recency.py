"""Times that a question asks for."""

from datetime import UTC, datetime

import pytest

from cortex_assets.retrieval.recency import asked_time, fits

NOW = datetime(2026, 11, 29, 15, 30, tzinfo=UTC)


def day(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("question", "start", "end"),
    [
        ("what did I write yesterday", "2026-11-28", "2026-11-29"),
        ("notes of today", "2026-11-29", "2026-11-30"),
        ("decisions last week", "2026-11-23", "2026-11-30"),
        ("decisions in the past 3 days", "2026-11-27", "2026-11-30"),
        ("plans changed in 2025", "2025-01-01", "2026-01-01"),
        ("plans written in 2025-12", "2025-12-01", "2026-01-01"),
        ("plans on 2024-02-29", "2024-02-29", "2024-03-01"),
    ],
)
def test_periods(question: str, start: str, end: str) -> None:
    asked = asked_time(question, NOW)
    assert asked is not None
    assert (asked.start, asked.end, asked.is_latest) == (day(start), day(end), False)


def test_open_periods() -> None:
    since, after = asked_time("since 2026-03", NOW), asked_time("after 2026-03", NOW)
    before, until = asked_time("before 2026", NOW), asked_time("until 2026", NOW)
    assert since is not None
    assert since.start == day("2026-03-01")
    assert after is not None
    assert after.start == day("2026-04-01")
    assert before is not None
    assert before.end == day("2026-01-01")
    assert until is not None
    assert until.end == day("2027-01-01")


@pytest.mark.parametrize(
    "question",
    ["What did the Panthers do in 2010?", "since 2026-13", "on 2026-02-30", "the last word", "since 9999", "from 0000"],
)
def test_what_asks_for_no_time(question: str) -> None:
    asked = asked_time(question, NOW)
    assert asked is None or asked.words == "since 9999"


def test_a_relative_time_needs_a_present() -> None:
    assert asked_time("last week", None) is None
    latest = asked_time("the newest plan", None)
    assert latest is not None
    assert latest.is_latest


def test_fits() -> None:
    changed = {
        "old": "2020-01-01T00:00:00Z",
        "new": day("2026-11-28"),
        "none": None,
        "bad": "no date",
        "mid": day("2024-05-05"),
    }
    latest = asked_time("latest", NOW)
    assert latest is not None
    assert fits(latest, changed) == {"old": 0.0, "mid": 0.5, "new": 1.0}
    assert fits(latest, {"one": day("2026-01-01")}) == {"one": 0.0}
    week = asked_time("last week", NOW)
    assert week is not None
    assert fits(week, changed) == {"old": 0.0, "mid": 0.0, "new": 1.0}


@pytest.mark.parametrize(
    "question",
    [
        "why does it listen on 8080",
        "what happens after 5000 requests",
        "retry after 1000 ms",
        "open until 2000 connections",
        "wait until 2000ms",
        "from 1999.5 upwards",
        "what changed on 2024",
    ],
)
def test_numbers_are_no_years(question: str) -> None:
    assert asked_time(question, NOW) is None


def test_years_are_asked_for_as_before() -> None:
    for question in (
        "what changed since 2024?",
        "notes from 2019",
        "since 2024 is there a new rule",
        "written in 2020, please",
    ):
        assert asked_time(question, NOW) is not None, question
