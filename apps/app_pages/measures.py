"""Evaluations in words, tables and a chart's description, as the page of quality shows them. Pure; knows no Streamlit."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from apps.app_pages.marking import Column, table
from apps.app_pages.wording import at, plural
from apps.evaluation_reports import MODES, MetricLine, PastLine, RankChangeLine, SetEvaluated

ALL = "all"
MAIN = ("hit@1", "recall@10", "mrr@10", "ndcg@10")
LATENCIES = ("latency_p50_ms", "latency_p95_ms")
CHARTED = MAIN[1:]
METRICS = {
    "hit@1": ("First hit is right", "share of the questions whose first result is gold"),
    "recall@10": ("Found in ten", "share of the golds that the first ten results meet"),
    "mrr@10": ("Rank of the first", "1 / rank of the first result that is gold, 0 where none is"),
    "ndcg@10": ("Order of all", "all golds by rank and grade, against the best possible order"),
    "span_recall@5": ("Passage shown", "characters of the passages that the first five results show"),
    "latency_p50_ms": ("Usual time", "half of the searches took no longer"),
    "latency_p95_ms": ("Slow time", "one search of twenty took longer"),
}
"""Metric to what people call it, and what it is of."""
SEARCHES = {"hybrid": "search as it is", "words": "words alone", "meaning": "meaning alone"}
MOVED = {
    "space": "the embedding model",
    "chunker": "how documents are cut",
    "retrieval": "the search",
    "content": "the content",
    "set": "the questions",
}
RECIPE = ("space", "chunker", "retrieval")


def verdict(found: SetEvaluated) -> str:
    """What the latest evaluation is against its baseline, in one or two sentences."""
    moved = _listed([MOVED[name] for name in found.moved])
    if found.state == "baseline":
        return "This is the baseline: later evaluations are compared with it."
    if found.state == "drift":
        return (
            f"No loss of ours: against the baseline only {moved} changed."
            if moved
            else "Nothing changed against the baseline."
        )
    recipe = _listed([MOVED[name] for name in found.moved if name in RECIPE])
    if found.state == "held":
        return f"Quality held: {recipe} changed, and no measure that counts fell."
    fell = [
        f"“{METRICS[one.metric][0]}” from {one.before:.3f} to {one.after:.3f}" for one in found.gated if one.has_fallen
    ]
    return f"Quality was lost: {recipe} changed, and over {plural(found.pairs, 'question')} fell {_listed(fell)}."


def _listed(words: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1]))) if words else ""


def figures(found: SetEvaluated) -> list[tuple[str, str, str, str]]:
    """The main numbers of the search that people use, as tiles."""
    known = _known(found.metrics)
    shown = []
    for metric in (*MAIN, LATENCIES[1]):
        line = known.get((MODES[0], ALL, metric))
        if line is not None:
            name, meaning = METRICS[metric]
            low, high = (_number(metric, one) for one in (line.low, line.high))
            shown.append((name, _number(metric, line.value), f"{low} to {high}", f"{metric}: {meaning}"))
    return shown


def by_search(found: SetEvaluated) -> str:
    """A table of every measure, the searches side by side."""
    known = _known(found.metrics)
    modes = [mode for mode in MODES if (mode, ALL, MAIN[0]) in known]
    columns = [Column("measure"), *(Column(SEARCHES[mode], "number") for mode in modes)]
    rows = [
        ((METRICS[metric][0], METRICS[metric][1]), *(_cell(known.get((mode, ALL, metric))) for mode in modes))
        for metric in METRICS
        if (MODES[0], ALL, metric) in known
    ]
    return table(columns, rows)


def meanings() -> str:
    """What each measure is, as Markdown."""
    return "\n".join(f"- **{name}** (`{metric}`): {meaning}" for metric, (name, meaning) in METRICS.items())


def by_type(found: SetEvaluated, metric: str) -> str:
    """A table of one measure, a row for each type of question, the searches side by side."""
    known = _known(found.metrics)
    modes = [mode for mode in MODES if (mode, ALL, metric) in known]
    columns = [
        Column("type of question"),
        Column("asked", "number"),
        *(Column(SEARCHES[mode], "number") for mode in modes),
    ]
    rows = []
    for kind in dict.fromkeys(line.question_type for line in found.metrics):
        cells = [known.get((mode, kind, metric)) for mode in modes]
        asked = next((line.questions for line in cells if line is not None), 0)
        if asked:
            rows.append(("all together" if kind == ALL else kind, asked, *map(_cell, cells)))
    return table(columns, rows)


def gated(found: SetEvaluated) -> str:
    """A table of the measures that decide, before and now, over the questions of both evaluations."""
    columns = [
        Column("measure"),
        *(Column(name, "number") for name in ("before", "now", "difference")),
        Column("", "badge"),
    ]
    rows = [
        (
            METRICS[one.metric][0],
            f"{one.before:.3f}",
            f"{one.after:.3f}",
            (f"{one.difference:+.3f} ({one.low:+.3f} to {one.high:+.3f})", "95 % interval of the difference"),
            ("fell" if one.has_fallen and found.state == "regression" else ""),
        )
        for one in found.gated
    ]
    return table(columns, rows)


def gone(found: SetEvaluated) -> str:
    """A table of questions that lost gold."""
    columns = [Column("question"), Column("what became of it"), Column("why")]
    rows = [
        ((one.question, one.question_id), "skipped" if one.is_skipped else "asked for the rest", "; ".join(one.reasons))
        for one in found.gone
    ]
    return table(columns, rows)


def ranks(ranks: Iterable[int]) -> str:
    """Ranks of the golds of a question, a dash for what is not among the results."""
    return ", ".join(str(rank) if rank else "–" for rank in ranks)


def change(one: RankChangeLine) -> str:
    """How the ranks of a question changed, without its words."""
    return f"{'▼' if one.is_worse else '▲'} {ranks(one.before)} → {ranks(one.after)}"


def history(past: Sequence[PastLine]) -> dict[str, Any]:
    """A Vega-Lite chart of the main measures over evaluations, with a mark where the recipe changed."""
    points, marks = [], []
    for number, one in enumerate(past, start=1):
        when = at(one.evaluated_at)
        points += [
            {"evaluation": number, "measure": METRICS[name][0], "value": one.metrics[name], "when": when}
            for name in CHARTED
            if name in one.metrics
        ]
        recipe = [MOVED[name] for name in one.moved if name in RECIPE]
        if recipe:
            marks.append({"evaluation": number, "changed": _listed(recipe), "when": when})
    x = {"field": "evaluation", "type": "ordinal", "title": None, "axis": {"labelAngle": 0}}
    tips = [{"field": name, "type": "nominal"} for name in ("when", "changed")]
    line = {
        "data": {"values": points},
        "mark": {"type": "line", "point": True, "strokeWidth": 2},
        "encoding": {
            "x": x,
            "y": {"field": "value", "type": "quantitative", "title": None, "scale": {"domain": [0, 1]}},
            "color": {
                "field": "measure",
                "type": "nominal",
                "title": None,
                "legend": {"orient": "top", "symbolType": "stroke"},
            },
            "strokeDash": {"field": "measure", "type": "nominal", "legend": None},
            "tooltip": [{"field": name, "type": "nominal"} for name in ("when", "measure", "value")],
        },
    }
    rule = {
        "data": {"values": marks},
        "mark": {"type": "rule", "strokeDash": [4, 4], "strokeWidth": 2, "color": "#d97706"},
        "encoding": {"x": x, "tooltip": tips},
    }
    return {"height": 260, "layer": [rule, line] if marks else [line]}


def changes_of(past: Sequence[PastLine]) -> list[str]:
    """What changed in the recipe, and at which evaluation: the marks of the chart in words."""
    return [
        f"{number}: {_listed([MOVED[name] for name in one.moved if name in RECIPE])}"
        for number, one in enumerate(past, start=1)
        if set(one.moved) & set(RECIPE)
    ]


def _known(lines: Iterable[MetricLine]) -> Mapping[tuple[str, str, str], MetricLine]:
    return {(line.mode, line.question_type, line.metric): line for line in lines}


def _cell(line: MetricLine | None) -> tuple[str, str]:
    if line is None:
        return "·", ""
    low, high = (_number(line.metric, one) for one in (line.low, line.high))
    return (
        f"{_number(line.metric, line.value)} ({low} to {high})",
        f"95 % interval over {plural(line.questions, 'question')}",
    )


def _number(metric: str, value: float) -> str:
    return f"{value:,.0f} ms" if metric in LATENCIES else f"{value:.2f}"
