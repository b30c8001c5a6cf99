"""What of a document is searched for secrets, and what is left of it: masked text, structure and reasons, and where they were.

Between parsing and the documents table; no value that was found is in any row, reason or log. How one text is searched is
``secrets``; the rules are ``secret_rules`` and ``personal_rules``. Which bytes are searched as well is ``left_out``'s. The
paths of files are not looked at.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from cortex_assets.documents.model import ParsedDocument, Structure
from cortex_assets.documents.personal_rules import PERSONAL
from cortex_assets.documents.secret_columns import COLUMN_RULE, find_in_columns, joined
from cortex_assets.documents.secret_rules import SECRETS, Rule
from cortex_assets.documents.secrets import Finding, find_in_all, mask, masked

MASKED, KEPT = "mask", "keep"
IN_BYTES = "bytes"
"""The place of a finding that is in the file and not in the document's text."""
LEAST_REPEATED = 4
"""A found value of at least so many characters is masked wherever else it stands in the document's title, links and names."""

FindingRow = dict[str, str | int | None]
"""An item of the column ``findings``."""


@dataclass(frozen=True, slots=True)
class Redaction:
    """What a corpus wants of secrets and personal data.

    Attributes:
        secrets: ``mask``, or ``keep``: they are found and counted, and the text stays as it is.
        personal_data: ``keep`` (not looked for), or ``mask``.
        allow: ids of rules that are not asked, and regular expressions: a value in which one is found is no secret.
    """

    secrets: str = MASKED
    personal_data: str = KEPT
    allow: tuple[str, ...] = ()

    @property
    def settings(self) -> dict[str, str | int | float | bool | None]:
        """For the version of what is made under it."""
        return {"secrets": self.secrets, "personal_data": self.personal_data, "allow": repr(self.allow)}


Found = tuple[str, str]
"""A rule and a value that it found. Never stored: it is compared with what is in the text."""

MASKING = Redaction()
"""What a corpus gets that says nothing about it."""


@dataclass(frozen=True, slots=True)
class Redacted:
    """A document as it may be stored, and what was found in it."""

    document: ParsedDocument
    findings: tuple[FindingRow, ...] = ()


def redacted(
    documents: Sequence[ParsedDocument], redaction: Redaction, in_bytes: Sequence[Sequence[Found]] = ()
) -> list[Redacted]:
    """Find and mask the secrets of many documents, in one pass.

    Args:
        documents: with texts that can be stored (no lone surrogates).
        redaction: what is to be found, and whether it is masked.
        in_bytes: for each document, what was found in the bytes of its file; none of it is known where this is empty.
    """
    rules, allowed = _asked(redaction)
    if not rules:
        return [Redacted(document) for document in documents]
    texts = [document.text for document in documents]
    beside = ["\n".join(_strings(document)) for document in documents]
    found = find_in_all([*texts, *beside], rules, allowed)
    in_texts = [
        _with_columns(document, in_text, redaction) for document, in_text in zip(documents, found, strict=False)
    ]
    return [
        _redacted(document, in_text, redaction, known) if in_text or in_rest or known else Redacted(document)
        for document, in_text, in_rest, known in zip(
            documents, in_texts, found[len(texts) :], in_bytes or [()] * len(texts), strict=True
        )
    ]


def _with_columns(document: ParsedDocument, in_text: list[Finding], redaction: Redaction) -> list[Finding]:
    """What was found in a text, and the cells of its tables in columns for secrets."""
    if COLUMN_RULE in redaction.allow:
        return in_text
    allowed = _asked(redaction)[1]
    cells = [
        cell
        for cell in find_in_columns(document)
        if not any(pattern.search(document.text[cell.start : cell.end]) for pattern in allowed)
    ]
    return joined(in_text, cells) if cells else in_text


def found_values(texts: Sequence[str], redaction: Redaction) -> list[list[Found]]:
    """For each text the rules that found something, and what."""
    rules, allowed = _asked(redaction)
    found = find_in_all(texts, rules, allowed) if rules else [[] for _ in texts]
    return [[(f.rule, text[f.start : f.end]) for f in one] for text, one in zip(texts, found, strict=True)]


def redacted_line(line: str, redaction: Redaction) -> str:
    """A reason or a name without its secrets."""
    rules, allowed = _asked(redaction)
    return masked(line, _hidden(find_in_all([line], rules, allowed)[0], redaction))


@lru_cache(maxsize=32)
def _asked(redaction: Redaction) -> tuple[tuple[Rule, ...], tuple[re.Pattern[str], ...]]:
    """The rules that are asked, and the values that are allowed."""
    rules = (*SECRETS, *(PERSONAL if redaction.personal_data == MASKED else ()))
    known = {*(rule.id for rule in (*SECRETS, *PERSONAL)), COLUMN_RULE}
    allowed = tuple(re.compile(entry) for entry in redaction.allow if entry not in known)
    return tuple(rule for rule in rules if rule.id not in redaction.allow), allowed


def _strings(document: ParsedDocument) -> Iterator[str]:
    """What is stored of a document beside its text."""
    structure = document.structure
    yield document.title
    yield document.inner
    yield document.reason or ""
    yield document.doubt or ""
    yield from structure.links
    for heading in structure.headings:
        yield heading.title
    for place in structure.places:
        yield place.label
    for block in structure.blocks:
        yield block.cells or ""


PERSONAL_IDS = frozenset(rule.id for rule in PERSONAL)


def _hidden(findings: Sequence[Finding], redaction: Redaction) -> list[Finding]:
    """The findings that are masked."""
    return [f for f in findings if redaction.secrets == MASKED or f.rule in PERSONAL_IDS]


def _redacted(
    document: ParsedDocument, in_text: Sequence[Finding], redaction: Redaction, in_bytes: Sequence[Found]
) -> Redacted:
    text = document.text
    rest = _Rest(
        [text[f.start : f.end] for f in in_text],
        [text[f.start : f.end] for f in _hidden(in_text, redaction)],
        redaction,
    )
    rows: list[FindingRow] = [_row(f.rule, "text", text.count("\n", 0, f.start) + 1, f.start, f.end) for f in in_text]
    clean = replace(
        document,
        text=masked(text, _hidden(in_text, redaction)),
        title=rest.clean(document.title, "title"),
        inner=rest.clean(document.inner, "inner"),
        reason=rest.clean(document.reason, "reason") if document.reason else document.reason,
        doubt=rest.clean(document.doubt, "doubt") if document.doubt else document.doubt,
        structure=_clean_structure(document.structure, rest),
    )
    return Redacted(clean, (*rows, *rest.rows, *rest.left_out(in_bytes)))


def _clean_structure(structure: Structure, rest: "_Rest") -> Structure:
    return Structure(
        tuple(heading._replace(title=rest.clean(heading.title, "heading")) for heading in structure.headings),
        structure.pages,
        tuple(replace(b, cells=rest.clean(b.cells, "block")) if b.cells else b for b in structure.blocks),
        tuple(rest.clean(link, "link") for link in structure.links),
        tuple(replace(place, label=rest.clean(place.label, "place")) for place in structure.places),
    )


class _Rest:
    """Cleans what stands beside a document's text, and remembers what was found there and not in the text."""

    def __init__(self, found: Sequence[str], hidden: Sequence[str], redaction: Redaction) -> None:
        self.rows: list[FindingRow] = []
        self._seen = set(found)
        self._hidden = sorted({v for v in hidden if len(v) >= LEAST_REPEATED}, key=len, reverse=True)
        self._redaction = redaction

    def clean(self, line: str, place: str) -> str:
        rules, allowed = _asked(self._redaction)
        found = find_in_all([line], rules, allowed)[0]
        for finding in found:
            value = line[finding.start : finding.end]
            if value not in self._seen:
                self._seen.add(value)
                self.rows.append(_row(finding.rule, place))
        line = masked(line, _hidden(found, self._redaction))
        for value in self._hidden:
            line = line.replace(value, mask(value))
        return line

    def left_out(self, in_bytes: Sequence[Found]) -> Iterator[FindingRow]:
        """Rows for what is in the file's bytes, and neither in the text nor beside it; after all else was cleaned."""
        return (_row(rule, IN_BYTES) for rule, value in dict.fromkeys(in_bytes) if value not in self._seen)


def _row(
    rule: str, place: str, line: int | None = None, start: int | None = None, end: int | None = None
) -> FindingRow:
    return {"rule": rule, "place": place, "line": line, "start_char": start, "end_char": end}
