"""Whether an engine may be asked now: a lane's questions to the ledger, and waiting for the turn."""

import json
import time
from collections.abc import Sequence

from inference.errors import EngineTimeout, LedgerUnavailable
from inference.generation.budget import Spent
from inference.generation.calls import Admitted, Ask, Closed, Ended, Later
from inference.generation.ledger import Ledger
from inference.generation.one_call import Asked
from inference.generation.question import Member, Question
from inference.generation.rate import Rate
from inference.generation.spec import LaneSpec
from inference.generation.tokens import estimated_prompt, estimated_tokens
from inference.requests import Attempt, GenerateRequest, Usage


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
        waits: bool = True,
    ) -> Asked | None:
        """A call that may be made; waits for its turn. None where the engine is left alone, which is noted as an attempt.

        Args:
            member: the engine.
            question: that the call is for.
            request: that is sent, the question's or a later one.
            has_others: another engine may be asked instead of waiting for one that failed just now.
            is_streamed: the answer comes in pieces.
            waits: for its turn; else None where it has not come, which is no attempt.

        Raises:
            BudgetExhausted: a cap is reached.
            Cancelled: nobody wants the answer any more.
            EngineTimeout: its turn did not come before the deadline.
        """
        where = f"lane {self._spec.name}"
        while True:
            question.limits.check(where)
            patience = min(member.spec.timeout, question.limits.left)
            ask = self._ask(member, question, request, patience, is_streamed=is_streamed)
            try:
                found = self._ledger.admit(ask, question.limits.left)
            except LedgerUnavailable:
                question.limits.check(where)  # it was only waited for as long as there was time
                raise
            if isinstance(found, Admitted):
                return Asked(self._ledger, found, member, question, request, patience, self._spec)
            if isinstance(found, Later) and not waits:
                return None
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
        if question.schema is not None:  # it is sent, too
            prompt += estimated_tokens(json.dumps(question.schema))
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
