"""Migrations: a corpus goes from the spaces that it is searched in to others, blue/green (ARCHITECTURE 5).

A person begins one; from then on every run makes the vectors and the index of the next spaces beside those that are
searched. At the end of a run in which nothing lacks any more there, and the gate agrees, one write of the corpus' row turns
searches to them. The spaces before are kept up until ``finish``, or for as long as old versions stay, so that ``rollback``
is another write. Where a model has become another one under its name, the same happens by itself, and the old index
goes at once: nothing can embed a question for it any more.

What the stages of a space are is ``cortex_assets.spaces``'; what the row says ``corpora.spaces``'.
"""

import json
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import polars as pl

from cortex_assets.corpora.registry import Registered
from cortex_assets.corpora.spaces import Layout, Live
from cortex_assets.engine import published
from cortex_assets.engine.lease import LeaseBusy, shard_lease
from cortex_assets.engine.stage import Budget
from cortex_assets.gate import Gate, GateVerdict
from cortex_assets.ops.schema import SNAPSHOTS
from cortex_assets.parity import Parity, Standing
from cortex_assets.register import Register, Registry
from cortex_assets.spaces import as_made_now, space_now
from cortex_assets.workshop import Workshop
from inference.lanes import parse_engine
from inference.protocols import Space
from resources.bucket import LeasePlace
from resources.lakehouse import Lakehouse
from resources.state import State
from resources.vectors.protocol import VectorStore

NO_MODEL = "none"
"""Instead of a model for code: code goes back to the main one."""


class MigrationError(ValueError):
    """A migration that cannot be begun or changed as it was asked for; the message says why and what to do."""


class Moving:
    """Begins, follows and ends migrations of a lake's corpora."""

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
        self._store, self._leases, self._gate = store, leases, gate

    # -- what a person asks for ------------------------------------------------------------------------------------

    def begin(self, corpus: Registered, main: str | None = None, code: str | None = None) -> Registered:
        """Begin a migration; the next run makes its vectors.

        Args:
            corpus: which.
            main: engine of the main space; None: as it is.
            code: engine of code, ``none`` for the main one; None: as it is.

        Raises:
            MigrationError: one is under way, the corpus is there already, or the model reads less than chunks hold.
            ModelMissing: a model is not on this machine.
            ConfigInvalid: a model's name is none.
        """
        target = self._asked_for(corpus, main, code)
        if target == as_made_now(corpus.layout, self._workshop.doors.places):
            raise MigrationError(f"corpus {corpus.name} is searched in space {target.main.space_id} already")
        if target == corpus.spaces.previous:
            return self.rollback(corpus)
        if corpus.spaces.previous is not None:
            kept = corpus.spaces.previous.main.space_id
            raise MigrationError(f"space {kept} is still kept for a rollback; `cortex migrate {corpus.name} --finish`")
        begun = corpus.spaces.begun(target, datetime.now(UTC))
        if self._cut(corpus) is None:  # chunks are cut anew: the model that they were cut by is gone
            begun = replace(begun, cut=target.main.embed)
        return self._changed(corpus, lambda now: replace(now, spaces=begun))

    def _cut(self, corpus: Registered) -> Space | None:
        """The space whose tokenizer and limit chunks are cut by; None where its model is not here any more."""
        return space_now(Live(corpus.spaces.cut or corpus.embed, ""), self._workshop.doors.places)

    def _asked_for(self, corpus: Registered, main: str | None, code: str | None) -> Layout:
        if not corpus.is_listed:
            raise MigrationError(f"corpus {corpus.name} is paused, so no run would make its vectors; resume it first")
        if corpus.resharding is not None:
            raise MigrationError(f"the shards of corpus {corpus.name} are being changed; `cortex run` ends that")
        if corpus.spaces.next is not None:
            going = corpus.spaces.next.main.space_id
            raise MigrationError(
                f"corpus {corpus.name} is on its way to {going}; `cortex migrate {corpus.name} --abandon` ends that"
            )
        old = corpus.layout
        target = Layout(
            old.main if main is None else self._live(corpus, main, "--to"),
            old.code if code is None else None if code == NO_MODEL else self._live(corpus, code, "--code-model"),
        )
        is_one = target.code is not None and target.code.space_id == target.main.space_id
        return Layout(target.main) if is_one else target

    def _live(self, corpus: Registered, model: str, option: str) -> Live:
        config = parse_engine(model, option)
        space = self._workshop.space_of(config)
        cut = self._cut(corpus)
        if cut is not None and space.max_tokens < cut.max_tokens:
            raise MigrationError(
                f"model {model} reads {space.max_tokens} tokens, and the chunks of corpus {corpus.name} hold up to "
                f"{cut.max_tokens}; choose another, or register the folder anew with it (cortex remove --purge, cortex add)"
            )
        return Live(config.model, space.space_id)

    def rollback(self, corpus: Registered) -> Registered:
        """Go back to the layout before the last migration: at once where its index is whole, else at the end of the next run.

        Raises:
            MigrationError: none is kept.
        """
        before = corpus.spaces.previous
        if before is None:
            raise MigrationError(f"nothing is kept for corpus {corpus.name} to go back to")

        def going(now: Registered) -> Registered:
            back = replace(now.spaces, next=before, previous=None, since=datetime.now(UTC), is_back=True)
            return replace(now, spaces=back)

        begun = self._changed(corpus, going)
        self.follow(begun, self._register.now())
        return self._read(begun)

    def abandon(self, corpus: Registered) -> Registered:
        """End a migration before its switch, and drop the indexes that it began; those of a rollback are kept again.

        Raises:
            MigrationError: none is under way.
        """
        if corpus.spaces.next is None:
            raise MigrationError(f"no migration of corpus {corpus.name} is under way")
        if corpus.spaces.is_back:
            kept = replace(corpus.spaces, next=None, previous=corpus.spaces.next, is_back=False)
            return self._changed(corpus, lambda now: replace(now, spaces=kept))
        return self._ended(corpus)

    def finish(self, corpus: Registered) -> Registered:
        """Keep the spaces before the last migration no longer: their indexes go, their vectors with the next sweeps.

        Raises:
            MigrationError: none are kept.
        """
        if corpus.spaces.previous is None:
            raise MigrationError(f"nothing is kept for corpus {corpus.name} from a migration")
        return self._ended(corpus)

    def finish_old(self, corpora: Iterable[Registered], retention: timedelta, now: datetime) -> list[str]:
        """``finish`` what is kept for longer than old versions stay; names of the corpora."""
        done = []
        for corpus in corpora:
            since = corpus.spaces.since if corpus.spaces.previous is not None and corpus.is_here else None
            if since is not None and since + retention < now:
                with suppress(MigrationError):  # it was changed meanwhile
                    done.append(self.finish(corpus).name)
        return done

    def _ended(self, corpus: Registered) -> Registered:
        after = self._changed(corpus, lambda now: replace(now, spaces=now.spaces.ended()))
        self._drop(after, [space_id for space_id in corpus.every_space if space_id not in after.every_space])
        return after

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

    def _drop(self, corpus: Registered, spaces: list[str]) -> None:
        """Drop a corpus' indexes in some spaces; what a run holds, or a crash leaves, maintenance finds."""
        for space_id in spaces:
            dated = self._lake.scan(SNAPSHOTS).filter(pl.col("space_id") == space_id).head(1).collect()
            if dated.is_empty():  # sweeps go by when a space was published last
                published.record(self._lake, space_id, corpus.shards[0], 0, {}, 0, datetime.now(UTC))
            for shard in corpus.every_shard:
                try:
                    with shard_lease(self._leases, shard):
                        self._store().drop(space_id, shard)
                except LeaseBusy:
                    continue

    # -- what a run does about it ----------------------------------------------------------------------------------

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
            with ExitStack() as held:
                for shard in corpus.shards:
                    if shard != leased:
                        held.enter_context(shard_lease(self._leases, shard))
                if any(self._parity.is_damaged(corpus, registry, target, shard) for shard in corpus.shards):
                    return [f"the index of corpus {corpus.name} in space {new} is damaged; `cortex verify --repair`"]
                switched = self._switch(corpus, target, is_asked)
                self._settle(corpus, switched, registry)
        except MigrationError as changed:
            return [f"{changed}"]
        except LeaseBusy as busy:
            return [f"corpus {corpus.name} goes to space {new} at the end of another run: {busy}"]
        note = f" ({verdict.note})" if verdict.note else ""
        longer = self._parity.longer(switched, target) if is_asked else 0
        note += f"; {longer:,} chunks are longer than its model reads, which took their beginnings" if longer else ""
        what = "corpus" if corpus.space_id != switched.space_id else "code of corpus"
        return [f"{what} {corpus.name} is searched in space {new} now{note}"]

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
        verdict = self._gate()(corpus, old, new)
        self._state.set_meta(_verdict_key(corpus), json.dumps(asdict(verdict) | {"of": [old, new]}))
        return verdict

    # -- how it stands ---------------------------------------------------------------------------------------------

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


MOVED = "its model is another one than before, so searches go by words alone until all its vectors are made anew"


def _seen(corpus: Registered) -> tuple[object, ...]:
    """What of a row a change of its spaces is decided by."""
    return corpus.layout, corpus.spaces, corpus.resharding, corpus.shards


def _towards(before: Registered, target: Layout, now: Registered) -> Registered:
    """A corpus on its way to a layout, where it still was on its way as before."""
    return replace(now, spaces=replace(now.spaces, next=target)) if now.spaces == before.spaces else now


def _verdict_key(corpus: Registered) -> str:
    return f"migration:{corpus.corpus_id}"
