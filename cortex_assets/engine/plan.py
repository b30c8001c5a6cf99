"""The three-set plan of a map (pure): inputs, ledger and output of one shard in; what is new, stale, orphaned or unchanged out.

Reading the three sets is ``engine.stage``; doing the work is ``engine.apply``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import polars as pl

INPUTS = {
    "input_key": pl.String(),
    "source_key": pl.String(),
    "input_hash": pl.Int64(),
    "route": pl.String(),
    "weight": pl.Int64(),
    "newest": pl.Datetime("us", "UTC"),
}
LEDGER = {
    "input_key": pl.String(),
    "input_hash": pl.Int64(),
    "producer_version": pl.String(),
    "row_count": pl.Int64(),
    "row_sum": pl.Int64(),
    "status": pl.String(),
    "attempts": pl.Int64(),
    "retry_at": pl.Datetime("us", "UTC"),
}
OUTPUT = {"input_key": pl.String(), "row_count": pl.Int64(), "row_sum": pl.Int64()}


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to do for one shard.

    Attributes:
        todo: frame of ``INPUTS`` columns plus ``verdict`` (``new`` or ``stale``) and ``attempts``, in the order of work.
        orphaned: keys in output or ledger without an input, sorted.
        unchanged: number of keys with nothing to do.
        waiting: number of failed keys that wait for a change or for their time.
        next_retry: when the first waiting transient failure is due, or None.
    """

    todo: pl.DataFrame
    orphaned: list[str]
    unchanged: int
    waiting: int
    next_retry: datetime | None

    @property
    def new(self) -> int:
        """Number of keys never derived."""
        return self.todo.filter(pl.col("verdict") == "new").height

    @property
    def stale(self) -> int:
        """Number of keys whose input, producer or output changed."""
        return self.todo.height - self.new

    @property
    def is_empty(self) -> bool:
        """Nothing to derive and nothing to prune."""
        return self.todo.is_empty() and not self.orphaned


def make_plan(
    inputs: pl.DataFrame, ledger: pl.DataFrame, output: pl.DataFrame, versions: Mapping[str, str], now: datetime
) -> Plan:
    """Compare the three sets of one shard.

    Args:
        inputs: columns ``INPUTS``, one row a key.
        ledger: columns ``LEDGER``, the latest living row of each key.
        output: columns ``OUTPUT``: what ``group_by(input_key)`` of the output gives.
        versions: route to producer version as of now.
        now: decides which transient failures are due.

    Returns:
        The plan; work is sorted newest first, then by key.
    """
    known = pl.concat([ledger.select("input_key"), output.select("input_key")]).unique()
    orphaned = known.join(inputs, on="input_key", how="anti").get_column("input_key").sort().to_list()
    wanted = pl.col("route").replace_strict(dict(versions), default=None, return_dtype=pl.String)
    joined = (
        inputs.join(ledger.rename({c: f"{c}_done" for c in LEDGER if c != "input_key"}), on="input_key", how="left")
        .join(output.rename({"row_count": "count_now", "row_sum": "sum_now"}), on="input_key", how="left")
        .with_columns(pl.col("count_now").fill_null(0), pl.col("sum_now").fill_null(0), wanted=wanted)
    )
    has_ledger = pl.col("input_hash_done").is_not_null()
    moved = (
        (pl.col("input_hash") != pl.col("input_hash_done"))
        | (pl.col("wanted") != pl.col("producer_version_done"))
        | (pl.col("count_now") != pl.col("row_count_done"))
        | (pl.col("sum_now") != pl.col("row_sum_done"))
    ).fill_null(True)
    is_due = (pl.col("status_done") == "transient") & (pl.col("retry_at_done").fill_null(now) <= now)
    verdict = (
        pl.when(~has_ledger & (pl.col("count_now") == 0))
        .then(pl.lit("new"))
        .when(~has_ledger | moved | is_due)
        .then(pl.lit("stale"))
        .otherwise(pl.lit("unchanged"))
    )
    judged = joined.with_columns(
        verdict=verdict,
        attempts=pl.when(moved).then(0).otherwise(pl.col("attempts_done")).fill_null(0),
    )
    todo = judged.filter(pl.col("verdict") != "unchanged").sort(
        ["newest", "input_key"], descending=[True, False], nulls_last=True
    )
    idle = judged.filter(pl.col("verdict") == "unchanged")
    failed = idle.filter(pl.col("status_done") != "ok")
    retries = failed.filter(pl.col("status_done") == "transient").get_column("retry_at_done")
    return Plan(
        todo.select(*INPUTS, "verdict", "attempts"),
        orphaned,
        idle.height - failed.height,
        failed.height,
        retries.min() if retries.len() else None,  # type: ignore[arg-type]
    )
