"""What is asked of a generator, and what comes back: values only, the same for every engine.

How an engine is called is in ``inference.engines``; which engine answers is the lane's to say (``inference.generation``).
"""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import astuple, dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from inference.errors import Cancelled, EngineTimeout, RequestInvalid

if TYPE_CHECKING:
    from pydantic import BaseModel

Role = Literal["system", "user", "assistant"]
Finish = Literal["stop", "length"]
ROLES: Final = ("system", "user", "assistant")


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class Origin:
    """Who asks, for the ledger, for limits and for traces; nothing of it reaches a model.

    Attributes:
        caller: the room or command that asks, such as ``graph.extract``: has its own share of a lane's rate.
        run_id: of the run: has its own budget.
        shard: that is worked on.
        trace_id: 32 hexadecimal digits; ties log lines, spans and ledger rows together.
    """

    caller: str = ""
    run_id: str = ""
    shard: str = ""
    trace_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerateRequest:
    """What is asked.

    Attributes:
        messages: the conversation; the last one is the user's.
        system: what the model is told first; empty = nothing.
        max_tokens: how long the answer may be.
        temperature: 0 = always the likeliest token; at most 2.
        top_p: sample from the likeliest tokens that have this share together, above 0 to 1.
        stop: texts that end the answer, not part of it.
        schema: what the answer must be: a JSON schema (draft 2020-12) or a pydantic model; None = any text.
        seed: of the sampling, where the engine knows seeds.
        prompt: name and version of the prompt that was filled in: part of the cache's key.
        origin: who asks.
        is_fresh: do not answer from the cache.

    Raises:
        RequestInvalid: values that cannot be.
    """

    messages: tuple[Message, ...]
    system: str = ""
    max_tokens: int = 1024
    temperature: float = 0.0
    top_p: float = 1.0
    stop: tuple[str, ...] = ()
    schema: "Mapping[str, Any] | type[BaseModel] | None" = None
    seed: int | None = None
    prompt: str = ""
    origin: Origin = Origin()
    is_fresh: bool = False

    def __post_init__(self) -> None:
        problem = _problem(self)
        if problem:
            raise RequestInvalid(f"this cannot be asked of a generator: {problem}")

    def conversation(self) -> tuple[Message, ...]:
        """The messages with the system's in front, where there is one."""
        return (Message("system", self.system), *self.messages) if self.system else self.messages


def ask(text: str, **settings: Any) -> GenerateRequest:
    """A request of one message; ``settings`` are ``GenerateRequest``'s."""
    return GenerateRequest(messages=(Message("user", text),), **settings)


@dataclass(frozen=True, slots=True)
class Usage:
    """How much was read and written, in the model's tokens.

    Attributes:
        prompt_tokens: of everything that was sent.
        completion_tokens: of what was written, what was only thought included.
        is_estimated: the engine did not report them.
        cached_tokens: of the prompt, those that the engine had read before.
    """

    prompt_tokens: int
    completion_tokens: int
    is_estimated: bool = False
    cached_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Reply:
    """What an engine gave for one attempt.

    Attributes:
        text: the answer; what was only thought is not part of it.
        finish: ``stop``, or ``length`` where it was cut off.
        usage: None where the engine reports none.
        first_token: seconds until the first token came; None where that cannot be seen.
        has_reasoning: something was thought; with an empty ``text`` nothing else.
    """

    text: str
    finish: Finish
    usage: Usage | None = None
    first_token: float | None = None
    has_reasoning: bool = False


@dataclass(frozen=True, slots=True)
class Attempt:
    """One engine asked once: how it went, in a word of ``inference.generation.ledger`` and, where it failed, in a sentence."""

    engine: str
    outcome: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class Completion:
    """An answer.

    Attributes:
        text: as it was written.
        value: what it says under the request's schema: plain JSON values, or an instance of the pydantic model; else None.
        usage: of the attempt that succeeded; of a cached one, what it took then.
        latency: seconds from the question to the answer, waiting and failed attempts included.
        first_token: seconds from the successful attempt's start to its first token, where that can be seen.
        lane: that answered.
        engine: that answered.
        model: its name.
        digest: identity of the model: a new model has another one.
        finish: ``length`` where the text was cut off at ``max_tokens``; never of a validated value.
        is_cached: the answer was there.
        attempts: all of them, in order.
        cost: of all attempts, in the unit of the configured prices.
    """

    text: str
    value: Any
    usage: Usage
    latency: float
    first_token: float | None
    lane: str
    engine: str
    model: str
    digest: str
    finish: Finish
    is_cached: bool = False
    attempts: tuple[Attempt, ...] = ()
    cost: float = 0.0


class Cancellation:
    """Ends what is under way when somebody does not want it any more. Thread-safe; once cancelled, for ever."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._event = threading.Event()
        self._hooks: dict[int, Callable[[], None]] = {}

    @property
    def is_cancelled(self) -> bool:
        """Whether somebody did."""
        return self._event.is_set()

    def cancel(self) -> None:
        """Do it: waits end, connections are closed, engines in child processes are stopped."""
        with self._lock:
            self._event.set()
            hooks, self._hooks = list(self._hooks.values()), {}
        for hook in hooks:
            hook()

    def on_cancel(self, hook: Callable[[], None]) -> Callable[[], None]:
        """Have ``hook`` called once when it is cancelled, at once where it is; what is returned takes that back."""
        with self._lock:
            if not self._event.is_set():
                self._hooks[id(hook)] = hook
                return lambda: self._take_back(hook)
        hook()
        return lambda: None

    def wait(self, seconds: float) -> bool:
        """Sleep; True where that was ended by cancelling."""
        return self._event.wait(max(seconds, 0.0))

    def _take_back(self, hook: Callable[[], None]) -> None:
        with self._lock:
            self._hooks.pop(id(hook), None)


@dataclass(frozen=True, slots=True)
class Limits:
    """Until when an attempt may go on.

    Attributes:
        deadline: of ``time.monotonic()``.
        cancellation: ends it earlier.
    """

    deadline: float
    cancellation: Cancellation = field(default_factory=Cancellation)

    @property
    def left(self) -> float:
        """Seconds, below 0 where it is late."""
        return self.deadline - time.monotonic()

    def within(self, seconds: float) -> "Limits":
        """The same, ending after so many seconds if that is earlier."""
        return Limits(min(self.deadline, time.monotonic() + seconds), self.cancellation)

    def check(self, where: str) -> None:
        """Raise when there is no time left.

        Raises:
            Cancelled: somebody does not want the answer any more.
            EngineTimeout: the deadline is over.
        """
        if self.cancellation.is_cancelled:
            raise Cancelled(f"{where}: cancelled")
        if self.left <= 0:
            raise EngineTimeout(f"{where}: no answer before the deadline; remedy: a longer one, or a shorter answer")


def limits(seconds: float) -> Limits:
    """Limits that begin now."""
    return Limits(time.monotonic() + seconds)


def _problem(request: GenerateRequest) -> str:
    """What is wrong with a request; empty = nothing."""
    messages = request.messages
    if not messages or messages[-1].role != "user":
        return "the last message must be the user's"
    if any(message.role not in ROLES for message in messages):
        return f"a role is none of {', '.join(ROLES)}"
    if not 0 < request.max_tokens <= 10**7:
        return f"max_tokens {request.max_tokens} is not a positive number"
    if not 0.0 <= request.temperature <= 2.0:
        return f"temperature {request.temperature} is not from 0 to 2"
    if not 0.0 < request.top_p <= 1.0:
        return f"top_p {request.top_p} is not above 0 and at most 1"
    if any(not text for text in request.stop) or len(request.stop) > 16:
        return "stop must be up to 16 texts, none of them empty"
    if any(not is_encodable(text) for text in astuple(request.origin)):
        return "a name of who asks holds half of a character (a lone surrogate), which cannot be written down"
    return ""


def is_encodable(text: str) -> bool:
    """Whether a text can be written anywhere: it holds no half of a character (a lone surrogate)."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
