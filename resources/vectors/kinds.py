"""Which kind a segment is: the one place that knows both."""

from pathlib import Path

from resources.vectors.edge_segment import FOLDER, EdgeSegment, EdgeWriter
from resources.vectors.flat_segment import FlatSegment, FlatWriter
from resources.vectors.segment import Segment, SegmentWriter


def open_segment(folder: Path) -> Segment:
    """The segment in a folder; nothing is read yet."""
    return EdgeSegment(folder) if (folder / FOLDER).exists() else FlatSegment(folder)


def new_segment(folder: Path, dimensions: int, expected: int, is_flat: bool) -> SegmentWriter:
    """A writer of a new segment.

    Args:
        folder: must not exist.
        dimensions: length of a vector.
        expected: points that will come.
        is_flat: which kind.
    """
    return FlatWriter(folder) if is_flat else EdgeWriter(folder, dimensions, expected)
