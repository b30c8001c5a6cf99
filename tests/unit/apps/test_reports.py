"""Reports as JSON."""

import json
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from apps.reports import CorpusStatus, StatusReport, to_json
from apps.search_reports import SearchFilters


def test_times_become_iso():
    status = CorpusStatus("n", "folder", "u", True, {"ok": 2}, 2, 3, 3, 3, last_run=datetime(2026, 3, 4, 5, tzinfo=UTC))
    made = json.loads(to_json(StatusReport("lake", (status,))))
    assert made["corpora"][0]["last_run"] == "2026-03-04T05:00:00+00:00"
    assert made["corpora"][0]["files"] == {"ok": 2}


def test_lists_and_dictionaries():
    assert json.loads(to_json([SearchFilters(after=date(2026, 1, 2))]))[0]["after"] == "2026-01-02"
    assert json.loads(to_json({"where": Path("a/b")})) == {"where": "a/b"}


def test_a_value_without_a_json_form_is_refused():
    with pytest.raises(TypeError, match="no JSON form"):
        to_json({"x": object()})
