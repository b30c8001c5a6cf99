"""A question to ranked, cited chunks: candidates by words and by meaning from a store, fused, with snippets and citations.

The store, the embedder and the clock come in as arguments; nothing here knows an engine. What a question looks like is
``routes``'s, what the stores say ``gather``'s, how scores compare ``calibrate``'s and ``fuse``'s, what says the same
``collapse``'s, what a hit shows ``hits``', why it ranks there ``explain``'s. Answers in sentences do not belong here.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

from cortex_assets.protocols import ChunkStore
from cortex_assets.retrieval.calibrate import DIGITS
from cortex_assets.retrieval.collapse import diversified, grouped
from cortex_assets.retrieval.explain import Signals, word_signals
from cortex_assets.retrieval.fuse import Fused, fuse
from cortex_assets.retrieval.gather import COMPARED, Candidates, EmbedQuery, Gathering, LiveSpace, Words
from cortex_assets.retrieval.hits import Hit, hit_of
from cortex_assets.retrieval.recency import LIFT, AskedTime, asked_time, fits
from cortex_assets.retrieval.rerank import reranked
from cortex_assets.retrieval.routes import Question, question_form, unasked_words
from cortex_assets.retrieval.sparse import QUERY_CHARACTERS
from inference.protocols import Reranker

FilterT = TypeVar("FilterT")

MOST_HITS = 1_000
_SPARE = 2
"""Ranks past the limit that are exact too, because equal texts collapse under one hit."""


class QueryError(ValueError):
    """A question that cannot be asked; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class SearchResult:
    """What was found.

    Attributes:
        hits: best first.
        timings: seconds by stage (embed, dense, sparse, rank, rerank where there is one, total).
        notes: what the reader must know of the way.
        term_weights: idf of every term of the question, those too that nothing indexed has.
        question: its form.
        unjudged: why the reranker that was asked did not judge; empty where it did, or none was asked.
    """

    hits: tuple[Hit, ...]
    timings: Mapping[str, float]
    notes: tuple[str, ...]
    term_weights: Mapping[int, float] = field(default_factory=dict)
    question: Question | None = None
    unjudged: str = ""


@dataclass(frozen=True, slots=True)
class Options:
    """How a search is done beyond its defaults.

    Attributes:
        now: the present moment, which "last week" goes by; None takes no account of relative times.
        is_diverse: passages that repeat others stand further down.
        explains: whether hits say what each word gave.
        reranker: judges the first once more; None for none.
    """

    now: datetime | None = None
    is_diverse: bool = False
    explains: bool = False
    reranker: Reranker | None = None


@dataclass(slots=True)
class _Ranking:
    """Candidates in their order, and what made it."""

    question: Question
    dense_weight: float
    asked: AskedTime | None = None
    ranked: list[Fused] = field(default_factory=list)
    exact: dict[str, bool] = field(default_factory=dict)
    time: dict[str, float] = field(default_factory=dict)
    judged: dict[str, float] = field(default_factory=dict)
    note: str = ""

    def judge(self, question: str, found: Candidates, reranker: Reranker) -> None:
        """Let a reranker put the first in order."""

        def text_of(key: str) -> str:
            payload = found.points[key].payload
            return f"{payload.get('context') or ''}{payload['text']}"

        self.ranked, self.judged, self.note = reranked(question, self.ranked, text_of, reranker)
        if self.judged:
            self._lift_exact()

    def lift(self, found: Candidates) -> None:
        """Those of the time that was asked for higher; those with every exact string of the question before all others."""
        payloads = {one.chunk_id: found.points[one.chunk_id].payload for one in self.ranked}
        if self.asked is not None:
            self.time = fits(self.asked, {key: payload.get("modified_at") for key, payload in payloads.items()})
            self.ranked = [_lifted(one, LIFT, self.time.get(one.chunk_id, 0.0)) for one in self.ranked]
        if self.question.exact:
            self.exact = {key: _meets(self.question, payload) for key, payload in payloads.items()}
        self._lift_exact()

    def _lift_exact(self) -> None:
        """Best first; those that have every exact string, where one was asked for, before those that have not."""
        if self.exact:
            self.ranked = [_lifted(one, 0.5, float(self.exact[one.chunk_id])) for one in self.ranked]
        self.ranked.sort(key=lambda one: (-one.score, one.chunk_id))

    def diversify(self, found: Candidates, limit: int) -> None:
        """Passages that repeat others further down, but none before one that has the exact strings and it has not."""
        met = [one for one in self.ranked if self.exact.get(one.chunk_id)]
        rest = [one for one in self.ranked if not self.exact.get(one.chunk_id)]
        self.ranked = [one for part in (met, rest) for one in diversified(part, found.vectors, limit, found.spaces)]

    def signals(self, one: Fused, found: Candidates, ranks: Mapping[str, Mapping[str, int]]) -> Signals:
        """What the score of a candidate is made of."""
        key = one.chunk_id
        return Signals(
            form=self.question.form,
            dense_weight=round(self.dense_weight, DIGITS),
            by_meaning=round(one.by_meaning, DIGITS),
            by_words=round(one.by_words, DIGITS),
            dense_rank=ranks["dense"].get(key),
            sparse_rank=ranks["sparse"].get(key),
            density=found.density.get(key),
            exact=self.exact.get(key),
            time=self.time.get(key),
            judged=self.judged.get(key),
        )


def _lifted(one: Fused, share: float, fit: float) -> Fused:
    return replace(one, score=round((1 - share) * one.score + share * fit, DIGITS))


def _meets(question: Question, payload: Mapping[str, Any]) -> bool:
    fields = ("text", "symbol", "path", "title", "context")
    return question.is_met_by(*(str(payload.get(name) or "") for name in fields))


class _Stopwatch:
    """Seconds by stage, by the clock that was given."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._begun = self._last = clock()
        self.seconds: dict[str, float] = {}

    def lap(self, stage: str) -> None:
        now = self._clock()
        self.seconds[stage] = self.seconds.get(stage, 0.0) + now - self._last
        self._last = now

    def stop(self) -> Mapping[str, float]:
        return {**self.seconds, "total": self._clock() - self._begun}


def search(
    question: str,
    *,
    store: ChunkStore[FilterT],
    embed_query: EmbedQuery | None,
    space_id: str,
    shards: Sequence[str],
    filter: FilterT | None = None,  # noqa: A002 (the word people know)
    limit: int = 10,
    candidates: int = 100,
    clock: Callable[[], float] = time.perf_counter,
    options: Options = Options(),
) -> SearchResult:
    """Search the shards of one space; see ``search_spaces``."""
    spaces = [LiveSpace(space_id, tuple(shards), embed_query)]
    return search_spaces(
        question,
        store=store,
        spaces=spaces,
        filter=filter,
        limit=limit,
        candidates=candidates,
        clock=clock,
        options=options,
    )


def search_spaces(
    question: str,
    *,
    store: ChunkStore[FilterT],
    spaces: Sequence[LiveSpace],
    filter: FilterT | None = None,  # noqa: A002 (the word people know)
    limit: int = 10,
    candidates: int = 100,
    clock: Callable[[], float] = time.perf_counter,
    options: Options = Options(),
) -> SearchResult:
    """Rank the chunks that answer a question, by words and by meaning.

    Args:
        question: what is asked; of a very long one the beginning is read, and a note says so.
        store: searches the shards.
        spaces: live spaces with their shards (a shard in two spaces is searched in both); the question is embedded
            once for each, while words are looked for.
        filter: what is kept, in the store's own terms; None keeps everything.
        limit: most hits, 1..``MOST_HITS``.
        candidates: how many chunks each kind of search contributes per space; at least ``limit`` are taken.
        clock: seconds, for the timings alone.
        options: see ``Options``.

    Returns:
        The result; without an embedder it is by words only, and a note says so.

    Raises:
        QueryError: for an empty question or a limit out of range.
    """
    watch = _Stopwatch(clock)
    asked, notes = _checked(question, limit, spaces)
    form = question_form(asked)
    gathering = Gathering(store, spaces, max(candidates, limit), max(COMPARED, limit), filter)
    vectors = [space.embed_query(asked) if space.embed_query and space.shards else None for space in spaces]
    watch.lap("embed")
    words = gathering.words(asked, unasked_words(asked, form.form))
    found = Candidates()
    for space, vector in zip(spaces, vectors, strict=True):
        if len(words.ids):
            gathering.find_sparse(found, space, words)
        watch.lap("sparse")
        if vector is not None:
            embedded = vector()
            watch.lap("embed")
            gathering.find_dense(found, space, embedded)
            watch.lap("dense")
    gathering.scale_together(found)
    ranking = _ranked(gathering, found, words, form, asked_time(asked, options.now), limit + _SPARE)
    if options.reranker is not None:
        watch.lap("rank")
        ranking.judge(asked, found, options.reranker)
        watch.lap("rerank")
    hits = _hits(ranking, found, words, limit, asked, options)
    watch.lap("rank")
    notes += _notes(spaces, found, words, ranking)
    return SearchResult(hits, watch.stop(), tuple(notes), words.idf, form, ranking.note)


def _checked(question: str, limit: int, spaces: Sequence[LiveSpace]) -> tuple[str, list[str]]:
    asked = question.replace("\x00", " ").strip()
    if not asked:
        raise QueryError("the question is empty; write at least one word")
    if not 1 <= limit <= MOST_HITS:
        raise QueryError(f"limit {limit} is out of range; give 1 to {MOST_HITS}")
    if not any(space.shards for space in spaces):
        return asked[:QUERY_CHARACTERS], ["nothing is indexed yet: no shard to search"]
    if len(asked) <= QUERY_CHARACTERS:
        return asked, []
    return asked[:QUERY_CHARACTERS], [
        f"the question has {len(asked):,} characters; the first {QUERY_CHARACTERS:,} were read"
    ]


def _notes(spaces: Sequence[LiveSpace], found: Candidates, words: Words, ranking: _Ranking) -> list[str]:
    notes = []
    without = [space.space_id for space in spaces if space.embed_query is None and space.shards]
    if without:
        notes.append(f"no embedder for {', '.join(without)}: found by words only, not by meaning")
    if not len(words.ids) and any(space.shards for space in spaces):
        by = "by meaning only" if found.dense else "and there is nothing else to go by"
        notes.append(f"no word of the question occurs in what is indexed: found {by}")
    notes += [f"{one.asked} occurs nowhere: {one.used} was looked for as well" for one in words.corrections]
    if found.unembedded:
        count = (
            f"{len(found.unembedded)} of the passages looked at have" if len(found.unembedded) > 1 else "a passage has"
        )
        notes.append(f"{count} no vector yet and rank by words alone; `cortex status` says how far the run is")
    if ranking.asked is not None:
        said = "the newest come first" if ranking.asked.is_latest else "what was changed then comes first"
        notes.append(f"the question says {ranking.asked.words!r}: {said}")
    return [*notes, ranking.note] if ranking.note else notes


def _ranked(
    gathering: Gathering[FilterT],
    found: Candidates,
    words: Words,
    form: Question,
    asked: AskedTime | None,
    limit: int,
) -> _Ranking:
    """All candidates by fused score, lifted by what the question asks for."""
    ranking = _Ranking(form, form.dense_weight(found.code_share()), asked)
    ranking.ranked = fuse(
        found.scaled,
        found.sparse,
        dense_weight=ranking.dense_weight,
        limit=limit,
        sparse_floor=found.sparse_floor,
        score_sparse=partial(gathering.sparse_scores, found, words),
        unembedded=found.unembedded,
    )
    ranking.lift(found)
    return ranking


def _hits(
    ranking: _Ranking, found: Candidates, words: Words, limit: int, asked: str, options: Options
) -> tuple[Hit, ...]:
    """The first ``limit`` different texts; what says the same collapses under the best."""
    if options.is_diverse:
        ranking.diversify(found, limit + _SPARE)
    by_term = words.by_term
    ranks = {"dense": _places(found.dense), "sparse": _places(found.sparse)}
    hits = []
    for group in grouped(ranking.ranked, lambda key: str(found.points[key].payload["text"]), limit):
        signals = ranking.signals(group[0], found, ranks)
        if options.explains:
            said = " ".join([asked, *(one.used for one in words.corrections)])
            payload = found.points[group[0].chunk_id].payload
            unasked = unasked_words(asked, ranking.question.form)
            signals = replace(signals, words=word_signals(said, payload, by_term, unasked))
        hits.append(hit_of(group, found, by_term, signals))
    return tuple(hits)


def _places(scores: Mapping[str, float]) -> dict[str, int]:
    """Place of each candidate, from 1."""
    return {key: place for place, key in enumerate(sorted(scores, key=lambda key: (-scores[key], key)), start=1)}
