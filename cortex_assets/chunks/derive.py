"""The chunks derivation: a document's text to rows of ``silver/chunks`` under the token bound of its space's model."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import lru_cache

import polars as pl

from cortex_assets.chunks.rows import chunk_documents
from cortex_assets.chunks.schema import CHUNKS
from cortex_assets.documents.schema import DOCUMENTS
from cortex_assets.engine.derivation import DEFAULT_ROUTE, MapDerivation, Output
from cortex_assets.engine.fingerprint import Producer
from cortex_assets.tables import Status
from inference.lanes import EngineConfig, load_tokenizer
from inference.models import ModelPlaces
from inference.protocols import Tokenizer
from inference.tokenizers_plain import open_tokenizer
from resources.crew import Crew

PACKAGES = (
    "tokenizers",
    "tree-sitter",
    "tree-sitter-bash",
    "tree-sitter-c",
    "tree-sitter-c-sharp",
    "tree-sitter-cpp",
    "tree-sitter-css",
    "tree-sitter-dart",
    "tree-sitter-elixir",
    "tree-sitter-go",
    "tree-sitter-haskell",
    "tree-sitter-hcl",
    "tree-sitter-java",
    "tree-sitter-javascript",
    "tree-sitter-julia",
    "tree-sitter-kotlin",
    "tree-sitter-lua",
    "tree-sitter-ocaml",
    "tree-sitter-php",
    "tree-sitter-powershell",
    "tree-sitter-python",
    "tree-sitter-ruby",
    "tree-sitter-rust",
    "tree-sitter-scala",
    "tree-sitter-sql",
    "tree-sitter-swift",
    "tree-sitter-typescript",
    "tree-sitter-zig",
)
"""All kinds of documents depend on the grammars: large blocks of code in prose are cut at their symbols, too."""
FRAME_DOCUMENTS = 128
PART_CHARACTERS = 500_000
SHARED_FROM = 4
"""A batch of more parts than this is shared with other processes."""
CHUNK_APART = "cortex_assets.chunks.derive.chunk_apart"


def chunks_derivation(tokenizer_name: str, limit: int) -> MapDerivation:
    """The declaration, for the tokenizer and the limit (tokens, special ones included) of a space.

    Args:
        tokenizer_name: names the tokenizer with its digest; part of the producer's version.
        limit: what the model reads at most.
    """
    settings: dict[str, str | int | float | bool | None] = {"tokenizer": tokenizer_name, "limit": limit}
    producer = Producer((chunk_documents, open_tokenizer), PACKAGES, (), settings)
    return MapDerivation(
        name="chunks",
        upstream=DOCUMENTS,
        output=CHUNKS,
        key="document_id",
        input_columns=("content_hash", "status"),
        compute_columns=("corpus_id", "shard", "path", "text", "structure", "kind", "language", "status"),
        producers={DEFAULT_ROUTE: producer},
        weight="char_count",
        newest="modified_at",
        where=pl.col("status").is_in([Status.OK.value, Status.PARTIAL.value]),
    )


class ChunksCompute:
    """Chunks a batch of documents, on all hands where it is large; the tokenizer is loaded at the first one."""

    def __init__(
        self, tokenizer: Callable[[], Tokenizer], limit: int, crew: Crew, config: EngineConfig, places: ModelPlaces
    ) -> None:
        """Bind; nothing is loaded yet.

        Args:
            tokenizer: gives that of ``config``'s model, for this process.
            limit: what the model reads at most, in tokens.
            crew: works on large batches, too.
            config: the engine, from which a child process loads the same tokenizer.
            places: where its model is.
        """
        self._tokenizer, self._limit, self._crew = tokenizer, limit, crew
        self._apart = replace(config, api_key=""), places, limit

    def __call__(self, rows: pl.DataFrame) -> Iterator[Output]:
        """Yield one output for every 128 documents, or for every half a million characters."""
        parts = _parts(rows)
        is_large = len(parts) > SHARED_FROM
        frames = self._crew.map(CHUNK_APART, self._here, parts, self._apart) if is_large else map(self._here, parts)
        for part, frame in zip(parts, frames, strict=True):
            yield Output(frame, part.get_column("document_id").to_list())

    def _here(self, part: pl.DataFrame) -> pl.DataFrame:
        return chunk_documents(part, self._tokenizer(), self._limit)


def chunk_apart(part: pl.DataFrame, config: EngineConfig, places: ModelPlaces, limit: int) -> pl.DataFrame:
    """``chunk_documents`` for another process (``resources.crew``), with the tokenizer of an engine."""
    return chunk_documents(part, _tokenizer_apart(config, places), limit)


@lru_cache(maxsize=1)
def _tokenizer_apart(config: EngineConfig, places: ModelPlaces) -> Tokenizer:
    return load_tokenizer(config, places)


def _parts(rows: pl.DataFrame) -> list[pl.DataFrame]:
    """Cut a batch, in order."""
    part = (
        pl.col("text").str.len_chars().cum_sum() // PART_CHARACTERS + pl.int_range(pl.len()) // FRAME_DOCUMENTS
    ).rle_id()
    return rows.with_columns(part.alias("_part")).partition_by("_part", maintain_order=True, include_key=False)
