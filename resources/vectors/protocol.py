"""What a vector store promises: frames in, ranked hits out. Backends live in ``edge`` and ``server``.

A store knows spaces, shards, points and payloads; it knows no table of the lake. What is in an upsert frame:

==========  ==============  ====================================================================================
chunk_id    String          32 hex digits; the point's id is the same number as a UUID
row_hash    Int64           hash of everything the point shows: what ``sidecar`` compares
vector      List(Float32)   L2-normalized, ``dimensions`` long; null for a point that is found by words only
terms       List(UInt32)    indices of the sparse vector, each once
weights     List(Float32)   its values, as many as ``terms``
(others)    any scalar      payload as it is; Datetime columns are stored as ISO 8601 text in UTC
==========  ==============  ====================================================================================
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol, TypeAlias

import polars as pl

from resources.vectors.filters import Filter

PayloadValue: TypeAlias = str | int | float | bool | None
Payload: TypeAlias = dict[str, PayloadValue]

POINT_COLUMNS = ("chunk_id", "row_hash", "vector", "terms", "weights")
SIDECAR_SCHEMA = {"chunk_id": pl.String, "row_hash": pl.Int64}
REAL_POINTS_SCHEMA = {"chunk_id": pl.String, "row_hash": pl.Int64, "has_vector": pl.Boolean}


class VectorStoreError(Exception):
    """Root of the errors of this package; the message says what, where and what to do."""


class BadPointsError(VectorStoreError):
    """The frame that was to be published breaks the table in this module's docstring."""


class BadQueryError(VectorStoreError):
    """A vector that the space asked cannot be compared with: another model made it."""


class PublishBusyError(VectorStoreError):
    """Another publish holds the shard."""


class IndexWriteError(VectorStoreError):
    """The engine could not write a new segment (disk full, limits); the current generation stays as it is."""


class DamagedIndexError(VectorStoreError):
    """Files of the current generation cannot be read; the index is a projection: publish with ``replace=True``."""


@dataclass(frozen=True, slots=True)
class Generation:
    """One published state of a shard.

    Attributes:
        number: grows with every publish that changed something.
        points: live points.
        versions: Delta table name to the version the points were made from.
        segments: immutable parts it consists of (1 on a server).
        upserted: points this publish wrote, merged ones not counted; 0 when read back.
        deleted: points this publish removed without replacing them; 0 when read back.
    """

    number: int
    points: int
    versions: Mapping[str, int] = field(default_factory=dict)
    segments: int = 1
    upserted: int = 0
    deleted: int = 0


@dataclass(frozen=True, slots=True)
class Hit:
    """One ranked point: ``score`` is rounded to 1e-4; ``payload`` is empty where it was not asked for."""

    chunk_id: str
    score: float
    payload: Payload
    shard: str


class SparseQuery(NamedTuple):
    """A query's sparse vector; its weights already carry idf, which stored vectors do not."""

    indices: Sequence[int]
    weights: Sequence[float]


class Hits(NamedTuple):
    """Both halves of a hybrid search, each ranked by (score descending, chunk_id)."""

    dense: list[Hit]
    sparse: list[Hit]


class Frequencies(NamedTuple):
    """``documents[term]`` = live points that hold the term; ``points`` = live points, over all shards asked."""

    documents: dict[int, int]
    points: int


@dataclass(frozen=True, slots=True)
class Upserts:
    """Points that come in parts, so that few of them are in memory at once, or that are written already.

    Attributes:
        ids: chunk ids of all parts.
        parts: frames as in the module docstring; read once.
        segment: a folder that ``publishing.write_segment`` made of them, perhaps in another process; moved into the
            index. Only for a store that ``takes_segments``.
    """

    ids: pl.Series
    parts: Iterable[pl.DataFrame] = ()
    segment: Path | None = None

    @property
    def height(self) -> int:
        """Number of points."""
        return len(self.ids)


class VectorStore(Protocol):
    """The door to an index. Shards that were never published are empty, not an error."""

    takes_segments: bool
    """Whether points may come as a segment that is written already."""

    def publish(
        self,
        space_id: str,
        dimensions: int,
        shard: str,
        upserts: pl.DataFrame | Upserts,
        deletes: Sequence[str],
        versions: Mapping[str, int],
        replace: bool = False,
    ) -> Generation:
        """Delete, then upsert, then name the result the shard's current generation, atomically for readers.

        A publish that changes neither points nor versions writes nothing. An id may be in both ``deletes`` and
        ``upserts``: then every copy of it is removed first, whatever the sidecar says.

        Args:
            space_id: embedding space.
            dimensions: length of its vectors.
            shard: which shard.
            upserts: frame as in the module docstring, or several; may have no rows.
            deletes: chunk ids; unknown ones are no error.
            versions: Delta table name to version.
            replace: forget the current generation and build from ``upserts`` alone.

        Raises:
            BadPointsError: the frame is not what the module docstring says.
            PublishBusyError: another publish holds the shard.
        """
        ...

    def generation(self, space_id: str, shard: str) -> Generation | None:
        """The current generation, or None."""
        ...

    def versions(self, space_id: str, shard: str) -> dict[str, int]:
        """Delta versions of the current generation, empty where there is none."""
        ...

    def shards(self, space_id: str) -> list[str]:
        """Names of the published shards of a space, sorted."""
        ...

    def drop(self, space_id: str, shard: str) -> None:
        """Remove a shard's index; none there is no error."""
        ...

    def take_over(
        self, space_id: str, shard: str, sources: Sequence[str], ids: pl.Series, versions: Mapping[str, int]
    ) -> int:
        """Give a shard points that other shards hold, as they are: nothing is encoded. It keeps its own.

        Args:
            space_id: embedding space.
            shard: which takes them; it may be new.
            sources: shards that hold them; they keep theirs, where the store can show a point in two shards.
            ids: chunk ids; those that no source holds are left out.
            versions: Delta table name to version, of the generation that it makes.

        Returns:
            How many points the shard was given.

        Raises:
            DamagedIndexError: a source cannot be read.
        """
        ...

    def compact(self, space_id: str, shard: str) -> Generation | None:
        """Merge a shard's segments into one; None where there is no generation. For maintenance."""
        ...

    def describe(self, space_id: str, shards: Sequence[str]) -> str:
        """How the vectors of some shards are scanned now: kinds of ``quantizing``, joined by + where segments differ."""
        ...

    def sidecar(self, space_id: str, shard: str) -> pl.DataFrame:
        """What the generation says it holds: ``chunk_id``, ``row_hash``, in no order."""
        ...

    def real_points(self, space_id: str, shard: str) -> pl.DataFrame:
        """What the points themselves say: ``chunk_id``, ``row_hash``, ``has_vector``; an id held twice is two rows."""
        ...

    def search_dense(
        self, space_id: str, shards: Sequence[str], vector: Sequence[float], limit: int, where: Filter | None = None
    ) -> list[Hit]:
        """The ``limit`` points nearest by dot product.

        Raises:
            BadQueryError: the vector has another length than the space's.
        """
        ...

    def search_sparse(
        self,
        space_id: str,
        shards: Sequence[str],
        indices: Sequence[int],
        weights: Sequence[float],
        limit: int,
        where: Filter | None = None,
    ) -> list[Hit]:
        """The ``limit`` points with the greatest sparse dot product; points without a common term are no hits."""
        ...

    def search_batch(
        self,
        space_id: str,
        shards: Sequence[str],
        vector: Sequence[float] | None,
        sparse: SparseQuery | None,
        limit: int,
        where: Filter | None = None,
        with_payload: bool = True,
    ) -> Hits:
        """Both searches in one call; a half that is None is empty."""
        ...

    def sparse_scores(
        self, space_id: str, shards: Sequence[str], indices: Sequence[int], weights: Sequence[float], ids: Sequence[str]
    ) -> dict[str, float]:
        """The sparse dot product of the points among ``ids``; one without a common term may be left out."""
        ...

    def document_frequencies(self, space_id: str, shards: Sequence[str], terms: Sequence[int]) -> Frequencies:
        """How many live points hold each term, exact after updates and deletes."""
        ...

    def vectors(self, space_id: str, shards: Sequence[str], ids: Sequence[str]) -> dict[str, Sequence[float]]:
        """The vectors of the points among ``ids`` that have one, in the precision in which the index keeps them."""
        ...

    def payloads(self, space_id: str, ids: Sequence[str], shards: Sequence[str] | None = None) -> dict[str, Payload]:
        """Payloads by chunk id over ``shards`` (None: all of the space); unknown ids are left out."""
        ...

    def close(self) -> None:
        """Let go of open files."""
        ...


def checked(upserts: pl.DataFrame | Upserts, dimensions: int) -> Upserts:
    """The points to publish, each part of them checked before a store sees it (``check_upserts``)."""
    if isinstance(upserts, pl.DataFrame):
        check_upserts(upserts, dimensions)
        return Upserts(upserts["chunk_id"], [upserts] if upserts.height else [])
    if upserts.ids.n_unique() != len(upserts.ids):
        raise BadPointsError("publish: an id stands twice among the upserts; nothing was written")
    return upserts if upserts.segment else Upserts(upserts.ids, _checked_parts(upserts, dimensions))


def _checked_parts(upserts: Upserts, dimensions: int) -> Iterator[pl.DataFrame]:
    done = 0
    for part in upserts.parts:
        check_upserts(part, dimensions)
        expected = upserts.ids.slice(done, part.height)
        if not part["chunk_id"].sort().equals(expected.sort()):
            raise BadPointsError(
                f"publish: points {done} to {done + part.height} are not those announced; not published"
            )
        done += part.height
        if part.height:
            yield part
    if done != upserts.height:
        raise BadPointsError(f"publish: {upserts.height} points were announced and {done} came; not published")


def check_query(space_id: str, dimensions: int, length: int) -> None:
    """Refuse a question's vector that is not as long as those of the space.

    Raises:
        BadQueryError: naming both lengths.
    """
    if length != dimensions:
        raise BadQueryError(
            f"search: space {space_id} holds vectors of {dimensions} dimensions, and the question's has {length}: "
            "another model made it; embed the question with the space's own model"
        )


def check_upserts(upserts: pl.DataFrame, dimensions: int) -> None:
    """Refuse a frame that a store could only half understand.

    Raises:
        BadPointsError: naming the column or the first offending chunk id.
    """
    missing = [name for name in POINT_COLUMNS if name not in upserts.columns]
    if missing:
        raise BadPointsError(f"publish: the upsert frame lacks {missing}; it needs {list(POINT_COLUMNS)}")
    if upserts.is_empty():
        return
    lengths, terms = pl.col("vector").list.len(), pl.col("terms")
    faults = {
        "chunk_id is not 32 lower-case hex digits": ~pl.col("chunk_id").str.contains(r"^[0-9a-f]{32}$"),
        "chunk_id is repeated": pl.col("chunk_id").is_duplicated(),
        "row_hash is null": pl.col("row_hash").is_null(),
        f"vector is not {dimensions} long": lengths.is_not_null() & (lengths != dimensions),
        "terms and weights differ in length": terms.list.len() != pl.col("weights").list.len(),
        "a term is repeated": terms.list.n_unique() != terms.list.len(),
    }
    for fault, condition in faults.items():
        bad = upserts.filter(condition.fill_null(True))
        if bad.height:
            raise BadPointsError(
                f"publish: {fault} in {bad.height} rows, first {bad['chunk_id'][0]!r}; nothing was written"
            )
