"""The chunks asset, as Dagster shows it."""

from cortex_assets.chunks.schema import CHUNKS
from cortex_assets.engine.assets import stage_spec

SPEC = stage_spec(
    "chunks",
    CHUNKS,
    description="Verbatim slices of documents, cut at structure under the model's exact token bound.",
    deps=["documents"],
    group="silver",
    kinds={"delta", "polars"},
    lineage={"document_id": ("documents", "document_id"), "text": ("documents", "text")},
)
