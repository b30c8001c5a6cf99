"""Sentences of hits that may answer a question, with what their words and their surroundings say for them.

Pure arithmetic over the terms of ``words``; embedding, choosing and citing belong to ``answer``. A change of a feature means
fitting the constants of ``confidence`` anew.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from cortex_assets.retrieval.hits import Hit
from cortex_assets.retrieval.routes import flattened, question_form
from cortex_assets.retrieval.sentences import Kind, Layout, Piece, pieces
from cortex_assets.retrieval.words import asked_ids, stored_ids, unit_pattern

FRAME = frozenset(
    asked_ids(
        "what who whom whose which when where why how do does did is are was were be been has have had a an the of in on at "
        "to for by from with and or not no it its this that there as many much can could would should will i my me you your"
    )
)
"""Terms that ask rather than name: rare in notes, so that their idf would count for much."""
_LAYOUTS = {
    "code": Layout.CODE,
    "data": Layout.CODE,
    "table": Layout.ROWS,
    "sheet": Layout.ROWS,
    "database": Layout.ROWS,
}


@dataclass(frozen=True, slots=True)
class Candidate:
    """A sentence that may answer.

    Attributes:
        hit: number of its hit, from 0.
        piece: where it is in the hit's text.
        place: number of the piece among those of the hit.
        terms: its terms.
        own: share of the question's weight in its own words.
        near: what the piece before it adds to that.
        context: what headings, title, symbol and path add to both.
        whole: share of the question's weight in its chunk with all that.
    """

    hit: int
    piece: Piece
    place: int
    terms: frozenset[int]
    own: float
    near: float
    context: float
    whole: float


def telling(question: str, weights: Mapping[int, float]) -> dict[int, float]:
    """The weights of a question's terms without those that only ask, unless they are quoted; perhaps none."""
    if question_form(question).exact:
        return dict(weights)
    return {term: weight for term, weight in weights.items() if term not in FRAME}


def named(question: str) -> list[str]:
    """The words, names and paths of a question that do not only ask."""
    units = unit_pattern(question).findall(question)
    return [unit for unit in units if not FRAME.issuperset(asked_ids(unit))]


def candidates(question: str, hits: Sequence[Hit], weights: Mapping[int, float]) -> list[Candidate]:
    """Sentences that may answer, in the order of the hits: no headings, no questions, no text twice.

    Where the question names something exactly, only hits that have it are read.
    """
    form = question_form(question)
    found, seen = [], set[str]()
    for number, hit in enumerate(hits):
        if form.exact and not form.is_met_by(hit.text, hit.symbol or "", hit.path, hit.title, hit.context):
            continue
        for one in _of_hit(number, hit, weights):
            text = flattened(hit.text[one.piece.start : one.piece.end])
            if text not in seen and not text.endswith(("?", "？", "؟")):
                seen.add(text)
                found.append(one)
    return found


def _of_hit(number: int, hit: Hit, weights: Mapping[int, float]) -> Iterator[Candidate]:
    about = frozenset(stored_ids("\n".join((hit.context, hit.title, hit.symbol or "", hit.path))))
    whole = share(about.union(stored_ids(hit.text)), weights)
    before = frozenset[int]()
    for place, piece in enumerate(pieces(hit.text, _LAYOUTS.get(hit.kind, Layout.PROSE))):
        terms = frozenset(stored_ids(hit.text[piece.start : piece.end]))
        if len(terms) > 1 and piece.kind is not Kind.HEADING:
            own = share(terms, weights)
            near = share(terms | before, weights) - own
            context = share(terms | before | about, weights) - own - near
            yield Candidate(number, piece, place, terms, own, near, context, whole)
        before = terms


def share(terms: frozenset[int], weights: Mapping[int, float]) -> float:
    """How much of the question's weight some terms have, 0..1."""
    total = sum(weights.values())
    return sum(weight for term, weight in weights.items() if term in terms) / total if total > 0 else 0.0


def sentence_features(one: Candidate, hit: Hit) -> tuple[float, ...]:
    """``own near context rank length``: those of ``Calibration.sentence`` that need no embedder."""
    return one.own, one.near, one.context, hit.score, math.log((one.piece.end - one.piece.start) / 100)


def embedded_text(one: Candidate, hit: Hit) -> str:
    """A sentence below its headings, as its chunk was embedded."""
    return hit.context + hit.text[one.piece.start : one.piece.end]
