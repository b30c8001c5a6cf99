"""What is compiled counts for the version of what it makes."""

import pytest

from cortex_assets.documents import keywords
from cortex_assets.documents.derive import documents_derivation
from cortex_assets.documents.parsers import pdf_calls
from cortex_assets.engine import fingerprint


def changed_by(monkeypatch: pytest.MonkeyPatch, module: object) -> set[str]:
    """Routes whose version is another one when the compiled part of ``module`` has other rules."""
    before = documents_derivation().versions()
    for known in ("_frozen_versions", "_frozen_definitions"):
        monkeypatch.setattr(fingerprint, known, {})
    monkeypatch.setattr(module, "_RULES", 0)
    after = documents_derivation().versions()
    return {route for route in before if before[route] != after[route]}


def test_the_search_for_keywords_counts_for_every_route(monkeypatch: pytest.MonkeyPatch) -> None:
    assert changed_by(monkeypatch, keywords) == set(documents_derivation().versions())


def test_what_reads_pages_counts_for_pdf_and_containers(monkeypatch: pytest.MonkeyPatch) -> None:
    changed = changed_by(monkeypatch, pdf_calls)
    assert "pdf" in changed
    assert not changed & {"markdown", "text", "python"}
