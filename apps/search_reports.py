"""What a search may be asked for, and what it gives: hits, reasons of a rank, the text around a hit, answers in sentences.

Frozen values, like all of ``apps.reports``; nothing here reads or computes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date


@dataclass(frozen=True, slots=True)
class Wishes:
    """What is asked for besides hits.

    Attributes:
        answer: sentences that answer, each with a verified citation, or that nothing does.
        reasons: of each hit what made its rank.
        around: of each hit the section that it stands in.
        diverse: passages that repeat others stand further down.
    """

    answer: bool = False
    reasons: bool = False
    around: bool = False
    diverse: bool = False


@dataclass(frozen=True, slots=True)
class WordReason:
    """What a word of the question gave to a hit: its weight in the question, its share of the words' score, where it stands."""

    word: str
    weight: float
    score: float
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Reasons:
    """Why a hit ranks where it does: ``by_meaning + by_words``, then lifted by what the question asks for exactly.

    Attributes:
        form: what the question looks like, such as ``identifier``.
        dense_weight: share that meaning has for that form, 0..1.
        by_meaning: part of the score that meaning gave.
        by_words: part of the score that words gave.
        cosine: with the question; None where meaning was not asked or has no vector.
        density: how near the hit lies to the other candidates, which its cosine was lessened by.
        dense_rank: place by cosine among the candidates, from 1.
        sparse: score by words (BM25).
        sparse_rank: place by words, from 1.
        exact: whether it holds every exact string of the question; None where there are none.
        time: how well it fits the time that was asked for, 0..1; None where none was.
        judged: what a reranker said of it, 0..1 among those judged; None where none did.
        words: of the question, in its order.
    """

    form: str
    dense_weight: float
    by_meaning: float
    by_words: float
    cosine: float | None
    density: float | None
    dense_rank: int | None
    sparse: float | None
    sparse_rank: int | None
    exact: bool | None = None
    time: float | None = None
    judged: float | None = None
    words: tuple[WordReason, ...] = ()

    def told(self) -> list[str]:
        """In words, a line each: the two parts, then what lifted it."""
        meaning = f"meaning {self.by_meaning:.3f}"
        if self.cosine is None:
            meaning += " (no vector compared)"
        else:
            place = f", place {self.dense_rank}" if self.dense_rank else ""
            density = f", density {self.density:.2f}" if self.density is not None else ""
            meaning += f" (cosine {self.cosine:.3f}{place}{density})"
        found = [f"{one.word} {one.score:.1f} in {', '.join(one.fields)}" for one in self.words if one.fields]
        lacking = [one.word for one in self.words if not one.fields]
        place = f", place {self.sparse_rank}" if self.sparse_rank else ""
        words = f"words {self.by_words:.3f}" + (f" (BM25 {self.sparse:.1f}{place})" if self.sparse is not None else "")
        lines = [f"{self.form}: {meaning} + {words}; meaning counts {self.dense_weight:.0%}"]
        if found or lacking:
            lines.append(
                " · ".join(found) + (f"{' · ' if found else ''}without {', '.join(lacking)}" if lacking else "")
            )
        if self.exact is not None:
            lines.append(f"{'holds' if self.exact else 'does not hold'} what is asked for exactly")
        if self.time is not None:
            lines.append(f"fits the time that is asked for: {self.time:.2f}")
        if self.judged is not None:
            lines.append(f"judged by the reranker: {self.judged:.2f}")
        return lines


@dataclass(frozen=True, slots=True)
class Around:
    """The section, or as much of it as is shown, that a hit stands in; ``title`` is its heading where it has one."""

    text: str
    title: str
    start_line: int
    end_line: int
    start_char: int
    end_char: int


@dataclass(frozen=True, slots=True)
class SearchFilters:
    """What a search is limited to; empty = no limit."""

    corpora: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    after: date | None = None
    before: date | None = None


_LINE_BY_LINE = ("code", "data", "table", "sheet", "database")
_BREAKS = ("|", "```", "~~~", "    ", "\t", "- ", "* ")


@dataclass(frozen=True, slots=True)
class Hit:
    """One cited result.

    Attributes:
        start_char: where the chunk starts in the document's text (characters); ``end_char`` where it ends.
        highlights: spans to stress, in characters of ``snippet``.
        citation: ``exact``, ``fuzzy`` or ``unverified``: how the chunk compares with the stored document.
        also_in: other places with this text, as ``corpus/path:line``; ``~`` before one that says almost the same.
        inner: the member of an archive or a mail that it is in, with a leading slash; else empty.
        place: what people call its place beyond lines and pages: ``slide 3``, ``Budget!A2:D9``, ``§ Install``.
        reasons: of its rank, where they were asked for.
        around: the section that it stands in, where that was asked for.
    """

    rank: int
    score: float
    corpus: str
    path: str
    title: str
    snippet: str
    highlights: tuple[tuple[int, int], ...]
    citation: str
    start_line: int
    end_line: int
    start_page: int | None
    end_page: int | None
    start_char: int
    end_char: int
    kind: str
    language: str | None
    symbol: str | None
    document_id: str
    chunk_id: str
    also_in: tuple[str, ...] = ()
    inner: str = ""
    place: str | None = None
    reasons: Reasons | None = None
    around: Around | None = None

    @property
    def is_flowing(self) -> bool:
        """Its line breaks are only where a line was full: no code, no table, no list."""
        if self.kind in _LINE_BY_LINE:
            return False
        return not any(line.startswith(_BREAKS) for line in self.snippet.split("\n"))


@dataclass(frozen=True, slots=True)
class AnswerReport:
    """What the sources say to a question, in their own sentences.

    Attributes:
        support: ``supported``, ``weak`` (about it, and perhaps no answer) or ``none`` (then there are no quotes).
        confidence: the chance that the quotes hold the answer, 0..1.
        basis: what that rests on: ``words and meaning``, or ``words`` where the embedder is none that was measured.
        quotes: one or more neighbouring sentences each, document by document, the best document first; ``rank`` is the mark
            in the text, ``score`` the chance that this one holds the answer; all are exact or fuzzy, none is unverified.
        left_out: sentences that the stored text does not bear out, and that are therefore not shown.
    """

    support: str
    confidence: float
    basis: str
    quotes: tuple[Hit, ...] = ()
    left_out: int = 0

    @property
    def documents(self) -> list[tuple[Hit, ...]]:
        """The quotes of each document."""
        groups: dict[str, list[Hit]] = {}
        for quote in self.quotes:
            groups.setdefault(quote.document_id, []).append(quote)
        return [tuple(group) for group in groups.values()]

    @property
    def verdict(self) -> str:
        """The support as people say it."""
        return {"supported": "supported", "weak": "weak support"}.get(self.support, "no support")

    @property
    def percent(self) -> str:
        """The confidence as people say it, such as ``83 %``; nothing is ever quite sure, nor out of the question."""
        return f"{min(99, max(1, round(100 * self.confidence)))} %"


@dataclass(frozen=True, slots=True)
class SearchResponse:
    """Hits of a question, best first.

    Attributes:
        question: what was asked.
        hits: best first.
        milliseconds: what took how long.
        notes: what was not as it should be.
        answer: in sentences, where one was asked for.
    """

    question: str
    hits: tuple[Hit, ...]
    milliseconds: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    answer: AnswerReport | None = None
