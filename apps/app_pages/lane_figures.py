"""Lanes of models in words, tables and charts' descriptions, as the page of models shows them. Pure; knows no Streamlit."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from apps.app_pages.marking import Column, table
from apps.app_pages.wording import brief, count, lasting
from apps.lane_reports import ANSWERS, BudgetLine, EngineLine, HourLine, LaneLine, LanesReport

HOURS = 24
EXAMPLE = """\
engines:
  big:
    model: openai:qwen3-32b@http://127.0.0.1:8000/v1   # any server that speaks as OpenAI's does
    tier: large
    context: 32768                                     # tokens that a question and its answer have together
    # api_key_env: BIG_KEY                             # the variable that holds the key; a key never stands here
lanes:
  orchestrator: [big, packaged]                        # the first that answers; packaged is the small model that `make llama` installs
  coder:
    engines: [big]
    budget: {day: {tokens: 5000000}}
"""
_ANSWERED, _FAILED = "answered", "failed"
_USUAL, _SLOW = "usual (p50)", "slow (p95)"


def money(cost: float) -> str:
    """An amount in the unit of the prices, which nobody says."""
    return f"{cost:,.2f}" if cost >= 10 or not cost else f"{cost:.3g}"


def figures(report: LanesReport) -> list[tuple[str, str, str, str]]:
    """What all lanes did in the last 24 hours, as tiles."""
    calls, failed = (sum(getattr(lane, name) for lane in report.lanes) for name in ("calls", "failed"))
    cached, tokens = (sum(getattr(lane, name) for lane in report.lanes) for name in ("cached", "tokens"))
    under_way = sum({one.name: one.in_flight for lane in report.lanes for one in lane.engines}.values())
    asked = calls + cached
    return [
        (
            "Calls",
            brief(calls),
            f"{count(under_way)} under way",
            "that reached an engine, other tries of a question too",
        ),
        (
            "Failed",
            brief(failed),
            f"{100 * failed / calls:.1f} % of the calls" if calls else "",
            "calls that gave no answer",
        ),
        (
            "From the cache",
            brief(cached),
            f"{100 * cached / asked:.0f} % of all" if asked else "",
            "answers that were there",
        ),
        ("Tokens", brief(tokens), "read and written", "as the engines report them"),
        ("Cost", money(sum(lane.cost for lane in report.lanes)), "by your prices", "in the unit of the prices"),
    ]


def engines(lane: LaneLine) -> str:
    """A table of a lane's engines, in the order in which they are asked."""
    columns = [
        Column("", "number"), Column("engine"), Column("state", "badge"), Column("", "time"), Column("under way", "number"),
        Column("tier"), Column("context", "number"), Column("model", "code"),
    ]  # fmt: skip
    rows = [
        (str(at), one.name, one.state, _left(one), one.in_flight, one.tier, (one.context, "tokens"), one.model)
        for at, one in enumerate(lane.engines, start=1)
    ]
    return table(columns, rows)


def _left(engine: EngineLine) -> tuple[str, str]:
    """For how long an engine is left alone, with why when pointed at."""
    return (f"for {lasting(engine.seconds_left)}" if engine.seconds_left else ""), engine.why


def day(lanes: Sequence[LaneLine]) -> str:
    """A table of what lanes did in the last 24 hours."""
    numbers = ("calls", "failed", "from cache", "tokens", "cost", "usual time", "slow time")
    columns = [Column("lane"), *(Column(name, "number") for name in numbers)]
    rows = [
        (
            one.name,
            one.calls,
            one.failed,
            one.cached,
            brief(one.tokens) if one.tokens else 0,
            money(one.cost),
            _time(one.p50),
            _time(one.p95),
        )
        for one in lanes
    ]
    return table(columns, rows)


def _time(seconds: float | None) -> str:
    if seconds is None:
        return "·"
    return f"{seconds * 1000:,.0f} ms" if seconds < 1 else lasting(seconds)


def shown(report: LanesReport) -> list[LaneLine]:
    """Lanes that have engines, or had calls."""
    return [lane for lane in report.lanes if lane.engines or lane.calls or lane.cached]


def without_engines(report: LanesReport) -> list[str]:
    """Who serves the lanes that have no engine, in sentences."""
    found: dict[str, list[str]] = {}
    for lane in report.lanes:
        if not lane.engines:
            found.setdefault(lane.served_by, []).append(lane.name)
    return [
        f"{', '.join(names)}: no engine of {'its' if len(names) == 1 else 'their'} own; "
        + (f"served by {server}." if server else "nobody serves here, and rooms use methods that need no model.")
        for server, names in found.items()
    ]


def troubled(report: LanesReport) -> list[EngineLine]:
    """Engines that do not simply answer, each once."""
    found = {one.name: one for lane in report.lanes for one in lane.engines if one.state != ANSWERS}
    return list(found.values())


def trouble(engine: EngineLine) -> str:
    """How an engine stands that does not simply answer."""
    if engine.seconds_left:
        return f"is {engine.state} for {lasting(engine.seconds_left)}"
    return {"probed": "is tried by the next call", "unusable": "cannot be used here"}.get(
        engine.state, f"is {engine.state}"
    )


def budget(line: BudgetLine) -> tuple[float, str]:
    """The share of a cap that is spent, at most 1, and that in words."""
    spent, cap = (money(one) if line.unit == "cost" else brief(int(one)) for one in (line.spent, line.cap))
    share = min(line.spent / line.cap, 1.0) if line.cap else 1.0
    return share, f"{line.unit} today: {spent} of {cap}, {100 * share:.0f} %"


def hours_of(report: LanesReport, lane: str) -> list[HourLine]:
    """The hours of a lane; '' = all together."""
    return [one for one in report.hours if one.lane == lane]


def calls_chart(hours: Sequence[HourLine], now: datetime) -> dict[str, Any]:
    """A Vega-Lite chart: bars of calls by hour, the failed ones told apart."""
    points = [
        {"hour": _hour(one.started_at), "calls": number, "how": how}
        for one in hours
        for how, number in ((_ANSWERED, one.calls - one.failed), (_FAILED, one.failed))
    ]
    color = {"domain": [_ANSWERED, _FAILED], "range": ["#14a091", "#dc2626"]}
    return {
        "height": 240,
        "data": {"values": points},
        "mark": {"type": "bar"},
        "encoding": _encoding("calls", "square", color, now) | {"order": {"field": "how"}},
    }


def latency_chart(hours: Sequence[HourLine], now: datetime) -> dict[str, Any]:
    """A Vega-Lite chart: seconds of the calls that succeeded, the middle one and one of twenty, by hour."""
    points = [
        {"hour": _hour(one.started_at), "seconds": round(seconds, 3), "how": how}
        for one in hours
        for how, seconds in ((_USUAL, one.p50), (_SLOW, one.p95))
        if seconds is not None
    ]
    color = {"domain": [_USUAL, _SLOW], "range": ["#14a091", "#d97706"]}
    dashes = {"field": "how", "type": "nominal", "legend": None, "sort": [_USUAL, _SLOW]}
    return {
        "height": 240,
        "data": {"values": points},
        "mark": {"type": "line", "point": True, "strokeWidth": 2},
        "encoding": _encoding("seconds", "stroke", color, now) | {"strokeDash": dashes},
    }


def _encoding(field: str, symbol: str, color: dict[str, Any], now: datetime) -> dict[str, Any]:
    first = now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=HOURS)
    domain = [_hour(first + timedelta(hours=number)) for number in range(HOURS + 1)]
    axis = {"labelAngle": 0, "labelOverlap": "greedy", "labelExpr": "slice(datum.label, -5)"}
    return {
        "x": {"field": "hour", "type": "ordinal", "title": None, "scale": {"domain": domain}, "axis": axis},
        "y": {
            "field": field,
            "type": "quantitative",
            "title": field,
            "axis": {"tickMinStep": 1} if field == "calls" else {},
        },
        "color": {
            "field": "how",
            "type": "nominal",
            "title": None,
            "scale": color,
            "legend": {"orient": "top", "symbolType": symbol},
        },
        "tooltip": [{"field": name, "type": "nominal"} for name in ("hour", "how", field)],
    }


def _hour(moment: datetime) -> str:
    return f"{moment:%d %b %H:00}"
