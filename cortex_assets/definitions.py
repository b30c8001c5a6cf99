"""Everything Dagster sees, put together here and nowhere else: assets, jobs, checks, sensors, schedules.

Work belongs into the engine and the rooms; opening stores and models into ``house``; what the sensors ask of the house into
``watching``.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import dagster as dg

from cortex_assets.calls.assets import SPEC as CALLS_SPEC
from cortex_assets.calls.assets import calls_assets
from cortex_assets.calls.checks import lanes_check
from cortex_assets.calls.derive import Drained
from cortex_assets.checking import deep_checks, quick_check
from cortex_assets.chunks.assets import SPEC as CHUNKS_SPEC
from cortex_assets.corpora.assets import DUPLICATES_SPEC, STATISTICS_SPEC
from cortex_assets.corpora.assets import SPEC as FILES_SPEC
from cortex_assets.documents.assets import SPEC as DOCUMENTS_SPEC
from cortex_assets.embeddings.assets import SPEC as EMBEDDINGS_SPEC
from cortex_assets.engine.assets import chain_assets, column_lineage, lake_assets
from cortex_assets.engine.care import Cared
from cortex_assets.engine.pruning import Pruned, prune
from cortex_assets.engine.report import ShardReport
from cortex_assets.engine.upkeep import maintain_job, verify_job
from cortex_assets.engine.verify import Finding
from cortex_assets.evaluating import looked, shown
from cortex_assets.evaluating import refresh as evaluate_sets
from cortex_assets.evaluation.assets import SPEC as EVALUATIONS_SPEC
from cortex_assets.evaluation.assets import evaluation_assets
from cortex_assets.evaluation.checks import evaluation_checks
from cortex_assets.evaluation.derive import Looked
from cortex_assets.house import House
from cortex_assets.index.assets import SPEC as INDEX_SPEC
from cortex_assets.ops.alerts import Alert
from cortex_assets.ops.checks import alert_checks
from cortex_assets.partitions import FILES_SHARDS
from cortex_assets.promoting import guarded
from cortex_assets.watching import Watching, retry_after
from inference.errors import ConfigInvalid
from inference.generation.health import Health, lanes_down, looked_at
from resources.inference import configured
from resources.settings import Settings, load_settings
from resources.wrappers import InferenceResource
from sensors.after_runs import after_runs_sensor
from sensors.alerts import alert_sensor
from sensors.repositories import repository_sensor
from sensors.schedules import (
    EVALUATE_CRON,
    HEALTH_CRON,
    MAINTAIN_CRON,
    VERIFY_CRON,
    nightly,
    refresh_schedule,
    where_any,
)
from sensors.shards import shard_sensor

if TYPE_CHECKING:
    from sensors.shards import Job

DAGSTER = "dagster"
"""What ``ops/runs`` calls the trigger of runs from here."""
MAINTAIN_PATIENCE = 900.0
"""Seconds that the nightly maintenance waits in all for runs that are at work."""
FILES_CHAIN = (FILES_SPEC, DOCUMENTS_SPEC, CHUNKS_SPEC, EMBEDDINGS_SPEC, INDEX_SPEC)
LAKE_TABLES = (DUPLICATES_SPEC, STATISTICS_SPEC)


def build_defs(settings: Settings | None = None) -> dg.Definitions:
    """The definitions over the lake that the settings name (the environment's when None); opens nothing yet."""
    where = settings or load_settings()
    partitions = dg.DynamicPartitionsDefinition(name=FILES_SHARDS)
    watching = Watching(where, DAGSTER, chain_lineage)

    def run(shard: str, only: frozenset[str]) -> ShardReport:
        with House.open(where, DAGSTER) as house:
            return guarded(house).run_shard(shard, only=only)

    def check(shard: str) -> list[Finding]:
        with House.open(where, DAGSTER) as house:
            return quick_check(house, shard)

    def refresh() -> dict[str, dict[str, int]]:
        with House.open(where, DAGSTER) as house:
            return house.run_lake(datetime.now(UTC))

    def alerts() -> Sequence[Alert]:
        with House.open(where, DAGSTER) as house:
            return house.alerts(datetime.now(UTC))

    def drain_calls() -> Drained:
        with House.open(where, DAGSTER) as house:
            return house.drain_calls() or Drained()

    chain = chain_assets("files_chain", FILES_CHAIN, partitions, run, check, retry_after)
    chain_job = dg.define_asset_job(
        "files",
        selection=[spec.key for spec in FILES_CHAIN],
        description="One shard, slice by slice, from its listing to its published index.",
        executor_def=dg.in_process_executor,
    )
    lake_job = dg.define_asset_job(
        "lake",
        selection=dg.AssetSelection.assets(*(spec.key for spec in LAKE_TABLES))
        | dg.AssetSelection.assets(CALLS_SPEC.key).without_checks(),  # nobody waits for servers here
        description="Aggregates and whole-table functions, after the shards; calls of models out of the ledger.",
        executor_def=dg.in_process_executor,
    )
    maintain, verify = _upkeep(where)
    lanes, health = _lanes(where)
    evaluations, gates, evaluate = _evaluation(where)
    return dg.Definitions(
        assets=[chain, lake_assets("lake_tables", LAKE_TABLES, refresh), calls_assets(drain_calls), evaluations],
        resources={"inference": InferenceResource(data=str(where.data_dir))},
        asset_checks=[alert_checks(alerts), gates, lanes],
        jobs=[chain_job, lake_job, maintain, verify, evaluate, health],
        sensors=[
            shard_sensor("new_shards", chain_job, FILES_SHARDS, watching.look, watching.glance),
            repository_sensor("git_heads", chain_job, FILES_SHARDS, watching.repositories),
            after_runs_sensor(
                "after_runs",
                chain_job,
                lake_job,
                [maintain, verify, evaluate],
                watching.events_moved,
                watching.runs_failed,
                watching.deliver,
            ),
            alert_sensor("alerts", watching.alerts),
        ],
        schedules=[
            refresh_schedule("daily_refresh", chain_job, FILES_SHARDS, watching.shards),
            nightly("nightly_maintenance", maintain, MAINTAIN_CRON, "Maintains the lake every night."),
            nightly("nightly_verification", verify, VERIFY_CRON, "Verifies the lake every night."),
            where_any(
                "lanes_health",
                health,
                HEALTH_CRON,
                "Looks whether engines of the lanes are there.",
                partial(_no_engine, where),
            ),
            nightly("nightly_evaluation", evaluate, EVALUATE_CRON, "Asks the golden sets every night."),
        ],
    )


def chain_lineage() -> dict[str, dict[str, Any]]:
    """Where the columns of each asset of the chain come from, as materializations say it."""
    return {spec.key.to_user_string(): column_lineage(spec) for spec in FILES_CHAIN}


def _upkeep(where: Settings) -> tuple[dg.JobDefinition, dg.JobDefinition]:
    """The jobs of the night: maintenance, verification."""

    def care() -> Sequence[Cared]:
        with House.open(where, DAGSTER) as house:
            return house.maintain(wait_seconds=MAINTAIN_PATIENCE).cared

    def forget(instance: dg.DagsterInstance) -> Pruned:
        return prune(instance, where.dagster_home, datetime.now(UTC))

    def deep() -> Iterator[tuple[str, list[Finding] | None]]:
        with House.open(where, DAGSTER) as house:
            yield from deep_checks(house)

    assets = [spec.key.to_user_string() for spec in FILES_CHAIN]
    return maintain_job("maintain", care, forget), verify_job("verify", deep, assets)


def _lanes(where: Settings) -> tuple[dg.AssetChecksDefinition, "Job"]:
    """The check of the lanes, and the job that makes it."""

    def look() -> tuple[Sequence[str], Sequence[Health]]:
        with House.open(where, DAGSTER) as house:
            found = looked_at(house.lanes)
            return lanes_down(house.lanes, found), found

    check = lanes_check(look)
    job = dg.define_asset_job(
        "lanes_health",
        selection=dg.AssetSelection.checks(check),
        description="Looks whether every lane of models has an engine that is there.",
        executor_def=dg.in_process_executor,
    )
    return check, job


def _no_engine(where: Settings) -> str:
    """Why the lanes are not looked at; empty = they are."""
    try:
        return "" if configured(where).engines else "no engine is configured"
    except ConfigInvalid as error:
        return str(error)[:500]


def _evaluation(where: Settings) -> tuple[dg.AssetsDefinition, dg.AssetChecksDefinition, "Job"]:
    """The evaluations with their checks, and the job that makes both."""

    def refresh() -> dict[str, Any]:
        with House.open(where, DAGSTER) as house:
            return shown(evaluate_sets(house, house.register.now(), datetime.now(UTC)))

    def look() -> Looked:
        with House.open(where, DAGSTER) as house:
            return looked(house, house.register.now())

    job = dg.define_asset_job(
        "evaluate",
        selection=[EVALUATIONS_SPEC.key],
        description="Asks the golden sets what moved since the last time; fails where a change of ours lost quality.",
        executor_def=dg.in_process_executor,
    )
    return evaluation_assets(refresh), evaluation_checks(look), job


defs = build_defs()
