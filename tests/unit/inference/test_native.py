"""What is compiled is what the code beside it needs, or is refused with the remedy."""

import hashlib
import importlib
import importlib.util
import re
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from inference.errors import NotCompiled
from inference.native import library

ROOT = Path(__file__).parents[3]
COMPILED = {
    "cortex_assets/chunks/cut.cpp": ("cortex_assets.chunks.cut", "b1b8beb6b410"),
    "cortex_assets/documents/keywords.cpp": ("cortex_assets.documents.keywords", "797323df71d3"),
    "cortex_assets/documents/parsers/pdf_read.cpp": ("cortex_assets.documents.parsers.pdf_calls", "376be5f816fc"),
    "inference/encoder.cpp": ("inference.engines.bert_compiled", "7b3948f0dd32"),
    "inference/wordpiece.cpp": ("inference.wordpiece", "ecb141a9577c"),
    "cortex_assets/retrieval/terms.cpp": ("cortex_assets.retrieval.word_batches", "27fdaa6b73c4"),
}
"""Of each source: the module that calls it, and the start of the digest of its code as it is under ``RULES``."""
RULES = dict.fromkeys(COMPILED, 1) | {"cortex_assets/chunks/cut.cpp": 2}


def test_every_source_is_here() -> None:
    found = [path for room in ("inference", "cortex_assets") for path in (ROOT / room).rglob("*.cpp")]
    assert {str(path.relative_to(ROOT)) for path in found} == set(COMPILED)


@pytest.mark.parametrize("source", COMPILED)
def test_changed_source_has_other_rules(source: str) -> None:
    """A failure here asks: can a text get other tokens, terms, borders or places now, or has a function other arguments?

    If so, raise the number in the source, in the module and in ``RULES``; in any case write down the new digest.
    """
    text = (ROOT / source).read_text("utf-8")
    code = " ".join(re.sub(r"//[^\n]*", "", text).split())
    module, digest = COMPILED[source]
    assert hashlib.sha256(code.encode()).hexdigest().startswith(digest)
    assert RULES[source] == importlib.import_module(module)._RULES
    assert re.search(r"_rules\(\) \{ return (\d+); \}", code)[1] == str(RULES[source])  # type: ignore[index]


def test_missing_library_names_the_remedy() -> None:
    with pytest.raises(NotCompiled, match=r"inference\._absent is not compiled: run `make setup`"):
        library("inference._absent", "absent_rules", 1)


def test_library_of_other_rules_is_refused() -> None:
    with pytest.raises(NotCompiled, match=r"compiled from other source \(rules 1, not 0\): run `make setup`"):
        library("inference._wordpiece", "wordpiece_rules", 0)


def test_library_without_rules_is_refused() -> None:
    with pytest.raises(NotCompiled, match=r"compiled from other source \(rules unknown, not 1\)"):
        library("inference._wordpiece", "other_rules", 1)


def test_library_that_is_none_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "broken.so"
    broken.write_text("of another machine")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: ModuleSpec(name, None, origin=str(broken)))
    with pytest.raises(NotCompiled, match=r"broken\.so cannot be loaded .*run `make setup`"):
        library("inference._wordpiece", "wordpiece_rules", 1)
