"""What a table is: its name, kind, schema and keys, declared once per table in a room's ``schema.py``.

Add a field here only when every table needs it. Storage lives in ``resources.lakehouse``, which takes a ``TableSpec``
as an argument.
"""

from dataclasses import dataclass
from enum import StrEnum

import dataframely as dy
import polars as pl


class Kind(StrEnum):
    """How a table is partitioned and who may delete from it (ARCHITECTURE 3)."""

    SHARDED = "sharded"
    GLOBAL = "global"
    HUMAN = "human"
    OPS = "ops"


class Status(StrEnum):
    """The one status enum of every table; anything but ``ok`` comes with a reason."""

    OK = "ok"
    PARTIAL = "partial"
    EMPTY = "empty"
    FAILED = "failed"
    QUARANTINED = "quarantined"
    UNSUPPORTED = "unsupported"
    TOO_LARGE = "too_large"
    IGNORED = "ignored"


STATUSES = tuple(status.value for status in Status)
REASON_LIMIT = 200


def short_reason(text: str) -> str:
    """A reason as it is stored: one line, at most 200 characters."""
    line = " ".join(text.split())
    return line if len(line) <= REASON_LIMIT else line[: REASON_LIMIT - 1] + "…"


@dataclass(frozen=True, slots=True)
class TableSpec:
    """One table of the lake.

    Attributes:
        name: path below the lake root, such as ``bronze/documents``.
        kind: who partitions and deletes.
        schema: the dataframely class with types and rules.
        key: the columns that identify a row.
        partition_by: Delta partition columns; a sharded table's is ``("shard",)``.
        unhashed: columns that do not count in ``row_hash``.
        sort_by: order of rows inside a file, so that literal keys prune files.
    """

    name: str
    kind: Kind
    schema: type[dy.Schema]
    key: tuple[str, ...]
    partition_by: tuple[str, ...] = ()
    unhashed: tuple[str, ...] = ()
    sort_by: tuple[str, ...] = ()

    @property
    def dtypes(self) -> dict[str, pl.DataType]:
        """Column name to Polars dtype, in declaration order."""
        return {name: column.dtype for name, column in self.schema.columns().items()}


def sharded(name: str, schema: type[dy.Schema], key: str, unhashed: tuple[str, ...] = ()) -> TableSpec:
    """Declare a table that maps write: partitioned by ``shard``, rows carry ``input_key`` and ``row_hash``."""
    return TableSpec(name, Kind.SHARDED, schema, (key,), ("shard",), unhashed, ("input_key", key))
