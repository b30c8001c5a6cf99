"""Runs a function in a warm child process that may crash, hang or eat memory without harm to this one.

The child is started fresh (``subprocess``, no fork of this process), takes one call at a time and streams results back.
It shields from accidents of native libraries, not from an attacker: results are unpickled. What is run, and what its
failure means for a table, does not belong here. The child's side is ``resources.sandbox_child``.
"""

import json
import os
import pickle
import resource
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from queue import LifoQueue
from typing import Any

from resources.sandbox_child import ENDED, FAILED, OUT_OF_MEMORY, UNREADABLE, VALUE

_BOOT = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]);"
    "from resources.sandbox_child import main; main(sys.argv[2:])"
)
_READ_BYTES = 1 << 20
_NOISE_CHARS = 2000
_MEMORY_NOISE = ("memory allocation of", "out of memory", "bad_alloc", "cannot allocate memory", "std::length_error")


@dataclass(frozen=True, slots=True)
class Ok:
    """The call ran to its end."""

    is_permanent = False
    reason = ""


@dataclass(frozen=True, slots=True)
class Failed:
    """The function raised: permanent, as the same input raises again."""

    reason: str
    is_permanent = True


@dataclass(frozen=True, slots=True)
class Crashed:
    """The child died by itself: permanent. ``signal_number`` is None where it left by ``exit``."""

    reason: str
    signal_number: int | None = None
    is_permanent = True


@dataclass(frozen=True, slots=True)
class TimedOut:
    """No result came within the time limit and the child was killed: transient."""

    reason: str
    is_permanent = False


@dataclass(frozen=True, slots=True)
class OutOfMemory:
    """The memory limit was reached: transient."""

    reason: str
    is_permanent = False


@dataclass(frozen=True, slots=True)
class Unreadable:
    """The system could not give the bytes (missing, input/output error): transient."""

    reason: str
    is_permanent = False


Outcome = Ok | Failed | Crashed | TimedOut | OutOfMemory | Unreadable


class SandboxCall:
    """One call: iterate over its results, then read ``outcome``. Leaving the loop early kills the call by ``close``."""

    def __init__(self, sandbox: "Sandbox", request: bytes, is_apart: bool = False) -> None:
        self._outcome: Outcome | None = None
        self._results = sandbox._results(self, request, is_apart)

    def __iter__(self) -> Iterator[Any]:
        return self._results

    @property
    def outcome(self) -> Outcome:
        """How the call ended.

        Raises:
            RuntimeError: it has not ended: iterate over it first.
        """
        if self._outcome is None:
            raise RuntimeError("the sandbox call has not ended: iterate over its results first")
        return self._outcome

    def close(self) -> None:
        """Give the call up; a child that still works on it is killed."""
        close = getattr(self._results, "close", None)
        if close is not None:
            close()


class Sandbox:
    """A pool of warm child processes; usable from several threads, each call takes one child.

    Args:
        workers: how many children at most.
        timeout_s: longest wait for the next result of a call, in seconds; time that the caller takes does not count.
        memory_mb: how much address space a call may take beyond what the child had when its function was imported.
        calls_per_child: a child is replaced after so many calls, which bounds leaks of native libraries.
        file_mb: largest file that a child may write; what it prints is kept in one.

    Use it as a context manager, or call ``close``. Children also die with this process, however it ends.
    """

    def __init__(
        self,
        workers: int = 1,
        timeout_s: float = 60.0,
        memory_mb: int = 1024,
        calls_per_child: int = 500,
        file_mb: int = 16,
    ) -> None:
        self._timeout_s = timeout_s
        self._memory_mb = memory_mb
        self._calls_per_child = calls_per_child
        self._file_mb = file_mb
        self._slots: LifoQueue[_Child | None] = LifoQueue()
        for _ in range(workers):
            self._slots.put(None)
        # A child gets its death signal when the thread that started it ends, so one thread lives as long as they do.
        self._starter = ThreadPoolExecutor(1, thread_name_prefix="sandbox-starter")
        self._children: set[_Child] = set()
        self._lock = threading.Lock()
        self._is_closed = False

    def __enter__(self) -> "Sandbox":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def call(self, function: str, *args: Any) -> SandboxCall:
        """Call ``function`` in a child; nothing runs before the result is iterated over.

        Args:
            function: dotted name, ``package.module.name``. What it returns is one result, or each item of an iterator.
            args: picklable arguments.

        Raises:
            RuntimeError: the sandbox is closed.
            pickle.PicklingError, TypeError, AttributeError: an argument cannot be pickled.
        """
        if self._is_closed:
            raise RuntimeError("the sandbox is closed")
        return SandboxCall(self, pickle.dumps((function, args, self._memory_mb), pickle.HIGHEST_PROTOCOL))

    def call_apart(self, function: str, *args: Any) -> SandboxCall:
        """``call`` in a child that is started for it: nothing that ran before has touched it."""
        if self._is_closed:
            raise RuntimeError("the sandbox is closed")
        return SandboxCall(
            self, pickle.dumps((function, args, self._memory_mb), pickle.HIGHEST_PROTOCOL), is_apart=True
        )

    def close(self) -> None:
        """Kill all children; a call that runs ends as crashed."""
        self._is_closed = True
        self._kill_all()
        self._starter.shutdown(wait=True)
        self._kill_all()  # one may have been starting meanwhile

    def _kill_all(self) -> None:
        with self._lock:
            children = list(self._children)
        for child in children:
            child.kill()

    def _results(self, call: SandboxCall, request: bytes, is_apart: bool) -> Iterator[Any]:
        """Take a child, send the request, yield its values, set the outcome, and give the child or its slot back."""
        child = self._slots.get()
        is_reusable = False
        try:
            if self._is_closed:
                raise RuntimeError("the sandbox is closed")
            if child is not None and (is_apart or child.has_ended):  # somebody may have killed it while it was idle
                self._discard(child)
                child = None
            if child is None:
                child = self._starter.submit(self._start).result()
            for kind, value in child.exchange(request, self._timeout_s):
                if kind == VALUE:
                    yield value
                    continue
                call._outcome = value
                is_reusable = isinstance(value, Ok | Failed) and child.calls < self._calls_per_child
        finally:
            if child is not None and not is_reusable:
                self._discard(child)
            self._slots.put(child if is_reusable else None)

    def _discard(self, child: "_Child") -> None:
        child.kill()
        with self._lock:
            self._children.discard(child)

    def _start(self) -> "_Child":
        child = _Child(self._memory_mb, self._file_mb)
        with self._lock:
            self._children.add(child)
        return child


class _Child:
    """One child process, its two pipes and the file that takes its noise."""

    def __init__(self, memory_mb: int, file_mb: int) -> None:
        self.calls = 0
        self._memory_mb = memory_mb
        # A new process's peak memory begins with that of the one that started it; only above that does it say anything.
        self._inherited_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        self._noise = tempfile.TemporaryFile(mode="a+b", prefix="sandbox-noise-")  # noqa: SIM115 - closed in kill()
        child_in, self._to_child = os.pipe()
        self._from_child, child_out = os.pipe()
        try:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-c",
                    _BOOT,
                    json.dumps(sys.path),
                    *map(str, (child_in, child_out, os.getpid(), file_mb)),
                ],
                stdin=subprocess.DEVNULL,
                stdout=self._noise,
                stderr=self._noise,
                pass_fds=(child_in, child_out),
                start_new_session=True,
            )
        except OSError:
            for descriptor in (self._to_child, self._from_child):
                os.close(descriptor)
            self._noise.close()
            raise
        finally:
            os.close(child_in)
            os.close(child_out)
        self._buffer = bytearray()
        self._kill_lock = threading.Lock()
        self._is_gone = False

    def exchange(self, request: bytes, timeout_s: float) -> Iterator[tuple[int, Any]]:
        """Send a request; yield ``(VALUE, value)`` for each result and one ``(ENDED, outcome)`` at last."""
        self.calls += 1
        os.ftruncate(self._noise.fileno(), 0)
        try:
            self._send(request, time.monotonic() + timeout_s)
            while True:
                kind, payload = self._frame(time.monotonic() + timeout_s)
                if kind == VALUE:
                    yield VALUE, pickle.loads(payload)  # noqa: S301 - the child's own results
                    continue
                text = payload.decode("utf-8", "replace")
                outcomes: dict[int, Outcome] = {
                    ENDED: Ok(),
                    FAILED: Failed(text),
                    OUT_OF_MEMORY: OutOfMemory(text),
                    UNREADABLE: Unreadable(text),
                }
                yield ENDED, outcomes[kind]
                return
        except TimeoutError:
            self.kill()
            yield ENDED, TimedOut(f"no result within {timeout_s:g} s: killed")
        except (EOFError, BrokenPipeError):
            yield ENDED, self._autopsy()

    @property
    def has_ended(self) -> bool:
        """Whether the process is no more."""
        return self._process.poll() is not None

    def kill(self) -> None:
        """Kill the child and everything it started, and close what belongs to it."""
        with self._kill_lock:
            if self._is_gone:
                return
            self._is_gone = True
            if self._process.poll() is None:
                try:
                    os.killpg(self._process.pid, signal.SIGKILL)
                except ProcessLookupError:
                    self._process.kill()
            self._process.wait()
            os.close(self._to_child)
            os.close(self._from_child)
            self._noise.close()

    def _send(self, request: bytes, deadline: float) -> None:
        """Write a framed request, within the deadline even where the child does not read."""
        os.set_blocking(self._to_child, False)
        rest = memoryview(len(request).to_bytes(8, "little") + request)
        while rest:
            self._wait(self._to_child, select.POLLOUT, deadline)
            rest = rest[os.write(self._to_child, rest[: 1 << 16]) :]

    def _frame(self, deadline: float) -> tuple[int, bytes]:
        """Read one frame: a kind byte, a length and that many bytes."""
        header = self._read(9, deadline)
        return header[0], self._read(int.from_bytes(header[1:], "little"), deadline)

    def _read(self, count: int, deadline: float) -> bytes:
        while len(self._buffer) < count:
            self._wait(self._from_child, select.POLLIN, deadline)
            block = os.read(self._from_child, _READ_BYTES)
            if not block:
                raise EOFError
            self._buffer += block
        data = bytes(self._buffer[:count])
        del self._buffer[:count]
        return data

    def _wait(self, descriptor: int, event: int, deadline: float) -> None:
        if self._is_gone:
            raise EOFError
        poll = select.poll()
        poll.register(descriptor, event)
        left = deadline - time.monotonic()
        if left <= 0 or not poll.poll(left * 1000):
            raise TimeoutError

    def _autopsy(self) -> Outcome:
        """Why the child is gone, by its exit status, its peak memory and what it printed last."""
        if self._is_gone:
            return Crashed("the sandbox was closed during the call")
        peak_mb = self._reap()
        code = self._process.returncode
        noise = self._noise_tail()
        is_large = peak_mb > max(0.9 * self._memory_mb, 1.02 * self._inherited_mb)
        if code == -signal.SIGKILL or (code < 0 and is_large) or any(text in noise.lower() for text in _MEMORY_NOISE):
            return OutOfMemory(f"the process died near its memory limit of {self._memory_mb} MB. {noise}".strip())
        if code < 0:
            return Crashed(f"the process died by {signal.Signals(-code).name}. {noise}".strip(), -code)
        return Crashed(f"the process left with exit code {code} in the middle of the call. {noise}".strip())

    def _reap(self) -> float:
        """Wait for the child that closed its pipe (killing one that lives on); its peak resident memory in MB."""
        deadline = time.monotonic() + 5.0
        while True:
            pid, status, usage = os.wait4(self._process.pid, os.WNOHANG)
            if pid:
                self._process.returncode = os.waitstatus_to_exitcode(status)
                return usage.ru_maxrss / 1024
            if time.monotonic() > deadline:
                os.killpg(self._process.pid, signal.SIGKILL)
                deadline = float("inf")
            time.sleep(0.002)

    def _noise_tail(self) -> str:
        """The last lines that the child printed during the call."""
        size = self._noise.seek(0, os.SEEK_END)
        self._noise.seek(max(0, size - _NOISE_CHARS))
        return " ".join(self._noise.read().decode("utf-8", "replace").split())
