"""The derivations of the corpora room that run in the ``lake`` job: duplicates (an aggregate) and statistics (a global)."""

from collections.abc import Iterator

import polars as pl

from cortex_assets.chunks.schema import CHUNKS
from cortex_assets.corpora.duplicates import COLUMNS, duplicate_rows
from cortex_assets.corpora.schema import CORPUS_STATISTICS, DUPLICATES, FILES
from cortex_assets.corpora.statistics import corpus_statistics
from cortex_assets.documents.schema import DOCUMENTS
from cortex_assets.engine.aggregate import AggregateDerivation, AggregateStage, WholeStage
from cortex_assets.engine.derivation import Output
from cortex_assets.engine.fingerprint import Producer
from resources.lakehouse import Lakehouse
from resources.state import State


def duplicates_stage(lake: Lakehouse, state: State) -> AggregateStage:
    """Contents that stand in several files."""
    derivation = AggregateDerivation(
        name="duplicates",
        upstream=FILES,
        output=DUPLICATES,
        group="content_hash",
        compute_columns=COLUMNS,
        producer=Producer((duplicate_rows,)),
        least=2,
    )
    return AggregateStage(derivation, _duplicates, lake, state)


def _duplicates(rows: pl.DataFrame) -> Iterator[Output]:
    for frame in duplicate_rows(rows):
        yield Output(frame, frame.get_column("input_key").to_list())


def statistics_stage(lake: Lakehouse) -> WholeStage:
    """Each corpus in numbers."""
    tables = (FILES, DOCUMENTS, CHUNKS)
    return WholeStage(
        "corpus_statistics", tables, CORPUS_STATISTICS, Producer((corpus_statistics,)), corpus_statistics, lake
    )
