"""Any GGUF model through llama.cpp in a child process: a native crash is a failed attempt, never a dead run.

The library (extra ``llama``) is imported by the child alone, ``inference.engines.llama_child``. The child lives between
calls, so a prompt that begins like the one before is read from where they part. Calls of one engine wait for each other.
"""

import importlib.util
import json
import math
import sys
import threading
import time
from collections.abc import Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from inference.engines.child_lines import ChildLines
from inference.engines.gguf import read_head
from inference.engines.llama_words import refusal, reply_of, request_body
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
from inference.models import ModelFiles, verify
from inference.protocols import Schema
from inference.requests import GenerateRequest, Limits, Reply

_BOOT: Final = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]);"
    "from inference.engines.llama_child import main; main(sys.argv[2:])"
)
_LIBRARY: Final = "xllamacpp"
_REMEDY: Final = "remedy: pip install 'cortex-lakehouse[llama]'"
_SLICE: Final = 0.02
"""Seconds after which it is looked whether somebody still wants the answer."""
_GRACE: Final = 1.0
"""Seconds that a child has to stop an answer before it is killed."""
_MEMORY_NOISE: Final = ("out of memory", "failed to allocate", "unable to allocate", "bad_alloc", "cannot allocate")

Pieces = Generator[str | Reply, None, None]


@dataclass(frozen=True, slots=True, kw_only=True)
class LlamaSettings:
    """How a model is run.

    Attributes:
        context: tokens of a request and its answer at most; None = what the model was made for, which
            may take much memory. The library rounds up to the next 256.
        n_gpu_layers: layers on a GPU; None = all where the installed build finds one.
        threads: None = one a core.
        prompt_cache_mb: memory for what was read of earlier prompts, beside the last one's.
        start_seconds: how long loading may take. A call that ends sooner leaves it going on for the next.
    """

    context: int | None = None
    n_gpu_layers: int | None = None
    threads: int | None = None
    prompt_cache_mb: int = 256
    start_seconds: float = 120.0


class LlamaCpp:
    """``inference.protocols.Generator`` of one GGUF model. Thread-safe; nothing is started before the first call.

    Two answers of one seed are the same text where both began with as much of the prompt already read: adding up in
    another order may turn a close choice.

    Args:
        name: for people and the ledger.
        files: the model, of ``packaged_generator`` or ``gguf_model``; checked against their digests.
        cache_dir: folder for digests already computed.
        settings: how it is run.
        command: what starts the child, for tests; None = this interpreter and ``llama_child``.

    Raises:
        EngineUnavailable: the library is not installed.
        ModelMissing: a file is not there.
        ModelUnsupported: it is no GGUF file, is cut off, or does not say how long its context is.
        DigestMismatch: it is another file than the packaged one.
    """

    def __init__(
        self,
        name: str,
        files: ModelFiles,
        cache_dir: Path,
        *,
        settings: LlamaSettings | None = None,
        command: Sequence[str] | None = None,
    ) -> None:
        if command is None and importlib.util.find_spec(_LIBRARY) is None:
            raise EngineUnavailable(f"engine {name} needs llama.cpp, which is not installed; {_REMEDY}")
        self.name, self.model = name, files.name
        self._settings = settings or LlamaSettings()
        self._path = files.folder / files.digests[0][0]
        self.context = _context(self._path, self._settings)
        verify(files, cache_dir)
        self.digest = files.digest
        self._where = f"engine {name} (llama.cpp, model {self._path})"
        self._command = command
        self._lock = threading.Lock()
        # A child gets its death signal when the thread that started it ends, so one thread lives as long as they do.
        self._starter = ThreadPoolExecutor(1, thread_name_prefix="llama-starter")
        self._child: ChildLines | None = None
        self._is_ready = False
        self._asked = 0

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
        begun, body = time.monotonic(), request_body(request, schema)
        self._acquire(limits)
        try:
            child = self._ready_child(limits)
            yield from self._answer(child, body, limits, begun)
        except EOFError as error:
            raise self._crashed() from error
        except (ValueError, KeyError, TypeError) as error:
            self._discard()
            raise EngineReplyInvalid(f"{self._where}: the child wrote what is no reply: {error!r:.200}") from error
        finally:
            if self._child is not None and self._child.was_killed:
                self._discard()
            self._lock.release()

    def close(self) -> None:
        """End the child; an answer under way ends as cancelled."""
        child = self._child
        if child is None:
            return
        child.kill()
        # Who is in the middle of a call gives the child away itself.
        if self._lock.acquire(timeout=_GRACE):
            try:
                self._discard()
            finally:
                self._lock.release()

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
                child = self._starter.submit(ChildLines, self._command or _command()).result()
            except OSError as error:
                raise EngineUnavailable(f"{self._where}: the child cannot be started: {error}") from error
            self._child, self._is_ready = child, False
            child.send(self._load_message(), lambda: None)  # a few bytes: the pipe takes them at once
        child = self._child
        until = child.started + self._settings.start_seconds
        while not self._is_ready:
            limits.check(f"{self._where}, loading")
            message = child.receive(_SLICE)
            if message is not None:
                self._loaded(child, message)
            elif time.monotonic() > until:
                self._discard()
                raise EngineTimeout(
                    f"{self._where}: not loaded within {self._settings.start_seconds:g} s; remedy: a longer start_seconds"
                )
        return child

    def _load_message(self) -> dict[str, Any]:
        return {
            "path": str(self._path),
            "context": self.context,
            "n_gpu_layers": self._settings.n_gpu_layers,
            "threads": self._settings.threads,
            "prompt_cache_mb": self._settings.prompt_cache_mb,
        }

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
            raise EngineUnavailable(f"{self._where}: llama.cpp cannot be used: {why}; {_REMEDY}")
        if any(word in why.lower() for word in _MEMORY_NOISE):
            raise OutOfMemory(f"{self._where}: no memory for the model; remedy: a smaller context or model: {why}")
        raise ModelUnsupported(
            f"{self._where}: llama.cpp cannot load it; remedy: download it again, or choose another model: {why}"
        )

    def _answer(self, child: ChildLines, body: Mapping[str, Any], limits: Limits, begun: float) -> Pieces:
        """Ask, and yield pieces and the reply; whoever leaves early stops the child."""
        self._asked += 1
        asked, answer, first, has_ended = self._asked, Answer(), None, False
        child.hush()
        try:
            child.send({"id": asked, "body": body}, lambda: limits.check(self._where))
            while True:
                message = self._next(child, asked, limits)
                if "error" in message:
                    has_ended = True
                    raise refusal(message["error"], self._where, self.context)
                if "done" in message:
                    has_ended = True
                    if tail := answer.end():
                        yield tail
                    yield reply_of(answer, message["done"], first)
                    return
                if first is None:
                    first = time.monotonic() - begun
                if "thought" in message:
                    answer.has_reasoning = True
                elif piece := answer.feed(str(message["piece"])):
                    yield piece
        except (EOFError, ValueError, KeyError, TypeError):
            has_ended = True
            raise
        finally:
            if not has_ended:
                self._stop(child, asked)

    def _next(self, child: ChildLines, asked: int, limits: Limits) -> dict[str, Any]:
        """The next line about a request."""
        while True:
            limits.check(self._where)
            message = child.receive(min(_SLICE, max(limits.left, 0.0)))
            if message is not None and message.get("id") == asked:
                return message

    def _stop(self, child: ChildLines, asked: int) -> None:
        """Have the child stop an answer that nobody wants; kill it where it does not within ``_GRACE``."""
        grace = Limits(time.monotonic() + _GRACE)
        try:
            child.send({"stop": asked}, lambda: grace.check(self._where))
            message: Mapping[str, Any] = {}
            while not message.keys() & {"done", "error"}:
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


def _command() -> list[str]:
    return [sys.executable, "-c", _BOOT, json.dumps(sys.path)]


def _context(path: Path, settings: LlamaSettings) -> int:
    """The model's context, or less where the settings say so."""
    known = read_head(path).context
    context = min(known or math.inf, settings.context or math.inf)
    if math.isinf(context) or context < 1:
        raise ModelUnsupported(f"model file {path} does not say how long its context is; remedy: set it (context)")
    return int(context)
