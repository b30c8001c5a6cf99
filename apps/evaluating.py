"""What ``apps.actions.evaluate`` and ``apps.reader.evaluations`` do with an open house. Imported late."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime

import polars as pl

from apps.errors import USAGE, CommandError
from apps.evaluation_reports import (
    AskedNow,
    EvaluationReport,
    GoldLine,
    GoneLine,
    MetricChangeLine,
    MetricLine,
    PastLine,
    QualityReport,
    RankChangeLine,
    SetEvaluated,
)
from apps.progress import ProgressSink
from apps.residence import looked_in
from apps.running import opened
from apps.search_reports import SearchFilters
from apps.searching import search_in
from cortex_assets import evaluating
from cortex_assets.evaluating import Evaluated
from cortex_assets.evaluation.compare import GATED, HYBRID, Past
from cortex_assets.evaluation.derive import Sets, golden_sets, past_rows
from cortex_assets.evaluation.golden import ALL, Gold, GoldenError, GoldenSet
from cortex_assets.evaluation.metrics import DEPTH, LATENCIES
from cortex_assets.house import House

HISTORIC = (*GATED, *LATENCIES)
REMEDY = "write questions with the passages that answer them into a .yaml file there; docs/evaluation.md shows one"


def evaluate(name: str | None, k: int, is_accepted: bool, progress: ProgressSink) -> EvaluationReport:
    """See ``apps.actions.evaluate``."""
    begin = time.perf_counter()
    if is_accepted and k != DEPTH:
        raise CommandError("only the usual ten hits can be accepted", "--accept", "leave --limit out", USAGE)
    done, problems = [], []
    with opened() as house:
        sets = _chosen(house, name)
        for golden in sets.found:
            try:
                done.append(_evaluated(house, golden, k, is_accepted, progress))
            except (GoldenError, evaluating.IndexMoved) as error:
                problems.append(str(error))
    return EvaluationReport(tuple(done), (*sets.problems, *problems), time.perf_counter() - begin)


def _evaluated(house: House, golden: GoldenSet, k: int, is_accepted: bool, progress: ProgressSink) -> SetEvaluated:
    registry, now = house.register.now(), datetime.now(UTC)

    def told(number: int, total: int) -> None:
        progress(golden.name, "evaluate", number, total, "searches")

    if k != DEPTH:
        return shown(evaluating.look(house, registry, golden, k, now, told), golden.version, None)
    found = evaluating.evaluate(house, registry, golden, now, told)
    if is_accepted and found.history:
        is_new = found.is_new
        found = evaluating.accept_latest(house, golden.name, datetime.now(UTC))
        return shown(found, golden.version, past_rows(house.lake, golden.name), is_new)
    return shown(found, golden.version, past_rows(house.lake, golden.name))


def evaluations(name: str | None, against: str | None) -> EvaluationReport:
    """See ``apps.reader.evaluations``."""
    begin = time.perf_counter()
    with looked_in() as house:
        rows = past_rows(house.lake)
        names = sorted(rows.get_column("set_name").unique())
        if name is not None and name not in names:
            raise CommandError("no golden set of that name was evaluated", name, f"evaluated: {_listed(names)}", USAGE)
        sets = []
        for one in (evaluating.latest(house, one) for one in names if name in (None, one)):
            if one is not None:
                found = one if against is None else evaluating.against(house, one, against)
                sets.append(shown(found, None, rows.filter(pl.col("set_name") == one.name)))
    return EvaluationReport(tuple(sets), (), time.perf_counter() - begin)


def quality() -> QualityReport:
    """See ``apps.reader.quality``."""
    with looked_in() as house:
        folder = house.settings.golden
        sets = golden_sets(folder)
        names = [golden.name for golden in sets.found]
    done = evaluations(None, None).sets
    mine = tuple(one for one in done if one.name in names)
    waiting = tuple(name for name in names if not any(one.name == name for one in mine))
    return QualityReport(mine, waiting, sets.problems, str(folder))


def asked_now(name: str, question_id: str) -> AskedNow:
    """See ``apps.reader.asked_now``."""
    with looked_in() as house:
        found = next((golden for golden in golden_sets(house.settings.golden).found if golden.name == name), None)
        asked = None if found is None else next((q for q in found.questions if q.question_id == question_id), None)
        if found is None or asked is None:
            raise CommandError("this question is in no golden set any more", f"{name} {question_id}", "evaluate again")
        response = search_in(house, asked.text, DEPTH, SearchFilters(corpora=found.corpora))
    return AskedNow(tuple(map(gold_line, asked.golds)), response)


def gold_line(gold: Gold) -> GoldLine:
    """A gold as it is reported."""
    return GoldLine(gold.place, gold.begins, gold.ends, gold.grade)


def accept(name: str) -> None:
    """See ``apps.actions.accept_evaluation``."""
    with opened() as house:
        evaluating.accept_latest(house, name, datetime.now(UTC))


def _chosen(house: House, name: str | None) -> Sets:
    """The sets that are asked for; of a set that cannot be used only what is said of it.

    Raises:
        CommandError: there is none, or none of that name.
    """
    folder = house.settings.golden
    sets = golden_sets(folder)
    if not sets.found and not sets.problems:
        raise CommandError("there is no golden set", str(folder), REMEDY, USAGE)
    if name is None:
        return sets
    mine = tuple(golden for golden in sets.found if golden.name == name)
    if not mine:
        names = [golden.name for golden in sets.found]
        what, remedy = "no golden set has that name", f"there are: {_listed(names)}"
        if sets.problems:  # it may be the one that is meant
            what, remedy = (
                f"no golden set of that name can be used: {' '.join(sets.problems)}",
                f"or ask those {remedy}",
            )
        raise CommandError(what, name, remedy, USAGE)
    return Sets(mine, ())


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "none yet"


# -- rows to reports ---------------------------------------------------------------------------------------------------


def shown(found: Evaluated, version: int | None, past: pl.DataFrame | None, is_new: bool | None = None) -> SetEvaluated:
    """An evaluation as it is reported.

    Args:
        found: the evaluation.
        version: of the set; None: as its rows say.
        past: rows of all evaluations of the set; None where it is not recorded.
        is_new: whether it was made now, where ``found`` does not know.
    """
    first = found.evaluation.row(0, named=True) if found.evaluation.height else {}
    times = {one.evaluation_id: one.evaluated_at for one in found.history}
    verdict = found.verdict
    return SetEvaluated(
        name=found.name,
        version=version if version is not None else first.get("set_version", 0),
        evaluation_id=first.get("evaluation_id", ""),
        evaluated_at=first.get("evaluated_at"),
        is_new=found.is_new if is_new is None else is_new,
        is_recorded=verdict is not None,
        state="" if verdict is None else verdict.state.value,
        baseline_at=None if verdict is None else times.get(verdict.baseline_id),
        moved=() if verdict is None else verdict.moved,
        metrics=tuple(_metric(row) for row in found.evaluation.iter_rows(named=True)),
        gated=()
        if verdict is None
        else tuple(
            MetricChangeLine(
                one.metric,
                one.before,
                one.after,
                one.difference.value,
                one.difference.low,
                one.difference.high,
                one.has_fallen,
            )
            for one in verdict.metrics
        ),
        changes=()
        if verdict is None
        else tuple(
            RankChangeLine(one.question_id, one.question, one.before, one.after, one.is_worse)
            for one in verdict.changes
        ),
        pairs=0 if verdict is None else verdict.pairs,
        gone=_gone(found.questions),
        history=() if past is None else _history(found, past),
    )


_metric_columns = tuple(MetricLine.__dataclass_fields__)


def _metric(row: dict[str, object]) -> MetricLine:
    return MetricLine(**{name: row[name] for name in _metric_columns})  # type: ignore[arg-type]


def _gone(questions: pl.DataFrame) -> tuple[GoneLine, ...]:
    lost = questions.filter((pl.col("mode") == HYBRID) & (pl.col("gone").list.len() > 0)).sort("question_id")
    return tuple(
        GoneLine(row["question_id"], row["question"], tuple(row["gone"]), row["is_skipped"])
        for row in lost.iter_rows(named=True)
    )


def _history(found: Evaluated, past: pl.DataFrame) -> tuple[PastLine, ...]:
    main = past.filter((pl.col("mode") == HYBRID) & (pl.col("question_type") == ALL))
    lines = []
    for before, one in zip((None, *found.history), found.history, strict=False):
        mine = main.filter(pl.col("evaluation_id") == one.evaluation_id)
        values = dict(mine.select("metric", "value").iter_rows())
        metrics = {name: values[name] for name in HISTORIC if name in values}
        is_baseline = found.verdict is not None and found.verdict.baseline_id == one.evaluation_id
        count = int(mine.get_column("questions").max() or 0)  # type: ignore[arg-type]
        moved = () if before is None else _moved(before, one)
        lines.append(PastLine(one.evaluation_id, one.evaluated_at, moved, metrics, count, is_baseline))
    return tuple(lines)


def _moved(before: Past, after: Past) -> tuple[str, ...]:
    content = ("content",) * (before.content_hash != after.content_hash)
    return (*before.recipe.differs(after.recipe), *content, *("set",) * (before.set_hash != after.set_hash))
