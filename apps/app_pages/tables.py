"""Tables: what each Delta table holds, its columns, its versions, some of its rows, and questions in SQL."""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from apps import reader
from apps.app_pages.frame import heading, told
from apps.app_pages.marking import Column, table
from apps.app_pages.wording import ago, at, count, plural
from apps.views import TableDescribed

ROWS = 100
SQL_ROWS = 1_000
LATEST = "latest"
FIRST = "bronze/documents"
SQL_EXAMPLE = "SELECT kind, count(*) AS documents\nFROM bronze.documents\nGROUP BY kind\nORDER BY documents DESC"


def page() -> None:
    """Draw it."""
    heading("Tables")
    with told():
        lines = reader.tables()
        if not lines:
            st.info("No table is here yet: they are made by the first run.", icon=":material/table:")
            return
        rows = {line.name: line.rows for line in lines}
        name = st.selectbox(
            "Table",
            list(rows),
            list(rows).index(FIRST) if FIRST in rows else 0,
            key="table",
            bind="query-params",
        )
        described = reader.table(name)
        st.markdown(described.doc.replace("``", "`"))
        st.caption(f"{described.kind} · {plural(described.rows, 'row')} · version {described.version}")
        sample, columns, versions, sql = st.tabs(["Rows", "Columns", "Versions", "SQL"])
        with sample, told():
            _sample(described)
        with columns:
            _columns(described)
        with versions:
            _versions(described)
        with sql, told():
            _sql()


def _sample(described: TableDescribed) -> None:
    names = [column.name for column in described.columns]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        column = st.selectbox("Column", names, None, key=f"column-{described.name}", placeholder="any", width=220)
        text = st.text_input("contains", key=f"contains-{described.name}", disabled=column is None, width=260)
        versions = [LATEST, *(str(commit.version) for commit in described.history[1:])]
        version = st.selectbox("Version", versions, key=f"version-{described.name}", width=140)
        shown = st.multiselect("Columns", names, key=f"shown-{described.name}", placeholder="all", width=320)
    contains = {column: text} if column and text else {}
    at_version = None if version in (None, LATEST) else int(version)
    with st.spinner("Reading…"):
        sample = reader.sample(described.name, shown, contains, ROWS, at_version)
    if not sample.rows:
        st.caption("No row fits." if contains else "The table has no rows in this version.")
        return
    st.dataframe(_columns_of(sample.columns, sample.rows), hide_index=True, alt=f"rows of {described.name}")
    told_cut = f"the first {ROWS} that fit" if len(sample.rows) == ROWS else f"all {len(sample.rows)} that fit"
    st.caption(f"{told_cut}; long values are cut")


def _columns_of(names: tuple[str, ...], rows: tuple[tuple[Any, ...], ...]) -> Mapping[str, list[Any]]:
    """Column by column, as the grid takes them: each name once, nested values and numbers of more than 64 bits as text."""
    columns: dict[str, list[Any]] = {}
    for place, name in enumerate(names):
        own, number = name, 1
        while own in columns:
            number += 1
            own = f"{name} ({number})"
        values = [row[place] for row in rows]
        is_plain = all(_is_scalar(value) for value in values)
        columns[own] = values if is_plain else [None if value is None else str(value) for value in values]
    return columns


def _is_scalar(value: object) -> bool:
    if isinstance(value, int):
        return -(2**63) <= value < 2**63
    return not isinstance(value, (list, tuple, dict, bytes))


def _columns(described: TableDescribed) -> None:
    columns = [
        Column("column", "code"),
        Column("type", "code"),
        Column("role"),
        Column("may be null"),
        Column("what it is"),
    ]
    rows = [
        (
            one.name,
            one.dtype,
            ", ".join(role for role, is_it in (("key", one.is_key), ("partition", one.is_partition)) if is_it),
            "yes" if one.is_nullable else "",
            one.doc,
        )
        for one in described.columns
    ]
    st.html(table(columns, rows))


def _versions(described: TableDescribed) -> None:
    columns = [
        Column("version", "number"),
        Column("committed", "time"),
        Column("by"),
        Column("rows", "number"),
        Column("when", "time"),
    ]
    rows = [
        (str(one.version), ago(one.at), one.operation, "" if one.rows is None else count(one.rows), at(one.at))
        for one in described.history
    ]
    st.html(table(columns, rows))
    if len(described.history) >= 2 and all(one.rows is not None for one in described.history[:2]):
        st.caption("Rows are counted for the latest versions.")


def _sql() -> None:
    with st.form("sql", border=False):
        query = st.text_area("SQL", SQL_EXAMPLE, key="sql-text", height=140, help="DuckDB's SQL, reading only")
        is_sent = st.form_submit_button("Ask", icon=":material/play_arrow:", type="primary")
    if not is_sent or not query.strip():
        return
    with st.spinner("Asking…", show_time=True):
        result = reader.sql(query, SQL_ROWS)
    st.dataframe(_columns_of(result.columns, result.rows), hide_index=True, alt="result of the query")
    cut = plural(len(result.rows), "row") + (", cut: there are more, or longer values" if result.is_cut else "")
    st.caption(f"{cut}, {result.seconds:.2f} s")


if __name__ == "__main__":
    page()
