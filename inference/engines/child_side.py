"""The child's side of ``child_engine``: requests in, lines out, and an end with its parent. Imports no library.

Lines of JSON. The first that comes is the settings, answered by ``ready`` or ``failed``; each other is a request with an
``id``, answered by lines with that id, the last of them ``done`` or ``error``; or ``stop`` with the id of the request
that nobody wants any more.
"""

import ctypes
import json
import os
import queue
import resource
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO, Final

_PR_SET_PDEATHSIG: Final = 1
_SPINS: Final = "2000"
"""How often a thread that waits for another looks again before it sleeps. OpenMP's default is about for ever: on
cores that others use too, that is ten to thirty times slower; this costs a tenth where nobody else does."""


class LoadFailed(Exception):
    """A model cannot be loaded.

    Attributes:
        kind: ``package``: the library is missing; ``device``: what is configured is not there; ``model``: all else.
    """

    def __init__(self, kind: str, message: object) -> None:
        super().__init__(str(message))
        self.kind = kind


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

    def failed(self, failure: LoadFailed) -> None:
        """Say that the model cannot be loaded."""
        self.send({"failed": failure.kind, "message": str(failure)[:300]})


def open_pipes(arguments: Sequence[str]) -> tuple[Inbox, Outbox]:
    """Bind this process's life to its parent's, have its threads wait politely, and open both pipes.

    Args:
        arguments: descriptor to read, descriptor to write, process id of the parent.
    """
    read_fd, write_fd, parent = (int(argument) for argument in arguments)
    _die_with(parent)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.environ["GOMP_SPINCOUNT"] = _SPINS
    return Inbox(os.fdopen(read_fd, "rb")), Outbox(os.fdopen(write_fd, "wb"))


def _die_with(parent: int) -> None:
    """On Linux, have the kernel kill this process when its parent ends; leave if it has already."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        raise SystemExit(0)
