"""Calls of models out of the ledger that this machine's processes share into the lake, each once however often it is tried."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from cortex_assets.calls.schema import MODEL_CALLS
from resources.file_lock import alone
from resources.lakehouse import Lakehouse

if TYPE_CHECKING:
    from inference.generation.ledger import Ledger

_AT_ONCE: Final = 5_000
_PATIENCE: Final = 5.0
_RENAMED: Final = {"first_token": "first_token_seconds"}


@dataclass(frozen=True, slots=True)
class Drained:
    """What went into the lake.

    Attributes:
        calls: rows.
        failed: of them, those that gave no answer.
        tokens: read and written by engines.
        cost: by the configured prices.
    """

    calls: int = 0
    failed: int = 0
    tokens: int = 0
    cost: float = 0.0

    def __add__(self, other: "Drained") -> "Drained":
        return Drained(
            self.calls + other.calls, self.failed + other.failed, self.tokens + other.tokens, self.cost + other.cost
        )


def drain(lake: Lakehouse, ledger: "Ledger", lock: Path, machine: str) -> Drained:
    """Append what ended and is not in the lake yet; nothing where another process is at it.

    A process that is killed between the two writes leaves rows in the lake that the ledger does not know to be there: the
    next one looks before it appends.

    Args:
        lake: takes the rows.
        ledger: of this machine.
        lock: file that one process at a time holds.
        machine: name of it.
    """
    done = Drained()
    with alone(lock, _PATIENCE) as is_mine:
        while is_mine and (rows := ledger.undrained(_AT_ONCE)):
            frame = calls_frame(rows, machine)
            fresh = frame.join(_known(lake, frame), on="call_id", how="anti")
            if fresh.height:
                lake.append(MODEL_CALLS, fresh)
            ledger.drained([row["id"] for row in rows])
            done += summed(fresh)
    return done


def calls_frame(rows: Sequence[Mapping[str, Any]], machine: str) -> pl.DataFrame:
    """Rows of the ledger as rows of the table."""
    columns = {_RENAMED.get(name, name) for row in rows[:1] for name in row}
    given = [{_RENAMED.get(name, name): value for name, value in row.items()} for row in rows]
    frame = pl.DataFrame(given, infer_schema_length=None).select(columns)
    moments = pl.from_epoch((pl.col("started_at") * 1e6).cast(pl.Int64), time_unit="us").dt.replace_time_zone("UTC")
    flags = [pl.col(name).cast(pl.Boolean) for name in ("is_streamed", "is_estimated")]
    made = frame.with_columns(moments, *flags, machine=pl.lit(machine))
    return made.select(pl.col(name).cast(dtype) for name, dtype in MODEL_CALLS.dtypes.items())


def summed(calls: pl.DataFrame) -> Drained:
    """What some calls come to."""
    reached = calls.filter(pl.col("outcome") != "cached")
    bad = ~pl.col("outcome").is_in(["ok", "cached"])
    tokens = reached.select((pl.col("prompt_tokens") + pl.col("completion_tokens")).sum()).item()
    return Drained(calls.height, calls.filter(bad).height, int(tokens or 0), float(reached.get_column("cost").sum()))


def _known(lake: Lakehouse, frame: pl.DataFrame) -> pl.DataFrame:
    first, last = frame.select(pl.col("started_at").min().alias("a"), pl.col("started_at").max().alias("b")).row(0)
    there = lake.scan(MODEL_CALLS).filter(pl.col("started_at").is_between(first, last))
    return there.select("call_id").unique().collect()


def metadata_of(done: Drained, now: datetime | None = None) -> dict[str, Any]:
    """What the materialization shows."""
    at = (now or datetime.now(UTC)).isoformat(timespec="seconds")
    return {
        "dagster/row_count": done.calls, "failed": done.failed, "tokens": done.tokens, "cost": round(done.cost, 6), "at": at,
    }  # fmt: skip
