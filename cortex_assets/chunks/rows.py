"""Pieces as rows of the chunks table. Many documents make one frame; columns are built once, as lists.

Ids and hashes come from ``identity``; how a text is cut is in ``split``.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import polars as pl

from cortex_assets import identity
from cortex_assets.chunks.schema import CHUNKS
from cortex_assets.chunks.split import Piece, split
from cortex_assets.documents.model import Structure
from cortex_assets.tables import Status
from inference.protocols import Tokenizer

DOCUMENT_COLUMNS = ("document_id", "corpus_id", "shard", "text", "structure", "kind", "language", "status")
"""What chunks depend on and carry: the columns that ``chunk_documents`` reads."""
_CHUNKED = frozenset({Status.OK.value, Status.PARTIAL.value})


def chunk_documents(documents: pl.DataFrame, tokenizer: Tokenizer, limit: int) -> pl.DataFrame:
    """Cut many documents into chunks.

    Args:
        documents: rows of the documents table, at least ``DOCUMENT_COLUMNS``. Those of a status other than ok or
            partial give no rows.
        tokenizer: of the model that will embed the chunks.
        limit: what that model reads at most, in tokens, special tokens included.

    Returns:
        Rows of the chunks table, in the order of the documents and of their text.

    Raises:
        ValueError: ``limit`` leaves no room for text, or a structure is not what ``Structure.to_json`` writes.
    """
    return _frame(
        (document, pieces_of(document, tokenizer, limit))
        for document in documents.select(DOCUMENT_COLUMNS).iter_rows(named=True)
    )


def pieces_of(document: Mapping[str, Any], tokenizer: Tokenizer, limit: int) -> list[Piece]:
    """The pieces of one row of the documents table; none for a status other than ok or partial."""
    if document["status"] not in _CHUNKED:
        return []
    try:
        structure = Structure.from_json(document["structure"])
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"document {document['document_id']}: its structure cannot be read ({error!r}); parse the document again"
        ) from error
    return split(document["text"], structure, document["kind"], document["language"], tokenizer, limit)


def chunk_rows(document: Mapping[str, Any], pieces: Sequence[Piece]) -> pl.DataFrame:
    """Rows of the chunks table for the pieces of one document (a mapping with ``DOCUMENT_COLUMNS``)."""
    return _frame([(document, pieces)])


def _frame(chunked: Iterable[tuple[Mapping[str, Any], Sequence[Piece]]]) -> pl.DataFrame:
    """One frame of all pieces of all documents."""
    dtypes = {name: dtype for name, dtype in CHUNKS.dtypes.items() if name != "row_hash"}
    columns: dict[str, list[Any]] = {name: [] for name in dtypes}
    for document, pieces in chunked:
        if pieces:
            _extend(columns, document, pieces)
    frame = pl.DataFrame(columns, schema=dtypes)
    hashes = identity.row_hashes(columns, frame.height, CHUNKS.unhashed)
    return frame.with_columns(hashes).select(*CHUNKS.dtypes)


def _extend(columns: dict[str, list[Any]], document: Mapping[str, Any], pieces: Sequence[Piece]) -> None:
    """Append the pieces of one document."""
    document_id, text, count = document["document_id"], document["text"], len(pieces)
    texts = [text[piece.start_char : piece.end_char] for piece in pieces]
    hashes = identity.text_hashes(texts)
    columns["chunk_id"] += identity.chunk_ids(document_id, hashes)
    columns["text"] += texts
    contexts = [piece.context for piece in pieces]
    columns["embed_hash"] += identity.embed_hashes(contexts, texts) if any(contexts) else hashes
    for name, value in (
        ("shard", document["shard"]),
        ("document_id", document_id),
        ("input_key", document_id),
        ("corpus_id", document["corpus_id"]),
        ("is_active", True),
    ):
        columns[name] += [value] * count
    columns["ordinal"] += range(count)
    for name, values in zip(Piece._fields, zip(*pieces, strict=True), strict=True):
        columns[name] += values
