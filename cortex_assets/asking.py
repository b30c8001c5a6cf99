"""Questions to an open house: which spaces are live, who embeds, what is kept; and each half of the search alone.

The search itself is ``retrieval.search``'s. What people ask for besides (verified citations, filters by name) is ``apps``', what
an evaluation asks is ``evaluating``'s.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace

from cortex_assets.house import House
from cortex_assets.protocols import FoundPoint
from cortex_assets.register import Registry
from cortex_assets.retrieval.gather import EmbedQuery, Gathering, LiveSpace
from cortex_assets.retrieval.routes import question_form, unasked_words
from cortex_assets.retrieval.search import Options, SearchResult, search_spaces
from inference.lanes import EngineConfig
from inference.protocols import begin
from resources.vectors.filters import Filter


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


def live_spaces(house: House, registry: Registry, corpora: Collection[str] = ()) -> list[LiveSpace]:
    """The spaces that are searched now, with their published shards."""
    spaces: dict[str, list[str]] = {}
    configs: dict[str, EngineConfig] = {}
    for corpus in registry.corpora:
        if corpora and corpus.name not in corpora:
            continue
        spaces.setdefault(corpus.space_id, []).extend(corpus.shards)
        configs.setdefault(corpus.space_id, house.workshop.config(corpus))
    live = []
    for space_id, shards in spaces.items():
        published = set(house.store.shards(space_id))
        there = tuple(shard for shard in shards if shard in published)
        is_same = house.workshop.space_of(configs[space_id]).space_id == space_id
        live.append(LiveSpace(space_id, there, embedder(house, configs[space_id]) if is_same else None))
    return live


def embedder(house: House, config: EngineConfig) -> EmbedQuery:
    """Embeds questions as an engine does."""

    def embed(text: str) -> Callable[[], Sequence[float]]:
        begun = begin(house.workshop.embedders.get(config, bulk=False), text)
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
    ranked = sorted(points, key=lambda point: (-point.score, point.chunk_id))
    return list({point.chunk_id: point for point in reversed(ranked)}.values())[::-1][:k]
