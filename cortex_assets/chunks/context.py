"""What is embedded before a chunk's text: the headings it stands under, or the symbols around it. Never the path.

A context is one line (``Guide > Install > Linux``) and ends with a line feed, so that token counts add up. It takes
what room the text leaves; where that is too little, the outermost headings go first.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from cortex_assets.chunks.source import Source
from cortex_assets.documents.model import Heading
from inference.protocols import Tokenizer

CONTEXT_TOKENS = 48
"""Most tokens of a path of headings or symbols."""
RESERVED_TOKENS = 16
"""Tokens that every chunk leaves for its context."""
_SEPARATOR = " > "
_BEFORE_TITLE = 16
"""A title is looked for so many characters after its heading's start: white space and marks stand before it."""


class HeadingPaths:
    """The chain of headings above each place of a document."""

    def __init__(self, headings: Sequence[Heading]) -> None:
        kept = [heading for heading in headings if heading.title.strip()]
        self._starts = [heading.start for heading in kept]
        self._titles = [" ".join(heading.title.split()) for heading in kept]
        self._parents: list[int] = []
        open_headings: list[int] = []
        for index, heading in enumerate(kept):
            while open_headings and kept[open_headings[-1]].level >= heading.level:
                open_headings.pop()
            self._parents.append(open_headings[-1] if open_headings else -1)
            open_headings.append(index)

    def above(self, starts: Sequence[int]) -> list[int]:
        """For each text by its start the number of the heading it stands under, -1 for none; not one at its start."""
        if not self._starts:
            return [-1] * len(starts)
        wanted, headings = np.array(starts, dtype=np.int64), np.array(self._starts, dtype=np.int64)
        index = headings.searchsorted(wanted)
        begins = headings[np.minimum(index, len(headings) - 1)] == wanted
        parents = np.array([*self._parents, -1], dtype=np.int64)
        above: list[int] = np.where(begins, parents[index], index - 1).tolist()
        return above

    def counts(self, source: Source) -> dict[str, int]:
        """Tokens of the titles that stand in the document's text as they are, between white space."""
        found = [
            (title, source.text.find(title, start, start + len(title) + _BEFORE_TITLE))
            for title, start in dict(zip(self._titles, self._starts, strict=True)).items()
        ]
        titles = [title for title, place in found if place >= 0]
        starts = [place for _, place in found if place >= 0]
        ends = [start + len(title) for start, title in zip(starts, titles, strict=True)]
        numbers = (source.token_at(ends) - source.token_at(starts)).tolist()
        unclean = set(source.unclean(starts, ends))
        return {title: count for n, (title, count) in enumerate(zip(titles, numbers, strict=True)) if n not in unclean}

    def parts(self, number: int) -> list[str]:
        """Titles from the outermost heading to heading ``number``."""
        chain: list[str] = []
        while number >= 0:
            chain.append(self._titles[number])
            number = self._parents[number]
        return chain[::-1]


def fitted(
    paths: Sequence[Sequence[str]], rooms: Sequence[int], tokenizer: Tokenizer, known: Mapping[str, int]
) -> list[tuple[str, int]]:
    """For each path and its room in tokens, the context that fits and its token count; ``("", 0)`` for no path.

    Each title is counted once, unless its count is ``known``: white space stands on both sides of a separator, so
    counts add up.
    """
    if not any(paths):
        return [("", 0)] * len(paths)
    titles = sorted({title for path in paths for title in path}.difference(known))
    separator, *numbers = tokenizer.count_batch([_SEPARATOR, *titles])
    counts = {**known, **dict(zip(titles, numbers, strict=True))}
    made: dict[tuple[int, int], tuple[str, int]] = {}
    result: list[tuple[str, int]] = []
    for path, free in zip(paths, rooms, strict=True):
        key = (id(path), min(free, CONTEXT_TOKENS))
        if key not in made:
            made[key] = _tail(path, [counts[title] for title in path], separator, key[1], tokenizer)
        result.append(made[key])
    return result


def _tail(
    path: Sequence[str], counts: Sequence[int], separator: int, room: int, tokenizer: Tokenizer
) -> tuple[str, int]:
    """The innermost part of a path that fits, and its token count."""
    if not path or room <= 0:
        return "", 0
    total, first = counts[-1], len(path) - 1
    if total > room:
        return beginning(path[-1], room, tokenizer)
    while first > 0 and total + separator + counts[first - 1] <= room:
        first -= 1
        total += separator + counts[first]
    return _SEPARATOR.join(path[first:]) + "\n", total


def beginning(text: str, room: int, tokenizer: Tokenizer) -> tuple[str, int]:
    """The first words of ``text`` that fit into ``room`` tokens, with a line feed, and their exact count."""
    tokens = tokenizer.encode(text[: 64 * max(room, 1)])
    for last in range(min(room, len(tokens.ids)), 0, -1):
        end = int(tokens.ends[last - 1])
        if end < len(text) and not text[end].isspace():
            continue
        cut = text[:end].strip() + "\n"
        count = tokenizer.count_batch([cut])[0]
        if count <= room:
            return cut, count
    return "", 0
