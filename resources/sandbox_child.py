"""The child's side of ``resources.sandbox``: reads requests from a pipe, runs them, writes framed results to another.

Only the standard library is imported here, so that a child starts in some hundredths of a second; a function's own
imports come with the first call of it, outside the memory limit.
"""

import ctypes
import errno
import gc
import importlib
import os
import pickle
import resource
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

VALUE, ENDED, FAILED, OUT_OF_MEMORY, UNREADABLE = 0, 1, 2, 3, 4
_OF_THE_CALL = frozenset({None, errno.EFBIG, errno.EINVAL})
"""Error numbers of an ``OSError`` that the same input gives again; others are the system's, such as missing bytes."""
_PR_SET_PDEATHSIG = 1
_GARBAGE = (20_000, 10, 10)  # parsers make many small objects that all live: looking for cycles often finds nothing


def main(arguments: Sequence[str]) -> None:
    """Serve requests until the pipe closes.

    Args:
        arguments: descriptor to read, descriptor to write, process id of the parent, megabytes that a file may have.
    """
    read_fd, write_fd, parent, file_mb = (int(argument) for argument in arguments)
    _die_with(parent)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    allowed = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    most = file_mb * 1024 * 1024
    most = most if allowed == resource.RLIM_INFINITY else min(most, allowed)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    gc.set_threshold(*_GARBAGE)
    with os.fdopen(read_fd, "rb") as requests, os.fdopen(write_fd, "wb") as answers:
        while length := requests.read(8):
            function, args, memory_mb = pickle.loads(requests.read(int.from_bytes(length, "little")))  # noqa: S301
            _serve(answers, function, args, memory_mb)


def _die_with(parent: int) -> None:
    """Ask the kernel to kill this process when its parent ends, and leave if it has already."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        raise SystemExit(0)


def _serve(answers: BinaryIO, function: str, args: tuple[Any, ...], memory_mb: int) -> None:
    """Run one call and write its results and its end."""
    try:
        module, _, name = function.rpartition(".")
        target = getattr(importlib.import_module(module), name)
        _limit_memory(memory_mb)
        result = target(*args)
        for value in result if isinstance(result, Iterator) else (result,):
            _write(answers, VALUE, pickle.dumps(value, pickle.HIGHEST_PROTOCOL))
        kind, text = ENDED, ""
    except MemoryError as error:
        kind, text = OUT_OF_MEMORY, f"memory limit of {memory_mb} MB reached: {error or 'MemoryError'}"
    except OSError as error:
        kind, text = FAILED if error.errno in _OF_THE_CALL else UNREADABLE, f"{type(error).__name__}: {error}"
    except Exception as error:  # noqa: BLE001 - whatever the function raises is the call's outcome
        kind, text = FAILED, f"{type(error).__name__}: {error}"
    _lift_memory_limit()
    _write(answers, kind, text.encode("utf-8", "replace"))


def _limit_memory(memory_mb: int) -> None:
    """Allow so much more address space than is taken now."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    limit = pages * resource.getpagesize() + memory_mb * 1024 * 1024
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.getrlimit(resource.RLIMIT_AS)[1]))


def _lift_memory_limit() -> None:
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    resource.setrlimit(resource.RLIMIT_AS, (hard, hard))


def _write(answers: BinaryIO, kind: int, payload: bytes) -> None:
    answers.write(bytes([kind]) + len(payload).to_bytes(8, "little"))
    answers.write(payload)
    answers.flush()
