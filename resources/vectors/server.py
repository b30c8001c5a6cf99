"""The vector store on a Qdrant server: one collection per space, the shard in the payload.

A publish is deletes, then upserts, each waited for, then one point in ``GENERATIONS`` that records versions and counts.
A publish that is cut off leaves points without a record; they are found by ``sidecar``, which reads the points
themselves, so the next diff repairs it. Terms ride in the payload as well, because Qdrant cannot count by sparse term.
"""

import hashlib
import warnings
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import UUID

import polars as pl

from resources.vectors.filters import DATETIME_FIELDS, KEYWORD_FIELDS, AnyOf, Between, Filter, matching_paths
from resources.vectors.protocol import (
    REAL_POINTS_SCHEMA,
    BadPointsError,
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
from resources.vectors.quantizing import NONE, checked_kind, kind_of, server_parameters, server_quantization
from resources.vectors.ranking import DIGITS, Candidate, Floor, exact_top, ranked
from resources.vectors.stored import plain_payload

if TYPE_CHECKING:
    from qdrant_client import QdrantClient
    from qdrant_client import models as qm

GENERATIONS = "cortex_generations"
_BATCH = 500
_PAGE = 5_000
_COUNTED_EACH = 128
"""Of more terms than a question has, only those that occur are counted: spellings of a word are hundreds."""
_SHARD, _TERMS = "_shard", "_terms"


class ServerStore:
    """``VectorStore`` on a Qdrant server; see the module docstring. Readers see a publish while it runs."""

    takes_segments = False

    def __init__(self, client: "QdrantClient", quantized: str = NONE) -> None:
        """Use a connected client; ``connect`` makes one from a URL.

        Args:
            client: of the server.
            quantized: how collections scan their vectors (``quantizing``); one that does otherwise is changed by the next publish
                or ``compact``, and the server brings its segments over by itself.

        Raises:
            VectorStoreError: ``quantized`` is none of those.
        """
        self._client = client
        self._lengths: dict[str, int] = {}
        self._quantized = checked_kind(quantized)

    @classmethod
    def connect(cls, url: str, api_key: str | None = None, timeout: int = 60, quantized: str = NONE) -> "ServerStore":
        """Connect to ``url``; ``timeout`` in seconds holds for every call."""
        from qdrant_client import QdrantClient

        return cls(QdrantClient(url=url, api_key=api_key, timeout=timeout), quantized)

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
        incoming = checked(upserts, dimensions)
        self._ensure_collection(space_id, dimensions)
        current = self.generation(space_id, shard)
        doomed = self.sidecar(space_id, shard)["chunk_id"].to_list() if replace else [*deletes]
        present = set(self.payloads(space_id, doomed, [shard]))
        is_same = current is not None and not replace and dict(current.versions) == dict(versions)
        if current is not None and is_same and not incoming.height and not present:
            return current
        self._delete(space_id, sorted(present))
        for part in incoming.parts:
            self._upsert(space_id, shard, part)
        kept = set(incoming.ids)
        number = (current.number if current else 0) + 1
        points = self._count(space_id, [self._in_shards([shard])])
        self._record(space_id, shard, number, points, versions)
        return Generation(number, points, dict(versions), 1, incoming.height, len(present - kept))

    def generation(self, space_id: str, shard: str) -> Generation | None:
        """See ``VectorStore.generation``."""
        if not self._client.collection_exists(GENERATIONS):
            return None
        found = self._client.retrieve(GENERATIONS, [_record_id(space_id, shard)], with_payload=True)
        if not found:
            return None
        payload = found[0].payload or {}
        return Generation(payload["number"], payload["points"], payload["versions"])

    def versions(self, space_id: str, shard: str) -> dict[str, int]:
        """See ``VectorStore.versions``."""
        generation = self.generation(space_id, shard)
        return dict(generation.versions) if generation else {}

    def shards(self, space_id: str) -> list[str]:
        """See ``VectorStore.shards``."""
        if not self._client.collection_exists(GENERATIONS):
            return []
        records = self._scroll(GENERATIONS, [_any_of("space_id", [space_id])], ["shard"])
        return sorted(str((record.payload or {})["shard"]) for record in records)

    def drop(self, space_id: str, shard: str) -> None:
        """See ``VectorStore.drop``."""
        from qdrant_client import models as qm

        if self._client.collection_exists(space_id):
            selector = qm.FilterSelector(filter=qm.Filter(must=[self._in_shards([shard])]))
            self._client.delete(space_id, selector, wait=True)
        if self._client.collection_exists(GENERATIONS):
            ids = qm.PointIdsList(points=[_record_id(space_id, shard)])
            self._client.delete(GENERATIONS, ids, wait=True)

    def take_over(
        self, space_id: str, shard: str, sources: Sequence[str], ids: pl.Series, versions: Mapping[str, int]
    ) -> int:
        """See ``VectorStore.take_over``. A point has one shard here, so the sources lose it at once."""
        if not self._client.collection_exists(space_id):
            return 0
        held = self._stored(space_id, ids.to_list(), with_payload=False)
        moving = sorted(chunk for chunk, (place, _) in held.items() if place in sources and place != shard)
        for start in range(0, len(moving), _PAGE):
            points: list[Any] = [str(UUID(chunk)) for chunk in moving[start : start + _PAGE]]
            self._client.set_payload(space_id, {_SHARD: shard}, points, wait=True)
        if moving:
            current = self.generation(space_id, shard)
            count = self._count(space_id, [self._in_shards([shard])])
            self._record(space_id, shard, (current.number if current else 0) + 1, count, versions)
        return len(moving)

    def compact(self, space_id: str, shard: str) -> Generation | None:
        """See ``VectorStore.compact``; a server merges by itself."""
        if self._client.collection_exists(space_id):
            self._quantize(space_id)
        return self.generation(space_id, shard)

    def describe(self, space_id: str, shards: Sequence[str]) -> str:
        """See ``VectorStore.describe``; a collection is one kind."""
        return self._held(space_id) if self._client.collection_exists(space_id) else NONE

    def sidecar(self, space_id: str, shard: str) -> pl.DataFrame:
        """See ``VectorStore.sidecar``; the points themselves are the only list there is."""
        return self.real_points(space_id, shard).select("chunk_id", "row_hash")

    def real_points(self, space_id: str, shard: str) -> pl.DataFrame:
        """See ``VectorStore.real_points``."""
        from qdrant_client import models as qm

        empty = pl.DataFrame(schema=REAL_POINTS_SCHEMA)
        if not self._client.collection_exists(space_id):
            return empty
        mine = self._in_shards([shard])
        dense = qm.HasVectorCondition(has_vector="dense")
        with_vector = {record.id for record in self._scroll(space_id, [mine, dense], [])}
        rows = [
            (_hex(record.id), (record.payload or {}).get("row_hash"), record.id in with_vector)
            for record in self._scroll(space_id, [mine], ["row_hash"])
        ]
        return pl.DataFrame(rows, schema=REAL_POINTS_SCHEMA, orient="row").sort("chunk_id")

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
        from qdrant_client import models as qm

        if limit < 1:
            raise ValueError(f"search: limit {limit} must be at least 1")
        must = self._conditions(space_id, shards, where)
        if must is None or not self._client.collection_exists(space_id):
            return Hits([], [])
        if vector is not None:
            check_query(space_id, self._length(space_id), len(vector))
        queries: list[tuple[str, Any]] = [("dense", [*vector])] if vector is not None else []
        if sparse is not None and len(sparse.indices):
            queries.append(("terms", qm.SparseVector(indices=[*sparse.indices], values=[*sparse.weights])))
        size = self._count(space_id, must)
        halves = {
            using: [pair[0] for pair in ranked(((hit, None) for hit in found), limit)]
            for using, query in queries
            for found in [exact_top(partial(self._top, space_id, using, query, must), limit, (), 0, size, Floor(limit))]
        }
        ids = [candidate.chunk_id for half in halves.values() for candidate in half]
        stored = self._stored(space_id, ids, with_payload)
        return Hits(*([_hit(hit, stored) for hit in halves.get(using, ())] for using in ("dense", "terms")))

    def sparse_scores(
        self, space_id: str, shards: Sequence[str], indices: Sequence[int], weights: Sequence[float], ids: Sequence[str]
    ) -> dict[str, float]:
        """See ``VectorStore.sparse_scores``."""
        from qdrant_client import models as qm

        if not (len(ids) and len(indices) and self._client.collection_exists(space_id)):
            return {}
        asked = qm.SparseVector(indices=[*indices], values=[*weights])
        only = [self._in_shards(shards), qm.HasIdCondition(has_id=[str(UUID(chunk)) for chunk in ids])]
        return {found.chunk_id: found.score for found in self._top(space_id, "terms", asked, only, len(ids), None)}

    def document_frequencies(self, space_id: str, shards: Sequence[str], terms: Sequence[int]) -> Frequencies:
        """See ``VectorStore.document_frequencies``."""
        from qdrant_client import models as qm

        if not self._client.collection_exists(space_id):
            return Frequencies(dict.fromkeys(terms, 0), 0)
        mine = self._in_shards(shards)
        if len(terms) > _COUNTED_EACH:
            counted = self.document_frequencies(space_id, shards, self._occurring(space_id, mine, terms))
            return Frequencies({**dict.fromkeys(terms, 0), **counted.documents}, counted.points)
        counts = {
            term: self._count(space_id, [mine, qm.FieldCondition(key=_TERMS, match=qm.MatchValue(value=term))])
            for term in terms
        }
        return Frequencies(counts, self._count(space_id, [mine]))

    def _occurring(self, space_id: str, mine: "qm.FieldCondition", terms: Sequence[int]) -> list[int]:
        """Some of many terms that occur, those of the first points that hold any: one request instead of one a term."""
        from qdrant_client import models as qm

        holds_any = qm.FieldCondition(key=_TERMS, match=qm.MatchAny(any=[*terms]))
        only = qm.Filter(must=[mine, holds_any])
        records, _ = self._client.scroll(space_id, only, limit=_PAGE, with_payload=[_TERMS])
        held = {term for record in records for term in (record.payload or {}).get(_TERMS, ())}
        return sorted(held.intersection(terms))[:_COUNTED_EACH]

    def vectors(self, space_id: str, shards: Sequence[str], ids: Sequence[str]) -> dict[str, Sequence[float]]:
        """See ``VectorStore.vectors``."""
        if not (ids and self._client.collection_exists(space_id)):
            return {}
        page = [str(UUID(chunk)) for chunk in ids]
        found: dict[str, Sequence[float]] = {}
        for record in self._client.retrieve(space_id, page, with_payload=[_SHARD], with_vectors=["dense"]):
            named: Any = record.vector or {}
            if named.get("dense") and (record.payload or {}).get(_SHARD) in shards:
                found[_hex(record.id)] = named["dense"]
        return found

    def payloads(self, space_id: str, ids: Sequence[str], shards: Sequence[str] | None = None) -> dict[str, Payload]:
        """See ``VectorStore.payloads``."""
        if not self._client.collection_exists(space_id):
            return {}
        stored = self._stored(space_id, ids, True)
        return {chunk: payload for chunk, (shard, payload) in stored.items() if shards is None or shard in shards}

    def close(self) -> None:
        """See ``VectorStore.close``."""
        self._client.close()

    def _ensure_collection(self, space_id: str, dimensions: int) -> None:
        from qdrant_client import models as qm

        if not self._client.collection_exists(space_id):
            self._client.create_collection(
                space_id,
                vectors_config={"dense": qm.VectorParams(size=dimensions, distance=qm.Distance.DOT)},
                sparse_vectors_config={"terms": qm.SparseVectorParams()},
                quantization_config=server_quantization(self._quantized),
            )
            fields = {
                _SHARD: qm.KeywordIndexParams(type=qm.KeywordIndexType.KEYWORD, is_tenant=True),
                _TERMS: qm.IntegerIndexParams(type=qm.IntegerIndexType.INTEGER, lookup=True, range=False),
                **dict.fromkeys(KEYWORD_FIELDS, qm.PayloadSchemaType.KEYWORD),
                **dict.fromkeys(DATETIME_FIELDS, qm.PayloadSchemaType.DATETIME),
            }
            for name, schema in fields.items():
                self._index(space_id, name, schema)
        if not self._client.collection_exists(GENERATIONS):
            self._client.create_collection(GENERATIONS, vectors_config={})
            self._index(GENERATIONS, "space_id", qm.PayloadSchemaType.KEYWORD)
        size = self._length(space_id)
        if size != dimensions:
            raise BadPointsError(
                f"publish: collection {space_id} holds vectors of {size} dimensions, not {dimensions}; "
                "a new model needs a new space"
            )

        self._quantize(space_id)

    def _quantize(self, space_id: str) -> None:
        """Have a collection scan its vectors as asked, where it does otherwise."""
        from qdrant_client import models as qm

        if self._held(space_id) != self._quantized:
            wanted = server_quantization(self._quantized) or qm.Disabled.DISABLED
            self._client.update_collection(space_id, quantization_config=wanted)

    def _held(self, space_id: str) -> str:
        return kind_of(self._client.get_collection(space_id).config.quantization_config)

    def _length(self, space_id: str) -> int:
        """Of the vectors of a space's collection."""
        if space_id not in self._lengths:
            held = self._client.get_collection(space_id).config.params.vectors
            self._lengths[space_id] = held["dense"].size if isinstance(held, dict) else 0
        return self._lengths[space_id]

    def _index(self, collection: str, name: str, schema: Any) -> None:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Payload indexes have no effect")  # the in-memory client
            self._client.create_payload_index(collection, name, schema, wait=True)

    def _upsert(self, space_id: str, shard: str, upserts: pl.DataFrame) -> None:
        from qdrant_client import models as qm

        for batch in plain_payload(upserts).iter_slices(_BATCH):
            points = []
            for row in batch.to_dicts():
                named: dict[str, Any] = {}
                dense, terms, weights = row.pop("vector"), row.pop("terms"), row.pop("weights")
                if dense is not None:
                    named["dense"] = dense
                if terms:
                    named["terms"] = qm.SparseVector(indices=terms, values=weights)
                point_id = str(UUID(row.pop("chunk_id")))
                points.append(qm.PointStruct(id=point_id, vector=named, payload=row | {_SHARD: shard, _TERMS: terms}))
            self._client.upsert(space_id, points, wait=True)

    def _delete(self, space_id: str, ids: Sequence[str]) -> None:
        from qdrant_client import models as qm

        for start in range(0, len(ids), _PAGE):
            points: list[Any] = [str(UUID(chunk)) for chunk in ids[start : start + _PAGE]]
            self._client.delete(space_id, qm.PointIdsList(points=points), wait=True)

    def _record(self, space_id: str, shard: str, number: int, points: int, versions: Mapping[str, int]) -> None:
        from qdrant_client import models as qm

        payload = {"space_id": space_id, "shard": shard, "number": number, "points": points, "versions": {**versions}}
        record = qm.PointStruct(id=_record_id(space_id, shard), vector={}, payload=payload)
        self._client.upsert(GENERATIONS, [record], wait=True)

    def _top(
        self, space_id: str, using: str, query: Any, must: list[Any], ask: int, floor: float | None
    ) -> list[Candidate]:
        from qdrant_client import models as qm

        kind = self._quantized if using == "dense" else NONE
        found = self._client.query_points(
            space_id,
            query=query,
            using=using,
            query_filter=qm.Filter(must=must),
            search_params=server_parameters(kind),
            limit=ask,
            with_payload=False,
            score_threshold=floor if kind == NONE else None,
        )
        return [Candidate(_hex(point.id), round(point.score, DIGITS)) for point in found.points]

    def _stored(self, space_id: str, ids: Sequence[str], with_payload: bool) -> dict[str, tuple[str, Payload]]:
        """Shard and public payload of the points among ``ids``."""
        found: dict[str, tuple[str, Payload]] = {}
        for start in range(0, len(ids), _PAGE):
            page = [str(UUID(chunk)) for chunk in ids[start : start + _PAGE]]
            fields: Any = True if with_payload else [_SHARD]
            for record in self._client.retrieve(space_id, page, with_payload=fields):
                payload = dict(record.payload or {})
                shard = str(payload.pop(_SHARD, ""))
                payload.pop(_TERMS, None)
                found[_hex(record.id)] = (shard, payload)
        return found

    def _conditions(self, space_id: str, shards: Sequence[str], where: Filter | None) -> list[Any] | None:
        """Conditions for the server; None where nothing can match."""
        from qdrant_client import models as qm

        must: list[Any] = [self._in_shards(shards)]
        for condition in where.conditions() if where else ():
            match condition:
                case AnyOf(key, values):
                    must.append(_any_of(key, values))
                case Between(key, after, before):
                    dates: dict[str, Any] = {"gte": after, "lt": before}
                    must.append(qm.FieldCondition(key=key, range=qm.DatetimeRange(**dates)))
        if where is not None and where.path_globs:
            size = max(1, self._count(space_id, must)) if self._client.collection_exists(space_id) else 0
            hits = (
                self._client.facet(space_id, "path", qm.Filter(must=must), limit=size, exact=True).hits if size else []
            )
            paths = matching_paths(where.path_globs, (str(hit.value) for hit in hits))
            if not paths:
                return None
            must.append(_any_of("path", paths))
        return must

    def _in_shards(self, shards: Sequence[str]) -> "qm.FieldCondition":
        return _any_of(_SHARD, shards)

    def _count(self, space_id: str, must: list[Any]) -> int:
        from qdrant_client import models as qm

        return self._client.count(space_id, qm.Filter(must=must), exact=True).count

    def _scroll(self, collection: str, must: list[Any], fields: list[str]) -> Iterator["qm.Record"]:
        from qdrant_client import models as qm

        offset = None
        while True:
            records, offset = self._client.scroll(
                collection, qm.Filter(must=must), limit=_PAGE, offset=offset, with_payload=fields or False
            )
            yield from records
            if offset is None:
                return


def _any_of(key: str, values: Sequence[str]) -> "qm.FieldCondition":
    from qdrant_client import models as qm

    return qm.FieldCondition(key=key, match=qm.MatchAny(any=[*values]))


def _hex(point_id: object) -> str:
    return UUID(str(point_id)).hex


def _hit(candidate: Candidate, stored: Mapping[str, tuple[str, Payload]]) -> Hit:
    shard, payload = stored.get(candidate.chunk_id, ("", {}))
    return Hit(candidate.chunk_id, candidate.score, payload, shard)


def _record_id(space_id: str, shard: str) -> str:
    digest = hashlib.blake2b(f"{len(space_id)}:{space_id}{shard}".encode(), digest_size=16)
    return str(UUID(bytes=digest.digest()))
