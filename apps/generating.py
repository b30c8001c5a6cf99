"""What ``apps.reader`` and ``apps.actions`` do about lanes and their engines. Imported late; no engine is asked here."""

import math
from dataclasses import fields

from apps.errors import USAGE, CommandError
from apps.lane_reports import ANSWERS, LEFT_ALONE, PROBED, UNUSABLE, EngineLine, LaneLine, LanesReport, RouteReport
from inference.generation.breaker import Breaker
from inference.generation.budget import Caps
from inference.generation.building import Lanes, Unusable
from inference.generation.calls import NOT_REACHED, Ended
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


def lanes_report() -> LanesReport:
    """See ``apps.reader.lanes``."""
    settings = load_settings()
    lanes = open_lanes(settings)
    try:
        has_ledger = settings.calls.exists()
        breakers = lanes.ledger.breakers() if has_ledger else {}
        flights = lanes.ledger.in_flight() if has_ledger else {}
        rows = lanes.ledger.since(lanes.ledger.now() - _DAY) if has_ledger else []
        lines = tuple(_line(lanes, name, breakers, flights, rows, has_ledger) for name in GENERATING)
        return LanesReport(str(settings.inference_file), settings.inference_file.exists(), lines)
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
    lanes: Lanes,
    name: str,
    breakers: dict[str, Breaker],
    flights: dict[str, int],
    rows: list[tuple[str, Ended]],
    has_ledger: bool,
) -> LaneLine:
    spec = lanes.configuration.lanes[name]
    mine = [ended for lane, ended in rows if lane == name]
    reached = [ended for ended in mine if ended.outcome not in NOT_REACHED]
    good = sorted(ended.seconds for ended in reached if ended.outcome == "ok")
    served_by = name if spec.engines else (DEFAULT if lanes.configuration.lanes[DEFAULT].engines else "")
    return LaneLine(
        name=name,
        purpose=PURPOSES[name],
        served_by=served_by,
        engines=tuple(_engine(lanes, one, breakers.get(one.name), flights.get(one.name, 0)) for one in spec.engines),
        calls=len(reached),
        failed=sum(1 for ended in reached if ended.outcome != "ok"),
        cached=sum(1 for ended in mine if ended.outcome == "cached"),
        tokens=sum(ended.prompt_tokens + ended.completion_tokens for ended in reached),
        cost=sum(ended.cost for ended in reached),
        p50=_percentile(good, 0.5),
        p95=_percentile(good, 0.95),
        spent_today=lanes.ledger.spent(name).cost if has_ledger else 0.0,
        day_budget=_caps(spec.day),
        run_budget=_caps(spec.run),
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
    said = [(field.name, getattr(caps, field.name)) for field in fields(caps)]
    return ", ".join(f"{value:,g} {name}" for name, value in said if value is not None)


def _percentile(values: list[float], share: float) -> float | None:
    """Nearest rank; None of nothing."""
    return values[max(math.ceil(share * len(values)) - 1, 0)] if values else None
