"""What ``apps.reader`` and ``apps.actions`` do about lanes and their engines. Imported late; no engine is asked here."""

from dataclasses import asdict, fields
from datetime import UTC, datetime

from apps.errors import USAGE, CommandError
from apps.lane_history import by_hour, summed
from apps.lane_reports import (
    ANSWERS,
    LEFT_ALONE,
    PROBED,
    UNUSABLE,
    BudgetLine,
    EngineLine,
    LaneLine,
    LanesReport,
    RouteReport,
)
from inference.generation.breaker import Breaker
from inference.generation.budget import Caps, Spent
from inference.generation.building import Lanes, Unusable
from inference.generation.calls import Past
from inference.generation.spec import DEFAULT, GENERATING, PURPOSES, EngineSpec
from resources.inference import open_lanes
from resources.settings import load_settings

_DAY = 86_400.0


def route(text: str, lane: str, task: str) -> RouteReport:
    """See ``apps.reader.route``."""
    if lane and lane not in GENERATING:
        raise CommandError("there is no such lane", lane, f"there are {', '.join(GENERATING)}", USAGE)
    lanes = open_lanes(load_settings())
    found = lanes.route(text, lane=lane, task=task)
    engines = tuple(engine.name for engine in lanes.configuration.serving(found.lane).engines)
    lanes.close()
    return RouteReport(found.lane, found.wanted, found.reasons, found.tokens, engines)


def lanes_report(*, is_brief: bool = False) -> LanesReport:
    """See ``apps.reader.lanes``; ``is_brief`` leaves the last 24 hours out, which take time where there were many calls."""
    settings = load_settings()
    lanes = open_lanes(settings)
    try:
        has_ledger = settings.calls.exists()
        breakers = lanes.ledger.breakers() if has_ledger else {}
        flights = lanes.ledger.in_flight() if has_ledger else {}
        now = lanes.ledger.now()
        past = lanes.ledger.since(now - _DAY) if has_ledger and not is_brief else []
        lines = tuple(_line(lanes, name, breakers, flights, past, has_ledger) for name in GENERATING)
        file = settings.inference_file
        return LanesReport(str(file), file.exists(), lines, datetime.fromtimestamp(now, UTC), by_hour(past))
    finally:
        lanes.close()


def reset_breaker(engine: str) -> None:
    """See ``apps.actions.reset_breaker``."""
    lanes = open_lanes(load_settings())
    try:
        known = lanes.configuration.engines
        if engine not in known:
            raise CommandError("no lane has such an engine", engine, f"there are {', '.join(known) or 'none'}", USAGE)
        lanes.ledger.reset(engine)
    finally:
        lanes.close()


def _line(
    lanes: Lanes, name: str, breakers: dict[str, Breaker], flights: dict[str, int], past: list[Past], has_ledger: bool
) -> LaneLine:
    spec = lanes.configuration.lanes[name]
    served_by = name if spec.engines else (DEFAULT if lanes.configuration.lanes[DEFAULT].engines else "")
    spent = lanes.ledger.spent(name) if has_ledger else Spent()
    return LaneLine(
        name=name,
        purpose=PURPOSES[name],
        served_by=served_by,
        engines=tuple(_engine(lanes, one, breakers.get(one.name), flights.get(one.name, 0)) for one in spec.engines),
        **asdict(summed([one for one in past if one.lane == name])),
        spent_today=spent.cost,
        day_budget=_caps(spec.day),
        run_budget=_caps(spec.run),
        budgets=tuple(BudgetLine(unit, getattr(spent, unit), cap) for unit, cap in _set(spec.day)),
    )


def _engine(lanes: Lanes, spec: EngineSpec, breaker: Breaker | None, in_flight: int) -> EngineLine:
    engine = lanes.engine(spec)
    state, left, why = ANSWERS, 0.0, ""
    if isinstance(engine, Unusable):
        state, why = UNUSABLE, str(engine.error)
    elif breaker is not None and breaker.state != "closed":
        left = max(breaker.seconds_left(lanes.ledger.now()), 0.0)
        state, why = (LEFT_ALONE if left else PROBED), breaker.why
    return EngineLine(spec.name, spec.model, spec.tier, engine.context, state, left, why, in_flight)


def _caps(caps: Caps) -> str:
    return ", ".join(f"{value:,g} {name}" for name, value in _set(caps))


def _set(caps: Caps) -> list[tuple[str, float]]:
    """The caps that are set, by name."""
    said = ((field.name, getattr(caps, field.name)) for field in fields(caps))
    return [(name, float(value)) for name, value in said if value is not None]
