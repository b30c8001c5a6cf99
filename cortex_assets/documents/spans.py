"""Findings as rows: the spans table that the column ``findings`` of ``bronze/documents`` is, and counts for the audit table.

A table of its own would cost every run a stage; the column costs the rows that have findings.
"""

from collections.abc import Mapping
from datetime import datetime

import polars as pl

from cortex_assets.documents.redact import MASKED, PERSONAL_IDS, Redaction
from cortex_assets.ops.schema import SECRET_COUNTS


def secret_spans(documents: pl.LazyFrame) -> pl.LazyFrame:
    """One row a finding: ``document_id``, ``corpus_id``, ``path``, ``inner``, then rule, place, line, start and end.

    Args:
        documents: rows of ``bronze/documents``.
    """
    found = documents.filter(pl.col("findings").list.len() > 0)
    columns = ("document_id", "corpus_id", "path", "inner", "findings")
    return found.select(columns).explode("findings").unnest("findings").sort("path", "inner", "start_char")


def secret_counts(
    shard: str, corpus_id: str, counts: Mapping[str, int], redaction: Redaction, now: datetime
) -> pl.DataFrame:
    """Rows of ``ops/secret_counts`` for what a run found in a shard: rule to number."""
    rows = [
        {
            "shard": shard,
            "corpus_id": corpus_id,
            "rule": rule,
            "found": count,
            "is_masked": redaction.secrets == MASKED or rule in PERSONAL_IDS,
            "found_at": now,
        }
        for rule, count in sorted(counts.items())
    ]
    return pl.DataFrame(rows, schema=SECRET_COUNTS.dtypes)
