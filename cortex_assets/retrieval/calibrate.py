"""Cosines to comparable scores: without the part that a candidate has for every question, and on the scale of its space.

Some vectors lie near to everything (hubs: boilerplate, short or general passages), and their cosines say less. How near a
candidate lies to the other candidates tells it without a label, in any corpus: the mean cosine to its nearest ones is its
*density*, and a share of that is taken off (local scaling; see CSLS in Conneau et al. 2018, "Word translation without
parallel data", and Radovanović et al. 2010, "Hubs in space"). Over 100 candidates it gives what the whole corpus would:
CoSQA's MRR .001 apart, XQuAD's hit@1 .002.

Several spaces are put on one scale by what is ordinary in each. Sixty questions over the demo corpus, its code in a space of its own
by the same model: recall@10 .818 in one space, .788 where each space is scaled apart, .814 on one scale.

Mixing with words is ``fuse``'s. Everything is computed in double precision, so that no order depends on the shards.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float64]

NEIGHBOURS = 10
"""Nearest candidates that a density is the mean of."""
DENSITY_SHARE = 0.3
"""How much of the density is taken off. Chosen on half A: .15 to .5 are within .005 on CoSQA and XQuAD."""
SAMPLE, LEAST_SAMPLE = 256, 8
"""So many vectors tell what is ordinary in a space, and fewer than the second do not."""
DIGITS = 4
"""Scores are rounded to so many digits, so that noise of the last bits never decides an order."""


@dataclass(frozen=True, slots=True)
class Near:
    """Candidates of one space by id, with their vectors (length 1), one a row."""

    ids: list[str]
    vectors: Vectors

    @classmethod
    def of(cls, vectors: Mapping[str, Sequence[float]]) -> "Near":
        """Those of a mapping of chunk id to vector."""
        ids = sorted(vectors)
        return cls(ids, np.array([vectors[key] for key in ids], dtype=np.float64))

    def cosines(self, question: Sequence[float]) -> dict[str, float]:
        """Each one's exact dense score, rounded."""
        if not self.ids:
            return {}
        found = self.vectors @ np.asarray(question, dtype=np.float64)
        return dict(zip(self.ids, np.round(found, DIGITS).tolist(), strict=True))

    def densities(self) -> dict[str, float]:
        """How near each lies to the others: the mean cosine to its nearest ``NEIGHBOURS``, rounded; of a single one 0."""
        if len(self.ids) < 2:
            return dict.fromkeys(self.ids, 0.0)
        near = self.vectors @ self.vectors.T
        np.fill_diagonal(near, -np.inf)
        count = min(NEIGHBOURS, len(self.ids) - 1)
        means = np.partition(near, -count, axis=1)[:, -count:].mean(axis=1)
        return dict(zip(self.ids, np.round(means, DIGITS).tolist(), strict=True))


@dataclass(frozen=True, slots=True)
class Ordinary:
    """How near a question is to the passages of a space that it is not about: mean and standard deviation of cosines."""

    mean: float
    spread: float

    @classmethod
    def of(cls, sample: Sequence[Sequence[float]], question: Sequence[float]) -> "Ordinary | None":
        """Of vectors from all over a space; None where they are too few, or all alike."""
        cosines = np.array(sample, dtype=np.float64) @ np.asarray(question, dtype=np.float64) if sample else np.zeros(0)
        if cosines.size < LEAST_SAMPLE or float(cosines.std()) < 1e-9:
            return None
        return cls(float(cosines.mean()), float(cosines.std()))


class Scored(NamedTuple):
    """Candidates of one space: dense scores, densities, and what is ordinary there."""

    scores: Mapping[str, float]
    density: Mapping[str, float]
    ordinary: Ordinary


def sampled(ids: Iterable[str]) -> list[str]:
    """Some ids from all over, the same ones of the same ids."""
    every = sorted(ids)
    return every[:: max(1, len(every) // SAMPLE)][:SAMPLE]


def scaled_together(parts: Sequence[Scored]) -> dict[str, float]:
    """Dense scores of several spaces on one scale, worst of all to 0 and best of all to 1.

    Cosines of two models say different things, so each score counts in standard deviations above what is ordinary in its space.
    Scaled apart, the best of each space would be worth as much, be it about the question or not.
    """
    standing: dict[str, float] = {}
    for scores, density, ordinary in parts:
        middle = float(np.mean(list(density.values()))) if density else 0.0
        for key, score in scores.items():
            less = score - DENSITY_SHARE * (density.get(key, middle) - middle)
            standing[key] = (less - ordinary.mean) / ordinary.spread
    low, high = min(standing.values(), default=0.0), max(standing.values(), default=0.0)
    span = high - low
    return {key: (score - low) / span if span > 1e-9 else 1.0 for key, score in standing.items()}


def scaled_dense(scores: Mapping[str, float], density: Mapping[str, float]) -> dict[str, float]:
    """Dense scores of the candidates of *one* space, less their share of density: worst to 0 and best to 1 (all 1 when equal)."""
    if not scores:
        return {}
    ordinary = float(np.mean(list(density.values()))) if density else 0.0
    less = {key: score - DENSITY_SHARE * density.get(key, ordinary) for key, score in scores.items()}
    low, high = min(less.values()), max(less.values())
    span = high - low
    return {key: (score - low) / span if span > 1e-9 else 1.0 for key, score in less.items()}
