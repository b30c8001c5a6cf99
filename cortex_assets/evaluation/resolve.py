"""Golds to places in documents as they are stored now: ids and character spans, or why they are not there. Pure.

Anchors are verbatim words of the text, compared with white space collapsed, so that a gold outlives other chunks, line breaks
and edits elsewhere in its document. Who reads the documents is the caller.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from cortex_assets.evaluation.golden import Gold, Question


@dataclass(frozen=True, slots=True)
class Document:
    """A stored document that a gold may name; ``text`` is asked for only where a gold has words to find.

    Attributes:
        document_id: its id.
        corpus: name of its corpus.
        path: display path.
        inner: empty for the whole file; part, member or message otherwise.
        text: as it is stored.
    """

    document_id: str
    corpus: str
    path: str
    inner: str = ""
    text: str = ""

    @property
    def member(self) -> str:
        """The member that it is, without the number of its part; empty for a file and for a part of one."""
        return self.inner.partition("#part-")[0]


@dataclass(frozen=True, slots=True)
class Target:
    """A gold that is there.

    Attributes:
        grade: 1 to 3.
        document_ids: documents of which any chunk meets it, or in which its span is.
        span: first character and one past the last in its only document; None where a whole document is wanted.
        chunk_id: the chunk that is wanted; empty otherwise.
    """

    grade: int
    document_ids: frozenset[str]
    span: tuple[int, int] | None = None
    chunk_id: str = ""


@dataclass(frozen=True, slots=True)
class Resolved:
    """A question with the golds that are there, in their order, and why others are not, one line each."""

    question: Question
    targets: tuple[Target, ...]
    gone: tuple[str, ...]


class Shelf:
    """Documents by what golds name them by."""

    def __init__(self, documents: Iterable[Document], chunks: Mapping[str, tuple[str, int, int]] | None = None) -> None:
        """Index.

        Args:
            documents: all that golds may name.
            chunks: chunk id to (document id, first character, one past the last), of the chunks that golds name.
        """
        self._chunks = chunks or {}
        self._by_id: dict[str, Document] = {}
        self._by_path: dict[str, list[Document]] = {}
        for document in sorted(documents, key=lambda one: (one.corpus, one.path, one.inner, one.document_id)):
            self._by_id[document.document_id] = document
            self._by_path.setdefault(document.path, []).append(document)

    def resolve(self, question: Question, corpora: Sequence[str] = ()) -> Resolved:
        """Find a question's golds.

        Args:
            question: with its golds.
            corpora: names of those that are searched; empty = all.
        """
        found = [self._target(gold, corpora) for gold in question.golds]
        targets = tuple(one for one in found if isinstance(one, Target))
        return Resolved(question, targets, tuple(one for one in found if isinstance(one, str)))

    def _target(self, gold: Gold, corpora: Sequence[str]) -> Target | str:
        """The place of a gold, or why it has none."""
        if gold.chunk_id:
            chunk = self._chunks.get(gold.chunk_id)
            if chunk is None:
                return f"{gold.label}: no chunk has that id"
            return Target(gold.grade, frozenset({chunk[0]}), (chunk[1], chunk[2]), gold.chunk_id)
        documents = self._documents(gold, corpora)
        if not documents:
            return f"{gold.label}: no such document"
        if not gold.begins:
            return Target(gold.grade, frozenset(one.document_id for one in documents))
        for document in documents:
            span = find_span(document.text, gold.begins, gold.ends)
            if span is not None:
                return Target(gold.grade, frozenset({document.document_id}), span)
        has_begin = gold.ends and any(find_span(document.text, gold.begins) for document in documents)
        return f"{gold.label}: its {'last' if has_begin else 'first'} words are not in the text"

    def _documents(self, gold: Gold, corpora: Sequence[str]) -> list[Document]:
        if gold.document_id:
            known = self._by_id.get(gold.document_id)
            return [] if known is None else [known]
        wanted = gold.inner.lstrip("/")
        return [
            document
            for document in self._by_path.get(gold.path, [])
            if (not gold.corpus or document.corpus == gold.corpus)
            and (not corpora or document.corpus in corpora)
            and wanted in (document.member.lstrip("/"), document.inner)
        ]


def find_span(text: str, begins: str, ends: str = "") -> tuple[int, int] | None:
    """The first passage that begins and ends with some words, white space apart; None where there is none.

    Args:
        text: what is searched, in characters.
        begins: its first words.
        ends: its last words, after them; empty = the passage is ``begins``.
    """
    first = _words(begins).search(text)
    if first is None or not ends:
        return None if first is None else first.span()
    last = _words(ends).search(text, first.end())
    return None if last is None else (first.start(), last.end())


def _words(anchor: str) -> re.Pattern[str]:
    return re.compile(r"\s+".join(re.escape(word) for word in anchor.split()))
