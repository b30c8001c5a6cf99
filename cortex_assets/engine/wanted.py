"""Which points a shard's index should show, and which of them differ from those that it shows.

All of it by ids and hashes in Delta, against the generation's sidecar. Publishing the difference is ``engine.project``'s,
what a point is ``index.points``'.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

import polars as pl

from cortex_assets.chunks.schema import CHUNKS
from cortex_assets.documents.schema import DOCUMENTS
from cortex_assets.embeddings.schema import EMBEDDINGS
from cortex_assets.engine.fingerprint import Producer
from cortex_assets.engine.fresh import FreshVectors
from cortex_assets.engine.grown import Files, added_files, data_files
from cortex_assets.engine.hash_parts import hash_parts
from cortex_assets.engine.narrow import narrow
from cortex_assets.engine.publication import Changes
from cortex_assets.engine.selection import EVERY, Selection
from cortex_assets.index.points import code_language, desired_points, diff, point_payload
from cortex_assets.retrieval.sparse import encode_points
from inference.protocols import Space
from resources.lakehouse import Lakehouse
from resources.vectors.protocol import VectorStore

_PLANNED = ("chunk_id", "row_hash", "embed_hash", "document_id", "is_active", "input_key")


@dataclass(frozen=True, slots=True)
class _Level:
    """What a generation shows whole: each chunk in these files, with its vector."""

    generation: int
    files: Files


class WantedPoints:
    """The points of one space."""

    def __init__(
        self, space: Space, store: VectorStore, lake: Lakehouse, fresh: FreshVectors, selection: Selection = EVERY
    ) -> None:
        """Bind; nothing is read yet. ``selection``: which chunks are in the space."""
        self._space, self._store, self._lake, self._fresh = space, store, lake, fresh
        self.selection = selection
        self._levels: dict[str, _Level] = {}

    def versions(self) -> dict[str, int]:
        """Of the tables that points are made of."""
        return {t.name: self._lake.version(t) for t in (DOCUMENTS, CHUNKS, EMBEDDINGS)}

    def desired(self, shard: str) -> pl.DataFrame:
        """What the points of a shard should be: ``chunk_id point_hash has_vector``."""
        chunks = self.selection.of(self._lake, shard).select(_PLANNED)
        documents, vectors = self._documents(shard), self._vectors()
        parts = hash_parts("embed_hash", self._lake.rows(CHUNKS))
        return pl.concat(
            desired_points(chunks.filter(part), documents, vectors.filter(part), encoder_version()) for part in parts
        )

    def _documents(self, shard: str) -> pl.LazyFrame:
        return narrow(self._lake, DOCUMENTS, {"shard": shard}).select("document_id", "row_hash")

    def _vectors(self) -> pl.LazyFrame:
        return narrow(self._lake, EMBEDDINGS, {"space_id": self._space.space_id}).select("embed_hash")

    def pending(self, shard: str) -> tuple[pl.DataFrame, list[str], list[str]]:
        """(desired points, ids to upsert, ids to delete) against the current generation's sidecar."""
        desired, held = self.desired(shard), self._store.sidecar(self._space.space_id, shard)
        upserts: list[str] = []
        deletes: list[str] = []
        for part in hash_parts("chunk_id", max(desired.height, held.height)):
            found = diff(desired.filter(part), held.filter(part))
            upserts += found.upserts
            deletes += found.deletes
        return desired, upserts, deletes

    def chunks_of(self, shard: str, embed_hashes: Sequence[str]) -> list[str]:
        """Ids of the points that show some vectors."""
        return (
            self.selection.of(self._lake, shard)
            .filter(pl.col("is_active") & pl.col("embed_hash").is_in(list(embed_hashes)))
            .select("chunk_id")
            .collect()
            .to_series()
            .to_list()
        )

    def rewritten(self, shard: str, upserts: Sequence[str], deletes: Sequence[str]) -> Changes:
        """Changes that publish points again that the sidecar thinks are right (repair)."""
        places = narrow(self._lake, CHUNKS, {"shard": shard})
        return self._changes(shard, self.versions(), self.desired(shard), places, upserts, deletes)

    def changes(self, shard: str) -> Changes:
        """What to publish so that the index shows what it should."""
        files, versions = data_files(self._lake, shard, self._space.space_id), self.versions()
        desired, upserts, deletes = self.pending(shard)
        places = narrow(self._lake, CHUNKS, {"shard": shard})
        return replace(self._changes(shard, versions, desired, places, upserts, deletes), files=files)

    def grown(self, shard: str, generation: int) -> Changes | None:
        """``changes`` as far as they come of what was added since everything was published; None where more than that may differ."""
        level = self._levels.get(shard)
        if level is None or level.generation != generation:
            return None
        files, versions = data_files(self._lake, shard, self._space.space_id), self.versions()
        added = added_files(level.files, files)
        if added is None:
            return None
        chunks = self.selection.added(self._lake, added[CHUNKS.name], _PLANNED)
        vectors = self._vectors().join(chunks.select("embed_hash"), on="embed_hash", how="semi")
        desired = desired_points(chunks, self._documents(shard), vectors, encoder_version())
        sidecar = self._store.sidecar(self._space.space_id, shard)
        held = sidecar.join(desired, on="chunk_id", how="semi")
        points = sidecar.height + desired.height - held.height
        changes = self._changes(shard, versions, desired, chunks, diff(desired, held).upserts, ())
        return replace(changes, points=points, files=files)

    def _changes(
        self,
        shard: str,
        versions: dict[str, int],
        desired: pl.DataFrame,
        chunks: pl.LazyFrame,
        upserts: Sequence[str],
        deletes: Sequence[str],
    ) -> Changes:
        """What to publish, in the order in which the chunks' rows are stored: a part of it lies in few files."""
        ids = pl.DataFrame({"chunk_id": upserts}, {"chunk_id": pl.String})
        wanted = desired.join(ids, on="chunk_id", how="semi")
        places = chunks.select("chunk_id", "embed_hash", "input_key", "document_id")
        found = places.join(wanted.lazy(), on="chunk_id", how="inner").collect(engine="streaming")
        sparse_only = desired.filter(~pl.col("has_vector")).height
        return Changes(
            desired.height,
            found.sort("input_key", "chunk_id"),
            deletes,
            versions,
            self.versions(),
            sparse_only,
            self._fresh.take(shard),
        )

    def settle(self, shard: str, generation: int, changes: Changes) -> None:
        """Changes are published as a generation: what is added from now on can be looked at by itself (``grown``)."""
        self._levels.pop(shard, None)
        if changes.files is not None and not changes.sparse_only:
            self._levels[shard] = _Level(generation, changes.files)


@cache
def encoder_version() -> str:
    """Version of what encodes the sparse terms and says what a point shows."""
    return Producer((encode_points, point_payload, code_language), ("PyStemmer",)).version()
