"""What a run would do, stage by stage: exact where inputs are in Delta (and for files after a listing), an estimate behind them.

Parses and writes nothing. An estimate is marked, and says what it rests on.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import polars as pl

from cortex_assets.chunks.schema import CHUNKS
from cortex_assets.documents.schema import DOCUMENTS
from cortex_assets.engine.embed import EmbedStage
from cortex_assets.engine.files import FilesStage
from cortex_assets.engine.intake import Intake
from cortex_assets.engine.project import IndexStage
from cortex_assets.engine.verify import ShardStages
from resources.lakehouse import Lakehouse
from resources.vectors.protocol import DamagedIndexError

CHUNKS_A_DOCUMENT = 8.0
"""What a new document is taken for where its shard has no history."""


@dataclass(frozen=True, slots=True)
class Planned:
    """The plan of one stage: counts of input keys; ``basis`` says what an estimate rests on."""

    stage: str
    new: int
    stale: int
    orphaned: int
    unchanged: int
    is_exact: bool = True
    basis: str = ""


@dataclass(frozen=True, slots=True)
class _Waiting:
    """What the stages before one will still bring it, in that stage's units; ``is_exact`` = nothing waits."""

    new: float = 0.0
    stale: float = 0.0
    orphaned: float = 0.0

    @property
    def is_exact(self) -> bool:
        return not (self.new or self.stale or self.orphaned)

    def times(self, factor: float) -> "_Waiting":
        return _Waiting(self.new * factor, self.stale * factor, self.orphaned * factor)


def plan_shard(lake: Lakehouse, files: FilesStage, stages: ShardStages, intake: Intake, shard: str) -> list[Planned]:
    """Plan every stage of a shard.

    Args:
        lake: the tables.
        files: the corpus's files stage.
        stages: the shard's other stages.
        intake: one listing of the corpus, shared by its shards.
        shard: which shard.
    """
    now = datetime.now(UTC)
    planned = [_files(files, intake, shard)]
    for stage in stages.maps:
        waiting, basis = _waiting(planned[-1]), f"one a {_UNITS[planned[-1].stage]}"
        plan = stage.plan(shard, now)
        known = Planned(stage.name, plan.new, plan.stale, len(plan.orphaned), plan.unchanged)
        planned.append(_with(known, waiting, basis))
    each, basis = _chunks_each(lake, shard)
    waiting = _waiting(planned[-1]).times(each)
    texts = _Waiting(waiting.new + waiting.stale)
    known = _together([_texts_of(embed, lake, shard, now) for embed in stages.embeds])
    planned.append(_with(known, texts, f"{basis}, all of them new"))
    planned.append(_with(_together([_index(index, shard) for index in stages.indexes]), waiting, basis))
    return planned


def _together(lines: Sequence[Planned]) -> Planned:
    """One line of those of several embedding spaces."""
    first, *others = lines
    for line in others:
        first = Planned(
            first.stage,
            first.new + line.new,
            first.stale + line.stale,
            first.orphaned + line.orphaned,
            first.unchanged + line.unchanged,
            first.is_exact and line.is_exact,
            first.basis or line.basis,
        )
    return first


_UNITS = {"files": "file", "documents": "document"}


def _files(files: FilesStage, intake: Intake, shard: str) -> Planned:
    """The files' line: what the guard will withhold is not planned."""
    decision, is_certain = files.foresee(intake)
    counts = intake.shard_counts(shard, decision.withheld | decision.protected)
    touched = intake.perhaps_touched(shard)
    basis = [f"{len(decision.withheld)} deletes would be withheld"] if decision.withheld else []
    if waiting := intake.being_written(shard):
        basis.append(f"not counted: {waiting} still being written, which a later run takes")
    if not is_certain:
        basis.append("new files as large as vanished ones are taken for them")
    if touched:
        basis.append(f"{touched} files of the size they had are taken for changed")
    is_exact = is_certain and not touched and not waiting
    return Planned("files", counts.new, counts.changed, counts.vanished, counts.unchanged, is_exact, "; ".join(basis))


def _index(index: IndexStage, shard: str) -> Planned:
    """The index's line, as after the vectors that are missing now: a point published without its own is written again."""
    try:
        desired, upserts, deletes = index.wanted.pending(shard)
        points = index.sidecar_ids(shard)
    except DamagedIndexError:
        everything = index.wanted.desired(shard).height
        return Planned("index", everything, 0, 0, 0, basis="the index is damaged and is built anew")
    written = {*upserts, *desired.filter(~pl.col("has_vector")).get_column("chunk_id")}
    stale = len(written & points)
    return Planned("index", len(written) - stale, stale, len(deletes), len(points) - stale - len(deletes))


def _waiting(line: Planned) -> _Waiting:
    return _Waiting(line.new, line.stale, line.orphaned)


def _with(known: Planned, waiting: _Waiting, basis: str) -> Planned:
    """The exact counts, or an estimate: these and what the stages before will bring."""
    if waiting.is_exact:
        return known
    new, stale, orphaned = round(waiting.new), round(waiting.stale), round(waiting.orphaned)
    unchanged = max(0, known.unchanged - stale - orphaned)
    return Planned(
        known.stage, known.new + new, known.stale + stale, known.orphaned + orphaned, unchanged, False, basis
    )


def _texts_of(embed: EmbedStage, lake: Lakehouse, shard: str, now: datetime) -> Planned:
    """The texts of this shard that are to have a vector in one space."""
    active = embed.selection.of(lake, shard).filter(pl.col("is_active"))
    texts = int(active.select(pl.col("embed_hash").n_unique()).collect(engine="streaming").item())
    missing = embed.due(shard, now).height
    return Planned("embeddings", missing, 0, 0, texts - missing)


def _chunks_each(lake: Lakehouse, shard: str) -> tuple[float, str]:
    """How many chunks a document of this shard has on average so far."""
    chunks = lake.scan(CHUNKS, where={"shard": shard}).select(pl.len()).collect().item()
    documents = lake.scan(DOCUMENTS, where={"shard": shard}).select(pl.len()).collect().item()
    if not documents or not chunks:
        return CHUNKS_A_DOCUMENT, f"{CHUNKS_A_DOCUMENT:g} chunks a document, for want of any history"
    return chunks / documents, f"{chunks / documents:.1f} chunks a document, as in this shard so far"
