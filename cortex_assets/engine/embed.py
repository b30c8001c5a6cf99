"""The embeddings stage: vectors for the texts of a shard that have none in its space (ARCHITECTURE 3, silver/embeddings).

Keyed by content, not by chunk: a rename, a move or an equal text in another corpus finds its vector and makes no call.
The table is append-only, so membership is the ledger of what was done; ``ops/ledger/embeddings`` holds only the texts that
failed, by ``embed_hash``. An engine that fails never stops a run: what lacks a vector is published by keywords.
Which engine embeds is ``inference.lanes``.
"""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

import numpy as np
import polars as pl

from cortex_assets.chunks.schema import CHUNKS
from cortex_assets.embeddings.schema import EMBEDDINGS
from cortex_assets.engine.ahead import read_ahead
from cortex_assets.engine.fresh import FreshVectors
from cortex_assets.engine.lacking import LackingTexts
from cortex_assets.engine.ledger import AssetLedger, ledger_rows
from cortex_assets.engine.project import IndexStage
from cortex_assets.engine.report import ProgressSink, StageReport, silent
from cortex_assets.engine.selection import EVERY, Selection
from cortex_assets.engine.stage import Budget
from inference.errors import InferenceError
from inference.protocols import Embedder, Floats, Progress, Space
from resources.lakehouse import Lakehouse
from resources.state import State

GROUP_TEXTS = 8_192
GROUP_TOKENS = 1_000_000
PAUSE_SECONDS = 60.0
"""How long an engine that does not answer is left alone, so that the slices of one run do not each wait for it."""
PROBE = "Is the engine there?"
FAILURES = {"input_key": pl.String(), "reason": pl.String(), "is_transient": pl.Boolean()}


@dataclass(slots=True)
class _Group:
    """What became of one group of texts; ``down`` is the error of an engine that fails whatever it is given."""

    found: list[pl.DataFrame] = field(default_factory=list)
    failures: list[tuple[str, str, bool]] = field(default_factory=list)
    down: InferenceError | None = None

    @property
    def settled(self) -> int:
        """How many texts were embedded or found to fail."""
        return sum(frame.height for frame in self.found) + len(self.failures)

    @property
    def tokens(self) -> int:
        """Of the texts that were embedded."""
        return sum(int(frame.get_column("token_count").sum()) for frame in self.found)


class EmbedStage:
    """Embeds what a shard's chunks need in one space."""

    name = "embeddings"

    def __init__(
        self,
        space: Space,
        embedder: Callable[[int], Embedder],
        lake: Lakehouse,
        state: State,
        fresh: FreshVectors,
        before_long: IndexStage | None = None,
        long_tokens: int = 0,
        selection: Selection = EVERY,
        key: str = "",
    ) -> None:
        """Bind; the embedder is loaded when there is something to embed.

        Args:
            space: what the vectors belong to.
            embedder: loads the engine for so many tokens: for a few, one that starts at once is done first.
            lake: where chunks and vectors are.
            state: the cache of complete runs.
            fresh: takes a copy of what was written, for the index stage.
            before_long: published before more than ``long_tokens`` tokens are embedded, so that keywords find them at once.
            long_tokens: see ``before_long``.
            selection: which chunks are in the space.
            key: under which complete runs are remembered; where a corpus has several spaces, each has its own.
        """
        self.key = key or self.name
        self.space, self._embedder, self._lake, self._state = space, embedder, lake, state
        self._fresh, self._before_long, self._long_tokens = fresh, before_long, long_tokens
        self.ledger = AssetLedger(lake, self.name, space.space_id)
        self._paused_until = 0.0
        self._lacking = LackingTexts(space.space_id, lake, selection)
        self.selection = selection

    def missing(self, shard: str) -> pl.DataFrame:
        """Distinct texts without a vector: ``embed_hash input_key chunk_id token_count``, in storage order."""
        return self._lacking.every(shard)

    def due(self, shard: str, now: datetime) -> pl.DataFrame:
        """``missing`` without the texts that failed and wait for their time, for a change or for ``cortex retry``."""
        return self._without_waiting(self.missing(shard), self._failed(shard), now)

    def _failed(self, shard: str) -> pl.DataFrame:
        """The ledger's rows of texts that failed in this space."""
        return self.ledger.rows(shard)

    @staticmethod
    def _without_waiting(missing: pl.DataFrame, failed: pl.DataFrame, now: datetime) -> pl.DataFrame:
        is_due = (pl.col("status") == "transient") & (pl.col("retry_at") <= now)
        waiting = failed.filter(~is_due.fill_null(False)).select(embed_hash="input_key")
        return missing.join(waiting, on="embed_hash", how="anti", maintain_order="left")

    def is_complete(self, shard: str, now: datetime) -> bool:
        """Whether nothing moved since the last complete run and no failed text is due."""
        record = self._state.complete(shard, self.key)
        if record is None or record.get("signature") != self._signature():
            return False
        retry = record.get("next_retry")
        return retry is None or datetime.fromisoformat(str(retry)) > now

    def _signature(self) -> dict[str, object]:
        tables = {t.name: self._lake.version(t) for t in (CHUNKS, EMBEDDINGS)}
        return {"tables": tables, "space": self.space.space_id, "kinds": self.selection.name}

    def run(self, shard: str, budget: Budget, now: datetime, progress: ProgressSink = silent) -> StageReport:
        """Embed group by group until nothing is due or the deadline has passed; each group is one commit.

        A text that fails is found, recorded and waits; an engine that fails altogether is noted and left for another run.
        """
        begin = time.perf_counter()
        report = StageReport(self.name, shard)
        if self.is_complete(shard, now):
            report.version = self._lake.version(EMBEDDINGS)
            return report
        files = self._lacking.files(shard)
        missing = self._lacking.since(shard, files)
        failed = self._failed(shard)
        due = self._without_waiting(missing, failed, now)
        total = int(due.get_column("token_count").sum() or 0)
        if self._before_long is not None and total > self._long_tokens:
            self._before_long.run_early(shard, now, progress)
        if due.height:
            progress(shard, self.name, 0, total, "tokens")
        tried, down = self._embed_all(shard, due, failed, budget, now, report, progress)
        if down is not None:
            self._paused_until = time.monotonic() + PAUSE_SECONDS
            report.failed += due.height - tried
            report.notes.append(
                f"{due.height - tried} texts have no vector yet, for the engine fails: {down}; "
                "keywords find them, and the next run tries again"
            )
        report.progressed, report.remaining = tried, due.height - tried
        report.seconds = time.perf_counter() - begin
        report.version = self._lake.version(EMBEDDINGS)
        if not report.remaining:
            self._close(shard, now, failed)
        is_all = not report.remaining and not failed.height and tried == report.new
        self._lacking.settle(shard, files, is_all)
        return report

    def _embed_all(
        self,
        shard: str,
        due: pl.DataFrame,
        failed: pl.DataFrame,
        budget: Budget,
        now: datetime,
        report: StageReport,
        progress: ProgressSink,
    ) -> tuple[int, InferenceError | None]:
        """Embed group by group while other threads read the next texts and write the last vectors.

        Returns how many texts were tried, and the error of an engine that fails altogether.
        """
        total = int(due.get_column("token_count").sum() or 0)
        tried, down, written = 0, None, None
        if time.monotonic() < self._paused_until:
            return tried, down
        with ThreadPoolExecutor(2, thread_name_prefix="embeddings") as beside:
            for texts in read_ahead(beside, partial(self._texts, shard), _groups(due)):
                if tried and time.monotonic() > budget.deadline:
                    break
                heard = _Heard(partial(_tell, progress, shard, report.tokens, total))
                try:
                    done = self._embed(texts, total, budget, heard)
                finally:
                    if written is not None:
                        written.result()  # what a commit raised comes first
                tried += done.settled
                report.tokens += done.tokens
                written = beside.submit(self._write, shard, done, failed, now, report)
                down = done.down
                if down is not None:
                    break
                progress(shard, self.name, report.tokens, total, "tokens")
            if written is not None:
                written.result()
        return tried, down

    def _close(self, shard: str, now: datetime, failed: pl.DataFrame) -> None:
        """Nothing is due: forget failures that are none any more, and remember when the next is."""
        if failed.height:
            lacking = self.missing(shard).get_column("embed_hash")
            self.ledger.forget(
                shard, failed.filter(~pl.col("input_key").is_in(lacking)).get_column("input_key").to_list()
            )
        retry = self._failed(shard).get_column("retry_at").min()
        record = {
            "signature": self._signature(),
            "next_retry": retry.isoformat() if isinstance(retry, datetime) else None,
        }
        self._state.set_complete(shard, self.key, record)

    def _texts(self, shard: str, group: pl.DataFrame) -> pl.DataFrame:
        """``embed_hash token_count text`` of a group, longest first."""
        columns = ("chunk_id", "embed_hash", "token_count", "context", "text")
        keys = group.get_column("input_key").unique().to_list()
        found = self._lake.near(CHUNKS, {"shard": shard}, {"input_key": keys}, columns)
        rows = found.join(group.select("chunk_id"), on="chunk_id", how="semi")
        rows = rows.select("embed_hash", "token_count", text=pl.col("context") + pl.col("text"))
        return rows.sort("token_count", "embed_hash", descending=[True, False])

    def _embed(self, rows: pl.DataFrame, tokens: int, budget: Budget, progress: Progress) -> _Group:
        """Embed one group of the ``tokens`` that are due; where that fails, halve it until what the engine cannot do stands alone."""
        done = _Group()
        try:
            embedder = self._embedder(tokens)
        except InferenceError as error:
            done.down = error
            return done
        waiting = [rows]
        while waiting and not (done.settled and time.monotonic() > budget.deadline):
            part = waiting.pop()
            try:
                vectors = embedder.embed_batch(part.get_column("text").to_list(), progress)
            except InferenceError as error:
                done.down = _probe(embedder) if part.height in (1, rows.height) else None
                if done.down is not None:
                    break
                if part.height == 1:
                    done.failures.append((part.item(0, "embed_hash"), str(error)[:200], error.is_transient))
                else:
                    waiting += [part.slice(part.height // 2), part.head(part.height // 2)]
                continue
            done.found.append(_rows(self.space, embedder, part, vectors))
        return done

    def _write(self, shard: str, done: _Group, failed: pl.DataFrame, now: datetime, report: StageReport) -> None:
        """Append a group's vectors in one commit, and its failures."""
        report.calls += 1
        if done.found:
            found = pl.concat(done.found)
            self._lake.append(EMBEDDINGS, found.drop("token_count"))
            self._fresh.keep(shard, found)
            report.commits += 1
            report.new += found.height
            report.rows_written += found.height
            report.rows_added += found.height
        self._record(shard, done.failures, failed, now, report)

    def _record(
        self,
        shard: str,
        failures: list[tuple[str, str, bool]],
        failed: pl.DataFrame,
        now: datetime,
        report: StageReport,
    ) -> None:
        """Write down the texts that failed, with their back-off."""
        if not failures:
            return
        bad = pl.DataFrame(failures, schema=FAILURES, orient="row")
        before = failed.select("input_key", "attempts")
        keys = bad.select("input_key").join(before, on="input_key", how="left", maintain_order="left")
        keys = keys.with_columns(
            pl.col("attempts").fill_null(0),
            input_hash=pl.lit(0, dtype=pl.Int64),
            route=pl.lit(""),
            producer_version=pl.lit(self.space.space_id),
        )
        none = pl.DataFrame(schema={"input_key": pl.String, "row_count": pl.Int64, "row_sum": pl.Int64})
        rows = ledger_rows(keys, none, bad, now)
        self.ledger.record(shard, rows)
        report.commits += 1
        report.quarantined += rows.filter(pl.col("status") == "quarantined").height
        report.failed += rows.filter(pl.col("status") != "quarantined").height
        report.notes.append(
            f"{bad.height} texts get no vector and are found by keywords only: {failures[0][1]}; "
            "after a repair run `cortex retry`"
        )


def _probe(embedder: Embedder) -> InferenceError | None:
    """Tell an engine that is down (its error) from one that only cannot do what it was given (None)."""
    try:
        embedder.embed_batch([PROBE])
    except InferenceError as error:
        return error
    return None


def _rows(space: Space, embedder: Embedder, texts: pl.DataFrame, vectors: Floats) -> pl.DataFrame:
    """Rows of ``EMBEDDINGS``, with the texts' token counts."""
    return texts.select(
        pl.lit(space.space_id).alias("space_id"),
        "embed_hash",
        vector_series(vectors),
        pl.lit(embedder.precision).alias("precision"),
        "token_count",
    )


def _tell(progress: ProgressSink, shard: str, before: int, total: int, tokens: int) -> None:
    progress(shard, EmbedStage.name, min(total, before + tokens), total, "tokens")


class _Heard:
    """Adds up the tokens that an engine reports, and passes the sum on."""

    def __init__(self, tell: Callable[[int], None]) -> None:
        self._tell, self._tokens = tell, 0

    def __call__(self, tokens: int) -> None:
        self._tokens += tokens
        self._tell(self._tokens)


def vector_series(vectors: Floats) -> pl.Series:
    """A (n, d) float32 array as a series of List(Float32)."""
    return pl.Series("vector", vectors.astype(np.float32, copy=False)).cast(pl.List(pl.Float32))


def _groups(missing: pl.DataFrame) -> Iterator[pl.DataFrame]:
    start, tokens = 0, 0
    counts = missing.get_column("token_count").to_list()
    for position, count in enumerate(counts):
        if position > start and (tokens + count > GROUP_TOKENS or position - start >= GROUP_TEXTS):
            yield missing.slice(start, position - start)
            start, tokens = position, 0
        tokens += count
    if start < len(counts):
        yield missing.slice(start)
