"""Accepted questions added to the text of the golden set that holds them. Pure: what stands there stays as it is written.

The text is added to, not written anew, and read again before anybody gets it: comments, order and edits of a person survive,
and a file of another form is refused instead of damaged.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from cortex_assets.evaluation.golden import Gold, GoldenError, Question, parse_golden

FILE, NAME = "accepted.yaml", "accepted"
HEAD = (
    "# Questions that a person accepted from the candidates that Cortex proposes (`cortex eval --candidates`).\n"
    "# Yours to edit: new ones are added at the end, and `version` is raised.\n"
    f"set: {NAME}\nversion: 0\nquestions:\n"
)
_VERSION = re.compile(r"^version:[ \t]*(\d+)", re.M)
_ENTRY = re.compile(r"^questions:.*\n(?:[ \t]*(?:#.*)?\n)*([ \t]*)- ", re.M)


def with_questions(text: str, questions: Sequence[Question], file: Path) -> str:
    """The text of a golden set with more questions at its end and its version raised.

    Args:
        text: as it stands; empty = there is none yet.
        questions: at least one; an id that is taken gets a number.
        file: where it is; named in errors.

    Raises:
        GoldenError: it cannot be added to; names the remedy.
    """
    old = parse_golden(text, file) if text.strip() else None
    taken = {one.question_id for one in old.questions} if old is not None else set()
    begun = text if old is not None else HEAD
    version = _VERSION.search(begun)
    if version is None:
        raise GoldenError(f"{file}: `version` is missing; write a line `version: 1` on top, so that it can be raised.")
    begun = f"{begun[: version.start(1)]}{int(version[1]) + 1}{begun[version.end(1) :]}"
    entry = _ENTRY.search(begun)
    indent = "  " if entry is None else entry[1]
    added = []
    for one in questions:
        name, number = one.question_id, 1
        while name in taken:
            number += 1
            name = f"{one.question_id}-{number}"
        taken.add(name)
        added.append(Question(name, one.text, one.kind, one.golds))
    lines = [f"{indent}{line}" for one in added for line in _entry(one)]
    whole = "\n".join([begun.rstrip("\n"), *lines, ""])
    _check(whole, (*(old.questions if old is not None else ()), *added), file)
    return whole


def _entry(question: Question) -> list[str]:
    golds = [line for gold in question.golds for line in _gold(gold)]
    head = [f"- id: {quoted(question.question_id)}", f"  question: {quoted(question.text)}"]
    return [*head, f"  type: {quoted(question.kind)}", "  gold:", *(f"    {line}" for line in golds)]


def _gold(gold: Gold) -> list[str]:
    texts = {"corpus": gold.corpus, "path": gold.path, "inner": gold.inner, "from": gold.begins, "to": gold.ends}
    lines = [f"{name}: {quoted(text)}" for name, text in texts.items() if text]
    lines.insert(len(lines) - bool(gold.begins) - bool(gold.ends), f"grade: {gold.grade}")
    return [f"{'- ' if number == 0 else '  '}{line}" for number, line in enumerate(lines)]


def quoted(text: str) -> str:
    """A text as YAML reads it back, on one line, between quotes."""
    import yaml

    dumped: str = yaml.dump(text, default_style='"', allow_unicode=True, width=2**30)
    return dumped.rstrip("\n")


def _check(text: str, wanted: tuple[Question, ...], file: Path) -> None:
    """Refuse a text that does not read back as what was meant.

    Raises:
        GoldenError: `questions` is not the last thing in it, or not a list in block style.
    """
    remedy = "it cannot be added to: let `questions:` be the last field, with one `- id:` entry below the other"
    try:
        read = parse_golden(text, file)
    except GoldenError as error:
        raise GoldenError(f"{file}: {remedy} ({error}).") from None
    if read.questions != wanted:
        raise GoldenError(f"{file}: {remedy}.")
