"""The chunks derivation: a document's text to rows of ``silver/chunks`` under the token bound of its space's model."""

from collections.abc import Callable, Iterator

import polars as pl

from cortex_assets.chunks.rows import chunk_documents
from cortex_assets.chunks.schema import CHUNKS
from cortex_assets.documents.schema import DOCUMENTS
from cortex_assets.engine.derivation import DEFAULT_ROUTE, MapDerivation, Output
from cortex_assets.engine.fingerprint import Producer
from cortex_assets.tables import Status
from inference.protocols import Tokenizer
from inference.tokenizers_plain import open_tokenizer

PACKAGES = (
    "tokenizers",
    "tree-sitter",
    "tree-sitter-c",
    "tree-sitter-cpp",
    "tree-sitter-go",
    "tree-sitter-java",
    "tree-sitter-javascript",
    "tree-sitter-python",
    "tree-sitter-rust",
    "tree-sitter-typescript",
)
"""All kinds of documents depend on the grammars: large blocks of code in prose are cut at their symbols, too."""
FRAME_DOCUMENTS = 128


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
        compute_columns=("corpus_id", "shard", "text", "structure", "kind", "language", "status"),
        producers={DEFAULT_ROUTE: producer},
        weight="char_count",
        newest="modified_at",
        where=pl.col("status").is_in([Status.OK.value, Status.PARTIAL.value]),
    )


class ChunksCompute:
    """Chunks a batch of documents; the tokenizer is loaded at the first one."""

    def __init__(self, tokenizer: Callable[[], Tokenizer], limit: int) -> None:
        self._tokenizer, self._limit = tokenizer, limit

    def __call__(self, rows: pl.DataFrame) -> Iterator[Output]:
        """Yield one output for every 128 documents."""
        tokenizer = self._tokenizer()
        for start in range(0, rows.height, FRAME_DOCUMENTS):
            some = rows.slice(start, FRAME_DOCUMENTS)
            yield Output(chunk_documents(some, tokenizer, self._limit), some.get_column("document_id").to_list())
