"""Ids and hashes: every id in the lake is a function of content, made here and nowhere else.

Add a function when a new table needs an id. Nothing here reads a clock, a disk or a random source.
An id is the first 16 bytes of a BLAKE2b digest as 32 hex digits; a row hash is a signed 64-bit integer,
because the engine sums row hashes per input key (``engine.plan``).
"""

import hashlib
from collections.abc import Iterable, Sequence

import numpy as np
import polars as pl


def content_id(*parts: str | bytes | int) -> str:
    """Return the 32-hex-digit id of an ordered tuple of parts.

    Each part is length-prefixed, so no two tuples collide by joining.
    """
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        digest.update(_part(part if isinstance(part, bytes) else str(part).encode("utf-8", "surrogatepass")))
    return digest.hexdigest()


def _part(raw: bytes) -> bytes:
    return len(raw).to_bytes(8, "little") + raw


def corpus_id(first_name: str) -> str:
    """Id of a corpus: a function of the name it was first registered under; a later rename keeps it."""
    return content_id("corpus", first_name)


def file_id(corpus: str, raw_path: bytes) -> str:
    """Id of a file: its corpus and the raw bytes of its path relative to the corpus root."""
    return content_id("file", corpus, raw_path)


def document_id(file: str, inner: str) -> str:
    """Id of a document: its file and the inner name (``""`` for the whole file, else a part, member or message)."""
    return content_id("document", file, inner)


def text_hash(text: str) -> str:
    """Hash of a text (32 hex digits)."""
    return text_hashes([text])[0]


def text_hashes(texts: Iterable[str]) -> list[str]:
    """``text_hash`` of each."""
    blake2b = hashlib.blake2b
    return [blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest() for text in texts]


def chunk_ids(document: str, hashed_texts: Sequence[str]) -> list[str]:
    """Ids of the chunks of a document: of its id, the hash of each text and which repetition of it this is (from 0)."""
    begun = hashlib.blake2b(digest_size=16)
    begun.update(_part(b"chunk") + _part(document.encode()))
    length, once = (2 * begun.digest_size).to_bytes(8, "little"), _part(b"0")
    seen: dict[str, int] = {}
    ids: list[str] = []
    for hashed in hashed_texts:
        occurrence = seen.get(hashed, 0)
        seen[hashed] = occurrence + 1
        digest = begun.copy()
        digest.update(length + hashed.encode() + (_part(b"%d" % occurrence) if occurrence else once))
        ids.append(digest.hexdigest())
    return ids


def embed_hash(context: str, text: str) -> str:
    """Key of an embedding: what is embedded is ``context + text``, wherever it stands."""
    return text_hash(context + text)


def embed_hashes(contexts: Sequence[str], texts: Sequence[str]) -> list[str]:
    """``embed_hash`` of each context and text."""
    return text_hashes(map(str.__add__, contexts, texts))


def point_uuid(chunk: str) -> str:
    """A chunk id in the form of a UUID, which is what Qdrant takes as a point id."""
    return f"{chunk[:8]}-{chunk[8:12]}-{chunk[12:16]}-{chunk[16:20]}-{chunk[20:]}"


def value_hash(value: object) -> int:
    """Signed 64-bit hash of a plain value by its canonical text."""
    raw = hashlib.blake2b(repr(value).encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(raw, "little", signed=True)


def with_row_hash(frame: pl.DataFrame, excluded: Sequence[str] = ()) -> pl.DataFrame:
    """Return ``frame`` with an Int64 column ``row_hash`` over all columns but ``row_hash``, ``shard`` and ``excluded``.

    The hash is BLAKE2b over the row's canonical text, so it is the same on every machine and with every Polars version
    (Polars' own ``hash`` promises neither).
    """
    columns = [frame.get_column(name).to_list() for name in hashed_columns(frame.columns, excluded)]
    if not columns:
        return frame.with_columns(row_hash=pl.lit(0, dtype=pl.Int64))
    return frame.with_columns(row_hashes(map(repr, zip(*columns, strict=True))))


def row_hashes(rows: Iterable[str]) -> pl.Series:
    """Hashes of rows given by their canonical texts: ``repr`` of the tuple of their ``hashed_columns``."""
    blake2b = hashlib.blake2b
    digests = [blake2b(row.encode("utf-8", "surrogatepass"), digest_size=8).digest() for row in rows]
    return pl.Series("row_hash", np.frombuffer(b"".join(digests), dtype="<i8"), dtype=pl.Int64)


def hashed_columns(names: Iterable[str], excluded: Sequence[str]) -> list[str]:
    """Of a table's columns those that count in a row's hash, in the order in which they do."""
    return sorted(set(names) - {"row_hash", "shard"} - set(excluded))
