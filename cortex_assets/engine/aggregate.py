"""Aggregates: one group key to rows, from contributions in all shards (ARCHITECTURE 4).

The input hash of a group is the hash of its sorted (contribution id, row hash) pairs, found by one ``group_by`` on every
plan, so there is no dirty list to lose. Groups live in buckets, which take the place of shards; plan, ledger and apply are
those of maps. An aggregate has its own lease and runs after the shard runs, in the ``lake`` job.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import polars as pl

from cortex_assets.engine.derivation import Compute, MapDerivation
from cortex_assets.engine.fingerprint import Producer
from cortex_assets.engine.ledger import AssetLedger
from cortex_assets.engine.narrow import narrow
from cortex_assets.engine.plan import INPUTS, make_plan
from cortex_assets.engine.stage import MapStage, rows_of_keys
from cortex_assets.identity import value_hash
from cortex_assets.tables import TableSpec
from resources.lakehouse import Lakehouse
from resources.state import State

WHOLE = "all"
BUCKETS = tuple(f"b{number:02d}" for number in range(8))


@dataclass(frozen=True)
class AggregateDerivation:
    """An aggregate.

    Attributes:
        name: of the asset, and of its ledger.
        upstream: the table of contributions.
        output: a table with a ``shard`` column, which holds the bucket.
        group: the upstream column of group keys; null contributes to nothing.
        compute_columns: what ``compute`` is given besides the group.
        producer: what makes the rows.
        where: which upstream rows contribute.
        least: groups of fewer contributions have no rows.
    """

    name: str
    upstream: TableSpec
    output: TableSpec
    group: str
    compute_columns: tuple[str, ...]
    producer: Producer
    where: pl.Expr | None = None
    least: int = 1


def bucket_of(group: str) -> str:
    """The bucket of a group key."""
    return BUCKETS[value_hash(group) % len(BUCKETS)]


WholeCompute = Callable[[Mapping[str, pl.LazyFrame]], pl.DataFrame]
"""A global's function: table name to lazy frame in, the whole output out, in canonical order."""


class AggregateStage(MapStage):
    """An aggregate bound to a lake; ``run`` takes a bucket where a map takes a shard."""

    def __init__(self, derivation: AggregateDerivation, compute: Compute, lake: Lakehouse, state: State) -> None:
        """Bind; nothing is read yet."""
        as_map = MapDerivation(
            name=derivation.name,
            upstream=derivation.upstream,
            output=derivation.output,
            key=derivation.group,
            input_columns=(),
            compute_columns=derivation.compute_columns,
            producers={"": derivation.producer},
        )
        super().__init__(as_map, compute, lake, state)
        self.aggregate = derivation
        self._seen: tuple[int, pl.DataFrame] | None = None

    def _contributions(self) -> pl.LazyFrame:
        scan = narrow(self._lake, self.aggregate.upstream).filter(pl.col(self.aggregate.group).is_not_null())
        return scan if self.aggregate.where is None else scan.filter(self.aggregate.where)

    def _groups(self) -> pl.DataFrame:
        """All groups with their hash and bucket; read once per version of the upstream table."""
        version = self._lake.version(self.aggregate.upstream)
        if self._seen is None or self._seen[0] != version:
            key, identity = self.aggregate.group, self.aggregate.upstream.key[0]
            pairs = self._contributions().select(key, identity, "row_hash").sort(identity)
            grouped = pairs.group_by(key, maintain_order=True).agg(pl.col(identity), pl.col("row_hash")).collect()
            kept = grouped.filter(pl.col(identity).list.len() >= self.aggregate.least)
            rows = [
                (group, value_hash((tuple(ids), tuple(hashes))), bucket_of(group))
                for group, ids, hashes in kept.select(key, identity, "row_hash").iter_rows()
            ]
            frame = pl.DataFrame(
                rows, {"input_key": pl.String, "input_hash": pl.Int64, "bucket": pl.String}, orient="row"
            )
            self._seen = version, frame
        return self._seen[1]

    def inputs(self, shard: str) -> pl.DataFrame:
        """The groups of a bucket: columns ``plan.INPUTS``."""
        return _as_inputs(self._groups().filter(pl.col("bucket") == shard))

    def due(self, now: datetime) -> list[str]:
        """The buckets in which something is to do, sorted: all are compared at once, for after a small change most are quiet."""
        output = self._lake.scan(self.aggregate.output).select("shard", "input_key", "row_hash").collect()
        plan = make_plan(
            _as_inputs(_placed(self._groups(), "bucket")),
            _placed(self.ledger.everywhere(), "shard").drop("shard"),
            rows_of_keys(_placed(output, "shard").lazy()),
            self.versions,
            now,
        )
        places = [*plan.todo.get_column("input_key"), *plan.orphaned]
        return sorted({place.partition("/")[0] for place in places} & set(BUCKETS))

    def unlike_ledger(self, bucket: str) -> list[str]:
        """Groups whose rows are not what the ledger says was written, sorted."""
        ledger = self.ledger.latest(bucket).select("input_key", written="row_count", written_sum="row_sum")
        both = ledger.join(self.output(bucket), on="input_key", how="full", coalesce=True).with_columns(
            pl.col("row_count", "row_sum").fill_null(0)
        )
        is_like = (pl.col("written") == pl.col("row_count")) & (pl.col("written_sum") == pl.col("row_sum"))
        return both.filter(~is_like.fill_null(False)).get_column("input_key").sort().to_list()

    def _fetch(self, shard: str, batch: pl.DataFrame) -> pl.DataFrame:
        key = self.aggregate.group
        groups = batch.get_column("input_key").to_list()
        columns = list(dict.fromkeys((key, *self.aggregate.compute_columns)))
        frame = self._contributions().filter(pl.col(key).is_in(groups)).select(columns).collect()
        return frame.sort(columns)


def _as_inputs(groups: pl.DataFrame) -> pl.DataFrame:
    """Columns ``plan.INPUTS`` of groups with their hashes."""
    return groups.select(
        "input_key",
        pl.col("input_key").alias("source_key"),
        "input_hash",
        pl.lit("").alias("route"),
        pl.lit(1, dtype=pl.Int64).alias("weight"),
        pl.lit(None, dtype=INPUTS["newest"]).alias("newest"),
    )


def _placed(rows: pl.DataFrame, bucket: str) -> pl.DataFrame:
    """Rows whose ``input_key`` begins with their bucket, so that buckets can be compared together."""
    return rows.with_columns(input_key=pl.concat_str([bucket, "input_key"], separator="/"))


class WholeStage:
    """A global: a function of whole tables, recomputed whole when their content moved; one commit (ARCHITECTURE 4).

    Never the input of a map. The content hash of a table is its row count and the wrapping sum of its row hashes.
    """

    def __init__(
        self,
        name: str,
        upstream: tuple[TableSpec, ...],
        output: TableSpec,
        producer: Producer,
        compute: WholeCompute,
        lake: Lakehouse,
    ) -> None:
        """Bind; nothing is read yet."""
        self.name, self.upstream, self.output, self.producer = name, upstream, output, producer
        self._compute, self._lake = compute, lake
        self.ledger = AssetLedger(lake, name)

    def content(self) -> int:
        """Hash of what the global depends on."""
        sums = []
        for table in self.upstream:
            count, total = narrow(self._lake, table).select(pl.len(), pl.col("row_hash").sum()).collect().row(0)
            sums.append((table.name, count, total or 0))
        return value_hash(tuple(sums))

    def is_stale(self) -> bool:
        """Whether inputs, producer or output moved since the last run."""
        return self._is_stale(self.content())

    def _is_stale(self, content: int) -> bool:
        last = self._last()
        if last is None or (last["input_hash"], last["producer_version"]) != (content, self.producer.version()):
            return True
        return self._is_unlike(last)

    def is_unlike_ledger(self) -> bool:
        """Whether the output is not what the last run wrote, or nothing says who wrote it."""
        return self._is_unlike(self._last())

    def _is_unlike(self, last: Mapping[str, Any] | None) -> bool:
        output = self._lake.scan(self.output).collect()
        if last is None:
            return not output.is_empty()
        return (last["row_count"], last["row_sum"]) != (output.height, self._rows_hash(output))

    def _last(self) -> dict[str, Any] | None:
        rows = self.ledger.rows(WHOLE)
        return None if rows.is_empty() else rows.row(0, named=True)

    def _rows_hash(self, frame: pl.DataFrame) -> int:
        """Hash of the rows in the order of their key."""
        return value_hash(tuple(frame.select(list(self.output.dtypes)).sort(self.output.key).iter_rows()))

    def run(self, now: datetime) -> int:
        """Recompute when stale; the number of rows written (0 when nothing moved). The caller holds the stage's lease."""
        content = self.content()
        if not self._is_stale(content):
            return 0
        frame = self._compute({table.name: narrow(self._lake, table) for table in self.upstream})
        self._lake.overwrite(self.output, self.output.schema.validate(frame.select(list(self.output.dtypes))))
        row = {
            "input_key": WHOLE,
            "input_hash": content,
            "route": "",
            "producer_version": self.producer.version(),
            "row_count": frame.height,
            "row_sum": self._rows_hash(frame),
            "status": "ok",
            "reason": None,
            "attempts": 0,
            "retry_at": None,
            "noted_at": now,
        }
        dtypes = {name: dtype for name, dtype in self.ledger.table.dtypes.items() if name in row}
        self.ledger.record(WHOLE, pl.DataFrame([row], schema=dtypes))
        self.ledger.compact_if_scattered(WHOLE)
        return frame.height
