"""Passages that say the same: equal ones under one hit, almost equal ones too, and a choice that repeats itself less.

Two texts are near-duplicates when they share almost all of their words (Jaccard, Broder 1997): a copied licence, a note under two
names, a chapter in two versions. None is lost: what collapses is named under its hit. What is relevant is ``fuse``'s to say.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

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


def diversified(
    ranked: Sequence[Fused], vectors: Mapping[str, Sequence[float]], limit: int, spaces: Mapping[str, str] | None = None
) -> list[Fused]:
    """The candidates in another order: each the best of ``RELEVANCE * score - (1 - RELEVANCE) * likeness`` to those before it.

    Args:
        ranked: best first; only the first 200 change places.
        vectors: chunk id to vector (length 1); one without is like none.
        limit: how many places are chosen so; the others follow in their order.
        spaces: chunk id to the space of its vector; those of two spaces are not compared. None: all are of one.
    """
    pool = list(ranked[:_MOST_CHOSEN_FROM])
    if len(pool) < 2:
        return list(ranked)
    alike = _likeness([one.chunk_id for one in pool], vectors, spaces or {})
    scores = np.array([one.score for one in pool])
    nearest, left, chosen = np.zeros(len(pool)), np.ones(len(pool), dtype=np.bool_), []
    for _ in range(min(limit, len(pool))):
        worth = np.where(left, np.round(RELEVANCE * scores - (1 - RELEVANCE) * nearest, DIGITS), -np.inf)
        best = int(worth.argmax())  # the first of equals, which is the better ranked one
        chosen.append(best)
        left[best] = False
        nearest = np.maximum(nearest, alike[best])
    return [*(pool[at] for at in chosen), *(one for at, one in enumerate(pool) if left[at]), *ranked[len(pool) :]]


def _likeness(
    ids: Sequence[str], vectors: Mapping[str, Sequence[float]], spaces: Mapping[str, str]
) -> npt.NDArray[np.float64]:
    """Cosine of each chunk with each; 0 where one has no vector, or two spaces made them."""
    alike = np.zeros((len(ids), len(ids)), dtype=np.float64)
    of_space: dict[tuple[str | None, int], list[int]] = {}
    for at, chunk_id in enumerate(ids):
        if chunk_id in vectors:
            of_space.setdefault((spaces.get(chunk_id), len(vectors[chunk_id])), []).append(at)
    for places in of_space.values():
        matrix = np.array([vectors[ids[at]] for at in places], dtype=np.float64)
        alike[np.ix_(places, places)] = matrix @ matrix.T
    return alike
