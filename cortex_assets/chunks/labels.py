"""What people call the place of a chunk where page and line numbers do not say it: cells, slides, messages, sections."""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import Any

import numpy as np

from cortex_assets.chunks.source import Source
from cortex_assets.documents.model import Block, Structure

MAX_LABEL = 120
_CELLS = re.compile(r"(?P<sheet>.*)!(?P<left>[A-Z]+)(?P<top>\d+):(?P<right>[A-Z]+)(?P<bottom>\d+)", re.DOTALL)


class PlaceLabels:
    """Labels of spans of one document."""

    def __init__(self, source: Source, structure: Structure) -> None:
        self._source = source
        self._tables = [block for block in structure.blocks if block.cells and _CELLS.fullmatch(block.cells)]
        self._table_ends = [block.end for block in self._tables]
        self._places = structure.places
        self._place_starts = [place.start for place in structure.places]
        self._has_pages = bool(structure.pages)
        self._headings = [heading for heading in structure.headings if heading.title.strip()]
        self._heading_starts = [heading.start for heading in self._headings]

    def of(self, start: int, end: int) -> str | None:
        """The label of ``[start, end)``: its cells, else its places, else the section it begins in; None for none.

        A document with pages has no sections here: its page numbers are the place.
        """
        cells = self._cells(start, end)
        names = [cells] if cells else self._named(start, end)
        if names:
            label = names[0] if names[0] == names[-1] else f"{names[0]} – {names[-1]}"
        else:
            return self.sections([start])[0]
        return _short(label)

    def sections(self, starts: Sequence[int]) -> list[str | None]:
        """The label of the section that each position stands in; None above the first, and in a document with pages."""
        if self._has_pages or not self._headings:
            return [None] * len(starts)
        numbers = (np.searchsorted(self._heading_starts, starts, side="right") - 1).tolist()
        known = {n: _short("§ " + " ".join(self._headings[n].title.split())) for n in set(numbers) if n >= 0}
        return [known.get(number) for number in numbers]

    def _cells(self, start: int, end: int) -> str:
        """Cell ranges of the tables that the span touches, each; one range around them where that is too long."""
        first = bisect_right(self._table_ends, start)
        last = first
        while last < len(self._tables) and self._tables[last].start < end:
            last += 1
        ranges = [self._range(block, start, end) for block in self._tables[first:last]]
        told = ""
        for number, (sheet, *sides) in enumerate(ranges):
            is_same = number > 0 and sheet == ranges[number - 1][0]
            told += (", " if number else "") + ("" if is_same else f"{sheet}!") + _written(sides)
        if len(told) <= MAX_LABEL or len({sheet for sheet, *_ in ranges}) > 1:
            return told
        _, lefts, tops, rights, bottoms = zip(*ranges, strict=True)
        return f"{ranges[0][0]}!{_written((min(lefts), min(tops), max(rights), max(bottoms)))}"

    def _range(self, block: Block, start: int, end: int) -> tuple[str, tuple[int, str], int, tuple[int, str], int]:
        """The rows of a table that a span covers: sheet, left, top, right, bottom; columns are sorted by length first."""
        match = _CELLS.fullmatch(block.cells or "")
        if match is None:
            raise ValueError(f"not a range of cells: {block.cells}")
        top = self._row(block, max(start, block.start))
        bottom = self._row(block, max(min(end, block.end) - 1, block.start))
        first = int(match["top"])
        left, right = match["left"], match["right"]
        lowest = min(first + bottom, int(match["bottom"]))
        return match["sheet"], (len(left), left), first + top, (len(right), right), lowest

    def _row(self, block: Block, position: int) -> int:
        """Number of the row, from 0, that a position in a table stands on; the line of dashes is no row."""
        line_at = self._source.newlines.searchsorted
        origin = int(line_at(block.start))
        line = int(line_at(position)) - origin
        if block.head_end is None:
            return line
        dashes = int(line_at(block.head_end - 1)) - origin
        return line if line < dashes else max(line - 1, 0)

    def _named(self, start: int, end: int) -> list[str]:
        """Labels of the first and the last place that the span touches."""
        places = self._places
        if not places:
            return []
        last = bisect_left(self._place_starts, end) - 1
        first = max(bisect_right(self._place_starts, start) - 1, 0)
        if first <= last and places[first].end <= start:
            first += 1
        return [places[index].label for index in dict.fromkeys((first, last))] if first <= last else []


def _short(label: str) -> str:
    return label if len(label) <= MAX_LABEL else label[: MAX_LABEL - 1] + "…"


def _written(sides: Sequence[Any]) -> str:
    """Left, top, right and bottom as ``A1:B3``."""
    left, top, right, bottom = sides
    return f"{left[1]}{top}:{right[1]}{bottom}"


def labels(source: Source, structure: Structure, spans: Sequence[tuple[int, int]]) -> list[str | None]:
    """The label of each span; see ``PlaceLabels.of``."""
    if not (structure.places or structure.headings or structure.blocks):
        return [None] * len(spans)
    known = PlaceLabels(source, structure)
    if structure.places or any(block.cells for block in structure.blocks):
        return [known.of(start, end) for start, end in spans]
    return known.sections([start for start, _ in spans])
