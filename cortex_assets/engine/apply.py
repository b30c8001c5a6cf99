"""Apply: what a map made becomes the rows of its keys, output first, ledger second (ARCHITECTURE 4 "Apply").

A writer belongs to one shard of one derivation inside one lease. It gathers outputs into commits of bounded size,
validates them against the table's schema, and refuses rows that break it into ``ops/quarantined_rows``. One commit is
written, by another thread, while the outputs of the next one come together.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import polars as pl

from cortex_assets.engine.derivation import Failure, MapDerivation, Output
from cortex_assets.engine.ledger import AssetLedger, ledger_rows
from cortex_assets.engine.report import StageReport
from cortex_assets.ops.schema import QUARANTINED_ROWS
from cortex_assets.tables import short_reason
from resources.lakehouse import Lakehouse, RepeatedIds

COMMIT_ROWS = 20_000
COMMIT_BYTES = 32 * 1024 * 1024
MERGE_KEYS = 1_000


@dataclass(frozen=True, slots=True)
class _Commit:
    """What one commit writes: rows, and the keys that are finished by it.

    Attributes:
        rows: of the output, whole.
        stale: keys among the rows and the finished ones that had rows before.
        finished: ``Plan.todo`` rows of the finished keys.
        totals: finished key to number of rows and sum of row hashes.
        ids: finished stale key to the ids that it has now.
        failures: of finished keys.
    """

    rows: pl.DataFrame
    stale: list[str]
    finished: list[dict[str, Any]]
    totals: list[tuple[str, int, int]]
    ids: dict[str, set[str]]
    failures: Mapping[str, Failure]


class Writer:
    """Gathers the outputs of one shard run and commits them. ``settle`` it."""

    def __init__(
        self,
        derivation: MapDerivation,
        lake: Lakehouse,
        ledger: AssetLedger,
        shard: str,
        todo: pl.DataFrame,
        report: StageReport,
        now: datetime,
        beside: Executor,
    ) -> None:
        """Begin with the keys to be done (``Plan.todo`` rows plus ``producer_version``); ``beside`` writes commits."""
        self._derivation, self._lake, self._ledger, self._shard, self._now = derivation, lake, ledger, shard, now
        self._report = report
        self._beside = beside
        self._committing: Future[None] | None = None
        self._todo = {row["input_key"]: row for row in todo.to_dicts()}
        self._id = derivation.output.key[0]
        self._frames: list[pl.DataFrame] = []
        self._bytes = 0
        self._rows = 0
        self._finished: list[str] = []
        self._failures: dict[str, Failure] = {}
        self._ending: frozenset[str] = frozenset()
        self._totals: dict[str, tuple[int, int]] = {}
        self._open_ids: dict[str, set[str]] = {}
        self.regressions = 0
        """Failures among keys that had been derived before."""

    def add(self, output: Output) -> None:
        """Take one output in; commits when enough has come together."""
        unknown = [key for key in output.finished if key not in self._todo]
        if unknown:
            raise ValueError(f"{self._derivation.name} finished a key it was not given or had finished: {unknown[0]}")
        frame = self._with_kept(output)
        self._frames.append(frame)
        self._rows += frame.height
        self._bytes += int(output.frame.estimated_size())
        self._finished.extend(output.finished)
        self._failures.update(output.failures)
        self.regressions += sum(self._is_stale(key) for key in output.failures)
        if self._rows >= COMMIT_ROWS or self._bytes >= COMMIT_BYTES:
            self.flush()

    def _with_kept(self, output: Output) -> pl.DataFrame:
        """The output's rows; for kept keys that had rows, those instead, marked."""
        mark = self._derivation.mark_kept
        keys = sorted(key for key in output.kept if self._is_stale(key))
        if mark is None or not keys:
            return output.frame
        table = self._derivation.output
        before = self._lake.scan(table, where={"shard": self._shard}, keys={"input_key": keys}).collect()
        there = before.get_column("input_key").unique().to_list()
        marked = mark(before, {key: output.failures[key] for key in there})
        there = marked.get_column("input_key").unique().to_list()
        fresh = output.frame.filter(~pl.col("input_key").is_in(there))
        return pl.concat([fresh.select(list(table.dtypes)), marked.select(list(table.dtypes))])

    @property
    def is_clean(self) -> bool:
        """Nothing waits for a commit."""
        return not self._frames and not self._finished

    def flush(self) -> None:
        """Have what was gathered committed, after what was flushed before."""
        if self.is_clean:
            return
        rows = pl.concat([pl.DataFrame(schema=self._derivation.output.dtypes), *self._shaped(self._frames)])
        finished = self._finished
        self._ending = frozenset(finished)
        failures = {key: failure for key, failure in self._failures.items() if key in self._ending}
        self._failures = {key: failure for key, failure in self._failures.items() if key not in self._ending}
        self._frames, self._rows, self._bytes, self._finished = [], 0, 0, []
        if not rows.is_empty():
            rows = self._validated(rows, failures)
            self._count(rows)
        stale = [key for key in {*finished, *rows.get_column("input_key").unique()} if self._is_stale(key)]
        commit = _Commit(
            rows=rows,
            stale=stale,
            finished=[self._todo.pop(key) for key in finished],
            totals=[(key, *self._totals.pop(key, (0, 0))) for key in finished],
            ids={key: self._open_ids.pop(key, set()) for key in finished},
            failures=failures,
        )
        self.settle()
        self._committing = self._beside.submit(self._commit, commit)

    def settle(self) -> None:
        """Wait until everything flushed is committed.

        Raises:
            Exception: whatever the commit raised.
        """
        if self._committing is not None:
            self._committing.result()
            self._committing = None

    def _shaped(self, frames: Sequence[pl.DataFrame]) -> list[pl.DataFrame]:
        columns = list(self._derivation.output.dtypes)
        return [f.with_columns(shard=pl.lit(self._shard)).select(columns) for f in frames if not f.is_empty()]

    def _validated(self, frame: pl.DataFrame, failures: dict[str, Failure]) -> pl.DataFrame:
        """Refuse repeated ids; take rows that break the schema out, count them, and mark their keys failed."""
        if frame.get_column(self._id).n_unique() != frame.height:
            repeated = frame.filter(pl.col(self._id).is_duplicated()).get_column(self._id).sort()[0]
            raise RepeatedIds(
                f"{self._derivation.name} made the id {repeated} twice in one batch of shard {self._shard}; "
                "its function must give distinct ids"
            )
        good, failure = self._derivation.output.schema.filter(frame)
        bad = failure.invalid()
        if bad.is_empty():
            return frame
        rules = ", ".join(sorted(failure.counts()))
        reason = short_reason(f"rows refused by {self._derivation.output.name}: {rules}")
        self._lake.append(
            QUARANTINED_ROWS,
            bad.select(
                shard=pl.lit(self._shard),
                asset=pl.lit(self._derivation.name),
                input_key="input_key",
                row_id=self._id,
                reason=pl.lit(reason),
                quarantined_at=pl.lit(self._now),
            ),
        )
        self._report.quarantined += bad.height
        self._report.notes.append(f"{bad.height} {reason}")
        for key in bad.get_column("input_key").unique():
            (failures if key in self._ending else self._failures)[key] = Failure(reason)
        return good

    def _count(self, frame: pl.DataFrame) -> None:
        """Add a frame's counts and ids to the running totals of its keys."""
        counts = frame.group_by("input_key").agg(
            pl.len().cast(pl.Int64).alias("n"), pl.col("row_hash").sum().alias("s")
        )
        for key, count, total in counts.iter_rows():
            n, s = self._totals.get(key, (0, 0))
            self._totals[key] = (n + count, _wrap(s + total))
        stale = [key for key in counts.get_column("input_key") if self._is_stale(key)]
        if stale:
            for key, row_id in frame.filter(pl.col("input_key").is_in(stale)).select("input_key", self._id).iter_rows():
                self._open_ids.setdefault(key, set()).add(row_id)

    def _is_stale(self, key: str) -> bool:
        return bool(self._todo[key]["verdict"] != "new")

    def _commit(self, commit: _Commit) -> None:
        """Rows, then ledger."""
        table, shard, stale, rows = self._derivation.output, self._shard, commit.stale, commit.rows
        fresh = rows.filter(~pl.col("input_key").is_in(stale)) if stale else rows
        if not fresh.is_empty():
            done = self._lake.append(table, fresh)
            self._report.rows_written += done.inserted
            self._report.rows_added += done.inserted
            self._report.commits += 1
        for start in range(0, len(stale), MERGE_KEYS):
            keys = sorted(stale)[start : start + MERGE_KEYS]
            gone = self._leftovers({key: commit.ids[key] for key in keys if key in commit.ids})
            before = self._lake.version(table)
            done = self._lake.replace_keys(table, shard, rows.filter(pl.col("input_key").is_in(keys)), keys, gone)
            self._report.rows_written += done.inserted + done.updated
            self._report.rows_added += done.inserted
            self._report.rows_removed += done.deleted
            self._report.commits += done.version != before
        self._record(commit)

    def _leftovers(self, ids: Mapping[str, set[str]]) -> list[str]:
        """Ids that finished keys had and did not produce again."""
        if not ids:
            return []
        output, here = self._derivation.output, {"shard": self._shard}
        had = self._lake.near(output, here, {"input_key": list(ids)}, ("input_key", self._id))
        return sorted(i for key, i in had.iter_rows() if i not in ids[key])

    def _record(self, commit: _Commit) -> None:
        if not commit.finished:
            return
        keys = pl.DataFrame(
            commit.finished,
            schema={
                "input_key": pl.String,
                "input_hash": pl.Int64,
                "route": pl.String,
                "producer_version": pl.String,
                "attempts": pl.Int64,
            },
        )
        counts = pl.DataFrame(
            commit.totals, {"input_key": pl.String, "row_count": pl.Int64, "row_sum": pl.Int64}, orient="row"
        )
        failed = pl.DataFrame(
            [(key, short_reason(f.reason), f.is_transient) for key, f in commit.failures.items()],
            {"input_key": pl.String, "reason": pl.String, "is_transient": pl.Boolean},
            orient="row",
        )
        self._ledger.record(self._shard, ledger_rows(keys, counts, failed, self._now))
        self._report.commits += 1
        new = sum(key["verdict"] == "new" for key in commit.finished)
        self._report.new += new
        self._report.changed += len(commit.finished) - new
        self._report.failed += len(commit.failures)

    def expect_finished(self, keys: Sequence[str]) -> None:
        """Refuse a function that forgot a key: each one given must have been finished or failed."""
        ended = set(self._finished)
        for key in keys:
            if key in self._todo and key not in ended:
                raise ValueError(f"{self._derivation.name} left the key {key} of shard {self._shard} unfinished")


def _wrap(value: int) -> int:
    """A sum in 64-bit two's complement, as Polars' Int64 sum wraps."""
    return (value + 2**63) % 2**64 - 2**63
