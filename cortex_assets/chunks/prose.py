"""Where a document with structure is cut: at pages and headings, around tables and code blocks, between paragraphs.

The units are paragraphs (a heading goes with what follows it), whole tables, whole code blocks. Which of them
share a piece is decided in ``pack``; a unit that is too large is cut by ``refine``, ``tables`` or ``code``.
"""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from cortex_assets.chunks.code import BODY_LEVELS, DATA_LEVELS, CodeOutline
from cortex_assets.chunks.pack import WALL, Sizes, borders
from cortex_assets.chunks.refine import LINE_LEVELS, PROSE_LEVELS, Level, blank_lines, refine
from cortex_assets.chunks.source import Source
from cortex_assets.chunks.tables import table_cuts
from cortex_assets.documents.model import Block, Structure
from inference.hashing import Positions

_HASH_BITS = 40
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
    blocks = _disjoint(structure.blocks, len(source.text))
    sizes = Sizes.of(most)
    places, tokens, strengths = _places(source, structure, blocks, sizes, apart)
    hashes = source.hashes_between(tokens)
    places, tokens, strengths, hashes = _glued(source, places, tokens, strengths, hashes, sizes)
    priorities = (strengths << _HASH_BITS) | hashes
    priorities[strengths == _WALL] = WALL
    before = source.weights_between(tokens).tolist()
    picked = borders(before, priorities.tolist(), sizes)
    block_starts = [block.start for block in blocks]
    owners = [_owner(blocks, block_starts, place) for place in places.tolist()]
    bounds = [*places.tolist(), len(source.text)]
    spans: list[Span] = []
    for first, last in pairwise([0, *picked, len(owners)]):
        owner = owners[first]
        if before[last] - before[first] > most:
            spans += _large(source, bounds[first], bounds[last], owner, base, most)
            continue
        kinds = {_BLOCK_KINDS[block.kind] if block else base for block in owners[first:last]}
        spans.append(Span(bounds[first], bounds[last], kinds.pop() if len(kinds) == 1 else base))
    return spans


def _disjoint(blocks: Sequence[Block], length: int) -> list[Block]:
    """The blocks of a known kind that lie inside the text and do not overlap an earlier one."""
    kept: list[Block] = []
    for block in sorted(blocks, key=lambda b: (b.start, -b.end)):
        floor = kept[-1].end if kept else 0
        if block.kind in _BLOCK_KINDS and floor <= block.start < block.end <= length:
            kept.append(block)
    return kept


def _owner(blocks: list[Block], starts: list[int], place: int) -> Block | None:
    """The block that ``place`` stands in."""
    index = bisect_right(starts, place) - 1
    return blocks[index] if index >= 0 and place < blocks[index].end else None


def _places(
    source: Source, structure: Structure, blocks: list[Block], sizes: Sizes, apart: Sequence[int]
) -> tuple[Positions, Positions, Positions]:
    """Starts of units, token index of each (and the number of tokens, last), and strength of each start."""
    length = len(source.text)
    paragraphs = blank_lines(source, 0, length)
    headings = np.array([h.start for h in structure.headings], dtype=np.int64)
    levels = np.array([_HEADING_BASE - min(max(h.level, 1), 6) for h in structure.headings], dtype=np.int64)
    edges = np.array([edge for block in blocks for edge in (block.start, block.end)], dtype=np.int64)
    paged = sorted([page.start for page in structure.pages] + [place.start for place in structure.places])
    pages, page_strengths = _page_starts(source, paged, sizes.most // 8)
    walls = np.array(apart, dtype=np.int64)
    places = np.concatenate((np.zeros(1, np.int64), paragraphs, headings, edges, pages, walls))
    strengths = np.concatenate(
        (
            np.full(1 + len(paragraphs), _PARAGRAPH),
            levels,
            np.full(len(edges), _PARAGRAPH),
            page_strengths,
            np.full(len(walls), _WALL),
        )
    )
    keep = (places >= 0) & (places < length)
    if blocks:
        starts, ends = edges[::2], edges[1::2]
        index = np.maximum(starts.searchsorted(places, side="right") - 1, 0)
        keep &= ~((places > starts[index]) & (places < ends[index])) | (strengths >= _PAGE)
    places, strengths = places[keep], strengths[keep]
    tokens = source.token_at(places)
    within = (tokens > 0) & (source.ends[np.maximum(tokens - 1, 0)] > places) if len(source.ends) else tokens > 0
    keep = (~within & (tokens < len(source.starts)) & (tokens > 0)) | (places == 0)
    places, tokens, strengths = places[keep], tokens[keep], strengths[keep]
    order = np.lexsort((-strengths, tokens * (places > 0)))
    places, tokens, strengths = places[order], tokens[order], strengths[order]
    fresh = np.diff(tokens, prepend=-1) > 0
    places, tokens, strengths = places[fresh], tokens[fresh], strengths[fresh]
    places[0] = tokens[0] = 0
    return places, np.append(tokens, len(source.starts)), strengths


def _page_starts(source: Source, pages: Sequence[int], least: int) -> tuple[Positions, Positions]:
    """Starts of pages and places; a wall where those on both sides have ``least`` tokens, so that no chunk crosses it."""
    starts = np.array(pages, dtype=np.int64)
    if not len(starts):
        return starts, starts
    tokens = np.append(source.token_at(starts), len(source.starts))
    filled = np.diff(source.weights_between(tokens)) >= least
    return starts, np.where(filled & np.append(False, filled[:-1]), _WALL, _PAGE)


def _glued(
    source: Source,
    places: Positions,
    tokens: Positions,
    strengths: Positions,
    hashes: Positions,
    sizes: Sizes,
) -> tuple[Positions, Positions, Positions, Positions]:
    """Join each heading that stands alone with the unit below it, unless that is stronger or they do not fit."""
    weights = np.diff(source.weights_between(tokens))
    is_heading = (strengths > _PARAGRAPH) & (weights <= sizes.anchor)
    joins = is_heading[:-1] & (strengths[1:] < strengths[:-1]) & (weights[:-1] + weights[1:] <= sizes.most)
    keep = np.append(True, ~joins)
    return places[keep], tokens[np.append(keep, True)], strengths[keep], hashes[keep]


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
