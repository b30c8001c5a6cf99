"""Where files are dropped: into a corpus of the inbox or a new one, and a run for them. Used where there is room for it."""

import streamlit as st

from apps import actions
from apps.app_pages.frame import say_next, told
from apps.app_pages.marking import Column, table
from apps.app_pages.wording import plural
from apps.reports import CorpusStatus
from apps.views import DropReport

NEW = "a new corpus…"
LOOSE = "inbox"
_REPORT = "drop report"
_DROPPED = "drops so far"


def drop_area(corpora: list[CorpusStatus], chosen: str | None = None) -> None:
    """Take files, write them to the inbox, and start a run over them.

    Args:
        corpora: all that are registered; those that lie in the inbox are offered, Cortex writes nothing into others.
        chosen: the corpus that is offered first, if it is among them.
    """
    names = [corpus.name for corpus in corpora if corpus.takes_files and corpus.is_listed and corpus.name != LOOSE]
    options = [*names, LOOSE, NEW]
    start = options.index(chosen) if chosen in options else len(options) - 1
    dropped = st.session_state.get(
        _DROPPED, 0
    )  # another form is an empty one: what was chosen goes when it is written, not before
    with st.form(f"drop-{dropped}", border=False):
        left, right = st.columns(2)
        into = left.selectbox(
            "Corpus",
            options,
            start,
            format_func=lambda name: "loose files (corpus inbox)" if name == LOOSE else name,
            help="A folder of data/inbox. Cortex writes nothing into folders that lie elsewhere.",
        )
        new = right.text_input("Name of the new corpus", placeholder="notes", help="Only where a new corpus is chosen.")
        files = st.file_uploader(
            "Files", accept_multiple_files=True, help="Notes, PDF, office files, mail, code, archives…"
        )
        replace = st.checkbox("Replace files of the same name")
        is_sent = st.form_submit_button("Add and run", icon=":material/upload_file:", type="primary")
    if is_sent:
        with told():
            _drop(new.strip() if into == NEW else into, files, replace)
    report = st.session_state.get(_REPORT)
    if report is not None:
        _report(report)


def _drop(corpus: str, files: list[st.runtime.uploaded_file_manager.UploadedFile], replace: bool) -> None:
    if not corpus:
        st.warning("Give the new corpus a name.", icon=":material/edit:")
        return
    if not files:
        st.warning("Choose at least one file.", icon=":material/attach_file:")
        return
    with st.spinner("Writing…"):
        report = actions.drop_files(corpus, [(file.name, file) for file in files], replace)
    st.session_state[_REPORT] = report
    st.session_state[_DROPPED] = st.session_state.get(_DROPPED, 0) + 1
    if report.written:
        actions.request_run(None)
        say_next(f"{plural(report.written, 'file')} written to the inbox; a run begins.")
    st.rerun()


def _report(report: DropReport) -> None:
    rows = [(file.name, file.state, file.reason) for file in report.files]
    st.html(table([Column("file", "code"), Column("what became of it", "badge"), Column("why")], rows, report.folder))


def two_ways() -> None:
    """What to do with an empty lake."""
    with st.container(border=True):
        st.subheader("Nothing is here yet", anchor=False)
        st.markdown(
            "There are two ways to begin:\n\n"
            "1. **Drop files** below, or copy a folder to `data/inbox/<name>/`: it becomes a corpus of that name.\n"
            "2. **Register a folder or a git repository** that stays where it is: `cortex add ~/notes`, then `cortex run`."
        )
