"""Verify: does every table and the index agree with what they were made from? Repair what does not (F5).

Reads everything, trusts no fast path. The checks that follow a run (``quick``) compare keys and hashes in Delta and the
index's sidecar; ``deep`` also reads the folder, all rows, the raw bytes (``damage``) and the points themselves.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

from cortex_assets.chunks.schema import CHUNKS
from cortex_assets.corpora.schema import DUPLICATES, FILES
from cortex_assets.documents.schema import DOCUMENTS
from cortex_assets.engine.aggregate import BUCKETS, WHOLE, AggregateStage, WholeStage
from cortex_assets.engine.damage import CHECKED, altered_keys, bad_vectors, damaged_bytes
from cortex_assets.engine.embed import EmbedStage
from cortex_assets.engine.files import FilesStage
from cortex_assets.engine.project import IndexStage
from cortex_assets.engine.stage import MapStage
from cortex_assets.index.points import diff
from cortex_assets.tables import TableSpec, short_reason
from resources.lakehouse import Lakehouse
from resources.listing import RootState
from resources.raw_store import RawStore
from resources.vectors.protocol import DamagedIndexError

STALE_AFTER = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Finding:
    """A disagreement.

    Attributes:
        asset: whose table or index it is, or ``raw store``.
        check: ``schema``, ``orphans``, ``parity`` or ``freshness``, or one of a room's own.
        kind: ``missing``, ``extra``, ``stale``, ``orphaned``, ``invalid``, ``altered`` (a row is not what its own hash
            says), ``damaged`` (bytes or an index that cannot be read as what they are) or ``old``.
        shard: where.
        count: how many keys, rows or points.
        example: an id.
    """

    asset: str
    check: str
    kind: str
    shard: str
    count: int
    example: str = ""

    @property
    def text(self) -> str:
        """One line for people."""
        return f"{self.asset}, shard {self.shard}: {self.count} {self.kind}" + (
            f", such as {self.example}" if self.example else ""
        )


CHECKS = ("schema", "orphans", "parity", "freshness")
ROOM_CHECKS = {"documents": ("complete", "quality")}
"""Checks that one asset has beside those."""


def checks_of(asset: str) -> tuple[str, ...]:
    """The names of an asset's checks."""
    return (*CHECKS, *ROOM_CHECKS.get(asset, ()))


@dataclass(frozen=True, slots=True)
class SpaceStages:
    """The stages of one embedding space; without ``embed`` nothing makes its vectors any more, and what is new gets none."""

    embed: EmbedStage | None
    index: IndexStage


@dataclass(frozen=True)
class ShardStages:
    """The stages of a shard that verification looks at: ``embed`` and ``index`` of its main space, ``beside`` of the others."""

    files: FilesStage
    maps: Sequence[MapStage]
    embed: EmbedStage
    index: IndexStage
    beside: Sequence[SpaceStages] = ()

    @property
    def embeds(self) -> list[EmbedStage]:
        """The embeddings stage of every space that has one."""
        return [self.embed, *(one.embed for one in self.beside if one.embed is not None)]

    @property
    def indexes(self) -> list[IndexStage]:
        """The index stage of every space."""
        return [self.index, *(one.index for one in self.beside)]


def quick(
    lake: Lakehouse, stages: ShardStages, shard: str, now: datetime, scanned_at: datetime | None
) -> list[Finding]:
    """Schema, orphans, parity of keys and hashes, freshness: what the checks after each run show."""
    found: list[Finding] = []
    for stage in stages.maps:
        found += _map_findings(stage, shard, now)
        found += _schema_findings(lake, stage.name, stage.derivation.output, shard)
    found += _orphans(lake, shard)
    for embed in stages.embeds:
        missing = embed.missing(shard)
        found += _found("embeddings", "parity", "missing", shard, missing.get_column("embed_hash").to_list())
    for index in stages.indexes:
        found += _sidecar_findings(index, shard)
    found += _freshness(shard, now, scanned_at)
    return found


def _sidecar_findings(index: IndexStage, shard: str) -> list[Finding]:
    """What an index says that it holds against Delta."""
    try:
        _, upserts, deletes = index.wanted.pending(shard)
    except DamagedIndexError as error:
        return [Finding("index", "parity", "damaged", shard, 1, short_reason(str(error)))]
    return [
        *_found("index", "parity", "stale", shard, upserts),
        *_found("index", "parity", "extra", shard, deletes),
    ]


def deep(
    lake: Lakehouse, stages: ShardStages, raw: RawStore, shard: str, now: datetime, scanned_at: datetime | None
) -> list[Finding]:
    """``quick``; rows against their own hashes; stored bytes, vectors and the real points."""
    found = [f for f in quick(lake, stages, shard, now, scanned_at) if f.asset != "index" or f.kind == "damaged"]
    for asset, table, holds in CHECKED:
        found += _found(asset, "parity", "altered", shard, altered_keys(lake, table, shard, holds))
    missing, damaged = damaged_bytes(lake, raw, shard)
    found += _found("raw store", "parity", "missing", shard, missing)
    found += _found("raw store", "parity", "damaged", shard, damaged)
    for index in stages.indexes:
        found += _found("embeddings", "parity", "invalid", shard, bad_vectors(lake, index.space, shard))
    if any(f.asset == "index" for f in found):
        return found
    return found + [finding for index in stages.indexes for finding in _point_findings(index, shard)]


def of_the_lake(aggregate: AggregateStage, whole: WholeStage, lake: Lakehouse) -> list[Finding]:
    """Where an aggregate or a global is not what its ledger says. Inputs that moved since its last run are no damage."""
    found: list[Finding] = []
    for bucket in BUCKETS:
        found += _found(aggregate.name, "parity", "stale", bucket, aggregate.unlike_ledger(bucket))
        found += _found(aggregate.name, "parity", "altered", bucket, altered_keys(lake, DUPLICATES, bucket))
    if whole.is_unlike_ledger():
        found.append(Finding(whole.name, "parity", "stale", WHOLE, 1))
    return found


def folder_findings(files: FilesStage, shard: str, now: datetime) -> list[Finding]:
    """Rows of ``bronze/files`` against the folder. What the last scan withheld is known, and `cortex status` shows it."""
    intake = files.listing(now, shard)
    if intake.listing.root_state not in (RootState.PRESENT, RootState.OTHER_DEVICE):
        return [
            Finding(
                "files", "freshness", "old", shard, len(intake.known), f"{files.corpus.root}, which cannot be listed"
            )
        ]
    differing = intake.disagreement(shard)
    found = []
    for kind, paths in (("missing", differing.missing), ("stale", differing.stale), ("extra", differing.extra)):
        if kind != "extra" or not files.is_withholding():
            found += _found("files", "parity", kind, shard, [path.decode("utf-8", "replace") for path in paths])
    return found


def _point_findings(index: IndexStage, shard: str) -> list[Finding]:
    """The index's real points against Delta."""
    try:
        upserts, extra, missing = damaged_points(index, shard)
    except DamagedIndexError as error:
        return [Finding("index", "parity", "damaged", shard, 1, short_reason(str(error)))]
    return [
        *_found("index", "parity", "missing", shard, missing),
        *_found("index", "parity", "stale", shard, sorted(set(upserts) - set(missing))),
        *_found("index", "parity", "extra", shard, extra),
    ]


def damaged_points(index: IndexStage, shard: str) -> tuple[list[str], list[str], list[str]]:
    """(ids to write again, ids to delete, those of the first that are not there at all) by reading the points themselves."""
    desired = index.wanted.desired(shard)
    real = index.real_points(shard)
    upserts, extra = diff(desired, real.select("chunk_id", "row_hash"))
    present = set(real.get_column("chunk_id").to_list())
    vectorless = set(real.filter(~pl.col("has_vector")).get_column("chunk_id").to_list())
    lost = desired.filter("has_vector").get_column("chunk_id").to_list()
    again = sorted(set(upserts) | {chunk for chunk in lost if chunk in vectorless})
    return again, list(extra), [chunk for chunk in again if chunk not in present]


def _map_findings(stage: MapStage, shard: str, now: datetime) -> list[Finding]:
    plan = stage.plan(shard, now)
    stale = plan.todo.filter(pl.col("verdict") == "stale").get_column("input_key").to_list()
    new = plan.todo.filter(pl.col("verdict") == "new").get_column("input_key").to_list()
    return [
        *_found(stage.name, "parity", "stale", shard, stale),
        *_found(stage.name, "parity", "missing", shard, new),
        *_found(stage.name, "orphans", "orphaned", shard, plan.orphaned),
    ]


def _schema_findings(lake: Lakehouse, asset: str, table: TableSpec, shard: str) -> list[Finding]:
    heavy = {"text", "context", "structure"}
    frame = lake.scan(table, where={"shard": shard}).drop([c for c in heavy if c in table.dtypes]).collect()
    filled = frame.with_columns(pl.lit("").alias(c) for c in heavy if c in table.dtypes).select(list(table.dtypes))
    _, failure = table.schema.filter(filled)
    bad = failure.invalid()
    return _found(asset, "schema", "invalid", shard, bad.get_column(table.key[0]).to_list() if bad.height else [])


def _orphans(lake: Lakehouse, shard: str) -> list[Finding]:
    """Rows whose parent row does not exist."""
    found: list[Finding] = []
    for asset, child, parent, column in (
        ("documents", DOCUMENTS, FILES, "file_id"),
        ("chunks", CHUNKS, DOCUMENTS, "document_id"),
    ):
        children = lake.scan(child, where={"shard": shard}).select(column).unique()
        parents = lake.scan(parent, where={"shard": shard}).select(column)
        lost = children.join(parents, on=column, how="anti").collect().get_column(column).sort().to_list()
        found += _found(asset, "orphans", "orphaned", shard, lost)
    return found


def _freshness(shard: str, now: datetime, scanned_at: datetime | None) -> list[Finding]:
    if scanned_at is None or now - scanned_at <= STALE_AFTER:
        return []
    return [Finding("files", "freshness", "old", shard, 1, f"last listed {scanned_at:%Y-%m-%d %H:%M} UTC")]


def _found(asset: str, check: str, kind: str, shard: str, keys: Sequence[str]) -> list[Finding]:
    return [Finding(asset, check, kind, shard, len(keys), keys[0])] if keys else []
