"""Lanes in words, tables and charts: what stands on the page of models."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from apps.app_pages import lane_figures as drawn
from apps.lane_reports import (
    ANSWERS,
    LEFT_ALONE,
    PROBED,
    UNUSABLE,
    BudgetLine,
    EngineLine,
    HourLine,
    LaneLine,
    LanesReport,
)
from inference.generation.configuration import read_configuration

EVIL = '<script>alert("1")</script>'
BIG = EngineLine("big", "openai:m@http://h:1/v1", "large", 32768, ANSWERS, 0.0, "", 2)
TINY = EngineLine("tiny", "packaged", "tiny", 2048, LEFT_ALONE, 25.0, "no answer in 60 s", 0)
LANE = LaneLine("coder", "code", "coder", (BIG, TINY), 100, 4, 25, 12_345, 1.25, 0.25, 12.0, 1.25, "", "")
NOW = datetime(2026, 11, 29, 9, 30, tzinfo=UTC)
HOUR = NOW.replace(minute=0)
NONE = replace(
    LANE, name="fast_rag", engines=(), served_by="orchestrator", calls=0, failed=0, cached=0, tokens=0, cost=0.0
)
REPORT = LanesReport(
    "inference.yaml", True, (LANE, replace(NONE, name="governance"), NONE), NOW,
    (HourLine("", HOUR, 10, 4, 0.25, 12.0), HourLine("", HOUR - timedelta(hours=3), 2, 2, None, None)),
)  # fmt: skip


def test_the_example_can_be_used_as_it_stands():
    found = read_configuration(drawn.EXAMPLE, "inference.yaml", {}, {}.get)
    assert [one.name for one in found.lanes["orchestrator"].engines] == ["big", "packaged"]
    assert found.lanes["coder"].day.tokens == 5_000_000


def test_tiles_sum_all_lanes_and_count_each_engine_once():
    twice = replace(REPORT, lanes=(LANE, replace(LANE, name="orchestrator")))
    told = {name: (figure, word) for name, figure, word, _ in drawn.figures(twice)}
    assert told["Calls"] == ("200", "2 under way")
    assert told["Failed"] == ("8", "4.0 % of the calls")
    assert told["From the cache"] == ("50", "20 % of all")
    assert told["Tokens"][0] == "24.7k"
    assert told["Cost"][0] == "2.5"
    assert drawn.figures(replace(REPORT, lanes=(NONE,)))[1][1:3] == ("0", "")


def test_engines_stand_in_their_order_with_what_is_wrong_with_them():
    html = drawn.engines(LANE)
    assert html.index(">big<") < html.index(">tiny<")
    for told in (">1<", "32,768", "answers", "left alone", "for 25 s", 'title="no answer in 60 s"'):
        assert told in html
    evil = replace(LANE, engines=(replace(BIG, name=EVIL, model=EVIL, why=EVIL),))
    assert "<script" not in drawn.engines(evil)
    assert "<script" not in drawn.day([replace(LANE, name=EVIL)])


def test_the_day_of_each_lane():
    html = drawn.day(drawn.shown(REPORT))
    for told in ("coder", "250 ms", "12 s", "12.3k", "1.25"):
        assert told in html
    assert "fast_rag" not in html
    assert ">0<" not in drawn.day([NONE])


def test_lanes_without_engines_say_who_serves_them():
    assert drawn.without_engines(REPORT) == ["governance, fast_rag: no engine of their own; served by orchestrator."]
    (alone,) = drawn.without_engines(replace(REPORT, lanes=(replace(NONE, served_by=""),)))
    assert "nobody serves here" in alone


def test_troubles_are_told_once_each():
    both = replace(REPORT, lanes=(LANE, replace(LANE, name="orchestrator")))
    assert drawn.troubled(both) == [TINY]
    assert drawn.trouble(TINY) == "is left alone for 25 s"
    assert drawn.trouble(replace(TINY, state=PROBED, seconds_left=0.0)) == "is tried by the next call"
    assert drawn.trouble(replace(TINY, state=UNUSABLE, seconds_left=0.0)) == "cannot be used here"


@pytest.mark.parametrize(
    ("line", "share", "said"),
    [
        (BudgetLine("cost", 2.5, 10), 0.25, "cost today: 2.5 of 10.00, 25 %"),
        (BudgetLine("tokens", 4_000_000, 5_000_000), 0.8, "tokens today: 4.0M of 5.0M, 80 %"),
        (BudgetLine("calls", 9, 5), 1.0, "calls today: 9 of 5, 100 %"),
        (BudgetLine("cost", 0, 0), 1.0, "cost today: 0.00 of 0.00, 100 %"),
    ],
)
def test_a_budget_says_what_is_spent(line, share, said):
    assert drawn.budget(line) == (share, said)


def test_charts_have_all_hours_and_no_seconds_where_nothing_answered():
    hours = drawn.hours_of(REPORT, "")
    calls, latency = drawn.calls_chart(hours, NOW), drawn.latency_chart(hours, NOW)
    domain = calls["encoding"]["x"]["scale"]["domain"]
    assert (len(domain), domain[0], domain[-1]) == (25, "28 Nov 09:00", "29 Nov 09:00")
    assert [(one["hour"], one["how"], one["calls"]) for one in calls["data"]["values"]] == [
        ("29 Nov 09:00", "answered", 6), ("29 Nov 09:00", "failed", 4),
        ("29 Nov 06:00", "answered", 0), ("29 Nov 06:00", "failed", 2),
    ]  # fmt: skip
    assert [one["seconds"] for one in latency["data"]["values"]] == [0.25, 12.0]
    assert drawn.hours_of(REPORT, "coder") == []
