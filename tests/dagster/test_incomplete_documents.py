"""F9: a document of which pages failed fails a check that names them; one that could hardly be read is listed."""

from collections.abc import Iterator

import polars as pl
import pytest

from cortex_assets.checking import quick_check
from cortex_assets.documents import derive
from cortex_assets.documents.model import ParsedDocument
from cortex_assets.engine.assets import WARNINGS, check_results, checks_of
from cortex_assets.tables import Status
from tests.dagster.lake import Lake, notes


def test_missing_pages_and_unreadable_text_fail_their_checks(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    def parsed(path: str, shown: str, *_: object) -> Iterator[ParsedDocument]:
        if shown == "note-000.md":
            reason = "2 pages cannot be read: open the file elsewhere and save it anew"
            yield ParsedDocument(
                "x" * 500, "pdf", status=Status.PARTIAL, reason=reason, failed_pages=(3, 7), page_count=9
            )
        else:
            yield ParsedDocument("\ufffd?" * 50 if shown == "note-001.md" else "fine " * 50, "text")

    monkeypatch.setattr(derive, "parse_path", parsed)
    lake.drop_all(notes("notes", 4))
    lake.run()
    with lake.house() as house:
        findings = quick_check(house, "notes")
    assert [(f.asset, f.check, f.count) for f in findings] == [
        ("documents", "complete", 1),
        ("documents", "quality", 1),
    ]
    assert findings[0].example == (
        "note-000.md: pages 3, 7 failed; 2 pages cannot be read: open the file elsewhere and save it anew"
    )
    assert findings[1].example.startswith("note-001.md: 0.0, 50 characters could not be decoded")
    results = {result.check_name: result for result in check_results(findings, ["documents"])}
    assert list(results) == list(checks_of("documents"))
    assert {name for name, result in results.items() if not result.passed} == {"complete", "quality"}
    assert results["quality"].severity.value == "WARN" and "quality" in WARNINGS
    assert results["complete"].severity.value == "ERROR"
    lake.assert_sound()


def test_checks_pass_where_everything_was_read(lake: Lake) -> None:
    lake.drop_all(notes("notes", 2))
    lake.run()
    with lake.house() as house:
        assert quick_check(house, "notes") == []
        assert house.lake.scan(derive.DOCUMENTS).select(pl.col("quality_score").min()).collect().item() == 1.0
