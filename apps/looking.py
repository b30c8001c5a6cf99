"""What ``apps.reader`` does with an open house: plan, status, tables, models. Imported late; nothing here writes rows."""

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import NamedTuple

import polars as pl

from apps.alert_reports import AlertLine, AlertsReport
from apps.dropping import takes_files
from apps.migrating import lines
from apps.reports import (
    CorpusStatus,
    FailureGroup,
    ModelLine,
    PlanLine,
    PlanReport,
    StatusReport,
    TableLine,
)
from apps.residence import looked_in, remembered
from apps.running import chosen, opened, withheld_of
from cortex_assets.chunks.schema import CHUNKS
from cortex_assets.corpora.registry import Registered
from cortex_assets.corpora.schema import FILES
from cortex_assets.documents.model import NO_BYTES
from cortex_assets.documents.schema import DOCUMENTS
from cortex_assets.embeddings.schema import EMBEDDINGS
from cortex_assets.engine.alerting import firing_since
from cortex_assets.engine.care import TABLES
from cortex_assets.engine.files import FilesStage
from cortex_assets.engine.live import INTERRUPTED, RUNNING, SILENT, live_runs
from cortex_assets.engine.planning import plan_shard
from cortex_assets.house import House
from cortex_assets.ops.schema import SNAPSHOTS
from cortex_assets.tables import TableSpec
from resources.git_source import redact
from resources.lakehouse import Lakehouse
from resources.vectors.protocol import DamagedIndexError, VectorStore

EXAMPLES = 5
BEHIND = timedelta(days=7)
_IS_BAD = (pl.col("status") != "ok") & (pl.col("reason").fill_null("") != NO_BYTES)


def plan(names: Sequence[str] | None) -> PlanReport:
    """See ``apps.reader.plan``."""
    begin = time.perf_counter()
    lines: list[PlanLine] = []
    with opened() as house:
        registry = house.register.peek()
        corpora = chosen(registry, names)
        for corpus in corpora:
            files = house.workshop.chain(corpus, registry).stages[0]
            if not isinstance(files, FilesStage):
                continue
            intake = files.still_listing(datetime.now(UTC))
            for shard in corpus.shards:
                planned = plan_shard(house.lake, files, house.workshop.stages(corpus, registry), intake, shard)
                lines += [
                    PlanLine(p.stage, shard, p.new, p.stale, p.orphaned, p.unchanged, p.is_exact, p.basis)
                    for p in planned
                ]
        withheld = withheld_of(house, corpora)
    return PlanReport(tuple(lines), tuple(withheld), time.perf_counter() - begin)


def status(name: str | None, failed: bool) -> StatusReport:
    """See ``apps.reader.status``."""
    with looked_in() as house:
        registry = house.register.now()
        corpora = chosen(registry, [name], is_anywhere=True) if name else list(registry.corpora)
        lines = tuple(_corpus(house, corpus) for corpus in corpora)
        failures = tuple(group for corpus in corpora for group in _failures(house, corpus)) if failed else ()
        return StatusReport(house.settings.lake_root, lines, failures, _alerts(house, name))


def alerts() -> AlertsReport:
    """See ``apps.reader.alerts``."""
    with opened() as house:
        return AlertsReport(_alerts(house, None))


def _alerts(house: House, corpus: str | None) -> tuple[AlertLine, ...]:
    """What fires, errors first; of one corpus what is about it."""
    since = firing_since(house.state)
    found = [one for one in house.alerts(datetime.now(UTC)) if corpus in (None, one.corpus)]
    lines = [AlertLine(a.name, a.corpus, a.severity, a.detail, since.get(a.key)) for a in found]
    return tuple(sorted(lines, key=lambda line: (line.severity, line.name, line.corpus)))


def _corpus(house: House, corpus: Registered) -> CorpusStatus:
    counts = counts_of(house, corpus)
    looked_at = house.looked_at(corpus)
    published = remembered(house, ("published", *corpus.shards), (SNAPSHOTS,), partial(_published, house, corpus))
    withheld = withheld_of(house, [corpus])
    return CorpusStatus(
        corpus.name,
        corpus.source.kind,
        redact(corpus.source.uri),
        corpus.is_listed,
        counts.files,
        counts.documents,
        counts.chunks,
        counts.vectors,
        counts.points,
        looked_at,
        published,
        withheld[0] if withheld else None,
        "withheld" if withheld else _freshness(house, corpus, looked_at, published),
        corpus.machine or "",
        corpus.is_here,
        takes_files(corpus, house.settings.inbox),
        _migration(house, corpus),
    )


def _migration(house: House, corpus: Registered) -> str:
    """How a corpus' migration stands, in a sentence; one that is done and kept for a rollback is no matter here."""
    if house.moving.target(corpus)[0] is None:
        return ""
    (line,) = lines(house, [corpus], house.register.now())
    return f"{line.text} (cortex migrate)"


def _freshness(house: House, corpus: Registered, looked_at: datetime | None, published: datetime | None) -> str:
    """What most needs to be known of a corpus whose deletes are not withheld."""
    now = datetime.now(UTC)
    runs = live_runs(house.board.folder, house.settings.locks, now.timestamp())
    states = {run.state for run in runs if run.corpus_id == corpus.corpus_id}
    if states & {RUNNING, SILENT}:
        return "running"
    if INTERRUPTED in states:
        return "interrupted"
    if looked_at is None:
        return "never run"
    if (
        published is None
        and house.lake.scan(FILES).filter(pl.col("corpus_id") == corpus.corpus_id).head(1).collect().height
    ):
        return "unpublished"
    return "behind" if now - looked_at > BEHIND else "current"


def _published(house: House, corpus: Registered) -> datetime | None:
    mine = house.lake.scan(SNAPSHOTS).filter(pl.col("shard").is_in(corpus.shards))
    last: datetime | None = mine.select(pl.col("published_at").max()).collect().item()
    return last


class Counts(NamedTuple):
    """What the lake holds of a corpus: files by status, rows, and points of its index."""

    files: Mapping[str, int]
    documents: int
    chunks: int
    vectors: int
    points: int


def counts_of(house: House, corpus: Registered) -> Counts:
    """Counts of a corpus; what did not move since they were last asked for in this process is not read again."""
    mine = pl.col("corpus_id") == corpus.corpus_id
    lake, which = house.lake, corpus.corpus_id
    files = remembered(house, ("files", which), (FILES, DOCUMENTS), partial(_file_statuses, lake, corpus))
    documents = remembered(house, ("documents", which), (DOCUMENTS,), partial(_height, lake, DOCUMENTS, mine))
    selections = corpus.layout.selections
    chunks, vectors = remembered(
        house, ("vectors", which, *selections), (CHUNKS, EMBEDDINGS), partial(_vectors, lake, mine, selections)
    )
    points = sum(_points(house.store, space_id, shard) for space_id in selections for shard in corpus.shards)
    return Counts(files, documents, chunks, vectors, points)


def _height(lake: Lakehouse, table: TableSpec, mine: pl.Expr) -> int:
    return int(lake.scan(table).filter(mine).select(pl.len()).collect().item())


def _vectors(lake: Lakehouse, mine: pl.Expr, selections: Mapping[str, frozenset[str]]) -> tuple[int, int]:
    """How many chunks, and how many distinct texts of them have a vector where they are searched."""
    chunks = lake.scan(CHUNKS).filter(mine).select("embed_hash", "kind").collect()
    count = 0
    for space_id, kinds in selections.items():
        texts = chunks.filter(pl.col("kind").is_in(list(kinds))).select("embed_hash").unique()
        have = lake.scan(EMBEDDINGS, where={"space_id": space_id}).select("embed_hash").collect()
        count += texts.join(have, on="embed_hash", how="semi").height
    return chunks.height, count


def _points(store: VectorStore, space_id: str, shard: str) -> int:
    """How many points are published; none of an index that cannot be read (``cortex verify`` says so)."""
    try:
        generation = store.generation(space_id, shard)
    except DamagedIndexError:
        return 0
    return 0 if generation is None else generation.points


def file_standing(lake: Lakehouse, corpus: Registered) -> pl.DataFrame:
    """Every file of a corpus by path; one that was taken has the status of its first document that is not ok.

    A file without bytes, such as an ``__init__.py``, counts as ok: nothing of it is missing.
    """
    mine = pl.col("corpus_id") == corpus.corpus_id
    bad = lake.scan(DOCUMENTS).filter(mine & _IS_BAD).sort("inner").select("file_id", parsed="status", why="reason")
    worst = bad.unique("file_id", keep="first", maintain_order=True)
    columns = ("path", "status", "reason", "media_type", "size", "modified_at")
    files = lake.scan(FILES).filter(mine).select("file_id", *columns).join(worst, on="file_id", how="left")
    is_taken = pl.col("status") == "ok"
    return (
        files.with_columns(
            status=pl.when(is_taken).then(pl.col("parsed").fill_null("ok")).otherwise(pl.col("status")),
            reason=pl.when(is_taken).then(pl.col("why")).otherwise(pl.col("reason")).fill_null(""),
        )
        .select(columns)
        .sort("path")
        .collect()
    )


def _file_statuses(lake: Lakehouse, corpus: Registered) -> Mapping[str, int]:
    return dict(file_standing(lake, corpus).group_by("status").len().sort("status").iter_rows())


def _failures(house: House, corpus: Registered) -> list[FailureGroup]:
    """Files and documents that are not ok, grouped by status and reason; those without bytes are no matter."""
    mine = pl.col("corpus_id") == corpus.corpus_id
    inner = pl.col("inner").str.split("#part-").list.first()
    shown = pl.col("path") + pl.when(inner.str.starts_with("/")).then("!" + inner).otherwise(pl.lit(""))
    bad = [
        house.lake.scan(table).filter(mine & _IS_BAD).select("status", "reason", path).collect()
        for table, path in ((FILES, pl.col("path")), (DOCUMENTS, shown.alias("path")))
    ]
    grouped = (
        pl.concat(bad)
        .group_by("status", pl.col("reason").fill_null("no reason was given"))
        .agg(pl.len().alias("rows"), pl.col("path").sort().head(EXAMPLES).alias("paths"))
        .sort(["status", "rows", "reason"], descending=[False, True, False])
    )
    return [
        FailureGroup(corpus.name, row["status"], row["reason"], row["rows"], tuple(row["paths"]))
        for row in grouped.iter_rows(named=True)
    ]


def tables() -> list[TableLine]:
    """See ``apps.reader.tables``."""
    with looked_in() as house:
        versions = [(table, house.lake.version(table)) for table in TABLES]
        return [
            TableLine(table.name, table.kind.value, house.lake.rows(table), version)
            for table, version in versions
            if version >= 0
        ]


def models() -> list[ModelLine]:
    """See ``apps.reader.models``."""
    from inference.models import packaged_model, pulled_models

    with opened() as house:
        found = [("packaged", packaged_model()), *((f"hf:{m.name}", m) for m in pulled_models(house.settings.models))]
    lines = []
    for source, files in found:
        size = sum(path.stat().st_size for path in files.folder.rglob("*") if path.is_file())
        lines.append(ModelLine(files.name, "embed", source, True, size, files.digest))
    return lines
