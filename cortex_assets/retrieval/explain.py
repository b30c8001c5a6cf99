"""Why a hit ranks where it does: what meaning, words, exact strings and time gave, and which words where.

The numbers are those of the ranking; which word stands in which field is read from the hit again, with the encoder that the index
was made with.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from cortex_assets.retrieval.calibrate import DIGITS
from cortex_assets.retrieval.languages import asked_stems, language_of, stored_stems
from cortex_assets.retrieval.routes import Form
from cortex_assets.retrieval.sparse import Fields, encode_points
from cortex_assets.retrieval.words import asked_ids, stored_ids, unit_pattern

FIELDS = ("text", "context", "title", "symbol", "path")


@dataclass(frozen=True, slots=True)
class WordSignal:
    """A word of the question in a hit.

    Attributes:
        word: as asked (or as put right).
        weight: its idf in the question, times how often it is asked; 0 where it occurs nowhere.
        score: what it gave of the sparse score; words that share a term share what it gave.
        fields: where it stands, such as ``text`` and ``path``.
    """

    word: str
    weight: float
    score: float
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Signals:
    """What a hit's score is made of: ``by_meaning + by_words``, then lifted.

    Attributes:
        form: what the question looks like.
        dense_weight: share of meaning that this form has.
        by_meaning: part of the score that meaning gave.
        by_words: part of the score that words gave.
        dense_rank: place by cosine among the candidates, from 1; None where meaning did not find it.
        sparse_rank: place by words, from 1; None where words did not find it.
        density: how near it lies to the other candidates, which its cosine was lessened by.
        exact: whether it holds every exact string of the question; None where there are none.
        time: how well it fits the time that was asked for, 0..1; None where none was.
        judged: what a reranker said of it, scaled to 0..1 among those judged; None where none did.
        words: of the question; empty unless asked for.
    """

    form: Form
    dense_weight: float
    by_meaning: float
    by_words: float
    dense_rank: int | None = None
    sparse_rank: int | None = None
    density: float | None = None
    exact: bool | None = None
    time: float | None = None
    judged: float | None = None
    words: tuple[WordSignal, ...] = ()


def word_signals(
    question: str, payload: Mapping[str, Any], by_term: Mapping[int, float], unasked: Collection[str] = ()
) -> tuple[WordSignal, ...]:
    """What each word of a question gave to a hit's sparse score, in the question's order.

    Args:
        question: as asked, with what was put right.
        payload: of the hit.
        by_term: weights of the question's terms.
        unasked: words that were not looked for, casefolded.
    """
    fields = {name: str(payload.get(name) or "") for name in FIELDS}
    language = str(payload.get("language") or "") if payload.get("kind") == "code" else ""
    ids, weights = encode_points([Fields(**fields, language=language)]).vector(0)
    stored = dict(zip(ids.tolist(), weights.tolist(), strict=True))
    spoken = language_of(fields["text"])
    there = {
        name: frozenset((*stored_ids(text), *(stored_stems(text, spoken) if spoken else ())))
        for name, text in {**fields, "language": language}.items()
    }
    told, given = [], set[int]()
    for word in dict.fromkeys(unit_pattern(question).findall(question)):
        if word.casefold() in unasked:
            continue
        terms = {*asked_ids(word), *asked_stems(word)}
        score = sum(by_term.get(term, 0.0) * stored.get(term, 0.0) for term in terms - given)
        given |= terms
        weight = max((by_term.get(term, 0.0) for term in terms), default=0.0)
        at = tuple(name for name, held in there.items() if not held.isdisjoint(terms))
        told.append(WordSignal(word, round(weight, DIGITS), round(score, DIGITS), at))
    return tuple(told)
