"""The child's side of ``inference.engines.llama_cpp``, and the only module that imports llama.cpp's library (xllamacpp).

Lines of JSON. The first that comes is the settings, answered by ``ready`` or ``failed``; each other is a request
(``id``, ``body`` in the words of the library's chat), answered by ``piece`` and ``thought`` lines and
one ``done`` or ``error``; or ``stop`` with the id of the request that nobody wants any more.
"""

import ctypes
import json
import os
import queue
import resource
import secrets
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Final

_PR_SET_PDEATHSIG: Final = 1
_ALL_LAYERS: Final = 999
_BATCH: Final = 256
"""Tokens of a prompt that are read at once: between two batches a request can be stopped."""
_SPINS: Final = "2000"
"""How often a thread that waits for another looks again before it sleeps. OpenMP's default is about for ever: on
cores that others use too, that is thirty times slower; this costs a tenth where nobody else does."""
_ERRORS: Final = 1
"""Of the library's own words only errors."""


def main(arguments: Sequence[str]) -> None:
    """Serve until the pipe closes.

    Args:
        arguments: descriptor to read, descriptor to write, process id of the parent.
    """
    read_fd, write_fd, parent = (int(argument) for argument in arguments)
    _die_with(parent)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    inbox = Inbox(os.fdopen(read_fd, "rb"))
    outbox = Outbox(os.fdopen(write_fd, "wb"))
    settings = inbox.next()
    os.environ["GOMP_SPINCOUNT"] = _SPINS
    try:
        server = _load(settings)
    except ImportError as error:
        outbox.send({"failed": "package", "message": str(error)[:300]})
        return
    except (RuntimeError, ValueError, MemoryError) as error:
        outbox.send({"failed": "model", "message": str(error)[:300]})
        return
    outbox.send({"ready": True})
    while True:
        request = inbox.next()
        _answer(server, request["id"], request["body"], inbox, outbox)


class Inbox:
    """Requests in their order; a thread reads them, so that a stop is seen while an answer is written.

    When the pipe closes, the parent is gone, and so is this process at once.
    """

    def __init__(self, pipe: BinaryIO) -> None:
        self._pipe = pipe
        self._requests: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._stopped = -1
        threading.Thread(target=self._read, daemon=True).start()

    def next(self) -> dict[str, Any]:
        """Wait for the next request."""
        return self._requests.get()

    def is_stopped(self, request_id: int) -> bool:
        """Whether nobody wants the answer to this request any more."""
        return request_id <= self._stopped

    def _read(self) -> None:
        try:
            for line in self._pipe:
                message = json.loads(line)
                if "stop" in message:
                    self._stopped = message["stop"]
                else:
                    self._requests.put(message)
        finally:
            os._exit(0)


class Outbox:
    """Writes one line a message."""

    def __init__(self, pipe: BinaryIO) -> None:
        self._pipe = pipe

    def send(self, message: Mapping[str, Any]) -> None:
        """Write it and flush; ends the process when the parent is gone."""
        try:
            self._pipe.write(json.dumps(message).encode("ascii") + b"\n")
            self._pipe.flush()
        except BrokenPipeError:
            os._exit(0)


def _die_with(parent: int) -> None:
    """On Linux, have the kernel kill this process when its parent ends; leave if it has already."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        raise SystemExit(0)


def _load(settings: Mapping[str, Any]) -> Any:
    """Load the model. The library insists on a door for others: it gets a socket file, removed before anybody may knock."""
    import xllamacpp

    threads = settings["threads"] or _cores()
    layers = settings["n_gpu_layers"]
    params = xllamacpp.CommonParams()
    params.model.path = settings["path"]
    params.n_ctx = settings["context"]
    params.n_parallel = 1
    params.n_batch = _BATCH
    params.cpuparams.n_threads = threads
    params.cpuparams_batch.n_threads = threads
    params.n_gpu_layers = (_ALL_LAYERS if _has_gpu(xllamacpp) else 0) if layers is None else layers
    params.fit_params = False
    params.cache_ram_mib = settings["prompt_cache_mb"]
    params.no_extra_bufts = True  # matrix code for AMX crashes in some versions
    params.warmup = False
    params.verbosity = _ERRORS
    params.api_keys = [secrets.token_hex(16)]
    folder = Path(tempfile.mkdtemp(prefix="llama-"))
    params.hostnames = [str(folder / "closed.sock")]
    try:
        return xllamacpp.Server(params)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def _has_gpu(library: Any) -> bool:
    return any("GPU" in str(device["type"]) for device in library.get_device_info())


def _answer(server: Any, request_id: int, body: Mapping[str, Any], inbox: Inbox, outbox: Outbox) -> None:
    """Answer one request, chunk by chunk, until it is done, fails or is stopped."""
    end: dict[str, Any] = {"finish": None, "usage": None}
    failure: dict[str, Any] = {}

    def take(chunk: Mapping[str, Any]) -> bool:
        if "error" in chunk:
            failure.update(chunk["error"])
        end["usage"] = chunk.get("usage") or end["usage"]
        for choice in chunk.get("choices", ()):
            end["finish"] = choice.get("finish_reason") or end["finish"]
            delta = choice.get("delta", {})
            for kind, key in (("piece", "content"), ("thought", "reasoning_content")):
                if delta.get(key):
                    outbox.send({"id": request_id, kind: delta[key]})
        return inbox.is_stopped(request_id)

    failure.update(_refusal(server, body, take))
    if failure and failure["code"] == 400 and body.get("response_format") and "type" not in failure:
        # A schema that the library knows no grammar for: what is written then is for the caller to validate.
        failure.clear()
        failure.update(_refusal(server, {**body, "response_format": None}, take))
    if failure:
        outbox.send({"id": request_id, "error": failure})
    else:
        outbox.send({"id": request_id, "done": end})


def _refusal(server: Any, body: Mapping[str, Any], take: Callable[[Mapping[str, Any]], bool]) -> dict[str, Any]:
    """Have a request answered; what the library raises, which it does before it writes anything."""
    wanted = {key: value for key, value in body.items() if value is not None}
    try:
        server.handle_chat_completions({**wanted, "stream": True, "return_progress": True}, take)
    except (RuntimeError, ValueError, TypeError, MemoryError) as error:
        return {"code": 400 if isinstance(error, ValueError | TypeError) else 500, "message": str(error)}
    return {}


if __name__ == "__main__":
    main(sys.argv[1:])
