"""Dense and sparse candidates to one ranking, by scores.

Ranks alone (reciprocal rank fusion) lost to their better half on code search: they cannot tell a clear winner from noise. So
scores are scaled, dense by ``calibrate``, sparse by the best, and mixed; how much dense counts depends on the question's form
(``routes``) and on how much of what is near is code.

Measured on half A of each set (``tests/bench/retrieval_bench.py``): for prose every dense weight from .5 to .6 is within .005
hit@1, for code every one from .7 to .85 within .005 MRR. Knowing the exact sparse score of what only dense search found is worth
.01 MRR on code. Stores, text and snippets do not belong here.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from cortex_assets.retrieval.calibrate import DIGITS

SparseScores = Callable[[Sequence[str]], Mapping[str, float]]
"""Exact sparse scores of given chunk ids; one that is left out scores 0."""


@dataclass(frozen=True, slots=True)
class Fused:
    """One candidate: its score (0..1, rounded), its raw sparse score (None: not needed), and what either half gave of the score."""

    chunk_id: str
    score: float
    sparse: float | None
    by_meaning: float = 0.0
    by_words: float = 0.0


def fuse(
    dense: Mapping[str, float],
    sparse: Mapping[str, float],
    *,
    dense_weight: float,
    limit: int,
    sparse_floor: float = 0.0,
    score_sparse: SparseScores | None = None,
    unembedded: Collection[str] = (),
) -> list[Fused]:
    """Rank the union of candidates by ``dense_weight * dense + (1 - dense_weight) * sparse / best sparse``.

    Args:
        dense: chunk id to scaled dense score (``calibrate.scaled_dense``); what only sparse search found counts 0.
        sparse: chunk id to raw sparse score, not below 0.
        dense_weight: share of dense, 0..1; with no candidates of one kind the other's share is 1.
        limit: down to this rank the order is exact; below, sparse scores of what only dense search found may count as
            0.
        sparse_floor: what no chunk outside ``sparse`` can exceed: the lowest sparse score when the search was cut
            off, else 0.
        score_sparse: exact sparse scores of given chunk ids; asked once, for those that can
            still reach the first ``limit``.
        unembedded: candidates that have no vector yet: their words count for the whole score, else a passage that just
            came would stand below any that means something similar.

    Returns:
        All candidates, best first, ties by chunk id.
    """
    best = max(sparse.values(), default=0.0)  # 0 where all that was asked is in every chunk of a large lake
    weight = dense_weight if dense and best > 0 else float(bool(dense))
    share = (1 - weight) / best if best > 0 else 0.0
    whole = 1 / best if best > 0 else 0.0
    meant = {key: weight * dense.get(key, 0.0) for key in {**dense, **sparse}}
    worded = {key: score * (whole if key in unembedded else share) for key, score in sparse.items()}
    unknown = [key for key in dense if key not in sparse]
    known: dict[str, float] = dict(sparse)
    if score_sparse is not None and sparse and sparse_floor > 0:
        totals = sorted((meant[key] + worded.get(key, 0.0) for key in meant), reverse=True)
        least = totals[limit - 1] if len(totals) > limit else 0.0
        hopeful = [key for key in unknown if meant[key] + share * sparse_floor >= least]
        scores = score_sparse(hopeful)
        known.update((key, min(scores.get(key, 0.0), sparse_floor)) for key in hopeful)
        worded.update((key, share * known[key]) for key in hopeful)
    fused = [
        Fused(key, round(meaning + worded.get(key, 0.0), DIGITS), known.get(key), meaning, worded.get(key, 0.0))
        for key, meaning in meant.items()
    ]
    fused.sort(key=lambda one: (-one.score, one.chunk_id))
    return fused
