"""What runs now, redrawn by itself: often while something works, seldom while nothing does. Used by several pages."""

from html import escape

import streamlit as st

from apps import reader
from apps.app_pages.frame import told
from apps.app_pages.marking import Column, badge, table
from apps.app_pages.wording import ago, at, count, lasting
from apps.views import LiveLine

WORKING_SECONDS, RESTING_SECONDS = 1.0, 4.0
MOST_DOCUMENTS = 10
_SEEN = "runs that were seen"


def live_now(corpus: str | None = None) -> None:
    """Runs that work, and those that did not end by themselves; the page is redrawn when work begins or ends.

    Args:
        corpus: only its runs; None shows all.
    """
    with told():
        lines = _lines(corpus)
        is_working = any(line.is_working for line in lines)
        st.session_state[_SEEN] = _seen(lines)
        st.fragment(_drawn, run_every=WORKING_SECONDS if is_working else RESTING_SECONDS)(corpus)


def _lines(corpus: str | None) -> tuple[LiveLine, ...]:
    return tuple(line for line in reader.live() if corpus in (None, line.corpus))


def _drawn(corpus: str | None) -> None:
    with told():
        lines = _lines(corpus)
        if _seen(lines) != st.session_state.get(_SEEN):
            st.rerun()  # the whole page: what a run changed is on it, and the rhythm may be another
        shown = [line for line in lines if line.is_working or line.next_step]
        if not shown:
            ended = max((line.heartbeat_at for line in lines), default=None)
            told_last = f"The last run ended {ago(ended)}." if ended else "Nothing has run yet."
            st.caption(f":material/pause_circle: Nothing runs now. {told_last}")
        for line in shown:
            with st.container(border=True):
                _run(line)


def _seen(lines: tuple[LiveLine, ...]) -> tuple[object, ...]:
    """What tells that a run began or ended, however short it was."""
    return tuple((line.shard, line.started_at, line.state) for line in lines)


def _run(line: LiveLine) -> None:
    st.html(
        f'<div class="cx-hit-head"><span class="cx-hit-title">{escape(line.shard)}</span>{badge(line.state)}'
        f'<span class="cx-quiet" title="{at(line.started_at)}">started {ago(line.started_at)} by {escape(line.trigger)}</span>'
        f'<span class="cx-quiet" title="{at(line.heartbeat_at)}">last sign of life {ago(line.heartbeat_at)}</span></div>'
    )
    if line.is_working:
        st.progress(line.share, text=_pace(line))
        if line.documents:
            rows = [(d.path, d.stage, (ago(d.since), at(d.since))) for d in line.documents[:MOST_DOCUMENTS]]
            st.html(table([Column("document at work", "code"), Column("stage"), Column("since", "time")], rows))
            if len(line.documents) > MOST_DOCUMENTS:
                st.caption(f"and {len(line.documents) - MOST_DOCUMENTS} more")
        return
    st.text(
        line.reason or f"stopped in stage {line.stage or 'none'}, {count(line.done)} of {count(line.total)} {line.unit}"
    )
    st.caption(line.next_step)


def _pace(line: LiveLine) -> str:
    if not line.stage:
        return "beginning"
    left = "" if line.seconds_left is None else f", about {lasting(line.seconds_left)} left"
    return f"{line.stage}: {count(line.done)} of {count(line.total)} {line.unit}{left}"
