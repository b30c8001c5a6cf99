"""Numbers of a ranking: of one question, and of many with bootstrap intervals. Pure numpy; the seed is an argument.

What a hit meets comes in as a table (``judge.meets``). Whether a change of numbers matters is ``compare``'s question.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cortex_assets.evaluation.judge import Found, characters, meets
from cortex_assets.evaluation.resolve import Target

Values = npt.NDArray[np.float64]
KS = (1, 5, 10)
"""Ranks that metrics are cut at."""
DEPTH = max(KS)
"""Hits that are looked at; reciprocal rank, average precision and ranks see no further."""
DIGITS = 4
SAMPLES = 2_000
SEED = 20_261_120
LEVEL = 0.95
MILLISECONDS = "milliseconds"
LATENCIES = {"latency_p50_ms": 50.0, "latency_p95_ms": 95.0}
"""Metrics of the seconds that searches took: percentiles. They are measured, so equal input gives others each time."""


@dataclass(frozen=True, slots=True)
class Marks:
    """One question's ranking in numbers.

    Attributes:
        ranks: of each gold the first rank that meets it, from 1; 0 = not among the hits.
        values: metric to value, 0..1; span metrics only where a gold has a span.
    """

    ranks: tuple[int, ...]
    values: Mapping[str, float]

    @property
    def first(self) -> int:
        """The first rank that meets any gold; 0 = none does."""
        return min((rank for rank in self.ranks if rank), default=0)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with the interval in which it lies with a confidence of ``LEVEL``, and how many questions it is of."""

    value: float
    low: float
    high: float
    questions: int


def mark(hits: Sequence[Found], targets: Sequence[Target], ks: Sequence[int] = KS) -> Marks:
    """All metrics of one question.

    ``recall@k`` and ranks take a gold for found when any hit meets it. For ``ndcg@k`` and ``map`` each gold counts once: a hit
    is credited with the best gold that it meets and no earlier hit was credited with, so further chunks of one document earn
    nothing.

    Args:
        hits: best first; as many as the largest k, or all there are.
        targets: the golds that are there, at least one.
        ks: ranks to cut at.
    """
    table = meets(hits, targets)
    ranks = tuple(int(np.argmax(column)) + 1 if column.any() else 0 for column in table.T)
    grades = [target.grade for target in targets]
    credited = credited_grades(table, grades)
    first = min((rank for rank in ranks if rank), default=0)
    depth = max(ks)
    values = {f"mrr@{depth}": 1 / first if 0 < first <= depth else 0.0}
    values[f"map@{depth}"] = average_precision(credited[:depth], len(targets))
    for k in ks:
        values[f"hit@{k}"] = float(0 < first <= k)
        values[f"recall@{k}"] = sum(0 < rank <= k for rank in ranks) / len(ranks)
        values[f"ndcg@{k}"] = ndcg(credited, grades, k)
        both, wanted, shown = characters(hits[:k], targets)
        if wanted:
            values[f"span_recall@{k}"] = both / wanted
            values[f"span_precision@{k}"] = both / shown if shown else 0.0
    return Marks(ranks, {name: round(float(value), DIGITS) for name, value in values.items()})


def credited_grades(table: npt.NDArray[np.bool_], grades: Sequence[int]) -> list[int]:
    """The grade that each hit is credited with, 0 for none; each gold is credited once.

    Args:
        table: one row a hit, one column a gold.
        grades: one a gold.
    """
    left = np.array(grades, dtype=np.int64)
    earned = []
    for row in table:
        open_grades = np.where(row, left, 0)
        best = int(np.argmax(open_grades)) if len(left) else 0
        earned.append(int(open_grades[best]) if len(left) else 0)
        if earned[-1]:
            left[best] = 0
    return earned


def ndcg(credited: Sequence[int], grades: Sequence[int], k: int) -> float:
    """Normalized discounted cumulated gain at k, with gain 2^grade - 1 and discount log2(1 + rank).

    Cumulated gain is of Järvelin and Kekäläinen (2002, ACM TOIS 20(4)), the exponential gain of Burges et al. (2005, ICML).

    Args:
        credited: grade by rank.
        grades: of all golds; sorted they are the ideal ranking.
        k: ranks that count.
    """
    ideal = _gain(sorted(grades, reverse=True)[:k])
    return float(_gain(credited[:k]) / ideal) if ideal else 0.0


def _gain(grades: Sequence[int]) -> float:
    gains = np.exp2(np.array(grades, dtype=np.float64)) - 1
    return float((gains / np.log2(np.arange(len(gains)) + 2)).sum())


def average_precision(credited: Sequence[int], golds: int) -> float:
    """Precision at each credited rank, summed and divided by the number of golds (as trec_eval's ``map_cut``)."""
    is_hit = np.array(credited, dtype=np.int64) > 0
    precision = np.cumsum(is_hit) / (np.arange(len(is_hit)) + 1)
    return float(precision[is_hit].sum() / golds)


def mean_estimate(values: Sequence[float], seed: int = SEED, samples: int = SAMPLES) -> Estimate:
    """Mean with its percentile bootstrap interval (Efron and Tibshirani 1993, chapter 13).

    Args:
        values: one a question, at least one.
        seed: of the resampling.
        samples: how often the questions are drawn anew.
    """
    drawn = np.asarray(values, dtype=np.float64)
    return _estimate(float(drawn.mean()), _draws(drawn, seed, samples).mean(axis=1), len(drawn))


def percentile_estimate(values: Sequence[float], percent: float, seed: int = SEED, samples: int = SAMPLES) -> Estimate:
    """Percentile with its bootstrap interval; see ``mean_estimate``."""
    drawn = np.asarray(values, dtype=np.float64)
    resampled = np.percentile(_draws(drawn, seed, samples), percent, axis=1)
    return _estimate(float(np.percentile(drawn, percent)), resampled, len(drawn))


def _draws(values: Values, seed: int, samples: int) -> Values:
    """``samples`` rows, each the values drawn anew with replacement."""
    picked = np.random.default_rng(seed).integers(0, len(values), (samples, len(values)))
    return np.asarray(values[picked], dtype=np.float64)


def _estimate(value: float, resampled: Values, count: int) -> Estimate:
    tail = 100 * (1 - LEVEL) / 2
    low, high = np.percentile(resampled, [tail, 100 - tail])
    return Estimate(round(value, DIGITS), round(float(low), DIGITS), round(float(high), DIGITS), count)
