"""Pieces as rows of the chunks table. Many documents make one frame; columns are built once, as lists.

Ids and hashes come from ``identity``; how a text is cut is in ``split``.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from cortex_assets import identity
from cortex_assets.chunks.schema import CHUNKS
from cortex_assets.chunks.split import NO_PIECES, Piece, Pieces, split
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


def pieces_of(document: Mapping[str, Any], tokenizer: Tokenizer, limit: int) -> Pieces:
    """The pieces of one row of the documents table; none for a status other than ok or partial."""
    if document["status"] not in _CHUNKED:
        return NO_PIECES
    try:
        structure = Structure.from_json(document["structure"])
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"document {document['document_id']}: its structure cannot be read ({error!r}); parse the document again"
        ) from error
    return split(document["text"], structure, document["kind"], document["language"], tokenizer, limit)


def chunk_rows(document: Mapping[str, Any], pieces: Pieces) -> pl.DataFrame:
    """Rows of the chunks table for the pieces of one document (a mapping with ``DOCUMENT_COLUMNS``)."""
    return _frame([(document, pieces)])


_OWN = ("chunk_id", "ordinal", "text", "embed_hash", *Piece._fields)
"""Columns in which the chunks of a document differ."""
_HASHED = identity.hashed_columns(CHUNKS.dtypes, CHUNKS.unhashed)
_WRITTEN = {
    **dict.fromkeys(("chunk_id", "embed_hash"), "'%s'"),
    **dict.fromkeys(("ordinal", "start_char", "end_char", "start_line", "end_line", "token_count"), "%d"),
}
"""How some columns stand in a row's canonical text, as ``repr`` writes them, for less."""


def _frame(chunked: Iterable[tuple[Mapping[str, Any], Pieces]]) -> pl.DataFrame:
    """One frame of all pieces of all documents."""
    columns: dict[str, list[Any]] = {name: [] for name in _OWN}
    texts: list[str] = []
    owners: list[tuple[str, str, str]] = []
    counts: list[int] = []
    for document, pieces in chunked:
        if pieces.kind:
            texts += _extend(columns, document, pieces)
            owners.append((document["shard"], document["document_id"], document["corpus_id"]))
            counts.append(len(pieces.kind))
    dtypes = CHUNKS.dtypes
    own = pl.DataFrame(columns, schema={name: dtypes[name] for name in _OWN})
    shared = pl.DataFrame(owners, dict.fromkeys(("shard", "document_id", "corpus_id"), pl.String), orient="row")
    shared = shared[np.repeat(np.arange(len(counts)), counts)]
    of_all = pl.col("document_id").alias("input_key"), pl.lit(True).alias("is_active"), identity.row_hashes(texts)
    return own.hstack(shared).with_columns(of_all).select(list(dtypes))


def _extend(columns: dict[str, list[Any]], document: Mapping[str, Any], pieces: Pieces) -> Iterator[str]:
    """Append the pieces of one document; their rows' canonical texts (``identity.row_hashes``)."""
    document_id, text = document["document_id"], document["text"]
    texts = [text[start:end] for start, end in zip(pieces.start_char, pieces.end_char, strict=True)]
    hashes = identity.text_hashes(texts)
    own: dict[str, Sequence[Any]] = {
        "chunk_id": identity.chunk_ids(document_id, hashes),
        "ordinal": range(len(texts)),
        "text": texts,
        "embed_hash": identity.embed_hashes(pieces.context, texts) if any(pieces.context) else hashes,
        **pieces._asdict(),
    }
    for name, values in own.items():
        columns[name] += values
    shared = {
        "document_id": document_id,
        "input_key": document_id,
        "corpus_id": document["corpus_id"],
        "is_active": True,
    }
    written = (_WRITTEN.get(name, "%r") if name in own else repr(shared[name]).replace("%", "%%") for name in _HASHED)
    row = f"({', '.join(written)})"
    return (row % values for values in zip(*(own[name] for name in _HASHED if name in own), strict=True))
