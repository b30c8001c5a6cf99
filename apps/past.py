"""What ``apps.reader.search`` does about an earlier state: the last snapshot at a moment, scanned as Delta has it. Imported late.

There is no index of an earlier state. Vectors are compared one by one, words are weighed by the same encoder, and the result is
ranked by the same code as any other; it takes seconds for 100,000 chunks.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import polars as pl

from apps.errors import USAGE, CommandError
from apps.residence import remembered
from cortex_assets.chunks.schema import CHUNKS
from cortex_assets.corpora.registry import Registered
from cortex_assets.corpora.schema import FILES
from cortex_assets.documents.schema import DOCUMENTS
from cortex_assets.embeddings.schema import EMBEDDINGS
from cortex_assets.house import House
from cortex_assets.index.points import DOCUMENT_COLUMNS, code_language, point_payload
from cortex_assets.ops.schema import SNAPSHOTS
from cortex_assets.retrieval.gather import EmbedQuery, LiveSpace
from cortex_assets.retrieval.scanned import ScannedStore
from cortex_assets.retrieval.search import Options, SearchResult, search_spaces
from cortex_assets.retrieval.sparse import query_terms
from cortex_assets.tables import TableSpec
from resources.lakehouse import Lakehouse
from resources.vectors.filters import Filter, matching_paths

READ_TABLES = (DOCUMENTS, CHUNKS, EMBEDDINGS)
SCANNED_CHUNKS = 8_000
_SCORED = ("chunk_id", "document_id", "embed_hash", "is_active", "text", "context", "symbol")


@dataclass(frozen=True, slots=True)
class Moment:
    """What was published of a shard last at some time: its space, and a lake that reads every table as it was then."""

    shard: str
    corpus: Registered
    space_id: str
    published_at: datetime
    lake: Lakehouse


def lake_at(house: House, corpus: Registered, when: datetime) -> dict[str, Lakehouse]:
    """Shard to a lake as it was when that shard was published last at ``when``.

    Raises:
        CommandError: that is not kept any more, or nothing was published yet.
    """
    return {moment.shard: moment.lake for moment in moments(house, [corpus], when)}


def moments(house: House, corpora: Sequence[Registered], when: datetime) -> list[Moment]:
    """The last snapshots at a time, of every shard that had one.

    Raises:
        CommandError: the time is earlier than what is kept, or nothing was published by then.
    """
    oldest = datetime.now(UTC) - house.settings.retention
    if when < oldest:
        raise CommandError(
            f"the lake keeps {house.settings.retention.days} days, so {when:%Y-%m-%d %H:%M} UTC cannot be searched any more",
            f"as of {when:%Y-%m-%d}",
            f"choose {oldest:%Y-%m-%d %H:%M} UTC or later, or set CORTEX_RETENTION higher for the days to come",
            USAGE,
        )
    rows = remembered(house, "snapshots", (SNAPSHOTS,), lambda: house.lake.scan(SNAPSHOTS).collect())
    by_shard = {shard: corpus for corpus in corpora for shard in corpus.shards}
    mine = rows.filter(pl.col("shard").is_in(list(by_shard)))
    then = mine.filter(pl.col("published_at") <= when).sort("published_at", "generation")
    last = then.unique("shard", keep="last", maintain_order=True).sort("shard")
    if last.is_empty():
        first = mine.get_column("published_at").min()
        told = (
            f"the first state is of {first:%Y-%m-%d %H:%M} UTC"
            if isinstance(first, datetime)
            else "run cortex run first"
        )
        raise CommandError("nothing was published by then", f"as of {when:%Y-%m-%d %H:%M} UTC", told, USAGE)
    return [_moment(house, by_shard[row["shard"]], row, when) for row in last.iter_rows(named=True)]


def _moment(house: House, corpus: Registered, row: Mapping[str, Any], when: datetime) -> Moment:
    versions: dict[str, int] = json.loads(row["versions"])
    at = {table.name: _kept(house, table, versions[table.name], when) for table in READ_TABLES}
    at[FILES.name] = house.lake.version_at(FILES, row["published_at"])
    lake = Lakehouse(house.lake.root, storage_options=house.lake.storage_options, at=at)
    return Moment(row["shard"], corpus, row["space_id"], row["published_at"], lake)


def _kept(house: House, table: TableSpec, version: int, when: datetime) -> int:
    """A version that reads as the snapshot's: its own, or where its log is gone the first that is kept, if it is not later.

    Whatever of the shard had moved in between would have been published by a later snapshot.

    Raises:
        CommandError: the table is kept from a later time on.
    """
    if house.lake.rows_at(table, version) is not None:
        return version
    first = house.lake.history(table, 1_000_000)[-1]
    if int(first["version"]) < version or datetime.fromtimestamp(first["timestamp"] / 1000, UTC) > when:
        raise CommandError(
            f"{table.name} is not kept as it was at {when:%Y-%m-%d %H:%M} UTC",
            f"as of {when:%Y-%m-%d}",
            "choose a later day",
            USAGE,
        )
    return int(first["version"])


def search_at(
    house: House,
    moments_then: Sequence[Moment],
    question: str,
    k: int,
    filters: Filter | None,
    embed_of: Mapping[str, EmbedQuery | None],
    options: Options = Options(),
) -> SearchResult:
    """Rank the chunks of some snapshots.

    Args:
        house: open.
        moments_then: of the shards that are searched.
        question: what is asked.
        k: most hits.
        filters: as in any search.
        embed_of: by space; None where its model is not the one that made its vectors.
        options: how it is done beyond its defaults.
    """
    terms, _ = query_terms(question.replace("\x00", " ").strip())
    by_shard = {moment.shard: moment for moment in moments_then}
    store = ScannedStore(
        terms,
        lambda shard, ids: _payloads(by_shard[shard].lake, shard, ids),
        lambda shard, ids: _vectors(by_shard[shard], ids),
    )
    spaces = []
    for space_id in dict.fromkeys(moment.space_id for moment in moments_then):
        mine = [moment for moment in moments_then if moment.space_id == space_id]
        embed = embed_of.get(space_id)
        vector = None if embed is None else np.asarray(embed(question)(), dtype=np.float32)
        for moment in mine:
            _scan(store, moment, vector, filters)
        spaces.append(LiveSpace(space_id, tuple(moment.shard for moment in mine), embed))
    return search_spaces(question, store=store, spaces=spaces, limit=k, options=options)


def _scan(store: ScannedStore, moment: Moment, vector: "np.ndarray[Any, Any] | None", filters: Filter | None) -> None:
    """Score every chunk that was active then, a block at a time."""
    here = {"shard": moment.shard}
    documents = moment.lake.scan(DOCUMENTS, where=here).select(*DOCUMENT_COLUMNS, "corpus_id").collect()
    shown = documents.select(
        "document_id", "title", "path", language=code_language(), is_kept=_kept_by(documents, filters)
    )
    cosines = _cosines(moment, vector)
    for file in sorted(moment.lake.files(CHUNKS, here)):
        chunks = moment.lake.scan_data(CHUNKS, [file], _SCORED).filter("is_active").collect()
        for start in range(0, chunks.height, SCANNED_CHUNKS):
            some = chunks.slice(start, SCANNED_CHUNKS).join(shown, on="document_id", maintain_order="left")
            store.add(moment.shard, some.join(cosines, on="embed_hash", how="left", maintain_order="left"))


def _cosines(moment: Moment, vector: "np.ndarray[Any, Any] | None") -> pl.DataFrame:
    """``embed_hash dense`` of every vector of the space then, file by file."""
    frames = [pl.DataFrame(schema={"embed_hash": pl.String, "dense": pl.Float64})]
    files = moment.lake.files(EMBEDDINGS, {"space_id": moment.space_id}) if vector is not None else ()
    for file in sorted(files):
        rows = moment.lake.scan_data(EMBEDDINGS, [file], ("embed_hash", "vector")).collect()
        if rows.height and vector is not None:
            flat = rows.get_column("vector").explode().to_numpy().reshape(rows.height, -1)
            frames.append(rows.select("embed_hash", dense=pl.Series(flat @ vector, dtype=pl.Float64)))
    return pl.concat(frames).unique("embed_hash", keep="first")


def _kept_by(documents: pl.DataFrame, filters: Filter | None) -> pl.Series:
    """Which documents a filter keeps."""
    kept = pl.lit(True)
    if filters is not None:
        for column, values in (
            ("corpus_id", filters.corpora),
            ("kind", filters.kinds),
            ("language", filters.languages),
        ):
            kept &= pl.col(column).is_in(list(values)).fill_null(False) if values else pl.lit(True)
        if filters.path_globs:
            paths = matching_paths(filters.path_globs, documents.get_column("path").unique().to_list())
            kept &= pl.col("path").is_in(paths)
        if filters.modified_after is not None:
            kept &= pl.col("modified_at") >= filters.modified_after
        if filters.modified_before is not None:
            kept &= pl.col("modified_at") < filters.modified_before
    return documents.select(pl.col("document_id").is_not_null() & kept).to_series()


def _payloads(lake: Lakehouse, shard: str, chunk_ids: Sequence[str]) -> dict[str, Mapping[str, Any]]:
    """What some chunks showed then."""
    columns = [name for name in CHUNKS.dtypes if name != "shard"]
    chunks = lake.pick(CHUNKS, {"shard": shard}, "chunk_id", chunk_ids, columns)
    names = [name for name in DOCUMENT_COLUMNS if name != "shard"]
    ids = chunks.get_column("document_id").unique().to_list()
    documents = lake.pick(DOCUMENTS, {"shard": shard}, "document_id", ids, names)
    return {row["chunk_id"]: row for row in point_payload(chunks, documents).iter_rows(named=True)}


def _vectors(moment: Moment, chunk_ids: Sequence[str]) -> dict[str, Sequence[float]]:
    """The vectors that some chunks had then."""
    chunks = moment.lake.pick(CHUNKS, {"shard": moment.shard}, "chunk_id", chunk_ids, ("chunk_id", "embed_hash"))
    hashes = chunks.get_column("embed_hash").unique().to_list()
    space = {"space_id": moment.space_id}
    found = moment.lake.pick(EMBEDDINGS, space, "embed_hash", hashes, ("embed_hash", "vector"))
    rows = chunks.join(found.unique("embed_hash", keep="first"), on="embed_hash")
    return dict(
        rows.select("chunk_id", pl.col("vector").cast(pl.List(pl.Float16)).cast(pl.List(pl.Float32))).iter_rows()
    )
