"""Overview: what runs now, how fresh each corpus is, what grew, what checks found, what the last runs cost."""

from collections.abc import Mapping

import streamlit as st

from apps import actions, reader
from apps.app_pages.adding import drop_area, two_ways
from apps.app_pages.frame import heading, say_next, told
from apps.app_pages.live_now import live_now
from apps.app_pages.marking import Column, table, tiles
from apps.app_pages.wording import ago, at, brief, count, lasting
from apps.reports import CorpusStatus

CHECKS_SHOWN = 12
RUNS_SHOWN = 6
_PLACES = {
    "bronze/files": "Files",
    "bronze/documents": "Documents",
    "silver/chunks": "Chunks",
    "silver/embeddings": "Vectors",
}


def page() -> None:
    """Draw it."""
    heading("Overview")
    with told():
        corpora = list(reader.status().corpora)
        if not corpora:
            two_ways()
            drop_area(corpora)
        else:
            with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
                st.subheader("Now", anchor=False)
                if st.button("Run all", icon=":material/play_arrow:", help="Bring every corpus up to date"):
                    _run_all()
        live_now()
        if corpora:
            _growth()
            _corpora(corpora)
            left, right = st.columns(2, gap="large")
            with left:
                _checks()
            with right:
                _runs()


def _run_all() -> None:
    requested = actions.request_run(None)
    say_next(f"A run was asked for ({requested.how}).")
    st.rerun()


def _growth() -> None:
    with told():
        figures = []
        for line in reader.growth():
            grown = "" if line.grown is None else f"{line.grown:+,} in a day" if line.grown else "as a day ago"
            hint = f"rows of {line.name}, version {line.version}"
            figures.append((_PLACES.get(line.name, line.name), count(line.rows), grown, hint))
        st.html(tiles(figures))


def _corpora(corpora: list[CorpusStatus]) -> None:
    st.subheader("Corpora", anchor=False)
    columns = [
        Column("corpus"),
        Column("state", "badge"),
        Column("files", "number"),
        Column("not ok", "number"),
        Column("chunks", "number"),
        Column("in the index", "number"),
        Column("listed", "time"),
        Column("published", "time"),
    ]
    is_shared = any(corpus.machine for corpus in corpora)
    if is_shared:
        columns.append(Column("machine"))
    at_work = {line.corpus: line.state for line in reader.live() if line.is_working or line.next_step}
    rows = [
        (
            (corpus.name, corpus.uri),
            _state(corpus, at_work),
            corpus.file_count,
            corpus.not_ok,
            corpus.chunks,
            corpus.points,
            (ago(corpus.last_scan), at(corpus.last_scan)),
            (ago(corpus.last_run), at(corpus.last_run)),
            *([corpus.machine] if is_shared else []),
        )
        for corpus in corpora
    ]
    st.html(table(columns, rows))
    held = [corpus for corpus in corpora if corpus.withheld]
    for corpus in held:
        if corpus.withheld:
            st.warning(
                f"{count(corpus.withheld.files)} deletes of a corpus are withheld until you confirm them: see Corpora.",
                icon=":material/front_hand:",
            )


def _state(corpus: CorpusStatus, at_work: Mapping[str, str]) -> str:
    """What most needs to be known of a corpus."""
    if not corpus.is_listed:
        return "paused"
    if corpus.name in at_work and not corpus.withheld:
        return at_work[corpus.name]
    return corpus.freshness


def _checks() -> None:
    st.subheader("Checks", anchor=False)
    with told():
        lines = reader.checks()
        if not lines:
            st.caption(
                "No check has left a result yet. `cortex verify` compares every table and index with its source."
            )
            return
        bad = [line for line in lines if not line.is_passed]
        latest = max(line.checked_at for line in lines)
        deep = max((line.checked_at for line in lines if line.scope == "deep"), default=None)
        st.caption(
            f"{len(lines) - len(bad)} of {len(lines)} pass, checked {ago(latest)}; "
            f"everything read and compared: {ago(deep)} (`cortex verify`)"
        )
        if not bad:
            st.markdown(":green[:material/verified:] Tables and index agree with their sources.")
        columns = [
            Column("shard"),
            Column("check"),
            Column("result", "badge"),
            Column("findings", "number"),
            Column("what"),
        ]
        rows = [
            (
                line.shard,
                f"{line.asset}: {line.check}",
                "failed" if not line.is_passed else "ok",
                line.findings,
                (line.detail, f"{line.scope}, {at(line.checked_at)}"),
            )
            for line in (bad or lines)[:CHECKS_SHOWN]
        ]
        if bad:
            st.html(table(columns, rows))
        else:
            with st.expander("All checks"):
                st.html(table(columns, rows))


def _runs() -> None:
    st.subheader("Latest runs", anchor=False)
    with told():
        found = reader.runs(limit=RUNS_SHOWN)
        if not found.runs:
            st.caption("No run has done anything yet.")
            return
        columns = [
            Column("began", "time"),
            Column("shard"),
            Column("result", "badge"),
            Column("took", "number"),
            Column("tokens", "number"),
            Column("rows", "number"),
        ]
        rows = [
            (
                (ago(run.started_at), at(run.started_at)),
                run.shard,
                (run.status, run.reason),
                lasting(run.seconds),
                brief(run.tokens),
                brief(run.rows),
            )
            for run in found.runs
        ]
        st.html(table(columns, rows))


if __name__ == "__main__":
    page()
