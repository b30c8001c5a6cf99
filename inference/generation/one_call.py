"""One call of one engine that the ledger admitted: what became of it is written down once, whatever its end is."""

import logging
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
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
from inference.generation.calls import Admitted, Ended
from inference.generation.ledger import Ledger
from inference.generation.question import Member, Question
from inference.generation.spec import LaneSpec
from inference.generation.tokens import estimated_prompt, estimated_tokens
from inference.protocols import Schema
from inference.requests import Attempt, GenerateRequest, Limits, Reply, Usage
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
_QUOTE: Final = re.compile(r": (['\"]).*\1(?=; remedy)", re.S)
"""What a server said, in a message: it may repeat the prompt or be an answer, and neither is kept in the ledger."""
HAS_READ: Final = frozenset({"timeout", "unavailable", "crashed", "garbled", "withheld", "cancelled", "failed"})
"""Outcomes after which the prompt may well have been read, and billed."""


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
        lane: LaneSpec,
    ) -> None:
        self.usage = Usage(0, 0, True)
        self.pause: float | None = None
        self.is_final = False
        self.streamed: Reply | None = None
        self._ledger, self._admitted, self._member = ledger, admitted, member
        self._question, self._request, self._lane = question, request, lane.name
        self._enough = min(member.spec.timeout, lane.deadline, _PATIENT_SECONDS)
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
        if outcome in HAS_READ:
            self.usage = Usage(estimated_prompt(self._request), estimated_tokens(told), True)
        self._write(outcome, error, why=str(error or ""))

    def _note(self, outcome: str, message: str) -> None:
        self._question.attempts.append(Attempt(self._member.name, outcome, message))

    def _write(self, outcome: str, error: InferenceError | None, why: str = "") -> None:
        is_patient = self._seconds >= 0.9 * self._enough
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
            is_estimated=usage.is_estimated and outcome in (*HAS_READ, "ok", "invalid"),
            cost=cost,
            why=_QUOTE.sub("", why),
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
