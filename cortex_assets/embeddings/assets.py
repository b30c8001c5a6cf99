"""The embeddings asset, as Dagster shows it."""

from cortex_assets.embeddings.schema import EMBEDDINGS
from cortex_assets.engine.assets import stage_spec

SPEC = stage_spec(
    "embeddings",
    EMBEDDINGS,
    description="One vector for each distinct text and space. Keyed by content: a rename or an equal text makes no call.",
    deps=["chunks"],
    group="silver",
    kinds={"delta", "torch"},
    lineage={"embed_hash": ("chunks", "embed_hash")},
)
