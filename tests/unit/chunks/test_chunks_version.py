"""What moves the version of the chunks: the tokenizer's code and package, and the grammars for every kind of document."""

import ast
import importlib.metadata

import pytest

from cortex_assets.chunks.derive import chunks_derivation
from cortex_assets.engine import fingerprint


def versions() -> dict[str, str]:
    return chunks_derivation("wordpiece-00000000:space", 256).versions()


def test_settings_count() -> None:
    assert versions() == chunks_derivation("wordpiece-00000000:space", 256).versions()
    assert versions() != chunks_derivation("wordpiece-00000000:space", 255).versions()
    assert versions() != chunks_derivation("wordpiece-11111111:space", 256).versions()


@pytest.mark.parametrize("package", ["tokenizers", "tree-sitter", "tree-sitter-python"])
def test_packages_count_for_every_route(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    before, real = versions(), importlib.metadata.version
    monkeypatch.setattr(fingerprint.importlib.metadata, "version", lambda name: "99" if name == package else real(name))
    after = versions()
    assert [route for route in before if before[route] == after[route]] == []


@pytest.mark.parametrize("name", ["_Table", "PlainTokenizer", "tokens_of", "CodeOutline", "chunk_documents"])
def test_code_counts_for_every_route(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    before, real = versions(), fingerprint._canonical
    for known in ("_frozen_versions", "_frozen_definitions"):
        monkeypatch.setattr(fingerprint, known, {})
    monkeypatch.setattr(fingerprint, "_canonical", lambda node: "edited" if _named(node) == name else real(node))
    after = versions()
    assert [route for route in before if before[route] == after[route]] == []


def _named(node: ast.AST) -> str:
    return str(getattr(node, "name", ""))
