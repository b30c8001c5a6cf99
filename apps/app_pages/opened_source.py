"""A result opened at its place: the text with the chunk and the citation marked, or the page's picture."""

from collections.abc import Callable
from datetime import datetime
from html import escape

import streamlit as st

from apps import reader
from apps.app_pages.frame import told
from apps.app_pages.marking import badge, place_of, source_lines
from apps.app_pages.wording import plain
from apps.search_reports import Hit
from apps.views import SourceShown

AROUND = {"Near": 8, "More": 60, "All of it": 1_000_000}


def opened_source(hit: Hit, as_of: datetime | None, on_close: Callable[[], None]) -> None:
    """Show it over the page."""

    @st.dialog(plain(hit.title[:120]) or "Source", width="large", on_dismiss=on_close)
    def opened() -> None:
        with told():
            _drawn(hit, as_of)

    opened()


def _drawn(hit: Hit, as_of: datetime | None) -> None:
    around = st.segmented_control("Around the passage", list(AROUND), default="Near", key=f"around-{hit.chunk_id}")
    with st.spinner("Reading…"):
        source = reader.source(
            hit.corpus, hit.document_id, hit.chunk_id, hit.start_char, hit.end_char, AROUND[around or "Near"], as_of
        )
    st.html(
        f'<div class="cx-hit-head"><span class="cx-hit-place">{escape(place_of(hit))}</span>{badge(hit.citation)}</div>'
    )
    facts = [source.kind, source.language, source.place, source.parser]
    st.caption(" · ".join(plain(fact) for fact in facts if fact))
    if source.status != "ok":
        st.text(f"{source.status}: {source.reason}")
    if not source.picture_pages:
        _text(source)
    else:
        page, text = st.tabs(["Page", "Text"])
        with page:
            _pages(hit, source, as_of)
        with text:
            _text(source)
    if source.disk_path:
        st.caption("On this machine:")
        st.code(source.disk_path + (f"#page={source.pages[0]}" if source.pages else ""), language=None)


def _text(source: SourceShown) -> None:
    st.html(source_lines(source.lines, source.is_cut_above, source.is_cut_below))
    st.caption("Shaded: the passage as it is indexed. Marked: what is cited.")
    if source.picture_reason:
        st.caption(f"No picture of the page: {source.picture_reason}.")


def _pages(hit: Hit, source: SourceShown, as_of: datetime | None) -> None:
    pages = source.picture_pages
    page = pages[0] if len(pages) == 1 else st.segmented_control("Page", pages, default=pages[0]) or pages[0]
    with told(), st.spinner("Drawing the page…"):
        picture = reader.page_picture(hit.corpus, hit.document_id, page, as_of=as_of)
        st.image(picture, caption=f"Page {page}", width="stretch")
