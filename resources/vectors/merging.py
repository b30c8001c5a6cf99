"""Which segments a publish merges: few enough to search, few enough rewritten. Pure.

The policy is size-tiered, with room for large segments (``SMALL_POINTS`` and more) and for half as many small ones, so
that a small edit never sets off the rewriting of a large segment that happened to be last. Nothing is merged while its
tier has room for one more; when not, the tier's smallest go together with what comes in, and on with every next one
that is no larger than what is already gathered. Room grows with the shard: asking a segment of ``AVERAGE_POINTS`` costs a
third more than asking its points in a larger one, and merging costs memory and time by the point. A full segment is
never merged by a publish. What that costs for imports and edits is bounded in a test.
"""

from collections.abc import Sequence

from resources.vectors.generation import SegmentEntry
from resources.vectors.quantizing import NONE

WORN_SHARE = 0.25
LITTLE_WORN_SHARE = 0.05
SMALL_POINTS = 2_000
AVERAGE_POINTS = 12_000


def segments_to_merge(
    segments: Sequence[SegmentEntry], incoming: int, max_segments: int, full_points: int
) -> list[SegmentEntry]:
    """The segments whose live points are written anew, together with ``incoming`` points, into one segment.

    A segment with a quarter of its points dead is always among them; one without live points never is: it is dropped.

    Args:
        segments: what there is.
        incoming: points that come in.
        max_segments: room for large segments that are not full; more where they are of ``AVERAGE_POINTS`` or more.
        full_points: from so many live points on a segment is full.
    """
    alive = sorted((entry for entry in segments if entry.live), key=lambda entry: (entry.live, entry.folder))
    chosen = [entry for entry in alive if entry.dead > WORN_SHARE * entry.points]
    gathered = incoming + sum(entry.live for entry in chosen)
    if gathered == 0:
        return chosen
    rest = [entry for entry in alive if entry not in chosen]
    small = [entry for entry in rest if entry.live < SMALL_POINTS]
    large = [entry for entry in rest if SMALL_POINTS <= entry.live < full_points]
    if gathered < SMALL_POINTS:
        gathered += _take(small, gathered, max(1, max_segments // 2), full_points, chosen)
    if SMALL_POINTS <= gathered < full_points:
        room = max(max_segments, (gathered + sum(entry.live for entry in large)) // AVERAGE_POINTS)
        _take(large, gathered, room, full_points, chosen)
    return chosen


def next_to_compact(
    segments: Sequence[SegmentEntry], full_points: int, flat_points: int = SMALL_POINTS, quantized: str = NONE
) -> list[SegmentEntry]:
    """The segments to write anew into one, for maintenance; none when there is nothing to gain any more.

    The smallest go together until they are full; a full one that has its graph and few dead points is left alone.

    Args:
        segments: what there is.
        full_points: from so many live points on a segment is full.
        flat_points: segments of fewer points are never quantized.
        quantized: how vectors are to be; a segment that is otherwise is written anew.
    """
    alive = sorted((entry for entry in segments if entry.live), key=lambda entry: (entry.live, entry.folder))

    def is_other(entry: SegmentEntry) -> bool:
        return entry.quantized != quantized and entry.points >= max(flat_points, 1)

    open_ones = [
        entry
        for entry in alive
        if not (entry.has_graph and entry.dead <= LITTLE_WORN_SHARE * entry.points) or is_other(entry)
    ]
    chosen: list[SegmentEntry] = []
    for entry in open_ones:
        if sum(one.live for one in chosen) >= full_points:
            break
        chosen.append(entry)
    is_worth_it = len(chosen) > 1 or any(entry.dead or entry.live >= full_points or is_other(entry) for entry in chosen)
    return chosen if is_worth_it else []


def _take(tier: list[SegmentEntry], gathered: int, room: int, full_points: int, chosen: list[SegmentEntry]) -> int:
    """Where a tier has no room for one more, move its smallest to ``chosen``; returns their live points."""
    taken = 0
    if len(tier) < room:
        return taken
    while tier and (len(tier) >= room or tier[0].live <= gathered + taken):
        if taken and gathered + taken + tier[0].live > full_points:
            break
        entry = tier.pop(0)
        taken += entry.live
        chosen.append(entry)
    return taken
