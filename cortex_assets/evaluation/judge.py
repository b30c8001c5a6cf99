"""Hits against the places that answer a question: which hit meets which gold, and how many characters of them it shows. Pure.

A gold that is a whole document is met by any chunk of it, a passage by every chunk that shares a character with it, a chunk by
itself. What numbers are made of it is ``metrics``'.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cortex_assets.evaluation.resolve import Target

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a text stands: its chunk, its document, and its characters there (first, one past the last)."""

    chunk_id: str
    document_id: str
    start_char: int
    end_char: int


@dataclass(frozen=True, slots=True)
class Found:
    """One hit: all places at which its text stands, its own first."""

    spots: tuple[Spot, ...]

    @property
    def chunk_id(self) -> str:
        """The chunk of the hit."""
        return self.spots[0].chunk_id


def meets(hits: Sequence[Found], targets: Sequence[Target]) -> npt.NDArray[np.bool_]:
    """Which hit meets which gold: one row a hit, best first, one column a gold."""
    table = np.zeros((len(hits), len(targets)), dtype=np.bool_)
    for row, hit in enumerate(hits):
        for column, target in enumerate(targets):
            table[row, column] = any(_meets(spot, target) for spot in hit.spots)
    return table


def _meets(spot: Spot, target: Target) -> bool:
    if target.chunk_id:
        return spot.chunk_id == target.chunk_id
    return spot.document_id in target.document_ids and (target.span is None or _shared(spot, target) > 0)


def _shared(spot: Spot, target: Target) -> int:
    """Characters of a gold's span that a chunk shows."""
    if target.span is None or spot.document_id not in target.document_ids:
        return 0
    return max(0, min(spot.end_char, target.span[1]) - max(spot.start_char, target.span[0]))


def characters(hits: Sequence[Found], targets: Sequence[Target]) -> tuple[int, int, int]:
    """Characters of the golds' spans that hits show, of all spans, and that hits show in all; each place counts once.

    Of a hit whose text stands at several places the one counts that shows most of a span. Golds that are whole documents have
    no span and do not count: (0, 0, ...) where there are no others.
    """
    wanted: dict[str, list[Span]] = {}
    for target in targets:
        if target.span is not None:
            (document,) = target.document_ids
            wanted.setdefault(document, []).append(target.span)
    shown: dict[str, list[Span]] = {}
    for hit in hits:
        spot = max(hit.spots, key=lambda one: max((_shared(one, target) for target in targets), default=0))
        shown.setdefault(spot.document_id, []).append((spot.start_char, spot.end_char))
    spans = {document: _joined(some) for document, some in wanted.items()}
    chunks = {document: _joined(some) for document, some in shown.items()}
    both = sum(_overlap(spans[document], chunks[document]) for document in spans.keys() & chunks.keys())
    return both, sum(map(_length, spans.values())), sum(map(_length, chunks.values()))


def _joined(spans: Sequence[Span]) -> list[Span]:
    """The same characters as spans that are apart, in order."""
    joined: list[Span] = []
    for start, end in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(joined[-1][1], end)
        else:
            joined.append((start, end))
    return joined


def _length(spans: Sequence[Span]) -> int:
    return sum(end - start for start, end in spans)


def _overlap(left: Sequence[Span], right: Sequence[Span]) -> int:
    return sum(max(0, min(a[1], b[1]) - max(a[0], b[0])) for a in left for b in right)
