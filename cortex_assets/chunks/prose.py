"""Where a document with structure is cut: at pages and headings, around tables and code blocks, between paragraphs.

The units are paragraphs (a heading goes with what follows it), whole tables, whole code blocks. Which of them
share a piece is decided in ``pack``; a unit that is too large is cut by ``refine``, ``tables`` or ``code``.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from cortex_assets.chunks import cut
from cortex_assets.chunks.code import BODY_LEVELS, DATA_LEVELS, CodeOutline
from cortex_assets.chunks.pack import Sizes
from cortex_assets.chunks.refine import LINE_LEVELS, PROSE_LEVELS, Level, refine
from cortex_assets.chunks.source import Source
from cortex_assets.chunks.tables import table_cuts
from cortex_assets.documents.model import Block, Structure

_PARAGRAPH, _HEADING_BASE, _PAGE, _WALL = 1, 9, 9, 99
_BLOCK_KINDS = {"table": "table", "code": "code", "front_matter": "data"}


class Span(NamedTuple):
    """A piece before it is trimmed: its place, its kind, and the table header to repeat above it."""

    start: int
    end: int
    kind: str
    header: str = ""
    header_tokens: int = 0


def prose_spans(source: Source, structure: Structure, base: str, most: int, apart: Sequence[int] = ()) -> list[Span]:
    """Cut a document by its structure.

    Args:
        source: the tokenized document.
        structure: its headings, pages and blocks.
        base: kind of what stands in no block: ``prose``, ``data`` or ``table``.
        most: bound on a piece's weight.
        apart: starts that no piece crosses, however small the pieces are.
    """
    length = len(source.text)
    blocks = _disjoint(structure.blocks, length)
    edges = _edges(source, structure, blocks, most // 8, apart)
    pieces = cut.pieces(source.tokenized(), edges, cut.KINDS.index(base), Sizes.of(most).numbers)
    bounds = [*pieces.starts, length]
    spans: list[Span] = []
    for number, (weight, block, kind) in enumerate(zip(pieces.weights, pieces.blocks, pieces.kinds, strict=True)):
        start, end = bounds[number], bounds[number + 1]
        if weight > most:
            spans += _large(source, start, end, blocks[block] if block >= 0 else None, base, most)
        else:
            spans.append(Span(start, end, cut.KINDS[kind]))
    return spans


def _disjoint(blocks: Sequence[Block], length: int) -> list[Block]:
    """The blocks of a known kind that lie inside the text and do not overlap an earlier one."""
    kept: list[Block] = []
    for block in sorted(blocks, key=lambda b: (b.start, -b.end)):
        floor = kept[-1].end if kept else 0
        if block.kind in _BLOCK_KINDS and floor <= block.start < block.end <= length:
            kept.append(block)
    return kept


def _edges(source: Source, structure: Structure, blocks: list[Block], least: int, apart: Sequence[int]) -> cut.Edges:
    """Headings, blocks, pages and walls, and how strong each is as a border."""
    headings = [heading.start for heading in structure.headings]
    levels = [_HEADING_BASE - min(max(heading.level, 1), 6) for heading in structure.headings]
    sides = [side for block in blocks for side in (block.start, block.end)]
    pages, page_strengths = _page_starts(source, structure, least)
    return cut.Edges(
        [*headings, *sides, *pages, *apart],
        [*levels, *[_PARAGRAPH] * len(sides), *page_strengths, *[_WALL] * len(apart)],
        sides,
        [cut.KINDS.index(_BLOCK_KINDS[block.kind]) for block in blocks],
    )


def _page_starts(source: Source, structure: Structure, least: int) -> tuple[list[int], list[int]]:
    """Starts of pages and places; a wall where those on both sides have ``least`` tokens, so that no chunk crosses it."""
    starts = sorted([page.start for page in structure.pages] + [place.start for place in structure.places])
    if not starts:
        return [], []
    tokens = np.append(source.token_at(starts), len(source.starts))
    filled = np.diff(source.weights_between(tokens)) >= least
    return starts, np.where(filled & np.append(False, filled[:-1]), _WALL, _PAGE).tolist()


def _large(source: Source, start: int, end: int, owner: Block | None, base: str, most: int) -> list[Span]:
    """Cut one unit that is larger than a piece."""
    header, header_tokens, head_end = "", 0, end
    kind = _BLOCK_KINDS[owner.kind] if owner else base
    if owner is not None and kind == "table":
        cuts, header, header_tokens = table_cuts(source, owner, start, end, most)
        head_end = owner.head_end if owner.head_end is not None else end
    else:
        cuts = refine(source, start, end, _levels(source, start, end, owner, kind), most)
    return [
        Span(low, high, kind, header, header_tokens) if low >= head_end else Span(low, high, kind)
        for low, high in pairwise([start, *cuts, end])
    ]


def _levels(source: Source, start: int, end: int, owner: Block | None, kind: str) -> Sequence[Level]:
    """The levels that divide a large unit of a kind."""
    if kind == "code":
        outline = CodeOutline(source.text[start:end], owner.language if owner else None, start)
        return outline.levels() or BODY_LEVELS
    if kind == "data":
        return DATA_LEVELS
    return LINE_LEVELS if kind == "table" else PROSE_LEVELS
