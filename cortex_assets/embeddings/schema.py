"""The embeddings table: one vector per distinct text and space."""

import dataframely as dy

from cortex_assets.tables import Kind, TableSpec


class Embeddings(dy.Schema):
    """One vector; append-only, read through ``unique()`` because two shards may add the same text at once."""

    space_id = dy.String(primary_key=True)
    embed_hash = dy.String(primary_key=True)
    vector = dy.List(dy.Float32(), metadata={"doc": "L2-normalized"})
    precision = dy.String(metadata={"doc": "fp32 or bf16: what the engine computed in"})


EMBEDDINGS = TableSpec(
    "silver/embeddings", Kind.GLOBAL, Embeddings, ("space_id", "embed_hash"), ("space_id",), (), ("embed_hash",)
)
