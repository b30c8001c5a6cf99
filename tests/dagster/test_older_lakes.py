"""A lake that was written before a column was declared is read, searched and written as it is."""

import shutil

import dataframely as dy
import polars as pl

from cortex_assets.documents.checks import reading_findings
from cortex_assets.documents.schema import DOCUMENTS, Documents
from cortex_assets.documents.spans import secret_spans
from cortex_assets.tables import sharded
from tests.dagster.lake import Lake, note, notes

LATER = ("findings", "quality_score", "quality_notes")


def without_later_columns(lake: Lake) -> None:
    """Write ``bronze/documents`` anew, as a version of Cortex did that did not know the columns."""
    known = {name: column for name, column in Documents.columns().items() if name not in LATER}
    older = sharded(DOCUMENTS.name, type("Older", (dy.Schema,), known), "document_id", DOCUMENTS.unhashed)
    rows = lake.table(DOCUMENTS).drop(LATER)
    shutil.rmtree(lake.settings.lake / DOCUMENTS.name)
    shutil.rmtree(lake.settings.cache / "columns", ignore_errors=True)
    with lake.house() as house:
        house.lake.append(older, rows)


def test_rows_without_the_columns_are_read_and_new_ones_have_them(lake: Lake) -> None:
    lake.drop_all(notes("notes", 3))
    lake.run()
    without_later_columns(lake)
    assert lake.found("old harbour") and lake.plan()
    with lake.house() as house:
        assert reading_findings(house.lake, "notes") == []
        assert secret_spans(house.lake.scan(DOCUMENTS)).collect().is_empty()
    lake.drop("notes/new.md", note(7))
    report, work = lake.run_counted()
    assert not report.errors and work["parsed"] == 1
    scores = dict(lake.table(DOCUMENTS).select("path", "quality_score").iter_rows())
    assert scores == {"note-000.md": None, "note-001.md": None, "note-002.md": None, "new.md": 1.0}
    lake.drop("notes/note-000.md", note(8))
    lake.run()
    assert lake.table(DOCUMENTS).filter(pl.col("path") == "note-000.md")["findings"].to_list() == [[]]
    lake.delete("notes/note-001.md")
    lake.run()
    assert lake.table(DOCUMENTS).height == 3
