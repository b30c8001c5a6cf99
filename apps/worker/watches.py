"""Hears which paths below some folders change, as the system tells it (inotify, through watchfiles).

Where it does not tell (a network share, more folders than it may watch), the regular look around finds changes later:
``Watches.problem`` says so. What a change means is ``running``'s.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from watchfiles import watch

log = logging.getLogger(__name__)

STEP_MILLISECONDS = 200
"""How often the watching thread looks for news; each look costs some microseconds."""
GATHER_MILLISECONDS = 400
REMEDY = "raise fs.inotify.max_user_watches (sysctl); until then changes are found by looking around every few minutes"


class Watches:
    """Watches of some folders, in a thread of their own."""

    def __init__(self, heard: Callable[[Sequence[str]], None]) -> None:
        """Nothing is watched yet; ``heard`` is told absolute paths, from the thread."""
        self._heard = heard
        self._folders: tuple[Path, ...] = ()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.problem = ""

    @property
    def folders(self) -> tuple[Path, ...]:
        """What is watched."""
        return self._folders

    def set_folders(self, folders: Sequence[Path]) -> None:
        """Watch these folders, and what is below them, anew: a folder that went and came again is another one."""
        wanted = tuple(sorted(set(folders)))
        self.close()
        self._folders, self.problem, self._stop = wanted, "", threading.Event()
        if wanted:
            self._thread = threading.Thread(target=self._watch, args=(wanted, self._stop), name="watches", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Stop watching."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=10)
            self._thread = None

    def _watch(self, folders: Sequence[Path], stop: threading.Event) -> None:
        try:
            for changes in watch(
                *folders,
                watch_filter=None,
                debounce=GATHER_MILLISECONDS,
                step=STEP_MILLISECONDS,
                stop_event=stop,
                raise_interrupt=False,
                force_polling=False,
                ignore_permission_denied=True,
            ):
                self._heard([path for _, path in changes])
        except OSError as error:  # the limit of watches is reached, or a folder went in between
            self.problem = f"folders are not watched ({error}): {REMEDY}"
            log.warning("%s", self.problem)
