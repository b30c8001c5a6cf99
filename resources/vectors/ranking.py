"""Exact top lists: the same ids, scores and order however the points are spread over segments and shards.

A list is ranked by (score rounded to 1e-4 descending, chunk_id). An engine ranks by raw score and cuts ties at will, so
``exact_top`` reads past the cut until no point that ties with the last place can be missing. Nothing here knows Qdrant.
"""

import threading
from collections.abc import Callable, Container, Iterable
from typing import NamedTuple, TypeAlias, TypeVar

DIGITS = 4
_SLACK = 16
T = TypeVar("T")


class Candidate(NamedTuple):
    """A point of one segment with its rounded score."""

    chunk_id: str
    score: float


Fetch: TypeAlias = Callable[[int, float | None], list[Candidate]]
"""Asks the engine for so many points, best first, of which the raw score is at least the second argument."""


class Floor:
    """The score that a candidate must reach to have a place, as far as is known; shared by the searches of one query.

    Searching the largest segment first lets the others return next to nothing. Exact: the floor only ever drops what
    ``limit`` better candidates have been found for.
    """

    def __init__(self, limit: int) -> None:
        """``limit`` places."""
        self._limit = limit
        self._best: list[float] = []
        self._lock = threading.Lock()

    def raw(self) -> float | None:
        """The least raw score that may still round to a place, or None while places are free."""
        with self._lock:
            return self._best[0] - 10.0**-DIGITS if len(self._best) == self._limit else None

    def raise_by(self, found: Iterable[Candidate]) -> None:
        """Take the scores of live candidates into account."""
        with self._lock:
            self._best = sorted([*self._best, *(candidate.score for candidate in found)])[-self._limit :]


def exact_top(
    fetch: Fetch, limit: int, dead: Container[str], dead_count: int, size: int, floor: Floor
) -> list[Candidate]:
    """Every live point of a segment that belongs to the first ``limit`` places, ties at the last place included.

    Args:
        fetch: the engine; scores already rounded.
        limit: places wanted, at least 1.
        dead: ids that are superseded or deleted.
        dead_count: how many those are.
        size: points in the segment, dead ones included.
        floor: shared by the segments of the query; raised by what is found.

    Returns:
        Candidates, best first by raw score; what is below the floor may be missing.
    """
    ask = min(size, limit + _SLACK + (2 * limit * dead_count) // max(size, 1))
    while ask > 0:
        found = fetch(ask, floor.raw())
        live = [candidate for candidate in found if candidate.chunk_id not in dead] if dead_count else found
        is_exhausted = len(found) < ask or ask >= size
        if is_exhausted or (len(live) >= limit and found[-1].score < live[limit - 1].score):
            floor.raise_by(live)
            return live
        ask = min(size, ask * 4)
    return []


def ranked(candidates: Iterable[tuple[Candidate, T]], limit: int) -> list[tuple[Candidate, T]]:
    """The first ``limit`` places over all segments; an id that is held twice keeps its better score."""
    best: dict[str, tuple[Candidate, T]] = {}
    for pair in candidates:
        chunk_id, score = pair[0]
        known = best.get(chunk_id)
        if known is None or score > known[0].score:
            best[chunk_id] = pair
    if len(best) > limit:  # sorting by score alone costs a fifth; few are left to be sorted by both
        least = sorted((pair[0].score for pair in best.values()), reverse=True)[limit - 1]
        best = {chunk_id: pair for chunk_id, pair in best.items() if pair[0].score >= least}
    return sorted(best.values(), key=lambda pair: (-pair[0].score, pair[0].chunk_id))[:limit]
