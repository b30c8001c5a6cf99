"""Golden sets as text: what is read, what is refused and how it is said."""

import json
import os
from pathlib import Path

import pytest

from cortex_assets.evaluation.derive import golden_sets
from cortex_assets.evaluation.golden import MOST_BYTES, UNTYPED, Gold, GoldenError, parse_golden

FILE = Path("/golden/tides.yaml")
WHOLE = """
set: tides
version: 3
description: About tides.
corpora: [notes, sample]
questions:
  - id: q1
    question: "Why did the gauge read low?"
    type: question
    gold:
      - {path: a.md, grade: 3, from: "Mussels had", to: "cut off."}
      - {path: b.zip, inner: /c.md, corpus: notes}
  - id: 2
    question: mooring
    gold:
      - document_id: d0
      - chunk_id: c0
"""


def test_a_set_with_everything_in_it() -> None:
    golden = parse_golden(WHOLE, FILE)
    assert (golden.name, golden.version, golden.corpora) == ("tides", 3, ("notes", "sample"))
    first, second = golden.questions
    assert first.golds == (
        Gold(path="a.md", grade=3, begins="Mussels had", ends="cut off."),
        Gold(path="b.zip", inner="/c.md", corpus="notes"),
    )
    assert first.golds[1].label == "notes/b.zip!/c.md"
    assert (second.question_id, second.kind) == ("2", UNTYPED)
    assert second.golds == (Gold(document_id="d0"), Gold(chunk_id="c0"))


def test_lines_of_json_with_and_without_a_header() -> None:
    lines = [
        {"id": "q1", "question": "Why?", "gold": [{"path": "a.md"}]},
        {"id": "q2", "question": "How?", "gold": [{"path": "b.md"}]},
    ]
    header = {"set": "named", "version": 2}
    file = Path("/golden/lines.jsonl")
    plain = parse_golden("\n".join(map(json.dumps, lines)) + "\n\n", file)
    headed = parse_golden("\n".join(map(json.dumps, [header, *lines])), file)
    assert (plain.name, plain.version, len(plain.questions)) == ("lines", 1, 2)
    assert (headed.name, headed.version) == ("named", 2)
    assert headed.questions == plain.questions


def test_the_hash_is_of_questions_and_gold_and_of_nothing_else() -> None:
    golden = parse_golden(WHOLE, FILE)
    same = WHOLE.replace("version: 3", "version: 4").replace("About tides", "Other words")
    assert parse_golden(same, Path("/golden/moved.yml")).set_hash == golden.set_hash
    for old, new in (("grade: 3", "grade: 2"), ("Why did", "Why does"), ("[notes, sample]", "[notes]"), ("q1", "q9")):
        assert parse_golden(WHOLE.replace(old, new), FILE).set_hash != golden.set_hash, old
    hashes = [question.question_hash for question in golden.questions]
    other = parse_golden(WHOLE.replace("mooring", "mooring lost"), FILE)
    assert [one.question_hash == before for one, before in zip(other.questions, hashes, strict=True)] == [True, False]


ONE = "questions:\n  - id: q1\n    question: Why?\n    gold:\n      - path: a.md\n"
REFUSED = {
    "no YAML": ("questions: [", "not YAML", "quotes"),
    "a list": ("- a\n", "on top stand", "questions"),
    "no questions": ("set: a\n", "on top stand", "questions"),
    "none in it": ("questions: []\n", "no question", "at least one"),
    "an unknown field on top": (f"owner: me\n{ONE}", "`owner` is no field", "there are"),
    "a name with blanks": (f"set: my set\n{ONE}", "`set` must be", "letters"),
    "a version in words": (f"version: two\n{ONE}", "`version` must be", "whole number"),
    "corpora as text": (f"corpora: notes\n{ONE}", "`corpora` must be", "list"),
    "an id twice": (ONE + ONE.removeprefix("questions:\n"), "question q1: `id` is used twice", "its own"),
    "no id": (ONE.replace("id: q1", "type: a"), "question 1: `id` is missing", "give it"),
    "no question": (ONE.replace("question: Why?", "type: a"), "question q1: `question` is missing", "write"),
    "an unknown field": (ONE.replace("gold:", "golden:"), "question q1: `golden` is no field", "there are"),
    "the type of all": (ONE.replace("gold:", "type: all\n    gold:"), "`type` cannot be all", "another word"),
    "no gold": (ONE.replace("      - path: a.md\n", ""), "question q1: `gold` must be", "at least one"),
    "gold as text": (ONE.replace("- path: a.md", "- a.md"), "question q1: a gold has the form", "path"),
    "two places": (ONE + "        chunk_id: c\n", "question q1: a gold names its place by exactly one", "path"),
    "no place": (ONE.replace("path: a.md", "grade: 1"), "question q1: a gold names its place", "path"),
    "an unknown field of gold": (ONE + "        span: x\n", "question q1: `span` is no field of a gold", "from"),
    "a grade of 4": (ONE + "        grade: 4\n", "question q1: `grade` must be", "1, 2 or 3"),
    "a grade that is true": (ONE + "        grade: true\n", "question q1: `grade` must be", "1, 2 or 3"),
    "only last words": (ONE + "        to: end\n", "question q1: `to` stands without `from`", "first words"),
    "blank words": (ONE + '        from: " "\n', "question q1: `from` and `to` hold words", "leave out"),
    "a number for words": (ONE + "        from: 7\n", "question q1: `from` must be text", "quotes"),
    "a member of no path": (ONE.replace("path: a.md", "document_id: d\n        inner: x"), "`inner` goes with", "path"),
    "words in a chunk": (
        ONE.replace("path: a.md", "chunk_id: c\n        from: x"),
        "is that chunk",
        "leave `from` out",
    ),
    "the same gold twice": (ONE + "      - path: a.md\n", "question q1: the same gold", "remove one"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_used_is_named_with_its_file_place_and_remedy(what: str) -> None:
    text, said, remedy = REFUSED[what]
    with pytest.raises(GoldenError) as caught:
        parse_golden(text, FILE)
    message = str(caught.value)
    assert message.startswith(str(FILE))
    assert said in message
    assert remedy in message


@pytest.mark.parametrize("odd", ["\\u0000", "\\ud800"])
def test_characters_that_no_text_has_are_refused(odd: str) -> None:
    with pytest.raises(GoldenError, match="question q1: `question` holds a character"):
        parse_golden(f'{{"id": "q1", "question": "a{odd}b", "gold": [{{"path": "c"}}]}}', Path("/golden/lines.jsonl"))


def test_a_broken_line_is_named_by_its_number() -> None:
    with pytest.raises(GoldenError, match=r"lines\.jsonl line 2: not JSON .*each line is one object"):
        parse_golden('{"id": "a", "question": "b", "gold": [{"path": "c"}]}\n{"id"\n', Path("/golden/lines.jsonl"))


def test_a_line_that_is_nested_too_deep_is_named() -> None:
    with pytest.raises(GoldenError, match=r"lines\.jsonl line 1: not JSON"):
        parse_golden("[" * 100_000 + "]" * 100_000, Path("/golden/lines.jsonl"))


def test_a_version_that_no_column_holds_is_refused() -> None:
    with pytest.raises(GoldenError, match="`version` must be a whole number"):
        parse_golden(WHOLE.replace("version: 3", f"version: {2**63}"), FILE)


def test_what_is_no_file_keeps_no_set_from_being_read(tmp_path: Path) -> None:
    """A folder, a pipe, an editor's lock; a link to nothing is told."""
    (tmp_path / "tides.yaml").write_text(WHOLE, encoding="utf-8")
    (tmp_path / "old.yaml").mkdir()
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / ".#tides.yaml").symlink_to("somebody@somewhere.1")
    (tmp_path / "zero.jsonl").symlink_to("/dev/zero")
    (tmp_path / "lost.yaml").symlink_to("nothing")
    found = golden_sets(tmp_path)
    assert [golden.name for golden in found.found] == ["tides"]
    (problem,) = found.problems
    assert "lost.yaml: cannot be read (No such file or directory)" in problem


def test_a_file_that_is_too_large_is_told_and_not_read_whole(tmp_path: Path) -> None:
    """Also one whose beginning is a golden set, or no text at all."""
    (tmp_path / "tides.yaml").write_text(WHOLE, encoding="utf-8")
    last = (tmp_path / "last.jsonl", MOST_BYTES)
    for file, size in (last, (tmp_path / "more.yaml", MOST_BYTES + 1), (tmp_path / "huge.jsonl", 2**40)):
        file.write_text(json.dumps({"id": "a", "question": "b", "gold": [{"path": "c"}]}) + "\n", encoding="utf-8")
        os.truncate(file, size)
    last[0].write_text(last[0].read_text(encoding="utf-8").replace("\0", " "), encoding="utf-8")
    found = golden_sets(tmp_path)
    assert [golden.name for golden in found.found] == ["last", "tides"]
    assert list(found.problems) == [
        f"{tmp_path / name}: larger than 16 MiB; split it into several golden sets."
        for name in ("huge.jsonl", "more.yaml")
    ]


def test_a_byte_order_mark_and_any_line_end_are_read(tmp_path: Path) -> None:
    lines = [json.dumps({"id": name, "question": "b", "gold": [{"path": "c"}]}) for name in ("a", "b")]
    for name, end in (("windows", "\r\n"), ("mac", "\r"), ("unix", "\n")):
        (tmp_path / f"{name}.jsonl").write_bytes(b"\xef\xbb\xbf" + end.join(lines).encode())
    found = golden_sets(tmp_path)
    assert [len(golden.questions) for golden in found.found] == [2, 2, 2] and not found.problems
