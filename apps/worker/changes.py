"""Which corpora changed and are not run yet: heard by watches, found by looking around, taken by runs. No I/O; thread-safe."""

import threading
from dataclasses import dataclass, field

MOST_PATHS = 64
"""Of a corpus in which more paths changed, it is only known that much did."""
MOST_PATIENCE = 3
"""A corpus that never stands still is run after so many times its stand-still time."""
FIRST_WAIT, LONGEST_WAIT = 60.0, 3600.0


@dataclass(slots=True)
class Change:
    """What is known of a corpus that changed; times are ``time.monotonic``.

    Attributes:
        first_at: when it was first heard of.
        last_at: when it was last heard of.
        paths: absolute paths that changed, as far as they are known.
        is_open: more changed than ``paths``, or nobody knows what.
        due_at: not before.
        attempts: how often a run of it failed.
        reason: what the last attempt said.
    """

    first_at: float
    last_at: float
    paths: set[str] = field(default_factory=set)
    is_open: bool = False
    due_at: float = 0.0
    attempts: int = 0
    reason: str = ""


class Changes:
    """The corpora that wait for a run."""

    def __init__(self, still_seconds: float) -> None:
        """Nothing changed yet; a corpus is due when its files stood still for ``still_seconds``."""
        self._still = still_seconds
        self._waiting: dict[str, Change] = {}
        self._heard = threading.Condition()

    def ask(self, corpus: str, now: float) -> None:
        """Somebody wants a corpus run at once, whatever is known of it."""
        with self._heard:
            known = self._waiting.setdefault(corpus, Change(now, now))
            known.is_open, known.due_at = True, now
            self._heard.notify()

    def note(self, corpus: str, path: str | None, now: float) -> None:
        """Something of a corpus changed: a path, or with None nobody knows what."""
        with self._heard:
            known = self._waiting.setdefault(corpus, Change(now, now))
            known.last_at = now
            known.due_at = min(now + self._still, max(known.first_at + MOST_PATIENCE * self._still, now))
            if path is None or len(known.paths) >= MOST_PATHS:
                known.is_open = True
            else:
                known.paths.add(path)
            self._heard.notify()

    def put_back(self, corpus: str, change: Change, wait: float, now: float, reason: str = "") -> None:
        """A run could not take a change: it is due again in ``wait`` seconds, with what was heard since."""
        with self._heard:
            later = self._waiting.get(corpus)
            change.first_at, change.due_at, change.reason = now, now + wait, reason
            if later is not None:
                change.paths |= later.paths
                change.is_open |= later.is_open
                change.last_at, change.due_at = later.last_at, min(change.due_at, later.due_at)
            self._waiting[corpus] = change

    def take(self, now: float) -> tuple[str, Change] | None:
        """The change that is due for longest, taken out; None where none is."""
        with self._heard:
            due = [(change.due_at, corpus) for corpus, change in self._waiting.items() if change.due_at <= now]
            if not due:
                return None
            corpus = min(due)[1]
            return corpus, self._waiting.pop(corpus)

    def wait(self, now: float, most: float) -> None:
        """Sleep until the next change is due, something is heard, or ``most`` seconds have passed."""
        with self._heard:
            first = min((change.due_at for change in self._waiting.values()), default=now + most)
            self._heard.wait(max(0.0, min(most, first - now)))

    def wake(self) -> None:
        """End a ``wait``."""
        with self._heard:
            self._heard.notify_all()

    def waiting(self) -> dict[str, Change]:
        """Corpus to change, as of now."""
        with self._heard:
            return dict(self._waiting)


def wait_after(attempts: int) -> float:
    """Seconds before a failed run is tried again: 1, 4, 16, then 60 minutes."""
    return min(FIRST_WAIT * 4.0 ** min(max(0, attempts - 1), 10), LONGEST_WAIT)
