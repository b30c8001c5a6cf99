"""The documents table: what a parser made of a file."""

import dataframely as dy

from cortex_assets.documents.model import KINDS
from cortex_assets.tables import STATUSES, sharded


class Documents(dy.Schema):
    """One document: a file's text, or one part of it."""

    shard = dy.String()
    document_id = dy.String(primary_key=True)
    file_id = dy.String()
    input_key = dy.String(metadata={"doc": "the file_id this row was made from"})
    corpus_id = dy.String()
    inner = dy.String(metadata={"doc": "empty for the whole file; part, member or message otherwise"})
    path = dy.String()
    title = dy.String()
    kind = dy.String(regex=f"^({'|'.join(KINDS)})$")
    language = dy.String(nullable=True, metadata={"doc": "programming language of code, else null"})
    text = dy.String()
    text_hash = dy.String()
    structure = dy.String(metadata={"doc": "JSON of documents.model.Structure: headings, pages, blocks"})
    content_hash = dy.String(metadata={"doc": "hash of text, structure, kind and language: what chunks depend on"})
    char_count = dy.Int64(min=0)
    page_count = dy.Int64(nullable=True)
    encoding = dy.String(nullable=True)
    parser = dy.String()
    status = dy.String(regex=f"^({'|'.join(STATUSES)})$")
    failed_pages = dy.List(dy.Int64())
    reason = dy.String(nullable=True)
    findings = dy.List(
        dy.Struct(
            {
                "rule": dy.String(),
                "place": dy.String(),
                "line": dy.Int64(nullable=True),
                "start_char": dy.Int64(nullable=True),
                "end_char": dy.Int64(nullable=True),
            }
        ),
        nullable=True,
        metadata={
            "doc": "secrets and personal data that were found: rule and where (text, title, link...; bytes: in the file only), never what"
        },
    )
    quality_score = dy.Float64(
        nullable=True, min=0, max=1, metadata={"doc": "documents.quality: 1 = nothing speaks against it"}
    )
    quality_notes = dy.List(dy.String(), nullable=True, metadata={"doc": "what was taken off for"})
    modified_at = dy.Datetime(
        time_zone="UTC",
        metadata={"doc": "of the file, as it was when this row was last written: a touch moves nothing"},
    )
    row_hash = dy.Int64()


DOCUMENTS = sharded("bronze/documents", Documents, "document_id", unhashed=("modified_at", "text", "structure"))
