"""Golden sets: questions with the passages that answer them, read from the text of a YAML or JSON Lines file. Pure.

Whether a passage is still there is ``resolve``'s question. Reading the folder is the caller's.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cortex_assets.identity import content_id

SUFFIXES = (".yaml", ".yml", ".jsonl")
ALL = "all"
"""What all questions together are called where types are told apart; no question has that type."""
UNTYPED = "other"
GRADES = (1, 2, 3)
MOST_BYTES = 16 * 2**20
"""Of a file: some 60,000 questions. As YAML, a MiB of them takes 55 MiB of memory and two seconds to read."""
SHOWN_BEGIN, SHOWN_END = 40, 30
"""So many characters of a passage say in a label which one it is."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_SET_KEYS = frozenset({"set", "version", "description", "corpora"})
_QUESTION_KEYS = frozenset({"id", "question", "type", "gold"})
_GOLD_KEYS = frozenset({"corpus", "path", "inner", "document_id", "chunk_id", "grade", "from", "to"})
_PLACES = ("path", "document_id", "chunk_id")


class GoldenError(ValueError):
    """A golden set cannot be used; names the file, the question, what is wrong with it and the remedy."""


@dataclass(frozen=True, slots=True)
class Gold:
    """One passage that answers a question.

    Attributes:
        path: display path in its corpus; empty where an id names the place.
        corpus: name of its corpus; empty = any of the set's.
        inner: member of the file, such as ``/report.md`` of an archive; empty for the file itself.
        document_id: the document, instead of a path.
        chunk_id: the chunk, instead of a path.
        grade: how well it answers, 1 (somewhat) to 3 (perfectly).
        begins: verbatim first words of the passage; empty = the whole document.
        ends: its verbatim last words; empty = it is ``begins`` alone.
    """

    path: str = ""
    corpus: str = ""
    inner: str = ""
    document_id: str = ""
    chunk_id: str = ""
    grade: int = 1
    begins: str = ""
    ends: str = ""

    @property
    def place(self) -> str:
        """Where it is, for people; several golds may be there."""
        place = self.path or self.document_id or self.chunk_id
        place = f"{self.corpus}/{place}" if self.corpus else place
        return f"{place}!{self.inner}" if self.inner else place

    @property
    def label(self) -> str:
        """Which one it is, for people: its place and how its passage begins and ends."""
        quote = " ".join(f"{self.begins} … {self.ends}".split()) if self.ends else " ".join(self.begins.split())
        if len(quote) > SHOWN_BEGIN + SHOWN_END + 3:
            quote = f"{quote[:SHOWN_BEGIN].rstrip()} … {quote[-SHOWN_END:].lstrip()}"
        return f"{self.place} “{quote}”" if quote else self.place


@dataclass(frozen=True, slots=True)
class Question:
    """A question and what answers it, best first as it was written.

    Attributes:
        question_id: its id in the set.
        text: what is asked.
        kind: free word for what it looks like (question, keywords, identifier, ...).
        golds: at least one.
    """

    question_id: str
    text: str
    kind: str
    golds: tuple[Gold, ...]

    @property
    def question_hash(self) -> str:
        """Id of what is asked and wanted; questions with the same one are compared over time."""
        golds = (json.dumps(asdict(gold)) for gold in self.golds)
        return content_id("question", self.question_id, self.text, self.kind, *golds)


@dataclass(frozen=True, slots=True)
class GoldenSet:
    """Some questions that are evaluated together.

    Attributes:
        name: of the set; the file's where it says none.
        version: what its author counts.
        description: for people.
        corpora: names of the corpora that are searched; empty = all.
        questions: ids differ.
        file: where it was read.
    """

    name: str
    version: int
    description: str
    corpora: tuple[str, ...]
    questions: tuple[Question, ...]
    file: Path

    @property
    def set_hash(self) -> str:
        """Id of what counts in it; version, description and place do not."""
        questions = sorted(one.question_hash for one in self.questions)
        return content_id("golden", self.name, *sorted(self.corpora), "", *questions)


_LAST = 2**63 - 1
"""Greatest ``version``: what a column of the tables holds."""


def check_size(size: int, file: Path) -> None:
    """Refuse a file that is too large to be read whole.

    Raises:
        GoldenError: it has more than ``MOST_BYTES``.
    """
    if size > MOST_BYTES:
        raise GoldenError(f"{file}: larger than {MOST_BYTES / 2**20:g} MiB; split it into several golden sets.")


def parse_golden(text: str, file: Path) -> GoldenSet:
    """Read the text of a golden set.

    Args:
        text: YAML, or JSON Lines where ``file`` ends in ``.jsonl``: a question a line, before them perhaps a header with ``set``.
        file: where it is; named in errors, and its name is the set's where it says none.

    Raises:
        GoldenError: the first thing that is wrong in it.
    """
    head, entries = _lines(text, file) if file.suffix == ".jsonl" else _yaml(text, file)
    unknown = sorted(str(key)[:60] for key in set(head) - _SET_KEYS)
    if unknown:
        raise GoldenError(f"{file}: `{unknown[0]}` is no field of a golden set; there are {_listed(_SET_KEYS)}.")
    name = head.get("set", file.stem)
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise GoldenError(f"{file}: `set` must be letters, digits, dots, dashes and underscores, 64 at most.")
    version = head.get("version", 1)
    if not isinstance(version, int) or isinstance(version, bool) or not 0 <= version <= _LAST:
        raise GoldenError(f"{file}: `version` must be a whole number such as 1.")
    corpora = head.get("corpora") or []
    if not isinstance(corpora, list) or not all(isinstance(one, str) and one for one in corpora):
        raise GoldenError(f"{file}: `corpora` must be a list of names of corpora; leave it out for all.")
    if not entries:
        raise GoldenError(f"{file}: no question in it; write at least one, with `id`, `question` and `gold`.")
    questions = tuple(_Entry(file, number, entry).question() for number, entry in enumerate(entries, start=1))
    seen: set[str] = set()
    for one in questions:
        if one.question_id in seen:
            raise GoldenError(f"{file}: question {one.question_id}: `id` is used twice; give each question its own.")
        seen.add(one.question_id)
    return GoldenSet(name, version, str(head.get("description") or ""), tuple(corpora), questions, file)


def _yaml(text: str, file: Path) -> tuple[Mapping[str, Any], list[Any]]:
    import yaml

    try:
        content = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: a date that is none
        mark = getattr(error, "problem_mark", None)
        where = f" line {mark.line + 1}" if mark is not None else ""
        problem = getattr(error, "problem", None) or "syntax"
        raise GoldenError(f"{file}{where}: not YAML ({problem}); put texts with a colon into quotes.") from error
    if not isinstance(content, dict) or not isinstance(content.get("questions"), list):
        raise GoldenError(f"{file}: on top stand `set`, `version` and `questions`, a list of entries with `id`.")
    return {key: value for key, value in content.items() if key != "questions"}, content["questions"]


def _lines(text: str, file: Path) -> tuple[Mapping[str, Any], list[Any]]:
    rows: list[Any] = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            rows.append(json.loads(line))
        except (ValueError, RecursionError) as error:
            raise GoldenError(f"{file} line {number}: not JSON ({error}); each line is one object.") from None
    if rows and isinstance(rows[0], dict) and "question" not in rows[0]:
        return rows[0], rows[1:]
    return {}, rows


@dataclass(frozen=True, slots=True)
class _Entry:
    """One question while it is read: knows where it stands, for errors."""

    file: Path
    number: int
    fields: Any

    def fail(self, problem: str) -> GoldenError:
        name = self.fields.get("id") if isinstance(self.fields, dict) else None
        return GoldenError(f"{self.file}: question {str(name)[:60] if name is not None else self.number}: {problem}.")

    def question(self) -> Question:
        self._known(self.fields, _QUESTION_KEYS, "a question")
        question_id = self.fields.get("id")
        if not isinstance(question_id, str | int) or isinstance(question_id, bool) or not str(question_id).strip():
            raise self.fail("`id` is missing; give it a short name of its own, such as q01")
        text = self._text(self.fields, "question")
        if not text.strip():
            raise self.fail("`question` is missing; write what a person would ask")
        kind = self._text(self.fields, "type").strip() or UNTYPED
        if kind == ALL:
            raise self.fail(f"`type` cannot be {ALL}, which stands for all questions; choose another word")
        golds = self.fields.get("gold")
        if not isinstance(golds, list) or not golds:
            raise self.fail("`gold` must be a list of at least one place that answers it")
        found = tuple(self._gold(gold) for gold in golds)
        if len(set(found)) < len(found):
            raise self.fail("the same gold stands in it twice; remove one")
        return Question(str(question_id), text, kind, found)

    def _gold(self, fields: Any) -> Gold:
        self._known(fields, _GOLD_KEYS, "a gold")
        texts = {key: self._text(fields, key) for key in _GOLD_KEYS - {"grade"}}
        places = [name for name in _PLACES if texts[name]]
        if len(places) != 1:
            raise self.fail(f"a gold names its place by exactly one of {', '.join(f'`{name}`' for name in _PLACES)}")
        if texts["inner"] and not texts["path"]:
            raise self.fail("`inner` goes with `path` only")
        if texts["chunk_id"] and texts["from"]:
            raise self.fail("a gold with `chunk_id` is that chunk; leave `from` out, or name the document")
        if texts["to"] and not texts["from"]:
            raise self.fail("`to` stands without `from`; write the first words of the passage, too")
        if any(key in fields and not texts[key].strip() for key in ("from", "to")):
            raise self.fail("`from` and `to` hold words of the text; leave out what is empty")
        grade = fields.get("grade", 1)
        if grade not in GRADES or isinstance(grade, bool):
            raise self.fail("`grade` must be 1, 2 or 3")
        return Gold(
            path=texts["path"],
            corpus=texts["corpus"],
            inner=texts["inner"],
            document_id=texts["document_id"],
            chunk_id=texts["chunk_id"],
            grade=int(grade),
            begins=texts["from"],
            ends=texts["to"],
        )

    def _known(self, fields: Any, keys: frozenset[str], what: str) -> None:
        if not isinstance(fields, dict):
            raise self.fail(f"{what} has the form of `{'`, `'.join(sorted(keys))}` with values; this is none")
        for key in fields:
            if key not in keys:
                raise self.fail(f"`{str(key)[:60]}` is no field of {what}; there are {_listed(keys)}")

    def _text(self, fields: Mapping[str, Any], key: str) -> str:
        value = fields.get(key)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise self.fail(f"`{key}` must be text; put it into quotes")
        if "\x00" in value or any(0xD800 <= ord(letter) < 0xE000 for letter in value):
            raise self.fail(f"`{key}` holds a character that no text has (NUL or half of a pair); write it anew")
        return value


def _listed(keys: frozenset[str]) -> str:
    return ", ".join(sorted(keys))
