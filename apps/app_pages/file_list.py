"""The files of a corpus, page by page, and what became of one of them."""

from collections.abc import Sequence

import streamlit as st

from apps import actions, reader
from apps.app_pages.frame import say_next, told
from apps.app_pages.marking import Column, badge, table
from apps.app_pages.wording import ago, at, count, plain, plural, size
from apps.reports import CorpusStatus, DocumentExplained, FileExplained
from apps.views import FileLine

ON_A_PAGE = 25
EVERY = "all"


def file_list(corpus: CorpusStatus) -> None:
    """Draw files with their status and why, a filter by status and path, and one file explained."""
    st.subheader("Files", anchor=False)
    filters = st.container(horizontal=True, vertical_alignment="bottom")
    text = filters.text_input(
        "Path contains",
        key=f"path-{corpus.name}",
        type="search",
        icon=":material/filter_alt:",
        placeholder="part of a path",
    )
    found = reader.files(corpus.name, None, text, 1, 0)
    statuses = {EVERY: sum(found.by_status.values()), **found.by_status}
    status = st.segmented_control(
        "Status",
        list(statuses),
        default=EVERY,
        key=f"status-{corpus.name}",
        format_func=lambda name: f"{name} {count(statuses.get(name, 0))}",
        label_visibility="collapsed",
    )
    chosen = None if status in (None, EVERY) or status not in statuses else status
    pages = max(1, -(-statuses[chosen or EVERY] // ON_A_PAGE))
    number = 1
    if pages > 1:
        key = f"page-{corpus.name}-{chosen}-{text}"
        number = int(filters.number_input(f"Page, 1 to {pages}", 1, pages, 1, key=key, width=160))
    shown = reader.files(corpus.name, chosen, text, ON_A_PAGE, (number - 1) * ON_A_PAGE)
    _table(shown.files)
    _one_file(corpus, [file.path for file in shown.files])


def _table(files: Sequence[FileLine]) -> None:
    columns = [
        Column("path", "code"),
        Column("status", "badge"),
        Column("why"),
        Column("size", "number"),
        Column("changed", "time"),
        Column("type"),
    ]
    rows = [
        (f.path, f.status, f.reason, size(f.size), (ago(f.modified_at), at(f.modified_at)), f.media_type) for f in files
    ]
    if rows:
        st.html(table(columns, rows))
    else:
        st.caption("No file fits.")


def _one_file(corpus: CorpusStatus, paths: list[str]) -> None:
    wanted = st.query_params.get("file")
    options = paths if wanted is None or wanted in paths else [wanted, *paths]
    path = st.selectbox(
        "What became of one file",
        options,
        None if wanted is None else options.index(wanted),
        key=f"explain-{corpus.name}",
        placeholder="choose a file of this page",
    )
    if path:
        with told(), st.spinner("Reading…"):
            _explained(corpus, reader.explain(f"{corpus.name}/{path}"))


def _explained(corpus: CorpusStatus, file: FileExplained) -> None:
    with st.container(border=True):
        st.html(f'<div class="cx-hit-head">{badge(file.status)}</div>')
        st.text(f"{file.corpus}/{file.path}")
        if file.reason:
            st.text(file.reason)
        for line in file.waits:
            st.text(line)
        st.html(table([Column("fact"), Column("value", "code")], list(file.facts.items())))
        if file.status != "ok" and st.button("Try this file again", icon=":material/replay:"):
            with told():
                retried = actions.retry(f"{corpus.name}/{file.path}")
                actions.request_run([corpus.name])
                say_next(f"Due again: {plural(retried.keys, 'step')}. A run was asked for.")
                st.rerun()
        if file.document_count > len(file.documents):
            st.caption(f"The first {len(file.documents)} of {count(file.document_count)} documents:")
        for document in file.documents:
            _document(document)


def _document(document: DocumentExplained) -> None:
    name = document.inner or "the whole file"
    with st.expander(f"{plain(name)} · {document.kind} · {plural(document.chunk_count, 'chunk')}"):
        st.html(f'<div class="cx-hit-head">{badge(document.status)}</div>')
        if document.reason:
            st.text(document.reason)
        st.html(
            table([Column("fact"), Column("value", "code")], [("parser", document.parser), *document.facts.items()])
        )
        if document.chunks:
            columns = [
                Column("chunk", "number"),
                Column("place"),
                Column("kind"),
                Column("tokens", "number"),
                Column("vector"),
            ]
            rows = [
                (str(c.ordinal), c.place, c.kind, c.tokens, "yes" if c.has_vector else "not yet", c.begins)
                for c in document.chunks
            ]
            st.html(table([*columns, Column("begins", "code")], rows))
