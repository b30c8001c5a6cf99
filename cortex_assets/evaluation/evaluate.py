"""A golden set asked of a search: what became of each question, and rows for the tables. Pure but for the search it is given.

``measure`` takes any callable that answers a question, so a bench can evaluate what is in no lake. Reading gold and recording rows
is ``cortex_assets.evaluating``'s.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import polars as pl

from cortex_assets.evaluation.golden import ALL, GoldenSet, Question
from cortex_assets.evaluation.judge import Found
from cortex_assets.evaluation.metrics import (
    DEPTH,
    DIGITS,
    KS,
    LATENCIES,
    Estimate,
    Marks,
    mark,
    mean_estimate,
    percentile_estimate,
)
from cortex_assets.evaluation.recipe import Recipe
from cortex_assets.evaluation.resolve import Resolved
from cortex_assets.evaluation.schema import EVALUATED_QUESTIONS, EVALUATIONS
from cortex_assets.identity import content_id


@dataclass(frozen=True, slots=True)
class Answer:
    """What a search gave for a question: hits, best first, and the seconds it took."""

    hits: tuple[Found, ...]
    seconds: float


Search = Callable[[str], Answer]
Progress = Callable[[int, int], None]
"""Hears how many searches of how many are done."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What is evaluated.

    Attributes:
        recipe: how it searches.
        content_hash: of the points that are searched.
        generations: JSON of shard to the generation of its index; told, not compared.
    """

    recipe: Recipe
    content_hash: str
    generations: str = "{}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a question in one mode.

    Attributes:
        resolved: the question with its golds.
        mode: ``hybrid``, ``words`` or ``meaning``.
        marks: its numbers; None where no gold is left and nothing was asked.
        top: ids of the hits, best first.
        milliseconds: the search took.
    """

    resolved: Resolved
    mode: str
    marks: Marks | None
    top: tuple[str, ...] = ()
    milliseconds: float = 0.0

    @property
    def question(self) -> Question:
        """What was asked."""
        return self.resolved.question


@dataclass(frozen=True, slots=True)
class Line:
    """One metric over the questions of one type."""

    mode: str
    question_type: str
    metric: str
    estimate: Estimate
    skipped: int


def measure(
    questions: Sequence[Resolved],
    searches: Mapping[str, Search],
    ks: Sequence[int] = KS,
    progress: Progress = lambda done, total: None,
) -> list[Outcome]:
    """Ask every question that has gold in every mode; the first one twice, so that what loads once is not measured.

    Args:
        questions: with their golds resolved.
        searches: mode to what answers a question with at least ``max(ks)`` hits.
        ks: ranks to cut at.
        progress: hears how far it is.
    """
    asked = [one for one in questions if one.targets]
    outcomes, done, total = [], 0, len(asked) * len(searches)
    for mode, search in searches.items():
        if asked:
            search(asked[0].question.text)
        for one in questions:
            if not one.targets:
                outcomes.append(Outcome(one, mode, None))
                continue
            answer = search(one.question.text)
            marks = mark(answer.hits, one.targets, ks)
            top = tuple(hit.chunk_id for hit in answer.hits)
            outcomes.append(Outcome(one, mode, marks, top, round(1000 * answer.seconds, 3)))
            done += 1
            progress(done, total)
    return outcomes


def summary(outcomes: Sequence[Outcome]) -> list[Line]:
    """Every metric in every mode, over all questions and over each type, in that order."""
    lines: list[Line] = []
    for mode in dict.fromkeys(one.mode for one in outcomes):
        mine = [one for one in outcomes if one.mode == mode]
        for kind in (ALL, *sorted({one.question.kind for one in mine})):
            lines += _lines(mode, kind, [one for one in mine if kind in (ALL, one.question.kind)])
    return lines


def _lines(mode: str, kind: str, outcomes: Sequence[Outcome]) -> list[Line]:
    marked = [(one.marks, one.milliseconds) for one in outcomes if one.marks is not None]
    if not marked:
        return []
    skipped = len(outcomes) - len(marked)
    names = dict.fromkeys(name for marks, _ in marked for name in marks.values)
    lines = [
        Line(mode, kind, name, mean_estimate([m.values[name] for m, _ in marked if name in m.values]), skipped)
        for name in names
    ]
    spent = [milliseconds for _, milliseconds in marked]
    return lines + [
        Line(mode, kind, name, percentile_estimate(spent, percent), skipped) for name, percent in LATENCIES.items()
    ]


def evaluation_id(golden: GoldenSet, subject: Subject, before: str) -> str:
    """Id of an evaluation: of the set, of what it is of, and of the evaluation before (empty for the first)."""
    recipe = subject.recipe
    parts = (*recipe.space_ids, "", *recipe.chunkers, "", recipe.retrieval, subject.content_hash)
    return content_id("evaluation", golden.set_hash, *parts, before)


def evaluation_rows(
    golden: GoldenSet, subject: Subject, outcomes: Sequence[Outcome], before: str, sequence: int, now: datetime
) -> pl.DataFrame:
    """Rows of ``gold/evaluations``; none where no question has gold.

    Args:
        golden: the set.
        subject: what was evaluated.
        outcomes: of ``measure``.
        before: id of the evaluation before this one; empty for the first.
        sequence: how many evaluations of the set there are before.
        now: when it was evaluated (aware).
    """
    common: dict[str, Any] = {
        "evaluation_id": evaluation_id(golden, subject, before),
        "set_name": golden.name,
        "set_version": golden.version,
        "set_hash": golden.set_hash,
        "sequence": sequence,
        "evaluated_at": now,
        "space_ids": list(subject.recipe.space_ids),
        "chunkers": list(subject.recipe.chunkers),
        "retrieval": subject.recipe.retrieval,
        "content_hash": subject.content_hash,
        "generations": subject.generations,
    }
    rows = [
        common
        | {
            "mode": line.mode,
            "question_type": line.question_type,
            "metric": line.metric,
            "value": line.estimate.value,
            "low": line.estimate.low,
            "high": line.estimate.high,
            "questions": line.estimate.questions,
            "skipped": line.skipped,
        }
        for line in summary(outcomes)
    ]
    return EVALUATIONS.schema.validate(pl.DataFrame(rows, schema=EVALUATIONS.dtypes))


def question_rows(golden: GoldenSet, subject: Subject, outcomes: Sequence[Outcome], before: str) -> pl.DataFrame:
    """Rows of ``gold/evaluated_questions``; see ``evaluation_rows``."""
    identity = evaluation_id(golden, subject, before)
    rows = [_question_row(golden, identity, one) for one in outcomes]
    return EVALUATED_QUESTIONS.schema.validate(pl.DataFrame(rows, schema=EVALUATED_QUESTIONS.dtypes))


def _question_row(golden: GoldenSet, identity: str, outcome: Outcome) -> dict[str, Any]:
    question, marks = outcome.question, outcome.marks
    return {
        "evaluation_id": identity,
        "set_name": golden.name,
        "question_id": question.question_id,
        "question_hash": question.question_hash,
        "question": question.text,
        "question_type": question.kind,
        "mode": outcome.mode,
        "is_skipped": marks is None,
        "gone": list(outcome.resolved.gone),
        "gold_ranks": [] if marks is None else list(marks.ranks),
        "first_rank": 0 if marks is None else marks.first,
        "metrics": [] if marks is None else [{"name": n, "value": round(v, DIGITS)} for n, v in marks.values.items()],
        "top_chunks": list(outcome.top[:DEPTH]),
        "milliseconds": outcome.milliseconds,
    }
