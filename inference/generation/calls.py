"""A call as the ledger knows it: that somebody wants to make it, whether it may be made, how it went."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from inference.generation.breaker import Effect
from inference.generation.budget import Caps, Spent
from inference.generation.rate import Rate
from inference.requests import Origin

OUTCOMES: Final = (
    "ok", "cached", "invalid", "garbled", "withheld", "timeout", "unreachable", "unavailable", "refused", "rate_limited",
    "quota", "too_long", "crashed", "cancelled", "failed", "lost", "open",
)  # fmt: skip
"""``open`` = under way; ``lost`` = its process ended before it did; ``invalid`` = an answer that is none; ``garbled`` = no reply of a
model at all."""
NOT_REACHED: Final = frozenset({"cached", "unreachable", "open"})
"""Outcomes of calls that no engine saw."""


@dataclass(frozen=True, slots=True)
class Ask:
    """A call that somebody wants to make.

    Attributes:
        lane: that asks.
        engine: that is asked.
        model: its model.
        digest: of the model.
        request_id: the same for all attempts of a request.
        origin: who asks.
        attempt: of the request, from 1.
        is_streamed: the answer comes in pieces.
        patience: seconds after which it gives up.
        concurrency: calls that the engine may have at a time.
        held: what it will spend at most.
        rates: name of a bucket to its rate.
        caps: scope (``run``, ``day``) to its caps.
    """

    lane: str
    engine: str
    model: str
    digest: str
    request_id: str
    origin: Origin
    attempt: int
    is_streamed: bool
    patience: float
    concurrency: int
    held: Spent
    rates: Mapping[str, Rate]
    caps: Mapping[str, Caps]


@dataclass(frozen=True, slots=True)
class Admitted:
    """It is written down and may be made."""

    id: int


@dataclass(frozen=True, slots=True)
class Later:
    """Not now: ask again after ``seconds``.

    Attributes:
        kind: ``busy``: it has as many calls as it may; ``suspect``: it failed just now; ``rate``; ``budget``: calls under way
            hold what is left.
        seconds: to wait.
        why: in words.
    """

    kind: Literal["busy", "suspect", "rate", "budget"]
    seconds: float
    why: str


@dataclass(frozen=True, slots=True)
class Closed:
    """The engine is left alone for ``seconds``: ask another one."""

    seconds: float
    why: str


@dataclass(frozen=True, slots=True)
class Ended:
    """How a call went.

    Attributes:
        outcome: one of ``OUTCOMES``.
        effect: of that on the engine's breaker.
        seconds: it took.
        first_token: seconds until the first token.
        prompt_tokens: read.
        completion_tokens: written.
        cached_tokens: read before.
        is_estimated: the tokens were not reported.
        cost: of it.
        why: it failed.
        pause: seconds that the engine asked to be left alone for.
    """

    outcome: str
    effect: Effect = "none"
    seconds: float = 0.0
    first_token: float | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    is_estimated: bool = False
    cost: float = 0.0
    why: str = ""
    pause: float | None = None


@dataclass(frozen=True, slots=True)
class Past:
    """A call that ended.

    Attributes:
        lane: that asked.
        engine: that was asked.
        started_at: unix seconds.
        ended: how it went.
    """

    lane: str
    engine: str
    started_at: float
    ended: Ended
