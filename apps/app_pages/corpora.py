"""Corpora: files and why some failed, adding files, running, pausing, retrying, and deletes that wait for a person."""

import streamlit as st

from apps import actions, reader
from apps.app_pages.adding import drop_area, two_ways
from apps.app_pages.file_list import file_list
from apps.app_pages.frame import heading, say_next, told
from apps.app_pages.live_now import live_now
from apps.app_pages.marking import badge
from apps.app_pages.wording import ago, at, count, plain, plural
from apps.reports import CorpusStatus, Withheld

_ASKED = "asked to confirm"


def page() -> None:
    """Draw it."""
    heading("Corpora")
    with told():
        corpora = list(reader.status().corpora)
        if not corpora:
            two_ways()
            drop_area(corpora)
            live_now()
            return
        names = [corpus.name for corpus in corpora]
        name = st.selectbox("Corpus", names, key="corpus", bind="query-params")
        corpus = next(one for one in corpora if one.name == name)
        with st.expander("Add files", icon=":material/upload_file:"):
            drop_area(corpora, corpus.name)
        _standing(corpus)
        if corpus.withheld is not None:
            _withheld(corpus.withheld)
        live_now(corpus.name)
        file_list(corpus)


def _standing(corpus: CorpusStatus) -> None:
    state = corpus.freshness if corpus.is_listed else "paused"
    with st.container(border=True):
        st.html(
            f'<div class="cx-hit-head">{badge(state)}'
            f'<span title="{at(corpus.last_scan)}">listed {ago(corpus.last_scan)}</span>'
            f'<span title="{at(corpus.last_run)}">published {ago(corpus.last_run)}</span></div>'
            f'<div class="cx-quiet">{plural(corpus.file_count, "file")}, {count(corpus.not_ok)} not ok · '
            f"{plural(corpus.documents, 'document')} · {plural(corpus.chunks, 'chunk')} · "
            f"{plural(corpus.points, 'point')} in the index</div>"
        )
        owner = f" · on machine {plain(corpus.machine)}" if corpus.machine else ""
        st.caption(f"{corpus.kind} · {plain(corpus.uri)}{owner}")
        if corpus.migration:
            st.caption(f":material/swap_horiz: {plain(corpus.migration)}")
        with st.container(horizontal=True):
            _buttons(corpus)


def _buttons(corpus: CorpusStatus) -> None:
    if st.button(
        "Run now", icon=":material/play_arrow:", type="primary", disabled=not (corpus.is_listed and corpus.is_here)
    ):
        with told():
            requested = actions.request_run([corpus.name])
            say_next(f"A run was asked for ({requested.how}).")
            st.rerun()
    if st.button(
        "Retry what failed",
        icon=":material/replay:",
        disabled=not (corpus.not_ok and corpus.is_listed and corpus.is_here),
    ):
        with told():
            retried = actions.retry(corpus.name)
            actions.request_run([corpus.name])
            say_next(f"Due again: {plural(retried.keys, 'step')}. A run was asked for.")
            st.rerun()
    if corpus.is_listed:
        if st.button("Pause", icon=":material/pause:", help="Do not list it any more; what is known of it stays"):
            with told():
                actions.remove(corpus.name)
                say_next("The corpus is paused: kept and searched, not listed any more.")
                st.rerun()
    elif st.button("Resume", icon=":material/play_circle:", help="List it again"):
        with told():
            actions.resume(corpus.name)
            say_next("The corpus is listed again; the next run takes up what changed.")
            st.rerun()


def _withheld(withheld: Withheld) -> None:
    """Deletes that the guard holds back: why, how many, and two clicks to let them through."""
    with st.container(border=True):
        st.markdown(f":orange[:material/front_hand:] **{count(withheld.files)} deletes are withheld**")
        st.text(withheld.reason)
        st.caption(f"Scan {withheld.scan_id}. Until you confirm, everything of these files stays and is found.")
        if st.session_state.get(_ASKED) != withheld.scan_id:
            if st.button(f"Delete what vanished ({count(withheld.files)} files)…", icon=":material/delete:"):
                st.session_state[_ASKED] = withheld.scan_id
                st.rerun()
            return
        st.text(
            f"Rows, passages and points of {count(withheld.files)} files will be deleted. Are they meant to be gone?"
        )
        with st.container(horizontal=True):
            if st.button("Yes, delete them", icon=":material/delete_forever:", type="primary"):
                with told():
                    confirmed = actions.confirm(withheld.scan_id)
                    actions.request_run([confirmed.corpus])
                    st.session_state.pop(_ASKED)
                    say_next(f"{plural(confirmed.files, 'delete')} confirmed; a run applies them.")
                    st.rerun()
            if st.button("No, keep them"):
                st.session_state.pop(_ASKED)
                st.rerun()


if __name__ == "__main__":
    page()
