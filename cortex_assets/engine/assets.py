"""The asset factory: a chain's stages as Dagster assets, one partition a shard, in one op (ARCHITECTURE 5).

One op, because a slice goes all the way through publish before the next begins and the shard's lease is held throughout;
each stage is an asset of its own in the lineage, can be selected alone, and reports its own materialization and checks.
What an asset is (description, owners, group) is declared in its room's ``assets.py``.
"""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import dagster as dg

from cortex_assets.engine.report import ShardReport, StageReport
from cortex_assets.engine.verify import Finding, checks_of
from cortex_assets.tables import TableSpec

OWNERS = ["team:cortex"]
LINEAGE = "dagster/column_lineage"
WARNINGS = frozenset({"freshness", "quality"})
MOST_EXAMPLES = 20
RETRIES = 2


def stage_spec(
    name: str,
    table: TableSpec | None,
    *,
    description: str,
    deps: Sequence[str] = (),
    group: str,
    kinds: set[str],
    lineage: Mapping[str, tuple[str, str]] | None = None,
) -> dg.AssetSpec:
    """Declare the asset of a stage.

    Args:
        name: asset key and stage name.
        table: its Delta table, for the schema shown in the UI; None for a projection.
        description: what it holds.
        deps: upstream asset names.
        group: group in the UI.
        kinds: kinds in the UI.
        lineage: column to (upstream asset, column), where it is cheap to say.
    """
    metadata: dict[str, Any] = {}
    if table is not None:
        metadata["dagster/table_name"] = table.name
        metadata["dagster/column_schema"] = table_schema(table)
    if lineage:
        metadata[LINEAGE] = dg.TableColumnLineage(
            {
                column: [dg.TableColumnDep(asset_key=dg.AssetKey(asset), column_name=source)]
                for column, (asset, source) in lineage.items()
            }
        )
    return dg.AssetSpec(
        name,
        deps=list(deps),
        description=description,
        group_name=group,
        kinds=kinds,
        owners=OWNERS,
        metadata=metadata,
        skippable=True,
    )


def table_schema(table: TableSpec) -> dg.TableSchema:
    """A table's declared columns in Dagster's terms."""
    columns = []
    for name, column in table.schema.columns().items():
        description = (column.metadata or {}).get("doc")
        constraints = dg.TableColumnConstraints(nullable=column.nullable, unique=table.key == (name,))
        columns.append(dg.TableColumn(name, str(column.dtype), description, constraints))
    return dg.TableSchema(columns)


def stage_metadata(report: StageReport) -> dict[str, Any]:
    """What a materialization shows of a stage's run."""
    metadata: dict[str, Any] = {
        "new": report.new,
        "changed": report.changed,
        "unchanged": report.unchanged,
        "deleted": report.deleted,
        "failed": report.failed,
        "quarantined": report.quarantined,
        "remaining": report.remaining,
        "rows written": report.rows_written,
        "seconds": dg.MetadataValue.float(round(report.seconds, 3)),
        "tokens": report.tokens,
    }
    if report.version >= 0:
        metadata["delta version"] = report.version
    if report.notes:
        metadata["notes"] = dg.MetadataValue.md("\n".join(f"- {note}" for note in report.notes[:20]))
    return metadata


def column_lineage(spec: dg.AssetSpec) -> dict[str, Any]:
    """The part of a spec's metadata that Dagster reads from materializations only."""
    return {name: value for name, value in spec.metadata.items() if name == LINEAGE}


def check_results(findings: Sequence[Finding], assets: Sequence[str]) -> Iterator[dg.AssetCheckResult]:
    """One result for each check of each asset: failed where a finding names it."""
    for asset in assets:
        for check in checks_of(asset):
            mine = [f for f in findings if f.asset == asset and f.check == check]
            yield dg.AssetCheckResult(
                asset_key=asset,
                check_name=check,
                passed=not mine,
                severity=dg.AssetCheckSeverity.WARN if check in WARNINGS else dg.AssetCheckSeverity.ERROR,
                metadata={"findings": sum(f.count for f in mine), "examples": [f.text for f in mine[:MOST_EXAMPLES]]},
            )


def chain_assets(
    name: str,
    specs: Sequence[dg.AssetSpec],
    partitions: dg.PartitionsDefinition[str],
    run: Callable[[str, frozenset[str]], ShardReport],
    check: Callable[[str], list[Finding]],
    retry_after: Callable[[Exception], float | None] = lambda error: None,
) -> dg.AssetsDefinition:
    """The assets of a chain.

    Args:
        name: of the op.
        specs: one a stage, in the order the data goes.
        partitions: the shards.
        run: runs the named stages over a shard under its lease.
        check: looks a shard over after the run.
        retry_after: seconds after which a run that an error ended is tried again within it, at most twice; None for an
            error that time does not heal. What differs still is asked for by the sensor, ever later.
    """
    keys = [spec.key.to_user_string() for spec in specs]
    lineage = {key: column_lineage(spec) for key, spec in zip(keys, specs, strict=True)}
    with warnings.catch_warnings():
        # Checks by partition are a preview in Dagster 1.13, which is pinned; without them one shard's pass hides another's failure.
        warnings.simplefilter("ignore", dg.PreviewWarning)
        checks = [dg.AssetCheckSpec(c, asset=k, partitions_def=partitions) for k in keys for c in checks_of(k)]

    @dg.multi_asset(
        name=name, specs=list(specs), check_specs=checks, partitions_def=partitions, can_subset=True, pool="model"
    )
    def chain(context: dg.AssetExecutionContext) -> Iterator[Any]:
        shard = context.partition_key
        selected = frozenset(key.to_user_string() for key in context.selected_asset_keys)
        try:
            report = run(shard, selected)
        except Exception as error:
            wait = retry_after(error)
            if wait is None:
                raise
            raise dg.RetryRequested(max_retries=RETRIES, seconds_to_wait=wait) from error
        if report.is_busy:
            context.log.warning(f"{shard}: already running in another process; nothing done here")
            return
        for stage in (s for s in report.stages.values() if s.stage in selected):
            yield dg.MaterializeResult(asset_key=stage.stage, metadata=stage_metadata(stage) | lineage[stage.stage])
        wanted = {(c.asset_key.to_user_string(), c.name) for c in context.selected_asset_check_keys}
        for result in check_results(check(shard), keys):
            if result.asset_key and (result.asset_key.to_user_string(), result.check_name) in wanted:
                yield result

    return chain


def lake_assets(
    name: str, specs: Sequence[dg.AssetSpec], refresh: Callable[[], dict[str, dict[str, int]]]
) -> dg.AssetsDefinition:
    """The aggregates and globals as unpartitioned assets: ``refresh`` runs what moved and returns counts by asset name."""

    @dg.multi_asset(name=name, specs=list(specs), can_subset=False)
    def lake() -> Iterator[Any]:
        for asset, counts in refresh().items():
            yield dg.MaterializeResult(asset_key=asset, metadata=dict(counts))

    return lake
