"""The calls that ended today, counted where they lie: for whoever asks often and wants no rows.

A day begins at midnight UTC. Until the next one no number falls, for the ledger keeps its calls for longer than a day; at
midnight all begin at nothing, as counters of a process do that was started anew.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from inference.generation.shared_file import SharedFile

DAY: Final = 86_400.0


@dataclass(frozen=True, slots=True)
class Tally:
    """Calls of one lane to one engine that ended in the same way.

    Attributes:
        lane: that asked.
        engine: that was asked.
        outcome: of the calls.
        calls: how many.
        prompt_tokens: read.
        completion_tokens: written.
        seconds: that all took together.
        within: for each bound, how many took no longer.
    """

    lane: str
    engine: str
    outcome: str
    calls: int
    prompt_tokens: int
    completion_tokens: int
    seconds: float
    within: tuple[int, ...]


def tallies(file: SharedFile, now: float, bounds: Sequence[float]) -> list[Tally]:
    """What ended since the last midnight, by lane, engine and outcome.

    Args:
        file: of the ledger.
        now: unix seconds.
        bounds: seconds by which calls are told apart.
    """
    midnight = now // DAY * DAY
    within = "".join(", sum(seconds <= ?)" for _ in bounds)
    query = f"""
        SELECT lane, engine, outcome, count(*), sum(prompt_tokens), sum(completion_tokens), sum(seconds){within} FROM calls
        WHERE outcome != 'open' AND started_at + seconds >= ? GROUP BY lane, engine, outcome ORDER BY lane, engine, outcome
    """  # noqa: S608 - own text
    found = []
    for lane, engine, outcome, calls, prompt, completion, seconds, *counts in file.read(query, (*bounds, midnight)):
        found.append(Tally(lane, engine, outcome, calls, prompt, completion, seconds, tuple(counts)))
    return found
