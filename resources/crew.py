"""Pure work on frames shared with child processes: results come in order, and this process works along.

Python runs one thread at a time, so chunking or encoding a first import on two cores takes two processes. Frames travel
as files: a pipe would need Python's lock in this process for every 64 kB. What a child could not do (it died, it had no
memory) is done here, where the error shows; nothing depends on a child.
"""

import contextlib
import importlib
import logging
import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from resources.memory import loading
from resources.sandbox import Ok, Sandbox

log = logging.getLogger(__name__)

CHILD_MEGABYTES = 8 * 1024
CHILD_SECONDS = 600.0
ABANDONED_SECONDS = 600.0
_CALL = "resources.crew.work"


class Crew:
    """Child processes that are started when they are first needed. ``close`` it; children die with this process, too."""

    def __init__(self, children: int, folder: Path) -> None:
        """Start nothing yet.

        Args:
            children: how many beside this process; with 0 everything is done here.
            folder: for frames on their way; they are private to the user and removed when they were read.
        """
        self._children = children
        self._folder = folder
        self._mine: Path | None = None
        self._sandbox: Sandbox | None = None

    @property
    def hands(self) -> int:
        """How many processes work."""
        return self._children + 1

    def folder(self) -> Path:
        """For what children leave behind for this process; gone with ``close``."""
        if self._mine is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            _remove_abandoned(self._folder)
            self._mine = Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=self._folder))
        return self._mine

    def map(
        self,
        function: str,
        here: Callable[[pl.DataFrame], pl.DataFrame],
        frames: Sequence[pl.DataFrame],
        args: tuple[object, ...] = (),
        *,
        ahead: int | None = None,
    ) -> Iterator[pl.DataFrame]:
        """Apply a function to each frame; yield the results in order.

        Args:
            function: dotted name for the children, called with a frame and ``args``; returns a frame.
            here: the same function of a frame, for this process.
            frames: what it is applied to.
            args: picklable, the same for all.
            ahead: how many results beyond the next one may be begun (they are kept); None is without limit.
        """
        if not self._children or len(frames) < 2:
            yield from map(here, frames)
            return
        if self._sandbox is None:
            self._sandbox = Sandbox(self._children, CHILD_SECONDS, CHILD_MEGABYTES, file_mb=CHILD_MEGABYTES)
        shared = _Shared(
            self._sandbox, self.folder(), function, here, frames, args, len(frames) if ahead is None else ahead
        )
        threads = [threading.Thread(target=shared.serve, daemon=True, name="crew") for _ in range(self._children)]
        for thread in threads:
            thread.start()
        try:
            yield from shared.results()
        except BaseException:  # Ctrl-C or a caller that wants no more: what the children are at is for nobody
            shared.stop()
            self._dismiss()
            raise
        finally:
            shared.stop()
            for thread in threads:
                thread.join()

    def close(self) -> None:
        """End the children and remove the folder; the next ``map`` starts new ones."""
        self._dismiss()
        if self._mine is not None:
            shutil.rmtree(self._mine, ignore_errors=True)
            self._mine = None

    def _dismiss(self) -> None:
        """End the children. The folder stays: what they were at may still be there."""
        if self._sandbox is not None:
            self._sandbox.close()
            self._sandbox = None


def work(function: str, given: str, result: str, args: tuple[object, ...]) -> None:
    """A child's side: read a frame, apply the function, write what it gives."""
    module, _, name = function.rpartition(".")
    if module not in sys.modules:
        with loading():
            importlib.import_module(module)
    frame = pl.read_ipc(given)
    Path(given).unlink()
    getattr(sys.modules[module], name)(frame, *args).write_ipc(result, compression="uncompressed")


def _remove_abandoned(folder: Path) -> None:
    """Remove what processes left that were killed; another process may be at it, too."""
    for left in folder.iterdir():
        pid = left.name.partition("-")[0]
        with contextlib.suppress(FileNotFoundError):
            is_old = left.stat().st_mtime < time.time() - ABANDONED_SECONDS
            if pid.isdigit() and is_old and not Path("/proc", pid).exists():
                shutil.rmtree(left, ignore_errors=True)


class _Shared:
    """The frames of one map: who takes which, and what came of them."""

    def __init__(
        self,
        sandbox: Sandbox,
        folder: Path,
        function: str,
        here: Callable[[pl.DataFrame], pl.DataFrame],
        frames: Sequence[pl.DataFrame],
        args: tuple[object, ...],
        ahead: int,
    ) -> None:
        self._sandbox, self._folder, self._function = sandbox, folder, function
        self._here, self._frames, self._args, self._ahead = here, frames, args, ahead
        self._changed = threading.Condition()
        self._next = 0
        self._wanted = 0
        self._done: dict[int, pl.DataFrame | Path | None] = {}
        self._is_stopped = False

    def results(self) -> Iterator[pl.DataFrame]:
        """In order; while the next one is not there, this thread works on what nobody has begun."""
        for number in range(len(self._frames)):
            while number not in self._done:
                mine = self._take()
                if mine is not None:
                    self._done[mine] = self._here(self._frames[mine])
                    continue
                with self._changed:
                    self._changed.wait_for(lambda n=number: n in self._done or self._has_more())  # type: ignore[misc]
            with self._changed:
                done = self._done.pop(number)
                self._wanted = number + 1
                self._changed.notify_all()
            yield self._received(number, done)

    def _received(self, number: int, done: pl.DataFrame | Path | None) -> pl.DataFrame:
        if done is None:
            return self._here(self._frames[number])
        if isinstance(done, pl.DataFrame):
            return done
        frame = pl.read_ipc(done)
        done.unlink()
        return frame

    def serve(self) -> None:
        """One child's work, until nothing is left to begin. The first frame is not for a child: it is to start yet."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._is_stopped or self._next > 0)
                self._changed.wait_for(lambda: self._is_stopped or self._has_more() or self._next == len(self._frames))
                if self._is_stopped or self._next == len(self._frames):
                    return
            mine = self._take()
            if mine is not None:
                self._call(mine)

    def stop(self) -> None:
        """Let nobody begin anything more."""
        with self._changed:
            self._is_stopped = True
            self._changed.notify_all()

    def _has_more(self) -> bool:
        return self._next < len(self._frames) and self._next <= self._wanted + self._ahead

    def _take(self) -> int | None:
        with self._changed:
            if self._is_stopped or not self._has_more():
                return None
            self._next += 1
            self._changed.notify_all()
            return self._next - 1

    def _call(self, number: int) -> None:
        result, reason = self._asked(number)
        with self._changed:
            if reason and not self._is_stopped:
                log.warning("a helper process gave up (%s); its part is done in this one", reason)
            self._done[number] = result
            self._changed.notify_all()

    def _asked(self, number: int) -> tuple[Path | None, str]:
        """Where a child put its result, or None and why there is none."""
        given, result = self._folder / f"{number}.in", self._folder / f"{number}.out"
        try:
            self._frames[number].write_ipc(given, compression="uncompressed")
            call = self._sandbox.call(_CALL, self._function, str(given), str(result), self._args)
            values: list[Any] = list(call)
        except (OSError, RuntimeError, pl.exceptions.PolarsError) as error:
            return None, f"{type(error).__name__}: {error}"
        return (result, "") if isinstance(call.outcome, Ok) and values else (None, call.outcome.reason)
