"""The answer above the results: sentences of the sources with their citations, documents side by side, or that none answers."""

from collections.abc import Callable

import streamlit as st

from apps.app_pages.marking import answer_head, evidence
from apps.app_pages.wording import plural
from apps.search_reports import AnswerReport, Hit

SIDE_BY_SIDE = 2
"""Documents in a row."""


def address_of(quote: Hit) -> str:
    """What the page's address calls a quote that is opened."""
    return f"{quote.chunk_id}-{quote.start_char}"


def answer_panel(answer: AnswerReport, on_open: Callable[[str], None]) -> None:
    """Draw it.

    Args:
        answer: to the question.
        on_open: called with ``address_of`` a quote whose source is wanted.
    """
    with st.container(border=True, key="answer-panel"):
        st.html(answer_head(answer))
        if not answer.quotes:
            st.info(
                "No support: nothing in the corpora answers this. The nearest passages are below.",
                icon=":material/help:",
            )
        documents = answer.documents
        for first in range(0, len(documents), SIDE_BY_SIDE):
            row = documents[first : first + SIDE_BY_SIDE]
            for column, quotes in zip(st.columns(len(row), border=len(documents) > 1), row, strict=True):
                with column:
                    _document(quotes, on_open)
        if answer.left_out:
            st.caption(f"{plural(answer.left_out, 'sentence')} left out: the stored text does not bear them out.")


def _document(quotes: tuple[Hit, ...], on_open: Callable[[str], None]) -> None:
    st.html(evidence(quotes))
    with st.container(horizontal=True):
        for quote in quotes:
            st.button(
                f"Open {quote.rank}",
                key=f"open-quote-{quote.rank}",
                icon=":material/open_in_full:",
                help=f"Open the source of sentence {quote.rank} at its place",
                on_click=on_open,
                args=(address_of(quote),),
            )
