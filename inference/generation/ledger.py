"""Every call of a model, and what calls of all processes of a machine have to share: breakers, rates, budgets.

A call is written down before it is made (``admit``) and again when it ended (``finish``), so that one whose process was
killed is known, too: it is ``lost``, and what it may have cost is counted as spent. No prompt and no answer is kept here.
What is in ``ops/model_calls`` is drained from here; the rows stay for as long as budgets of the day need them.
"""

import itertools
import os
import sqlite3
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, Final

import psutil

from inference.errors import BudgetExhausted
from inference.generation.breaker import Breaker
from inference.generation.budget import Caps, Spent, day_of, exceeded
from inference.generation.calls import NOT_REACHED, Admitted, Ask, Closed, Ended, Later, Past
from inference.generation.rate import take
from inference.generation.shared_file import BUSY_SECONDS, SharedFile
from inference.generation.tallies import Tally, tallies

_VERSION: Final = 1
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS calls (
    id INTEGER PRIMARY KEY AUTOINCREMENT, call_id TEXT NOT NULL UNIQUE, request_id TEXT NOT NULL, lane TEXT NOT NULL,
    engine TEXT NOT NULL, model TEXT NOT NULL, digest TEXT NOT NULL, caller TEXT NOT NULL, run_id TEXT NOT NULL,
    shard TEXT NOT NULL, trace_id TEXT NOT NULL, attempt INTEGER NOT NULL, is_streamed INTEGER NOT NULL,
    started_at REAL NOT NULL, gives_up_at REAL NOT NULL, owner TEXT NOT NULL, held_cost REAL NOT NULL,
    held_tokens INTEGER NOT NULL, outcome TEXT NOT NULL DEFAULT 'open', seconds REAL NOT NULL DEFAULT 0,
    first_token REAL, prompt_tokens INTEGER NOT NULL DEFAULT 0, completion_tokens INTEGER NOT NULL DEFAULT 0,
    cached_tokens INTEGER NOT NULL DEFAULT 0, is_estimated INTEGER NOT NULL DEFAULT 0, cost REAL NOT NULL DEFAULT 0,
    is_drained INTEGER NOT NULL DEFAULT 0);
CREATE INDEX IF NOT EXISTS under_way ON calls (engine, lane) WHERE outcome = 'open';
CREATE INDEX IF NOT EXISTS to_drain ON calls (id) WHERE is_drained = 0;
CREATE TABLE IF NOT EXISTS breakers (
    engine TEXT PRIMARY KEY, state TEXT NOT NULL, failures INTEGER NOT NULL, until REAL NOT NULL, cool_down REAL NOT NULL,
    why TEXT NOT NULL, since REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS rates (name TEXT PRIMARY KEY, full_at REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS spent (
    scope TEXT PRIMARY KEY, cost REAL NOT NULL, tokens INTEGER NOT NULL, calls INTEGER NOT NULL, at REAL NOT NULL)
    WITHOUT ROWID;
"""
_NOT_KEPT: Final = ("effect", "why", "pause")
_MOST_WHY: Final = 300
_GRACE: Final = 30.0
"""Seconds after which a call that should have given up is lost, whatever became of its process."""
_ASK_AGAIN: Final = 0.02
_KEPT_DAYS: Final = 3.0
_KEPT_SCOPE_DAYS: Final = 90.0
_numbers = itertools.count()


class Ledger:
    """The calls of this machine. Thread-safe; processes share the file.

    Args:
        path: of the SQLite file.
        clock: unix seconds.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._file = SharedFile(path, _SCHEMA, _VERSION)
        self._clock = clock

    @property
    def path(self) -> Path:
        """The file."""
        return self._file.path

    def admit(self, ask: Ask, wait: float = BUSY_SECONDS) -> Admitted | Later | Closed:
        """Write a call down if it may be made now.

        Args:
            ask: what is wanted.
            wait: seconds to wait for others that write, 15 at most.

        Raises:
            BudgetExhausted: it would spend more than a cap allows.
            LedgerUnavailable: it cannot be written down.
        """
        now = self._clock()
        with self._file.transaction(wait) as connection:
            refused = _refused(connection, ask, now)
            if refused is not None and _sweep(connection, ask.engine, now):
                refused = _refused(connection, ask, now)
            if refused is not None:
                return refused
            breaker = _breaker(connection, ask.engine)
            begun = breaker.begun(now)
            if begun != breaker:
                _set_breaker(connection, ask.engine, begun)
            for name, rate in ask.rates.items():
                full_at, _ = take(_full_at(connection, name), now, rate)
                connection.execute("INSERT OR REPLACE INTO rates VALUES (?, ?)", (name, full_at))
            return Admitted(_insert(connection, ask, now))

    def finish(self, admitted: Admitted, ended: Ended) -> None:
        """Write down how a call went.

        Raises:
            LedgerUnavailable: it cannot be written down.
        """
        now = self._clock()
        with self._file.transaction() as connection:
            row = connection.execute("SELECT * FROM calls WHERE id = ?", (admitted.id,)).fetchone()
            if row is None:
                return
            _end(connection, row, ended, now)
            breaker = _breaker(connection, row["engine"])
            after = breaker.after(ended.effect, now, ended.why[:_MOST_WHY], ended.pause)
            if after != breaker:
                _set_breaker(connection, row["engine"], after)

    def note_cached(self, ask: Ask, ended: Ended) -> None:
        """Write down that an answer was there: no engine was asked, nothing was spent."""
        now = self._clock()
        with self._file.transaction() as connection:
            number = _insert(connection, ask, now)
            row = connection.execute("SELECT * FROM calls WHERE id = ?", (number,)).fetchone()
            _end(connection, row, ended, now)

    def now(self) -> float:
        """Unix seconds, by the ledger's clock."""
        return self._clock()

    def breakers(self) -> dict[str, Breaker]:
        """Engine to its breaker, of those that ever failed or answered."""
        return {row["engine"]: _to_breaker(row) for row in self._file.read("SELECT * FROM breakers")}

    def in_flight(self) -> dict[str, int]:
        """Engine to how many calls are under way."""
        rows = self._file.read("SELECT engine, count(*) FROM calls WHERE outcome = 'open' GROUP BY engine")
        return {row[0]: row[1] for row in rows}

    def reset(self, engine: str) -> None:
        """Close a breaker: a person knows better."""
        with self._file.transaction() as connection:
            connection.execute("DELETE FROM breakers WHERE engine = ?", (engine,))

    def spent(self, lane: str, run_id: str = "") -> Spent:
        """What a lane spent today, or with ``run_id`` for that run; calls under way not included."""
        scope = f"{lane} run {run_id}" if run_id else f"{lane} day {day_of(self._clock())}"
        rows = self._file.read("SELECT * FROM spent WHERE scope = ?", (scope,))
        return Spent(rows[0]["cost"], rows[0]["tokens"], rows[0]["calls"]) if rows else Spent()

    def since(self, moment: float) -> list[Past]:
        """Calls that began since unix seconds and ended, drained or not, the oldest first."""
        names = [field.name for field in fields(Ended) if field.name not in _NOT_KEPT]
        told = f"SELECT lane, engine, started_at, {', '.join(names)} FROM calls"  # noqa: S608 - own names
        rows = self._file.read(f"{told} WHERE started_at >= ? AND outcome != 'open' ORDER BY id", (moment,))
        return [
            Past(row["lane"], row["engine"], row["started_at"], Ended(**{name: row[name] for name in names}))
            for row in rows
        ]

    def tallies(self, bounds: Sequence[float]) -> list[Tally]:
        """What ended today (UTC), counted; ``bounds`` are the seconds by which calls are told apart."""
        return tallies(self._file, self._clock(), bounds)

    def undrained(self, most: int) -> list[dict[str, Any]]:
        """Ended calls that were not drained yet, the oldest first; those whose process was killed are ``lost`` by now."""
        now = self._clock()
        with self._file.transaction() as connection:
            _sweep(connection, None, now)
        query = "SELECT * FROM calls WHERE is_drained = 0 AND outcome != 'open' ORDER BY id LIMIT ?"
        return [dict(row) for row in self._file.read(query, (most,))]

    def drained(self, ids: Sequence[int]) -> None:
        """These are kept elsewhere now; old ones of them go."""
        now = self._clock()
        with self._file.transaction() as connection:
            connection.executemany("UPDATE calls SET is_drained = 1 WHERE id = ?", [(one,) for one in ids])
            old = now - _KEPT_DAYS * 86_400
            connection.execute("DELETE FROM calls WHERE is_drained = 1 AND started_at < ?", (old,))
            connection.execute("DELETE FROM spent WHERE at < ?", (now - _KEPT_SCOPE_DAYS * 86_400,))

    def close(self) -> None:
        """Close the file; it is opened again when used."""
        self._file.close()


def _refused(connection: sqlite3.Connection, ask: Ask, now: float) -> Later | Closed | None:
    """Why a call may not be made now; None where it may."""
    (in_flight,) = connection.execute(
        "SELECT count(*) FROM calls WHERE outcome = 'open' AND engine = ?", (ask.engine,)
    ).fetchone()
    kept = _breaker(connection, ask.engine)
    breaker = kept.by_clock(now)
    if breaker != kept:
        _set_breaker(connection, ask.engine, breaker)
    if not breaker.admits(in_flight, now):
        left = max(breaker.seconds_left(now), 0.0)
        if breaker.state == "closed":
            return Later(
                "suspect", _ASK_AGAIN, f"{ask.engine} failed just now and is tried by few calls: {breaker.why}"
            )
        return Closed(left, breaker.why)
    if in_flight >= ask.concurrency:
        return Later("busy", _ASK_AGAIN, f"{ask.engine} has {in_flight} calls under way")
    for name, rate in ask.rates.items():
        before = _full_at(connection, name)
        full_at, wait = take(before, now, rate)
        if wait and full_at != before:
            connection.execute("INSERT OR REPLACE INTO rates VALUES (?, ?)", (name, full_at))
        if wait:
            return Later("rate", wait, f"{name} may be asked {rate.per_minute:g} times a minute")
    return _over_budget(connection, ask, now)


def _over_budget(connection: sqlite3.Connection, ask: Ask, now: float) -> Later | None:
    """Raises where a cap is reached; where calls under way hold what is left, their ends are waited for."""
    for (scope, label), caps in _scopes(ask, now).items():
        if not caps.is_set:
            continue
        row = connection.execute("SELECT cost, tokens, calls FROM spent WHERE scope = ?", (scope,)).fetchone()
        spent = (Spent(*row) if row else Spent()) + ask.held
        over = exceeded(caps, spent)
        if over:
            raise BudgetExhausted(
                f"lane {ask.lane}: the next call could bring {label} to {over}; "
                "what was answered is kept: raise the budget and run again"
            )
        query = "SELECT coalesce(sum(held_cost), 0), coalesce(sum(held_tokens), 0), count(*) FROM calls WHERE outcome = 'open' AND lane = ?"
        values: tuple[object, ...] = (ask.lane,)
        if label.startswith("run"):
            query, values = query + " AND run_id = ?", (*values, ask.origin.run_id)
        if exceeded(caps, spent + Spent(*connection.execute(query, values).fetchone())):
            return Later("budget", _ASK_AGAIN, f"calls under way hold what is left of the budget of {label}")
    return None


def _scopes(ask: Ask, now: float) -> dict[tuple[str, str], Caps]:
    """(Key in ``spent``, in words) to caps."""
    found = {}
    if "run" in ask.caps and ask.origin.run_id:
        found[f"{ask.lane} run {ask.origin.run_id}", f"run {ask.origin.run_id}"] = ask.caps["run"]
    if "day" in ask.caps:
        found[f"{ask.lane} day {day_of(now)}", f"day {day_of(now)}"] = ask.caps["day"]
    return found


def _insert(connection: sqlite3.Connection, ask: Ask, now: float) -> int:
    owner = owner_name()
    values = {
        "call_id": f"{int(now * 1e6):x}-{owner}-{next(_numbers):x}",
        "request_id": ask.request_id,
        "lane": ask.lane,
        "engine": ask.engine,
        "model": ask.model,
        "digest": ask.digest,
        **asdict(ask.origin),
        "attempt": ask.attempt,
        "is_streamed": int(ask.is_streamed),
        "started_at": now,
        "gives_up_at": now + ask.patience,
        "owner": owner,
        "held_cost": ask.held.cost,
        "held_tokens": ask.held.tokens,
    }
    cursor = connection.execute(
        f"INSERT INTO calls ({', '.join(values)}) VALUES ({', '.join('?' * len(values))})",  # noqa: S608 - own names
        tuple(values.values()),
    )
    return int(cursor.lastrowid or 0)


def _end(connection: sqlite3.Connection, row: sqlite3.Row, ended: Ended, now: float) -> None:
    """Write an end into a call's row, and what it spent into the sums of its run and day; a second end changes nothing."""
    if row["outcome"] != "open":
        return
    values = {field.name: getattr(ended, field.name) for field in fields(ended)}
    for name in _NOT_KEPT:
        del values[name]
    connection.execute(
        f"UPDATE calls SET {', '.join(f'{name} = ?' for name in values)} WHERE id = ?",  # noqa: S608 - own names
        (*values.values(), row["id"]),
    )
    if ended.outcome in NOT_REACHED:
        return
    tokens = ended.prompt_tokens + ended.completion_tokens
    for scope in (f"{row['lane']} run {row['run_id']}" if row["run_id"] else "", f"{row['lane']} day {day_of(now)}"):
        if scope:
            connection.execute(
                """INSERT INTO spent VALUES (?, ?, ?, 1, ?) ON CONFLICT (scope) DO UPDATE SET cost = cost + excluded.cost,
                   tokens = tokens + excluded.tokens, calls = calls + 1, at = excluded.at""",
                (scope, ended.cost, tokens, now),
            )


def _sweep(connection: sqlite3.Connection, engine: str | None, now: float) -> int:
    """End the calls whose process is gone; how many."""
    query = "SELECT * FROM calls WHERE outcome = 'open' AND (? IS NULL OR engine = ?)"
    gone = [
        row
        for row in connection.execute(query, (engine, engine)).fetchall()
        if now > row["gives_up_at"] + _GRACE or not _is_alive(row["owner"])
    ]
    for row in gone:
        ended = Ended("lost", seconds=max(now - row["started_at"], 0.0), is_estimated=True, cost=row["held_cost"],
                      prompt_tokens=row["held_tokens"])  # fmt: skip
        _end(connection, row, ended, now)
    return len(gone)


def owner_name() -> str:
    """This process, in a way that no later one is called."""
    pid = os.getpid()
    if pid not in _OWN:
        _OWN.clear()
        _OWN[pid] = f"{pid}-{_begun(pid)}"
    return _OWN[pid]


_OWN: dict[int, str] = {}


def _is_alive(owner: str) -> bool:
    pid, _, created = owner.partition("-")
    try:
        return abs(_begun(int(pid)) - int(created)) <= 1
    except (psutil.Error, ValueError):
        return False


def _begun(pid: int) -> int:
    """When a process began: in ticks since the machine did, where that can be had, for the clock may be set meanwhile."""
    stat = Path(f"/proc/{pid}/stat")
    try:
        return int(stat.read_text("ascii", "replace").rpartition(")")[2].split()[19])
    except (OSError, IndexError):
        return int(psutil.Process(pid).create_time() * 100)


def _breaker(connection: sqlite3.Connection, engine: str) -> Breaker:
    row = connection.execute("SELECT * FROM breakers WHERE engine = ?", (engine,)).fetchone()
    return Breaker() if row is None else _to_breaker(row)


def _to_breaker(row: sqlite3.Row) -> Breaker:
    return Breaker(*(row[field.name] for field in fields(Breaker)))


def _set_breaker(connection: sqlite3.Connection, engine: str, breaker: Breaker) -> None:
    values = (engine, *(getattr(breaker, field.name) for field in fields(Breaker)))
    connection.execute("INSERT OR REPLACE INTO breakers VALUES (?, ?, ?, ?, ?, ?, ?)", values)


def _full_at(connection: sqlite3.Connection, name: str) -> float:
    row = connection.execute("SELECT full_at FROM rates WHERE name = ?", (name,)).fetchone()
    return float(row[0]) if row else 0.0
