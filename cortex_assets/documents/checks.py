"""Checks of the documents beyond their schema: whether they are complete, and how well they could be read.

A document that is not complete is right as it stands (its row says what is missing), so ``cortex verify`` does not count it
as damage; the checks after each run show it.
"""

import polars as pl

from cortex_assets.documents.quality import LOW
from cortex_assets.documents.schema import DOCUMENTS
from cortex_assets.engine.verify import Finding
from cortex_assets.tables import Status, short_reason
from resources.lakehouse import Lakehouse

MOST_LISTED = 50
"""So many documents are named, the worst first; the others are counted with the last."""


def reading_findings(lake: Lakehouse, shard: str) -> list[Finding]:
    """Documents of a shard of which something is missing, and those that could hardly be read."""
    columns = ("path", "inner", "status", "failed_pages", "reason", "quality_score", "quality_notes")
    rows = lake.scan(DOCUMENTS, where={"shard": shard}).select(columns).sort("path", "inner")
    missing = rows.filter(
        (pl.col("status") == Status.PARTIAL.value) | (pl.col("failed_pages").list.len() > 0)
    ).collect()
    is_read = pl.col("status").is_in([Status.OK.value, Status.PARTIAL.value])
    low = rows.filter(is_read & (pl.col("quality_score") < LOW)).collect().sort("quality_score", maintain_order=True)
    return [
        *_listed("complete", "incomplete", shard, [f"{_name(row)}: {_missing(row)}" for row in missing.to_dicts()]),
        *_listed("quality", "hardly read", shard, [f"{_name(row)}: {_noted(row)}" for row in low.to_dicts()]),
    ]


def _name(row: dict[str, object]) -> str:
    return f"{row['path']}{row['inner']}" if str(row["inner"]).startswith("/") else str(row["path"])


def _missing(row: dict[str, object]) -> str:
    pages = row["failed_pages"]
    failed = f"pages {', '.join(map(str, pages))} failed; " if isinstance(pages, list) and pages else ""
    return short_reason(f"{failed}{row['reason'] or ''}")


def _noted(row: dict[str, object]) -> str:
    notes = row["quality_notes"]
    return short_reason(f"{row['quality_score']}, {'; '.join(notes) if isinstance(notes, list) else ''}")


def _listed(check: str, kind: str, shard: str, names: list[str]) -> list[Finding]:
    """One finding a document, as many as are listed."""
    shown = names[:MOST_LISTED]
    rest = len(names) - len(shown)
    return [
        Finding("documents", check, kind, shard, 1 + (rest if number == len(shown) else 0), name)
        for number, name in enumerate(shown, start=1)
    ]
