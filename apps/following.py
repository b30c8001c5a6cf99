"""This machine's own index of what other machines run, where they share a lake and no Qdrant server: made from the lake's tables."""

from contextlib import suppress
from datetime import UTC, datetime

from cortex_assets.corpora.registry import Registered
from cortex_assets.engine.lease import LeaseBusy, take
from cortex_assets.house import RUN_ERRORS, House
from cortex_assets.register import Registry

INDEX = frozenset({"index"})


def follow_others(house: House) -> list[str]:
    """Bring the index up to date with the lake; notes on what cannot be.

    Nothing is parsed or embedded for it, and nothing written to the lake.
    """
    if house.machine is None or house.settings.qdrant_url:
        return []
    registry = house.register.now()
    notes = []
    for corpus in registry.corpora:
        if corpus.is_here:
            continue
        try:
            if house.workshop.space(corpus).space_id == corpus.space_id:
                _follow(house, corpus, registry)
            else:
                notes.append(
                    f"corpus {corpus.name} of machine {corpus.machine} is not searched: its model is another here"
                )
        except RUN_ERRORS as error:
            notes.append(f"the index of corpus {corpus.name} of machine {corpus.machine} is not up to date: {error}")
    return notes


def _follow(house: House, corpus: Registered, registry: Registry) -> None:
    """Under this machine's lock of each shard alone: its own index is all that is written."""
    for shard in corpus.shards:
        with suppress(LeaseBusy), take(house.settings.locks, shard):
            house.workshop.chain(corpus, registry).run_shard(shard, lambda: datetime.now(UTC), only=INDEX)
