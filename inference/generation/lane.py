"""The door to generators: a lane asks its engines in order until one gives what was asked for, and writes every call down.

What may be asked when is the ``ledger``'s to say, what a reply is worth ``structured``'s. Rooms get typed answers or one error
that has all the evidence; they never see an engine.
"""

import random
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from collections.abc import Generator as Pieces
from typing import Final

from inference.errors import Cancelled, ContextExceeded, EngineTimeout, InferenceError, LaneDown, OutputInvalid
from inference.generation.asking import Bookkeeper
from inference.generation.cache import CompletionCache, cache_key
from inference.generation.ledger import Ledger
from inference.generation.one_call import Asked
from inference.generation.question import Member, Question
from inference.generation.spec import LaneSpec
from inference.generation.streaming import Stream
from inference.generation.structured import Unfit, asked_again, schema_of, value_of
from inference.generation.tokens import estimated_prompt
from inference.protocols import Generator
from inference.requests import Attempt, Cancellation, Completion, GenerateRequest, Limits, Reply, Usage

_FIRST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 8.0
_LONGEST_PATIENCE: Final = 2.0
"""Seconds that an engine may ask to wait before another one is asked instead."""
_SURELY: Final = 0.7
"""An estimate of tokens that is as much above the context is not even tried: servers would cut it off in silence."""


class GenerateLane:
    """One lane. Thread-safe.

    Args:
        spec: of the lane.
        engines: those of ``spec.engines``, in the same order.
        ledger: knows all calls.
        cache: of answers; None = nothing is kept.
        default: the lane that is asked at last; None for the default lane itself.
        chance: 0..1, for the jitter of pauses.
    """

    def __init__(
        self,
        spec: LaneSpec,
        engines: Sequence[Generator],
        ledger: Ledger,
        cache: CompletionCache | None = None,
        default: "GenerateLane | None" = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.spec = spec
        self._members = [Member(one, engine) for one, engine in zip(spec.engines, engines, strict=True)]
        self._books = Bookkeeper(spec, ledger)
        self._cache = cache if spec.is_cached else None
        self._default = default
        self._chance = chance

    @property
    def name(self) -> str:
        """Of the lane."""
        return self.spec.name

    def generate(self, request: GenerateRequest, cancellation: Cancellation | None = None) -> Completion:
        """One answer.

        Raises:
            RequestInvalid: the schema is none.
            OutputInvalid: no engine wrote what the schema asks for; to be put aside, not to be tried again.
            ContextExceeded: it is too long for every engine.
            LaneDown: no engine answers now.
            EngineTimeout: the deadline is over.
            BudgetExhausted: a cap is reached.
            Cancelled: nobody wants it any more.
            LedgerUnavailable: calls cannot be written down.
        """
        question = self.question(request, cancellation)
        return self.kept(question) or self._answer(question)

    def stream(
        self,
        request: GenerateRequest,
        cancellation: Cancellation | None = None,
        on_restart: Callable[[], None] | None = None,
    ) -> Stream:
        """One answer in pieces; see ``Stream``.

        Args:
            request: what is asked.
            cancellation: ends it.
            on_restart: called when an answer broke off after its first piece and begins anew: what was shown is to be
                forgotten. Without it, such an answer is an error.
        """
        question = self.question(request, cancellation)
        return Stream(lambda stream: self._streamed(stream, question, on_restart))

    def members(self) -> tuple[Member, ...]:
        """Its engines, in order."""
        return tuple(self._members)

    def question(self, request: GenerateRequest, cancellation: Cancellation | None) -> Question:
        """A request on its way, from now on.

        Raises:
            RequestInvalid: its schema is none.
        """
        now = time.monotonic()
        limits = Limits(now + self.spec.deadline, cancellation or Cancellation())
        return Question(request, schema_of(request), limits, now, uuid.uuid4().hex)

    def _answer(self, question: Question) -> Completion:
        for member in self._untried(question):
            answer = self._ask(member, question)
            if answer is not None:
                return answer
        if self._default is not None:
            question.limits = question.limits.within(self._default.spec.deadline)
            return self._default.kept(question) or self._default._answer(question)
        raise self._given_up(question)

    def _ask(self, member: Member, question: Question) -> Completion | None:
        """Ask one engine, again where that may help, once more to mend what is no answer; None = ask the next one."""
        request, is_mended, tried = question.request, False, 0
        if self.is_too_long(member, question):
            return None
        has_others = self._has_others(member)
        while True:
            asked = self._books.admitted(member, question, request, has_others=has_others)
            if asked is None:
                return None
            tried += 1
            reply = asked.reply(member.engine.generate)
            if reply is None:
                is_asked_off = has_others and (asked.pause or 0.0) > _LONGEST_PATIENCE
                if asked.is_final or is_asked_off or tried >= self.spec.attempts:
                    return None
                if not self._paused(question, tried, asked.pause):
                    return None
                continue
            found = self.settled(member, question, asked, reply)
            if found is not None or is_mended:
                return found
            is_mended, tried = True, 0
            request = asked_again(question.request, reply, question.attempts[-1].message)

    def _streamed(self, stream: Stream, question: Question, on_restart: Callable[[], None] | None) -> Iterator[str]:
        """The pieces of a stream; it is told the whole at the end."""
        kept = self.kept(question)
        if kept is not None:
            yield kept.text
            stream.completion = kept
            return
        for member in self._untried(question):
            stream.completion = yield from self._streamed_by(member, question, on_restart)
            if stream.completion is not None:
                return
        if self._default is None:
            raise self._given_up(question)
        question.limits = question.limits.within(self._default.spec.deadline)
        yield from self._default._streamed(stream, question, on_restart)

    def _streamed_by(
        self, member: Member, question: Question, on_restart: Callable[[], None] | None
    ) -> Pieces[str, None, Completion | None]:
        """The pieces of one engine, asked again where that may help; the whole at the end, None = ask the next one."""
        request, has_others = question.request, self._has_others(member)
        if self.is_too_long(member, question):
            return None
        for tried in range(1, self.spec.attempts + 1):
            asked = self._books.admitted(member, question, request, has_others=has_others, is_streamed=True)
            if asked is None:
                return None
            try:
                yield from asked.pieces(member.engine.stream)
            except InferenceError as error:
                if on_restart is None or isinstance(error, Cancelled):
                    raise
                on_restart()
            if asked.streamed is not None:
                return self._whole(member, question, asked, asked.streamed)
            if asked.is_final or tried == self.spec.attempts or not self._paused(question, tried, asked.pause):
                return None
        return None

    def _whole(self, member: Member, question: Question, asked: Asked, reply: Reply) -> Completion | None:
        """What a stream came to; None where nothing of it was shown, for it was empty."""
        found = self.settled(member, question, asked, reply)
        if found is None and reply.text:
            raise OutputInvalid(f"lane {self.name}: {member.name} wrote no answer", question.attempts)
        return found

    def settled(self, member: Member, question: Question, asked: Asked, reply: Reply) -> Completion | None:
        """Write down what a reply is worth, and keep one that is an answer; None where it is none, the last attempt says why."""
        try:
            value = value_of(reply, question.request, question.schema)
        except Unfit as problem:
            asked.unfit(str(problem))
            return None
        except BaseException:
            asked.unfit("it could not be checked")
            raise
        self._keep(member, question, reply, asked.usage)  # first: what is paid for stays where the ledger fails
        asked.fit()
        return question.completed(self.name, member, reply, value, asked.usage)

    def turn(self, member: Member, question: Question) -> Asked | None:
        """A call that may be made at once; None where it may not, which is no attempt.

        Raises:
            BudgetExhausted: a cap is reached.
            Cancelled: nobody wants the answer any more.
        """
        return self._books.admitted(member, question, question.request, has_others=True, waits=False)

    def is_too_long(self, member: Member, question: Question) -> bool:
        """Whether an engine surely cannot read a request, which is noted as an attempt."""
        tokens = estimated_prompt(question.request)
        if tokens * _SURELY <= member.engine.context:
            return False
        what = f"about {tokens} tokens, and it reads {member.engine.context}"
        question.attempts.append(Attempt(member.name, "too_long", what))
        return True

    def _untried(self, question: Question) -> list[Member]:
        """The engines that another lane did not ask before."""
        tried = {attempt.engine for attempt in question.attempts}
        return [member for member in self._members if member.name not in tried]

    def _has_others(self, member: Member) -> bool:
        return self._default is not None or member is not self._members[-1]

    def _paused(self, question: Question, tried: int, asked_for: float | None) -> bool:
        """Wait before the next attempt, with jitter; False where that would be later than the deadline."""
        if asked_for == 0.0:
            return True
        longest = min(_FIRST_PAUSE * 2 ** (tried - 1), _LONGEST_PAUSE)
        seconds = max(asked_for or 0.0, longest * (0.5 + 0.5 * self._chance()))
        if seconds >= question.limits.left:
            return False
        question.limits.cancellation.wait(seconds)
        question.limits.check(f"lane {self.name}")
        return True

    def kept(self, question: Question) -> Completion | None:
        """An answer that was there: of the first engine, or one that was paid for."""
        if self._cache is None or question.request.is_fresh:
            return None
        for member in self._members:
            kept = self._cache.get(cache_key(member.engine.digest, question.request, question.schema))
            if kept is None or not (member is self._members[0] or kept.is_paid):
                continue
            try:
                value = value_of(kept.reply, question.request, question.schema)
            except Unfit:
                continue  # the pydantic model has checks that its schema does not tell of
            usage = kept.reply.usage or Usage(0, 0, True)
            self._books.note_cached(member, question, usage)
            return question.completed(self.name, member, kept.reply, value, usage)
        return None

    def _keep(self, member: Member, question: Question, reply: Reply, usage: Usage) -> None:
        if self._cache is not None:
            key = cache_key(member.engine.digest, question.request, question.schema)
            is_paid = member.spec.prices.cost(usage.prompt_tokens, usage.completion_tokens) > 0
            self._cache.put(key, reply, usage, question.request.origin.shard, is_paid=is_paid)

    def _given_up(self, question: Question) -> InferenceError:
        """The error that the attempts come to."""
        attempts = question.attempts
        outcomes = {attempt.outcome for attempt in attempts}
        if attempts and outcomes == {"too_long"}:
            return ContextExceeded(
                f"lane {self.name}: {'; '.join(f'{one.engine}: {one.message}' for one in attempts)}; "
                "remedy: a shorter text, or an engine with a longer context"
            )
        if attempts and attempts[0].outcome == "invalid":
            return OutputInvalid(f"lane {self.name}: no engine wrote what was asked for", attempts)
        if question.limits.left <= 0:
            return EngineTimeout(f"lane {self.name}: no answer before the deadline ({attempts[-1].message})")
        down = LaneDown(f"lane {self.name}: no engine answers", attempts, self._books.retry_after(self._members))
        down.is_transient = question.has_transient
        return down
