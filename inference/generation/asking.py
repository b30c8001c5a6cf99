"""One call of one engine, written down before it is made and after it ended, whatever its end is."""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Final

from inference.errors import (
    AnswerWithheld,
    Cancelled,
    ContextExceeded,
    EngineCrashed,
    EngineRefused,
    EngineReplyInvalid,
    EngineTimeout,
    EngineUnavailable,
    EngineUnreachable,
    InferenceError,
    QuotaExceeded,
    RateLimited,
)
from inference.generation.breaker import effect_of
from inference.generation.budget import Spent
from inference.generation.calls import Admitted, Ask, Closed, Ended
from inference.generation.ledger import Ledger
from inference.generation.rate import Rate
from inference.generation.spec import EngineSpec, LaneSpec
from inference.generation.tokens import estimated_prompt, estimated_tokens
from inference.protocols import Generator, Schema
from inference.requests import Attempt, Completion, GenerateRequest, Limits, Reply, Usage
from inference.tracing import span

_log = logging.getLogger("cortex.inference")
_PATIENT_SECONDS: Final = 10.0
_OUTCOMES: Final = (
    (Cancelled, "cancelled"),
    (ContextExceeded, "too_long"),
    (EngineTimeout, "timeout"),
    (EngineUnreachable, "unreachable"),
    (QuotaExceeded, "quota"),
    (RateLimited, "rate_limited"),
    (EngineRefused, "refused"),
    (EngineCrashed, "crashed"),
    (EngineReplyInvalid, "garbled"),
    (AnswerWithheld, "withheld"),
    (EngineUnavailable, "unavailable"),
)
_TOLD: Final = ("outcome", "seconds", "prompt_tokens", "completion_tokens", "is_estimated", "cost")
_HAS_READ: Final = frozenset({"timeout", "unavailable", "crashed", "garbled", "withheld", "cancelled", "failed"})
"""Outcomes after which the prompt may well have been read, and billed."""


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


class Bookkeeper:
    """Asks the ledger for a lane."""

    def __init__(self, spec: LaneSpec, ledger: Ledger) -> None:
        self._spec, self._ledger = spec, ledger

    def admitted(
        self,
        member: Member,
        question: Question,
        request: GenerateRequest,
        *,
        has_others: bool,
        is_streamed: bool = False,
    ) -> "Asked | None":
        """A call that may be made; waits for its turn. None where the engine is left alone, which is noted as an attempt.

        Args:
            member: the engine.
            question: that the call is for.
            request: that is sent, the question's or a later one.
            has_others: another engine may be asked instead of waiting for one that failed just now.
            is_streamed: the answer comes in pieces.

        Raises:
            BudgetExhausted: a cap is reached.
            Cancelled: nobody wants the answer any more.
            EngineTimeout: its turn did not come before the deadline.
        """
        where = f"lane {self._spec.name}"
        while True:
            question.limits.check(where)
            patience = min(member.spec.timeout, question.limits.left)
            found = self._ledger.admit(self._ask(member, question, request, patience, is_streamed=is_streamed))
            if isinstance(found, Admitted):
                return Asked(self._ledger, found, member, question, request, patience, self._spec.name)
            if isinstance(found, Closed) or (found.kind == "suspect" and has_others):
                said = f"for {found.seconds:.0f} s: {found.why}" if isinstance(found, Closed) else found.why
                question.attempts.append(Attempt(member.name, "left_alone", said))
                question.has_transient = True
                return None
            if found.kind == "rate" and found.seconds > question.limits.left:
                raise EngineTimeout(f"{where}: {found.why}, and the deadline is earlier; remedy: ask less often")
            question.limits.cancellation.wait(min(found.seconds, question.limits.left))

    def note_cached(self, member: Member, question: Question, usage: Usage) -> None:
        """Write down that the answer was there."""
        ask = self._ask(member, question, question.request, 0.0, is_streamed=False)
        ended = Ended(
            "cached",
            seconds=time.monotonic() - question.begun,
            prompt_tokens=usage.prompt_tokens,
            completion_tokens=usage.completion_tokens,
            is_estimated=usage.is_estimated,
        )
        self._ledger.note_cached(ask, ended)
        question.attempts.append(Attempt(member.name, "cached"))

    def retry_after(self, members: Sequence[Member]) -> float:
        """Seconds until the first of these engines is tried again."""
        breakers, now = self._ledger.breakers(), self._ledger.now()
        waits = [breakers[one.name].seconds_left(now) for one in members if one.name in breakers]
        return max(min(waits), 0.0) if waits else 0.0

    def _ask(
        self, member: Member, question: Question, request: GenerateRequest, patience: float, *, is_streamed: bool
    ) -> Ask:
        spec, prompt = self._spec, estimated_prompt(request)
        rates: dict[str, Rate] = {}
        if spec.calls_per_minute is not None:
            rates[f"lane {spec.name}"] = Rate(spec.calls_per_minute, spec.burst)
        if spec.caller_calls_per_minute is not None:
            caller = request.origin.caller or "anybody"
            rates[f"{caller} in lane {spec.name}"] = Rate(spec.caller_calls_per_minute, spec.burst)
        return Ask(
            lane=spec.name,
            engine=member.name,
            model=member.engine.model,
            digest=member.engine.digest,
            request_id=question.id,
            origin=request.origin,
            attempt=len(question.attempts) + 1,
            is_streamed=is_streamed,
            patience=patience,
            concurrency=member.spec.concurrency,
            held=Spent(member.spec.prices.cost(prompt, request.max_tokens), prompt + request.max_tokens, 1),
            rates=rates,
            caps={"run": spec.run, "day": spec.day},
        )


class Asked:
    """One call that may be made. Its end is written down once: by a failure, or by ``fit`` or ``unfit`` after a reply.

    Attributes:
        usage: of the reply.
        pause: seconds that the engine asked to be left alone for.
        is_final: it failed in a way that asking it again does not mend.
        streamed: the whole reply of a stream.
    """

    def __init__(
        self,
        ledger: Ledger,
        admitted: Admitted,
        member: Member,
        question: Question,
        request: GenerateRequest,
        patience: float,
        lane: str = "",
    ) -> None:
        self.usage = Usage(0, 0, True)
        self.pause: float | None = None
        self.is_final = False
        self.streamed: Reply | None = None
        self._ledger, self._admitted, self._member = ledger, admitted, member
        self._question, self._request, self._lane = question, request, lane
        self._limits = question.limits.within(patience)
        self._begun = time.monotonic()
        self._first: float | None = None
        self._seconds = 0.0

    def reply(self, call: Callable[[GenerateRequest, Limits, Schema | None], Reply]) -> Reply | None:
        """What the engine says; None where it failed.

        Raises:
            Cancelled: nobody wants the answer any more.
        """
        try:
            reply = call(self._request, self._limits, self._question.schema)
        except InferenceError as error:
            self._failed(error)
            return None
        except BaseException as error:
            self._end("failed" if isinstance(error, Exception) else "cancelled", None, "")
            raise
        self._heard(reply)
        return reply

    def pieces(self, call: Callable[[GenerateRequest, Limits, Schema | None], Iterator[str | Reply]]) -> Iterator[str]:
        """The same in pieces. A failure before the first one leaves ``streamed`` None; a later one is raised."""
        told: list[str] = []
        try:
            for piece in call(self._request, self._limits, self._question.schema):
                if isinstance(piece, Reply):
                    self._heard(piece)
                    self.streamed = piece
                    return
                self._first = self._first or time.monotonic() - self._begun
                told.append(piece)
                yield piece
            raise EngineReplyInvalid(f"{self._member.name} ended its answer without saying so")
        except InferenceError as error:
            self._failed(error, "".join(told))
            if told:
                raise
        except GeneratorExit:
            self._end("cancelled", None, "".join(told))
            raise
        except BaseException as error:
            self._end("failed" if isinstance(error, Exception) else "cancelled", None, "".join(told))
            raise

    def fit(self) -> None:
        """The reply is what was asked for."""
        self._note("ok", "")
        self._write("ok", None)

    def unfit(self, problem: str) -> None:
        """The reply is no answer."""
        self._note("invalid", problem)
        self._write("invalid", None, why=problem)

    def _heard(self, reply: Reply) -> None:
        self._seconds = time.monotonic() - self._begun
        self._first = reply.first_token if reply.first_token is not None else self._first
        estimated = Usage(estimated_prompt(self._request), estimated_tokens(reply.text), True)
        self.usage = reply.usage or estimated

    def _failed(self, error: InferenceError, told: str = "") -> None:
        outcome = outcome_of(error)
        self.is_final = not error.is_transient
        self.pause = getattr(error, "retry_after", None)
        self._question.has_transient |= error.is_transient
        self._note(outcome, str(error))
        self._end(outcome, error, told)
        if isinstance(error, Cancelled):
            raise error

    def _end(self, outcome: str, error: InferenceError | None, told: str) -> None:
        """Write down an end without a reply."""
        self._seconds = time.monotonic() - self._begun
        if outcome in _HAS_READ:
            self.usage = Usage(estimated_prompt(self._request), estimated_tokens(told), True)
        self._write(outcome, error, why=str(error or ""))

    def _note(self, outcome: str, message: str) -> None:
        self._question.attempts.append(Attempt(self._member.name, outcome, message))

    def _write(self, outcome: str, error: InferenceError | None, why: str = "") -> None:
        is_patient = self._seconds >= 0.9 * min(self._member.spec.timeout, _PATIENT_SECONDS)
        usage = self.usage
        cost = self._member.spec.prices.cost(usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens)
        self._question.cost += cost
        ended = Ended(
            outcome,
            effect="none" if outcome in ("cancelled", "failed") else effect_of(error, is_patient=is_patient),
            seconds=self._seconds,
            first_token=self._first,
            prompt_tokens=usage.prompt_tokens,
            completion_tokens=usage.completion_tokens,
            cached_tokens=usage.cached_tokens,
            is_estimated=usage.is_estimated and outcome in (*_HAS_READ, "ok", "invalid"),
            cost=cost,
            why=why,
            pause=self.pause,
        )
        self._ledger.finish(self._admitted, ended)
        self._tell(ended)

    def _tell(self, ended: Ended) -> None:
        """A log line and a span of the call; neither holds what was asked or answered."""
        origin, member = self._question.request.origin, self._member
        if _log.isEnabledFor(logging.INFO):
            told = {name: getattr(ended, name) for name in _TOLD}
            names = {
                "lane": self._lane,
                "engine": member.name,
                "model": member.engine.model,
                "attempt": len(self._question.attempts),
            }
            _log.info("model call: %s", ended.outcome, extra={**asdict(origin), **names, **told})
        attributes = {
            "gen_ai.operation.name": "chat",
            "gen_ai.request.model": member.engine.model,
            "gen_ai.usage.input_tokens": ended.prompt_tokens,
            "gen_ai.usage.output_tokens": ended.completion_tokens,
            "cortex.lane": self._lane,
            "cortex.engine": member.name,
            "cortex.run_id": origin.run_id,
            "cortex.shard": origin.shard,
        }
        now = time.time()
        error = "" if ended.outcome == "ok" else ended.outcome
        span(f"chat {member.engine.model}", now - ended.seconds, now, attributes, origin.trace_id, error)


def outcome_of(error: InferenceError) -> str:
    """The word for an error in the ledger."""
    return next((word for kind, word in _OUTCOMES if isinstance(error, kind)), "failed")
