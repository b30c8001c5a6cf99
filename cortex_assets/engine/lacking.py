"""Texts of a shard's chunks that have no vector in a space: all of them, or those that were added since none was lacking."""

import polars as pl

from cortex_assets.chunks.schema import CHUNKS
from cortex_assets.embeddings.schema import EMBEDDINGS
from cortex_assets.engine.grown import Files, added_files, data_files
from cortex_assets.engine.hash_parts import hash_parts
from cortex_assets.engine.narrow import narrow
from cortex_assets.engine.selection import EVERY, Selection
from resources.lakehouse import Lakehouse

_NEEDED = ("embed_hash", "input_key", "chunk_id", "token_count", "is_active")


def _needed(chunks: pl.LazyFrame) -> pl.LazyFrame:
    return chunks.filter(pl.col("is_active")).select("embed_hash", "input_key", "chunk_id", "token_count")


def _in_order(texts: pl.DataFrame) -> pl.DataFrame:
    return texts.sort("input_key", "chunk_id").unique("embed_hash", keep="first", maintain_order=True)


class LackingTexts:
    """The texts that lack a vector of one space."""

    def __init__(self, space_id: str, lake: Lakehouse, selection: Selection = EVERY) -> None:
        """Bind; nothing is read yet. ``selection``: whose texts they are."""
        self._space_id, self._lake, self._selection = space_id, lake, selection
        self._settled: dict[str, Files] = {}

    def files(self, shard: str) -> Files:
        """The data files that ``since`` and ``settle`` compare; ask before texts are looked for."""
        return data_files(self._lake, shard, self._space_id)

    def every(self, shard: str) -> pl.DataFrame:
        """Distinct texts without a vector: ``embed_hash input_key chunk_id token_count``, in storage order."""
        needed = _needed(self._selection.of(self._lake, shard))
        parts = hash_parts("embed_hash", self._lake.rows(EMBEDDINGS))
        found = pl.concat(
            needed.filter(part).join(self._have().filter(part), on="embed_hash", how="anti").collect(engine="streaming")
            for part in parts
        )
        return _in_order(found)

    def _have(self) -> pl.LazyFrame:
        return narrow(self._lake, EMBEDDINGS, {"space_id": self._space_id}).select("embed_hash")

    def since(self, shard: str, now: Files) -> pl.DataFrame:
        """``every``, looking only at what was added since nothing was (``engine.grown``)."""
        before = self._settled.get(shard)
        added = None if before is None else added_files(before, now)
        if added is None:
            return self.every(shard)
        needed = _needed(self._selection.added(self._lake, added[CHUNKS.name], _NEEDED)).collect()
        hashes = needed.lazy().select("embed_hash")
        held = self._have().join(hashes, on="embed_hash", how="semi").collect(engine="streaming")
        return _in_order(needed.join(held, on="embed_hash", how="anti"))

    def settle(self, shard: str, looked_at: Files, is_all: bool) -> None:
        """Remember whether now every text has a vector whose chunk lies in the files that were looked at."""
        self._settled.pop(shard, None)
        if is_all:
            self._settled[shard] = {**looked_at, EMBEDDINGS.name: self.files(shard)[EMBEDDINGS.name]}
