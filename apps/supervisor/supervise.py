"""All parts, kept up until told to stop; what is up is written where others read it."""

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from apps.supervisor.logs import cut
from apps.supervisor.parts import Part
from apps.supervisor.state import UP, UpState, held, write_state
from apps.supervisor.watching import Kept

STEP_SECONDS, CALM_STEP_SECONDS = 0.1, 1.0
LOG_SECONDS = 60.0
STOP_SECONDS = 15.0

Heard = Callable[[UpState], None]
"""Told whenever a part's state changed."""


class Supervisor:
    """Keeps parts up. Use ``run`` from a process's main thread."""

    def __init__(self, up: Path, logs: Path, parts: Sequence[Part], heard: Heard) -> None:
        """Nothing is started yet.

        Args:
            up: folder for the state.
            logs: folder for logs.
            parts: in the order of their start.
            heard: see ``Heard``.
        """
        self._up, self._logs, self._heard = up, logs, heard
        self._kept = [Kept(part, logs) for part in parts]
        self._started_at = time.time()
        self._is_stopping = False
        self._cut_at = 0.0
        self._is_written = False

    @property
    def state(self) -> UpState:
        """All parts as they stand."""
        return UpState(os.getpid(), self._started_at, tuple(kept.shown for kept in self._kept))

    def run(self) -> None:
        """Keep the parts up until SIGTERM or Ctrl-C; a second one ends them at once.

        Raises:
            AlreadyUp: another supervisor has this data folder.
        """
        with held(self._up), self._signals():
            try:
                while not self._is_stopping:
                    self._step()
                    is_calm = all(kept.state == UP for kept in self._kept)
                    self._sleep(CALM_STEP_SECONDS if is_calm else STEP_SECONDS)
            finally:
                self._stop()

    def _step(self) -> None:
        now = time.monotonic()
        up = frozenset(kept.part.name for kept in self._kept if kept.state == UP)
        changed = [kept.step(now, up) for kept in self._kept]
        if any(changed):
            self._tell()
        elif not self._is_written:
            self._is_written = write_state(self._up, self.state)
        if now - self._cut_at > LOG_SECONDS:
            self._cut_at = now
            with contextlib.suppress(OSError):
                cut(self._logs)

    def _tell(self) -> None:
        self._is_written = write_state(self._up, self.state)
        with contextlib.suppress(OSError):  # whoever listens has gone, or the disk that takes its words is full
            self._heard(self.state)

    def _sleep(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self._is_stopping and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, 1.0))

    def _stop(self) -> None:
        """The last part first: who asks others ends before them."""
        for kept in reversed(self._kept):
            kept.signal(signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        waiting = list(self._kept)
        while waiting and time.monotonic() < deadline:
            waiting = [kept for kept in waiting if not kept.stopped()]
            time.sleep(0.05)
        for kept in self._kept:
            kept.signal(signal.SIGKILL)
            if kept.process is not None:
                kept.process.wait()
            kept.stopped()
        self._tell()

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Take SIGTERM and Ctrl-C as the wish to stop; the second one ends the parts without waiting."""
        numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
        before = [signal.getsignal(number) for number in numbers]
        for number in numbers:
            signal.signal(number, self._on_signal)
        try:
            yield
        finally:
            for number, handler in zip(numbers, before, strict=True):
                signal.signal(number, handler)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self._is_stopping:
            for kept in self._kept:
                kept.signal(signal.SIGKILL)
        self._is_stopping = True
