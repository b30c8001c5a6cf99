"""When an engine is left alone: a circuit breaker as a value and pure functions; the state is kept in the ``ledger``.

``closed``: calls go through. After three failures in a row, or one that asking again cannot mend (no quota, a wrong key), it is
``open``: none goes through until the cool-down is over. Then one call probes it (``half_open``): its success closes the
breaker, its failure opens it for twice as long. While failures are counted, no more calls are let through at a time than may
still fail, so that an outage is met by few calls however many wait (M. Nygard, Release It!, 2nd ed., 5.2).
"""

from dataclasses import dataclass, replace
from typing import Final, Literal

from inference.errors import (
    AnswerWithheld,
    EngineCrashed,
    EngineRefused,
    EngineReplyInvalid,
    EngineTimeout,
    EngineUnavailable,
    InferenceError,
    QuotaExceeded,
    RateLimited,
)

State = Literal["closed", "open", "half_open"]
Effect = Literal["success", "failure", "fatal", "none"]
THRESHOLD: Final = 3
COOL_DOWN: Final = 30.0
FATAL_COOL_DOWN: Final = 60.0
LONGEST: Final = 600.0


@dataclass(frozen=True, slots=True)
class Breaker:
    """State of one engine.

    Attributes:
        state: see the module.
        failures: in a row.
        until: unix seconds; while ``open``, when the next call may probe.
        cool_down: seconds that it was opened for.
        why: the last failure, for people.
        since: unix seconds of the last change of state.
    """

    state: State = "closed"
    failures: int = 0
    until: float = 0.0
    cool_down: float = 0.0
    why: str = ""
    since: float = 0.0

    def admits(self, in_flight: int, now: float) -> bool:
        """Whether a call may go through now, beside ``in_flight`` others of the engine."""
        if self.state == "closed":
            return not self.failures or in_flight < max(THRESHOLD - self.failures, 1)
        return self.seconds_left(now) <= 0.0 and in_flight == 0

    def is_probing(self, now: float) -> bool:
        """Whether the next call would be a probe."""
        return self.state != "closed" and self.seconds_left(now) <= 0.0

    def seconds_left(self, now: float) -> float:
        """Until the next probe."""
        return 0.0 if self.state == "closed" else min(self.until - now, self.cool_down)

    def by_clock(self, now: float) -> "Breaker":
        """The same where the clock was set back, which must not lengthen the cool-down; to be kept, or that never ends."""
        is_back = self.state != "closed" and self.until > now + self.cool_down
        return replace(self, until=now + self.cool_down) if is_back else self

    def begun(self, now: float) -> "Breaker":
        """After a call was let through."""
        return replace(self, state="half_open", since=now) if self.state == "open" else self

    def after(self, effect: Effect, now: float, why: str = "", pause: float | None = None) -> "Breaker":
        """After a call ended.

        Args:
            effect: of its outcome.
            now: unix seconds.
            why: it failed.
            pause: seconds that the server asked to be left alone for.
        """
        if effect == "none":
            return self
        if effect == "success":
            return self if self == Breaker(since=self.since) else Breaker(since=now)
        failures = self.failures + 1
        if effect == "fatal" or self.state == "half_open" or failures >= THRESHOLD:
            if self.state == "open":  # others that were under way failed, too: that is no longer an outage
                return replace(self, failures=failures, why=why)
            first = (pause or FATAL_COOL_DOWN) if effect == "fatal" else COOL_DOWN
            seconds = min(max(2 * self.cool_down if self.state == "half_open" else first, pause or 0.0), LONGEST)
            return Breaker("open", failures, now + seconds, seconds, why, now)
        return replace(self, failures=failures, why=why)


def effect_of(error: InferenceError | None, *, is_patient: bool = True) -> Effect:
    """What a call's end says of the engine.

    Args:
        error: None where it answered, whatever it said.
        is_patient: it was waited for as long as the engine is given; a caller in a hurry says nothing of the engine.
    """
    if error is None or isinstance(error, AnswerWithheld):
        return "success"
    if isinstance(error, QuotaExceeded) or (isinstance(error, RateLimited) and error.retry_after is not None):
        return "fatal"
    if isinstance(error, EngineTimeout):
        return "failure" if is_patient else "none"
    if isinstance(error, EngineRefused):
        return "failure" if error.is_transient and error.retry_after != 0.0 else "success"
    if isinstance(error, (EngineUnavailable, EngineCrashed, EngineReplyInvalid)):
        return "failure"
    return "none"
