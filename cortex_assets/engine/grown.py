"""What a shard's tables gained since everything in them was settled: a slice of a large import looks at nothing else.

A data file of a Delta table never changes. While none is gone, rows were only added, in the files that are new. Where one
is gone (an edit, a delete, a layout), the whole shard is looked at; so does the first slice of every run, and for points
the last one.
"""

from collections.abc import Mapping

from cortex_assets.chunks.schema import CHUNKS
from cortex_assets.documents.schema import DOCUMENTS
from cortex_assets.embeddings.schema import EMBEDDINGS
from resources.lakehouse import Lakehouse

Files = Mapping[str, frozenset[str]]
"""Table name to the URIs of data files."""


def data_files(lake: Lakehouse, shard: str, space_id: str) -> Files:
    """The files that a shard's documents and chunks, and the vectors of a space, lie in now."""
    here = {"shard": shard}
    return {
        DOCUMENTS.name: lake.files(DOCUMENTS, here),
        CHUNKS.name: lake.files(CHUNKS, here),
        EMBEDDINGS.name: lake.files(EMBEDDINGS, {"space_id": space_id}),
    }


def added_files(before: Files, now: Files) -> Files | None:
    """The files that came since; None where one has gone."""
    if any(files - now[name] for name, files in before.items()):
        return None
    return {name: files - before[name] for name, files in now.items()}
