"""The chunks table: verbatim slices of documents under an exact token bound."""

import dataframely as dy

from cortex_assets.tables import sharded


class Chunks(dy.Schema):
    """One chunk: ``document.text[start_char:end_char] == text``."""

    shard = dy.String()
    chunk_id = dy.String(primary_key=True)
    document_id = dy.String()
    input_key = dy.String(metadata={"doc": "the document_id this row was made from"})
    corpus_id = dy.String()
    ordinal = dy.Int64(min=0, metadata={"doc": "position in the document"})
    text = dy.String(metadata={"doc": "verbatim slice of the document's text"})
    context = dy.String(metadata={"doc": "headings or repeated table header embedded before the text; never the path"})
    embed_hash = dy.String(metadata={"doc": "hash of context + text: the key of its vector"})
    start_char = dy.Int64(min=0)
    end_char = dy.Int64(min=0)
    start_line = dy.Int64(min=1)
    end_line = dy.Int64(min=1)
    start_page = dy.Int64(nullable=True)
    end_page = dy.Int64(nullable=True)
    place = dy.String(nullable=True, metadata={"doc": "cells, slide, message or section: what people call its place"})
    symbol = dy.String(nullable=True, metadata={"doc": "qualified name of the code symbol, such as Signer.sign"})
    kind = dy.String(regex="^(prose|table|code|data)$")
    token_count = dy.Int64(min=0, metadata={"doc": "tokens of context + text, special tokens not counted"})
    is_active = dy.Bool()
    row_hash = dy.Int64()


CHUNKS = sharded("silver/chunks", Chunks, "chunk_id", unhashed=("text", "context"))
