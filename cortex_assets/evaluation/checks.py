"""Checks of the evaluations: quality held through changes of ours (blocking), and the golden sets have their gold."""

from collections.abc import Callable, Iterator, Sequence

import dagster as dg

from cortex_assets.evaluation.assets import NAME
from cortex_assets.evaluation.compare import MetricChange, RankChange, State, Verdict
from cortex_assets.evaluation.derive import Looked
from cortex_assets.evaluation.resolve import Resolved

HOLD, GOLD = "evaluations_hold", "golden_questions_have_gold"
MOST_ROWS = 200
DESCRIPTIONS = {
    HOLD: "No change of space, chunker or search lost recall, MRR or nDCG against the accepted evaluation.",
    GOLD: "Every golden set can be used, and every passage that it names is there.",
}


def evaluation_checks(look: Callable[[], Looked]) -> dg.AssetChecksDefinition:
    """Both checks; they run after the asset, and by hand in the UI. The gate blocks what is downstream and fails the run."""
    specs = [
        dg.AssetCheckSpec(HOLD, asset=NAME, description=DESCRIPTIONS[HOLD], blocking=True),
        dg.AssetCheckSpec(GOLD, asset=NAME, description=DESCRIPTIONS[GOLD]),
    ]

    @dg.multi_asset_check(name="evaluation_checks", specs=specs)
    def checks() -> Iterator[dg.AssetCheckResult]:
        looked = look()
        yield held(looked.verdicts)
        yield have_gold(looked.gone, looked.problems)

    return checks


def held(verdicts: dict[str, Verdict]) -> dg.AssetCheckResult:
    """The gate: failed where a set's latest evaluation is a regression; its metadata list the questions that changed rank."""
    lost = {name: one for name, one in verdicts.items() if one.state == State.REGRESSION}
    changes = [(name, change) for name, one in verdicts.items() for change in one.changes]
    return dg.AssetCheckResult(
        asset_key=NAME,
        check_name=HOLD,
        passed=not lost,
        severity=dg.AssetCheckSeverity.ERROR,
        description="; ".join(f"{name}: {_told(one)}" for name, one in lost.items()) or None,
        metadata={
            "sets": dg.MetadataValue.md(_verdict_table(verdicts)),
            "changed ranks": dg.MetadataValue.md(_change_table(changes)),
        },
    )


def have_gold(gone: Sequence[tuple[str, Resolved]], problems: Sequence[str]) -> dg.AssetCheckResult:
    """A warning where a golden set cannot be used or gold is not there; lists files, skipped questions and passages."""
    rows = [
        (name, one.question.question_id, "no" if one.targets else "yes", "; ".join(one.gone))
        for name, one in gone[:MOST_ROWS]
    ]
    return dg.AssetCheckResult(
        asset_key=NAME,
        check_name=GOLD,
        passed=not gone and not problems,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "skipped questions": sum(not one.targets for _, one in gone),
            "questions without some gold": len(gone),
            "gone": dg.MetadataValue.md(_table(("set", "question", "skipped", "why"), rows)),
            "problems": dg.MetadataValue.json(list(problems)),
        },
    )


def _told(one: Verdict) -> str:
    fell = [f"{change.metric} {change.before:.3f} to {change.after:.3f}" for change in one.metrics if change.has_fallen]
    return f"{', '.join(one.moved)} changed; {', '.join(fell)} over {one.pairs} questions"


def _verdict_table(verdicts: dict[str, Verdict]) -> str:
    rows = [
        (name, one.state.value, ", ".join(one.moved), c.metric, f"{c.before:.3f}", f"{c.after:.3f}", _interval(c))
        for name, one in verdicts.items()
        for c in one.metrics
    ]
    rows += [(name, one.state.value, "", "", "", "", "") for name, one in verdicts.items() if not one.metrics]
    return _table(("set", "state", "moved", "metric", "before", "after", "difference (95 %)"), sorted(rows))


def _interval(change: MetricChange) -> str:
    one = change.difference
    return f"{one.value:+.3f} ({one.low:+.3f} to {one.high:+.3f})"


def _change_table(changes: Sequence[tuple[str, RankChange]]) -> str:
    rows = [(name, one.question_id, one.question, *map(_ranks, (one.before, one.after))) for name, one in changes]
    told = _table(("set", "id", "question", "before", "after"), rows[:MOST_ROWS])
    return told + (f"\n\nand {len(rows) - MOST_ROWS} more" if len(rows) > MOST_ROWS else "")


def _ranks(ranks: Sequence[int]) -> str:
    return " ".join(str(rank) if rank else "not found" for rank in ranks)


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; what comes from outside can neither end a cell nor be read as markup."""
    lines = [columns, ["---"] * len(columns), *([_cell(value) for value in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) if rows else "none"


def _cell(value: str) -> str:
    flat = " ".join(value.split())
    return "".join(f"\\{letter}" if letter in "|\\`*_[]<>#" else letter for letter in flat)
