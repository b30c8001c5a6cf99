"""Jobs without assets of their own: nightly maintenance and verification. ``definitions`` passes what they do.

Verification that finds something is no failed run: its findings are failed checks of the assets, rows of ``ops/checks``
and an alert. A run that fails is one that could not be done.
"""

from collections.abc import Callable, Iterator, Sequence

import dagster as dg

from cortex_assets.engine.assets import WARNINGS
from cortex_assets.engine.care import Cared
from cortex_assets.engine.lease import LAKE
from cortex_assets.engine.pruning import Pruned
from cortex_assets.engine.verify import Finding, checks_of

BUSY_RETRY = dg.RetryPolicy(max_retries=4, delay=300)
"""A shard's run holds the lake: again in five minutes, four times."""
MOST_EXAMPLES = 20


def maintain_job(
    name: str, care: Callable[[], Sequence[Cared]], prune: Callable[[dg.DagsterInstance], Pruned]
) -> dg.JobDefinition:
    """Compact, vacuum, sweep, prune.

    Args:
        name: of the job.
        care: of the lake; raises LeaseBusy where a run is at work.
        prune: of Dagster's own memory.
    """

    @dg.op(name=f"{name}_lake", retry_policy=BUSY_RETRY, out={"done": dg.Out(dg.Nothing)})
    def maintain(context: dg.OpExecutionContext) -> None:
        pruned = prune(context.instance)
        cared = care()
        context.add_output_metadata(
            {
                "bytes freed": sum(one.bytes_freed for one in cared),
                "files before": sum(one.files_before for one in cared),
                "files after": sum(one.files_after for one in cared),
                "Dagster runs pruned": pruned.runs,
                "Dagster events pruned": pruned.events,
            },
            output_name="done",
        )

    @dg.job(
        name=name,
        executor_def=dg.in_process_executor,
        description="Compacts, vacuums and sweeps the lake; prunes what Dagster remembers.",
    )
    def job() -> None:
        maintain()

    return job


def verify_job(
    name: str, check: Callable[[], Iterator[tuple[str, list[Finding] | None]]], assets: Sequence[str]
) -> dg.JobDefinition:
    """Deep checks of everything.

    Args:
        name: of the job.
        check: yields (shard, findings), with None for a shard that a run holds; the whole lake is shard ``_lake``.
        assets: the sharded assets, whose checks take the findings.
    """

    @dg.op(name=f"{name}_lake", out={"done": dg.Out(dg.Nothing)})
    def verify(context: dg.OpExecutionContext) -> None:
        counts = {"shards checked": 0, "busy": 0, "findings": 0}
        known = set(context.instance.get_asset_keys())
        for shard, findings in check():
            if findings is None:
                counts["busy"] += 1
                context.log.warning(f"{shard}: a run is at work; it is verified the next time")
                continue
            counts["shards checked"] += shard != LAKE
            counts["findings"] += len(findings)
            for finding in findings:
                context.log.warning(finding.text)
            for result in evaluations(shard, findings, assets) if shard != LAKE else ():
                if result.asset_key in known:
                    context.instance.report_runless_asset_event(result)
        context.add_output_metadata(counts, output_name="done")

    @dg.job(
        name=name,
        executor_def=dg.in_process_executor,
        description="Compares every shard with its source: rows, bytes, vectors and points are read.",
    )
    def job() -> None:
        verify()

    return job


def evaluations(shard: str, findings: Sequence[Finding], assets: Sequence[str]) -> Iterator[dg.AssetCheckEvaluation]:
    """One result for each check of each asset of a shard; what is found of no asset's counts for the first one's parity."""
    for asset in assets:
        for check in checks_of(asset):
            mine = [f for f in findings if (f.asset, f.check) == (asset, check)]
            if (asset, check) == (assets[0], "parity"):
                mine += [f for f in findings if f.asset not in assets]
            yield dg.AssetCheckEvaluation(
                asset_key=dg.AssetKey(asset),
                check_name=check,
                passed=not mine,
                severity=dg.AssetCheckSeverity.WARN if check in WARNINGS else dg.AssetCheckSeverity.ERROR,
                metadata={
                    "findings": dg.MetadataValue.int(sum(f.count for f in mine)),
                    "examples": dg.MetadataValue.json([f.text for f in mine[:MOST_EXAMPLES]]),
                    "scope": dg.MetadataValue.text("deep"),
                },
                partition=shard,
            )
