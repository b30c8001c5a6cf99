"""Runs: how the data goes through each corpus, what works now, and what past runs did and cost."""

from html import escape

import streamlit as st

from apps import reader
from apps.app_pages.frame import heading, told
from apps.app_pages.live_now import live_now
from apps.app_pages.marking import Column, badge, lineage_picture, table
from apps.app_pages.wording import ago, at, brief, count, lasting, plain
from apps.views import Lineage, RunLine

ON_A_PAGE = 15
MOST_SHARDS = 64
STATUSES = ("ok", "partial", "failed", "interrupted")
_ICONS = {
    "ok": ":green[:material/check_circle:]",
    "partial": ":orange[:material/error:]",
    "failed": ":red[:material/cancel:]",
    "interrupted": ":orange[:material/power_off:]",
}


def page() -> None:
    """Draw it."""
    heading("Runs")
    with told():
        _dagster()
        live_now()
        _lineage()
        _history()


def _dagster() -> None:
    service = reader.dagster()
    if service.url:
        st.link_button("Open the Dagster UI", service.url, icon=":material/open_in_new:")
    else:
        st.caption(f"The Dagster UI is not up; `{service.how}` starts it.")


def _lineage() -> None:
    st.subheader("From files to the index", anchor=False)
    with told():
        found = reader.lineage()
        if not found:
            st.caption("No corpus is here yet.")
        for lineage in found:
            with st.container(border=True):
                states = "".join(_state(lineage, *pair) for pair in lineage.shards[:MOST_SHARDS])
                st.html(
                    f'<div class="cx-hit-head"><span class="cx-hit-title">{escape(lineage.corpus)}</span>'
                    f"{'' if lineage.is_listed else badge('paused')}"
                    f'<span class="cx-quiet">{len(lineage.shards)} shard{"s" if len(lineage.shards) != 1 else ""}</span>'
                    f"{states}</div>{lineage_picture(lineage)}"
                )


def _state(lineage: Lineage, shard: str, state: str) -> str:
    """What a shard is at, where there is something to say."""
    name = "" if shard == lineage.corpus else f" {escape(shard)}"
    return "" if state in ("ended", "never run") else f"<span>{badge(state)}{name}</span>"


def _history() -> None:
    st.subheader("Past runs", anchor=False)
    with told():
        names = [corpus.name for corpus in reader.status().corpora]
        with st.container(horizontal=True, vertical_alignment="bottom"):
            corpus = st.selectbox("Corpus", names, None, key="runs-corpus", placeholder="every corpus", width=240)
            status = st.segmented_control("Result", STATUSES, key="runs-status")
        first = reader.runs(corpus, status, ON_A_PAGE, 0)
        pages = max(1, -(-first.total // ON_A_PAGE))
        number = 1
        if pages > 1:
            number = int(
                st.number_input(f"Page, 1 to {pages}", 1, pages, 1, key=f"runs-page-{corpus}-{status}", width=160)
            )
        found = first if number == 1 else reader.runs(corpus, status, ON_A_PAGE, (number - 1) * ON_A_PAGE)
        if not found.runs:
            st.caption(
                "No run fits."
                if corpus or status
                else "No run has done anything yet; one that finds nothing to do leaves no row."
            )
        for run in found.runs:
            _run(run)


def _run(run: RunLine) -> None:
    label = (
        f"{_ICONS.get(run.status, '')} **{plain(run.shard)}** · {ago(run.started_at)} · {lasting(run.seconds)} · "
        f"{brief(run.tokens)} tokens · {brief(run.rows)} rows"
    )
    with st.expander(label):
        if run.reason:
            st.text(run.reason)
        columns = [
            Column("stage"),
            Column("result", "badge"),
            *(
                Column(title, "number")
                for title in ("took", "new", "changed", "deleted", "failed", "left", "rows", "tokens", "calls")
            ),
        ]
        rows = [
            (
                (stage.stage, stage.reason),
                stage.status,
                lasting(stage.seconds),
                stage.new,
                stage.changed,
                stage.deleted,
                stage.failed,
                stage.remaining,
                stage.rows,
                stage.tokens,
                stage.calls,
            )
            for stage in run.stages
        ]
        st.html(table(columns, rows))
        st.caption(f"run {run.run_id} · started by {run.trigger} at {at(run.started_at)} · {count(run.failed)} failed")


if __name__ == "__main__":
    page()
