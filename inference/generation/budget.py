"""What a lane may spend: caps of money, tokens and calls, for a run and for a day, and what is left of them."""

from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Final

MILLION: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Caps:
    """The most of each; None = as much as is asked for.

    Attributes:
        cost: in the unit of the prices.
        tokens: read and written.
        calls: that reach an engine.
    """

    cost: float | None = None
    tokens: int | None = None
    calls: int | None = None

    @property
    def is_set(self) -> bool:
        """Whether anything is capped."""
        return any(getattr(self, field.name) is not None for field in fields(self))


@dataclass(frozen=True, slots=True)
class Spent:
    """What was spent, or will be at most."""

    cost: float = 0.0
    tokens: int = 0
    calls: int = 0

    def __add__(self, other: "Spent") -> "Spent":
        return Spent(self.cost + other.cost, self.tokens + other.tokens, self.calls + other.calls)


@dataclass(frozen=True, slots=True)
class Prices:
    """What a million tokens cost, in any one unit.

    Attributes:
        prompt: that are read.
        completion: that are written.
        cached: that are read and were read before; None = as ``prompt``.
    """

    prompt: float = 0.0
    completion: float = 0.0
    cached: float | None = None

    def cost(self, prompt_tokens: int, completion_tokens: int, cached_tokens: int = 0) -> float:
        """Of a call."""
        again = min(cached_tokens, prompt_tokens) if self.cached is not None else 0
        read = (prompt_tokens - again) * self.prompt + again * (self.cached or 0.0)
        return (read + completion_tokens * self.completion) / MILLION


def exceeded(caps: Caps, spent: Spent) -> str:
    """Which cap is exceeded, in words; empty = none."""
    for name in ("cost", "tokens", "calls"):
        cap, have = getattr(caps, name), getattr(spent, name)
        if cap is not None and have > cap * (1 + 1e-9):
            return f"{have:,.6g} {name} of {cap:,.6g}"
    return ""


def day_of(now: float) -> str:
    """The day (UTC) of unix seconds, as ``2026-11-29``."""
    return datetime.fromtimestamp(now, UTC).date().isoformat()
