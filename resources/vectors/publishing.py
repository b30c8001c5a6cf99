"""One shard's writer: from a diff to the next generation. Everything happens under the shard's lock.

The order is what makes a crash harmless: segment, tombstones and manifest are written and durable beside the current
generation, one rename makes them current, then garbage goes. A crash before the rename leaves the old generation and
files that nothing names, which the next publish removes.
"""

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import replace as changed
from pathlib import Path
from typing import TYPE_CHECKING, cast

import polars as pl

from resources.vectors import generation as files
from resources.vectors.edge_shard import quantize
from resources.vectors.generation import Manifest, SegmentEntry
from resources.vectors.kinds import is_flat, new_segment, open_segment
from resources.vectors.merging import next_to_compact, segments_to_merge
from resources.vectors.protocol import BadPointsError, DamagedIndexError, Generation, IndexWriteError, Upserts, checked
from resources.vectors.quantizing import NONE
from resources.vectors.segment import Form, Segment, SegmentWriter
from resources.vectors.stored import stored

if TYPE_CHECKING:
    from resources.vectors.reading import Part

COPIED_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class PublishSettings:
    """How segments are written; the fields are those of ``edge.EdgeStore``."""

    flat_points: int
    full_points: int
    max_segments: int
    keep_seconds: float
    on_step: Callable[[str], None]
    quantized: str = NONE

    def form(self, points: int, has_graph: bool = False) -> Form:
        """What a segment of so many points becomes."""
        return Form(points < self.flat_points and not has_graph, has_graph, self.quantized)


def publish(
    folder: Path,
    dimensions: int,
    upserts: Upserts,
    deletes: Sequence[str],
    versions: Mapping[str, int],
    is_replaced: bool,
    settings: PublishSettings,
) -> Generation:
    """``VectorStore.publish`` for one shard's folder; the points are checked already."""
    folder.mkdir(parents=True, exist_ok=True)
    with files.publish_lock(folder):
        current = _current(folder, is_replaced)
        files.discard_unfinished(folder, current)
        base = None if is_replaced else current
        if base is not None and base.dimensions != dimensions:
            raise BadPointsError(
                f"publish: {folder} holds vectors of {base.dimensions} dimensions, not {dimensions}; "
                "a new model needs a new space, or publish with replace=True"
            )
        dead = files.read_dead(folder, base) if base else pl.DataFrame(schema=files.DEAD_SCHEMA)
        fresh = _fresh_dead(folder, base, dead, upserts.ids, deletes) if base else dead
        if base is not None and not upserts.height and fresh.is_empty() and base.versions == dict(versions):
            return base.as_generation()
        entries = _with_deaths(folder, base.segments if base else (), fresh)
        victims = segments_to_merge(entries, upserts.height, settings.max_segments, settings.full_points)
        manifest = Manifest(files.next_number(folder), dimensions, dict(versions), tuple(entries))
        manifest = _write(folder, manifest, pl.concat([dead, fresh]), victims, upserts, settings)
    gone = fresh["chunk_id"].unique()
    return manifest.as_generation(upserts.height, gone.filter(~gone.is_in(upserts.ids.implode())).len())


def compact(folder: Path, settings: PublishSettings) -> Generation | None:
    """``VectorStore.compact`` for one shard's folder: one generation for each segment that is written."""
    if files.read_manifest(folder) is None:
        return None
    with files.publish_lock(folder):
        current = files.read_manifest(folder)
        if current is None:
            return None
        files.discard_unfinished(folder, current)
        while victims := next_to_compact(
            current.segments, settings.full_points, settings.flat_points, settings.quantized
        ):
            dead = files.read_dead(folder, current)
            manifest = changed(current, number=files.next_number(folder))
            current = _write(folder, manifest, dead, victims, None, settings)
    return current.as_generation()


def _write(
    folder: Path,
    manifest: Manifest,
    dead: pl.DataFrame,
    victims: Sequence[SegmentEntry],
    upserts: Upserts | None,
    settings: PublishSettings,
) -> Manifest:
    """Write the segment that ``manifest`` brings, write the generation, switch, collect."""
    kept = [entry for entry in manifest.segments if entry.live and entry not in victims]
    incoming = upserts.height if upserts is not None else 0
    if victims or incoming:
        target = folder / files.segment_name(manifest.number)
        expected = incoming + sum(entry.live for entry in victims)
        if upserts is not None and upserts.segment and not victims:
            with _engine_errors(target):
                kept.append(_move_in(upserts, target, manifest.dimensions, settings.quantized))
        else:
            form = settings.form(expected, upserts is None and expected >= settings.full_points)
            with _engine_errors(target):
                writer = new_segment(target, manifest.dimensions, expected, form)
                for entry in victims:
                    _copy_live(
                        open_segment(folder / entry.folder), dead.filter(pl.col("segment") == entry.folder), writer
                    )
                _add(upserts, writer)
                quantized = NONE if form.is_flat else form.quantized
                kept.append(SegmentEntry(target.name, writer.finish(), 0, form.has_graph, quantized))
    settings.on_step("segment")
    dead = dead.filter(pl.col("segment").is_in([entry.folder for entry in kept]))
    manifest = changed(manifest, segments=tuple(kept), tombstones=dead.height)
    files.write_generation(folder, manifest, dead)
    settings.on_step("generation")
    files.switch(folder, manifest)
    settings.on_step("switched")
    files.discard_old(folder, manifest, settings.keep_seconds)
    settings.on_step("collected")
    return manifest


def write_segment(place: Path, dimensions: int, upserts: Upserts) -> Path:
    """Write points into a segment of their own, to be published later (``Upserts.segment``), which quantizes it; takes no lock.

    Args:
        place: folder that the segment is made in; on the index's file system, moving it is a rename.
        dimensions: length of a vector.
        upserts: points in parts.

    Returns:
        The segment's folder.
    """
    target = Path(tempfile.mkdtemp(prefix="segment-", dir=place)) / "segment"
    with _engine_errors(target):
        writer = new_segment(target, dimensions, upserts.height, Form())
        for part in checked(upserts, dimensions).parts:
            writer.add(stored(part))
        writer.finish()
    return target


def copy_points(
    target: Path, dimensions: int, parts: Sequence["Part"], ids: pl.Series, settings: PublishSettings
) -> pl.Series:
    """Write a segment of points of other segments, as they are there, to be published (``Upserts.segment``).

    Args:
        target: folder that is made.
        dimensions: length of a vector.
        parts: segments of other shards; of an id that several hold, the first one's point is taken.
        ids: which points.
        settings: say which kind of segment.

    Returns:
        Ids of the points that were found. Without any there is no folder.
    """
    found: list[pl.Series] = []
    left = ids
    for part in parts:
        held = part.sidecar()["chunk_id"]
        found.append(left.filter(left.is_in(held.implode())))
        left = left.filter(~left.is_in(held.implode()))
    count = sum(map(len, found))
    written = [pl.Series("chunk_id", [], dtype=pl.String)]
    if count:
        with _engine_errors(target):
            writer = new_segment(target, dimensions, count, Form(is_flat=count < settings.flat_points))
            for part, some in zip(parts, found, strict=True):
                for start in range(0, some.len(), COPIED_AT_ONCE):
                    points = part.segment.stored(some.slice(start, COPIED_AT_ONCE).to_list())
                    writer.add(points)
                    written.append(points["chunk_id"])
            writer.finish()
    return pl.concat(written)


def _move_in(upserts: Upserts, target: Path, dimensions: int, quantized: str) -> SegmentEntry:
    """Make a segment that was written apart one of the index's, where it holds what it should."""
    source = cast(Path, upserts.segment)
    if not open_segment(source).points("chunk_id")["chunk_id"].equals(upserts.ids.sort()):
        raise BadPointsError(f"publish: {source} does not hold the points announced; not published")
    shutil.move(source, target)
    quantized = NONE if is_flat(target) else quantized
    if quantized != NONE:
        quantize(target, dimensions, quantized)
    files.sync_tree(target)
    return SegmentEntry(target.name, upserts.height, quantized=quantized)


def _add(upserts: Upserts | None, writer: SegmentWriter) -> None:
    if upserts is None:
        return
    if upserts.segment:
        _copy_live(open_segment(upserts.segment), pl.DataFrame(schema=files.DEAD_SCHEMA), writer)
    for part in upserts.parts:
        writer.add(stored(part))


@contextlib.contextmanager
def _engine_errors(target: Path) -> Iterator[None]:
    """Name what writing raises; qdrant-edge knows no class narrower than Exception."""
    try:
        yield
    except Exception as error:
        if type(error) is not Exception and not isinstance(error, (OSError, pl.exceptions.PolarsError)):
            raise
        raise IndexWriteError(
            f"{target} cannot be written ({error}); free some space or lift the limit, then run again"
        ) from error


def _current(folder: Path, is_replaced: bool) -> Manifest | None:
    """The current manifest; one that cannot be read counts as none where it is replaced anyway."""
    if not is_replaced:
        return files.read_manifest(folder)
    with contextlib.suppress(DamagedIndexError):
        return files.read_manifest(folder)
    return None


def _fresh_dead(
    folder: Path, base: Manifest, dead: pl.DataFrame, upserted: pl.Series, deletes: Sequence[str]
) -> pl.DataFrame:
    """Rows (segment, chunk_id) that this publish takes out of the segments there are.

    A deleted id that no sidecar knows, or that is upserted too, may be a stray point: the points themselves are asked.
    """
    removed = pl.Series("chunk_id", [*deletes], dtype=pl.String)
    gone = pl.concat([upserted, removed]).unique()
    found = [pl.DataFrame(schema=files.DEAD_SCHEMA)]
    segments = {entry.folder: open_segment(folder / entry.folder) for entry in base.segments}
    for name, segment in segments.items():
        ids = segment.points("chunk_id").filter(pl.col("chunk_id").is_in(gone.implode()))["chunk_id"]
        found.append(_dead_rows(name, ids))
    known = pl.concat([*found, dead])["chunk_id"]
    suspects = removed.filter(~removed.is_in(known.implode()) | removed.is_in(upserted.implode()))
    if suspects.len():
        for name, segment in segments.items():
            found.append(_dead_rows(name, pl.Series("chunk_id", segment.present(suspects), dtype=pl.String)))
            segment.close()
    return pl.concat(found).unique(maintain_order=True).join(dead, on=["segment", "chunk_id"], how="anti")


def _dead_rows(segment: str, ids: pl.Series) -> pl.DataFrame:
    return pl.DataFrame({"chunk_id": ids}).select(pl.lit(segment).alias("segment"), "chunk_id")


def _with_deaths(folder: Path, segments: Sequence[SegmentEntry], fresh: pl.DataFrame) -> list[SegmentEntry]:
    """The entries with the deaths of points that their sidecars list (a stray point was never counted)."""
    entries = []
    for entry in segments:
        rows = fresh.filter(pl.col("segment") == entry.folder)
        if rows.height:
            listed = open_segment(folder / entry.folder).points("chunk_id")
            entry = changed(entry, dead=entry.dead + rows.join(listed, on="chunk_id", how="semi").height)
        entries.append(entry)
    return entries


def _copy_live(segment: Segment, dead: pl.DataFrame, writer: SegmentWriter) -> None:
    """Write a segment's live points into another one, in the order of their ids; a missing point stays missing."""
    ids = segment.points("chunk_id")["chunk_id"]
    live = ids.filter(~ids.is_in(dead["chunk_id"].implode()))
    for start in range(0, live.len(), COPIED_AT_ONCE):
        writer.add(segment.stored(live.slice(start, COPIED_AT_ONCE).to_list()))
    segment.close()
