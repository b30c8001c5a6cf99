"""What moves the version of the chunks: the tokenizer's code and package, and the grammars for every kind of document."""

import ast
import importlib.metadata
from types import ModuleType

import pytest

from cortex_assets.chunks import cut
from cortex_assets.chunks.derive import chunks_derivation
from cortex_assets.engine import definitions, fingerprint
from cortex_assets.engine.fingerprint import Producer
from cortex_assets.retrieval import word_batches
from cortex_assets.retrieval.sparse import encode_points
from inference import wordpiece


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


@pytest.mark.parametrize("name", ["WordPiece", "PlainTokenizer", "tokens_of", "CodeOutline", "chunk_documents"])
def test_code_counts_for_every_route(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    before, real = versions(), definitions._described
    for known in ("_frozen_versions", "_frozen_definitions"):
        monkeypatch.setattr(fingerprint, known, {})
    monkeypatch.setattr(fingerprint, "_sources", definitions.Sources())
    monkeypatch.setattr(
        definitions, "_described", lambda node: ("edited", [], []) if _named(node) == name else real(node)
    )
    after = versions()
    assert [route for route in before if before[route] == after[route]] == []


@pytest.mark.parametrize("module", [wordpiece, cut])
def test_rules_of_what_is_compiled_count(monkeypatch: pytest.MonkeyPatch, module: ModuleType) -> None:
    before = versions()
    for known in ("_frozen_versions", "_frozen_definitions"):
        monkeypatch.setattr(fingerprint, known, {})
    monkeypatch.setattr(module, "_RULES", 0)
    after = versions()
    assert [route for route in before if before[route] == after[route]] == []


def test_rules_of_the_compiled_terms_count_for_points(monkeypatch: pytest.MonkeyPatch) -> None:
    producer = Producer((encode_points,))
    before = producer.version()
    for known in ("_frozen_versions", "_frozen_definitions"):
        monkeypatch.setattr(fingerprint, known, {})
    monkeypatch.setattr(word_batches, "_RULES", 0)
    assert producer.version() != before


def _named(node: ast.AST) -> str:
    return str(getattr(node, "name", ""))
