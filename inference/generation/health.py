"""Whether engines are there, without asking them anything: servers list their models, which costs nothing; breakers are looked at."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from inference.errors import InferenceError
from inference.generation.breaker import Breaker
from inference.generation.building import Lanes, Unusable
from inference.protocols import HasHealth
from inference.requests import limits

SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Health:
    """How an engine stands.

    Attributes:
        engine: its name.
        lanes: that list it.
        is_well: nothing speaks against asking it.
        detail: what was seen.
    """

    engine: str
    lanes: tuple[str, ...]
    is_well: bool
    detail: str


def looked_at(lanes: Lanes, seconds: float = SECONDS) -> list[Health]:
    """All engines that are configured, each looked at for so many seconds at most."""
    breakers = lanes.ledger.breakers() if lanes.ledger.path.exists() else {}
    return [_health(lanes, name, breakers, seconds) for name in lanes.configuration.engines]


def lanes_down(lanes: Lanes, found: list[Health]) -> list[str]:
    """Lanes none of whose engines is well; those without engines are no lanes."""
    well = {one.engine for one in found if one.is_well}
    specs = lanes.configuration.lanes.values()
    return [lane.name for lane in specs if lane.engines and not well & {engine.name for engine in lane.engines}]


def _health(lanes: Lanes, name: str, breakers: Mapping[str, Breaker], seconds: float) -> Health:
    spec = lanes.configuration.engines[name]
    users = tuple(lane.name for lane in lanes.configuration.lanes.values() if spec in lane.engines)
    engine = lanes.engine(spec)
    if isinstance(engine, Unusable):
        return Health(name, users, False, str(engine.error))
    breaker = breakers.get(name, Breaker())
    left = breaker.seconds_left(lanes.ledger.now())
    if left > 0:
        return Health(name, users, False, f"left alone for {left:.0f} s: {breaker.why}")
    if not isinstance(engine, HasHealth):
        return Health(name, users, True, "local: it is loaded at its first call")
    try:
        return Health(name, users, True, engine.health(limits(seconds)))
    except InferenceError as error:
        return Health(name, users, False, str(error))
