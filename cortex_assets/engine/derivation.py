"""What a derivation is: the declaration that a room hands to the engine. A map turns the rows of one input key into rows.

Aggregates and globals (ARCHITECTURE 4) get their declarations here when the first room needs one. How a map runs is
``engine.stage``; what is to do is ``engine.plan``.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import polars as pl

from cortex_assets.engine.fingerprint import Producer, versions_of
from cortex_assets.tables import TableSpec

DEFAULT_ROUTE = ""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a key could not be derived.

    Attributes:
        reason: at most 200 characters, no values.
        is_transient: time-out, memory, I/O or an engine: retried with back-off, then quarantined. Otherwise the same bytes
            with the same producer fail again, so the key waits for a change.
    """

    reason: str
    is_transient: bool = False


@dataclass(frozen=True, slots=True)
class Output:
    """Rows that a map made.

    Attributes:
        frame: rows of any keys of the batch, with ``input_key`` and ``row_hash``, without ``shard``.
        finished: keys that are complete with this frame. A key may have rows in several outputs; its leftovers are deleted
            and its ledger row is written with the one that finishes it.
        failures: finished keys that failed; their rows (if any) say so.
        kept: failed keys whose rows from before stay where there are any, marked (``MapDerivation.mark_kept``).
    """

    frame: pl.DataFrame
    finished: Sequence[str]
    failures: Mapping[str, Failure] = field(default_factory=dict)
    kept: frozenset[str] = frozenset()


class Compute(Protocol):
    """The doer of a map: rows of the input columns in, outputs out."""

    def __call__(self, rows: pl.DataFrame) -> Iterator[Output]:
        """Derive; every key of ``rows`` is finished by exactly one output."""
        ...


@dataclass(frozen=True)
class MapDerivation:
    """A map: one input key to rows, shard by shard.

    Attributes:
        name: of the asset, and of its ledger.
        upstream: the table read.
        output: the table written.
        key: the upstream column whose values are the input keys.
        input_columns: what the function depends on; a change in any other column moves nothing.
        compute_columns: what ``compute`` is given (with the key).
        producers: route name to producer; one under ``""`` where nothing is routed.
        route: upstream column whose value picks the producer through ``route_of``.
        route_of: maps that column's values to route names.
        weight: upstream column of a row's size (bytes or characters), for batching.
        newest: upstream column that orders the work, newest first.
        where: which upstream rows are inputs at all.
        mark_kept: (rows from before, key to failure) to the same rows marked stale, for keys in ``Output.kept``.
    """

    name: str
    upstream: TableSpec
    output: TableSpec
    key: str
    input_columns: tuple[str, ...]
    compute_columns: tuple[str, ...]
    producers: Mapping[str, Producer]
    route: str | None = None
    route_of: Callable[[str], str] | None = None
    weight: str | None = None
    newest: str | None = None
    where: pl.Expr | None = None
    mark_kept: Callable[[pl.DataFrame, Mapping[str, Failure]], pl.DataFrame] | None = None

    def versions(self) -> dict[str, str]:
        """Route name to producer version."""
        return versions_of(self.producers)
