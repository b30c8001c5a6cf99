"""A child process that is talked to in lines of JSON, and may crash or hang without harm to this one.

The child is started fresh (no fork of this process) and gets three arguments: a descriptor to read requests from, one to
write replies to, and this process's id. What it prints itself goes to a file and disturbs nothing. What lines mean is
for the engine that asks. Not for many threads at once, ``kill`` excepted.
"""

import contextlib
import json
import os
import select
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

_READ_BYTES: Final = 1 << 16
_NOISE_CHARS: Final = 600
_END_SECONDS: Final = 5.0
_SLICE: Final = 0.02
"""Seconds until it is looked again whether a line can be sent."""


class ChildLines:
    """One child.

    Args:
        command: what starts it; the three arguments are added.

    Raises:
        OSError: it cannot be started.
    """

    def __init__(self, command: Sequence[str]) -> None:
        self.started = time.monotonic()
        self.was_killed = False
        self._noise = tempfile.TemporaryFile(mode="a+b", prefix="child-noise-")  # noqa: SIM115 - closed in dispose()
        child_in, self._to_child = os.pipe()
        self._from_child, child_out = os.pipe()
        try:
            self._process = subprocess.Popen(
                [*command, *map(str, (child_in, child_out, os.getpid()))],
                stdin=subprocess.DEVNULL,
                stdout=self._noise,
                stderr=self._noise,
                pass_fds=(child_in, child_out),
                start_new_session=True,
            )
        except OSError:
            self._close()
            raise
        finally:
            os.close(child_in)
            os.close(child_out)
        os.set_blocking(self._to_child, False)
        self._buffer = bytearray()
        self._lock = threading.Lock()
        self._is_disposed = False

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def has_ended(self) -> bool:
        """Whether the process is no more."""
        return self._process.poll() is not None

    def send(self, message: Mapping[str, Any], check: Callable[[], None]) -> None:
        """Send one line; ``check`` is called again and again while the child does not read, and may raise.

        Raises:
            EOFError: the child has ended.
        """
        rest = memoryview(json.dumps(message).encode("ascii") + b"\n")
        while rest:
            check()
            if _ready(self._to_child, select.POLLOUT, _SLICE):
                try:
                    rest = rest[os.write(self._to_child, rest[:_READ_BYTES]) :]
                except BlockingIOError:
                    continue
                except BrokenPipeError as error:
                    raise EOFError from error

    def receive(self, seconds: float) -> dict[str, Any] | None:
        """The next line; None where none comes within so many seconds.

        Raises:
            EOFError: the child has ended.
            ValueError: the line is no JSON object.
        """
        while b"\n" not in self._buffer:
            if not _ready(self._from_child, select.POLLIN, seconds):
                return None
            block = os.read(self._from_child, _READ_BYTES)
            if not block:
                raise EOFError
            self._buffer += block
        line, _, rest = self._buffer.partition(b"\n")
        self._buffer = rest
        message = json.loads(line)
        if not isinstance(message, dict):
            raise ValueError(f"{line[:80]!r} is no JSON object")
        return message

    def kill(self) -> None:
        """End the process and all that it started; from any thread, any number of times."""
        with self._lock:
            self.was_killed = True
            if not self._is_disposed and self._process.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self._process.pid, signal.SIGKILL)

    def dispose(self) -> None:
        """Kill it if it lives, and close what belongs to it."""
        self.kill()
        self._process.wait()
        with self._lock:
            if not self._is_disposed:
                self._is_disposed = True
                self._close()

    def autopsy(self) -> str:
        """How it ended, and what it printed last; waits for it, and kills one that closed its pipe and lives on."""
        try:
            code = self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            code = self._process.wait()
        how = f"died by {signal.Signals(-code).name}" if code < 0 else f"left with exit code {code}"
        noise = self.noise()
        return f"{how}: {noise}" if noise else how

    def noise(self) -> str:
        """The last that it printed, in one line."""
        size = self._noise.seek(0, os.SEEK_END)
        self._noise.seek(max(0, size - _NOISE_CHARS))
        return " ".join(self._noise.read().decode("utf-8", "replace").split())

    def hush(self) -> None:
        """Forget what it printed until now."""
        os.ftruncate(self._noise.fileno(), 0)

    def _close(self) -> None:
        os.close(self._to_child)
        os.close(self._from_child)
        self._noise.close()


def _ready(descriptor: int, event: int, seconds: float) -> bool:
    poll = select.poll()
    poll.register(descriptor, event)
    return bool(poll.poll(max(seconds, 0.0) * 1000))
