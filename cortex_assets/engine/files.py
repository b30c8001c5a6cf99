"""The files stage: from a corpus's folder to rows of ``bronze/files``, one shard and slice at a time.

Listing, guard and taking are ``engine.intake``'s; here their results are committed. The caller holds the shard's lease.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import polars as pl

from cortex_assets.corpora.guard import Decision, PastScan
from cortex_assets.corpora.schema import FILES, SCANS
from cortex_assets.corpora.take import known_files
from cortex_assets.engine.corpus import Corpus, MediaTypes
from cortex_assets.engine.intake import Intake, is_settled, list_corpus, looked, was_settled
from cortex_assets.engine.narrow import narrow
from cortex_assets.engine.report import ProgressSink, StageReport, silent
from cortex_assets.engine.stage import Budget
from cortex_assets.partitions import shard_names
from resources.lakehouse import Lakehouse, literal
from resources.listing import Listing
from resources.raw_store import RawStore
from resources.state import State

HISTORY = timedelta(hours=24)
MERGE_KEYS = 1_000
MOST_PAUSE = 3.0
"""Seconds that a listing waits at most for files to stand still."""


class FilesStage:
    """Keeps ``bronze/files`` of one corpus in step with its folder."""

    name = key = "files"

    def __init__(
        self,
        corpus: Corpus,
        lake: Lakehouse,
        state: State,
        store: RawStore,
        media_types: MediaTypes,
        media_version: str,
    ) -> None:
        """Bind; nothing is listed yet. ``media_version`` is the version of what finds media types."""
        self.corpus = corpus
        self._lake, self._state, self._store = lake, state, store
        self._media_types, self._media_version = media_types, media_version
        self._intake: Intake | None = None
        self._is_looking_once = False
        self._settled_token = ""

    def token(self) -> str:
        """What the corpus's rows are: changes when they or the finding of media types moved."""
        shards = shard_names(self.corpus.name, self.corpus.shard_count)
        return f"{self._lake.partition_token(FILES, 'shard', shards)}:{self._media_version}"

    def is_settled(self) -> bool:
        """Whether the folder is as it was when its rows were last complete."""
        return is_settled(self.corpus, self._state, self.token())

    def is_complete(self, shard: str, now: datetime) -> bool:
        """Whether the rows were complete when the folder was last listed and have not moved; the folder is not looked at."""
        return was_settled(self.corpus, self._state, self.token())

    def known(self) -> pl.DataFrame:
        """All rows of the corpus, of every shard."""
        return narrow(self._lake, FILES).filter(pl.col("corpus_id") == self.corpus.corpus_id).collect()

    def history(self, now: datetime) -> list[PastScan]:
        """Earlier scans that the guard looks at: of the last 24 hours, and the latest that withheld or were confirmed."""
        scans = self._lake.scan(SCANS).filter(pl.col("corpus_id") == self.corpus.corpus_id)
        is_recent = pl.col("started_at") > now - HISTORY
        wanted = scans.filter(is_recent | (pl.col("withheld") > 0) | pl.col("is_confirmed"))
        columns = ["scan_id", "started_at", "deleted", "withheld", "is_confirmed"]
        return [PastScan(*row) for row in wanted.select(columns).sort("started_at").tail(1_000).collect().iter_rows()]

    def is_withholding(self) -> bool:
        """Whether the latest scan held deletes back that nobody has confirmed."""
        scans = self._lake.scan(SCANS).filter(pl.col("corpus_id") == self.corpus.corpus_id)
        latest = scans.sort("started_at").tail(1).select("withheld", "is_confirmed").collect()
        return bool(latest.height and latest["withheld"][0] and not latest["is_confirmed"][0])

    def listing(self, now: datetime, shard: str | None = None, seen: Listing | None = None) -> Intake:
        """Phase 1 only: what a scan would find, for one shard's run or for all. Reads no file and writes nothing.

        Args:
            now: time of the scan.
            shard: whose run it is; None for all.
            seen: the folder as it was looked at since ``now``; it is looked at here otherwise.
        """
        shards = [shard] if shard else shard_names(self.corpus.name, self.corpus.shard_count)
        rows = self.known()
        there = set(rows.get_column("shard").unique())
        is_retake = any(self._media_moved(one) for one in shards if one in there)
        return list_corpus(self.corpus, known_files(rows), self._state, now, is_retake, seen)

    def still_listing(self, now: datetime, shard: str | None = None, seen: Listing | None = None) -> Intake:
        """``listing``; files written within the last two seconds are waited for once, so that drop-and-run takes them."""
        intake = self.listing(now, shard, seen)
        if not intake.classified.deferred:
            return intake
        pause = intake.classified.ready_at_ns / 1e9 - time.time()
        if not 0 < pause <= MOST_PAUSE:
            return intake
        time.sleep(pause)
        return self.listing(datetime.now(UTC), shard)

    def foresee(self, intake: Intake) -> tuple[Decision, bool]:
        """What the guard will say about a listing, and whether that is certain; reads no file."""
        return intake.foresee(self.history(intake.now))

    def _media_moved(self, shard: str) -> bool:
        return self._state.meta(f"media:{shard}") != self._media_version

    def run(self, shard: str, budget: Budget, now: datetime, progress: ProgressSink = silent) -> StageReport:
        """Take one slice: the deletes first, then the newest files."""
        begin = time.perf_counter()
        report = StageReport(self.name, shard)
        if self._intake is None:
            is_settled, seen = self._looked()
            if is_settled:
                self._state.set_meta(f"looked:{self.corpus.corpus_id}", now.isoformat())
                report.version = self._lake.version(FILES)
                return report
            self._intake = self.still_listing(now, shard, seen)
            self._intake.decide(self.history(self._intake.now))
        intake = self._intake
        total = len(intake.classified.to_take)
        batch = intake.take(
            self._store,
            self._media_types,
            budget.files,
            shard,
            lambda: time.monotonic() > budget.deadline,
            budget.weight,
        )
        self._commit(shard, batch.rows, batch.deleted, report)
        report.remaining = batch.remaining
        report.progressed = batch.rows.height + batch.touched + batch.not_ready + len(batch.deleted)
        report.unchanged = intake.classified.unchanged + batch.touched
        report.failed = batch.rows.filter(pl.col("status") != "ok").height
        report.deferred = batch.not_ready
        progress(shard, self.name, max(0, total - batch.remaining), total, "files")
        self._note(report)
        if not batch.remaining:
            report.deferred += len(intake.classified.deferred)
            self._finish(shard, time.perf_counter() - begin)
        report.seconds = time.perf_counter() - begin
        report.version = self._lake.version(FILES)
        return report

    @contextmanager
    def looking_once(self) -> Iterator[None]:
        """Within, a folder found as it was is not looked at again for the next shard: one look is of all of them."""
        self._is_looking_once = True
        try:
            yield
        finally:
            self._is_looking_once, self._settled_token = False, ""

    def _looked(self) -> tuple[bool, Listing | None]:
        """``intake.looked``, once where that is enough."""
        token = self.token()
        if self._settled_token == token:
            return True, None
        is_settled, seen = looked(self.corpus, self._state, token)
        self._settled_token = token if is_settled and self._is_looking_once else ""
        return is_settled, seen

    def _commit(self, shard: str, rows: pl.DataFrame, deleted: Sequence[str], report: StageReport) -> None:
        before = self._lake.version(FILES)
        if deleted:
            commit = self._lake.delete_where(FILES, "file_id", list(deleted), shard)
            report.deleted += commit.deleted
            report.rows_removed += commit.deleted
        fresh = rows
        if rows.height:
            keys = rows.get_column("file_id").to_list()
            there = set(
                self._lake.scan(FILES, where={"shard": shard}, keys={"file_id": keys})
                .select("file_id")
                .collect()
                .to_series()
            )
            fresh = rows.filter(~pl.col("file_id").is_in(list(there)))
            old = rows.filter(pl.col("file_id").is_in(list(there)))
            for start in range(0, old.height, MERGE_KEYS):
                part = old.slice(start, MERGE_KEYS)
                report.changed += self._lake.replace_keys(
                    FILES, shard, part, part.get_column("file_id").to_list()
                ).updated
        if fresh.height:
            report.new += self._lake.append(FILES, fresh).inserted
            report.rows_added += report.new
        report.rows_written += report.new + report.changed
        report.commits += self._lake.version(FILES) - before if self._lake.version(FILES) != before else 0

    def _note(self, report: StageReport) -> None:
        intake = self._intake
        if intake is None:
            return
        if intake.decision is not None and intake.decision.reason:
            report.notes.append(intake.decision.reason)
        waiting = len(intake.classified.deferred)
        if waiting:
            report.notes.append(f"{waiting} files are still being written; the next run takes them")
        if intake.listing.unreadable:
            report.notes.append(
                f"{len(intake.listing.unreadable)} folders cannot be read; what lies under them is kept"
            )

    def _finish(self, shard: str, seconds: float) -> None:
        """Record the scan, and that the rows agree with the folder."""
        intake = self._intake
        if intake is None:
            return
        self._lake.append(SCANS, intake.scan_row(seconds))
        self._state.set_meta(f"media:{shard}", self._media_version)
        intake.settle(self.token())
        self._intake = None


def looked_at(lake: Lakehouse, state: State, corpus_id: str) -> datetime | None:
    """When a corpus was last listed whole: by a scan that is on record, or by a run that found it as it was."""
    scans = lake.scan(SCANS).filter(pl.col("corpus_id") == corpus_id)
    scanned: datetime | None = scans.select(pl.col("started_at").max()).collect().item()
    seen = state.meta(f"looked:{corpus_id}")
    moments = [scanned, datetime.fromisoformat(seen) if seen else None]
    return max((moment for moment in moments if moment is not None), default=None)


def confirm_scan(lake: Lakehouse, scan_id: str) -> pl.DataFrame:
    """Mark a scan's withheld deletes as accepted by a person; the row, or an empty frame where there is no such scan."""
    row = lake.scan(SCANS).filter((pl.col("scan_id") == scan_id) & (pl.col("withheld") > 0)).collect()
    if row.height:
        lake.overwrite(SCANS, row.with_columns(is_confirmed=pl.lit(True)), f"scan_id = {literal(scan_id)}")
    return row
