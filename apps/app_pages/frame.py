"""What every page has: a heading, boxes for what went wrong (what, where, remedy), notices that outlive a rerun."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from apps.app_pages.marking import STYLE
from apps.errors import Explained, explain, is_expected

log = logging.getLogger(__name__)
_NOTICE = "notice"


def heading(title: str, told: str = "") -> None:
    """Begin a page: style, title, one line of what it is, and what the last action left to say."""
    st.html(STYLE)
    st.title(title, anchor=False)
    if told:
        st.caption(told)
    notice = st.session_state.pop(_NOTICE, None)
    if notice:
        st.success(notice, icon=":material/check_circle:")


def say_next(notice: str) -> None:
    """Say something after the next rerun: what an action did. Plain words, no text of a file."""
    st.session_state[_NOTICE] = notice


@contextmanager
def told() -> Iterator[None]:
    """Show an error of what is inside as what, where and remedy, never as a trace; the rest of the page goes on."""
    try:
        yield
    except Exception as error:
        if not is_expected(error):
            log.exception("a page met an error that nobody expected")
        error_box(explain(error))


def error_box(error: Explained) -> None:
    """What is wrong, where, and what to do."""
    with st.container(border=True):
        st.markdown(":red[:material/error:] **This did not work**")
        st.text(error.what)
        if error.where:
            st.text(error.where)
        if error.remedy:
            st.text(f"What to do: {error.remedy}")
