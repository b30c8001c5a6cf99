"""Models: which engines serve which purpose, how they stand, what they did in the last 24 hours, and which lane a text goes to."""

from html import escape

import streamlit as st

from apps import actions, reader
from apps.app_pages import lane_figures as drawn
from apps.app_pages.frame import heading, say_next, told
from apps.app_pages.marking import badge, tiles
from apps.app_pages.wording import at, plain, plural
from apps.lane_reports import UNUSABLE, EngineLine, LaneLine, LanesReport

ALL = "all lanes"


def page() -> None:
    """Draw it."""
    heading("Models", "Which models answer for which purpose, how they stand, and what they did in the last 24 hours.")
    found: list[LanesReport] = []
    with told():
        found.append(reader.lanes())
    if not found:
        st.caption("Until this is mended no model that this file names is asked. What is in the lake stays as it is.")
        with st.expander("What the file may look like"):
            st.code(drawn.EXAMPLE, language="yaml")
        return
    (report,) = found
    if not report.has_generator:
        _none(report)
    else:
        for engine in drawn.troubled(report):
            _trouble(engine)
        st.html(tiles(drawn.figures(report)))
        _lanes(report)
        _day(report)
    _route()


def _none(report: LanesReport) -> None:
    st.info(
        "No model that writes text is named here. Everything works without one: search, and answers in the sources' own "
        "sentences.",
        icon=":material/check_circle:",
    )
    where = "This file names no engine that generates" if report.is_declared else "To name one, write this file"
    st.caption(f"{where}; docs/configuration.md says what may stand in it.")
    st.code(report.file, language=None)
    st.caption("An example: a server of yours, and the packaged small model where it does not answer.")
    st.code(drawn.EXAMPLE, language="yaml")


def _trouble(engine: EngineLine) -> None:
    with st.container(border=True, key=f"trouble-{engine.name}"):
        with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
            st.markdown(f":orange[:material/warning:] **{plain(engine.name)}** {drawn.trouble(engine)}")
            if engine.state != UNUSABLE and st.button(
                "Try it again now",
                key=f"reset-{engine.name}",
                icon=":material/refresh:",
                help="Ends the pause: the next call asks it",
            ):
                with told():
                    actions.reset_breaker(engine.name)
                    say_next(f"{plain(engine.name)} is asked again, from the next call on.")
                    st.rerun()
        st.text(engine.why)


def _lanes(report: LanesReport) -> None:
    st.subheader("Lanes", anchor=False)
    for lane in report.lanes:
        if lane.engines:
            _lane(lane)
    for sentence in drawn.without_engines(report):
        st.caption(plain(sentence))


def _lane(lane: LaneLine) -> None:
    with st.container(border=True):
        st.html(
            f'<div class="cx-hit-head"><span class="cx-hit-title">{escape(lane.name)}</span>'
            f'<span class="cx-quiet">{escape(lane.purpose)}</span></div>{drawn.engines(lane)}'
        )
        for budget in lane.budgets:
            share, said = drawn.budget(budget)
            st.progress(share, text=said)
        if lane.run_budget:
            st.caption(f"Budget of a run: {lane.run_budget}.")


def _day(report: LanesReport) -> None:
    st.subheader("Last 24 hours", anchor=False)
    st.html(drawn.day(drawn.shown(report)))
    if not report.hours:
        st.caption("No engine was asked.")
        return
    names = [lane.name for lane in report.lanes if drawn.hours_of(report, lane.name)]
    chosen = ALL
    if len(names) > 1:
        chosen = (
            st.segmented_control("Lane", [ALL, *names], default=ALL, key="lane", label_visibility="collapsed") or ALL
        )
    hours = drawn.hours_of(report, "" if chosen == ALL else chosen)
    asked, failed = sum(one.calls for one in hours), sum(one.failed for one in hours)
    left, right = st.columns(2)
    with left:
        st.caption("Calls by hour (UTC)")
        st.vega_lite_chart(
            spec=drawn.calls_chart(hours, report.read_at), alt=f"{plural(asked, 'call')} by hour, {failed} failed"
        )
    with right:
        st.caption("Seconds until the answer, by hour (UTC)")
        st.vega_lite_chart(
            spec=drawn.latency_chart(hours, report.read_at), alt="seconds of calls that succeeded, by hour"
        )
    st.caption(f"Calls of this machine, read at {at(report.read_at)}.")


def _route() -> None:
    st.subheader("Which lane would serve this text?", anchor=False)
    text = st.text_area(
        "Which lane would serve this text?",
        key="route-text",
        height=100,
        placeholder="A question, a task, a piece of code. No model is asked.",
        label_visibility="collapsed",
    )
    if not text.strip():
        return
    with told():
        found = reader.route(text)
        by = ", then ".join(found.engines)
        st.html(
            f'<div class="cx-hit-head">{badge(found.lane, "good" if found.engines else "calm")}'
            f'<span class="cx-quiet">about {plural(found.tokens, "token")} · '
            f"{escape(f'asked: {by}' if by else 'no generator is named, so nobody is asked')}</span></div>"
        )
        for reason in found.reasons:
            st.text(f"• {reason}")


if __name__ == "__main__":
    page()
