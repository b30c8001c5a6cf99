"""Pure work on frames shared with child processes: results come in order, and this process works along or goes on meanwhile.

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
from resources.sandbox import Ok, Sandbox, SandboxCall

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
        self._jobs = 0
        self.changed = threading.Condition(threading.RLock())
        self.idle = children

    @property
    def hands(self) -> int:
        """How many processes work."""
        return self._children + 1

    def folder(self) -> Path:
        """For what children leave behind for this process; gone with ``close``."""
        with self.changed:
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
        """Apply a function to each frame; yield the results in order, and work along while the next one is not there.

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
        job = Job(self, function, here, frames, args, ahead, is_first_here=True)
        try:
            while (result := job.take(is_waiting=True)) is not None:
                yield result
        except BaseException:  # Ctrl-C or a caller that wants no more: what the children are at is for nobody
            job.abandon()
            raise
        job.join()

    def begin(
        self,
        function: str,
        here: Callable[[pl.DataFrame], pl.DataFrame],
        frames: Sequence[pl.DataFrame],
        args: tuple[object, ...] = (),
    ) -> "Job":
        """Let the children begin; this process goes on with other work and takes results when it likes. See ``map``."""
        return Job(self, function, here, frames, args, None, is_first_here=False)

    def close(self) -> None:
        """End the children and remove the folder; the next ``map`` starts new ones."""
        self.dismiss()
        if self._mine is not None:
            shutil.rmtree(self._mine, ignore_errors=True)
            self._mine = None

    def call(self, *args: object) -> SandboxCall:
        """A call of ``work`` by a child; the children are started when there are none."""
        with self.changed:
            if self._sandbox is None:
                self._sandbox = Sandbox(self._children, CHILD_SECONDS, CHILD_MEGABYTES, file_mb=CHILD_MEGABYTES)
            return self._sandbox.call(_CALL, *args)

    def numbered(self) -> str:
        """A name for the files of one job."""
        self._jobs += 1
        return str(self._jobs)

    def dismiss(self) -> None:
        """End the children. The folder stays: what they were at may still be there."""
        with self.changed:
            sandbox, self._sandbox = self._sandbox, None
        if sandbox is not None:
            sandbox.close()


def work(function: str, given: str, result: str, args: tuple[object, ...]) -> None:
    """A child's side: read a frame, apply the function, write what it gives."""
    module, _, name = function.rpartition(".")
    if module not in sys.modules:
        with loading():
            importlib.import_module(module)
    frame = pl.read_ipc(given)
    Path(given).unlink()
    getattr(sys.modules[module], name)(frame, *args).write_ipc(result, compression="uncompressed")


def abandoned(folder: Path) -> list[Path]:
    """What processes left in a crew's folder that were killed a while ago."""
    left: list[Path] = []
    for path in folder.iterdir() if folder.is_dir() else ():
        pid = path.name.partition("-")[0]
        with contextlib.suppress(FileNotFoundError):
            is_old = path.stat().st_mtime < time.time() - ABANDONED_SECONDS
            if pid.isdigit() and is_old and not Path("/proc", pid).exists():
                left.append(path)
    return left


def _remove_abandoned(folder: Path) -> None:
    """Remove what processes left that were killed; another process may be at it, too."""
    for path in abandoned(folder):
        shutil.rmtree(path, ignore_errors=True)


class Job:
    """The frames of one call of a crew: who takes which, and what came of them. Several jobs may share the children."""

    def __init__(
        self,
        crew: Crew,
        function: str,
        here: Callable[[pl.DataFrame], pl.DataFrame],
        frames: Sequence[pl.DataFrame],
        args: tuple[object, ...],
        ahead: int | None,
        is_first_here: bool,
    ) -> None:
        """Begin; see ``Crew.map``. ``is_first_here`` keeps the first frame from the children, which are to start yet."""
        self._crew, self._changed = crew, crew.changed
        self._name, self._folder, self._function = crew.numbered(), crew.folder(), function
        self._here, self._frames, self._args = here, frames, args
        self._ahead = len(frames) if ahead is None else ahead
        self._first = 1 if is_first_here else 0
        self._next = 0
        self._wanted = 0
        self._done: dict[int, pl.DataFrame | Path | None] = {}
        self._is_stopped = False
        self._threads = [threading.Thread(target=self._serve, daemon=True, name="crew") for _ in range(crew.hands - 1)]
        for thread in self._threads:
            thread.start()

    def take(self, is_waiting: bool) -> pl.DataFrame | None:
        """The next result in order, None after the last one.

        Args:
            is_waiting: wait for it, and work on what nobody has begun meanwhile; else None also where it is not there yet.
        """
        number = self._wanted
        if number == len(self._frames):
            return None
        while number not in self._done:
            if not is_waiting:
                return None
            mine = self._taken()
            if mine is not None:
                self._done[mine] = self._here(self._frames[mine])
                continue
            with self._changed:
                self._changed.wait_for(lambda: number in self._done or self._has_more())
        with self._changed:
            done = self._done.pop(number)
            self._wanted = number + 1
            self._changed.notify_all()
        return self._received(number, done)

    def join(self) -> None:
        """Wait for the threads of a job whose results were all taken."""
        for thread in self._threads:
            thread.join()

    def abandon(self) -> None:
        """Let nobody begin anything more and end the children: what they are at is for nobody."""
        with self._changed:
            self._is_stopped = True
            self._changed.notify_all()
        self._crew.dismiss()
        self.join()

    def _received(self, number: int, done: pl.DataFrame | Path | None) -> pl.DataFrame:
        if done is None:
            return self._here(self._frames[number])
        if isinstance(done, pl.DataFrame):
            return done
        frame = pl.read_ipc(done)
        done.unlink()
        return frame

    def _serve(self) -> None:
        """One child's work, until nothing is left to begin."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._is_over() or self._is_for_a_child())
                if self._is_over():
                    return
                mine = self._taken()
                self._crew.idle -= 1
            try:
                if mine is not None:
                    self._call(mine)
            finally:
                with self._changed:
                    self._crew.idle += 1
                    self._changed.notify_all()

    def _is_over(self) -> bool:
        return self._is_stopped or self._next == len(self._frames)

    def _is_for_a_child(self) -> bool:
        return self._crew.idle > 0 and self._next >= self._first and self._has_more()

    def _has_more(self) -> bool:
        return self._next < len(self._frames) and self._next <= self._wanted + self._ahead

    def _taken(self) -> int | None:
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
        given, result = (self._folder / f"{self._name}-{number}.{what}" for what in ("in", "out"))
        try:
            self._frames[number].write_ipc(given, compression="uncompressed")
            with self._changed:  # an abandoned job must not start children again: their work would be waited for
                if self._is_stopped:
                    return None, "its job was abandoned"
                call = self._crew.call(self._function, str(given), str(result), self._args)
            values: list[Any] = list(call)
        except (OSError, RuntimeError, pl.exceptions.PolarsError) as error:
            return None, f"{type(error).__name__}: {error}"
        return (result, "") if isinstance(call.outcome, Ok) and values else (None, call.outcome.reason)
