"""The app: seven pages over one lake. ``apps.app_server`` serves it; a page reads by ``apps.reader``, acts by ``apps.actions``."""

from pathlib import Path

import streamlit as st

from apps import reader

PAGES = Path(__file__).parent / "app_pages"
ICON = Path(__file__).parent / "icon.svg"
"""Ours: one of Streamlit's named icons would be fetched from the network."""


def main() -> None:
    """Draw the frame, and the page that is asked for in it."""
    st.set_page_config(page_title="Cortex", page_icon=ICON, layout="wide")
    reader.stay_open()
    st.logo(str(ICON), size="medium")
    pages = [
        st.Page(PAGES / "overview.py", title="Overview", icon=":material/dashboard:", default=True),
        st.Page(PAGES / "search.py", title="Search", icon=":material/search:"),
        st.Page(PAGES / "corpora.py", title="Corpora", icon=":material/folder_open:"),
        st.Page(PAGES / "tables.py", title="Tables", icon=":material/table:"),
        st.Page(PAGES / "quality.py", title="Quality", icon=":material/speed:"),
        st.Page(PAGES / "models.py", title="Models", icon=":material/forum:"),
        st.Page(PAGES / "runs.py", title="Runs", icon=":material/account_tree:"),
    ]
    st.navigation(pages, position="top").run()


if __name__ == "__main__":
    main()
