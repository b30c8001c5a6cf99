"""Evaluations of golden sets as tables."""

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from apps.evaluation_reports import (
    MODES,
    REGRESSION,
    CandidateLine,
    CandidatesReport,
    Decided,
    EvaluationReport,
    MetricLine,
    Noted,
    RankChangeLine,
    SetEvaluated,
)
from apps.terminal.console import safe
from apps.terminal.tables import grid
from apps.terminal.units import counted, duration, moment

SHOWN = 10
_STATES = {
    "baseline": "others are compared with it from now on",
    "drift": "not held against anybody: space, chunker and retrieval are the same",
    "held": "space, chunker or retrieval changed, and quality held",
    REGRESSION: "space, chunker or retrieval changed, and quality was lost",
}


def report(one: EvaluationReport, halves: bool = False, changes: bool = False) -> RenderableType:
    """What evaluations found."""
    parts: list[RenderableType] = []
    for found in one.sets:
        parts += [*_set(found, halves, changes), Text()]
    parts += [safe(problem, "red") for problem in one.problems]
    parts.append(Text(f"done in {duration(one.seconds)}"))
    return Group(*parts)


def _set(found: SetEvaluated, halves: bool, changes: bool) -> Iterator[RenderableType]:
    if found.is_empty:
        yield safe(f"{found.name}: no question has gold that is there", "bold red")
    else:
        asked = max(line.questions for line in found.metrics)
        yield safe(f"{found.name} (version {found.version}), {counted(asked, 'question')}", "bold")
        modes = [mode for mode in MODES if halves or mode == MODES[0]]
        yield _metrics([line for line in found.metrics if line.mode in modes], modes)
        yield from _compared(found, changes)
    if found.gone:
        skipped = sum(one.is_skipped for one in found.gone)
        yield safe(f"gold of {counted(len(found.gone), 'question')} is not there, {skipped} skipped for it:", "yellow")
    for gone in found.gone:
        mark = "skipped" if gone.is_skipped else "asked for the rest"
        yield safe(f"  {gone.question_id} ({mark}): {'; '.join(gone.reasons)}", "yellow")


def _metrics(lines: Sequence[MetricLine], modes: Sequence[str]) -> RenderableType:
    """One row a type and mode: each value above its interval; percentiles of latency in milliseconds."""
    known = {(line.question_type, line.mode, line.metric): line for line in lines}
    depth = max(int(line.metric.removeprefix("recall@")) for line in lines if line.metric.startswith("recall@"))
    shown = ("hit@1", f"recall@{depth}", f"mrr@{depth}", f"ndcg@{depth}", f"span_recall@{min(5, depth)}")
    rows = []
    for kind in dict.fromkeys(line.question_type for line in lines):
        for mode in modes:
            mine = [known[kind, mode, name] for name in shown if (kind, mode, name) in known]
            if mine:
                cells = [_score(known.get((kind, mode, name))) for name in shown]
                asked = str(max(line.questions for line in mine))
                spent = [known[kind, mode, f"latency_p{percent}_ms"].value for percent in (50, 95)]
                rows.append((kind, *[mode] * (len(modes) > 1), asked, *cells, "\n".join(f"{one:.0f}" for one in spent)))
    columns = ("type", *["search"] * (len(modes) > 1), "asked", *(name.replace("_", " ") for name in shown))
    return grid((*columns, "ms p50, p95"), rows, (*columns[-6:], "ms p50, p95"))


def _score(line: MetricLine | None) -> str:
    return "·" if line is None else f"{line.value:.3f}\n{_bare(line.low)}-{_bare(line.high)}"


def _bare(value: float) -> str:
    """Two digits without a zero before the point."""
    return f"{value:.2f}".removeprefix("0")


def _compared(found: SetEvaluated, changes: bool) -> Iterator[RenderableType]:
    """What it is against its baseline."""
    if not found.is_recorded:
        yield safe("not recorded, for it is not the usual ten hits", "yellow")
        return
    style = "bold red" if found.state == REGRESSION else "green"
    yield safe(f"{found.state}: {_STATES.get(found.state, '')}", style)
    if not found.is_new:
        yield safe(f"nothing moved since {moment(found.evaluated_at)} UTC, so nothing was asked")
    if found.moved:
        pairs = counted(found.pairs, "question")
        yield safe(f"against {moment(found.baseline_at)} UTC ({', '.join(found.moved)} moved), {pairs} of both:")
        for one in found.gated:
            told = f"  {one.metric} {one.before:.3f} -> {one.after:.3f} ({one.difference:+.3f}, {one.low:+.3f} to {one.high:+.3f})"
            yield safe(told, "red" if one.has_fallen else "")
    yield from _changes(found.changes, len(found.changes) if changes or found.state == REGRESSION else SHOWN)
    if found.state == REGRESSION:
        yield Text("meant? `cortex eval --accept` takes it as the quality to compare with", style="yellow")


def _changes(changes: Sequence[RankChangeLine], most: int) -> Iterator[RenderableType]:
    if not changes:
        return
    worse = sum(one.is_worse for one in changes)
    yield safe(f"{counted(len(changes), 'question')} changed rank, {worse} for the worse (· = not found):")
    rows = [(one.question_id, _ranks(one.before), _ranks(one.after), one.question) for one in changes[:most]]
    yield grid(("id", "before", "now", "question"), rows, ("before", "now"))
    if len(changes) > most:
        yield safe(f"and {len(changes) - most} more: --changes lists them")


def _ranks(ranks: Sequence[int]) -> str:
    return " ".join(str(rank) if rank else "·" for rank in ranks)


def history(one: EvaluationReport) -> RenderableType:
    """The evaluations of every set, the oldest first."""
    if not one.sets:
        return Text("nothing was evaluated yet: `cortex eval` does it")
    parts: list[RenderableType] = []
    for found in one.sets:
        names = list(dict.fromkeys(name for past in found.history for name in past.metrics))
        rows = [
            (
                past.evaluation_id[:8],
                moment(past.evaluated_at),
                ", ".join(past.moved),
                str(past.questions),
                *(f"{past.metrics[name]:.3f}" if name in past.metrics else "" for name in names),
                "baseline" if past.is_baseline else "",
            )
            for past in found.history
        ]
        parts.append(safe(f"{found.name}: {found.state}", "bold"))
        parts.append(grid(("id", "evaluated (UTC)", "moved", "questions", *names, ""), rows, ("questions", *names)))
    return Group(*parts)


def candidates(found: CandidatesReport) -> RenderableType:
    """Questions that might go into a golden set, with where they come from."""
    if not found.candidates:
        return Text("no candidate: give results thumbs in the app, or use `cortex feedback`")
    rows = [(one.candidate_id[:8], one.question, one.told, _golds(one)) for one in found.candidates]
    parts: list[RenderableType] = [grid(("id", "question", "from", "answered by"), rows)]
    if found.lost:
        parts.append(safe(f"{counted(found.lost, 'passage')} that were clicked on are not found any more", "yellow"))
    parts.append(
        Text("--accept-candidates takes all, --refuse ID leaves one out for good; the app words them anew, too")
    )
    return Group(*parts)


def _golds(one: CandidateLine) -> str:
    return "\n".join(f"{gold.place} ({gold.grade})" for gold in one.golds)


def decided(found: Decided) -> RenderableType:
    """What became of candidates."""
    if not found.questions:
        return Text("no candidate")
    where = f"written to {found.file}" if found.file else "not proposed again"
    return Group(
        *(safe(question) for question in found.questions), safe(f"{counted(len(found.questions), 'question')} {where}")
    )


def noted(found: Noted) -> RenderableType:
    """How many clicks were written down."""
    return safe(f"{counted(found.noted, 'place')} noted")
