"""The files of one shard's index: which segments a generation names, how it is switched, what is garbage.

    <root>/<space>/<shard>/
        current.json            copy of the current manifest, switched with os.replace
        gen-000012.json         manifest of a kept generation
        gen-000012.dead.arrow   (segment, chunk_id): points of its segments that are superseded or deleted
        seg-000009/             an immutable segment (resources.vectors.segment)
        publish.lock            flock of the publisher

A segment is never changed after the manifest that first names it; merging makes a new one. Nothing here knows Qdrant.
"""

import json
import os
import shutil
import time
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from urllib.parse import quote, unquote

import polars as pl

from resources.file_lock import alone
from resources.vectors.protocol import DamagedIndexError, Generation, PublishBusyError

CURRENT = "current.json"
DEAD_SCHEMA = {"segment": pl.String, "chunk_id": pl.String}
FORMAT = 2
SUMS = "sums.json"


@dataclass(frozen=True, slots=True)
class SegmentEntry:
    """One segment as a generation sees it.

    Attributes:
        folder: its name.
        points: how many its sidecar lists.
        dead: how many of them do not count any more.
        has_graph: whether a graph was built for dense search.
        quantized: how its vectors are (``quantizing``); a flat segment's never are.
    """

    folder: str
    points: int
    dead: int = 0
    has_graph: bool = False
    quantized: str = "none"

    @property
    def live(self) -> int:
        """Points that count."""
        return self.points - self.dead


@dataclass(frozen=True, slots=True)
class Manifest:
    """What ``current.json`` and ``gen-<n>.json`` hold; ``tombstones`` counts the rows of the dead file."""

    number: int
    dimensions: int
    versions: Mapping[str, int] = field(default_factory=dict)
    segments: tuple[SegmentEntry, ...] = ()
    tombstones: int = 0
    format: int = FORMAT

    @property
    def points(self) -> int:
        """Live points."""
        return sum(segment.live for segment in self.segments)

    def as_generation(self, upserted: int = 0, deleted: int = 0) -> Generation:
        """The same for callers."""
        return Generation(self.number, self.points, dict(self.versions), len(self.segments), upserted, deleted)


def folder_name(name: str) -> str:
    """A space's or shard's name as a folder name: no separator, no leading dot, and back again by ``unquote``."""
    quoted = quote(name, safe="")
    return f"%2E{quoted[1:]}" if quoted.startswith(".") else quoted


def shard_names(space_folder: Path) -> list[str]:
    """Names of the shards below a space's folder that have a current generation, sorted."""
    return sorted(unquote(path.parent.name) for path in space_folder.glob(f"*/{CURRENT}"))


def read_manifest(folder: Path) -> Manifest | None:
    """The current manifest of a shard folder, or None.

    Raises:
        DamagedIndexError: the file is there and is no manifest of this format.
    """
    path = folder / CURRENT
    try:
        raw = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise unreadable(path, ValueError(f"not JSON: {error}")) from error
    if not isinstance(raw, dict) or raw.get("format") != FORMAT:
        raise unreadable(path, ValueError(f"no manifest of format {FORMAT}"))
    segments = tuple(SegmentEntry(**entry) for entry in raw["segments"])
    return Manifest(raw["number"], raw["dimensions"], raw["versions"], segments, raw["tombstones"])


def read_dead(folder: Path, manifest: Manifest) -> pl.DataFrame:
    """Columns ``segment``, ``chunk_id``: the points of the manifest's segments that do not count."""
    if manifest.tombstones == 0:
        return pl.DataFrame(schema=DEAD_SCHEMA)
    try:
        return pl.read_ipc(folder / _dead_name(manifest.number))
    except pl.exceptions.PolarsError as error:
        raise unreadable(folder / _dead_name(manifest.number), error) from error


def unreadable(path: Path, error: Exception) -> DamagedIndexError:
    """The error about a file of the current generation that is there and not what it should be."""
    return DamagedIndexError(f"{path} cannot be read ({error}); rebuild the shard's index: `cortex verify --repair`")


def write_generation(folder: Path, manifest: Manifest, dead: pl.DataFrame) -> None:
    """Write manifest and tombstones durably beside the current generation, which stays current."""
    if manifest.tombstones:
        path = folder / _dead_name(manifest.number)
        dead.write_ipc(path, compression="zstd")
        sync_file(path)
    path = folder / _manifest_name(manifest.number)
    path.write_text(json.dumps(asdict(manifest), indent=1, sort_keys=True))
    sync_file(path)
    sync_file(folder)


def switch(folder: Path, manifest: Manifest) -> None:
    """Make a written generation the current one: one atomic rename."""
    fresh = folder / f"{CURRENT}.new"
    shutil.copyfile(folder / _manifest_name(manifest.number), fresh)
    sync_file(fresh)
    fresh.replace(folder / CURRENT)
    sync_file(folder)


def next_number(folder: Path) -> int:
    """A number that no generation of the folder has or had in files that are still there."""
    return max(_numbers(folder), default=0) + 1


def discard_unfinished(folder: Path, current: Manifest | None) -> None:
    """Remove what a publish left that never became current: manifests beyond the current one and unnamed segments."""
    number = current.number if current else 0
    for leftover in _numbers(folder):
        if leftover > number:
            _remove_manifest(folder, leftover)
    _remove_unnamed(folder, current)


def discard_old(folder: Path, current: Manifest, keep_seconds: float) -> None:
    """Keep the current generation, the one before it and those younger than ``keep_seconds``; remove the rest."""
    earlier = sorted((number for number in _numbers(folder) if number < current.number), reverse=True)
    for number in earlier[1:]:
        age = time.time() - (folder / _manifest_name(number)).stat().st_mtime
        if age >= keep_seconds:
            _remove_manifest(folder, number)
    _remove_unnamed(folder, current)


@contextmanager
def publish_lock(folder: Path) -> Iterator[None]:
    """Hold the shard for one publisher; the lock dies with the process.

    Raises:
        PublishBusyError: another process or thread publishes the same shard.
    """
    with alone(folder / "publish.lock") as is_mine:
        if not is_mine:
            raise PublishBusyError(f"another publish holds {folder}; run again when it has ended")
        yield


def sync_tree(folder: Path) -> None:
    """Fsync every file and folder below ``folder``, and itself."""
    for path in folder.rglob("*"):
        sync_file(path)
    sync_file(folder)


def sync_file(path: Path) -> None:
    """Fsync one file or folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_sums(folder: Path) -> None:
    """Write down size and CRC-32 of a folder's files, so that ``check_sums`` tells when one has changed since."""
    sums = {path.name: _sum(path) for path in sorted(folder.iterdir()) if path.is_file()}
    (folder / SUMS).write_text(json.dumps(sums))


def check_sums(folder: Path) -> None:
    """Compare a folder's files with what ``write_sums`` wrote.

    Raises:
        FileNotFoundError: the folder is gone.
        DamagedIndexError: a file is missing, or other than it was written.
    """
    try:
        sums = json.loads((folder / SUMS).read_bytes())
    except ValueError as error:
        raise unreadable(folder / SUMS, error) from error
    for name, known in sums.items():
        if not (folder / name).exists() or _sum(folder / name) != known:
            raise unreadable(folder / name, ValueError("it is not what was written"))


def _sum(path: Path) -> list[int]:
    checksum = 0
    with open(path, "rb") as stream:
        while part := stream.read(1 << 20):
            checksum = zlib.crc32(part, checksum)
    return [path.stat().st_size, checksum]


def segment_name(number: int) -> str:
    """Folder of the segment that generation ``number`` brings."""
    return f"seg-{number:06d}"


def _manifest_name(number: int) -> str:
    return f"gen-{number:06d}.json"


def _dead_name(number: int) -> str:
    return f"gen-{number:06d}.dead.arrow"


def _numbers(folder: Path) -> list[int]:
    return [int(path.stem.removeprefix("gen-")) for path in folder.glob("gen-*.json")]


def _remove_manifest(folder: Path, number: int) -> None:
    (folder / _manifest_name(number)).unlink(missing_ok=True)
    (folder / _dead_name(number)).unlink(missing_ok=True)


def _remove_unnamed(folder: Path, current: Manifest | None) -> None:
    """Remove segments that no kept manifest names, and tombstones without a manifest."""
    manifests = list(folder.glob("gen-*.json"))
    named = {entry["folder"] for path in manifests for entry in json.loads(path.read_bytes())["segments"]}
    named |= {entry.folder for entry in current.segments} if current else set()
    for path in folder.glob("seg-*"):
        if path.name not in named:
            shutil.rmtree(path)
    stems = {path.stem for path in manifests}
    for path in folder.glob("gen-*.dead.arrow"):
        if path.name.removesuffix(".dead.arrow") not in stems and (
            current is None or path.name != _dead_name(current.number)
        ):
            path.unlink()
