"""What ``apps.reader.metrics`` counts: calls of models, engines, budgets, tables, runs. Imported late; ``exposition`` writes it.

Labels have few values: lanes, engines and tables have names that somebody configured. No run, path or text is one.
"""

from collections import Counter
from collections.abc import Iterable, Sequence

from apps import generating, looking, watching
from apps.exposition import Family, Histogram, Labels, Observed, text
from apps.lane_reports import ANSWERS, LEFT_ALONE, PROBED, UNUSABLE, EngineLine, LaneLine, LanesReport
from apps.reports import TableLine
from inference.errors import ConfigInvalid
from inference.generation.calls import NOT_REACHED
from inference.generation.ledger import Ledger
from inference.generation.tallies import Tally
from resources.settings import load_settings

BOUNDS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
TODAY = "ended since midnight UTC on this machine; begins at 0 each day"
_BREAKER = {ANSWERS: 0, UNUSABLE: 0, PROBED: 1, LEFT_ALONE: 2}


def metrics() -> str:
    """See ``apps.reader.metrics``."""
    try:
        report = generating.lanes_report(is_brief=True)
    except ConfigInvalid:
        report = None
    families = (*of_calls(_today()), *of_lanes(report), *of_lake(looking.tables(), watching.run_statuses()))
    return text(families)


def _today() -> list[Tally]:
    path = load_settings().calls
    if not path.exists():
        return []
    ledger = Ledger(path)
    try:
        return ledger.tallies(BOUNDS)
    finally:
        ledger.close()


def of_calls(tallies: Sequence[Tally]) -> tuple[Family | Histogram, ...]:
    """What the ledger counted today."""
    calls: dict[Labels, float] = {
        (("lane", one.lane), ("engine", one.engine), ("outcome", one.outcome)): one.calls for one in tallies
    }
    tokens: Counter[Labels] = Counter()
    for one in tallies:
        if one.outcome not in NOT_REACHED:
            tokens[("lane", one.lane), ("kind", "prompt")] += one.prompt_tokens
            tokens[("lane", one.lane), ("kind", "completion")] += one.completion_tokens
    good = [one for one in tallies if one.outcome == "ok"]
    lanes = dict.fromkeys(one.lane for one in good)
    seen: dict[Labels, Observed] = {(("lane", lane),): _observed(o for o in good if o.lane == lane) for lane in lanes}
    return (
        Family("cortex_model_calls_total", "counter", f"Calls of models that {TODAY}.", calls),
        Family("cortex_model_tokens_total", "counter", f"Tokens of calls that reached an engine and {TODAY}.", tokens),
        Histogram(
            "cortex_model_call_seconds", f"Seconds of calls that an engine answered and that {TODAY}.", BOUNDS, seen
        ),
    )


def _observed(tallies: Iterable[Tally]) -> Observed:
    found = list(tallies)
    within = tuple(sum(counts) for counts in zip(*(one.within for one in found), strict=True))
    return Observed(within, sum(one.calls for one in found), sum(one.seconds for one in found))


def of_lanes(report: LanesReport | None) -> tuple[Family, ...]:
    """How lanes and their engines stand; of a configuration that cannot be used (None) only that."""
    is_valid = Family(
        "cortex_inference_configuration_valid",
        "gauge",
        "1 where inference.yaml can be used or is not there, 0 where it cannot: then nothing is told of engines and budgets.",
        {(): float(report is not None)},
    )
    lanes = report.lanes if report is not None else ()
    engines = {one.name: one for lane in lanes for one in lane.engines}.values()
    return (is_valid, *_of_engines(engines), *_of_budgets(lanes))


def _of_engines(engines: Iterable[EngineLine]) -> tuple[Family, ...]:
    found = [((("engine", one.name),), one) for one in engines]
    return (
        Family(
            "cortex_engine_breaker_state",
            "gauge",
            "Now: 0 closed (it is asked), 1 half-open (the next call tries it), 2 open (it is left alone).",
            {labels: _BREAKER[one.state] for labels, one in found},
        ),
        Family(
            "cortex_engine_usable",
            "gauge",
            "Now: 0 where an engine cannot be built here, such as for want of its model's file.",
            {labels: one.state != UNUSABLE for labels, one in found},
        ),
        Family(
            "cortex_engine_calls_in_flight",
            "gauge",
            "Calls under way now, of all processes of this machine.",
            {labels: one.in_flight for labels, one in found},
        ),
    )


def _of_budgets(lanes: Iterable[LaneLine]) -> tuple[Family, ...]:
    found = [
        ((("lane", lane.name), ("scope", "day"), ("unit", budget.unit)), budget)
        for lane in lanes
        for budget in lane.budgets
    ]
    return (
        Family(
            "cortex_lane_budget_spent",
            "gauge",
            "Spent of a lane's budget since midnight UTC on this machine, calls under way not included.",
            {labels: budget.spent for labels, budget in found},
        ),
        Family(
            "cortex_lane_budget_cap",
            "gauge",
            "What a lane may spend in a day (UTC), as configured.",
            {labels: budget.cap for labels, budget in found},
        ),
    )


def of_lake(tables: Iterable[TableLine], runs: Iterable[tuple[str, int]]) -> tuple[Family, ...]:
    """What is in the lake, of all machines."""
    return (
        Family(
            "cortex_table_rows",
            "gauge",
            "Rows of a table of the lake now.",
            {(("table", t.name),): t.rows for t in tables},
        ),
        Family(
            "cortex_runs",
            "gauge",
            "Runs of shards that began in the last 24 hours, did something and ended, by their worst status.",
            {(("status", status),): count for status, count in runs},
        ),
    )
