"""Where code and data are cut: at symbols, then at blank lines and statements; at keys by their indentation.

Symbols come from ``syntax``; a language without a grammar is cut by blank lines and indentation alone.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

import numpy as np

from cortex_assets.chunks.refine import Level, blank_lines, lines
from cortex_assets.chunks.source import Source
from cortex_assets.syntax.symbols import Symbol, symbols
from inference.hashing import Positions

_DEPTHS = 6
_CLOSERS = "}])"


def outer_lines(source: Source, start: int, end: int) -> Positions:
    """Starts of the least indented lines below the first, closing brackets left out: statements, keys of a mapping."""
    starts, firsts = source.line_starts(start, end)
    if not len(starts):
        return starts
    begins = source.starts[firsts]
    text = source.text
    opens = np.fromiter((text[place] not in _CLOSERS for place in begins.tolist()), dtype=np.bool_, count=len(begins))
    starts, indents = starts[opens], (begins - starts)[opens]
    return starts[indents == indents.min()] if len(starts) else starts


DATA_LEVELS: tuple[Level, ...] = (*(outer_lines,) * _DEPTHS, lines)
BODY_LEVELS: tuple[Level, ...] = (blank_lines, outer_lines, outer_lines, lines)


class CodeOutline:
    """The symbols of a piece of code, as places to cut at and as names."""

    def __init__(self, text: str, language: str | None, shift: int = 0) -> None:
        """Read the symbols of ``text``, which stands at ``shift`` in its document."""
        self._symbols: list[Symbol] = symbols(text, language)
        self._starts = [symbol.start_char + shift for symbol in self._symbols]
        self._ends = [symbol.end_char + shift for symbol in self._symbols]
        self._depths: list[int] = []
        self._by_depth: list[list[int]] = [[] for _ in range(_DEPTHS)]
        for index, symbol in enumerate(self._symbols):
            depth = 0 if symbol.parent is None else self._depths[symbol.parent] + 1
            self._depths.append(depth)
            if depth < _DEPTHS:
                self._by_depth[depth].append(index)
        self._shift = shift
        self._places = [self._borders(text, indices) for indices in self._by_depth]

    def levels(self) -> tuple[Level, ...]:
        """Symbols from the outside in, then what divides a body."""
        return (*(self._level(depth) for depth in range(_DEPTHS) if len(self._places[depth])), *BODY_LEVELS)

    def symbol_of(self, start: int, end: int) -> str | None:
        """Qualified name of the first symbol that begins in ``[start, end)``, else of the innermost one around it."""
        index = bisect_left(self._starts, start)
        if index < len(self._starts) and self._starts[index] < end:
            return self._symbols[index].qualified_name
        around = self._around(start)
        return self._symbols[around[-1]].qualified_name if around else None

    def path(self, start: int) -> list[str]:
        """Kind and name of each symbol that is open at ``start`` and began before it, outermost first."""
        return [f"{self._symbols[i].kind} {self._symbols[i].name}" for i in self._around(start)]

    def _around(self, start: int) -> list[int]:
        index: int | None = bisect_right(self._starts, start - 1) - 1
        chain: list[int] = []
        while index is not None and index >= 0:
            if self._ends[index] > start:
                chain.append(index)
            index = self._symbols[index].parent
        return chain[::-1]

    def _borders(self, text: str, indices: Sequence[int]) -> Positions:
        """Line starts of symbols and of what follows them."""
        places: set[int] = set()
        for index in indices:
            symbol = self._symbols[index]
            line = text.rfind("\n", 0, symbol.start_char) + 1
            is_first = not text[line : symbol.start_char].strip()
            places.add(line if is_first else symbol.start_char)
            after = text.find("\n", max(symbol.start_char, symbol.end_char - 1))
            if after >= 0:
                places.add(after + 1)
        return np.array(sorted(places), dtype=np.int64) + self._shift

    def _level(self, depth: int) -> Level:
        places = self._places[depth]

        def level(_source: Source, start: int, end: int) -> Positions:
            low, high = places.searchsorted((start, end))
            return places[low:high]

        return level
