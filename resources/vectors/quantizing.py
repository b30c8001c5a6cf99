"""Quantized vectors: a smaller copy that searches scan, beside the vectors by which what they found is scored again.

========  ====================  =================================================================================
none      half precision alone  exact; 2 bytes a dimension are read
int8      scalar                1 byte a dimension is read
binary    one bit               1/8 byte a dimension is read; finds worse what half precision tells apart narrowly
========  ====================  =================================================================================

Whatever is scanned, ``OVERSAMPLING`` times as many candidates as asked are scored by the half-precision vectors, so scores are
comparable over segments of any kind and only *which* points come up can differ from an exact search. The copy costs disk; what
it saves is memory, because the vectors themselves are read for candidates only. Sources: https://qdrant.tech/documentation/guides/quantization/;
how much is found is measured by ``python -m tests.bench quantized``.
"""

import math
from typing import TYPE_CHECKING, Final, NamedTuple

from resources.vectors.protocol import VectorStoreError

if TYPE_CHECKING:
    import qdrant_edge as qe
    from qdrant_client import models as qm

NONE: Final = "none"
INT8: Final = "int8"
BINARY: Final = "binary"
KINDS: Final = (NONE, INT8, BINARY)
OVERSAMPLING: Final = {INT8: 2.0, BINARY: 8.0}
"""How many candidates are scored again for each that is asked: of the nearest 100 of 28,000 real texts int8 then misses none and
binary 2.4 %, of the nearest ten neither."""


class Graph(NamedTuple):
    """How graphs are built and searched.

    Attributes:
        edges: of a point (m).
        care: candidates looked at for them when it is built (ef_construct): what building costs goes with it.
        width: candidates looked at in a search (ef), where one graph is searched.
    """

    edges: int
    care: int
    width: int

    def width_among(self, graphs: int) -> int:
        """Candidates to look at in each of ``graphs``: the more there are, the fewer of what is wanted lie in one.

        Never fewer than are asked for, which the engine sees to.
        """
        return round(self.width / math.sqrt(max(graphs, 1)))


GRAPH: Final = Graph(16, 100, 300)
"""Of the texts nearest to 200 short questions, among 28,000 real ones, this finds .994 of ten and .981 of a hundred in .8 ms; searched
as wide as is asked (116), .973 and .926 in .4 ms. Built with care 64 it finds .985 and .970, for two thirds of the time."""


def checked_kind(kind: str) -> str:
    """``kind``, where it is one.

    Raises:
        VectorStoreError: it is none of ``KINDS``.
    """
    if kind not in KINDS:
        raise VectorStoreError(f"vectors cannot be quantized as {kind!r}; use one of {', '.join(KINDS)}")
    return kind


def edge_quantization(kind: str) -> "qe.ScalarQuantizationConfig | qe.BinaryQuantizationConfig | None":
    """What tells qdrant-edge to make the copy, mapped from the disk like the vectors."""
    import qdrant_edge as qe

    if kind == INT8:
        return qe.ScalarQuantizationConfig(qe.ScalarType.Int8, memory=qe.Memory.Cold)
    return qe.BinaryQuantizationConfig(memory=qe.Memory.Cold) if kind == BINARY else None


def edge_parameters(kind: str, width: int) -> "qe.SearchParams":
    """How qdrant-edge searches a segment of that kind; a graph ``width`` wide."""
    import qdrant_edge as qe

    if kind == NONE:
        return qe.SearchParams(hnsw_ef=width)
    again = qe.QuantizationSearchParams(rescore=True, oversampling=OVERSAMPLING[kind])
    return qe.SearchParams(hnsw_ef=width, quantization=again)


def server_quantization(kind: str) -> "qm.QuantizationConfig | None":
    """The same for a server's collection; None for none."""
    from qdrant_client import models as qm

    if kind == INT8:
        return qm.ScalarQuantization(scalar=qm.ScalarQuantizationConfig(type=qm.ScalarType.INT8, always_ram=True))
    return qm.BinaryQuantization(binary=qm.BinaryQuantizationConfig(always_ram=True)) if kind == BINARY else None


def server_parameters(kind: str) -> "qm.SearchParams | None":
    """How a server searches a collection of that kind."""
    from qdrant_client import models as qm

    if kind == NONE:
        return None
    again = qm.QuantizationSearchParams(rescore=True, oversampling=OVERSAMPLING[kind])
    return qm.SearchParams(quantization=again)


def kind_of(held: "qm.QuantizationConfig | None") -> str:
    """Which kind a server's collection is."""
    from qdrant_client import models as qm

    if isinstance(held, qm.ScalarQuantization):
        return INT8
    return BINARY if isinstance(held, qm.BinaryQuantization) else NONE
