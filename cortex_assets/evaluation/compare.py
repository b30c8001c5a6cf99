"""Evaluations of a golden set over time: which one counts as baseline, what moved, and whether quality was lost. Pure.

The gate answers one question: did a change of space, chunker or retrieval lose quality? Content that changes moves numbers, too, and
is never at fault: it is told as drift. So an evaluation is compared with

- the **anchor** (the one that a person accepted last, else the first) as long as the recipe is the anchor's: drift;
- the latest one of the anchor's recipe, if its own recipe is another: the gate. Content that moved under the old recipe has
  moved the baseline along. Small losses do not add up unseen, for the anchor stays until a person accepts another;
- the one before with the same recipe, once that recipe has passed the gate: drift again.

A recipe is the same while no corpus moved to other spaces (``Recipe.differs``), also where corpora came or went. Questions are
paired by their hash, so a set that grows keeps its baseline.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

import polars as pl

from cortex_assets.evaluation.metrics import DEPTH, DIGITS, Estimate, mean_estimate
from cortex_assets.evaluation.recipe import Recipe
from cortex_assets.evaluation.schema import MODES

GATED = (f"recall@{DEPTH}", f"mrr@{DEPTH}", f"ndcg@{DEPTH}")
TOLERANCE = 0.01
HYBRID = MODES[0]


class State(StrEnum):
    """What came of a comparison."""

    BASELINE = "baseline"
    """Others are compared with it."""
    DRIFT = "drift"
    """Only content or the set moved."""
    HELD = "held"
    """The recipe moved, and no gated metric fell."""
    REGRESSION = "regression"
    """The recipe moved, and a gated metric fell."""


@dataclass(frozen=True, slots=True)
class Past:
    """An evaluation in the history of a set."""

    evaluation_id: str
    set_hash: str
    evaluated_at: datetime
    recipe: Recipe
    content_hash: str


@dataclass(frozen=True, slots=True)
class Asked:
    """A question of an evaluation that was asked.

    Attributes:
        question_id: its id.
        question: its text.
        ranks: of its golds, 0 = not found.
        metrics: metric to value.
        gone: its golds that were not there.
    """

    question_id: str
    question: str
    ranks: tuple[int, ...]
    metrics: Mapping[str, float]
    gone: tuple[str, ...] = ()

    @property
    def left(self) -> tuple[int, tuple[str, ...]]:
        """Tells apart which of its golds were left: only questions of the same golds are compared."""
        return len(self.ranks), self.gone

    @property
    def first(self) -> int:
        """Rank of the best placed gold; 0 = none was found."""
        return min((rank for rank in self.ranks if rank), default=0)


Asks = Mapping[str, Asked]
"""Question hash to question."""


@dataclass(frozen=True, slots=True)
class RankChange:
    """A question whose gold is found at other ranks; 0 = not found."""

    question_id: str
    question: str
    before: tuple[int, ...]
    after: tuple[int, ...]
    first_before: int
    first_after: int

    @property
    def is_worse(self) -> bool:
        """Whether the best placed gold fell, or with that the others."""
        return _order(self.after, self.first_after) > _order(self.before, self.first_before)


@dataclass(frozen=True, slots=True)
class MetricChange:
    """A gated metric before and after, over the questions of both; ``difference`` with its paired bootstrap interval.

    Whether one that ``has_fallen`` (by more than the tolerance, the interval below zero) is a regression says the verdict's state.
    """

    metric: str
    before: float
    after: float
    difference: Estimate
    has_fallen: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an evaluation is against its baseline.

    Attributes:
        state: see ``State``.
        baseline_id: the evaluation it was compared with; its own where it is the baseline.
        moved: which of space, chunker, retrieval, content, set are others than the baseline's.
        metrics: gated metrics.
        changes: questions that changed rank, worse ones first.
        pairs: questions that both evaluations asked.
        apart: questions of both that have other golds left now, so that they are not compared.
    """

    state: State
    baseline_id: str
    moved: tuple[str, ...] = ()
    metrics: tuple[MetricChange, ...] = ()
    changes: tuple[RankChange, ...] = ()
    pairs: int = 0
    apart: int = 0


def verdict(
    history: Sequence[Past], accepted_id: str | None, asks: Callable[[str], Asks], tolerance: float = TOLERANCE
) -> Verdict:
    """Judge the latest evaluation of a set.

    Args:
        history: all evaluations of the set, the oldest first, at least one.
        accepted_id: the one that a person accepted last.
        asks: gives the questions of an evaluation, by mode ``hybrid``.
        tolerance: a metric that fell by no more has not fallen.
    """
    places = {past.evaluation_id: place for place, past in enumerate(history)}
    since = history[places.get(accepted_id or "", 0) :]
    anchor, last = since[0], since[-1]
    found = Verdict(State.BASELINE, last.evaluation_id)
    lines = [anchor]
    for past in since[1:]:
        place = next((n for n in reversed(range(len(lines))) if not lines[n].recipe.differs(past.recipe)), None)
        if place is None:
            found = compared(lines[0], past, asks, tolerance)
        elif past is last:
            found = compared(lines[place], past, asks, tolerance)
        if place is not None:
            lines[place] = replace(past, recipe=lines[place].recipe.joined(past.recipe))
        elif found.state != State.REGRESSION:
            lines.append(past)
    return found


def compared(before: Past, after: Past, asks: Callable[[str], Asks], tolerance: float = TOLERANCE) -> Verdict:
    """Compare two evaluations of a set; only another recipe can be a regression."""
    old, new = asks(before.evaluation_id), asks(after.evaluation_id)
    both = [name for name in new if name in old]
    pairs = [(old[name], new[name]) for name in both if old[name].left == new[name].left]
    metrics = tuple(change for name in GATED if (change := _metric_change(name, pairs, tolerance)) is not None)
    changes = [
        RankChange(b.question_id, b.question, a.ranks, b.ranks, a.first, b.first)
        for a, b in pairs
        if a.ranks != b.ranks
    ]
    recipe = before.recipe.differs(after.recipe)
    moved = recipe + ("content",) * (before.content_hash != after.content_hash)
    moved += ("set",) * (before.set_hash != after.set_hash)
    fell = any(change.has_fallen for change in metrics)
    state = State.DRIFT if not recipe else State.REGRESSION if fell else State.HELD
    return Verdict(
        state,
        before.evaluation_id,
        moved,
        metrics,
        tuple(sorted(changes, key=_by_loss)),
        len(pairs),
        len(both) - len(pairs),
    )


def _metric_change(metric: str, pairs: Sequence[tuple[Asked, Asked]], tolerance: float) -> MetricChange | None:
    """A metric over pairs; None where none has it. The interval is of the mean difference (paired bootstrap)."""
    values = [(a.metrics[metric], b.metrics[metric]) for a, b in pairs if metric in a.metrics and metric in b.metrics]
    if not values:
        return None
    difference = mean_estimate([after - before for before, after in values])
    before = round(sum(one for one, _ in values) / len(values), DIGITS)
    after = round(sum(one for _, one in values) / len(values), DIGITS)
    return MetricChange(metric, before, after, difference, difference.value < -tolerance and difference.high < 0)


def _order(ranks: Sequence[int], first: int) -> tuple[int, ...]:
    return first or DEPTH + 1, *sorted(rank or DEPTH + 1 for rank in ranks)


def _by_loss(change: RankChange) -> tuple[float, str]:
    """Worse first: by the reciprocal rank that was lost, then by id."""
    before, after = (1 / first if first else 0.0 for first in (change.first_before, change.first_after))
    return after - before if after != before else 0.5 * change.is_worse - 0.25, change.question_id


def history_of(evaluations: pl.DataFrame) -> list[Past]:
    """The evaluations of one set, the oldest first, from rows of ``gold/evaluations``."""
    columns = ("evaluation_id", "set_hash", "evaluated_at", "space_ids", "chunkers", "retrieval", "content_hash")
    rows = evaluations.sort("sequence").unique("evaluation_id", keep="first", maintain_order=True).select(columns)
    return [
        Past(identity, set_hash, at, Recipe(tuple(spaces), tuple(chunkers), retrieval), content)
        for identity, set_hash, at, spaces, chunkers, retrieval, content in rows.iter_rows()
    ]


def asks_of(questions: pl.DataFrame, mode: str = HYBRID) -> Asks:
    """The questions of one evaluation that were asked, from rows of ``gold/evaluated_questions``."""
    rows = questions.filter((pl.col("mode") == mode) & ~pl.col("is_skipped")).sort("question_id")
    return {
        row["question_hash"]: Asked(
            row["question_id"],
            row["question"],
            tuple(row["gold_ranks"]),
            {one["name"]: one["value"] for one in row["metrics"]},
            tuple(sorted(row["gone"])),
        )
        for row in rows.iter_rows(named=True)
    }
