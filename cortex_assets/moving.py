"""Migrations: a corpus goes from the spaces that it is searched in to others, blue/green (ARCHITECTURE 5).

A person begins one; from then on every run makes the vectors and the index of the next spaces beside those that are
searched. At the end of a run in which nothing lacks any more there, and the gate agrees, one write of the corpus' row turns
searches to them. The spaces before are kept up until ``finish``, or for as long as old versions stay, so that ``rollback``
is another write. Where a model has become another one under its name, the same happens by itself, and the old index
goes at once: nothing can embed a question for it any more.

What the stages of a space are is ``cortex_assets.spaces``'; what the row says ``corpora.spaces``'.
"""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import polars as pl

from cortex_assets.corpora.registry import Registered
from cortex_assets.corpora.spaces import Layout, Live
from cortex_assets.engine import published
from cortex_assets.engine.lease import LeaseBusy, shard_lease
from cortex_assets.ops.schema import SNAPSHOTS
from cortex_assets.spaces import as_made_now, space_now
from cortex_assets.switching import MigrationError, Switching
from inference.lanes import parse_engine
from inference.protocols import Space

NO_MODEL = "none"
"""Instead of a model for code: code goes back to the main one."""


class Moving(Switching):
    """Begins, takes back and ends migrations of a lake's corpora, and follows them."""

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
