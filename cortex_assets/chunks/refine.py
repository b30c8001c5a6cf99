"""Cuts inside a unit that is too large for one piece: level by level, from the best places to cut to any place at all.

A level is a function that names the places of one sort inside a span: sentences, lines, symbols. What the levels of a
kind of text are is in ``prose``, ``code`` and ``tables``. The last resort, words and then characters, is here.
"""

import re
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np

from cortex_assets.chunks.pack import Sizes, borders
from cortex_assets.chunks.source import WEIGHT_SHIFT, Source
from inference.hashing import Positions

Level = Callable[[Source, int, int], Sequence[int] | Positions]

_SENTENCE = re.compile(r"(?:[.!?…][\'\")\]*_`»”’]*[ \t\r\n]+(?=[^\sa-z])|[。！？][」』”’]*)")
_ITEM = re.compile(r"\n(?=[ \t]*(?:[-*+•]|\d{1,4}[.)]|#\.|:[\w ]+:|\.\. )[ \t])")


def refine(source: Source, start: int, end: int, levels: Sequence[Level], most: int) -> list[int]:
    """Return the positions inside ``(start, end)`` to cut at, ascending, so that every piece weighs at most ``most``.

    A position is the first character of a token or of a line; only a single token that is longer than a piece is cut by
    characters.
    """
    if source.weight(start, end) <= most:
        return []
    sizes = Sizes.of(most)
    for depth, level in enumerate(levels):
        places, tokens = _usable(source, start, end, level(source, start, end))
        if len(places) < 2:
            continue
        before = source.weights_between(tokens)
        picked = borders(before, source.hashes_between(tokens), sizes)
        cuts: list[int] = []
        places.append(end)
        for first, last in pairwise((0, *picked, len(places) - 1)):
            if first:
                cuts.append(places[first])
            if before[last] - before[first] > most:
                cuts += refine(source, places[first], places[last], levels[depth + 1 :], most)
        return cuts
    return _by_words(source, start, end, most)


def _usable(source: Source, start: int, end: int, places: Sequence[int] | Positions) -> tuple[list[int], list[int]]:
    """``start`` and the places that have tokens before and after them; their token indices and that of ``end``."""
    found = places if isinstance(places, list) else np.asarray(places, dtype=np.int64).tolist()
    last, *tokens = source.starts.searchsorted([end, start, *found]).tolist()
    kept, indices = [start], tokens[:1]
    for place, token in zip(found, tokens[1:], strict=True):
        if indices[-1] < token < last and place > start:
            kept.append(place)
            indices.append(token)
    return kept, [*indices, last]


def items(source: Source, start: int, end: int) -> list[int]:
    """Starts of list items, field lists and directives."""
    return [match.end() for match in _ITEM.finditer(source.text, start, end)]


def sentences(source: Source, start: int, end: int) -> list[int]:
    """Starts of sentences."""
    return [match.end() for match in _SENTENCE.finditer(source.text, start, end)]


def lines(source: Source, start: int, end: int) -> Positions:
    """Starts of lines that have a token."""
    return source.line_starts(start, end)[0]


def blank_lines(source: Source, start: int, end: int) -> Positions:
    """Starts of lines that have a token and stand below a blank line."""
    starts, _ = source.line_starts(start, end)
    if not len(starts):
        return starts
    index = source.newlines.searchsorted(starts - 1)
    above = np.where(index > 0, source.line_tokens[np.maximum(index - 1, 0)], -1)
    kept: Positions = starts[above == source.line_tokens[index]]
    return kept


PROSE_LEVELS: tuple[Level, ...] = (items, sentences, lines)
LINE_LEVELS: tuple[Level, ...] = (blank_lines, lines)


def _by_words(source: Source, start: int, end: int, most: int) -> list[int]:
    """Cut before the last word that fits, again and again; a word that does not fit is cut between its tokens."""
    first, last = (int(token) for token in source.token_at([start, end]))
    starts, ends = source.starts[first:last], source.ends[first:last]
    before = source.weights_between(np.arange(first, last + 1)) - source.weights_between(np.array([first]))
    words = np.flatnonzero(starts[1:] > ends[:-1]) + 1
    cuts: list[int] = []
    here, count = 0, last - first
    if count == 0:
        return _by_characters(start, end, most)
    while before[count] - before[here] > most:
        limit = int(before.searchsorted(before[here] + most, side="right")) - 1
        if limit <= here:
            low = int(starts[here])
            high = int(starts[here + 1]) if here + 1 < count else end
            cuts += [low] if here else []
            cuts += _by_characters(low, high, most)
            here += 1
            if here < count:
                cuts.append(high)
            else:
                break
            continue
        word = int(words.searchsorted(limit, side="right")) - 1
        if word >= 0 and int(words[word]) > here and before[words[word]] - before[here] > most // 2:
            limit = int(words[word])
        cuts.append(int(starts[limit]))
        here = limit
    return sorted(set(cuts) - {start})


def _by_characters(start: int, end: int, most: int) -> list[int]:
    """Cut a span of one long token (or none) every ``most`` weights of characters."""
    step = max(1, most << WEIGHT_SHIFT)
    return list(range(start + step, end, step))
