"""The first of a ranking, judged once more by a model that reads question and passage together, where there is one.

One that fails changes nothing: the order stays, and the result says so. Engines are ``inference``'s.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from cortex_assets.retrieval.calibrate import DIGITS
from cortex_assets.retrieval.fuse import Fused
from inference.errors import InferenceError
from inference.protocols import Reranker

JUDGED = 20
"""How many are judged: what a cross-encoder reads in a second or two on two cores."""
_LONGEST = 2_000


def reranked(
    question: str, ranked: Sequence[Fused], text_of: Callable[[str], str], reranker: Reranker
) -> tuple[list[Fused], dict[str, float], str]:
    """The candidates with the first ``JUDGED`` in the order that a reranker's judgement gives.

    A judgement is scaled between the worst and the best of those judged and makes the reranker's share of the score; what was
    not judged stays behind.

    Args:
        question: as asked.
        ranked: best first.
        text_of: text of a candidate, with its headings.
        reranker: judges.

    Returns:
        The candidates; chunk id to scaled judgement (0..1) of those judged; why there is none, else an empty text.
    """
    first, rest = list(ranked[:JUDGED]), ranked[JUDGED:]
    if not first:
        return list(ranked), {}, ""
    try:
        scores = reranker.score_batch(question, [text_of(one.chunk_id)[:_LONGEST] for one in first])
    except InferenceError as error:
        return list(ranked), {}, f"the reranker {reranker.name} is not available, the order is without it: {error}"
    low, span = min(scores), max(scores) - min(scores)
    judged = {
        one.chunk_id: round((score - low) / span, DIGITS) if span > 1e-9 else 1.0
        for one, score in zip(first, scores, strict=True)
    }
    share, best = reranker.share, max(one.score for one in first)
    mixed = [
        replace(one, score=round((1 - share) * one.score + share * best * judged[one.chunk_id], DIGITS))
        for one in first
    ]
    mixed.sort(key=lambda one: (-one.score, one.chunk_id))
    last = mixed[-1].score
    return [*mixed, *(replace(one, score=min(one.score, last)) for one in rest)], judged, ""
