"""What is told of lanes: values only; beside ``apps.reports``, which says how reports are made."""

from dataclasses import dataclass
from datetime import datetime

ANSWERS, LEFT_ALONE, PROBED, UNUSABLE = "answers", "left alone", "probed", "unusable"


@dataclass(frozen=True, slots=True)
class RouteReport:
    """Where a text goes.

    Attributes:
        lane: that serves it.
        wanted: that its kind belongs to.
        reasons: in words, the one that decided first.
        tokens: of it, estimated.
        engines: of the lane, in the order in which they are asked; empty where no generator is configured.
    """

    lane: str
    wanted: str
    reasons: tuple[str, ...]
    tokens: int
    engines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EngineLine:
    """One engine of a lane.

    Attributes:
        name: as configured.
        model: its name, without any key.
        tier: what it can be trusted with.
        context: tokens that it reads and writes together.
        state: ``answers``, ``left alone`` (its breaker is open), ``probed`` (half-open) or ``unusable``.
        seconds_left: until it is tried again.
        why: it is left alone, or unusable.
        in_flight: calls under way.
    """

    name: str
    model: str
    tier: str
    context: int
    state: str
    seconds_left: float
    why: str
    in_flight: int


@dataclass(frozen=True, slots=True)
class BudgetLine:
    """One cap of a lane's day.

    Attributes:
        unit: ``cost``, ``tokens`` or ``calls``.
        spent: since midnight (UTC), calls under way not included.
        cap: that may not be passed.
    """

    unit: str
    spent: float
    cap: float


@dataclass(frozen=True, slots=True)
class HourLine:
    """An hour in which something was asked.

    Attributes:
        lane: that asked; empty = all lanes together.
        started_at: of the hour (UTC).
        calls: that reached an engine.
        failed: of them, those that gave no answer.
        p50: seconds of a call that succeeded; None where none did.
        p95: the same.
    """

    lane: str
    started_at: datetime
    calls: int
    failed: int
    p50: float | None
    p95: float | None


@dataclass(frozen=True, slots=True)
class LaneLine:
    """One lane, and its last 24 hours.

    Attributes:
        name: of the lane.
        purpose: in words.
        served_by: the lane that serves it; another one where it has no engine; empty where none has.
        engines: in the order in which they are asked.
        calls: that reached an engine.
        failed: of them, those that gave no answer.
        cached: answers that were there.
        tokens: read and written.
        cost: by the configured prices.
        p50: seconds of a call that succeeded.
        p95: the same.
        spent_today: since midnight (UTC), which the budget of the day is of.
        day_budget: in words; empty = none.
        run_budget: in words; empty = none.
        budgets: of the day, cap by cap.
    """

    name: str
    purpose: str
    served_by: str
    engines: tuple[EngineLine, ...]
    calls: int
    failed: int
    cached: int
    tokens: int
    cost: float
    p50: float | None
    p95: float | None
    spent_today: float
    day_budget: str
    run_budget: str
    budgets: tuple[BudgetLine, ...] = ()


@dataclass(frozen=True, slots=True)
class LanesReport:
    """All lanes that generate.

    Attributes:
        file: where they are declared.
        is_declared: whether that file is there.
        lanes: of them.
        read_at: when this was read, the end of the 24 hours.
        hours: of the 24, those in which something was asked: all lanes together, and each.
    """

    file: str
    is_declared: bool
    lanes: tuple[LaneLine, ...]
    read_at: datetime
    hours: tuple[HourLine, ...] = ()

    @property
    def has_generator(self) -> bool:
        """Whether any lane has an engine."""
        return any(lane.engines for lane in self.lanes)
