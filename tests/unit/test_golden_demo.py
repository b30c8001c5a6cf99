"""The golden questions over the demo corpus: their form, their mix, and that what they quote stands in the files."""

from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

PROJECT = Path(__file__).parents[2]
GOLDEN = PROJECT / "tests" / "bench" / "golden" / "demo_corpus.yaml"
CORPUS = PROJECT.parent / "shared" / "data" / "demo_corpus"
MIX = {"question": 24, "keywords": 8, "identifier": 8, "path": 4, "error": 5, "quoted": 4, "multi": 7}
FIELDS = {"path", "inner", "grade", "from", "to"}
LONGEST_ANCHOR = 100
# What of these is stored is the file's own text; other formats are quoted as their parsers store them.
PLAIN = {".md", ".yaml", ".py", ".csv", ".rst", ".txt"}


def _questions() -> list[dict[str, Any]]:
    """The questions as the file has them."""
    loaded: dict[str, Any] = yaml.safe_load(GOLDEN.read_text(encoding="utf-8"))
    assert (loaded["set"], loaded["version"]) == ("demo_corpus", 1)
    questions: list[dict[str, Any]] = loaded["questions"]
    return questions


def _golds() -> list[tuple[str, dict[str, Any]]]:
    """Each gold with the id of its question."""
    return [(question["id"], gold) for question in _questions() for gold in question["gold"]]


def _collapsed(text: str) -> str:
    """White space does not count: a quote may run over the end of a line."""
    return " ".join(text.split())


def _span(text: str, gold: dict[str, Any]) -> tuple[int, int] | None:
    """Where a gold lies in a collapsed text: the first ``from``, then the first ``to`` after it."""
    first = _collapsed(gold["from"])
    start = text.find(first)
    if start < 0:
        return None
    end = start + len(first)
    if "to" not in gold:
        return start, end
    last = _collapsed(gold["to"])
    found = text.find(last, end)
    return None if found < 0 else (start, found + len(last))


def _plain_spans() -> list[tuple[str, str, tuple[int, int] | None]]:
    """Question, path and span of each gold that quotes a plain file."""
    texts: dict[str, str] = {}
    spans = []
    for name, gold in _golds():
        path = gold["path"]
        if "from" not in gold or Path(path).suffix not in PLAIN:
            continue
        if path not in texts:
            texts[path] = _collapsed((CORPUS / path).read_text(encoding="utf-8"))
        spans.append((name, path, _span(texts[path], gold)))
    return spans


def test_ids_are_numbered_and_questions_are_asked_once() -> None:
    questions = _questions()
    assert [question["id"] for question in questions] == [f"d{number:02}" for number in range(1, 61)]
    assert len({question["question"] for question in questions}) == len(questions)


def test_the_mix_is_as_described_in_each_half() -> None:
    questions = _questions()
    assert Counter(question["type"] for question in questions) == MIX
    halves = [Counter(question["type"] for question in questions[first::2]) for first in (0, 1)]
    assert [half.total() for half in halves] == [30, 30]
    assert all(abs(halves[0][kind] - halves[1][kind]) <= 1 for kind in MIX)


def test_questions_have_the_fields_of_a_golden_set() -> None:
    for question in _questions():
        assert set(question) == {"id", "question", "type", "gold"}, question["id"]
        assert isinstance(question["question"], str) and question["question"].strip(), question["id"]
        assert max(gold["grade"] for gold in question["gold"]) == 3, f"{question['id']}: nothing answers it fully"


def test_golds_are_graded_and_quote_shortly() -> None:
    for name, gold in _golds():
        assert {"path", "grade"} <= set(gold) <= FIELDS, name
        assert gold["grade"] in (1, 2, 3), name
        assert "to" not in gold or "from" in gold, name
        for anchor in (gold[key] for key in ("from", "to") if key in gold):
            assert isinstance(anchor, str) and 0 < len(anchor.strip()) <= LONGEST_ANCHOR, f"{name}: {anchor}"


def test_only_a_question_for_a_file_has_whole_documents() -> None:
    whole = {question["id"] for question in _questions() for gold in question["gold"] if "from" not in gold}
    assert whole == {question["id"] for question in _questions() if question["type"] == "path"}


def test_questions_of_several_documents_name_several() -> None:
    for question in _questions():
        if question["type"] == "multi":
            full = {gold["path"] for gold in question["gold"] if gold["grade"] == 3}
            assert len(full) > 1, question["id"]


@pytest.mark.skipif(not CORPUS.is_dir(), reason="the shared data folder is not there")
def test_every_document_is_in_the_corpus() -> None:
    assert [(name, gold["path"]) for name, gold in _golds() if not (CORPUS / gold["path"]).is_file()] == []


@pytest.mark.skipif(not CORPUS.is_dir(), reason="the shared data folder is not there")
def test_quotes_of_plain_files_stand_there_in_order_and_do_not_overlap() -> None:
    spans = _plain_spans()
    assert [(name, path) for name, path, span in spans if span is None] == []
    assert len(spans) > 80
    placed = sorted((name, path, span) for name, path, span in spans if span is not None)
    for (name, path, span), (other, same, following) in pairwise(placed):
        assert (name, path) != (other, same) or span[1] <= following[0], f"{name}: two golds overlap in {path}"
