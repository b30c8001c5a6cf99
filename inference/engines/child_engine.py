"""What every generator in a child process does: start it, wait for it, ask it, stop it, and survive its death.

A native crash is a failed attempt, never a dead run. The child lives between calls; calls of one engine wait for each
other. What a library is told and what its words mean is the engine's: ``llama_cpp``, ``transformers_engine``,
``vllm_engine``. The child's side is ``child_side``.
"""

import json
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import Any, ClassVar, Final

from inference.engines.child_lines import ChildLines
from inference.engines.reasoning import Answer
from inference.errors import (
    Cancelled,
    EngineCrashed,
    EngineReplyInvalid,
    EngineTimeout,
    EngineUnavailable,
    InferenceError,
    ModelUnsupported,
    OutOfMemory,
)
from inference.protocols import Schema
from inference.requests import GenerateRequest, Limits, Reply

_BOOT: Final = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from inference.engines.{} import main; main(sys.argv[2:])"
)
_SLICE: Final = 0.02
"""Seconds after which it is looked whether somebody still wants the answer."""
GRACE: Final = 1.0
"""Seconds that a child has to stop an answer before it is killed."""
_MEMORY_NOISE: Final = ("out of memory", "failed to allocate", "unable to allocate", "bad_alloc", "cannot allocate")
_ENDS: Final = frozenset({"done", "error"})
_BROKEN: Final = (ValueError, KeyError, TypeError)

Pieces = Generator[str | Reply, None, None]
Hear = Callable[[], dict[str, Any]]


class ChildEngine(ABC):
    """``inference.protocols.Generator`` of one model in a child. Thread-safe; nothing is started before the first call.

    Args:
        name: for people and the ledger.
        model: the model's name.
        digest: its identity.
        context: tokens of a request and its answer at most.
        place: where its files are, for messages.
        command: what starts the child, its three arguments not included; None = this interpreter and ``module``.
        start_seconds: how long loading may take. A call that ends sooner leaves it going on for the next.
    """

    library: ClassVar[str]
    """What runs the model, for messages."""
    module: ClassVar[str]
    """The child's module in ``inference.engines``."""
    remedy: ClassVar[str]
    """What to do where the library is missing."""

    def __init__(
        self,
        name: str,
        model: str,
        digest: str,
        context: int,
        *,
        place: object,
        command: Sequence[str] | None,
        start_seconds: float,
    ) -> None:
        self.name, self.model, self.digest, self.context = name, model, digest, context
        self._where = f"engine {name} ({self.library}, model {place})"
        self._command, self._start_seconds = command, start_seconds
        self._lock = threading.Lock()
        # A child gets its death signal when the thread that started it ends, so one thread lives as long as they do.
        self._starter = ThreadPoolExecutor(1, thread_name_prefix="child-starter")
        self._child: ChildLines | None = None
        self._is_ready = False
        self._asked = 0

    @abstractmethod
    def _load_message(self) -> dict[str, Any]:
        """The settings that the child loads the model by."""

    @abstractmethod
    def _body(self, request: GenerateRequest, schema: Schema | None) -> dict[str, Any]:
        """The request in the child's words."""

    @abstractmethod
    def _reply(self, answer: Answer, end: Mapping[str, Any], first: float | None) -> Reply:
        """The reply that the child's last line and the pieces before it make."""

    @abstractmethod
    def _refusal(self, error: Mapping[str, Any]) -> InferenceError:
        """The error that the child's means."""

    @property
    def pid(self) -> int | None:
        """The child's process id; None where none is started."""
        child = self._child
        return child.pid if child is not None else None

    def generate(self, request: GenerateRequest, limits: Limits, schema: Schema | None = None) -> Reply:
        """One answer; see ``Generator``.

        Raises:
            ContextExceeded: the request is longer than the context.
            EngineCrashed: the child died; the next call starts another.
            ModelUnsupported: the model cannot be loaded.
            InferenceError: as the protocol says.
        """
        with closing(self.stream(request, limits, schema)) as pieces:
            for piece in pieces:
                if isinstance(piece, Reply):
                    return piece
        raise EngineReplyInvalid(f"{self._where}: the answer has no end")

    def stream(self, request: GenerateRequest, limits: Limits, schema: Schema | None = None) -> Pieces:
        """The same in pieces; at last the whole ``Reply``."""
        begun, body = time.monotonic(), self._body(request, schema)
        answer, first = Answer(), None
        with self._asking({"body": body}, limits) as hear:
            while True:
                message = hear()
                if "error" in message:
                    raise self._refusal(message["error"])
                if "done" in message:
                    if tail := answer.end():
                        yield tail
                    yield self._reply(answer, message["done"], first)
                    return
                if first is None:
                    first = time.monotonic() - begun
                if "thought" in message:
                    answer.has_reasoning = True
                elif piece := answer.feed(str(message["piece"])):
                    yield piece

    def close(self) -> None:
        """End the child; an answer under way ends as cancelled."""
        child = self._child
        if child is None:
            return
        child.kill()
        # Who is in the middle of a call gives the child away itself.
        if self._lock.acquire(timeout=GRACE):
            try:
                self._discard()
            finally:
                self._lock.release()

    @contextmanager
    def _asking(self, message: Mapping[str, Any], limits: Limits) -> Iterator[Hear]:
        """Ask the child; what is given waits for the next line about it. Who leaves before the last one stops it."""
        self._acquire(limits)
        try:
            with self._asked_child(self._ready_child(limits), message, limits) as hear:
                yield hear
        except EOFError as error:
            raise self._crashed() from error
        except _BROKEN as error:
            self._discard()
            raise EngineReplyInvalid(f"{self._where}: the child wrote what is no reply: {error!r:.200}") from error
        finally:
            if self._child is not None and self._child.was_killed:
                self._discard()
            self._lock.release()

    @contextmanager
    def _asked_child(self, child: ChildLines, message: Mapping[str, Any], limits: Limits) -> Iterator[Hear]:
        self._asked += 1
        asked, has_ended = self._asked, False

        def hear() -> dict[str, Any]:
            nonlocal has_ended
            heard = self._next(child, asked, limits)
            has_ended = not _ENDS.isdisjoint(heard)
            return heard

        child.hush()
        try:
            child.send({"id": asked, **message}, lambda: limits.check(self._where))
            yield hear
        except (EOFError, *_BROKEN):
            has_ended = True
            raise
        finally:
            if not has_ended:
                self._stop(child, asked)

    def _acquire(self, limits: Limits) -> None:
        """Wait for the calls before this one."""
        while not self._lock.acquire(timeout=_SLICE):
            limits.check(f"{self._where}, busy with another call")

    def _ready_child(self, limits: Limits) -> ChildLines:
        """The child with its model loaded; started where there is none."""
        if self._child is not None and self._child.has_ended:
            self._discard()  # killed or crashed while idle: nobody's answer was lost
        if self._child is None:
            limits.check(self._where)
            try:
                child = self._starter.submit(ChildLines, self._command or self._usual_command()).result()
            except OSError as error:
                raise EngineUnavailable(f"{self._where}: the child cannot be started: {error}") from error
            self._child, self._is_ready = child, False
            child.send(self._load_message(), lambda: None)  # a few bytes: the pipe takes them at once
        child = self._child
        until = child.started + self._start_seconds
        while not self._is_ready:
            limits.check(f"{self._where}, loading")
            message = child.receive(_SLICE)
            if message is not None:
                self._loaded(child, message)
            elif time.monotonic() > until:
                self._discard()
                raise EngineTimeout(
                    f"{self._where}: not loaded within {self._start_seconds:g} s; remedy: a longer start_seconds"
                )
        return child

    def _usual_command(self) -> list[str]:
        return [sys.executable, "-c", _BOOT.format(self.module), json.dumps(sys.path)]

    def _loaded(self, child: ChildLines, message: Mapping[str, Any]) -> None:
        """Take what the child says about loading."""
        if "failed" not in message:
            self._is_ready = True
            child.hush()
            return
        child.autopsy()  # it leaves by itself, and what it printed is then complete
        why = f"{message.get('message', '')} {child.noise()}".strip()
        self._discard()
        if message["failed"] == "package":
            raise EngineUnavailable(f"{self._where}: {self.library} cannot be used: {why}; {self.remedy}")
        if message["failed"] == "device":
            raise EngineUnavailable(f"{self._where}: {message.get('message', '')}")
        if any(word in why.lower() for word in _MEMORY_NOISE):
            raise OutOfMemory(f"{self._where}: no memory for the model; remedy: a smaller context or model: {why}")
        raise ModelUnsupported(
            f"{self._where}: {self.library} cannot load it; remedy: download it again, or choose another model: {why}"
        )

    def _next(self, child: ChildLines, asked: int, limits: Limits) -> dict[str, Any]:
        """The next line about a request."""
        while True:
            limits.check(self._where)
            message = child.receive(min(_SLICE, max(limits.left, 0.0)))
            if message is not None and message.get("id") == asked:
                return message

    def _stop(self, child: ChildLines, asked: int) -> None:
        """Have the child stop an answer that nobody wants; kill it where it does not within ``GRACE``."""
        grace = Limits(time.monotonic() + GRACE)
        try:
            child.send({"stop": asked}, lambda: grace.check(self._where))
            message: Mapping[str, Any] = {}
            while _ENDS.isdisjoint(message):
                message = self._next(child, asked, grace)
        except (EOFError, ValueError, EngineTimeout):
            self._discard()

    def _crashed(self) -> InferenceError:
        """What the death of the child means."""
        child = self._child
        if child is None:
            return EngineCrashed(f"{self._where}: the child process is gone")
        if child.was_killed:
            self._discard()
            return Cancelled(f"{self._where}: closed during the call")
        how = child.autopsy()
        self._discard()
        return EngineCrashed(f"{self._where}: the child process {how}; the next call starts another")

    def _discard(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.dispose()
