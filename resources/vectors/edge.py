"""The embedded vector store: per shard a list of immutable qdrant-edge segments, switched by one small file.

A publish writes only what changed: one new segment with the upserts (and with small segments merged into it), the list
of points that do not count any more, a manifest; then it switches. Readers look at ``current.json`` on every call and
keep segments open that both generations name. One publisher per shard at a time; any number of readers anywhere.
"""

import shutil
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import polars as pl

from resources.vectors import generation as files
from resources.vectors import publishing
from resources.vectors.filters import Filter
from resources.vectors.merging import SMALL_POINTS
from resources.vectors.protocol import (
    REAL_POINTS_SCHEMA,
    SIDECAR_SCHEMA,
    DamagedIndexError,
    Frequencies,
    Generation,
    Hit,
    Hits,
    Payload,
    SparseQuery,
    Upserts,
    check_query,
    checked,
)
from resources.vectors.quantizing import KINDS, NONE, checked_kind
from resources.vectors.ranking import ranked
from resources.vectors.reading import Floors, OpenGeneration, Part, as_hit, current_stamp, open_generation, payloads_of
from resources.vectors.segment import SegmentVanishedError

T = TypeVar("T")
_ATTEMPTS = 6
KEEP_SECONDS = 600.0


def _unheard(step: str) -> None:
    """Nobody is told of a publish's steps."""


class EdgeStore:
    """``VectorStore`` on local disk; see the module docstring."""

    takes_segments = True

    def __init__(
        self,
        root: Path,
        flat_points: int = SMALL_POINTS,
        full_points: int = 100_000,
        max_segments: int = 8,
        keep_seconds: float = KEEP_SECONDS,
        on_step: Callable[[str], None] | None = None,
        quantized: str = NONE,
    ) -> None:
        """Open nothing yet.

        Args:
            root: folder of all spaces; made when first published to.
            flat_points: segments of fewer points are one file, searched by scanning (``flat_segment``).
            full_points: a segment of so many is merged no more, and ``compact`` builds a graph of it; without one, dense
                search is exact.
            max_segments: large segments a shard may have beside full ones, and half as many small ones (``merging``).
            keep_seconds: how long generations older than the previous one stay readable.
            on_step: told ``segment``, ``generation``, ``switched``, ``collected`` while publishing.
            quantized: how vectors of segments that are written from now on are scanned (``quantizing``); ``compact`` brings
                those there are over.

        Raises:
            VectorStoreError: ``quantized`` is none of those.
        """
        self._root = root
        self._settings = publishing.PublishSettings(
            flat_points, full_points, max_segments, keep_seconds, on_step or _unheard, checked_kind(quantized)
        )
        self._lock = threading.Lock()
        self._opened: dict[tuple[str, str], OpenGeneration] = {}

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
        """See ``VectorStore.publish``."""
        folder = self._folder(space_id, shard)
        points = checked(upserts, dimensions)
        return publishing.publish(folder, dimensions, points, deletes, versions, replace, self._settings)

    def take_over(
        self, space_id: str, shard: str, sources: Sequence[str], ids: pl.Series, versions: Mapping[str, int]
    ) -> int:
        """See ``VectorStore.take_over``."""
        opened = [generation for source in sources if (generation := self._open(space_id, source)) is not None]
        wanted = ids.filter(~ids.is_in(self.sidecar(space_id, shard)["chunk_id"].implode()))
        parts = [part for generation in opened for part in generation.parts]
        if not parts or wanted.is_empty():
            return 0
        dimensions = opened[0].manifest.dimensions
        place = self._root / files.folder_name(space_id) / ".incoming"
        place.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place) as folder:
            target = Path(folder) / "segment"
            written = publishing.copy_points(target, dimensions, parts, wanted, self._settings)
            if written.len():
                upserts = Upserts(written, segment=target)
                publishing.publish(
                    self._folder(space_id, shard), dimensions, upserts, (), versions, False, self._settings
                )
        return written.len()

    def compact(self, space_id: str, shard: str) -> Generation | None:
        """See ``VectorStore.compact``."""
        return publishing.compact(self._folder(space_id, shard), self._settings)

    def drop(self, space_id: str, shard: str) -> None:
        """See ``VectorStore.drop``."""
        folder = self._folder(space_id, shard)
        if folder.exists():
            with files.publish_lock(folder):
                (folder / files.CURRENT).unlink(missing_ok=True)
                files.sync_file(folder)
                shutil.rmtree(folder)
        self._forget(space_id, [shard])

    def generation(self, space_id: str, shard: str) -> Generation | None:
        """See ``VectorStore.generation``."""
        manifest = files.read_manifest(self._folder(space_id, shard))
        return manifest.as_generation() if manifest else None

    def versions(self, space_id: str, shard: str) -> dict[str, int]:
        """See ``VectorStore.versions``."""
        generation = self.generation(space_id, shard)
        return dict(generation.versions) if generation else {}

    def shards(self, space_id: str) -> list[str]:
        """See ``VectorStore.shards``."""
        return files.shard_names(self._root / files.folder_name(space_id))

    def describe(self, space_id: str, shards: Sequence[str]) -> str:
        """See ``VectorStore.describe``."""
        manifests = [files.read_manifest(self._folder(space_id, shard)) for shard in shards]
        kinds = {entry.quantized for manifest in manifests if manifest for entry in manifest.segments if entry.live}
        return "+".join(sorted(kinds, key=KINDS.index)) or NONE

    def segment_folders(self, space_id: str, shard: str) -> list[Path]:
        """Folders of the current generation's segments; the qdrant-edge shard of each lies in its ``edge``."""
        folder = self._folder(space_id, shard)
        manifest = files.read_manifest(folder)
        return [folder / entry.folder for entry in manifest.segments] if manifest else []

    def sidecar(self, space_id: str, shard: str) -> pl.DataFrame:
        """See ``VectorStore.sidecar``."""

        def read(parts: list[Part]) -> pl.DataFrame:
            frames = [part.sidecar() for part in parts]
            return pl.concat([pl.DataFrame(schema=SIDECAR_SCHEMA), *frames])

        return self._reading(space_id, [shard], read)

    def real_points(self, space_id: str, shard: str) -> pl.DataFrame:
        """See ``VectorStore.real_points``; reads the disk anew, not what is open."""

        def read(parts: list[Part]) -> pl.DataFrame:
            frames = [part.real_points() for part in parts]
            return pl.concat([pl.DataFrame(schema=REAL_POINTS_SCHEMA), *frames]).sort("chunk_id", "row_hash")

        return self._reading(space_id, [shard], read)

    def search_dense(
        self, space_id: str, shards: Sequence[str], vector: Sequence[float], limit: int, where: Filter | None = None
    ) -> list[Hit]:
        """See ``VectorStore.search_dense``."""
        return self.search_batch(space_id, shards, vector, None, limit, where).dense

    def search_sparse(
        self,
        space_id: str,
        shards: Sequence[str],
        indices: Sequence[int],
        weights: Sequence[float],
        limit: int,
        where: Filter | None = None,
    ) -> list[Hit]:
        """See ``VectorStore.search_sparse``."""
        return self.search_batch(space_id, shards, None, SparseQuery(indices, weights), limit, where).sparse

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
        """See ``VectorStore.search_batch``."""
        if limit < 1:
            raise ValueError(f"search: limit {limit} must be at least 1")

        def read(parts: list[Part]) -> Hits:
            parts = sorted(parts, key=lambda part: -part.entry.live)
            floors = Floors(limit, sum(part.entry.has_graph for part in parts))
            # One after the other: qdrant-edge keeps Python's lock, so threads only get in each other's way.
            found = [part.search(vector, sparse, where, floors) for part in parts]
            halves = [
                ranked(((hit, part) for part, pair in zip(parts, found, strict=True) for hit in pair[half]), limit)
                for half in (0, 1)
            ]
            payloads = payloads_of([*halves[0], *halves[1]]) if with_payload else {}
            return Hits(*([as_hit(pair, payloads) for pair in half] for half in halves))

        return self._reading(space_id, shards, read, None if vector is None else len(vector))

    def sparse_scores(
        self, space_id: str, shards: Sequence[str], indices: Sequence[int], weights: Sequence[float], ids: Sequence[str]
    ) -> dict[str, float]:
        """See ``VectorStore.sparse_scores``."""
        query = SparseQuery(indices, weights)

        def read(parts: list[Part]) -> dict[str, float]:
            scores: dict[str, float] = {}
            for part in parts:
                for chunk, score in part.sparse_scores(query, ids):
                    scores[chunk] = max(score, scores.get(chunk, 0.0))
            return scores

        return self._reading(space_id, shards, read)

    def document_frequencies(self, space_id: str, shards: Sequence[str], terms: Sequence[int]) -> Frequencies:
        """See ``VectorStore.document_frequencies``."""
        wanted = np.asarray(terms, dtype=np.uint32)

        def read(parts: list[Part]) -> Frequencies:
            total = np.zeros(wanted.size, dtype=np.int64)
            for part in parts:
                total += part.frequencies(wanted)
            points = sum(part.entry.live for part in parts)
            return Frequencies(dict(zip(wanted.tolist(), total.tolist(), strict=True)), points)

        return self._reading(space_id, shards, read)

    def vectors(self, space_id: str, shards: Sequence[str], ids: Sequence[str]) -> dict[str, Sequence[float]]:
        """See ``VectorStore.vectors``."""

        def read(parts: list[Part]) -> dict[str, Sequence[float]]:
            found: dict[str, Sequence[float]] = {}
            for part in parts:
                found |= part.segment.vectors([chunk for chunk in ids if chunk not in part.dead and chunk not in found])
            return found

        return self._reading(space_id, shards, read)

    def payloads(self, space_id: str, ids: Sequence[str], shards: Sequence[str] | None = None) -> dict[str, Payload]:
        """See ``VectorStore.payloads``."""

        def read(parts: list[Part]) -> dict[str, Payload]:
            found: dict[str, Payload] = {}
            for part in parts:
                found |= part.segment.payloads(chunk for chunk in ids if chunk not in part.dead and chunk not in found)
            return found

        return self._reading(space_id, self.shards(space_id) if shards is None else shards, read)

    def close(self) -> None:
        """See ``VectorStore.close``."""
        with self._lock:
            opened, self._opened = list(self._opened.values()), {}
        for generation in opened:
            for part in generation.parts:
                part.segment.close()

    def _folder(self, space_id: str, shard: str) -> Path:
        return self._root / files.folder_name(space_id) / files.folder_name(shard)

    def _reading(
        self, space_id: str, shards: Sequence[str], read: Callable[[list[Part]], T], length: int | None = None
    ) -> T:
        """Read, and again when a newer generation took a segment away in between; ``length``: of the question's vector."""
        vanished = ""
        for _ in range(_ATTEMPTS):
            try:
                opened = [self._open(space_id, shard) for shard in dict.fromkeys(shards)]
                generations = [generation for generation in opened if generation is not None]
                for generation in generations if length is not None else ():
                    check_query(space_id, generation.manifest.dimensions, length or 0)
                return read([part for generation in generations for part in generation.parts])
            except SegmentVanishedError as error:
                vanished = str(error)
                self._forget(space_id, shards)
        raise DamagedIndexError(
            f"{vanished} is named by current.json and missing; rebuild the index: `cortex verify --repair`"
        )

    def _forget(self, space_id: str, shards: Sequence[str]) -> None:
        with self._lock:
            for shard in shards:
                self._opened.pop((space_id, shard), None)

    def _open(self, space_id: str, shard: str) -> OpenGeneration | None:
        folder = self._folder(space_id, shard)
        stamp = current_stamp(folder)
        if stamp is None:
            self._forget(space_id, [shard])
            return None
        with self._lock:
            known = self._opened.get((space_id, shard))
            if known is not None and known.stamp == stamp:
                return known
            opened = open_generation(folder, shard, stamp, known)
            if opened is not None:
                self._opened[space_id, shard] = opened
            return opened
