"""A request on its way through a lane, and the engines that it meets."""

import time
from dataclasses import dataclass, field

from inference.generation.spec import EngineSpec
from inference.protocols import Generator, Schema
from inference.requests import Attempt, Completion, GenerateRequest, Limits, Reply, Usage


@dataclass(frozen=True, slots=True)
class Member:
    """An engine of a lane: how it is configured, and the engine."""

    spec: EngineSpec
    engine: Generator

    @property
    def name(self) -> str:
        """As configured."""
        return self.spec.name


@dataclass(slots=True)
class Question:
    """A request on its way through a lane, and what became of it so far.

    Attributes:
        request: as it was asked.
        schema: that the answer must have; None = any text.
        limits: until when.
        begun: of ``time.monotonic()``.
        id: the same in all its ledger rows.
        attempts: so far.
        cost: so far.
        has_transient: an attempt failed in a way that may pass.
    """

    request: GenerateRequest
    schema: Schema | None
    limits: Limits
    begun: float
    id: str
    attempts: list[Attempt] = field(default_factory=list)
    cost: float = 0.0
    has_transient: bool = False

    def completed(self, lane: str, member: Member, reply: Reply, value: object, usage: Usage) -> Completion:
        """The answer."""
        is_cached = bool(self.attempts) and self.attempts[-1].outcome == "cached"
        return Completion(
            text=reply.text,
            value=value,
            usage=usage,
            latency=time.monotonic() - self.begun,
            first_token=None if is_cached else reply.first_token,
            lane=lane,
            engine=member.name,
            model=member.engine.model,
            digest=member.engine.digest,
            finish=reply.finish,
            is_cached=is_cached,
            attempts=tuple(self.attempts),
            cost=self.cost,
        )
