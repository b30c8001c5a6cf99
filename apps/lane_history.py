"""What the calls of a ledger come to: sums, percentiles, hours. Pure functions over calls; where they are read is ``generating``'s."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from apps.lane_reports import HourLine
from inference.generation.calls import NOT_REACHED, Past

HOUR = 3_600.0


@dataclass(frozen=True, slots=True)
class Figures:
    """Some calls together; the attributes are those of ``LaneLine``."""

    calls: int
    failed: int
    cached: int
    tokens: int
    cost: float
    p50: float | None
    p95: float | None


def summed(past: Sequence[Past]) -> Figures:
    """What some calls come to; those that no engine saw count as nothing, or as cached."""
    reached = [one.ended for one in past if one.ended.outcome not in NOT_REACHED]
    good = sorted(ended.seconds for ended in reached if ended.outcome == "ok")
    return Figures(
        calls=len(reached),
        failed=len(reached) - len(good),
        cached=sum(one.ended.outcome == "cached" for one in past),
        tokens=sum(ended.prompt_tokens + ended.completion_tokens for ended in reached),
        cost=sum(ended.cost for ended in reached),
        p50=percentile(good, 0.5),
        p95=percentile(good, 0.95),
    )


def by_hour(past: Iterable[Past]) -> tuple[HourLine, ...]:
    """The hours in which calls began that reached an engine, by lane and hour; the lane '' is all together."""
    found: dict[tuple[str, float], list[Past]] = {}
    for one in past:
        if one.ended.outcome not in NOT_REACHED:
            hour = one.started_at // HOUR * HOUR
            for lane in ("", one.lane):
                found.setdefault((lane, hour), []).append(one)
    return tuple(_hour(lane, hour, summed(calls)) for (lane, hour), calls in sorted(found.items()))


def _hour(lane: str, hour: float, figures: Figures) -> HourLine:
    moment = datetime.fromtimestamp(hour, UTC)
    return HourLine(lane, moment, figures.calls, figures.failed, figures.p50, figures.p95)


def percentile(values: Sequence[float], share: float) -> float | None:
    """Nearest rank of sorted values; None of nothing."""
    return values[max(math.ceil(share * len(values)) - 1, 0)] if values else None
