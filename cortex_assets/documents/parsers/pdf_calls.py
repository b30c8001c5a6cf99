"""Many small questions to the PDF library about one page, asked in one call of ``pdf_read.cpp``.

A call by ctypes takes longer than most of the library's answers, and a page has hundreds of boxes. What the numbers
mean is for ``pdf_text`` and ``pdf_rules`` to know. Not for two threads at once, as the library is not.
"""

import ctypes
from array import array
from collections.abc import Iterable, Sequence
from functools import cache
from importlib import import_module
from typing import Any

from inference.native import library

_RULES = 1
"""Those of ``pdf_read.cpp``."""
MOST_OBJECTS, MOST_SEGMENTS = 5_000, 4_000
_ROOM = MOST_OBJECTS + 2 * MOST_SEGMENTS
_FUNCTIONS = (
    "FPDFPage_CountObjects",
    "FPDFPage_GetObject",
    "FPDFPageObj_GetType",
    "FPDFPageObj_GetBounds",
    "FPDFPath_GetDrawMode",
    "FPDFPageObj_GetMatrix",
    "FPDFPath_CountSegments",
    "FPDFPath_GetPathSegment",
    "FPDFPathSegment_GetType",
    "FPDFPathSegment_GetPoint",
    "FPDFPathSegment_GetClose",
)
Four = tuple[float, float, float, float]
Three = tuple[float, float, float]


class PageReader:
    """Asks the library about loaded pages.

    Raises:
        NotCompiled: ``pdf_read.cpp`` is not compiled.
    """

    def __init__(self) -> None:
        raw: Any = import_module("pypdfium2.raw")
        compiled = library("cortex_assets.documents.parsers._pdf_read", "pdf_read_rules", _RULES)
        pointer, number = ctypes.c_void_p, ctypes.c_int32
        self._boxes, self._rules = compiled.pdf_boxes, compiled.pdf_rules
        self._boxes.restype, self._boxes.argtypes = None, [pointer, pointer, pointer, number, pointer]
        self._rules.restype = None
        self._rules.argtypes = [pointer, pointer, number, number, number, pointer, pointer, pointer]
        self._rect, self._char = _address(raw.FPDFText_GetRect), _address(raw.FPDFText_GetCharBox)
        self._functions = (pointer * len(_FUNCTIONS))(*[_address(getattr(raw, name)) for name in _FUNCTIONS])
        self._level, self._upright = (array("d", bytes(24 * _ROOM)) for _ in range(2))
        self._counts = array("i", (0, 0))

    def rects(self, textpage: Any, count: int) -> Iterable[Four]:
        """Left, top, right and bottom of the first runs of text."""
        return self._four(self._rect, textpage, None, count)

    def chars(self, textpage: Any, indexes: Sequence[int]) -> Iterable[Four]:
        """Left, right, bottom and top of characters."""
        held = array("i", indexes)
        return self._four(self._char, textpage, _at(held), len(held))

    def rules(self, page: Any) -> tuple[list[Three], list[Three]]:
        """Level and upright rules: place on the other axis, start, end; none on a page with over 5,000 objects."""
        arrays = _at(self._level), _at(self._upright), _at(self._counts)
        self._rules(self._functions, _address(page.raw), MOST_OBJECTS, MOST_SEGMENTS, _ROOM, *arrays)
        level, upright = self._counts
        return _threes(self._level[: 3 * level]), _threes(self._upright[: 3 * upright])

    def _four(self, function: int | None, textpage: Any, indexes: int | None, count: int) -> Iterable[Four]:
        numbers = array("d", bytes(32 * count))
        self._boxes(function, _address(textpage.raw), indexes, count, _at(numbers))
        return zip(numbers[0::4], numbers[1::4], numbers[2::4], numbers[3::4], strict=True)


page_reader = cache(PageReader)
"""The reader of this process."""


def _address(pointer: Any) -> int | None:
    return ctypes.cast(pointer, ctypes.c_void_p).value


def _at(numbers: "array[Any]") -> int:
    return numbers.buffer_info()[0]


def _threes(numbers: "array[float]") -> list[Three]:
    return list(zip(numbers[0::3], numbers[1::3], numbers[2::3], strict=True))
