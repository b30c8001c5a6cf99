"""What ``apps.actions`` does with an open house: run, verify, retry. Heavy imports are fine here: it is imported late."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

import polars as pl

from apps import resting
from apps.errors import USAGE, CommandError
from apps.following import follow_others
from apps.progress import ProgressSink
from apps.reports import (
    Confirmed,
    Finding,
    Retried,
    RunReport,
    StageLine,
    VerifyReport,
    Withheld,
)
from cortex_assets.checking import deep_check, lake_check, repair_lake, repair_shard
from cortex_assets.chunks.schema import CHUNKS
from cortex_assets.corpora.registry import Registered
from cortex_assets.corpora.schema import CORPORA, SCANS
from cortex_assets.documents.schema import DOCUMENTS
from cortex_assets.engine import events
from cortex_assets.engine.files import confirm_scan
from cortex_assets.engine.lease import LeaseBusy, shard_lease
from cortex_assets.engine.report import ShardReport
from cortex_assets.engine.verify import Finding as EngineFinding
from cortex_assets.engine.verify import ShardStages
from cortex_assets.house import House
from cortex_assets.promoting import guarded
from cortex_assets.register import Registry
from resources.settings import load_settings
from resources.webhooks import deliver

REPAIRS = 2
DELIVER_SECONDS = 3.0
"""After a run, messages are delivered for so long; the rest waits for the next run, the worker or Dagster."""
COLUMNS = "columns"
"""Folder of the cache with ids and hashes of the tables; only runs look there, verification reads the tables."""


@contextmanager
def opened() -> Iterator[House]:
    """The house of the settings in the environment; golden sets judge its migrations."""
    with House.open(load_settings()) as house:
        yield guarded(house)


def chosen(registry: Registry, names: Sequence[str] | None, is_anywhere: bool = False) -> list[Registered]:
    """The listed corpora that this machine runs, or those of the names.

    Raises:
        CommandError: a name is unknown, or another machine's corpus (unless ``is_anywhere``).
    """
    if not names:
        return [corpus for corpus in registry.corpora if corpus.is_active]
    found = []
    for name in names:
        corpus = registry.by_name(name)
        if corpus is None:
            known = ", ".join(c.name for c in registry.corpora) or "none yet"
            raise CommandError("no corpus has that name", name, f"registered are: {known}", USAGE)
        if not corpus.is_here and not is_anywhere:
            raise CommandError(f"the corpus belongs to machine {corpus.machine}", name, "do it there", USAGE)
        found.append(corpus)
    return found


def run(names: Sequence[str] | None, progress: ProgressSink) -> RunReport:
    """See ``apps.actions.run``."""
    begin = time.perf_counter()
    with opened() as house:
        house.lake.keep_columns_in(house.settings.cache / COLUMNS)
        done, did = run_in(house, names, progress)
        notes = [*done.notes, *follow(house)]
        if any(stage.did_something for report in did for stage in report.stages.values()):
            from apps.dagster_events import report_to_dagster

            report_to_dagster(house.settings, did)
        notes += deliver(house.settings.webhooks_file, house.settings.webhook_spool, DELIVER_SECONDS).notes
        done = replace(done, notes=tuple(dict.fromkeys(notes)), seconds=time.perf_counter() - begin)
        if not names:
            resting.remember(house, house.register.now(), done)
        house.lake.save_columns()
    return done


def run_in(house: House, names: Sequence[str] | None, progress: ProgressSink) -> tuple[RunReport, list[ShardReport]]:
    """Run the shards of some corpora in an open house; what follows a run (``follow``) is the caller's.

    Returns:
        The report for people, and the shards' own.
    """
    begin = time.perf_counter()
    registry = house.sync_registry()
    lines: list[StageLine] = []
    busy: list[str] = []
    notes: list[str] = []
    errors: list[str] = []
    did: list[ShardReport] = []
    corpora = chosen(registry, names)
    for corpus in corpora:
        for report in house.run_corpus(corpus, registry, progress):
            if report.is_busy:
                busy.append(report.shard)
                continue
            if report.error:
                errors.append(f"{report.shard}: {report.error}")
                continue
            did.append(report)
            lines += [_line(corpus.name, report, name) for name in report.stages]
            notes += report.notes
            notes += [n for stage in report.stages.values() for n in dict.fromkeys(stage.notes)]
    withheld = withheld_of(house, corpora)
    shown = [note for note in dict.fromkeys(notes) if not any(w.reason == note for w in withheld)]
    seconds = time.perf_counter() - begin
    return RunReport(tuple(lines), tuple(withheld), tuple(busy), tuple(shown), seconds, errors=tuple(errors)), did


def follow(house: House) -> list[str]:
    """Aggregates and globals, after shard runs (an earlier run may have died before them); notes about what was left."""
    if house.is_lake_complete():
        return []
    try:
        events.spool_whole(house.settings, house.run_lake(datetime.now(UTC)))
    except LeaseBusy as busy:
        return [f"aggregates are left to another run: {busy}", *follow_others(house)]
    return follow_others(house)


def _line(corpus: str, report: ShardReport, stage: str) -> StageLine:
    s = report.stages[stage]
    return StageLine(
        corpus,
        report.shard,
        stage,
        s.new,
        s.changed,
        s.unchanged,
        s.deleted,
        s.quarantined,
        s.failed,
        s.remaining,
        s.tokens,
        round(s.seconds, 3),
    )


def withheld_of(house: House, corpora: Sequence[Registered]) -> list[Withheld]:
    """The deletes that the latest scan of each corpus withheld."""
    columns = ("corpus_id", "scan_id", "started_at", "withheld", "withheld_reason", "is_confirmed")
    scans = (
        house.lake.scan(SCANS).select(columns).sort("started_at").unique("corpus_id", keep="last", maintain_order=True)
    )
    latest = {row["corpus_id"]: row for row in scans.collect().iter_rows(named=True)}
    rows = [(corpus.name, latest[corpus.corpus_id]) for corpus in corpora if corpus.corpus_id in latest]
    return [
        Withheld(name, row["scan_id"], row["withheld"], row["withheld_reason"] or "")
        for name, row in rows
        if row["withheld"] and not row["is_confirmed"]
    ]


def confirm(scan_id: str) -> Confirmed:
    """See ``apps.actions.confirm``."""
    with opened() as house:
        row = confirm_scan(house.lake, scan_id)
        if row.is_empty():
            raise CommandError(
                "no scan with that id withholds anything", scan_id, "take the id that `cortex status` shows", USAGE
            )
        corpus_id = row["corpus_id"][0]
        house.state.clear_complete(corpus_id)
        names = house.lake.scan(CORPORA).filter(pl.col("corpus_id") == corpus_id).collect()["name"].to_list()
        return Confirmed(scan_id, names[0] if names else corpus_id, row["withheld"][0])


def retry(target: str | None) -> Retried:
    """See ``apps.actions.retry``."""
    with opened() as house:
        registry = house.sync_registry()
        name, _, inside = (target or "").partition("/")
        path = inside.partition("!/")[0]  # a member is parsed with its file
        keys = 0
        for corpus in chosen(registry, [name] if name else None):
            for shard in corpus.shards:
                keys += _retry_shard(house, corpus, registry, shard, path)
        return Retried(target, keys)


def _retry_shard(house: House, corpus: Registered, registry: Registry, shard: str, path: str) -> int:
    count = 0
    with shard_lease(house.leases, shard):
        stages = house.workshop.stages(corpus, registry)
        ledgers = [(stage.name, stage.name, stage.ledger) for stage in stages.maps]
        ledgers += [(embed.name, embed.key, embed.ledger) for embed in stages.embeds]
        for stage in () if path else stages.maps:
            count += stage.accept(shard)
        wanted = _keys_of_path(house, stages, shard, path) if path else {}
        for name, key, ledger in ledgers:
            due = pl.col("status") != "ok"
            if name == stages.maps[0].name:
                due |= pl.col("input_key").is_in(_with_failed_members(house, shard))
            rows = ledger.rows(shard).filter(due)
            if path:
                rows = rows.filter(pl.col("input_key").is_in(wanted[name]))
            ledger.forget(shard, rows.get_column("input_key").to_list())
            house.state.clear_complete(shard, key)
            count += rows.height
    return count


def _with_failed_members(house: House, shard: str) -> list[str]:
    """Files that went through as a whole, and of which a member failed."""
    failed = pl.col("status").is_in(["failed", "quarantined"]) & pl.col("inner").str.starts_with("/")
    rows = house.lake.scan(DOCUMENTS, where={"shard": shard}).filter(failed)
    return rows.select("input_key").unique().collect().to_series().to_list()


def _keys_of_path(house: House, stages: ShardStages, shard: str, path: str) -> dict[str, list[str]]:
    """The input keys of each stage that come from one path."""
    lake, here = house.lake, {"shard": shard}
    wanted = {}
    for stage in stages.maps:
        d = stage.derivation
        named = lake.scan(d.upstream, where=here).filter(pl.col("path") == path)
        wanted[stage.name] = named.select(d.key).collect().to_series().to_list()
    documents = lake.scan(DOCUMENTS, where=here).filter(pl.col("path") == path).select("document_id")
    chunks = lake.scan(CHUNKS, where=here).join(documents, on="document_id", how="semi")
    wanted[stages.embed.name] = chunks.select("embed_hash").collect().to_series().to_list()
    return wanted


def verify(names: Sequence[str] | None, repair: bool) -> VerifyReport:
    """See ``apps.actions.verify``."""
    begin = time.perf_counter()
    found: list[Finding] = []
    busy: list[str] = []
    checked = 0
    with opened() as house:
        registry = house.sync_registry()
        for corpus in chosen(registry, names) if names else registry.corpora:
            for shard in corpus.shards if corpus.is_here else ():
                try:
                    found += _verified(
                        partial(deep_check, house, shard, corpus, registry),
                        partial(repair_shard, house, shard, corpus, registry) if repair else None,
                    )
                    checked += 1
                except LeaseBusy as error:
                    busy.append(f"{shard}: {error}")
        if found and repair:
            follow(house)
        if not names:
            found += _verified(partial(lake_check, house), partial(repair_lake, house) if repair else None)
    return VerifyReport(tuple(found), checked, time.perf_counter() - begin, tuple(busy))


def _verified(check: Callable[[], list[EngineFinding]], repair: Callable[[], None] | None) -> list[Finding]:
    """What a check finds; where it may be repaired, which of that a later check does not find any more.

    A second repair follows where something is left: rows that are made anew may show what their absence hid.
    """
    before = check()
    left = before
    for _ in range(REPAIRS):
        if left and repair is not None:
            repair()
            left = check()
    still = {(f.asset, f.check, f.kind) for f in left}
    return [_finding(f, (f.asset, f.check, f.kind) not in still) for f in before] + [
        _finding(f, False)
        for f in left
        if (f.asset, f.check, f.kind) not in {(b.asset, b.check, b.kind) for b in before}
    ]


def _finding(f: EngineFinding, is_repaired: bool) -> Finding:
    return Finding(
        f.asset,
        f.shard,
        missing=f.count if f.kind == "missing" else 0,
        extra=f.count if f.kind == "extra" else 0,
        stale=f.count if f.kind in {"stale", "invalid", "altered", "damaged", "old"} else 0,
        orphans=f.count if f.kind == "orphaned" else 0,
        detail=f.text,
        is_repaired=is_repaired,
    )
