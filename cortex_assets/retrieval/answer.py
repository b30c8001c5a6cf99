"""A question and its hits to an answer in the sources' own sentences, each with its citation, or to "no support".

Nothing is written here: an answer is at most ``MOST`` sentences that stand in the documents, chosen by the question's words,
by meaning where the embedder is one that was measured, and by how well their chunk was found. What was not verified is left
out. Embedder and stored texts come in as arguments; what may be chosen is in ``candidates``, how sure that is in ``confidence``.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from cortex_assets.retrieval.calibrate import DIGITS
from cortex_assets.retrieval.candidates import (
    Candidate,
    candidates,
    embedded_text,
    named,
    sentence_features,
    share,
    telling,
)
from cortex_assets.retrieval.cite import Anchor, Citation, Verdict, Verified
from cortex_assets.retrieval.confidence import WORDS, Calibration, Support, calibration, support
from cortex_assets.retrieval.highlight import snippet
from cortex_assets.retrieval.hits import Hit
from cortex_assets.retrieval.search import SearchResult
from inference.protocols import Floats

EmbedTexts = Callable[[Sequence[str]], Floats]
"""Vectors of texts, (len(texts), dimensions), float32, of length 1, in the space of the hits."""
Verify = Callable[[Citation], Verified]

MOST = 4
"""Sentences of an answer at most."""
HITS_READ = 8
"""Hits whose sentences are looked at."""
EMBEDDED, EMBEDDED_CHARACTERS = 8, 2_000
"""Sentences that are embedded at most, those best by words, and how long they may be together: some 11 ms of a core each."""
LEAST_SHARE, LEAST_SHARE_NEW = 0.2, 0.05
"""A further sentence has at least this share of the best one's chance; the latter where it says words that none yet did."""
NEW_WORDS = 0.15
"""Share of the question's weight that counts as new words."""
MOST_LEFT_OUT = 8
"""Sentences that are not borne out before no more are tried: their documents have changed."""
TWICE = 0.93
"""Sentences nearer to each other than this (by cosine) say the same."""
OVERLAP = 0.85
"""The same by words alone: shared terms to all terms of both."""


@dataclass(frozen=True, slots=True)
class Quote:
    """One or more neighbouring sentences of an answer.

    Attributes:
        number: from 1, in the order they are read.
        hit: what it was taken from, with the sentences in place of its window: ``snippet`` is what to show, ``citation``
            where they stand, ``score`` the chance that the best of them holds the answer, 0..1.
        verified: what became of the citation, never unverified.
    """

    number: int
    hit: Hit
    verified: Verified


@dataclass(frozen=True, slots=True)
class Answer:
    """What the sources say to a question.

    Attributes:
        support: whether they answer it; with ``none`` there are no quotes.
        confidence: the chance that the quotes hold the answer, 0..1, rounded to 1e-4.
        basis: what the confidence rests on: ``words and meaning`` or ``words``.
        quotes: by document, the best document first, and in it by place.
        left_out: sentences that were left out because the stored text does not bear them out.
    """

    support: Support
    confidence: float
    basis: str
    quotes: tuple[Quote, ...] = ()
    left_out: int = 0

    @property
    def documents(self) -> list[tuple[Quote, ...]]:
        """The quotes of each document, in order: evidence to be seen side by side."""
        groups: dict[str, list[Quote]] = {}
        for quote in self.quotes:
            groups.setdefault(quote.hit.document_id, []).append(quote)
        return [tuple(group) for group in groups.values()]


@dataclass(frozen=True, slots=True)
class Draft:
    """Sentences that were chosen, not yet judged.

    Attributes:
        quotes: as in ``Answer``.
        features: those of ``Calibration.whole``.
        best: the best sentence alone, as it stands; empty without one.
        left_out: as in ``Answer``.
    """

    quotes: tuple[Quote, ...]
    features: tuple[float, ...]
    best: str
    left_out: int


@dataclass(frozen=True, slots=True)
class _Scored:
    candidate: Candidate
    chance: float
    vector: Floats | None


def answer(question: str, result: SearchResult, verify: Verify, embed: EmbedTexts | None = None) -> Answer:
    """Answer a question from what a search found.

    Args:
        question: as it was searched for.
        result: of the search; the first ``HITS_READ`` hits are read.
        verify: compares a citation with the stored text.
        embed: embeds at most ``EMBEDDED`` sentences and the question in the hits' space; None = judge by words alone.

    Returns:
        The answer. Equal arguments give equal answers.
    """
    hits = result.hits[:HITS_READ]
    known = calibration([hit.space_id for hit in hits]) if embed else None
    constants = known or WORDS
    drafted = draft(question, result, verify, constants, embed if known else None)
    chance = chance_of(question, drafted, constants)
    judged = support(chance)
    quotes = () if judged is Support.NONE else drafted.quotes
    return Answer(judged, round(chance, DIGITS), "words and meaning" if known else "words", quotes, drafted.left_out)


def chance_of(question: str, drafted: Draft, constants: Calibration) -> float:
    """The chance that a draft holds the answer, 0..1; 0 where nothing was chosen."""
    if not drafted.quotes:
        return 0.0
    judge = constants.word if len(named(question)) == 1 else constants.whole
    return judge.chance(drafted.features)


def draft(
    question: str, result: SearchResult, verify: Verify, constants: Calibration, embed: EmbedTexts | None = None
) -> Draft:
    """Choose sentences, whatever they are worth; see ``answer``."""
    hits = result.hits[:HITS_READ]
    weights = telling(question, result.term_weights)
    found = candidates(question, hits, weights) if weights else []
    scored, cosine = _scored(question, hits, found, constants, embed)
    chosen, left_out = _chosen(scored, hits, weights, verify)
    if not chosen:
        return Draft((), (), "", left_out)
    best = chosen[0][0].candidate
    by_words = max(one.candidate.own for one, _ in chosen), max(one.candidate.whole for one, _ in chosen)
    by_meaning = max(hit.dense_score or 0.0 for hit in hits), cosine
    features = by_words if embed is None else by_words + by_meaning
    text = hits[best.hit].text[best.piece.start : best.piece.end]
    return Draft(_quotes(chosen, hits, weights), features, text, left_out)


def _scored(
    question: str, hits: Sequence[Hit], found: Sequence[Candidate], constants: Calibration, embed: EmbedTexts | None
) -> tuple[list[_Scored], float]:
    """The candidates with their chances, best first; and the best cosine with the question, 0 without an embedder."""
    features = [sentence_features(one, hits[one.hit]) for one in found]
    order = sorted(range(len(found)), key=lambda at: (-WORDS.sentence.logit(features[at]), at))
    if embed is None or not found:
        return [_Scored(found[at], constants.sentence.chance(features[at]), None) for at in order], 0.0
    texts = [embedded_text(found[at], hits[found[at].hit]) for at in order[:EMBEDDED]]
    fitting = np.cumsum([len(text) for text in texts]) <= EMBEDDED_CHARACTERS
    texts = texts[: max(1, int(fitting.sum()))]
    order = order[: len(texts)]
    vectors = embed([question, *texts])
    cosines = np.round(vectors[1:] @ vectors[0], DIGITS).tolist()
    scored = []
    for at, cosine, vector in zip(order, cosines, vectors[1:], strict=True):
        dense = hits[found[at].hit].dense_score
        lift = 0.0 if dense is None else cosine - dense
        scored.append(_Scored(found[at], constants.sentence.chance((*features[at], lift)), vector))
    return sorted(scored, key=lambda one: (-one.chance, one.candidate.hit, one.candidate.place)), max(cosines)


def _chosen(
    scored: Sequence[_Scored], hits: Sequence[Hit], weights: Mapping[int, float], verify: Verify
) -> tuple[list[tuple[_Scored, Verified]], int]:
    """The sentences to show, best first, and how many better ones were not borne out by the stored text."""
    chosen: list[tuple[_Scored, Verified]] = []
    said, left_out = frozenset[int](), 0
    for one in scored:
        if len(chosen) == MOST or left_out == MOST_LEFT_OUT:
            break
        best = chosen[0][0].chance if chosen else one.chance
        new = share(said | one.candidate.terms, weights) - share(said, weights)
        least = LEAST_SHARE_NEW if new >= NEW_WORDS else LEAST_SHARE
        if one.chance < least * best or any(_says_the_same(one, other) for other, _ in chosen):
            continue
        verified = verify(_cite(hits[one.candidate.hit], one.candidate.piece.start, one.candidate.piece.end))
        if verified.verdict is Verdict.UNVERIFIED:
            left_out += 1
            continue
        chosen.append((one, verified))
        said |= one.candidate.terms
    return chosen, left_out


def _says_the_same(one: _Scored, other: _Scored) -> bool:
    if one.vector is not None and other.vector is not None:
        return float(one.vector @ other.vector) > TWICE
    mine, theirs = one.candidate.terms, other.candidate.terms
    return len(mine & theirs) > OVERLAP * len(mine | theirs)


def _cite(hit: Hit, start: int, end: int) -> Citation:
    shown, cited = hit.snippet, hit.citation
    line = cited.start_line - hit.text.count("\n", 0, shown.start)
    anchor = Anchor(
        cited.document_id, cited.path, cited.start_char - shown.start, line, cited.start_page, cited.end_page
    )
    return anchor.cite(hit.text, start, end)


def _quotes(
    chosen: Sequence[tuple[_Scored, Verified]], hits: Sequence[Hit], weights: Mapping[int, float]
) -> tuple[Quote, ...]:
    """The sentences by document and place, exact neighbours joined."""
    documents = list(dict.fromkeys(hits[one.candidate.hit].document_id for one, _ in chosen))
    runs: list[list[tuple[_Scored, Verified]]] = []
    for one in sorted(chosen, key=lambda pair: _reading_order(pair[0], hits, documents)):
        if runs and _are_neighbours(runs[-1][-1], one, hits):
            runs[-1].append(one)
        else:
            runs.append([one])
    return tuple(_quote(number, run, hits, weights) for number, run in enumerate(runs, start=1))


def _reading_order(one: _Scored, hits: Sequence[Hit], documents: Sequence[str]) -> tuple[int, int]:
    hit = hits[one.candidate.hit]
    return documents.index(hit.document_id), _cite(hit, one.candidate.piece.start, one.candidate.piece.end).start_char


def _are_neighbours(left: tuple[_Scored, Verified], right: tuple[_Scored, Verified], hits: Sequence[Hit]) -> bool:
    """Whether one sentence follows the other in a paragraph, and both stand where they are cited."""
    (one, first), (other, second) = left, right
    mine, next_one = one.candidate, other.candidate
    if mine.hit != next_one.hit or next_one.place != mine.place + 1:
        return False
    between = hits[mine.hit].text[mine.piece.end : next_one.piece.start]
    return between.count("\n") < 2 and first.verdict is second.verdict is Verdict.EXACT


def _quote(
    number: int, run: Sequence[tuple[_Scored, Verified]], hits: Sequence[Hit], weights: Mapping[int, float]
) -> Quote:
    first, last = run[0][0].candidate, run[-1][0].candidate
    hit = hits[first.hit]
    start, end = first.piece.start, last.piece.end
    citation = _cite(hit, start, end)
    shown = snippet(citation.quote, weights, len(citation.quote))
    score = round(max(one.chance for one, _ in run), DIGITS)
    window = replace(shown, start=start, end=end)
    exact = Verified(Verdict.EXACT, citation.start_char, citation.end_char, 1.0)
    quoted = replace(hit, score=score, snippet=window, citation=citation)
    return Quote(number, quoted, run[0][1] if len(run) == 1 else exact)
