"""How often may be asked: a token bucket as a pure function over one number.

It is the generic cell rate algorithm (ITU-T I.371, annex A). The number is kept in the ``ledger``, so that all processes of a
machine share it.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rate:
    """Calls that may be made.

    Attributes:
        per_minute: on average.
        burst: at once after a rest.
    """

    per_minute: float
    burst: int = 1


def take(full_at: float, now: float, rate: Rate) -> tuple[float, float]:
    """Take one token.

    Args:
        full_at: unix seconds when the bucket would be full again; 0 for a full one.
        now: unix seconds.
        rate: of the bucket.

    Returns:
        (the new ``full_at``, seconds to wait first); where there is something to wait, nothing was taken. To be kept in
        both cases, for it is corrected where the clock was set back.
    """
    interval = 60.0 / rate.per_minute
    room = interval * (rate.burst - 1)
    due = max(full_at, now)
    if due - now > interval * rate.burst:  # the clock was set back
        full_at = due = now + interval * rate.burst
    wait = due - now - room
    return (full_at, wait) if wait > 1e-9 else (due + interval, 0.0)
