"""The straight lines that are drawn on a page of a PDF, as rules along the axes: thin shapes, frames and path segments.

What they mean is ``pdf_tables``'s. Shapes with
curves or slanted lines, filled areas and what is inside form objects are left out.
"""

import ctypes
from typing import Any

from cortex_assets.documents.parsers.pdf_tables import Rule

_MAX_OBJECTS = 5_000
_MAX_SEGMENTS = 4_000
_THIN = 2.5
_SHORT = 4.0
_FRAME_WIDTH, _FRAME_HEIGHT = 20.0, 8.0


def rules_of(raw: Any, page: Any) -> tuple[list[Rule], list[Rule]]:
    """Level and upright rules of a loaded page; none for a page with more than 5,000 objects."""
    level: list[Rule] = []
    upright: list[Rule] = []
    count = raw.FPDFPage_CountObjects(page)
    if count > _MAX_OBJECTS:
        return level, upright
    left_edge, bottom_edge, right_edge, top_edge = (ctypes.c_float() for _ in range(4))
    at = tuple(map(ctypes.byref, (left_edge, bottom_edge, right_edge, top_edge)))
    get, kind, bounds, path = (
        raw.FPDFPage_GetObject,
        raw.FPDFPageObj_GetType,
        raw.FPDFPageObj_GetBounds,
        raw.FPDF_PAGEOBJ_PATH,
    )
    handle = page.raw
    budget = _MAX_SEGMENTS
    for index in range(count):
        shape = get(handle, index)
        if kind(shape) != path or not bounds(shape, *at):
            continue
        left, bottom, right, top = left_edge.value, bottom_edge.value, right_edge.value, top_edge.value
        if top - bottom <= _THIN:
            if right - left >= _SHORT:
                level.append(Rule((bottom + top) / 2, left, right))
        elif right - left <= _THIN:
            if top - bottom >= _SHORT:
                upright.append(Rule((left + right) / 2, bottom, top))
        elif budget > 0 and right - left >= _FRAME_WIDTH and top - bottom >= _FRAME_HEIGHT and _is_stroked(raw, shape):
            budget -= _segments(raw, shape, budget, level, upright)
    return level, upright


def _is_stroked(raw: Any, shape: Any) -> bool:
    fill, stroke = ctypes.c_int(), ctypes.c_int()
    return bool(raw.FPDFPath_GetDrawMode(shape, ctypes.byref(fill), ctypes.byref(stroke)) and stroke.value)


def _segments(raw: Any, shape: Any, budget: int, level: list[Rule], upright: list[Rule]) -> int:
    """Add the segments of a path to the rules if all of them go along the axes; how many were looked at."""
    matrix = raw.FS_MATRIX()
    count: int = raw.FPDFPath_CountSegments(shape)
    if not 2 <= count <= budget or not raw.FPDFPageObj_GetMatrix(shape, ctypes.byref(matrix)):
        return 1
    x, y = ctypes.c_float(), ctypes.c_float()
    at = ctypes.byref(x), ctypes.byref(y)
    found: tuple[list[Rule], list[Rule]] = ([], [])
    here = first = (0.0, 0.0)
    for index in range(count):
        segment = raw.FPDFPath_GetPathSegment(shape, index)
        kind = raw.FPDFPathSegment_GetType(segment)
        if kind == raw.FPDF_SEGMENT_BEZIERTO or not raw.FPDFPathSegment_GetPoint(segment, *at):
            return index + 1
        point = (
            matrix.a * x.value + matrix.c * y.value + matrix.e,
            matrix.b * x.value + matrix.d * y.value + matrix.f,
        )
        if kind == raw.FPDF_SEGMENT_MOVETO:
            first = point
        elif not _add(here, point, *found):
            return index + 1
        here = point
        if raw.FPDFPathSegment_GetClose(segment) and not _add(here, first, *found):
            return index + 1
    level += found[0]
    upright += found[1]
    return count


def _add(one: tuple[float, float], two: tuple[float, float], level: list[Rule], upright: list[Rule]) -> bool:
    """Add a line between two points; False if it does not go along an axis."""
    across, up = abs(one[0] - two[0]), abs(one[1] - two[1])
    if up <= 0.5:
        if across >= _SHORT:
            level.append(Rule((one[1] + two[1]) / 2, min(one[0], two[0]), max(one[0], two[0])))
        return True
    if across <= 0.5:
        if up >= _SHORT:
            upright.append(Rule((one[0] + two[0]) / 2, min(one[1], two[1]), max(one[1], two[1])))
        return True
    return False
