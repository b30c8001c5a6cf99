"""Everything Dagster sees, put together here and nowhere else: assets, jobs, checks, sensors (``dagster dev -w workspace.yaml``).

Work belongs into the engine and the rooms; opening stores and models into ``house``.
"""

from datetime import UTC, datetime

import dagster as dg

from cortex_assets.chunks.assets import SPEC as CHUNKS_SPEC
from cortex_assets.corpora.assets import DUPLICATES_SPEC, STATISTICS_SPEC
from cortex_assets.corpora.assets import SPEC as FILES_SPEC
from cortex_assets.documents.assets import SPEC as DOCUMENTS_SPEC
from cortex_assets.embeddings.assets import SPEC as EMBEDDINGS_SPEC
from cortex_assets.engine.assets import chain_assets, lake_assets
from cortex_assets.engine.report import ShardReport
from cortex_assets.engine.verify import Finding
from cortex_assets.house import House
from cortex_assets.index.assets import SPEC as INDEX_SPEC
from cortex_assets.partitions import FILES_SHARDS
from resources.settings import Settings, load_settings
from sensors.shards import shard_sensor, successor_sensor

LOOK_SECONDS = 10.0
FILES_CHAIN = (FILES_SPEC, DOCUMENTS_SPEC, CHUNKS_SPEC, EMBEDDINGS_SPEC, INDEX_SPEC)


def build_defs(settings: Settings | None = None) -> dg.Definitions:
    """The definitions over the lake that the settings name (the environment's when None); opens nothing yet."""
    where = settings or load_settings()
    partitions = dg.DynamicPartitionsDefinition(name=FILES_SHARDS)

    def run(shard: str, only: frozenset[str]) -> ShardReport:
        with House.open(where) as house:
            return house.run_shard(shard, only=only)

    def check(shard: str) -> list[Finding]:
        with House.open(where) as house:
            return house.quick_check(shard)

    def refresh() -> dict[str, dict[str, int]]:
        with House.open(where) as house:
            return house.run_lake(datetime.now(UTC))

    def shards() -> list[str]:
        with House.open(where) as house:
            return house.sync_registry().shards

    def changes() -> dict[str, str]:
        with House.open(where) as house:
            return house.differing(LOOK_SECONDS)

    chain = chain_assets("files_chain", FILES_CHAIN, partitions, run, check)
    lake = lake_assets("lake_tables", (DUPLICATES_SPEC, STATISTICS_SPEC), refresh)
    chain_job = dg.define_asset_job(
        "files",
        selection=[spec.key for spec in FILES_CHAIN],
        description="One shard, slice by slice, from its listing to its published index.",
        executor_def=dg.in_process_executor,
    )
    lake_job = dg.define_asset_job(
        "lake",
        selection=[DUPLICATES_SPEC.key, STATISTICS_SPEC.key],
        description="Aggregates and whole-table functions, after the shards.",
        executor_def=dg.in_process_executor,
    )
    return dg.Definitions(
        assets=[chain, lake],
        jobs=[chain_job, lake_job],
        sensors=[
            shard_sensor("new_shards", chain_job, FILES_SHARDS, shards, changes),
            successor_sensor("next_slices", chain_job, "lake", lake_job),
        ],
    )


defs = build_defs()
