"""Whether everything of a corpus is in the spaces that it goes to: what a migration still lacks, compared as verification does.

Here is only looked; what follows from it is ``cortex_assets.moving``'s.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import polars as pl

from cortex_assets.chunks.schema import CHUNKS
from cortex_assets.corpora.registry import Registered
from cortex_assets.corpora.spaces import Layout
from cortex_assets.embeddings.schema import EMBEDDINGS
from cortex_assets.engine.embed import EmbedStage
from cortex_assets.engine.narrow import narrow
from cortex_assets.engine.project import IndexStage
from cortex_assets.engine.verify import damaged_points
from cortex_assets.gate import GateVerdict
from cortex_assets.register import Registry
from cortex_assets.spaces import engine_of, space_now
from cortex_assets.workshop import Workshop
from resources.lakehouse import Lakehouse
from resources.vectors.protocol import DamagedIndexError

COUNTED_TEXTS = 2_000


@dataclass(frozen=True, slots=True)
class Share:
    """What there is of one space that a corpus goes to.

    Attributes:
        space_id: which.
        texts: that are to have a vector.
        lacking: of them.
        failed: of those, the ones that its engine could not do.
        reason: why the first of these failed.
        points: that differ from what its index is to show.
        is_made: its model is on this machine.
    """

    space_id: str
    texts: int
    lacking: int
    failed: int
    reason: str
    points: int
    is_made: bool = True

    @property
    def waits_for(self) -> Iterator[str]:
        """What it lacks, in words."""
        if not self.is_made:
            yield f"the model of space {self.space_id}, which is not on this machine"
        due = self.lacking - self.failed
        if due:
            yield f"{due:,} vectors"
        if self.failed:
            yield f"{self.failed:,} texts that failed ({self.reason}): cortex retry"
        if self.points and not due:
            yield f"{self.points:,} points of the index"


@dataclass(frozen=True, slots=True)
class Standing:
    """How a corpus' migration stands.

    Attributes:
        corpus: its row.
        target: the layout that it goes to; None where one is only kept from before.
        is_asked: a person began it; otherwise its model became another one.
        shares: of the spaces of ``target``.
        verdict: what the gate said last, if it was asked.
    """

    corpus: Registered
    target: Layout | None
    is_asked: bool
    shares: tuple[Share, ...] = ()
    verdict: GateVerdict | None = None

    @property
    def waits_for(self) -> tuple[str, ...]:
        """What a switch still waits for, in words."""
        if self.target is None:
            return ()
        if not self.corpus.is_here:
            return (f"machine {self.corpus.machine}, which runs it",)
        found = [one for share in self.shares for one in share.waits_for]
        if not found and self.verdict is not None and not self.verdict.allows:
            found.append(f"the gate: {self.verdict.note}")
        return tuple(found) or ("the end of the next run",)


class Parity:
    """Compares what a corpus has in some spaces with what it is to have."""

    def __init__(self, workshop: Workshop, lake: Lakehouse) -> None:
        """Bind; nothing is read yet."""
        self._workshop, self._lake = workshop, lake

    def lacks(self, corpus: Registered, registry: Registry, target: Layout, shard: str, is_asked: bool) -> bool:
        """Whether something of a shard is not in the spaces of a layout: a point, or a vector.

        Args:
            corpus: whose shard.
            registry: with it.
            target: the layout.
            shard: which.
            is_asked: a vector that the spaces searched now have may not be lacking; else one may that its engine cannot make.
        """
        for _, embed, index in self._stages(corpus, registry, target):
            if index is None or (is_asked and embed is None) or _differing(index, shard):
                return True
            if embed is None:
                continue
            if embed.due(shard, datetime.now(UTC)).height or (is_asked and self._lost(corpus, embed.missing(shard))):
                return True
        return False

    def is_damaged(self, corpus: Registered, registry: Registry, target: Layout, shard: str) -> bool:
        """Whether the points themselves, in the spaces of a layout, are not what they are to be."""
        for _, _, index in self._stages(corpus, registry, target):
            try:
                if index is None or any(damaged_points(index, shard)[:2]):
                    return True
            except DamagedIndexError:
                return True
        return False

    def shares(self, corpus: Registered, registry: Registry, target: Layout) -> tuple[Share, ...]:
        """What there is in each space of a layout."""
        return tuple(self._share(corpus, *stages) for stages in self._stages(corpus, registry, target))

    def longer(self, corpus: Registered, target: Layout) -> int:
        """How many chunks are longer than their model in a layout reads: of those only the beginning is in the vector."""
        cut, count = self._workshop.tokenizer(self._workshop.cut(corpus)), 0
        for live in target.lives:
            space, tokenizer = space_now(live, self._workshop.doors.places), self._workshop.tokenizer(engine_of(live))
            if space is None or tokenizer.name == cut.name:
                continue
            limit, kinds = space.max_tokens - tokenizer.special_tokens, target.selections[live.space_id]
            for texts in self._texts(corpus, kinds):
                count += sum(length > limit for length in tokenizer.count_batch(texts))
        return count

    def _texts(self, corpus: Registered, kinds: frozenset[str]) -> Iterator[list[str]]:
        """What is embedded of the chunks of some kinds, some at a time."""
        for shard in corpus.shards:
            mine = pl.col("is_active") & pl.col("kind").is_in(sorted(kinds))
            rows = self._lake.scan(CHUNKS, where={"shard": shard}).filter(mine)
            chunks = rows.select(text=pl.col("context") + pl.col("text")).collect(engine="streaming")
            for part in chunks.iter_slices(COUNTED_TEXTS):
                yield part["text"].to_list()

    def _stages(
        self, corpus: Registered, registry: Registry, target: Layout
    ) -> Iterator[tuple[str, EmbedStage | None, IndexStage | None]]:
        """The stages of a layout's spaces; None where nothing keeps one."""
        stages = self._workshop.stages(corpus, registry)
        embeds = {stage.space.space_id: stage for stage in stages.embeds}
        indexes = {stage.space.space_id: stage for stage in stages.indexes}
        for live in target.lives:
            yield live.space_id, embeds.get(live.space_id), indexes.get(live.space_id)

    def _lost(self, corpus: Registered, missing: pl.DataFrame) -> int:
        """How many of the texts that lack a vector have one in a space that is searched now."""
        if missing.is_empty():
            return 0
        held = pl.concat(
            narrow(self._lake, EMBEDDINGS, {"space_id": live.space_id}).select("embed_hash")
            for live in corpus.layout.lives
        )
        return missing.lazy().select("embed_hash").join(held, on="embed_hash", how="semi").collect().height

    def _share(self, corpus: Registered, space_id: str, embed: EmbedStage | None, index: IndexStage | None) -> Share:
        if index is None:
            return Share(space_id, 0, 0, 0, "", 0, is_made=False)
        texts = lacking = failed = points = 0
        reason = ""
        for shard in corpus.shards:
            chunks = index.wanted.selection.of(self._lake, shard).filter("is_active")
            texts += int(chunks.select(pl.col("embed_hash").n_unique()).collect().item())
            if embed is not None:
                missing = embed.missing(shard)
                bad = embed.ledger.rows(shard).join(missing, left_on="input_key", right_on="embed_hash", how="semi")
                lacking, failed = lacking + missing.height, failed + bad.height
                reason = reason or next((text for text in bad["reason"] if text), "")
            points += _differing(index, shard)
        return Share(space_id, texts, lacking, failed, reason, points, embed is not None)


def _differing(index: IndexStage, shard: str) -> int:
    """How many points of a shard's index are not what they are to be, by what it says; all of one that cannot be read."""
    try:
        _, upserts, deletes = index.wanted.pending(shard)
    except DamagedIndexError:
        return max(1, index.wanted.desired(shard).height)
    return len(upserts) + len(deletes)
