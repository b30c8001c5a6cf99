"""What ``cut.cpp`` computes, in Python and numpy: the rules that it is held to."""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from cortex_assets.chunks import cut
from cortex_assets.chunks.pack import WALL, Sizes
from cortex_assets.chunks.refine import blank_lines
from cortex_assets.chunks.source import Source
from cortex_assets.documents.model import Block
from inference.hashing import Positions, mixed

_MIX_1 = np.uint64(0x9E3779B97F4A7C15)
_MIX_2 = np.uint64(0xBF58476D1CE4E5B9)
_TOP_HALF = np.uint64(1 << 63)
_PARAGRAPH, _PAGE, _WALL = 1, 9, 99


def pieces(
    source: Source, blocks: list[Block], marks: list[tuple[int, int]], base: str, sizes: Sizes
) -> list[tuple[int, int, Block | None, str]]:
    """Start, weight, first block and kind of each piece; ``marks``: places and strengths beside blank lines and blocks."""
    places, tokens, strengths = _places(source, blocks, marks)
    hashes = hashes_between(source, tokens)
    places, tokens, strengths, hashes = _glued(source, places, tokens, strengths, hashes, sizes)
    priorities = (strengths << 40) | hashes
    priorities[strengths == _WALL] = WALL
    before = source.weights_between(tokens).tolist()
    picked = borders(before, priorities.tolist(), sizes)
    block_starts = [block.start for block in blocks]
    owners = [_owner(blocks, block_starts, place) for place in places.tolist()]
    found = []
    for first, last in pairwise([0, *picked, len(owners)]):
        kinds = {block.kind if block else base for block in owners[first:last]}
        kind = kinds.pop() if len(kinds) == 1 else base
        found.append((int(places[first]), before[last] - before[first], owners[first], kind))
    return found


def hashes_between(source: Source, tokens: Positions) -> Positions:
    """As ``Source.hashes_between``."""
    bounds = np.asarray(tokens, dtype=np.int64)
    ids = (source._ids.astype(np.uint64) * _MIX_1 + _MIX_2)[bounds[0] : bounds[-1]]
    if not len(ids):
        return np.zeros(len(bounds) - 1, dtype=np.int64)
    bounds = bounds - bounds[0]
    spread = mixed(ids)
    pairs = spread.copy()
    pairs[:-1] ^= spread[1:] * _MIX_2
    pairs[bounds[1:] - 1] |= _TOP_HALF
    least = np.minimum.reduceat(pairs, bounds[:-1])
    whole = np.add.reduceat(spread, bounds[:-1])
    upper, lower = mixed(np.concatenate((least, whole))).reshape(2, -1)
    return (((upper >> np.uint64(40)) << np.uint64(16)) | (lower >> np.uint64(48))).astype(np.int64)


def _owner(blocks: list[Block], starts: list[int], place: int) -> Block | None:
    """The block that ``place`` stands in."""
    index = bisect_right(starts, place) - 1
    return blocks[index] if index >= 0 and place < blocks[index].end else None


def _places(
    source: Source, blocks: list[Block], marks: list[tuple[int, int]]
) -> tuple[Positions, Positions, Positions]:
    """Starts of units, token index of each (and the number of tokens, last), and strength of each start."""
    length = len(source.text)
    paragraphs = blank_lines(source, 0, length)
    edges = np.array([edge for block in blocks for edge in (block.start, block.end)], dtype=np.int64)
    places = np.concatenate((np.zeros(1, np.int64), paragraphs, np.array([p for p, _ in marks], dtype=np.int64), edges))
    strengths = np.concatenate(
        (
            np.full(1 + len(paragraphs), _PARAGRAPH),
            np.array([strength for _, strength in marks], dtype=np.int64),
            np.full(len(edges), _PARAGRAPH),
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


def borders(before: Sequence[int], priorities: Sequence[int], sizes: Sizes) -> list[int]:
    """Return the units that begin a new piece, ascending, without the first.

    Args:
        before: tokens before each unit and, last, all tokens: one more than there are units.
        priorities: of the border before each unit; the first is not read. ``WALL`` is always cut.
        sizes: bounds; a piece above ``sizes.most`` is a single unit.
    """
    count = len(priorities)
    if count < 2 or before[count] - before[0] <= min(sizes.anchor, sizes.most):
        return [unit for unit in range(1, count) if priorities[unit] >= WALL]
    ranks = list(priorities)
    alone = sizes.alone
    for unit in range(count):
        if before[unit + 1] - before[unit] >= alone:
            ranks[unit] = WALL
            if unit + 1 < count:
                ranks[unit + 1] = WALL
    radii = _radii(before, ranks)
    result: list[int] = []
    start = 0
    anchor, most = sizes.anchor, sizes.most
    for unit in range(1, count):
        if ranks[unit] >= WALL or radii[unit] > anchor:
            if before[unit] - before[start] > most:
                _halve(before, radii, start, unit, most, result)
            result.append(unit)
            start = unit
    if before[count] - before[start] > most:
        _halve(before, radii, start, count, most, result)
    result.sort()
    return result


def _radii(before: Sequence[int], ranks: list[int]) -> list[int]:
    """Tokens from each border to the nearest one of a higher rank (equal ranks: the earlier counts as higher)."""
    count = len(ranks)
    radii = [0] * count
    open_units = [0]
    ranks[0] = WALL
    for unit in range(1, count):
        rank, here = ranks[unit], before[unit]
        while ranks[open_units[-1]] < rank:
            lower = open_units.pop()
            reach = here - before[lower]
            if reach < radii[lower]:
                radii[lower] = reach
        radii[unit] = here - before[open_units[-1]]
        open_units.append(unit)
    end = before[count]
    for unit in open_units:
        radii[unit] = min(radii[unit], end - before[unit])
    return radii


def _halve(before: Sequence[int], radii: list[int], first: int, last: int, most: int, result: list[int]) -> None:
    """Cut units ``first`` to ``last`` until each piece is within ``most`` or a single unit; append the borders."""
    pending = [(first, last)]
    while pending:
        start, end = pending.pop()
        total = before[end] - before[start]
        if total <= most or end - start < 2:
            continue
        border = _best(before, radii, start, end, most)
        result.append(border)
        pending += [(start, border), (border, end)]


def _best(before: Sequence[int], radii: list[int], start: int, end: int, most: int) -> int:
    """The border between ``start`` and ``end`` with the most tokens to the next higher one; of equals, the most central."""
    low, high = before[start], before[end]
    floor = most // 8 if high - low <= 8 * most else (high - low) // 4
    inside = [u for u in range(start + 1, end) if before[u] - low >= floor and high - before[u] >= floor]
    if not inside:
        return min(range(start + 1, end), key=lambda u: (abs(2 * before[u] - low - high), u))
    return max(inside, key=lambda u: (radii[u], -abs(2 * before[u] - low - high)))


def places(source: Source, spans: Sequence[tuple[int, int]]) -> cut.Places:
    """See ``cut.Places``."""
    text, white, found = source.text, " \t\r\n", cut.Places(*([] for _ in cut.Places._fields))
    for number, (low, high) in enumerate(spans):
        raw = text[low:high].rstrip()
        if not raw:
            continue
        indent = len(raw) - len(raw.lstrip())
        start, end = low + raw.rfind("\n", 0, indent) + 1, low + len(raw)
        before, after = text[max(0, start - 1) : start + 1], text[end - 1 : end + 1]
        if (start and not set(before) & set(white)) or (end < len(text) and not set(after) & set(white)):
            found.doubtful.append(len(found.kept))
        first, last = source.token_at([start, end]).tolist()
        row = number, start, end, low + indent, last - first, text.count("\n", 0, start), text.count("\n", 0, end - 1)
        for column, value in zip(found, row, strict=False):
            column.append(value)
    return found
