"""Golden sets evaluated over an open house: every question is asked, what came of it is recorded and judged.

What the numbers are is ``evaluation.metrics``', what a regression is ``evaluation.compare``'s. An evaluation whose golden set,
spaces, chunkers, search functions and points are those of the last one is not made again: nothing is asked or committed.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any

import polars as pl

from cortex_assets.engine.lease import LeaseBusy, shard_lease
from cortex_assets.engine.live import Live
from cortex_assets.evaluation.compare import GATED, HYBRID, Past, Verdict, compared
from cortex_assets.evaluation.derive import (
    Looked,
    accept,
    golden_sets,
    judged,
    past_rows,
    record,
    recorded_asks,
    resolve_gold,
    rows_of,
)
from cortex_assets.evaluation.evaluate import (
    Outcome,
    Progress,
    Subject,
    evaluation_rows,
    measure,
    question_rows,
)
from cortex_assets.evaluation.golden import ALL, GoldenError, GoldenSet
from cortex_assets.evaluation.metrics import KS, LATENCIES
from cortex_assets.evaluation.schema import EVALUATED_QUESTIONS
from cortex_assets.house import House
from cortex_assets.measuring import searches, subject_of
from cortex_assets.register import Registry

LEASE = "global.evaluations"
ATTEMPTS = 3
"""A set is asked so many times at most while runs publish."""


class IndexMoved(RuntimeError):
    """An evaluation would be of no one state of the index; names the set and the remedy."""


@dataclass(frozen=True)
class Evaluated:
    """The latest evaluation of a set.

    Attributes:
        name: of the set.
        evaluation: its rows of ``gold/evaluations``; none where no question has gold.
        questions: its rows of ``gold/evaluated_questions``.
        verdict: against its baseline; None where it was not recorded.
        history: all evaluations of the set, the oldest first.
        is_new: it was made now, not found.
    """

    name: str
    evaluation: pl.DataFrame
    questions: pl.DataFrame
    verdict: Verdict | None
    history: tuple[Past, ...] = ()
    is_new: bool = False


@dataclass(frozen=True)
class Refreshed:
    """The golden sets evaluated, what is wrong with those that could not be, and what another process is at, one line each."""

    done: tuple[Evaluated, ...]
    problems: tuple[str, ...]
    busy: tuple[str, ...] = ()


def evaluate(
    house: House,
    registry: Registry,
    golden: GoldenSet,
    now: datetime,
    progress: Progress = lambda done, total: None,
) -> Evaluated:
    """Evaluate a set and record it, unless the last evaluation is of the very same.

    Args:
        house: where.
        registry: its corpora.
        golden: the set.
        now: when (aware).
        progress: hears how many searches are done.

    Raises:
        GoldenError: the set names a corpus that there is none of.
        IndexMoved: runs published all the while.
        LeaseBusy: another process evaluates.
    """
    subject = subject_of(house, registry, golden)
    with shard_lease(house.leases, LEASE), house.board.run(LEASE, "") as live:
        known = latest(house, golden.name)
        if known is not None and _is_of(known.history[-1], golden, subject):
            return known
        before, sequence = (known.history[-1].evaluation_id, len(known.history)) if known is not None else ("", 0)
        subject, outcomes = _at_rest(house, registry, golden, subject, _told(golden.name, live, progress))
        evaluation = evaluation_rows(golden, subject, outcomes, before, sequence, now)
        questions = question_rows(golden, subject, outcomes, before)
        if evaluation.is_empty():
            return Evaluated(golden.name, evaluation, questions, None, is_new=True)
        record(house.lake, evaluation, questions)
        found = latest(house, golden.name)
    assert found is not None, "it was recorded just now"  # noqa: S101
    return replace(found, is_new=True)


def _told(name: str, live: Live, progress: Progress) -> Progress:
    """Notes on the board how far a set is, and tells ``progress``."""
    heard = live.heard()

    def tell(done: int, total: int) -> None:
        heard(LEASE, f"evaluate {name}", done, total, "searches")
        progress(done, total)

    return tell


def _at_rest(
    house: House, registry: Registry, golden: GoldenSet, subject: Subject, progress: Progress
) -> tuple[Subject, list[Outcome]]:
    """Measure a set over an index that did not move meanwhile, so that the numbers are of what the rows say.

    Raises:
        IndexMoved: it moved every time.
    """
    for _ in range(ATTEMPTS):
        resolved = resolve_gold(house.lake, golden, _names(registry))
        outcomes = measure(resolved, searches(house, registry, golden.corpora), KS, progress)
        now = subject_of(house, registry, golden)
        if (now.recipe, now.content_hash) == (subject.recipe, subject.content_hash):
            return subject, outcomes
        subject = now
    raise IndexMoved(
        f"{golden.name}: the index moved each of {ATTEMPTS} times while it was evaluated; run `cortex eval` when no run is at work"
    )


def look(
    house: House,
    registry: Registry,
    golden: GoldenSet,
    k: int,
    now: datetime,
    progress: Progress = lambda done, total: None,
) -> Evaluated:
    """Evaluate a set with ``k`` hits a question, cut at k and the usual ranks before it; nothing is recorded or compared.

    Raises:
        GoldenError: the set names a corpus that there is none of.
    """
    subject = subject_of(house, registry, golden)
    ks = (*(rank for rank in KS if rank < k), k)
    resolved = resolve_gold(house.lake, golden, _names(registry))
    outcomes = measure(resolved, searches(house, registry, golden.corpora, k), ks, progress)
    evaluation = evaluation_rows(golden, subject, outcomes, "", 0, now)
    return Evaluated(golden.name, evaluation, question_rows(golden, subject, outcomes, ""), None, is_new=True)


def against(house: House, found: Evaluated, begin: str) -> Evaluated:
    """An evaluation compared with any earlier one of its set instead of its baseline.

    Args:
        house: where.
        found: the latest evaluation of a set.
        begin: how the id of the other one begins.

    Raises:
        GoldenError: none of the set, or more than one, has such an id.
    """
    named = [past for past in found.history if begin and past.evaluation_id.startswith(begin)]
    if len(named) != 1:
        told = "no evaluation has" if not named else f"{len(named)} evaluations have"
        raise GoldenError(
            f"{found.name}: {told} an id that begins with {begin!r}; `cortex eval --history` shows the ids."
        )
    other = compared(named[0], found.history[-1], partial(recorded_asks, house.lake), house.settings.eval_tolerance)
    return replace(found, verdict=other)


def latest(house: House, set_name: str) -> Evaluated | None:
    """The latest evaluation of a set with its verdict; None where there is none yet. Reads only."""
    rows = past_rows(house.lake, set_name)
    if rows.is_empty():
        return None
    history, found = judged(house.lake, rows, set_name, house.settings.eval_tolerance)
    last = history[-1].evaluation_id
    evaluation = rows.filter(pl.col("evaluation_id") == last)
    return Evaluated(set_name, evaluation, rows_of(house.lake, EVALUATED_QUESTIONS, last), found, tuple(history))


def refresh(house: House, registry: Registry, now: datetime) -> Refreshed:
    """Evaluate every golden set of the data folder whose evaluation is not of what is there now, but for what others are at."""
    sets = golden_sets(house.settings.golden)
    done, problems, busy = [], list(sets.problems), []
    for golden in sets.found:
        try:
            done.append(evaluate(house, registry, golden, now))
        except (GoldenError, IndexMoved) as error:
            problems.append(str(error))
        except LeaseBusy as error:
            busy.append(f"{golden.name} is left to another evaluation: {error}")
    return Refreshed(tuple(done), tuple(problems), tuple(busy))


def looked(house: House, registry: Registry) -> Looked:
    """What the checks judge: verdicts on the latest evaluations, and gold in the documents as they are stored now. Reads only."""
    sets, names = golden_sets(house.settings.golden), _names(registry)
    found = [(golden, latest(house, golden.name)) for golden in sets.found]
    gone = [(golden.name, one) for golden in sets.found for one in resolve_gold(house.lake, golden, names) if one.gone]
    verdicts = {golden.name: one.verdict for golden, one in found if one is not None and one.verdict is not None}
    return Looked(verdicts, gone, sets.problems)


def shown(refreshed: Refreshed) -> dict[str, Any]:
    """What a materialization shows: of each set how many questions, its main metrics of the search people use, and its state."""
    metadata: dict[str, Any] = {"sets": len(refreshed.done), "evaluated": sum(one.is_new for one in refreshed.done)}
    for one in refreshed.done:
        main = one.evaluation.filter((pl.col("mode") == HYBRID) & (pl.col("question_type") == ALL))
        values = dict(main.select("metric", "value").iter_rows())
        metadata |= {f"{one.name} {name}": values[name] for name in (*GATED, *LATENCIES) if name in values}
        metadata[f"{one.name} state"] = "no gold" if one.verdict is None else one.verdict.state.value
    for name, lines in (("problems", refreshed.problems), ("busy", refreshed.busy)):
        if lines:
            metadata[name] = list(lines)
    return metadata


def accept_latest(house: House, set_name: str, now: datetime) -> Evaluated:
    """Take the latest evaluation of a set as the one that later ones are compared with.

    Raises:
        GoldenError: it was never evaluated.
    """
    found = latest(house, set_name)
    if found is None:
        raise GoldenError(f"{set_name}: it was never evaluated with gold that is there; run `cortex eval` first.")
    accept(house.lake, set_name, found.history[-1].evaluation_id, now)
    again = latest(house, set_name)
    return again if again is not None else found


def _is_of(past: Past, golden: GoldenSet, subject: Subject) -> bool:
    is_same = (past.set_hash, past.content_hash) == (golden.set_hash, subject.content_hash)
    return is_same and not past.recipe.differs(subject.recipe)


def _names(registry: Registry) -> dict[str, str]:
    return {corpus.corpus_id: corpus.name for corpus in registry.corpora}
