"""Tells receivers outside what happened: a spool of small files, delivered signed, at least once (Standard Webhooks 1.0).

``enqueue`` costs one stat where no ``webhooks.yaml`` exists, and one small file where it does; nobody waits for a receiver.
``deliver`` sends what is due: Dagster's sensor, the worker and ``cortex run`` call it, one of them at a time. A message that
is not taken is tried again, ever later, and put aside as dead after ten tries or three days; how many waited too long is
counted. No proxies, no redirects, ten seconds a delivery. Addresses and secrets stand in no message, log or spool file.
"""

import contextlib
import hashlib
import http.client
import json
import logging
import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from resources.file_lock import alone
from resources.webhook_file import Hook, WebhooksError, load_hooks
from resources.webhook_post import post

log = logging.getLogger(__name__)

WAITS = (10.0, 60.0, 300.0, 1_800.0, 7_200.0, 18_000.0, 36_000.0, 36_000.0, 36_000.0)
"""Seconds before the second try, the third and so on; then the message is dead."""
MOST_AGE = 3 * 86_400.0
MOST_WAITING = 1_000
"""So many messages wait at most; the oldest go."""
MOST_DEAD = 200
"""So many dead messages are kept to be looked at."""
GONE = 410


@dataclass(frozen=True, slots=True)
class Message:
    """What happened.

    Attributes:
        event: ``run_failed``, ``run_finished`` or ``alert``.
        id: the same for the same happening, so that a receiver can leave out what it was told twice.
        at: when (UTC, ISO 8601).
        corpus: whose; may be empty.
        shard: of a run; may be empty.
        counts: numbers by name.
        reason: why, for people; at most 500 characters.
    """

    event: str
    id: str
    at: str
    corpus: str = ""
    shard: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)
    reason: str = ""

    def body(self) -> bytes:
        """As it is sent."""
        values = asdict(self) | {"counts": dict(self.counts), "reason": self.reason[:500]}
        return json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode("utf-8")


def message_id(*parts: str) -> str:
    """An id as a function of what makes a happening one of its own."""
    return "msg_" + hashlib.blake2b("\x1f".join(parts).encode("utf-8", "surrogateescape"), digest_size=12).hexdigest()


@dataclass(frozen=True, slots=True)
class Drained:
    """What a drain did: deliveries that were taken, that were not, messages that are dead now, and that wait on."""

    sent: int = 0
    failed: int = 0
    dead: int = 0
    waiting: int = 0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SpoolState:
    """How the spool stands: messages that wait, since when, how many were given up so far, and when the last of these was.

    Times are seconds since the epoch.
    """

    waiting: int = 0
    oldest_at: float | None = None
    dead: int = 0
    dead_at: float | None = None


Send = Callable[[Hook, str, bytes, float], int]
"""Delivers one message: hook, id, body, time; the HTTP status. Raises OSError or HTTPException where there is none."""


def enqueue(hooks_file: Path, spool: Path, message: Message) -> bool:
    """Put a message into the spool, where anybody is to be told anything; never raises for a full disk, which is logged.

    A message with the id of one that waits is the same one: it is not put there again.
    """
    if not hooks_file.exists():
        return False
    try:
        spool.mkdir(mode=0o700, parents=True, exist_ok=True)
        if next(spool.glob(f"*-{message.id}.json"), None):
            return True
        now = time.time_ns()
        letter = {"put_at": now / 1e9, "message": asdict(message) | {"counts": dict(message.counts)}, "hooks": {}}
        _write(spool / f"{now:020d}-{message.id}.json", letter)
    except OSError as error:
        log.warning("a message (%s) could not be put into the webhook spool: %s", message.event, error.strerror)
        return False
    return True


def spool_state(spool: Path) -> SpoolState:
    """How the spool stands, by its names alone."""
    names = sorted(path.name for path in spool.glob("*.json"))
    oldest = int(names[0][:20]) / 1e9 if names and names[0][:20].isdecimal() else None
    count = spool / "dead.count"
    return SpoolState(len(names), oldest, _dead_count(spool), count.stat().st_mtime if count.is_file() else None)


def is_empty(spool: Path) -> bool:
    """Whether nothing waits; costs one listing."""
    return next(spool.glob("*.json"), None) is None


def drain(spool: Path, hooks: Sequence[Hook], seconds: float = 20.0, send: Send | None = None) -> Drained:
    """Deliver what is due, oldest first; whoever comes second, while another drains, does nothing.

    Args:
        spool: the folder.
        hooks: the receivers; a message that none of them wants goes.
        seconds: after so long no further delivery is begun.
        send: delivers (tests); over HTTP by default.
    """
    if is_empty(spool):
        return Drained()
    with alone(spool / "lock") as is_mine:
        return _Draining(spool, hooks, send or post, time.monotonic() + seconds).run() if is_mine else Drained()


def deliver(hooks_file: Path, spool: Path, seconds: float = 20.0) -> Drained:
    """``drain`` to whom the file says; where that cannot be used, everything waits and the notes say why."""
    if is_empty(spool):
        return Drained()
    try:
        hooks = load_hooks(hooks_file)
    except WebhooksError as error:
        return Drained(waiting=spool_state(spool).waiting, notes=(f"messages wait: {error}",))
    return drain(spool, hooks, seconds)


class _Draining:
    """One drain, by the process that has the spool to itself."""

    def __init__(self, spool: Path, hooks: Sequence[Hook], send: Send, deadline: float) -> None:
        self.spool, self.hooks, self.send, self.deadline = spool, hooks, send, deadline
        self.down: set[str] = set()
        self.done = Drained()
        self.notes: dict[str, None] = {}

    def run(self) -> Drained:
        files = sorted(self.spool.glob("*.json"))
        for file in files[: max(0, len(files) - MOST_WAITING)]:
            self._bury(file, f"more than {MOST_WAITING} messages wait")
        for file in files[-MOST_WAITING:]:
            if time.monotonic() > self.deadline:
                break
            self._deliver(file)
        return replace(self.done, waiting=len(list(self.spool.glob("*.json"))), notes=tuple(self.notes))

    def _deliver(self, file: Path) -> None:
        try:
            letter = json.loads(file.read_text(encoding="utf-8"))
            message, put_at, tries = _opened(letter)
        except FileNotFoundError:
            return
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            self._bury(file, "it cannot be read")
            return
        left = [hook for hook in self.hooks if message.event in hook.events and tries.get(hook.key) != []]
        for hook in list(left):
            is_over = self._is_over(hook, message, tries)
            if not is_over and self._is_given_up(put_at, tries.get(hook.key, [0, 0])):
                self._bury(file, f"webhook {hook.label} did not take it in {len(WAITS) + 1} tries or 3 days", True)
                is_over = True
            if is_over:
                left.remove(hook)
                tries[hook.key] = []  # noted at once, so that nobody is told twice after a crash
                _write(file, letter | {"hooks": tries})
        if left:
            _write(file, letter | {"hooks": tries})
        else:
            file.unlink(missing_ok=True)

    def _is_over(self, hook: Hook, message: Message, tries: dict[str, list[float]]) -> bool:
        """Try to deliver where that is due; whether this receiver needs no further try. ``tries``: [count, next time] each."""
        count, due = tries.get(hook.key, [0, 0.0])
        now = time.time()
        is_early = (
            now < due <= now + WAITS[-1]
        )  # what is due later than that was noted by a clock that was set back since
        if hook.key in self.down or is_early or time.monotonic() > self.deadline:
            return False
        try:
            status = self.send(hook, message.id, message.body(), now)
            problem = "" if 200 <= status < 300 else f"it answered {status}"
        except (OSError, ValueError, http.client.HTTPException) as error:  # ValueError: a name that can be none
            status, problem = 0, f"it could not be reached ({type(error).__name__})"
        if not problem:
            self.done = replace(self.done, sent=self.done.sent + 1)
            return True
        self.done = replace(self.done, failed=self.done.failed + 1)
        self.notes[f"webhook {hook.label}: {problem}"] = None
        self.down.add(hook.key)
        tried = int(count) + 1
        tries[hook.key] = [tried, now + WAITS[min(tried, len(WAITS)) - 1]]
        if status == GONE:
            tries[hook.key][0] = len(WAITS) + 1
        return False

    @staticmethod
    def _is_given_up(put_at: float, tried: Sequence[float]) -> bool:
        return tried[0] > len(WAITS) or (tried[0] > 0 and time.time() - put_at > MOST_AGE)

    def _bury(self, file: Path, why: str, is_wanted: bool = False) -> None:
        """Put a message aside, where the latest are kept, and count it; ``is_wanted``: others are still to be told."""
        dead = self.spool / "dead"
        dead.mkdir(mode=0o700, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            if is_wanted:
                shutil.copy2(file, dead / file.name)
            else:
                file.replace(dead / file.name)
        for old in sorted(dead.glob("*.json"))[:-MOST_DEAD]:
            old.unlink(missing_ok=True)
        _write(self.spool / "dead.count", _dead_count(self.spool) + 1)
        self.done = replace(self.done, dead=self.done.dead + 1)
        log.warning("a webhook message was given up: %s", why)
        self.notes[f"a message was given up: {why}"] = None


def _opened(letter: Any) -> tuple[Message, float, dict[str, list[float]]]:
    """The message of a spool file, when it was put there, and the tries so far.

    Raises:
        ValueError, TypeError, KeyError, AttributeError: the file is of another form.
    """
    message = Message(**letter["message"])
    texts = (message.event, message.id, message.at, message.corpus, message.shard, message.reason)
    if not all(isinstance(text, str) for text in texts):
        raise TypeError("texts are of another form")
    message.counts.items()
    message.body()
    tries = {str(key): [float(number) for number in tried] for key, tried in letter["hooks"].items()}
    if any(len(tried) not in (0, 2) for tried in tries.values()):
        raise ValueError("tries are of another form")
    return message, float(letter["put_at"]), tries


def _dead_count(spool: Path) -> int:
    try:
        return int((spool / "dead.count").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return 0


def _write(file: Path, values: Any) -> None:
    """Replace a file whole, readable for its owner alone."""
    fresh = file.with_name(f"{file.name}.{os.getpid()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with open(descriptor, "w", encoding="utf-8") as stream:
        json.dump(values, stream)
    fresh.replace(file)
