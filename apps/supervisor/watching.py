"""One part's life: started, asked whether it is well, started again with back-off, stopped. Nothing here sleeps."""

import contextlib
import ctypes
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from apps.supervisor.logs import open_log, tail
from apps.supervisor.parts import ROOT, Part
from apps.supervisor.state import STARTING, STOPPED, UP, WAITING, PartState

FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0
STEADY_SECONDS = 60.0
"""A part that was well for so long starts its back-off anew."""
ASK_SECONDS, ASK_STARTING_SECONDS = 15.0, 0.25
MOST_SILENCE = 4
"""A part that does not answer so often in a row, while it runs, is ended and started again."""
_PR_SET_PDEATHSIG = 1
_C = ctypes.CDLL(None) if sys.platform == "linux" else None


@dataclass
class Kept:
    """A part that is kept up; all times are ``time.monotonic`` but ``since``."""

    part: Part
    logs: Path
    process: "subprocess.Popen[bytes] | None" = None
    state: str = STOPPED
    since: float = field(default_factory=time.time)
    restarts: int = 0
    reason: str = ""
    _wait: float = FIRST_WAIT
    _start_at: float = 0.0
    _started_at: float = 0.0
    _asked_at: float = 0.0
    _well_at: float | None = None
    _silent: int = 0

    @property
    def shown(self) -> PartState:
        """As it stands, for others."""
        pid = self.process.pid if self.process is not None else 0
        log = str(self.logs / f"{self.part.name}.log")
        return PartState(self.part.name, self.state, pid, self.part.url, self.restarts, self.since, self.reason, log)

    def step(self, now: float, up: frozenset[str]) -> bool:
        """Do what is due, with the names of the parts that are up; whether the state changed."""
        before = self.state
        if self.process is None:
            if now >= self._start_at and up.issuperset(self.part.after):
                self._start(now)
        elif self.process.poll() is not None:
            self._ended(now, f"it ended with {_ending(self.process.returncode)}")
        elif now - self._asked_at >= (ASK_SECONDS if self.state == UP else ASK_STARTING_SECONDS):
            self._ask(now)
        return self.state != before

    def _start(self, now: float) -> None:
        try:
            _, log = open_log(self.logs, self.part.name)
        except OSError as error:
            self._ended(now, f"its log cannot be written: {error}")
            return
        try:
            self.process = subprocess.Popen(
                self.part.command,
                cwd=ROOT,
                env=dict(self.part.environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=_end_with_parent,
            )
        except OSError as error:
            self._ended(now, f"it cannot be started: {error}")
            return
        finally:
            os.close(log)
        self._started_at = self._asked_at = now
        self._well_at, self._silent = None, 0
        self._become(STARTING)

    def _ask(self, now: float) -> None:
        self._asked_at = now
        if self.part.is_well():
            self._silent = 0
            if self.state != UP:
                self._well_at = now
                self._become(UP)
            elif self._well_at is not None and now - self._well_at > STEADY_SECONDS:
                self._wait = FIRST_WAIT
        elif self.state == UP:
            self._silent += 1
            if self._silent >= MOST_SILENCE:
                self._give_up(now, f"it did not answer for {MOST_SILENCE * ASK_SECONDS:.0f} s")
        elif now - self._started_at > self.part.patience:
            self._give_up(now, f"it was not well within {self.part.patience:.0f} s")

    def _give_up(self, now: float, reason: str) -> None:
        self.signal(signal.SIGKILL)
        if self.process is not None:
            self.process.wait()
        self._ended(now, reason)

    def _ended(self, now: float, reason: str) -> None:
        last = _last_words(self.logs / f"{self.part.name}.log")
        self.reason = (
            f"{reason}: {last}"[:300] if last and self.process is not None and not killed(self.process) else reason
        )
        self.signal(signal.SIGKILL)  # what it left behind in its group
        self.process = None
        self.restarts += 1
        self._start_at = now + self._wait
        self._wait = min(2 * self._wait, LONGEST_WAIT)
        self._become(WAITING)

    def signal(self, number: int) -> None:
        """Send a signal to the part's whole process group."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, number)

    def stopped(self) -> bool:
        """Whether it has ended, after a signal to do so."""
        if self.process is None or self.process.poll() is not None:
            self._become(STOPPED)
            return True
        return False

    def _become(self, state: str) -> None:
        if state != self.state:
            self.state, self.since = state, time.time()


def killed(process: "subprocess.Popen[bytes]") -> bool:
    """Whether a signal ended a process: then its log says nothing of why."""
    return process.returncode is not None and process.returncode < 0


def _last_words(log: Path) -> str:
    """The last line of a log, without colours."""
    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line).strip() for line in tail(log, 3)]
    return next((line for line in reversed(lines) if line), "")


def _ending(code: int) -> str:
    """An exit code in words."""
    if code < 0:
        with contextlib.suppress(ValueError):
            return signal.Signals(-code).name
    return f"exit code {code}"


def _end_with_parent() -> None:
    """In the child: be told to end when the supervisor ends, however that ends."""
    if _C is not None:
        _C.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
