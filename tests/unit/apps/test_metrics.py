"""Numbers for a monitor: a strict reader of the format takes them, counters count what they say, labels are bounded."""

import asyncio
import math
import re
from collections.abc import MutableMapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from apps import metering, reader
from apps.errors import CommandError
from apps.exposition import CONTENT_TYPE, Family, Histogram, Observed, number, text
from apps.lane_reports import ANSWERS, LEFT_ALONE, PROBED, UNUSABLE, BudgetLine, EngineLine, LaneLine, LanesReport
from apps.metrics_page import MetricsPage
from apps.reports import TableLine
from inference.generation.tallies import Tally

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
PAIR = r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"'
SAMPLE = re.compile(rf"({NAME})(?:\{{({PAIR}(?:,{PAIR})*)\}})? (-?\d+(?:\.\d+)?(?:e[+-]?\d+)?|NaN|[+-]Inf)")
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def parsed(said: str) -> tuple[dict[str, str], Samples]:
    """Kinds of the families and their samples; fails for whatever format 0.0.4 does not allow."""
    kinds: dict[str, str] = {}
    samples: Samples = {}
    family = ""
    assert said.endswith("\n")
    for line in said.removesuffix("\n").split("\n"):
        if found := re.fullmatch(rf"# HELP ({NAME}) (?:[^\\]|\\[\\n])*", line):
            family = found[1]
            assert family not in kinds, "a family stands together"
        elif found := re.fullmatch(rf"# TYPE ({NAME}) (counter|gauge|histogram)", line):
            assert found[1] == family
            kinds[family] = found[2]
        else:
            match = SAMPLE.fullmatch(line)
            assert match, line
            allowed = (
                {family + end for end in ("_bucket", "_sum", "_count")} if kinds[family] == "histogram" else {family}
            )
            assert match[1] in allowed, line
            labels = tuple(
                (name, value.replace("\\\\", "\0").replace("\\n", "\n").replace('\\"', '"').replace("\0", "\\"))
                for name, value in re.findall(PAIR, match[2] or "")
            )
            assert len({name for name, _ in labels}) == len(labels)
            assert (match[1], labels) not in samples, "the same number twice"
            samples[match[1], labels] = float(match[match.lastindex or 0])
    return kinds, samples


TALLIES = [
    Tally("coder", "big", "ok", 3, 30, 12, 4.5, (0, 0, 1, 2, 3, 3, 3, 3, 3, 3, 3)),
    Tally("coder", "small", "ok", 1, 5, 1, 400.0, (0,) * 11),
    Tally("coder", "big", "timeout", 2, 8, 0, 120.0, (0,) * 11),
    Tally("coder", "big", "cached", 9, 90, 90, 0.0, (9,) * 11),
]
ENGINES = tuple(
    EngineLine(name, "openai:m@http://h/v1", "small", 8192, state, 9.0, "why", 2)
    for name, state in (("a", ANSWERS), ("p", PROBED), ("l", LEFT_ALONE), ("u", UNUSABLE))
)
LANE = LaneLine(
    "coder", "code", "coder", ENGINES, 5, 2, 9, 56, 1.5, 1.0, 2.0, 1.5, "3 cost", "", (BudgetLine("cost", 1.5, 3.0),)
)
REPORT = LanesReport("inference.yaml", True, (LANE, replace(LANE, name="other", budgets=())), datetime.now(UTC))


@pytest.mark.parametrize("evil", ['"', "\\", "\n", '\\"\n{a="b"} 1', "ä€😀", "\\n", ""])
def test_any_label_and_any_help_come_back_as_they_were(evil):
    family = Family("x_total", "counter", f"help {evil}", {(("a", evil), ("b", "c")): 1.5})
    kinds, samples = parsed(text([family]))
    assert kinds == {"x_total": "counter"}
    assert samples == {("x_total", (("a", evil), ("b", "c"))): 1.5}


@pytest.mark.parametrize(
    ("value", "said"),
    [(0, "0"), (True, "1"), (3.0, "3"), (0.25, "0.25"), (1e-9, "1e-09"), (1e300, "1e+300"), (math.inf, "+Inf"),
     (-math.inf, "-Inf"), (math.nan, "NaN"), (2**53, "9007199254740992.0"), (-7, "-7")],
)  # fmt: skip
def test_numbers_are_written_so_that_they_are_read_again(value, said):
    assert number(value) == said


def test_what_has_no_number_is_left_out():
    assert text([Family("x", "gauge", "h", {}), Histogram("y", "h", (1.0,))]) == ""


def test_buckets_hold_all_that_is_no_greater():
    _, samples = parsed(text([Histogram("s", "h", (0.5, 2.0), {(("lane", "a"),): Observed((1, 3), 4, 9.5)})]))
    assert samples == {
        ("s_bucket", (("lane", "a"), ("le", "0.5"))): 1,
        ("s_bucket", (("lane", "a"), ("le", "2"))): 3,
        ("s_bucket", (("lane", "a"), ("le", "+Inf"))): 4,
        ("s_sum", (("lane", "a"),)): 9.5,
        ("s_count", (("lane", "a"),)): 4,
    }


def test_calls_are_counted_by_lane_engine_and_outcome_and_tokens_without_the_cached():
    kinds, samples = parsed(text(metering.of_calls(TALLIES)))
    assert set(kinds.values()) == {"counter", "histogram"}
    assert all(name.endswith("_total") for name, kind in kinds.items() if kind == "counter")
    assert samples["cortex_model_calls_total", (("lane", "coder"), ("engine", "big"), ("outcome", "cached"))] == 9
    assert samples["cortex_model_tokens_total", (("lane", "coder"), ("kind", "prompt"))] == 43
    assert samples["cortex_model_tokens_total", (("lane", "coder"), ("kind", "completion"))] == 13
    buckets = [value for (name, _), value in samples.items() if name == "cortex_model_call_seconds_bucket"]
    assert buckets == sorted(buckets)
    assert buckets[-1] == samples["cortex_model_call_seconds_count", (("lane", "coder"),)] == 4
    assert samples["cortex_model_call_seconds_sum", (("lane", "coder"),)] == 404.5
    assert metering.of_calls([])[0].values == {}


def test_engines_of_several_lanes_are_told_once():
    _, samples = parsed(text(metering.of_lanes(REPORT)))
    states = {labels[0][1]: value for (name, labels), value in samples.items() if name == "cortex_engine_breaker_state"}
    assert states == {"a": 0, "p": 1, "l": 2, "u": 0}
    assert samples["cortex_engine_usable", (("engine", "u"),)] == 0
    assert samples["cortex_engine_calls_in_flight", (("engine", "a"),)] == 2
    budget = (("lane", "coder"), ("scope", "day"), ("unit", "cost"))
    assert (samples["cortex_lane_budget_spent", budget], samples["cortex_lane_budget_cap", budget]) == (1.5, 3)
    assert len([name for name, _ in samples if name == "cortex_lane_budget_cap"]) == 1


def test_labels_have_few_values_and_none_is_a_text_a_path_or_a_run():
    lake = metering.of_lake([TableLine("silver/chunks", "fact", 7, 3)], [("ok", 2), ("failed", 0)])
    _, samples = parsed(text([*metering.of_calls(TALLIES), *metering.of_lanes(REPORT), *lake]))
    assert samples["cortex_table_rows", (("table", "silver/chunks"),)] == 7
    assert samples["cortex_runs", (("status", "failed"),)] == 0
    names = {name for _, labels in samples for name, _ in labels}
    assert names == {"lane", "engine", "outcome", "kind", "le", "scope", "unit", "table", "status"}
    assert "http://h" not in text(metering.of_lanes(REPORT))


def test_a_configuration_that_cannot_be_used_is_a_number():
    _, samples = parsed(text(metering.of_lanes(None)))
    assert samples == {("cortex_inference_configuration_valid", ()): 0}


def asked(method: str, path: str, kind: str = "http") -> list[MutableMapping[str, Any]]:
    sent: list[MutableMapping[str, Any]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "the app's"})

    async def receive() -> MutableMapping[str, Any]:
        raise AssertionError("nothing is read")

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    asyncio.run(MetricsPage(app)({"type": kind, "method": method, "path": path, "headers": []}, receive, send))
    return sent


def test_the_page_of_metrics_says_what_the_command_says(monkeypatch):
    monkeypatch.setattr(reader, "metrics", lambda: 'x{a="ä"} 1\n')
    start, body = asked("GET", "/metrics")
    assert start["status"] == 200
    assert dict(start["headers"])[b"content-type"] == CONTENT_TYPE.encode()
    assert body["body"].decode() == 'x{a="ä"} 1\n'
    assert dict(start["headers"])[b"content-length"] == str(len(body["body"])).encode()
    assert asked("HEAD", "/metrics")[1]["body"] == b""
    assert asked("POST", "/metrics")[0]["status"] == 405


@pytest.mark.parametrize(
    ("path", "kind"), [("/", "http"), ("/metrics/", "http"), ("/x/metrics", "http"), ("/metrics", "websocket")]
)
def test_whatever_else_is_the_apps(path, kind):
    assert asked("GET", path, kind) == [{"type": "the app's"}]


def test_a_lake_that_cannot_be_read_is_told_as_unavailable(monkeypatch):
    def fails() -> str:
        raise CommandError("the lake\nis gone", "there")

    monkeypatch.setattr(reader, "metrics", fails)
    start, body = asked("GET", "/metrics")
    assert (start["status"], body["body"]) == (503, b"# the lake is gone\n")
