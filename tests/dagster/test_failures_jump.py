"""A derivation whose failures jump is stopped alone, its rows stay, and a person can accept the failures."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from apps import actions
from cortex_assets.documents.derive import DocumentsCompute
from cortex_assets.documents.parse import failed_document
from cortex_assets.documents.schema import DOCUMENTS
from cortex_assets.engine.derivation import Failure
from tests.dagster.lake import Lake, note, notes


def test_a_stopped_derivation_lets_the_others_run_and_can_be_accepted(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake.drop_all(notes("notes", 40))
    lake.run()
    for number in range(30):
        lake.drop(f"notes/note-{number:03d}.md", note(number + 500))
    lake.delete("notes/note-039.md")
    real = DocumentsCompute._parsed

    def parsed(
        self: DocumentsCompute, row: Mapping[str, Any], route: Any, options: Any, failure: list[Failure], look: Any
    ) -> Iterator[Any]:
        if row["path"] < "note-030.md":
            failure.append(Failure("the new parser gives up"))
            yield failed_document("the new parser gives up")
        else:
            yield from real(self, row, route, options, failure, look)

    monkeypatch.setattr(DocumentsCompute, "_parsed", parsed)
    report = lake.run()
    assert report.errors == ()
    assert report.failed == 30
    assert any("cortex retry notes" in note for note in report.notes)
    assert {line.stage for line in report.stages} == {"files", "documents", "chunks", "embeddings", "index"}
    assert lake.table(DOCUMENTS).filter(status="ok").height == 39, "rows stay as they were"
    assert "note-039.md" not in lake.found("note 39", k=50)
    assert lake.run().failed == 30

    actions.retry("notes")
    report = lake.run()
    assert not any("cortex retry" in note for note in report.notes)
    assert lake.table(DOCUMENTS).filter(status="ok").height == 9
    assert lake.run().failed == 0
