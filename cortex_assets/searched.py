"""The spaces that a search asks, over an open house: what serves each corpus, with what embeds a question for it.

A question goes to a space only as a vector of that space: where the model of one is another by now, or is not here, its
chunks are found by words, and the answer says so. While a corpus migrates only what serves is asked. Ranking is
``retrieval.search``'s.
"""

from collections.abc import Callable, Iterable, Sequence

from cortex_assets.corpora.registry import Registered
from cortex_assets.corpora.spaces import Layout, Live
from cortex_assets.house import House
from cortex_assets.retrieval.search import EmbedQuery, LiveSpace
from cortex_assets.spaces import engine_of, space_now
from inference.errors import SpaceMismatch
from inference.protocols import begin


def live_spaces(
    house: House,
    corpora: Iterable[Registered],
    layout_of: Callable[[Registered], Layout] = lambda corpus: corpus.layout,
) -> list[LiveSpace]:
    """The spaces of some corpora with the shards that are published there; each once, however many corpora are in it.

    Args:
        house: open.
        corpora: which.
        layout_of: gives the layout that is asked; by default the one that serves.
    """
    shards: dict[str, list[str]] = {}
    partial: dict[str, set[str]] = {}
    lives: dict[str, Live] = {}
    for corpus in corpora:
        layout = layout_of(corpus)
        for live in layout.lives:
            lives.setdefault(live.space_id, live)
            shards.setdefault(live.space_id, []).extend(corpus.shards)
            partial.setdefault(live.space_id, set()).update(corpus.shards if layout.code is not None else ())
    found = []
    for space_id, live in lives.items():
        published = set(house.store.shards(space_id))
        there = tuple(shard for shard in shards[space_id] if shard in published)
        found.append(LiveSpace(space_id, there, embedder(house, live), frozenset(partial[space_id])))
    return found


def embedder(house: House, live: Live) -> EmbedQuery | None:
    """What embeds a question for a space; None where its engine makes vectors of another one, or is not here."""
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
