"""Thumbs at a result, and what was opened: noted after the answer stands, so that a search neither waits nor breaks for it.

What could not be written is kept, said, and written with the next click.
"""

import logging
from datetime import UTC, datetime

import streamlit as st

from apps import actions
from apps.errors import explain, is_expected
from apps.evaluation_reports import Click
from apps.search_reports import Hit

log = logging.getLogger(__name__)
OPENED = "opened"
_THUMBS = {0: "thumb_down", 1: "thumb_up", None: "withdrawn"}
_WAITING, _CLICKED = "clicks to note", "thumb that was clicked"


def thumbs(question: str, hit: Hit) -> None:
    """Draw both thumbs; a click redraws nothing else."""
    st.fragment(_drawn)(question, hit)


def _drawn(question: str, hit: Hit) -> None:
    key = f"thumb-{hit.chunk_id}-{question}"
    st.feedback("thumbs", key=key, on_change=_thumbed, args=(key, question, hit))
    if st.session_state.get(_CLICKED) == key:
        del st.session_state[_CLICKED]
        write_noted()


def _thumbed(key: str, question: str, hit: Hit) -> None:
    st.session_state[_CLICKED] = key
    note_click(question, hit, _THUMBS[st.session_state.get(key)])


def note_click(question: str, hit: Hit, how: str) -> None:
    """Keep a click until ``write_noted``."""
    click = Click(question, how, hit.document_id, hit.chunk_id, hit.start_char, hit.end_char, datetime.now(UTC))
    st.session_state.setdefault(_WAITING, []).append(click)


def write_noted() -> None:
    """Write down the clicks that wait; where that fails they wait on, and it is said."""
    waiting = tuple(st.session_state.get(_WAITING, ()))
    if not waiting:
        return
    try:
        noted = actions.note_clicks(waiting)
    except Exception as error:
        if not is_expected(error):
            log.exception("clicks could not be noted")
        said = explain(error)
        st.caption(":material/warning: Your click is not noted yet; the next one takes it along.")
        st.text(" ".join(part for part in (said.what, said.where, said.remedy) if part))
        return
    st.session_state[_WAITING] = st.session_state.get(_WAITING, [])[len(waiting) :]
    if noted.gone:
        st.caption(":material/info: That document is not there any more: search again.")
