"""Another number of shards for a corpus: rows, ledgers and points move as they are, nothing is parsed, embedded or encoded.

Which shard a file belongs to depends on its id and the count alone, so every step asks where rows and points belong and
moves those that are elsewhere; done again it finds nothing. The corpus' row says (from, to) before the first step and
until the last, so whoever comes next after a crash goes on (``House.sync_registry``). The caller holds the lake's lease.

Searches go on: points are copied into the new shards before the corpus' row names those, and the old ones are dropped
after it; in between a point may be in two shards, where it is found once and its words weigh twice.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import product

import polars as pl

from cortex_assets.chunks.schema import CHUNKS
from cortex_assets.corpora.registry import Registered
from cortex_assets.corpora.schema import FILES
from cortex_assets.documents.schema import DOCUMENTS
from cortex_assets.embeddings.schema import EMBEDDINGS
from cortex_assets.engine.ledger import AssetLedger
from cortex_assets.engine.selection import dimensions_of
from cortex_assets.partitions import shard_names
from resources.lakehouse import Lakehouse, literal
from resources.state import State
from resources.vectors.protocol import DamagedIndexError, VectorStore

Save = Callable[[Registered], None]


@dataclass(frozen=True, slots=True)
class Resharded:
    """What a change of the number of shards did.

    Attributes:
        corpus: its row as it is now.
        rows: of files, documents and chunks that moved.
        points: that were copied.
        notes: what the next run has to make anew, and why.
    """

    corpus: Registered
    rows: int
    points: int
    notes: tuple[str, ...]


class Resharding:
    """One change, bound to a lake."""

    def __init__(self, lake: Lakehouse, store: VectorStore, state: State, save: Save) -> None:
        """Bind; nothing is read yet. ``save`` writes a corpus' row."""
        self._lake, self._store, self._state, self._save = lake, store, state, save

    def run(self, corpus: Registered, count: int) -> Resharded:
        """Begin a change, unless one was begun, and do what is still to be done of it."""
        if corpus.resharding is None:
            corpus = replace(corpus, resharding=(corpus.shard_count, count))
            self._save(corpus)
        before, after = corpus.resharding or (corpus.shard_count, count)
        old, new = shard_names(corpus.name, before), shard_names(corpus.name, after)
        every = list(dict.fromkeys((*old, *new)))
        places = Places(self._lake, corpus, new, every)
        points, notes = self._points(corpus, places, every)
        rows = self._rows(places, every)
        if corpus.shard_count != after:
            corpus = replace(corpus, shard_count=after, shard_epoch=corpus.shard_epoch + 1)
            self._save(corpus)
        self._drop(corpus, places, [shard for shard in old if shard not in new])
        self._forget(corpus, old, new)
        corpus = replace(corpus, resharding=None)
        self._save(corpus)
        return Resharded(corpus, rows, points, tuple(notes))

    def _points(self, corpus: Registered, places: "Places", every: Sequence[str]) -> tuple[int, list[str]]:
        """Copy points to the shards that they belong to."""
        versions = {table.name: self._lake.version(table) for table in (DOCUMENTS, CHUNKS, EMBEDDINGS)}
        copied = 0
        for space_id, shard in product(corpus.every_space, places.shards):
            others = [other for other in every if other != shard]
            try:
                copied += self._store.take_over(space_id, shard, others, places.chunks_of(shard), versions)
            except DamagedIndexError as error:
                return copied, [f"the next run makes the index anew: {error}"]
        return copied, []

    def _rows(self, places: "Places", every: Sequence[str]) -> int:
        """Move rows, each table in one commit, then ledgers."""
        moved = self._lake.rearrange(FILES, every, ("file_id",), lambda rows: places.of_files(rows["file_id"]))
        moved += self._lake.rearrange(DOCUMENTS, every, ("file_id",), lambda rows: places.of_files(rows["file_id"]))
        moved += self._lake.rearrange(CHUNKS, every, ("document_id",), places.of_documents)
        self._ledger("documents", every, places.of_file_keys)
        self._ledger("chunks", every, places.of_document_keys)
        self._ledger("embeddings", every, places.of_text_keys)
        return moved

    def _ledger(self, asset: str, every: Sequence[str], placed: Callable[[pl.DataFrame], pl.DataFrame]) -> None:
        """Write a ledger's latest rows anew, each in the shard of its key, where one is not there."""
        ledger = AssetLedger(self._lake, asset)
        raw = self._lake.scan(ledger.table, keys={"shard": list(every)})
        if raw.select(pl.len()).collect().item() == 0:
            return
        living = pl.concat([ledger.rows(shard) for shard in every])
        rows = placed(living.drop("shard")).unique(["shard", "input_key"], keep="first", maintain_order=True)
        keys = raw.select("shard", "input_key", "is_deleted").collect()
        same = living.select("shard", "input_key").sort("shard", "input_key")
        is_placed = same.equals(rows.select("shard", "input_key").sort("shard", "input_key"))
        if is_placed and set(keys["shard"]) <= set(rows["shard"]):
            return
        fresh = rows.with_columns(sequence=pl.lit(0, dtype=pl.Int64), is_deleted=pl.lit(False))
        named = ", ".join(literal(shard) for shard in every)
        self._lake.overwrite(ledger.table, fresh.select(list(ledger.table.dtypes)), f"shard IN ({named})")

    def _drop(self, corpus: Registered, places: "Places", gone: Sequence[str]) -> None:
        """Drop the old shards' points, and of those that stay what belongs elsewhere now."""
        for space_id, shard in product(corpus.every_space, gone):
            self._store.drop(space_id, shard)
        for space_id, shard in product(corpus.every_space, places.shards):
            generation = self._store.generation(space_id, shard)
            if generation is None:
                continue
            try:
                held = self._store.sidecar(space_id, shard)["chunk_id"]
                extra = held.filter(~held.is_in(places.chunks_of(shard).implode())).to_list()
                if extra:
                    none = pl.DataFrame(schema=_NO_POINTS)
                    dimensions = dimensions_of(self._lake, space_id)
                    self._store.publish(space_id, dimensions, shard, none, extra, generation.versions)
            except DamagedIndexError:
                self._store.drop(space_id, shard)

    def _forget(self, corpus: Registered, old: Sequence[str], new: Sequence[str]) -> None:
        """What the cache knows of the shards is about other rows now; how media types were found stays known."""
        known = {self._state.meta(f"media:{shard}") for shard in old}
        for shard in {*old, *new}:
            self._state.clear_complete(shard)
        self._state.clear_complete(corpus.corpus_id)
        version = known.pop() if len(known) == 1 else None
        for shard in new:
            self._state.set_meta(f"media:{shard}", version or "")


_NO_POINTS: dict[str, pl.DataType | type[pl.DataType]] = {
    "chunk_id": pl.String,
    "row_hash": pl.Int64,
    "vector": pl.List(pl.Float32),
    "terms": pl.List(pl.UInt32),
    "weights": pl.List(pl.Float32),
}


class Places:
    """Which shard everything of a corpus belongs to, by the file that it comes from."""

    def __init__(self, lake: Lakehouse, corpus: Registered, shards: Sequence[str], every: Sequence[str]) -> None:
        """Read which documents are of which files, and which chunks of which documents; ids alone.

        Args:
            lake: the tables.
            corpus: whose rows they are.
            shards: those that there are to be.
            every: those, and those that there were.
        """
        self.shards = list(shards)
        self._name = corpus.name
        here = {"shard": list(every)}
        documents = lake.scan(DOCUMENTS, keys=here).select("document_id", "file_id").collect().unique("document_id")
        self._documents = documents.select("document_id", place=self.of_files(documents["file_id"]))
        chunks = lake.scan(CHUNKS, keys=here).select("chunk_id", "document_id", "embed_hash", "is_active").collect()
        self._chunks = chunks.with_columns(self.of_documents(chunks).alias("place"))

    def of_files(self, file_ids: pl.Series) -> pl.Series:
        """Shards of files: ``partitions.shard_of``, for all at once."""
        if len(self.shards) == 1:
            return pl.Series("shard", [self.shards[0]] * file_ids.len(), dtype=pl.String)
        number = pl.col("id").str.slice(0, 8).str.to_integer(base=16, dtype=pl.Int64) % len(self.shards)
        name = pl.format("{}.{}", pl.lit(self._name), number.cast(pl.String).str.zfill(2))
        return file_ids.to_frame("id").select(name.alias("shard")).to_series()

    def of_documents(self, rows: pl.DataFrame) -> pl.Series:
        """Shards of rows with a ``document_id``; those of a document that is gone are the first one's, and pruned there."""
        found = rows.select("document_id").join(self._documents, on="document_id", how="left", maintain_order="left")
        return found["place"].fill_null(self.shards[0]).alias("shard")

    def chunks_of(self, shard: str) -> pl.Series:
        """Ids of the chunks that a shard's points show."""
        return self._chunks.filter(pl.col("is_active") & (pl.col("place") == shard))["chunk_id"]

    def of_file_keys(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Rows of a ledger whose keys are files, with their shard."""
        return rows.with_columns(self.of_files(rows["input_key"]))

    def of_document_keys(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Rows of a ledger whose keys are documents, with their shard."""
        return rows.with_columns(self.of_documents(rows.select(document_id="input_key")))

    def of_text_keys(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Rows of a ledger whose keys are texts, with every shard that has a chunk of that text."""
        texts = self._chunks.select(input_key="embed_hash", shard="place").unique(maintain_order=True)
        return rows.join(texts, on="input_key", how="inner")
