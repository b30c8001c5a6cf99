"""A qdrant-edge shard as a segment has one: how it is configured, quantized and loaded.

What a shard holds and what is asked of it is ``edge_segment``'s.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resources.vectors.protocol import DamagedIndexError
from resources.vectors.quantizing import GRAPH, NONE, edge_quantization
from resources.vectors.segment import Form, SegmentVanishedError
from resources.vectors.stored import SIDECAR

if TYPE_CHECKING:
    import qdrant_edge as qe

FOLDER = "edge"
_READ_AHEAD = 128 * 1024


def quantize(folder: Path, dimensions: int, kind: str) -> None:
    """Quantize the vectors of a segment folder that no generation names yet."""
    import qdrant_edge as qe

    shard = qe.EdgeShard.load(str(folder / FOLDER), shard_config(dimensions, Form(quantized=kind)))
    shard.optimize()
    shard.flush()
    shard.close()


def shard_config(dimensions: int, form: Form) -> "qe.EdgeConfig":
    """A shard's configuration; without a graph, what is optimized is scanned (m=0)."""
    import qdrant_edge as qe

    edges = GRAPH.edges if form.has_graph or form.quantized == NONE else 0
    dense = qe.EdgeVectorParams(
        dimensions,
        qe.Distance.Dot,
        datatype=qe.VectorStorageDatatype.Float16,
        quantization_config=edge_quantization(form.quantized),
        memory=qe.Memory.Cold,
    )
    return qe.EdgeConfig(
        vectors={"dense": dense},
        hnsw_config=qe.HnswIndexConfig(
            m=edges, ef_construct=GRAPH.care, full_scan_threshold=10_000, max_indexing_threads=2
        ),
        optimizers=qe.EdgeOptimizersConfig(default_segment_number=1, max_segment_size=2**31, indexing_threshold=1),
        max_search_threads=1,
        payload_memory=qe.Memory.Cold,
        wal_enabled=False,
    )


def load_shard(folder: Path, quantized: str = NONE) -> "qe.EdgeShard":
    """Load the qdrant-edge shard of a segment folder, whose vectors are scanned as ``quantized`` says.

    Raises:
        SegmentVanishedError: the folder is gone, perhaps while it was read.
        DamagedIndexError: it is there and cannot be loaded.
    """
    import qdrant_edge as qe

    try:
        shard = qe.EdgeShard.load(str(folder / FOLDER))
        _read_ahead(folder, quantized)
        return shard
    except Exception as error:  # qdrant-edge raises nothing narrower
        if not (folder / SIDECAR).exists():
            raise SegmentVanishedError(str(folder)) from error
        raise DamagedIndexError(f"{folder} cannot be loaded ({error}); rebuild the shard's index") from error


def _read_ahead(folder: Path, quantized: str) -> None:
    """Ask the system to read what is really in the files; loading them "cached" would read their holes as well.

    Vectors that a smaller copy stands for are left where they are: the few that score candidates come when they are asked for.

    Another process that loads the same shard writes and removes small temporary files beside them meanwhile.
    """
    for parent, _, names in os.walk(folder):  # unlike a glob, it passes over a folder that is gone when its turn comes
        for name in names:
            if name.endswith((".mmap", ".dat", ".data")) and not (quantized != NONE and name == "matrix.dat"):
                with open(Path(parent, name), "rb") as handle:
                    size = os.fstat(handle.fileno()).st_blocks * 512
                    for start in range(0, size, _READ_AHEAD):  # one call reads no more than that
                        os.posix_fadvise(handle.fileno(), start, _READ_AHEAD, os.POSIX_FADV_WILLNEED)


def scroll(shard: "qe.EdgeShard", fields: list[str], where: "qe.Filter | None" = None) -> Iterator[Any]:
    """Every point of a shard with the named payload fields, without vectors."""
    import qdrant_edge as qe

    selector = qe.PayloadSelector.Include(fields)
    offset = None
    while True:
        request = qe.ScrollRequest(offset=offset, limit=20_000, filter=where, with_payload=selector, with_vector=False)
        records, offset = shard.scroll(request)
        yield from records
        if offset is None:
            return
