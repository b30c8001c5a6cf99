"""The stages of a corpus' embedding spaces: those that are searched, and those of a migration or kept to go back to.

Every space that a corpus' row names is kept by every run, so that an edit and a delete arrive in all of them. Where the model of
one is another by now, or is not on this machine, nothing makes its vectors any more: its index is kept without them.
Which spaces there are is ``corpora.spaces``'s, when searches go to others ``cortex_assets.moving``'s.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from cortex_assets.corpora.registry import Registered
from cortex_assets.corpora.spaces import KINDS, Layout, Live
from cortex_assets.engine.embed import EmbedStage
from cortex_assets.engine.fresh import FreshVectors
from cortex_assets.engine.project import IndexStage
from cortex_assets.engine.selection import EVERY, Selection, dimensions_of
from cortex_assets.engine.verify import SpaceStages
from inference.errors import InferenceError
from inference.lanes import EngineConfig, ResidentEmbedders, parse_engine, space_of
from inference.models import ModelPlaces
from inference.protocols import Space
from resources.crew import Crew
from resources.lakehouse import Lakehouse
from resources.state import State
from resources.vectors.protocol import VectorStore

LONG_TOKENS = 300_000
"""A shard that lacks vectors for more tokens than this is published by keywords first."""
FEW_TOKENS = 16_000
"""Torch takes two seconds to start, and then half as long for a token as what starts at once."""


@dataclass(frozen=True, slots=True)
class Doors:
    """What stages of spaces work with: tables, caches, index, engines; ``guard`` raises to refuse a publish."""

    lake: Lakehouse
    state: State
    store: Callable[[], VectorStore]
    crew: Crew
    places: ModelPlaces
    embedders: ResidentEmbedders
    guard: Callable[[], None]


@dataclass(frozen=True, slots=True)
class Kept:
    """A space that is kept, the kinds of chunks in it, its engine (None: it gets no new vectors), whether it is searched."""

    space: Space
    kinds: frozenset[str]
    config: EngineConfig | None
    is_serving: bool

    @property
    def selection(self) -> Selection:
        """As stages take it."""
        return EVERY if self.kinds >= KINDS else Selection(tuple(sorted(self.kinds)))


def engine_of(live: Live) -> EngineConfig:
    """The engine of a space, as its row has it."""
    return parse_engine(live.embed, f"space {live.space_id}")


def space_now(live: Live, places: ModelPlaces) -> Space | None:
    """The space that the engine of a layout makes vectors of now; None where its model is not here."""
    try:
        return space_of(engine_of(live), places)
    except InferenceError:
        return None


def as_made_now(layout: Layout, places: ModelPlaces) -> Layout:
    """A layout with the spaces that its engines make now; one whose model is not here stays as it is."""

    def now(live: Live) -> Live:
        space = space_now(live, places)
        return live if space is None else replace(live, space_id=space.space_id)

    return Layout(now(layout.main), None if layout.code is None else now(layout.code))


def kept_spaces(corpus: Registered, doors: Doors) -> list[Kept]:
    """Every space that runs keep, those that get vectors first, the main one before the others.

    Raises:
        ModelMissing: the model of the main space is not on this machine, and the corpus is not on its way to another.
    """
    if corpus.spaces.next is None:
        space_of(engine_of(corpus.layout.main), doors.places)
    made = as_made_now(corpus.layout, doors.places)
    upcoming = None if corpus.spaces.next is None else as_made_now(corpus.spaces.next, doors.places)
    layouts = [made, corpus.layout, *((upcoming,) if upcoming else ())]
    kinds: dict[str, frozenset[str]] = {}
    for layout in layouts:
        for space_id, some in layout.selections.items():
            kinds[space_id] = kinds.get(space_id, frozenset()) | some
    if corpus.spaces.previous is not None:
        layouts.append(corpus.spaces.previous)
        kinds = corpus.spaces.previous.selections | kinds
    lives = {live.space_id: live for layout in reversed(layouts) for live in reversed(layout.lives)}
    order = dict.fromkeys(live.space_id for layout in layouts for live in layout.lives)
    serving = {live.space_id for live in made.lives}
    found = [_kept(lives[space_id], kinds[space_id], space_id in serving, doors) for space_id in order]
    return sorted((one for one in found if one is not None), key=lambda one: one.config is None)


def _kept(live: Live, kinds: frozenset[str], is_serving: bool, doors: Doors) -> Kept | None:
    """A space as it can be kept; None where nothing is known of it and nothing makes it."""
    space = space_now(live, doors.places)
    if space is not None and space.space_id == live.space_id:
        return Kept(space, kinds, engine_of(live), is_serving)
    dimensions = dimensions_of(doors.lake, live.space_id)
    if not dimensions:
        return None
    return Kept(Space(live.space_id, live.embed, "", dimensions, 0, ""), kinds, None, is_serving)


def space_stages(corpus: Registered, doors: Doors) -> Iterator[SpaceStages]:
    """Embeddings and index stage of every kept space, in order."""
    for number, kept in enumerate(kept_spaces(corpus, doors)):
        fresh = FreshVectors(doors.crew.folder)
        mark = f"@{kept.space.space_id}" if number else ""
        index = IndexStage(
            kept.space,
            doors.store(),
            doors.lake,
            doors.state,
            doors.crew,
            fresh,
            doors.guard,
            corpus.is_here,
            kept.selection,
            f"{IndexStage.name}{mark}",
        )
        yield SpaceStages(_embed(kept, index, fresh, doors, f"{EmbedStage.name}{mark}"), index)


def _embed(kept: Kept, index: IndexStage, fresh: FreshVectors, doors: Doors, key: str) -> EmbedStage | None:
    config = kept.config
    if config is None:
        return None
    return EmbedStage(
        kept.space,
        lambda tokens: doors.embedders.get(config, bulk=tokens > FEW_TOKENS),
        doors.lake,
        doors.state,
        fresh,
        index if kept.is_serving and config.model != "hash" else None,
        LONG_TOKENS,
        kept.selection,
        key,
    )
