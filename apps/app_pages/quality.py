"""Quality: how well search finds what golden sets ask for, what changed, whether something was lost; and candidates for more questions."""

import streamlit as st

from apps import actions, reader
from apps.app_pages import measures
from apps.app_pages.frame import heading, say_next, told
from apps.app_pages.live_now import live_now
from apps.app_pages.marking import hit_card, tiles
from apps.app_pages.proposals import proposals
from apps.app_pages.wording import ago, at, plain, plural
from apps.evaluation_reports import REGRESSION, QualityReport, RankChangeLine, SetEvaluated

AT_WORK = "global.evaluations"
"""What an evaluation calls itself where it says how far it is."""
MOST_CHANGES, HITS_SHOWN = 12, 5
_STATES = {
    "baseline": (st.info, ":material/flag:"),
    "drift": (st.info, ":material/waves:"),
    "held": (st.success, ":material/verified:"),
    REGRESSION: (st.error, ":material/trending_down:"),
}


def page() -> None:
    """Draw it."""
    heading(
        "Quality", "How well search finds what your golden questions ask for, and what changed since it was found good."
    )
    sets, candidates = st.tabs(["Golden sets", "Candidates"], key="quality-tab", on_change="rerun")
    if sets.open:
        with sets, told():
            with st.spinner("Reading…"):
                report = reader.quality()
            _sets(report)
    if candidates.open:
        with candidates, told():
            proposals()


def _sets(report: QualityReport) -> None:
    for problem in report.problems:
        with st.container(border=True):
            st.markdown(":orange[:material/warning:] **A golden set cannot be used**")
            st.text(problem)
    if not report.sets and not report.waiting:
        _none(report)
        return
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        told_last = max((one.evaluated_at for one in report.sets if one.evaluated_at is not None), default=None)
        st.caption(f"Last evaluated {ago(told_last)}. Nothing is asked where nothing moved.")
        is_at_work = any(line.is_working for line in reader.live() if line.shard == AT_WORK)
        if st.button(
            "Evaluate now",
            icon=":material/play_arrow:",
            type="primary",
            disabled=is_at_work,
            help="Ask every golden question",
        ):
            with told():
                actions.request_evaluation()
                say_next("The golden questions are being asked; what comes of it is shown here.")
                st.rerun()
    live_now(AT_WORK)
    for name in report.waiting:
        st.text(f"{name} was not evaluated yet.")
    if not report.sets:
        return
    sets = sorted(report.sets, key=lambda one: (one.state != REGRESSION, one.name))
    names = [one.name for one in sets]
    chosen = (
        st.segmented_control("Golden set", names, default=names[0], key="golden-set") if len(names) > 1 else names[0]
    )
    _set(next((one for one in sets if one.name == chosen), sets[0]))


def _none(report: QualityReport) -> None:
    st.info(
        "There is no golden set yet. A golden set is a file with questions and the passages that answer them: write one, "
        "or accept candidates, which come from what you liked in a search and from headings.",
        icon=":material/flag:",
    )
    st.caption("Golden sets lie in this folder; docs/evaluation.md shows what one looks like.")
    st.code(report.folder, language=None)


def _set(found: SetEvaluated) -> None:
    asked = max((line.questions for line in found.metrics), default=0)
    st.subheader(plain(found.name), anchor=False)
    st.caption(
        f"version {found.version} · {plural(asked, 'question')} asked · {ago(found.evaluated_at)}",
        help=at(found.evaluated_at),
    )
    box, icon = _STATES.get(found.state, _STATES["drift"])
    box(measures.verdict(found), icon=icon)
    st.html(tiles(measures.figures(found)))
    st.caption("Below each number: where it lies with 95 % certainty, over questions like these.")
    if found.state != "baseline" and st.button(
        "Compare with this from now on",
        key=f"accept-{found.name}",
        icon=":material/flag:",
        help="Takes the present quality as the baseline",
    ):
        with told():
            actions.accept_evaluation(found.name)
            say_next("Accepted: later evaluations are compared with this one.")
            st.rerun()
    _history(found)
    _compared(found)
    if found.gone:
        st.subheader("Gold that is not there", anchor=False)
        skipped = sum(one.is_skipped for one in found.gone)
        st.caption(f"Of {plural(len(found.gone), 'question')}, {skipped} skipped. Name other passages, or remove them.")
        st.html(measures.gone(found))
    _numbers(found)


def _compared(found: SetEvaluated) -> None:
    if found.gated:
        st.subheader("Against the baseline", anchor=False)
        st.caption(f"evaluated {ago(found.baseline_at)}, over the {plural(found.pairs, 'question')} of both")
        st.html(measures.gated(found))
    if found.changes:
        worse = sum(one.is_worse for one in found.changes)
        st.caption(
            f"{plural(len(found.changes), 'question')} changed rank, {worse} for the worse (– where an answer is not found):"
        )
    for change in found.changes[:MOST_CHANGES]:
        _change(found.name, change)
    if len(found.changes) > MOST_CHANGES:
        st.caption(f"and {len(found.changes) - MOST_CHANGES} more: `cortex eval --changes` lists them")


def _change(name: str, change: RankChangeLine) -> None:
    label = f"{measures.change(change)} · {plain(change.question[:160])}"
    opened = st.expander(label, key=f"change-{name}-{change.question_id}", type="compact", on_change="rerun")
    if not opened.open:
        return
    with opened, told():
        with st.spinner("Searching…"):
            now = reader.asked_now(name, change.question_id)
        st.caption("What answers it:")
        for gold in now.golds:
            st.text(
                f"{gold.place}: {gold.begins}{' … ' if gold.ends else ''}{gold.ends}" if gold.begins else gold.place
            )
        st.caption(f"What is shown now (the first {HITS_SHOWN}):")
        for hit in now.response.hits[:HITS_SHOWN]:
            with st.container(border=True):
                st.html(hit_card(hit))


def _numbers(found: SetEvaluated) -> None:
    st.subheader("The search and its halves", anchor=False)
    st.html(measures.by_search(found))
    with st.expander("What the measures are"):
        st.markdown(measures.meanings())
    st.subheader("By type of question", anchor=False)
    metric = st.segmented_control(
        "Measure",
        list(measures.METRICS),
        default=measures.MAIN[1],
        key=f"measure-{found.name}",
        format_func=lambda name: measures.METRICS[name][0],
        label_visibility="collapsed",
    )
    st.html(measures.by_type(found, metric or measures.MAIN[1]))


def _history(found: SetEvaluated) -> None:
    st.subheader("Over time", anchor=False)
    if len(found.history) < 2:
        st.caption("One evaluation so far. The next one that differs is drawn beside it.")
        return
    told_marks = measures.changes_of(found.history)
    st.vega_lite_chart(
        spec=measures.history(found.history), alt=f"measures over {plural(len(found.history), 'evaluation')}"
    )
    st.caption(
        "Dashed: something of ours changed. " + "; ".join(told_marks)
        if told_marks
        else "Nothing of ours changed so far."
    )


if __name__ == "__main__":
    page()
