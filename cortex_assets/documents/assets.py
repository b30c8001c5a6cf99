"""The documents asset, as Dagster shows it."""

from cortex_assets.documents.schema import DOCUMENTS
from cortex_assets.engine.assets import stage_spec

SPEC = stage_spec(
    "documents",
    DOCUMENTS,
    description="What a parser made of each file: text, structure, status and, where something failed, the reason.",
    deps=["files"],
    group="bronze",
    kinds={"delta", "polars"},
    lineage={"file_id": ("files", "file_id"), "path": ("files", "path"), "modified_at": ("files", "modified_at")},
)
