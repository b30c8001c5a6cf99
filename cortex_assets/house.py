"""The house: settings in, stores, models and chains out. The one place where resources, inference and rooms are put together.

What a run does is the engine's; what people ask for (previews, reports, search answers) is ``apps``'.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property, partial
from typing import TYPE_CHECKING

from cortex_assets.chunks.schema import CHUNKS
from cortex_assets.corpora.derive import duplicates_stage, statistics_stage
from cortex_assets.corpora.registry import INBOX, Registered
from cortex_assets.corpora.schema import CORPORA, CORPUS_STATISTICS, FILES, SCANS
from cortex_assets.documents.redact import KEPT
from cortex_assets.documents.schema import DOCUMENTS
from cortex_assets.documents.spans import secret_counts
from cortex_assets.embeddings.schema import EMBEDDINGS
from cortex_assets.engine.admission import admit
from cortex_assets.engine.aggregate import AggregateStage, WholeStage
from cortex_assets.engine.ahead import beforehand
from cortex_assets.engine.alerting import AlertChange, all_alerts, note_sizes, tell_changes
from cortex_assets.engine.announce import run_failed, run_finished, run_interrupted
from cortex_assets.engine.care import Maintained, Turns, Upkeep, maintain_lake
from cortex_assets.engine.changes import differing, next_due, note_pending
from cortex_assets.engine.files import FilesStage, looked_at
from cortex_assets.engine.lease import (
    LAKE,
    LeaseBusy,
    LeaseLost,
    check_held,
    fences,
    holders,
    lake_lease,
    shard_lease,
)
from cortex_assets.engine.live import INTERRUPTED, Board, left
from cortex_assets.engine.narrow import narrow
from cortex_assets.engine.report import ProgressSink, ShardReport, silent
from cortex_assets.engine.reshard import Resharded, Resharding
from cortex_assets.engine.runs import record_endings, record_run
from cortex_assets.engine.stage import Budget, DerivationStopped
from cortex_assets.engine.verify import ShardStages
from cortex_assets.engine.withheld import note_findings, withhold
from cortex_assets.gate import Gate, no_golden_set
from cortex_assets.moving import Moving
from cortex_assets.ops.alerts import Alert
from cortex_assets.ops.schema import SECRET_COUNTS, SNAPSHOTS
from cortex_assets.partitions import shard_count
from cortex_assets.register import Register, Registry
from cortex_assets.tables import TableSpec
from cortex_assets.workshop import Workshop, redaction_of
from inference.errors import InferenceError
from inference.models import ModelPlaces
from resources.bucket import ObjectStoreError
from resources.git_source import GitBusy, GitError, fetch_repository, whole_checkout
from resources.lakehouse import LakeError, Lakehouse
from resources.logs import configure as configure_logs
from resources.raw_store import RawStore, StoreWriteError
from resources.settings import DiskFullError, Settings, free_space_guard
from resources.state import State
from resources.vectors.edge import KEEP_SECONDS, EdgeStore
from resources.vectors.protocol import VectorStore, VectorStoreError

if TYPE_CHECKING:
    from cortex_assets.calls.derive import Drained
    from inference.generation.building import Lanes

log = logging.getLogger(__name__)

RUN_ERRORS = (
    GitError,
    DerivationStopped,
    LakeError,
    LeaseLost,
    ObjectStoreError,
    InferenceError,
    VectorStoreError,
    StoreWriteError,
    DiskFullError,
    OSError,
)
"""What may end the run of one shard without a word about the others."""


class UnknownShard(LookupError):
    """A shard that belongs to no registered corpus."""


class House:
    """Everything open over one data folder. Use ``with House.open(settings) as house``."""

    def __init__(self, settings: Settings, trigger: str = "command") -> None:
        """See ``open``."""
        configure_logs(settings.log)
        admit(settings)
        self.settings = settings
        self.board = Board(settings.cache / "live", trigger)
        folders = (settings.inbox, settings.index, settings.raw, settings.cache, settings.locks)
        for folder in folders if settings.bucket else (settings.lake, *folders):
            folder.mkdir(parents=True, exist_ok=True)
        self.leases, self.machine = settings.leases, settings.machine
        self.lake = self._opened(lambda: lake_lease(self.leases))
        self.state = State(settings.cache / "state.sqlite")
        self.raw = RawStore(settings.raw, lambda size: free_space_guard(settings.raw, settings, size))
        self.places = ModelPlaces(settings.models, settings.cache, settings.embed_key, settings.calls)
        self.register = Register(self.lake, settings, self.places)
        self.workshop = Workshop(
            settings,
            self.lake,
            self.state,
            self.raw,
            lambda: self.store,
            self.places,
            self.board,
            self._note_findings,
        )
        self.gate: Gate = no_golden_set
        self.moving = Moving(
            self.workshop, self.register, self.lake, self.state, lambda: self.store, self.leases, lambda: self.gate
        )
        self._not_fetched: dict[str, str] = {}
        self._found: dict[str, Counter[str]] = {}

    @cached_property
    def lanes(self) -> "Lanes":
        """The one door to generators; nothing is loaded before it is asked."""
        from resources.inference import open_lanes  # late: most commands ask no model

        return open_lanes(self.settings)

    def drain_calls(self) -> "Drained | None":
        """Calls of models that ended, out of this machine's ledger into the lake; None where no model was ever called."""
        if not self.settings.calls.exists():
            return None
        from cortex_assets.calls.derive import drain
        from inference.generation.ledger import Ledger

        ledger = Ledger(self.settings.calls)
        try:
            return drain(self.lake, ledger, self.settings.locks / "calls.lock", self.machine or "")
        finally:
            ledger.close()

    def forget_completions(self, shard: str) -> None:
        """Take answers of models out that were made of a shard's documents."""
        if self.settings.completions.exists():
            self.lanes.cache.forget(shard)

    @classmethod
    @contextmanager
    def open(cls, settings: Settings, trigger: str = "command") -> Iterator["House"]:
        """Open the lake, the caches and the index; everything is closed on the way out. ``trigger``: what its runs are due to."""
        house = cls(settings, trigger)
        try:
            yield house
        finally:
            house.close()

    def close(self) -> None:
        """Close what is open."""
        self.workshop.close()
        if "store" in self.__dict__:
            self.store.close()
        if "lanes" in self.__dict__:
            self.lanes.close()
        self.state.close()

    @cached_property
    def store(self) -> VectorStore:
        """The index: a Qdrant server where one is configured, embedded otherwise."""
        if self.settings.qdrant_url:
            from resources.vectors.server import ServerStore

            return ServerStore.connect(self.settings.qdrant_url, quantized=self.settings.quantize)
        keep = min(KEEP_SECONDS, self.settings.sweep_age.total_seconds())
        return EdgeStore(self.settings.index, keep_seconds=keep, quantized=self.settings.quantize)

    # -- the registry ----------------------------------------------------------------------------------------------

    def sync_registry(self) -> Registry:
        """The registry, brought up to date; a change of the number of shards that was cut off is finished, where no run is at work."""
        registry = self.register.sync()
        cut_off = [corpus for corpus in registry.corpora if corpus.resharding is not None and corpus.is_here]
        for corpus in cut_off:
            with suppress(LeaseBusy), lake_lease(self.leases):
                self._resharding().run(corpus, corpus.shard_count)
        return self.register.peek() if cut_off else registry

    def reshard(self, corpus: Registered, count: int, patience: float = 0.0) -> Resharded:
        """Give a corpus another number of shards; a change that was cut off is finished first.

        Raises:
            LeaseBusy: runs are at work.
        """
        with lake_lease(self.leases, patience):
            now = next(one for one in self.register.corpora() if one.corpus_id == corpus.corpus_id)
            done = Resharded(now, 0, 0, ())
            while done.corpus.resharding is not None or done.corpus.shard_count != count:
                more = self._resharding().run(done.corpus, count)
                done = Resharded(more.corpus, done.rows + more.rows, done.points + more.points, more.notes)
            return done

    def _resharding(self) -> Resharding:
        return Resharding(self.lake, self.store, self.state, self.register.save)

    def differing(self, seconds: float, known: Mapping[str, str] | None = None) -> dict[str, str]:
        """Which listed shards differ from their sources, and how; see ``engine.changes``. Stops after about ``seconds``.

        Shards that are leased at this moment are left out: their run is not done yet. Since when the others differ is noted.

        Args:
            seconds: about how long it may take.
            known: what a worker says of the folders, which are not looked at then; a folder that it does not name does not
                differ. It does not watch checkouts of repositories.
        """
        registry = self.register.now()
        if known is not None:
            watched = [s for c in registry.corpora if c.is_active and c.source.kind == "folder" for s in c.shards]
            known = dict.fromkeys(watched, "") | dict(known)

        def opened(corpus: Registered) -> tuple[FilesStage, ShardStages]:
            files = self.workshop.chain(corpus, registry).stages[0]
            if corpus.source.kind == "git" and not files.corpus.root.is_dir():  # type: ignore[attr-defined]
                raise FileNotFoundError(f"{corpus.name} is not fetched yet")
            return files, self.workshop.stages(corpus, registry)  # type: ignore[return-value]

        listed = {c.name: (c.shards, partial(opened, c)) for c in registry.corpora if c.is_active}
        found = differing(listed, self.lake, self.state, datetime.now(UTC), seconds, known)
        at_work = {holder.name for holder in holders(self.settings.locks)}
        quiet = {shard: token for shard, token in found.items() if shard not in at_work}
        note_pending(self.state, quiet, time.time())
        return quiet

    def next_due(self) -> datetime | None:
        """When the first retry of a quiet shard is due."""
        return next_due([shard for corpus in self.register.corpora() for shard in corpus.shards], self.state)

    # -- runs ------------------------------------------------------------------------------------------------------

    def prepare(self, corpus: Registered, registry: Registry) -> Registered:
        """Before a corpus's first shard: fetch a git repository, choose the number of shards after the first listing."""
        try:
            return self._prepared(corpus, registry)
        except RUN_ERRORS as error:
            hour = datetime.now(UTC).strftime("%Y-%m-%dT%H")  # attempts within an hour are one failure
            run_failed(self.settings, f"prepare {corpus.corpus_id} {hour}", corpus.name, "", str(error))
            raise

    def _prepared(self, corpus: Registered, registry: Registry) -> Registered:
        if corpus.source.kind == "git":
            self._fetch(corpus)
        if corpus.shard_count:
            return corpus
        stage = self.workshop.chain(corpus, registry).stages[0]
        listed = stage.listing(datetime.now(UTC)).counts.listed if isinstance(stage, FilesStage) else 0
        if not listed:
            return corpus
        count = shard_count(listed)
        return (
            self.register.change(corpus.corpus_id, lambda now: replace(now, shard_count=now.shard_count or count))
            or corpus
        )

    def _fetch(self, corpus: Registered) -> None:
        """Fetch a repository; where that fails and a whole checkout is there from before, go on with it."""
        folder = self.settings.cache / "git" / corpus.corpus_id
        self._not_fetched.pop(corpus.corpus_id, None)
        try:
            fetch_repository(corpus.source.uri, folder, corpus.source.branch)
        except GitError as error:
            commit = None if isinstance(error, GitBusy) else whole_checkout(folder)
            if commit is None:
                raise
            self._not_fetched[corpus.corpus_id] = f"{error} Until then commit {commit[:10]} is what is read."

    def run_shard(
        self,
        shard: str,
        progress: ProgressSink = silent,
        only: frozenset[str] | None = None,
        registry: Registry | None = None,
    ) -> ShardReport:
        """Run a shard's chain under its lease; a shard that another run holds is reported busy and left to it."""
        known = registry or self.sync_registry()
        corpus = known.of_shard(shard)
        if corpus is None:
            raise UnknownShard(f"shard {shard} belongs to no registered corpus; `cortex status` shows what there is")
        if not corpus.is_here:
            return ShardReport(
                shard, notes=[f"corpus {corpus.name} belongs to machine {corpus.machine}, which runs it"]
            )
        if registry is None:
            corpus = self.prepare(corpus, known)
            known = known.with_corpus(corpus)
        if shard not in corpus.shards:
            note = (
                f"corpus {corpus.name} has {len(corpus.shards)} shards now, {corpus.shards[0]} is the first; run these"
            )
            return ShardReport(shard, notes=[note])
        try:
            with shard_lease(self.leases, shard):
                note = self._moved_on(corpus)
                if note:
                    return ShardReport(shard, is_busy=True, notes=[note])
                return self._run_leased(shard, corpus, known, progress, only)
        except LeaseBusy as busy:
            return ShardReport(shard, is_busy=True, notes=[str(busy)])

    def _moved_on(self, corpus: Registered) -> str:
        """Why a corpus cannot be run as it was read: its shards are others by now, or on their way. Asked inside the lease."""
        now = corpus
        if self.lake.version(CORPORA) != self.register.version:
            now = next((one for one in self.register.corpora() if one.corpus_id == corpus.corpus_id), corpus)
        if now.resharding is not None or now.shard_epoch != corpus.shard_epoch:
            return f"the shards of corpus {corpus.name} are being changed; the next run takes them as they are then"
        if not now.is_here:
            return f"corpus {corpus.name} belongs to machine {now.machine} by now, which runs it"
        return ""

    def _run_leased(
        self, shard: str, corpus: Registered, registry: Registry, progress: ProgressSink, only: frozenset[str] | None
    ) -> ShardReport:
        """A shard's run under its lease, told to whoever watches; what it did goes to ``ops/runs``."""
        before = left(self.board.folder, shard)
        if before is not None and before.state == INTERRUPTED:
            run_interrupted(self.settings, corpus.name, before)
        with self.board.run(shard, corpus.corpus_id) as live:
            record_endings(self.lake, [before] if before else [])
            try:
                report = self._run_told(shard, corpus, registry, live.heard(progress), only)
            except Exception as error:
                run_failed(self.settings, live.run_id, corpus.name, shard, str(error))
                raise
            record_run(self.lake, live.run_id, corpus.corpus_id, self.board.trigger, live.started_at, report)
            run_finished(self.settings, live.run_id, corpus.name, report)
        if corpus.corpus_id in self._not_fetched:
            report.notes.append(self._not_fetched[corpus.corpus_id])
        return report

    def _run_told(
        self, shard: str, corpus: Registered, registry: Registry, progress: ProgressSink, only: frozenset[str] | None
    ) -> ShardReport:
        """The run itself."""
        self.raw.remove_abandoned()
        chain = self.workshop.chain(corpus, registry)
        with self._without_secrets(), beforehand(self._readings(corpus, registry)):
            report = chain.run_shard(shard, lambda: datetime.now(UTC), progress, only)
        self._after_findings(corpus, registry, report)
        report.notes += self.moving.follow(corpus, registry, shard)
        return report

    @contextmanager
    def _without_secrets(self) -> Iterator[None]:
        """What an object store answers may repeat what was sent to it: no error that holds a secret leaves as it is."""
        try:
            yield
        except Exception as error:
            bucket = self.settings.bucket
            if bucket is None or bucket.hide(str(error)) == str(error):
                raise
            raise bucket.explained(error) from None

    def _note_findings(self, shard: str, counts: Mapping[str, int]) -> None:
        """Secrets were found, whose rows are about to be committed."""
        note_findings(self.state, shard)
        self._found.setdefault(shard, Counter()).update(counts)

    def _after_findings(self, corpus: Registered, registry: Registry, report: ShardReport) -> None:
        """Count what a run found, and take the bytes of files with secrets out of the raw store."""
        counts = self._found.pop(report.shard, Counter())
        if counts:
            redaction = redaction_of(corpus.source)
            rows = secret_counts(report.shard, corpus.corpus_id, counts, redaction, datetime.now(UTC))
            self.lake.append(SECRET_COUNTS, rows)
            told = ", ".join(f"{rule} {count}" for rule, count in sorted(counts.items()))
            report.stages["documents"].notes.append(f"secrets found ({redaction.secrets}): {told}")
        keeping = {c.corpus_id for c in registry.corpora if _keeps_bytes(c)}
        documents = report.stages.get("documents")
        is_parsed = documents is not None and documents.progressed > 0
        withhold(self.lake, self.raw, self.state, report.shard, keeping, is_parsed)

    def _readings(self, corpus: Registered, registry: Registry) -> list[Callable[[], object]]:
        """What a run that has something to do will ask for, in order: tables and narrow columns, read without Python's lock.

        The tokenizer is not among them: it is made under that lock, and a delete needs none.
        """
        stages, lake = self.workshop.stages(corpus, registry), self.lake
        documents, chunks = stages.maps
        return [
            partial(narrow, lake, FILES),
            partial(lake.rows, SCANS),
            partial(lake.rows, documents.ledger.table),
            partial(narrow, lake, DOCUMENTS),
            partial(lake.rows, chunks.ledger.table),
            partial(narrow, lake, CHUNKS),
            partial(narrow, lake, EMBEDDINGS),
            partial(lake.rows, SNAPSHOTS),
            partial(lake.rows, CORPUS_STATISTICS),
        ]

    def run_corpus(self, corpus: Registered, registry: Registry, progress: ProgressSink = silent) -> list[ShardReport]:
        """Every shard of a corpus, one after the other; an error ends its shard, not the others, and is in its report."""
        try:
            prepared = self.prepare(corpus, registry)
        except RUN_ERRORS as error:
            return [ShardReport(corpus.name, error=str(error))]
        known = registry.with_corpus(prepared)
        reports = []
        with self._looking_once(prepared, known):
            for shard in prepared.shards:
                try:
                    reports.append(self.run_shard(shard, progress, registry=known))
                except RUN_ERRORS as error:
                    reports.append(ShardReport(shard, error=str(error)))
        return reports

    def _looking_once(self, corpus: Registered, registry: Registry) -> AbstractContextManager[None]:
        """``FilesStage.looking_once``; a chain that cannot be made is told by the run of each shard."""
        try:
            files = self.workshop.chain(corpus, registry).stages[0]
        except RUN_ERRORS:
            return nullcontext()
        return files.looking_once() if isinstance(files, FilesStage) else nullcontext()

    def run_lake(self, now: datetime) -> dict[str, dict[str, int]]:
        """Aggregates and globals, each under its own lease: counts by asset name. Where nothing moved, nothing is read."""
        aggregate, whole = duplicates_stage(self.lake, self.state), statistics_stage(self.lake)
        counts = {"new": 0, "changed": 0, "deleted": 0}
        result = {aggregate.name: counts, whole.name: {"rows": 0}}
        signature = self._lake_signature(aggregate, whole)
        if self.state.complete(LAKE, "aggregates") == signature:
            return result
        with shard_lease(self.leases, f"aggregate.{aggregate.name}"):
            for bucket in aggregate.due(now):
                report = aggregate.run(bucket, Budget(10**9, 10**18, float("inf")), now)
                for name in counts:
                    counts[name] += getattr(report, name)
        with shard_lease(self.leases, f"global.{whole.name}"):
            result[whole.name] = {"rows": whole.run(now)}
        signature["outputs"] = self._lake_signature(aggregate, whole)["outputs"]
        self.state.set_complete(LAKE, "aggregates", signature)
        return result

    def is_lake_complete(self) -> bool:
        """Whether aggregates and globals are those of the tables as they are now."""
        signature = self._lake_signature(duplicates_stage(self.lake, self.state), statistics_stage(self.lake))
        return self.state.complete(LAKE, "aggregates") == signature

    def _lake_signature(self, aggregate: AggregateStage, whole: WholeStage) -> dict[str, object]:
        return {
            "inputs": self._versions((aggregate.aggregate.upstream, *whole.upstream)),
            "outputs": self._versions((aggregate.aggregate.output, whole.output)),
            "producers": [*aggregate.versions.values(), whole.producer.version()],
        }

    def _versions(self, tables: Sequence[TableSpec]) -> dict[str, int]:
        return {table.name: self.lake.version(table) for table in tables}

    # -- upkeep ----------------------------------------------------------------------------------------------------

    def maintain(self, is_dry_run: bool = False, wait_seconds: float = 0.0) -> Maintained:
        """Compact, vacuum and sweep, one short step after another; note how large everything is then, for the growth a day.

        Args:
            is_dry_run: only say what would go; nothing is written.
            wait_seconds: how long to wait in all for runs that are at work.

        Raises:
            LeaseBusy: runs are at work, and not one step could be done.
        """
        registry = self.register.peek() if is_dry_run else self.sync_registry()
        if not is_dry_run and self.moving.finish_old(registry.corpora, self.settings.retention, datetime.now(UTC)):
            registry = self.register.now()
        if not is_dry_run:
            self.drain_calls()
        turns = Turns(self.leases, wait_seconds)
        upkeep = Upkeep(self._opened(turns.lease), self.raw, self.store, registry.corpora, self.settings, turns)
        done = maintain_lake(upkeep, turns, is_dry_run)
        if not is_dry_run:
            note_sizes(self.state, (self.settings.lake, self.settings.index, self.settings.raw), datetime.now(UTC))
        return done

    def _opened(self, lock: Callable[[], AbstractContextManager[object]]) -> Lakehouse:
        """The lake's tables; ``lock`` is taken around what maintains them."""
        return Lakehouse(
            self.settings.lake_root,
            storage_options=self.settings.lake_options,
            before_write=self._before_write,
            maintenance_lock=lock,
            fences=lambda: fences(self.leases),
        )

    def _before_write(self) -> None:
        check_held(self.leases)
        free_space_guard(self.settings.data_dir if self.settings.bucket else self.settings.lake, self.settings)

    def alerts(self, now: datetime) -> list[Alert]:
        """Every alert that fires at ``now``; writes nothing."""
        return all_alerts(self.lake, self.state, self.settings, self.register.corpora(), self.looked_at, now)

    def tell_alerts(self, now: datetime) -> tuple[list[Alert], AlertChange]:
        """``alerts``; those that began or ended since it was asked last are told to the webhooks."""
        firing = self.alerts(now)
        return firing, tell_changes(self.state, self.settings, firing, now)

    def repositories(self) -> list[Registered]:
        """The listed corpora of git remotes that are this machine's to run."""
        return [corpus for corpus in self.register.corpora() if corpus.is_active and corpus.source.kind == "git"]

    def looked_at(self, corpus: Registered) -> datetime | None:
        """When a corpus was last listed whole."""
        return looked_at(self.lake, self.state, corpus.corpus_id)


def _keeps_bytes(corpus: Registered) -> bool:
    """Whether a corpus asks for its bytes, whatever they hold: ``raw: copy`` of a folder that is read in place otherwise."""
    source = corpus.source
    return source.secrets == KEPT or (source.raw == "copy" and source.kind == "folder" and corpus.origin != INBOX)
