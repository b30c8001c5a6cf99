"""A question to ranked, cited chunks: sparse and dense candidates from a store, fused, with snippets and citations.

The store, the embedder and the clock come in as arguments; nothing here knows an engine. How candidates are weighed
is in ``fuse``,
what a word is in ``sparse``. Answers in sentences do not belong here.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from cortex_assets.protocols import ChunkStore, FoundPoint
from cortex_assets.retrieval.cite import Anchor, Citation
from cortex_assets.retrieval.fuse import DIGITS, Fused, Question, SparseScores, fuse, question_form, scaled_dense
from cortex_assets.retrieval.highlight import Snippet, displayable, snippet
from cortex_assets.retrieval.sparse import (
    QUERY_CHARACTERS,
    TermIds,
    Weights,
    idf,
    query_terms,
    query_vector,
)

FilterT = TypeVar("FilterT")
EmbedQuery = Callable[[str], Callable[[], Sequence[float]]]
"""Begins to embed a question; what it returns is called for the vector (length 1) once the words have been looked for."""

SNIPPET_WIDTH = 240
MOST_HITS = 1_000
_SPARE = 2
"""Ranks past the limit that are exact too, because equal texts collapse under one hit."""


class QueryError(ValueError):
    """A question that cannot be asked; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class LiveSpace:
    """Shards that are searched in one embedding space; without ``embed_query`` by words alone."""

    space_id: str
    shards: tuple[str, ...]
    embed_query: EmbedQuery | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where else exactly the text of a hit stands; ``label`` is its page, slide or cells where it has any."""

    chunk_id: str
    document_id: str
    corpus_id: str
    path: str
    start_line: int
    label: str = ""


@dataclass(frozen=True, slots=True)
class Hit:
    """One chunk of the answer.

    Attributes:
        chunk_id: the chunk.
        score: fused, 0..1, comparable within one result only.
        dense_score: cosine with the question; None when dense search did not find it.
        sparse_score: BM25; None when it is not among the sparse candidates and was not needed.
        corpus_id: its corpus.
        document_id: its document.
        path: display path, safe to print.
        inner: which member of the file, with a leading slash; empty for a whole file and for a part of one.
        place: what people call its place beyond lines and pages, such as ``slide 3``; None for nothing.
        title: the document's, safe to print.
        kind: the document's, such as ``markdown``.
        language: of text or code, where known.
        symbol: qualified name of the code symbol, where it is one.
        text: the chunk as stored (not safe to print; see ``snippet``).
        context: headings before it.
        snippet: the best window, safe to print, with spans to highlight.
        citation: the window's characters in the document.
        shard: where it is stored.
        space_id: the space it was found in.
        also_in: other chunks with exactly this text, best first.
    """

    chunk_id: str
    score: float
    dense_score: float | None
    sparse_score: float | None
    corpus_id: str
    document_id: str
    path: str
    title: str
    kind: str
    language: str | None
    symbol: str | None
    text: str
    context: str
    snippet: Snippet
    citation: Citation
    shard: str
    space_id: str
    also_in: tuple[Place, ...] = ()
    inner: str = ""
    place: str | None = None


@dataclass(frozen=True, slots=True)
class SearchResult:
    """Hits, best first; seconds by stage (embed, dense, sparse, rank, total); what the reader must know of the way.

    ``term_weights`` has the idf of every term of the question, those too that nothing indexed has.
    """

    hits: tuple[Hit, ...]
    timings: Mapping[str, float]
    notes: tuple[str, ...]
    term_weights: Mapping[int, float] = field(default_factory=dict)


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


@dataclass(slots=True)
class _Candidates:
    """What the stores found, by chunk id."""

    points: dict[str, FoundPoint]
    spaces: dict[str, str]
    dense: dict[str, float]
    scaled: dict[str, float]
    sparse: dict[str, float]
    sparse_floor: float = 0.0

    def add(self, points: Sequence[FoundPoint], space_id: str) -> dict[str, float]:
        """Remember points; their scores by chunk id (the first space that has a chunk keeps it)."""
        fresh = [point for point in points if self.spaces.setdefault(point.chunk_id, space_id) == space_id]
        self.points.update((point.chunk_id, point) for point in fresh)
        return {point.chunk_id: float(point.score) for point in fresh}


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
) -> SearchResult:
    """Search the shards of one space; see ``search_spaces``."""
    spaces = [LiveSpace(space_id, tuple(shards), embed_query)]
    return search_spaces(
        question, store=store, spaces=spaces, filter=filter, limit=limit, candidates=candidates, clock=clock
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

    Returns:
        The result; without an embedder it is by words only, and a note says so.

    Raises:
        QueryError: for an empty question or a limit out of range.
    """
    watch = _Stopwatch(clock)
    asked, notes = _checked(question, limit, spaces)
    depth = max(candidates, limit)
    form = question_form(asked)
    found = _Candidates({}, {}, {}, {}, {})
    vectors = [space.embed_query(asked) if space.embed_query and space.shards else None for space in spaces]
    watch.lap("embed")
    ids, weights, term_weights = _global_query(asked, store, spaces)
    for space, vector in zip(spaces, vectors, strict=True):
        if len(ids):
            _find_sparse(found, store, space, ids, weights, depth, filter)
        watch.lap("sparse")
        _find_dense(found, store, space, vector, depth, filter, watch)
    notes += _notes(spaces, found, len(ids) > 0)
    by_term = dict(zip(ids.tolist(), weights.tolist(), strict=True))
    ranked = _ranked(found, form, partial(_sparse_scores, found, store, spaces, by_term), limit + _SPARE)
    hits = _hits(ranked, found, by_term, limit)
    watch.lap("rank")
    return SearchResult(hits, watch.stop(), tuple(notes), term_weights)


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


def _notes(spaces: Sequence[LiveSpace], found: _Candidates, has_terms: bool) -> list[str]:
    notes = []
    without = [space.space_id for space in spaces if space.embed_query is None and space.shards]
    if without:
        notes.append(f"no embedder for {', '.join(without)}: found by words only, not by meaning")
    if not has_terms and any(space.shards for space in spaces):
        by = "by meaning only" if found.dense else "and there is nothing else to go by"
        notes.append(f"no word of the question occurs in what is indexed: found {by}")
    return notes


def _global_query(
    question: str, store: ChunkStore[FilterT], spaces: Sequence[LiveSpace]
) -> tuple[TermIds, Weights, dict[int, float]]:
    """The query's sparse vector with idf over all shards (one in two spaces counts once), and the idf of all its terms."""
    ids, counts = query_terms(question)
    total, points, seen = [0] * len(ids), 0, set[str]()
    for space in spaces:
        shards = [shard for shard in space.shards if shard not in seen]
        seen.update(shards)
        if shards and len(ids):
            frequencies, number = store.document_frequencies(space.space_id, shards, ids.tolist())
            total = [have + frequencies.get(term, 0) for have, term in zip(total, ids.tolist(), strict=True)]
            points += number
    every = dict(zip(ids.tolist(), idf(total, points).tolist(), strict=True))
    return *query_vector(ids, counts, total, points), every


def _find_sparse(
    found: _Candidates,
    store: ChunkStore[FilterT],
    space: LiveSpace,
    ids: TermIds,
    weights: Weights,
    depth: int,
    wanted: FilterT | None,
) -> None:
    points = store.search_sparse(space.space_id, space.shards, ids.tolist(), weights.tolist(), depth, wanted)
    found.sparse.update(found.add(points, space.space_id))
    if len(points) >= depth:
        found.sparse_floor = max(found.sparse_floor, float(points[-1].score))


def _find_dense(
    found: _Candidates,
    store: ChunkStore[FilterT],
    space: LiveSpace,
    begun: Callable[[], Sequence[float]] | None,
    depth: int,
    wanted: FilterT | None,
    watch: _Stopwatch,
) -> None:
    if begun is None:
        return
    vector = begun()
    watch.lap("embed")
    scores = found.add(store.search_dense(space.space_id, space.shards, vector, depth, wanted), space.space_id)
    found.dense.update(scores)
    found.scaled.update(scaled_dense(scores))
    watch.lap("dense")


def _sparse_scores(
    found: _Candidates,
    store: ChunkStore[FilterT],
    spaces: Sequence[LiveSpace],
    by_term: Mapping[int, float],
    chunks: Sequence[str],
) -> dict[str, float]:
    """Sparse scores of candidates that only dense search found, each from the space it was found in."""
    terms, weights = list(by_term), list(by_term.values())
    scores: dict[str, float] = {}
    for space in spaces:
        mine = [chunk for chunk in chunks if found.spaces[chunk] == space.space_id]
        scores.update(store.sparse_scores(space.space_id, space.shards, terms, weights, mine))
    return scores


def _ranked(found: _Candidates, form: Question, score_sparse: SparseScores, limit: int) -> list[Fused]:
    """All candidates by fused score; those with every exact string of the question before all others."""
    ranked = fuse(
        found.scaled,
        found.sparse,
        dense_weight=form.dense_weight,
        limit=limit,
        sparse_floor=found.sparse_floor,
        score_sparse=score_sparse,
    )
    if not form.exact:
        return ranked
    lifted = [
        Fused(
            one.chunk_id,
            round(one.score / 2 + 0.5 * _meets(form, found.points[one.chunk_id].payload), DIGITS),
            one.sparse,
        )
        for one in ranked
    ]
    return sorted(lifted, key=lambda one: (-one.score, one.chunk_id))


def _meets(form: Question, payload: Mapping[str, Any]) -> bool:
    return form.is_met_by(*(str(payload.get(name) or "") for name in ("text", "symbol", "path", "title", "context")))


def _hits(ranked: Sequence[Fused], found: _Candidates, by_term: Mapping[int, float], limit: int) -> tuple[Hit, ...]:
    """The first ``limit`` different texts; equal ones collapse under the best."""
    groups: dict[str, list[Fused]] = {}
    for one in ranked:
        text = str(found.points[one.chunk_id].payload["text"])
        if text in groups or len(groups) < limit:
            groups.setdefault(text, []).append(one)
    return tuple(_hit(group, found, by_term) for group in groups.values())


def _hit(group: Sequence[Fused], found: _Candidates, by_term: Mapping[int, float]) -> Hit:
    best = group[0]
    point = found.points[best.chunk_id]
    payload = point.payload
    shown = snippet(str(payload["text"]), by_term, SNIPPET_WIDTH)
    dense = found.dense.get(best.chunk_id)
    return Hit(
        chunk_id=best.chunk_id,
        score=best.score,
        dense_score=None if dense is None else round(dense, DIGITS),
        sparse_score=None if best.sparse is None else round(best.sparse, DIGITS),
        corpus_id=str(payload["corpus_id"]),
        document_id=str(payload["document_id"]),
        path=_safe(payload["path"]),
        title=_safe(payload.get("title")),
        kind=str(payload["kind"]),
        language=payload.get("language"),
        symbol=payload.get("symbol"),
        text=str(payload["text"]),
        context=str(payload.get("context") or ""),
        snippet=shown,
        citation=_citation(payload, shown),
        shard=point.shard,
        space_id=found.spaces[best.chunk_id],
        also_in=tuple(_place(found.points[one.chunk_id].payload, one.chunk_id) for one in group[1:]),
        inner=_member(payload),
        place=_safe(payload.get("place")) or None,
    )


def _member(payload: Mapping[str, Any]) -> str:
    """The member that a point's document is, without the number of its part; empty for none."""
    inner = _safe(payload.get("inner"))
    return inner.partition("#part-")[0] if inner.startswith("/") else ""


def _safe(value: object) -> str:
    return displayable(str(value or ""))[0].replace("\n", " ")


def _place(payload: Mapping[str, Any], chunk_id: str) -> Place:
    return Place(
        chunk_id,
        str(payload["document_id"]),
        str(payload["corpus_id"]),
        _safe(payload["path"]) + (f"!{_member(payload)}" if _member(payload) else ""),
        int(payload["start_line"]),
        _label(payload),
    )


def _label(payload: Mapping[str, Any]) -> str:
    """What people call a place that lines do not say; empty where lines do."""
    if payload.get("start_page") is not None:
        return f"page {payload['start_page']}"
    place = _safe(payload.get("place"))
    return "" if place.startswith("§") else place


def _citation(payload: Mapping[str, Any], shown: Snippet) -> Citation:
    """The snippet's window as a citation: its characters and lines in the document, the chunk's pages."""
    anchor = Anchor(
        document_id=str(payload["document_id"]),
        path=_safe(payload["path"]),
        start_char=int(payload["start_char"]),
        start_line=int(payload["start_line"]),
        start_page=payload.get("start_page"),
        end_page=payload.get("end_page"),
    )
    return anchor.cite(str(payload["text"]), shown.start, shown.end)
