"""The files, duplicates and statistics assets, as Dagster shows them."""

from cortex_assets.corpora.schema import CORPUS_STATISTICS, DUPLICATES, FILES
from cortex_assets.engine.assets import stage_spec

SPEC = stage_spec(
    "files",
    FILES,
    description="The files of a corpus as last listed: size, content hash, media type, status. Deletes pass the guard first.",
    group="bronze",
    kinds={"delta", "python"},
)
DUPLICATES_SPEC = stage_spec(
    "duplicates",
    DUPLICATES,
    description="Contents that stand in several files, in whatever corpora (an aggregate over all shards).",
    deps=["files"],
    group="silver",
    kinds={"delta", "polars"},
)
STATISTICS_SPEC = stage_spec(
    "corpus_statistics",
    CORPUS_STATISTICS,
    description="Each corpus in numbers: files, documents, chunks, tokens (recomputed whole when the tables moved).",
    deps=["files", "documents", "chunks"],
    group="gold",
    kinds={"delta", "polars"},
)
