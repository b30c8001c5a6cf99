"""Raw bytes of files in which secrets were found are not kept, unless a corpus asks for them.

They have to be copied before anything can be found in them, so they are taken out after their documents are committed.
From then on such a file is read in place, by its hash (``House._raw_path``), as one of a referenced corpus is. What is to be
taken out is remembered in the cache before the rows that say so are committed: a run that is cut off in between leaves it to
the next one. Where the cache is lost, the tables tell.
"""

import json
from collections.abc import Collection

import polars as pl

from cortex_assets.corpora.schema import FILES
from cortex_assets.documents.schema import DOCUMENTS
from cortex_assets.engine.narrow import narrow
from resources.lakehouse import Lakehouse
from resources.raw_store import RawStore
from resources.state import State

DUE = "due"
"""Findings are about to be committed, and their files were not looked for yet."""


def note_findings(state: State, shard: str) -> None:
    """Remember that a shard's rows are to have findings; before they are committed."""
    state.set_meta(_name(shard), DUE)


def withhold(
    lake: Lakehouse, raw: RawStore, state: State, shard: str, keeping: Collection[str], is_parsed: bool
) -> list[str]:
    """After a run of a shard: take the bytes of its files with findings out of the raw store. The caller holds its lease.

    Args:
        lake: the tables.
        raw: the store.
        state: the cache.
        shard: which shard.
        keeping: ids of the corpora whose bytes stay, whatever is found in them.
        is_parsed: whether the run derived or deleted documents.

    Returns:
        Content hashes that were taken out now.
    """
    told = state.meta(_name(shard))
    known: list[str] = json.loads(told) if told not in (None, DUE) else []
    if told in (None, DUE) or (known and is_parsed):
        wanted = _withheld(lake, shard, keeping)
        if wanted != known or told in (None, DUE):
            known = wanted
            state.set_meta(_name(shard), json.dumps(known))
    gone = [content_hash for content_hash in known if raw.path_of(content_hash).is_file()]
    for content_hash in gone:
        raw.discard(content_hash)
    return gone


def found_in(lake: Lakehouse, shard: str) -> set[str]:
    """Content hashes of a shard's files in whose documents something was found."""
    return set(_with_findings(lake, shard).get_column("content_hash"))


def _with_findings(lake: Lakehouse, shard: str) -> pl.DataFrame:
    documents = lake.scan(DOCUMENTS, where={"shard": shard}).filter(pl.col("findings").list.len() > 0)
    keys = documents.select("file_id").unique()
    return _stored(lake).filter(pl.col("shard") == shard).join(keys, on="file_id", how="semi").collect()


def _stored(lake: Lakehouse) -> pl.LazyFrame:
    return narrow(lake, FILES).filter((pl.col("store") == "raw") & pl.col("content_hash").is_not_null())


def _withheld(lake: Lakehouse, shard: str, keeping: Collection[str]) -> list[str]:
    """Contents that no file is to keep: neither one of a corpus that asks for them, nor one in which nothing was found."""
    mine = _with_findings(lake, shard).get_column("content_hash").unique().to_list()
    if not mine:
        return []
    named = _stored(lake).filter(pl.col("content_hash").is_in(mine)).collect()
    found = [_with_findings(lake, other) for other in named.get_column("shard").unique().sort()]
    lets_go = pl.concat(found).filter(~pl.col("corpus_id").is_in(list(keeping))).get_column("file_id").to_list()
    kept = named.filter(~pl.col("file_id").is_in(lets_go)).get_column("content_hash").to_list()
    return sorted(set(mine) - set(kept))


def _name(shard: str) -> str:
    return f"withheld:{shard}"
