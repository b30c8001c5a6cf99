"""Which kind a segment is: the one place that knows both."""

from pathlib import Path

from resources.vectors.edge_segment import EdgeSegment, EdgeWriter
from resources.vectors.edge_shard import FOLDER
from resources.vectors.flat_segment import FlatSegment, FlatWriter
from resources.vectors.quantizing import NONE
from resources.vectors.segment import Form, Segment, SegmentWriter


def open_segment(folder: Path, quantized: str = NONE) -> Segment:
    """The segment in a folder; nothing is read yet. ``quantized`` matters to dense searches only."""
    return FlatSegment(folder) if is_flat(folder) else EdgeSegment(folder, quantized)


def is_flat(folder: Path) -> bool:
    """Whether the segment in a folder is one file."""
    return not (folder / FOLDER).exists()


def new_segment(folder: Path, dimensions: int, expected: int, form: Form) -> SegmentWriter:
    """A writer of a new segment.

    Args:
        folder: must not exist.
        dimensions: length of a vector.
        expected: points that will come.
        form: which kind, and what is built of its vectors.
    """
    return FlatWriter(folder) if form.is_flat else EdgeWriter(folder, dimensions, expected, form)
