"""From one layout of embedding spaces to another: what runs do about a migration, up to the one write that switches searches.

Beginning, taking back and ending one is ``cortex_assets.moving``'s, what is compared ``cortex_assets.parity``'s.
"""

import json
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from cortex_assets.corpora.registry import Registered
from cortex_assets.corpora.spaces import Layout
from cortex_assets.engine.lease import LeaseBusy, shard_lease
from cortex_assets.engine.stage import Budget
from cortex_assets.gate import Gate, GateVerdict
from cortex_assets.parity import Parity, Standing
from cortex_assets.register import Register, Registry
from cortex_assets.spaces import as_made_now
from cortex_assets.workshop import Workshop
from resources.bucket import LeasePlace
from resources.lakehouse import Lakehouse
from resources.state import State
from resources.vectors.protocol import VectorStore

ASKED_AGAIN_SECONDS = 300.0
"""A golden set that was put right, or a reranker that is back, is seen by a worker after so long."""


class MigrationError(ValueError):
    """A migration that cannot be begun or changed as it was asked for; the message says why and what to do."""


class Switching:
    """Follows the migrations of a lake's corpora, and says how they stand."""

    def __init__(
        self,
        workshop: Workshop,
        register: Register,
        lake: Lakehouse,
        state: State,
        store: Callable[[], VectorStore],
        leases: Path | LeasePlace,
        gate: Callable[[], Gate],
    ) -> None:
        """Bind; nothing is read yet. ``gate`` gives the gate that is asked before a switch."""
        self._workshop, self._register, self._lake, self._state = workshop, register, lake, state
        self._parity = Parity(workshop, lake)
        self._refused: dict[str, tuple[tuple[int | None, ...], GateVerdict, float]] = {}
        self._store, self._leases, self._gate = store, leases, gate

    def target(self, corpus: Registered) -> tuple[Layout | None, bool]:
        """Where a corpus goes, and whether a person asked for it; None where it stays."""
        places = self._workshop.doors.places
        if not corpus.is_here:  # the models that count are on its own machine
            return corpus.spaces.next, True
        if corpus.spaces.next is not None:
            return as_made_now(corpus.spaces.next, places), True
        made = as_made_now(corpus.layout, places)
        return (None, False) if made == corpus.layout else (made, False)

    def follow(self, corpus: Registered, registry: Registry, leased: str = "") -> list[str]:
        """Turn searches to the spaces that a corpus goes to, once all its shards are whole there and the gate agrees.

        Args:
            corpus: its row as the run read it.
            registry: with it.
            leased: the shard that the caller holds; the others are held for the moment of the switch, or it is left to a later run.

        Returns:
            Notes on what became of it.
        """
        target, is_asked = self.target(corpus)
        if target is None or _seen(self._read(corpus)) != _seen(corpus):
            return []  # where its row is another by now, the next run follows that
        if is_asked and target != corpus.spaces.next:  # its model is another one by now
            self._register.change(corpus.corpus_id, partial(_towards, corpus, target))
            return []
        if any(self._parity.lacks(corpus, registry, target, shard, is_asked) for shard in corpus.shards):
            return [] if is_asked else [f"corpus {corpus.name}: {MOVED}"]
        old, new = corpus.layout.step(target)
        verdict = self._asked(corpus, old, new) if is_asked and not corpus.spaces.is_back else GateVerdict(True)
        if not verdict.allows:
            return [f"corpus {corpus.name} stays in space {old}: {verdict.note}"]
        try:
            switched = self._switch_whole(corpus, registry, target, is_asked, leased)
        except MigrationError as changed:
            return [f"{changed}"]
        except LeaseBusy as busy:
            return [f"corpus {corpus.name} goes to space {new} at the end of another run: {busy}"]
        note = f" ({verdict.note})" if verdict.note else ""
        longer = self._parity.longer(switched, target) if is_asked else 0
        note += f"; {longer:,} chunks are longer than its model reads, which took their beginnings" if longer else ""
        what = "corpus" if corpus.space_id != switched.space_id else "code of corpus"
        return [f"{what} {corpus.name} is searched in space {new} now{note}"]

    def _switch_whole(
        self, corpus: Registered, registry: Registry, target: Layout, is_asked: bool, leased: str
    ) -> Registered:
        """Switch while nothing of the corpus moves, if the points themselves are what they are to be.

        Raises:
            LeaseBusy: a run holds one of its shards.
            MigrationError: they are not, or the row was changed meanwhile.
        """
        with ExitStack() as held:
            for shard in corpus.shards:
                if shard != leased:
                    held.enter_context(shard_lease(self._leases, shard))
            if any(self._parity.is_damaged(corpus, registry, target, shard) for shard in corpus.shards):
                raise MigrationError(f"an index that corpus {corpus.name} goes to is damaged; `cortex verify --repair`")
            switched = self._switch(corpus, target, is_asked)
            self._settle(corpus, switched, registry)
        return switched

    def _switch(self, corpus: Registered, target: Layout, is_asked: bool) -> Registered:
        """The one write: what is searched, and what is kept of before."""

        def switched(now: Registered) -> Registered:
            spaces = now.spaces
            if is_asked:
                spaces = spaces.ended()
                cut = now.spaces.cut or now.embed
                cut = "" if cut == target.main.embed else cut
                spaces = replace(spaces, previous=now.layout, since=datetime.now(UTC), cut=cut)
            return replace(now, spaces=spaces).served_by(target)

        return self._changed(corpus, switched)

    def _settle(self, before: Registered, switched: Registered, registry: Registry) -> None:
        """After a switch, under the leases of all shards: drop what nothing names, take out what is searched elsewhere now."""
        gone = [space_id for space_id in before.every_space if space_id not in switched.every_space]
        is_parted = before.layout.code != switched.layout.code
        stages = self._workshop.stages(switched, registry.with_corpus(switched)) if is_parted else None
        for shard in switched.shards:
            for space_id in gone:
                self._store().drop(space_id, shard)
            for index in stages.indexes if stages else ():
                index.run(shard, Budget(0, 0, 0.0), datetime.now(UTC))

    def _asked(self, corpus: Registered, old: str, new: str) -> GateVerdict:
        """What the gate says; what it refused is not asked again for ``ASKED_AGAIN_SECONDS`` while the indexes stay."""
        places = [(space_id, shard) for space_id in corpus.every_space for shard in corpus.shards]
        generations = [self._store().generation(*place) for place in places]
        state = tuple(None if one is None else one.number for one in generations)
        known, now = self._refused.get(corpus.corpus_id), time.monotonic()
        if known is not None and known[0] == state and now - known[2] < ASKED_AGAIN_SECONDS:
            return known[1]
        verdict = self._gate()(corpus, old, new)
        self._state.set_meta(_verdict_key(corpus), json.dumps(asdict(verdict) | {"of": [old, new]}))
        self._refused.pop(corpus.corpus_id, None)
        if not verdict.allows:
            self._refused[corpus.corpus_id] = state, verdict, now
        return verdict

    def standing(self, corpus: Registered, registry: Registry) -> Standing | None:
        """How a corpus' migration stands; None where there is none and nothing is kept of one. Writes nothing."""
        target, is_asked = self.target(corpus)
        if target is None:
            return None if corpus.spaces.previous is None else Standing(corpus, None, True)
        if not corpus.is_here:
            return Standing(corpus, target, is_asked)
        shares = self._parity.shares(corpus, registry, target)
        told = json.loads(self._state.meta(_verdict_key(corpus)) or "{}")
        is_current = told.get("of") == list(corpus.layout.step(target))
        verdict = GateVerdict(told["allows"], told["note"]) if is_current else None
        return Standing(corpus, target, is_asked, shares, verdict)

    def _changed(self, corpus: Registered, change: Callable[[Registered], Registered]) -> Registered:
        """Change the row, if its spaces are still those that the change was decided by."""

        def checked(now: Registered) -> Registered:
            if _seen(now) != _seen(corpus):
                raise MigrationError(f"corpus {corpus.name} was changed meanwhile; look again with `cortex migrate`")
            return change(now)

        after = self._register.change(corpus.corpus_id, checked)
        if after is None:
            raise MigrationError(f"corpus {corpus.name} is not registered any more")
        return after

    def _read(self, corpus: Registered) -> Registered:
        return next((one for one in self._register.corpora() if one.corpus_id == corpus.corpus_id), corpus)


MOVED = "its model is another one than before, so searches go by words alone until all its vectors are made anew"


def _seen(corpus: Registered) -> tuple[object, ...]:
    """What of a row a change of its spaces is decided by."""
    return corpus.layout, corpus.spaces, corpus.resharding, corpus.shards


def _towards(before: Registered, target: Layout, now: Registered) -> Registered:
    """A corpus on its way to a layout, where it still was on its way as before."""
    return replace(now, spaces=replace(now.spaces, next=target)) if now.spaces == before.spaces else now


def _verdict_key(corpus: Registered) -> str:
    return f"migration:{corpus.corpus_id}"
