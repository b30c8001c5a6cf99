"""Questions to an open house: which spaces are live, who embeds, what is kept; and each half of the search alone.

The search itself is ``retrieval.search``'s. What people ask for besides (verified citations, filters by name) is ``apps``', what
an evaluation asks is ``evaluating``'s.
"""

from collections.abc import Callable, Collection, Iterator, MutableMapping, Sequence
from dataclasses import replace
from functools import partial
from weakref import WeakKeyDictionary

from cortex_assets.corpora.registry import Registered
from cortex_assets.corpora.spaces import Layout, Live
from cortex_assets.house import House
from cortex_assets.protocols import FoundPoint
from cortex_assets.register import Registry
from cortex_assets.retrieval.calibrate import sampled
from cortex_assets.retrieval.gather import EmbedQuery, Gathering, LiveSpace, Vector
from cortex_assets.retrieval.routes import question_form, unasked_words
from cortex_assets.retrieval.search import Options, SearchResult, search_spaces
from cortex_assets.spaces import engine_of, space_now
from inference.errors import SpaceMismatch
from inference.protocols import begin
from resources.vectors.filters import Filter

_SAMPLES: MutableMapping[House, dict[str, tuple[object, Sequence[Vector]]]] = WeakKeyDictionary()
"""By space, of what state of its index, and the vectors (``_sample``)."""


def find(
    house: House,
    registry: Registry,
    question: str,
    k: int,
    corpora: Collection[str] = (),
    wanted: Filter | None = None,
    options: Options | None = None,
) -> SearchResult:
    """Search every live space of the registry; one whose model has moved on is searched by words until a run has followed.

    Args:
        house: where.
        registry: the corpora.
        question: what is asked.
        k: most hits.
        corpora: names of those whose shards are searched; none = all.
        wanted: what is kept of what is found; None keeps everything.
        options: how it is done beyond its defaults; without a reranker the configured one judges.

    Raises:
        QueryError: for an empty question or a ``k`` out of range.
    """
    spaces = live_spaces(house, registry, corpora)
    chosen = options or Options()
    if chosen.reranker is None:
        chosen = replace(chosen, reranker=house.workshop.reranker)
    return search_spaces(question, store=house.store, spaces=spaces, filter=wanted, limit=k, options=chosen)


def serving(corpus: Registered) -> Layout:
    """The spaces that a corpus is searched in."""
    return corpus.layout


def live_spaces(
    house: House,
    registry: Registry,
    corpora: Collection[str] = (),
    layout_of: Callable[[Registered], Layout] = serving,
) -> list[LiveSpace]:
    """The spaces that are searched now, with their published shards; each once, however many corpora are in it.

    Args:
        house: where.
        registry: the corpora.
        corpora: names of those whose shards are searched; none = all.
        layout_of: gives the spaces of a corpus: those that serve, or those that it is on its way to.
    """
    shards: dict[str, list[str]] = {}
    parts: dict[str, set[str]] = {}
    lives: dict[str, Live] = {}
    for corpus in registry.corpora:
        if corpora and corpus.name not in corpora:
            continue
        layout = layout_of(corpus)
        for live in layout.lives:
            lives.setdefault(live.space_id, live)
            shards.setdefault(live.space_id, []).extend(corpus.shards)
            parts.setdefault(live.space_id, set()).update(corpus.shards if layout.code is not None else ())
    found = []
    for space_id, live in lives.items():
        published = set(house.store.shards(space_id))
        there = tuple(shard for shard in shards[space_id] if shard in published)
        sample = partial(_sample, house, space_id, there) if len(lives) > 1 else None
        found.append(LiveSpace(space_id, there, embedder(house, live), frozenset(parts[space_id]), sample))
    return found


def _sample(house: House, space_id: str, shards: Sequence[str]) -> Sequence[Vector]:
    """Vectors from all over a space, read once while its index stays."""
    generations = [house.store.generation(space_id, shard) for shard in shards]
    state = tuple((s, g and g.number) for s, g in zip(shards, generations, strict=True))
    known = _SAMPLES.setdefault(house, {}).get(space_id)
    if known is None or known[0] != state:
        ids = (chunk for shard in shards for chunk in house.store.sidecar(space_id, shard)["chunk_id"])
        known = state, list(house.store.vectors(space_id, shards, sampled(ids)).values())
        _SAMPLES[house][space_id] = known
    return known[1]


def embedder(house: House, live: Live) -> EmbedQuery | None:
    """What embeds a question for a space; None where its engine makes vectors of another one, or is not here.

    Raises (when it is called):
        SpaceMismatch: the engine that was loaded is of another space.
    """
    space = space_now(live, house.places)
    if space is None or space.space_id != live.space_id:
        return None
    config = engine_of(live)

    def embed(text: str) -> Callable[[], Sequence[float]]:
        engine = house.workshop.embedders.get(config, bulk=False)
        if engine.space.space_id != live.space_id:
            raise SpaceMismatch(
                f"the model {live.embed} makes vectors of space {engine.space.space_id}, and space {live.space_id} is "
                "searched: they cannot be compared; remedy: cortex run, which makes its vectors anew"
            )
        begun = begin(engine, text)
        return lambda: begun().tolist()

    return embed


def find_by_words(house: House, spaces: Sequence[LiveSpace], question: str, k: int) -> list[FoundPoint]:
    """The ``k`` best points by BM25 alone, as the index ranks them: no vectors, no fusion, nothing after it."""
    gathering = Gathering(house.store, spaces, k, 0, None)
    words = gathering.words(question, unasked_words(question, question_form(question).form))
    asked = words.ids.tolist(), words.weights.tolist()
    found = (
        point
        for space in spaces
        if len(words.ids)
        for point in house.store.search_sparse(space.space_id, space.shards, *asked, k, None)
    )
    return _best(found, k)


def find_by_meaning(house: House, spaces: Sequence[LiveSpace], question: str, k: int) -> list[FoundPoint]:
    """The ``k`` nearest points by cosine alone, as the index ranks them: no words, no fusion, nothing after it."""
    return _best(
        (
            point
            for space in spaces
            if space.embed_query is not None and space.shards
            for point in house.store.search_dense(space.space_id, space.shards, space.embed_query(question)(), k, None)
        ),
        k,
    )


def _best(points: Iterator[FoundPoint], k: int) -> list[FoundPoint]:
    """By score, ties by id; a chunk that two spaces hold counts once."""
    best: dict[str, FoundPoint] = {}
    for point in sorted(points, key=lambda point: (-point.score, point.chunk_id)):
        best.setdefault(point.chunk_id, point)
    return list(best.values())[:k]
