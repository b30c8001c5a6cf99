"""Damage below the plan's sight: rows whose hash does not hold, bytes that are gone, a folder that tables do not show.

A plan compares keys, counts and hashes; it trusts what a row says of itself and that stored bytes are there. Here nothing
is trusted, so everything is read. ``verify.deep`` reports what is found; taking it out, so that the next run makes it
again, is here, too.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

import polars as pl

from cortex_assets.chunks.schema import CHUNKS
from cortex_assets.corpora.schema import DUPLICATES, FILES
from cortex_assets.documents.schema import DOCUMENTS
from cortex_assets.embeddings.schema import EMBEDDINGS
from cortex_assets.engine.corpus import Corpus
from cortex_assets.engine.reading import retake
from cortex_assets.engine.withheld import found_in
from cortex_assets.identity import content_id, embed_hash, text_hash, with_row_hash
from cortex_assets.tables import TableSpec
from inference.protocols import Space
from resources.lakehouse import Lakehouse
from resources.raw_store import RawStore

BATCH_KEYS = 500
NORM_TOLERANCE = 0.02

RowCheck = Callable[[Mapping[str, object]], bool]
"""Whether the columns that ``row_hash`` leaves out agree with the hashes that stand for them."""


def _document_holds(row: Mapping[str, object]) -> bool:
    hashed = text_hash(str(row["text"]))
    whole = content_id(hashed, str(row["structure"]), str(row["kind"]), str(row["language"] or ""))
    return (row["text_hash"], row["content_hash"]) == (hashed, whole)


def _chunk_holds(row: Mapping[str, object]) -> bool:
    return row["embed_hash"] == embed_hash(str(row["context"]), str(row["text"]))


def _holds(row: Mapping[str, object]) -> bool:
    return True


CHECKED: tuple[tuple[str, TableSpec, RowCheck], ...] = (
    ("files", FILES, _holds),
    ("documents", DOCUMENTS, _document_holds),
    ("chunks", CHUNKS, _chunk_holds),
)
"""Asset, its table, and what is asked of a row beside its hash."""


def altered_keys(lake: Lakehouse, table: TableSpec, shard: str, holds: RowCheck = _holds) -> list[str]:
    """Input keys of the rows that are not what their own hashes say, or are there twice; sorted. Reads some keys at a time."""
    found: set[str] = set()
    for rows in _batches(lake, table, shard):
        found.update(rows.filter(pl.col(table.key[0]).is_duplicated()).get_column("input_key"))
        again = with_row_hash(rows.drop("row_hash"), table.unhashed).get_column("row_hash")
        found.update(rows.filter(again != rows.get_column("row_hash")).get_column("input_key"))
        found.update(row["input_key"] for row in rows.iter_rows(named=True) if not holds(row))
    return sorted(found)


def take_out_altered(lake: Lakehouse, shard: str, listed: Sequence[str]) -> int:
    """Delete the rows of altered keys, so that the plan finds them missing; the number of keys.

    Args:
        lake: the tables.
        shard: which shard; the caller holds its lease.
        listed: file ids that the source has now. A row of ``bronze/files`` goes only where its file can be taken again:
            for all others the guard decides.
    """
    count = 0
    for _, table, holds in CHECKED:
        keys = altered_keys(lake, table, shard, holds)
        if table is FILES:
            keys = sorted(set(keys) & set(listed))
        lake.delete_where(table, "input_key", keys, shard)
        count += len(keys)
    return count


def take_out_altered_groups(lake: Lakehouse, bucket: str) -> int:
    """``take_out_altered`` for a bucket of the duplicates aggregate."""
    keys = altered_keys(lake, DUPLICATES, bucket)
    lake.delete_where(DUPLICATES, "input_key", keys, bucket)
    return len(keys)


def bad_vectors(lake: Lakehouse, space: Space, shard: str) -> list[str]:
    """Embed hashes of a shard's texts whose vector has another length than its space's, or is not normalized; sorted."""
    needed = lake.scan(CHUNKS, where={"shard": shard}).select("embed_hash").unique()
    vectors = lake.scan(EMBEDDINGS, where={"space_id": space.space_id}).join(needed, on="embed_hash", how="semi")
    values = pl.col("vector").cast(pl.List(pl.Float64))
    norm = values.list.eval(pl.element() ** 2).list.sum().sqrt()
    is_good = (values.list.len() == space.dimensions) & norm.is_between(1 - NORM_TOLERANCE, 1 + NORM_TOLERANCE)
    bad = vectors.filter(~is_good.fill_null(False)).select("embed_hash").unique().collect()
    return bad.get_column("embed_hash").sort().to_list()


def damaged_bytes(lake: Lakehouse, raw: RawStore, shard: str) -> tuple[list[str], list[str]]:
    """(hashes that the raw store lacks, hashes whose bytes there are others) of what a shard's files name. Reads them all.

    Bytes in which a secret was found are not missed (``engine.withheld``).
    """
    missing, damaged = [], []
    withheld = found_in(lake, shard)
    for content_hash in _stored(lake, shard).get_column("content_hash").unique().sort():
        if not raw.has(content_hash):
            if content_hash not in withheld:
                missing.append(content_hash)
        elif not raw.verify(content_hash):
            damaged.append(content_hash)
    return missing, damaged


def retake_bytes(lake: Lakehouse, raw: RawStore, corpus: Corpus, shard: str) -> int:
    """Take missing and damaged bytes from the source again, where it still has them; how many contents are whole again."""
    lost = [content_hash for hashes in damaged_bytes(lake, raw, shard) for content_hash in hashes]
    named = _stored(lake, shard).filter(pl.col("content_hash").is_in(lost))
    whole: set[str] = set()
    for path, raw_path, content_hash in named.select("path", "raw_path", "content_hash").sort("path").iter_rows():
        place = path.encode("utf-8") if raw_path is None else raw_path
        if content_hash not in whole and retake(corpus, place, content_hash, raw):
            whole.add(content_hash)
    raw.flush()
    return len(whole)


def _stored(lake: Lakehouse, shard: str) -> pl.DataFrame:
    rows = lake.scan(FILES, where={"shard": shard})
    return rows.filter((pl.col("store") == "raw") & pl.col("content_hash").is_not_null()).collect()


def _batches(lake: Lakehouse, table: TableSpec, shard: str) -> Iterator[pl.DataFrame]:
    """All rows of a shard, those of some input keys at a time."""
    keys = lake.scan(table, where={"shard": shard}).select("input_key").unique().collect().to_series().sort()
    for start in range(0, keys.len(), BATCH_KEYS):
        some = {"input_key": keys.slice(start, BATCH_KEYS).to_list()}
        yield lake.scan(table, where={"shard": shard}, keys=some).collect()
