"""Which lanes there are: ``inference.yaml`` and what the environment says, read and checked into values.

A secret never stands in the file: an engine names a variable of the environment. Errors name the file, the line and the remedy
and quote no keys. Nothing is loaded and nobody is asked here; that is ``building``'s.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from inference.generation.budget import Caps, Prices
from inference.generation.engine_names import embedder_named, model_named, rerank_named, short_name
from inference.generation.places import Place, read_places
from inference.generation.spec import (
    EMBEDDING,
    GENERATING,
    GUIDED,
    LANES,
    RERANK,
    TIERS,
    Configuration,
    EngineSpec,
    LaneSpec,
)
from inference.generation.variables import with_variables

EXAMPLE: Final = """\
# Which models serve which purpose (docs/configuration.md). Without it everything works, with no generator at all.
#
# engines:
#   big:
#     model: openai:qwen3-32b@http://127.0.0.1:8000/v1   # a server; packaged; gguf:<path>; hf: or vllm:org/name
#     tier: large                    # tiny, small, large: what it can be trusted with
#     context: 32768                 # tokens that a request and its answer may have together
#     concurrency: 4                 # calls at a time
#     timeout: 120                   # seconds for one attempt
#     api_key_env: BIG_KEY           # the variable that holds the key; a key never stands here
#     price: {prompt: 0.5, completion: 1.5}              # of a million tokens, in any one unit
# lanes:
#   orchestrator: [big, packaged]    # the default lane: in order, the first that answers
#   coder:
#     engines: [big]
#     deadline: 300                  # seconds for a request, waiting and fallback included
#     attempts: 2                    # of one engine
#     calls_per_minute: 120
#     budget: {run: 2.0, day: {cost: 10, tokens: 5000000, calls: 5000}}
#   embed: packaged                  # as CORTEX_EMBED
#   rerank: none                     # as CORTEX_RERANK
lanes: {}
"""
_ENGINE: Final = (
    "model", "tier", "context", "concurrency", "timeout", "api_key_env", "price", "guided", "limit_field", "device", "threads",
    "python",
)  # fmt: skip
_LANE: Final = (
    "engines", "deadline", "attempts", "calls_per_minute", "caller_calls_per_minute", "burst", "budget", "cache",
)  # fmt: skip
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
Secret = Callable[[str], str | None]


def read_configuration(text: str, file: str, variables: Mapping[str, str], secret: Secret) -> Configuration:
    """Read the text of ``inference.yaml`` and the variables ``CORTEX_LANE_*``, which come first.

    Args:
        text: of the file; empty where there is none.
        file: as it is called in messages.
        variables: name to value, those that begin with ``CORTEX_LANE_``.
        secret: the value of a variable that the file names.

    Raises:
        ConfigInvalid: the first thing that is wrong, with the line and the remedy.
    """
    top = read_places(text, file).mapping(("engines", "lanes"))
    known = {
        name: _engine(name, entry, secret)
        for name, entry in (top["engines"].entries() if "engines" in top else {}).items()
    }
    said = top["lanes"].mapping(LANES) if "lanes" in top else {}
    lanes = {
        name: _lane(name, said[name], known, secret) if name in said else LaneSpec(name, ()) for name in GENERATING
    }
    _check_names(lanes, said)
    found = Configuration(
        lanes,
        **{name: tuple(embedder_named(one) for one in said[name].items()) for name in EMBEDDING if name in said},
        rerank=rerank_named(said[RERANK]) if RERANK in said else None,
    )
    return with_variables(found, variables)


def _check_names(lanes: Mapping[str, LaneSpec], said: Mapping[str, Place]) -> None:
    """Raise where two engines are called the same: they would share a breaker, and one would never be asked after the other."""
    named: dict[str, EngineSpec] = {}
    for lane in lanes.values():
        for spec in lane.engines:
            if named.setdefault(spec.name, spec) != spec:
                raise said[lane.name].wrong(
                    f"has an engine that is called {spec.name} as another one is; remedy: name both under `engines`"
                )


def _engine(name: str, place: Place, secret: Secret) -> EngineSpec:
    if not _NAME.fullmatch(name):
        raise place.wrong("must be named with letters, digits, - _ and . only")
    said = place.mapping(_ENGINE)
    if "model" not in said:
        raise place.wrong(
            "has no `model`; remedy: model: openai:<model>@http://host:port/v1, packaged, gguf:<path>, hf:org/name "
            "or vllm:org/name"
        )
    model = model_named(said["model"])
    fields: dict[str, Any] = {}
    if "tier" in said:
        fields["tier"] = said["tier"].one_of(TIERS)
    for key, least in (("context", 64), ("concurrency", 1), ("threads", 1)):
        if key in said:
            fields[key] = said[key].whole(least)
    if "timeout" in said:
        fields["timeout"] = said["timeout"].number(0.1, 86_400)
    if "guided" in said:
        fields["guided"] = said["guided"].one_of(GUIDED)
    if "limit_field" in said:
        fields["limit_field"] = said["limit_field"].one_of(("max_tokens", "max_completion_tokens"))
    if "device" in said:
        fields["device"] = _device(said["device"])
    if "python" in said:
        fields["python"] = said["python"].text(4096)
    if "price" in said:
        fields["prices"] = _prices(said["price"])
    if "api_key_env" in said:
        fields["api_key"] = _key(said["api_key_env"], secret)
    return EngineSpec(name, model, **fields)


def _device(place: Place) -> str:
    device = place.text()
    if device not in ("auto", "cpu", "cuda") and not re.fullmatch(r"cuda:\d{1,3}", device):
        raise place.wrong(f"is {device[:40]!r}, and must be auto, cpu, cuda or cuda:<n>")
    return device


def _prices(place: Place) -> Prices:
    said = place.mapping(("prompt", "completion", "cached"))
    return Prices(**{name: one.number(0) for name, one in said.items()})


def _key(place: Place, secret: Secret) -> str:
    variable = place.text(200)
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", variable):
        raise place.wrong("must be the name of a variable of the environment; a key itself never stands in this file")
    value = secret(variable)
    if not value:
        raise place.wrong(f"names the variable {variable}, which is not set where this runs; remedy: export it")
    return value


def _lane(name: str, place: Place, known: dict[str, EngineSpec], secret: Secret) -> LaneSpec:
    if not isinstance(place.value, dict):
        return LaneSpec(name, _members(name, place, known, secret))
    said = place.mapping(_LANE)
    if "engines" not in said:
        raise place.wrong("has no `engines`; remedy: engines: [name]")
    fields: dict[str, Any] = {}
    if "deadline" in said:
        fields["deadline"] = said["deadline"].number(0.1, 7 * 86_400)
    for key in ("attempts", "burst"):
        if key in said:
            fields[key] = said[key].whole(1, 1000)
    for key in ("calls_per_minute", "caller_calls_per_minute"):
        if key in said:
            fields[key] = said[key].number(0.01)
    if "cache" in said:
        fields["is_cached"] = said["cache"].flag()
    if "budget" in said:
        budget = said["budget"].mapping(("run", "day"))
        fields |= {scope: _caps(entry) for scope, entry in budget.items()}
    return LaneSpec(name, _members(name, said["engines"], known, secret), **fields)


def _members(lane: str, place: Place, known: dict[str, EngineSpec], secret: Secret) -> tuple[EngineSpec, ...]:
    """The engines of a lane: names of ``engines``, names of models, or engines written on the spot."""
    found: list[EngineSpec] = []
    for at, one in enumerate(place.items(), 1):
        if isinstance(one.value, dict):
            spec = _engine(f"{lane}-{at}", one, secret)
        else:
            name = one.text()
            spec = known[name] if name in known else _by_model(name, one, known)
        if spec.name in {other.name for other in found}:
            raise one.wrong(f"lists {spec.name} twice; keep one")
        found.append(spec)
    return tuple(found)


def _by_model(name: str, place: Place, known: Mapping[str, EngineSpec]) -> EngineSpec:
    if ":" not in name and name not in ("packaged", "echo"):
        there = ", ".join(known) or "none"
        raise place.wrong(f"names the engine {name[:60]!r}, which is not under `engines`; there are: {there}")
    model = model_named(place)
    is_tiny = model in ("packaged", "echo")
    return EngineSpec(short_name(model), model, tier="tiny" if is_tiny else "small")


def _caps(place: Place) -> Caps:
    """A number is money."""
    if not isinstance(place.value, dict):
        return Caps(cost=place.number(0))
    said = place.mapping(("cost", "tokens", "calls"))
    return Caps(
        said["cost"].number(0) if "cost" in said else None,
        said["tokens"].whole(0, 10**15) if "tokens" in said else None,
        said["calls"].whole(0, 10**12) if "calls" in said else None,
    )
