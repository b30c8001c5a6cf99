"""The index asset, as Dagster shows it."""

from cortex_assets.engine.assets import stage_spec

SPEC = stage_spec(
    "index",
    None,
    description="The published search index of a shard: a projection of chunks, documents and embeddings, always rebuildable.",
    deps=["chunks", "documents", "embeddings"],
    group="index",
    kinds={"qdrant"},
)
