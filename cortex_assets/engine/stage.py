"""Run a map over a shard: read the three sets, prune, derive in batches of bounded size, apply (ARCHITECTURE 4).

The caller holds the shard's lease. What a stage is given beyond its derivation (parsers' doors, tokenizers) is bound into
``compute`` by ``chains``.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

import polars as pl

from cortex_assets.engine.ahead import read_ahead
from cortex_assets.engine.apply import Writer
from cortex_assets.engine.derivation import Compute, MapDerivation
from cortex_assets.engine.ledger import AssetLedger
from cortex_assets.engine.narrow import narrow
from cortex_assets.engine.plan import INPUTS, Plan, make_plan
from cortex_assets.engine.report import ProgressSink, StageReport, silent
from cortex_assets.identity import value_hash
from resources.lakehouse import Lakehouse
from resources.state import State

BATCH_WEIGHT = 6 * 1024 * 1024
BATCH_KEYS = 2_000
KEY_WEIGHT = 256
"""What a key adds to its own weight in a slice: a hundred thousand messages are work, however short they are."""
JUMP_KEYS, JUMP_SHARE = 20, 0.15


class DerivationStopped(RuntimeError):
    """A derivation's failures jumped: more than 20 keys and 15 % of a shard that were fine fail now. Nothing of them was written.

    Attributes:
        failing: how many keys fail.
    """

    def __init__(self, message: str, failing: int) -> None:
        super().__init__(message)
        self.failing = failing


@dataclass(frozen=True, slots=True)
class Budget:
    """How much one slice may do: files, weight of what is in them (bytes or characters), until when (``time.monotonic``)."""

    files: int
    weight: int
    deadline: float

    def take(self, todo: pl.DataFrame) -> pl.DataFrame:
        """The leading keys (``Plan.todo``) within the budget, at least one; the documents of a file are of one file."""
        files = pl.col("source_key").is_first_distinct().cum_sum()
        weight = pl.col("weight") + KEY_WEIGHT
        within = todo.filter((files <= self.files) & (weight.cum_sum() - weight < self.weight))
        return within if within.height else todo.head(1)


@dataclass(frozen=True, slots=True)
class _Left:
    """What a slice left of a plan, for the next one.

    Attributes:
        plan: the rest of it.
        signature: what the tables and producers were when the slice had ended.
    """

    plan: Plan
    signature: Mapping[str, object]


class MapStage:
    """A map bound to a lake."""

    def __init__(
        self,
        derivation: MapDerivation,
        compute: Compute,
        lake: Lakehouse,
        state: State,
        at: Callable[[str, str, Sequence[str]], None] | None = None,
    ) -> None:
        """Bind; nothing is read yet. ``at`` is told the shard, the stage and the paths of each batch, where rows have paths."""
        self.derivation = derivation
        self.name = self.key = derivation.name
        self.ledger = AssetLedger(lake, derivation.name)
        self._compute, self._lake, self._state, self._at = compute, lake, state, at
        self._versions: dict[str, str] | None = None
        self._stopped: dict[str, str] = {}
        self._left: dict[str, _Left] = {}

    # -- the three sets --------------------------------------------------------------------------------------------

    @property
    def versions(self) -> dict[str, str]:
        """Producer versions, frozen at first use."""
        if self._versions is None:
            self._versions = self.derivation.versions()
        return self._versions

    def inputs(self, shard: str) -> pl.DataFrame:
        """Input keys of a shard with the hash of the declared input columns: columns ``plan.INPUTS``."""
        d = self.derivation
        scan = narrow(self._lake, d.upstream, {"shard": shard})
        if d.where is not None:
            scan = scan.filter(d.where)
        wanted = {d.key, "input_key", *d.input_columns, *(c for c in (d.route, d.weight, d.newest) if c)}
        rows = scan.select(sorted(wanted)).collect()
        hashes = [value_hash(row) for row in rows.select(d.input_columns).iter_rows()]
        values = rows.get_column(d.route).to_list() if d.route else []
        routes = [d.route_of(value) if d.route_of else value for value in values] if d.route else [""] * rows.height
        return rows.select(
            input_key=pl.col(d.key),
            source_key=pl.col("input_key"),
            input_hash=pl.Series(hashes, dtype=pl.Int64),
            route=pl.Series(routes, dtype=pl.String),
            weight=pl.col(d.weight) if d.weight else pl.lit(1, dtype=pl.Int64),
            newest=pl.col(d.newest) if d.newest else pl.lit(None, dtype=INPUTS["newest"]),
        )

    def output(self, shard: str) -> pl.DataFrame:
        """Rows and row-hash sum of each key in the output."""
        return rows_of_keys(narrow(self._lake, self.derivation.output, {"shard": shard}))

    def plan(self, shard: str, now: datetime) -> Plan:
        """What is to do; exact, because inputs, ledger and output are all in Delta."""
        return make_plan(self.inputs(shard), self.ledger.latest(shard), self.output(shard), self.versions, now)

    # -- the fast path ---------------------------------------------------------------------------------------------

    def _signature(self, upstream_version: int | None = None) -> dict[str, object]:
        """What a complete run stood on; the upstream version is that of before its plan, so later commits are seen."""
        d = self.derivation
        tables = {t.name: self._lake.version(t) for t in (d.output, self.ledger.table)}
        tables[d.upstream.name] = self._lake.version(d.upstream) if upstream_version is None else upstream_version
        return {"tables": tables, "producers": self.versions}

    def is_complete(self, shard: str, now: datetime) -> dict[str, object] | None:
        """The record of the last complete run where nothing moved since, else None. Reads no table."""
        record = self._state.complete(shard, self.name)
        if record is None or record.get("signature") != self._signature():
            return None
        retry = record.get("next_retry")
        if isinstance(retry, str) and datetime.fromisoformat(retry) <= now:
            return None
        return record

    # -- the run ---------------------------------------------------------------------------------------------------

    def run(self, shard: str, budget: Budget, now: datetime, progress: ProgressSink = silent) -> StageReport:
        """Prune and derive within the budget; the report's ``remaining`` says what is left."""
        begin = time.perf_counter()
        report = StageReport(self.name, shard)
        record = self.is_complete(shard, now)
        if record is not None:
            report.unchanged = int(str(record.get("unchanged", 0)))
            report.version = self._lake.version(self.derivation.output)
            return report
        upstream_version = self._lake.version(self.derivation.upstream)
        plan = self._left_of(shard) or self.plan(shard, now)
        self._prune(shard, plan.orphaned, report)
        todo = budget.take(plan.todo)
        done = 0
        if shard in self._stopped and not self._is_accepted(shard):
            report.notes.append(self._stopped[shard])
        elif not todo.is_empty():
            try:
                done = self._derive(shard, todo, plan, budget, now, report, progress)
            except DerivationStopped as stop:
                self._stopped[shard] = str(stop)
                self._state.set_meta(self._meta("stopped", shard), str(stop))
                report.notes.append(str(stop))
                report.failed += stop.failing
            self.ledger.compact_if_scattered(shard)
        report.progressed = done + len(plan.orphaned)
        report.remaining = plan.todo.height - done
        report.unchanged = plan.unchanged
        report.seconds = time.perf_counter() - begin
        report.version = self._lake.version(self.derivation.output)
        if done and report.remaining and not report.failed:
            left = replace(plan, todo=plan.todo.slice(done), orphaned=[], unchanged=plan.unchanged + done)
            self._left[shard] = _Left(left, self._signature(upstream_version))
        if not report.remaining and not report.failed:
            self._state.set_complete(
                shard,
                self.name,
                {
                    "signature": self._signature(upstream_version),
                    "unchanged": plan.unchanged + done,
                    "next_retry": plan.next_retry.isoformat() if plan.next_retry else None,
                },
            )
        return report

    def _left_of(self, shard: str) -> Plan | None:
        """The rest of the last slice's plan, where nobody has touched a table since: a mailbox has a hundred slices."""
        left = self._left.pop(shard, None)
        return left.plan if left is not None and left.signature == self._signature() else None

    def _prune(self, shard: str, orphaned: list[str], report: StageReport) -> None:
        """Deletes first: output, then ledger."""
        if not orphaned:
            return
        before = self._lake.version(self.derivation.output)
        commit = self._lake.delete_where(self.derivation.output, "input_key", orphaned, shard)
        self.ledger.forget(shard, orphaned)
        report.deleted += len(orphaned)
        report.rows_removed += commit.deleted
        report.commits += 1 + (commit.version != before)

    def _derive(
        self,
        shard: str,
        todo: pl.DataFrame,
        plan: Plan,
        budget: Budget,
        now: datetime,
        report: StageReport,
        progress: ProgressSink,
    ) -> int:
        versions = pl.col("route").replace_strict(self.versions, return_dtype=pl.String)
        given = todo.with_columns(producer_version=versions)
        done = 0
        progress(shard, self.name, 0, plan.todo.height, "keys")
        with ThreadPoolExecutor(2, thread_name_prefix=self.name) as beside:
            writer = Writer(self.derivation, self._lake, self.ledger, shard, given, report, now, beside)
            batches = list(_batches(given))
            try:
                for batch, rows in zip(batches, read_ahead(beside, partial(self._fetch, shard), batches), strict=False):
                    if done and time.monotonic() > budget.deadline:
                        break
                    if self._at is not None and "path" in rows.columns:
                        self._at(shard, self.name, rows.get_column("path").unique(maintain_order=True).to_list())
                    for output in self._compute(rows):
                        report.calls += len(output.finished)
                        self._stop_on_jump(shard, writer.regressions + len(output.failures), plan)
                        writer.add(output)
                        done += len(output.finished)
                        progress(shard, self.name, done, plan.todo.height, "keys")
                    writer.expect_finished(batch.get_column("input_key").to_list())
                writer.flush()
            except Exception:
                writer.settle()  # what a commit raised comes first
                raise
            writer.settle()
        return done

    def _stop_on_jump(self, shard: str, failing: int, plan: Plan) -> None:
        known = plan.unchanged + plan.stale
        is_jump = plan.stale > JUMP_KEYS and failing > JUMP_KEYS and failing > JUMP_SHARE * known
        if is_jump and not self._is_accepted(shard):
            corpus = shard.partition(".")[0]
            raise DerivationStopped(
                f"{self.name}, shard {shard}: {failing} of {known} keys fail that were derived before; stopped, their "
                f"rows stay as they were. Meant? `cortex retry {corpus}` accepts it for the next run.",
                failing,
            )

    def _meta(self, what: str, shard: str) -> str:
        return f"{what}/{self.name}/{shard}"

    def _is_accepted(self, shard: str) -> bool:
        """Whether a person accepted the failures of these producers."""
        return self._state.meta(self._meta("accepted", shard)) == json.dumps(self.versions, sort_keys=True)

    def accept(self, shard: str) -> bool:
        """Where the derivation was stopped: let its failures through while its producers stay as they are."""
        if not self._state.meta(self._meta("stopped", shard)):
            return False
        self._state.set_meta(self._meta("stopped", shard), "")
        self._state.set_meta(self._meta("accepted", shard), json.dumps(self.versions, sort_keys=True))
        self._stopped.pop(shard, None)
        return True

    def _fetch(self, shard: str, batch: pl.DataFrame) -> pl.DataFrame:
        d = self.derivation
        keys = {"input_key": batch.get_column("source_key").unique().to_list()}
        keys[d.key] = batch.get_column("input_key").to_list()  # a file may have a million documents
        columns = list(dict.fromkeys((d.key, *d.compute_columns)))
        rows = self._lake.near(d.upstream, {"shard": shard}, keys, columns)
        order = batch.select(pl.col("input_key").alias(d.key), pl.int_range(pl.len()).alias("_order"))
        return rows.join(order, on=d.key, how="inner").sort("_order").drop("_order")


def rows_of_keys(output: pl.LazyFrame) -> pl.DataFrame:
    """Columns ``plan.OUTPUT`` of rows with ``input_key`` and ``row_hash``."""
    return (
        output.select("input_key", "row_hash")
        .group_by("input_key")
        .agg(pl.len().cast(pl.Int64).alias("row_count"), pl.col("row_hash").sum().alias("row_sum"))
        .collect()
    )


def _batches(todo: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Cut the work into batches of at most ``BATCH_KEYS`` keys and about ``BATCH_WEIGHT``."""
    start, weight = 0, 0
    weights = todo.get_column("weight").to_list()
    for position, value in enumerate(weights):
        if position > start and (weight + value > BATCH_WEIGHT or position - start >= BATCH_KEYS):
            yield todo.slice(start, position - start)
            start, weight = position, 0
        weight += value
    if start < len(weights):
        yield todo.slice(start)
