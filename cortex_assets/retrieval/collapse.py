"""Passages that say the same: equal ones under one hit, almost equal ones too, and a choice that repeats itself less.

Two texts are near-duplicates when they share almost all of their words (Jaccard, Broder 1997): a copied licence, a note under two
names, a chapter in two versions. None is lost: what collapses is named under its hit. What is relevant is ``fuse``'s to say.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

import numpy as np

from cortex_assets.retrieval.calibrate import DIGITS
from cortex_assets.retrieval.fuse import Fused
from cortex_assets.retrieval.word_batches import stored_batch

NEAR = 0.9
"""Share of the words of both texts, each counted once, from which on they say the same."""
LEAST_WORDS = 8
"""Shorter texts are the same only when they are equal."""
MOST_COMPARED = 50
"""Only so many of the best are compared, and thrice what is shown where that is less: comparing is by pairs."""
RELEVANCE = 0.7
"""What a passage's score counts against its likeness to those chosen before it (Carbonell & Goldstein 1998, MMR)."""
_MOST_CHOSEN_FROM = 200


def grouped(ranked: Sequence[Fused], text_of: Callable[[str], str], limit: int) -> list[list[Fused]]:
    """The first ``limit`` different texts, best first; each with what says the same, in the order of ranks."""
    equal: dict[str, list[Fused]] = {}
    for one in ranked:
        equal.setdefault(text_of(one.chunk_id), []).append(one)
    texts = list(equal)
    same = _near_ones(texts[: min(MOST_COMPARED, 3 * limit)])
    groups: dict[int, list[Fused]] = {}
    for number, members in enumerate(equal.values()):
        first = same.get(number, number)
        if first in groups:
            groups[first] += members
        elif len(groups) < limit:
            groups[first] = list(members)
    return list(groups.values())


def _near_ones(texts: Sequence[str]) -> dict[int, int]:
    """Number of a text to the number of the first one before it that says almost the same."""
    ends, ids = stored_batch(texts)
    terms = [frozenset(ids[start:end].tolist()) for start, end in pairwise(ends)]
    same: dict[int, int] = {}
    firsts: list[int] = []
    for number, mine in enumerate(terms):
        first = next((one for one in firsts if _are_near(mine, terms[one])), None)
        if first is None:
            firsts.append(number)
        else:
            same[number] = first
    return same


def _are_near(mine: frozenset[int], theirs: frozenset[int]) -> bool:
    least, most = sorted((len(mine), len(theirs)))
    if least < LEAST_WORDS or least < NEAR * most:
        return False
    shared = len(mine & theirs)
    return shared >= NEAR * (least + most - shared)


def diversified(ranked: Sequence[Fused], vectors: Mapping[str, Sequence[float]], limit: int) -> list[Fused]:
    """The candidates in another order: each the best of ``RELEVANCE * score - (1 - RELEVANCE) * likeness`` to those before it.

    Args:
        ranked: best first; only the first 200 change places.
        vectors: chunk id to vector (length 1); one without is like none.
        limit: how many places are chosen so; the others follow in their order.
    """
    pool = list(ranked[:_MOST_CHOSEN_FROM])
    if len(pool) < 2:
        return list(ranked)
    width = max((len(vector) for vector in vectors.values()), default=1)
    matrix = np.array([_fitted(vectors.get(one.chunk_id), width) for one in pool], dtype=np.float64)
    alike = matrix @ matrix.T
    scores = np.array([one.score for one in pool])
    nearest, left, chosen = np.zeros(len(pool)), np.ones(len(pool), dtype=np.bool_), []
    for _ in range(min(limit, len(pool))):
        worth = np.where(left, np.round(RELEVANCE * scores - (1 - RELEVANCE) * nearest, DIGITS), -np.inf)
        best = int(worth.argmax())  # the first of equals, which is the better ranked one
        chosen.append(best)
        left[best] = False
        nearest = np.maximum(nearest, alike[best])
    return [*(pool[at] for at in chosen), *(one for at, one in enumerate(pool) if left[at]), *ranked[len(pool) :]]


def _fitted(vector: Sequence[float] | None, width: int) -> Sequence[float]:
    """Vectors of another space's length are like none."""
    return vector if vector is not None and len(vector) == width else [0.0] * width
