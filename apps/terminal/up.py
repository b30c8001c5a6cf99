"""How ``cortex up`` tells what it does: a line whenever a part's state changed, and where the pages are once all are up."""

import time

from apps.reports import to_json
from apps.supervisor.state import STOPPED, UP, WAITING, PartState, UpState
from apps.terminal import console

TITLES = {
    "app": "app",
    "dagster": "Dagster",
    "worker": "worker",
    "code": "Dagster's code server",
    "daemon": "Dagster's daemon",
}


class Shown:
    """Hears the supervisor and prints."""

    def __init__(self, as_json: bool, is_detached: bool = False) -> None:
        """Nothing was told yet; where all stays up after the command, Ctrl-C does not end it."""
        self._as_json = as_json
        self._end = "`cortex down` stops everything" if is_detached else "Ctrl-C, or `cortex down`, stops everything"
        self._told: dict[str, tuple[str, int]] = {}
        self._is_said = False

    def __call__(self, state: UpState) -> None:
        """Print what changed."""
        if self._as_json:
            print(to_json(state), flush=True)
            return
        for part in state.parts:
            is_news = self._told.get(part.name, (STOPPED, 0)) != (part.state, part.pid)
            self._told[part.name] = part.state, part.pid
            if is_news:
                self._line(part)
        is_whole = all(part.state == UP for part in state.parts)
        if is_whole and not self._is_said:
            self._where(state)
        self._is_said = is_whole

    def _line(self, part: PartState) -> None:
        at = time.strftime("%H:%M:%S")
        what = f"{part.state}, process {part.pid}" if part.pid and part.state != STOPPED else part.state
        text = f"{at}  {TITLES[part.name]}: {what}"
        if part.state == WAITING:
            text += f" (it is started again; {part.reason}; log: {part.log})"
        console.notice(text, {UP: "green", WAITING: "yellow"}.get(part.state, "dim"))

    def _where(self, state: UpState) -> None:
        for part in state.parts:
            if part.url:
                console.notice(f"\n  {TITLES[part.name]:8} {part.url}", "bold green")
        console.notice(f"\n  drop files into data/inbox, or in the browser. {self._end}.\n")
