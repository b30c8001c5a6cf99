"""A generator without a model, for tests and for trying a lane: it repeats, always the same for the same request.

``echo`` is what a person configures. Tests give a script; a server with faults is in ``scripted_server``.
"""

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from typing import Final

from inference.engines.examples import example_of
from inference.errors import ContextExceeded
from inference.protocols import Schema
from inference.requests import GenerateRequest, Limits, Reply, Usage

Script = Callable[[int, GenerateRequest], str | Reply | Exception]
"""From the number of the call, from 0, and the request: an answer, or an error to raise."""
ECHO: Final = "echo"
_MOST_ECHOED: Final = 400


class ScriptedGenerator:
    """``inference.protocols.Generator`` that follows a script; without one it says what the last message begins with.

    Args:
        name: of the engine.
        script: what to answer; None = echo, and under a schema the plainest value that it allows.
        context: in words, which are its tokens.
        delay: seconds that an answer takes.
    """

    def __init__(
        self, name: str = ECHO, script: Script | None = None, *, context: int = 8192, delay: float = 0.0
    ) -> None:
        self.name, self.model, self.context = name, name, context
        self.digest = hashlib.sha256(f"scripted:{name}".encode()).hexdigest()
        self.calls = 0
        self._script, self._delay = script, delay

    def generate(self, request: GenerateRequest, limits: Limits, schema: Schema | None = None) -> Reply:
        """See ``inference.protocols.Generator``."""
        number, self.calls = self.calls, self.calls + 1
        read = sum(len(message.content.split()) for message in request.conversation())
        if read >= self.context:
            raise ContextExceeded(f"{self.name}: {read} words, and {self.context} are read at most")
        limits.cancellation.wait(min(self._delay, max(limits.left, 0.0)))
        limits.check(self.name)
        said = echo(request, schema) if self._script is None else self._script(number, request)
        if isinstance(said, Exception):
            raise said
        return said if isinstance(said, Reply) else reply_of(said, request, read)

    def stream(self, request: GenerateRequest, limits: Limits, schema: Schema | None = None) -> Iterator[str | Reply]:
        """See ``inference.protocols.Generator``."""
        begin = time.monotonic()
        reply = self.generate(request, limits, schema)
        first = time.monotonic() - begin
        for piece in pieces_of(reply.text):
            limits.check(self.name)
            yield piece
        yield Reply(reply.text, reply.finish, reply.usage, first, reply.has_reasoning)

    def close(self) -> None:
        """See ``inference.protocols.Generator``."""


def echo(request: GenerateRequest, schema: Schema | None) -> str:
    """What an echo answers."""
    text = request.messages[-1].content[:_MOST_ECHOED].strip() or "nothing"
    return text if schema is None else json.dumps(example_of(schema, text), ensure_ascii=False)


def reply_of(text: str, request: GenerateRequest, read: int) -> Reply:
    """A text as a model would give it: cut off where it is too long, its words counted as tokens."""
    pieces = pieces_of(text)
    is_cut = len(pieces) > request.max_tokens
    kept = pieces[: request.max_tokens]
    return Reply("".join(kept), "length" if is_cut else "stop", Usage(read, len(kept)))


def pieces_of(text: str) -> list[str]:
    """Words, each with the space behind it; together they are the text."""
    found: list[str] = []
    for word in text.split(" "):
        found.append(word + " ")
    found[-1] = found[-1][:-1]
    return [piece for piece in found if piece]
