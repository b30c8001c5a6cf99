"""What the lake is told of a table and tells of it: the declaration it needs, what a write did, what went wrong.

Any layer may name these. What is done to tables is ``lakehouse``'s; the tables themselves are declared in ``cortex_assets``.
"""

import re
from dataclasses import dataclass
from typing import Protocol

import polars as pl

_LITERAL = re.compile(r"^[\w .@:+=-]*$")


class Table(Protocol):
    """What the lakehouse needs to know of a table (``cortex_assets.tables.TableSpec`` has it)."""

    @property
    def name(self) -> str:
        """Path below the root, such as ``bronze/documents``."""
        ...

    @property
    def key(self) -> tuple[str, ...]:
        """Columns that identify a row."""
        ...

    @property
    def partition_by(self) -> tuple[str, ...]:
        """Delta partition columns."""
        ...

    @property
    def sort_by(self) -> tuple[str, ...]:
        """Order of rows inside files."""
        ...

    @property
    def dtypes(self) -> dict[str, pl.DataType]:
        """Column name to dtype."""
        ...


class LakeError(Exception):
    """The lake cannot do what was asked; the message names table, reason and remedy."""


class RepeatedIds(LakeError):
    """A batch holds one id twice; delta-rs would insert both rows without a word, so the batch is refused."""


class LakeFull(LakeError):
    """Free space is below the limit; nothing was written."""


@dataclass(frozen=True, slots=True)
class Commit:
    """What a write did: the version after it (unchanged where nothing was written) and row counts."""

    version: int
    inserted: int = 0
    updated: int = 0
    deleted: int = 0


def literal(value: str) -> str:
    """Quote a string for a Delta predicate; only ids, shard names and the like are allowed, never free text."""
    if not _LITERAL.match(value):
        raise LakeError(
            f"value {value[:60]!r} cannot stand in a table predicate: only word characters, space and .@:+=- may"
        )
    return f"'{value}'"
