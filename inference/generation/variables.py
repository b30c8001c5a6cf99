"""What the environment says of lanes (``CORTEX_LANE_<LANE>_MODEL``, ``_URL``, ``_API_KEY``, ``_BUDGET_DAY``): it comes first."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from inference.generation.engine_names import embedder_named, model_named, rerank_named
from inference.generation.places import Place
from inference.generation.spec import GENERATING, LANES, RERANK, TIERS, Configuration, EngineSpec, LaneSpec

PREFIX: Final = "CORTEX_LANE_"
_OF_ENGINE: Final = (
    "MODEL",
    "URL",
    "API_KEY",
    "TIER",
    "CONTEXT",
    "CONCURRENCY",
    "TIMEOUT",
    "PRICE_PROMPT",
    "PRICE_COMPLETION",
)
_OF_LANE: Final = ("DEADLINE", "ATTEMPTS", "CALLS_PER_MINUTE", "BUDGET_RUN", "BUDGET_DAY")


def with_variables(found: Configuration, variables: Mapping[str, str]) -> Configuration:
    """The same with what the environment says.

    Raises:
        ConfigInvalid: a variable names no lane, or cannot be.
    """
    lanes = dict(found.lanes)
    others: dict[str, Any] = {}
    for name, said in _by_lane(variables).items():
        if name not in lanes:
            others[name] = rerank_named(said["MODEL"]) if name == RERANK else (embedder_named(said["MODEL"]),)
            continue
        lane = lanes[name]
        of_engine = {key: place for key, place in said.items() if key in _OF_ENGINE}
        engines = (
            (_from_variables(lane, of_engine), *lane.engines[1 if "MODEL" not in said else 0 :]) if of_engine else ()
        )
        fields: dict[str, Any] = {"engines": engines} if of_engine else {}
        if "DEADLINE" in said:
            fields["deadline"] = said["DEADLINE"].number(0.1, 7 * 86_400)
        if "ATTEMPTS" in said:
            fields["attempts"] = said["ATTEMPTS"].whole(1, 1000)
        if "CALLS_PER_MINUTE" in said:
            fields["calls_per_minute"] = said["CALLS_PER_MINUTE"].number(0.01)
        for scope in ("run", "day"):
            if f"BUDGET_{scope.upper()}" in said:
                fields[scope] = replace(getattr(lane, scope), cost=said[f"BUDGET_{scope.upper()}"].number(0))
        lanes[name] = replace(lane, **fields)
    return replace(found, lanes=lanes, **others)


def _by_lane(variables: Mapping[str, str]) -> dict[str, dict[str, Place]]:
    """Lane to what the environment says of it."""
    found: dict[str, dict[str, Place]] = {}
    for variable, value in sorted(variables.items()):
        rest = variable.removeprefix(PREFIX)
        lane = next((name for name in LANES if rest.startswith(f"{name.upper()}_")), None)
        key = rest.removeprefix(f"{lane.upper()}_") if lane else ""
        place = Place(value, variable, 0, "")
        if lane is None:
            raise place.wrong(f"names no lane; there are {', '.join(name.upper() for name in LANES)}")
        allowed = (*_OF_ENGINE, *_OF_LANE) if lane in GENERATING else ("MODEL",)
        if key not in allowed:
            raise place.wrong(f"is not known; there are {', '.join(allowed)}")
        if value.strip():
            found.setdefault(lane, {})[key] = place
    return found


def _from_variables(lane: LaneSpec, said: Mapping[str, Place]) -> EngineSpec:
    """The first engine of a lane, made or changed."""
    first = lane.engines[0] if lane.engines else None
    if "MODEL" in said:
        model, at = said["MODEL"].text(), said.get("URL")
        if at is not None:
            model = f"openai:{model}@{at.text()}"
        spec = EngineSpec(f"{lane.name}-env", model_named(Place(model, said["MODEL"].file, 0, "")))
    elif first is None or "URL" in said:
        wrong = next(iter(said.values()))
        raise wrong.wrong(f"says how an engine is, and not which; remedy: set {PREFIX}{lane.name.upper()}_MODEL")
    else:
        spec = first
    fields: dict[str, Any] = {}
    if "API_KEY" in said:
        fields["api_key"] = said["API_KEY"].value.strip()
    if "TIER" in said:
        fields["tier"] = said["TIER"].one_of(TIERS)
    for key, least in (("CONTEXT", 64), ("CONCURRENCY", 1)):
        if key in said:
            fields[key.lower()] = said[key].whole(least)
    if "TIMEOUT" in said:
        fields["timeout"] = said["TIMEOUT"].number(0.1, 86_400)
    prices = {
        name: said[f"PRICE_{name.upper()}"].number(0)
        for name in ("prompt", "completion")
        if f"PRICE_{name.upper()}" in said
    }
    if prices:
        fields["prices"] = replace(spec.prices, **prices)
    return replace(spec, name=f"{lane.name}-env", **fields)  # it is not the engine of that name any more
