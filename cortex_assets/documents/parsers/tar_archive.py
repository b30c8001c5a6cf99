"""Tar archives, packed or not, and single files packed by gzip, bzip2, xz or Zstandard.

Read forwards, once. A packed tar as a whole may unpack to no more than a file's members may together; a header that is
damaged costs its member, and the next header is looked for.
"""

import tarfile
from collections.abc import Iterator
from functools import partial
from pathlib import PurePosixPath
from typing import IO, BinaryIO, Protocol, cast

from cortex_assets.documents.members import Members, inner_path
from cortex_assets.documents.model import Mark, Parsed, ParseInput
from cortex_assets.documents.parsers.archive import (
    NOT_FOLLOWED,
    ArchiveError,
    Entry,
    MemberError,
    archive_documents,
    archive_row,
)
from cortex_assets.documents.unpacked import BY_MEDIA_TYPE, Problem, Unpacked
from cortex_assets.tables import Status, short_reason

MAX_HEADER = 128 * 1024
"""Bytes of an extended header, which ``tarfile`` reads whole and searches."""
MAX_BAD_BLOCKS = 20_000
_READ = 4 * 1024 * 1024
_SKIP = 1024 * 1024
_BLOCK = tarfile.BLOCKSIZE
_EOF_HEADER: type[tarfile.HeaderError] = tarfile.EOFHeaderError  # type: ignore[attr-defined]
_BAD_HEADER: type[tarfile.HeaderError] = tarfile.InvalidHeaderError  # type: ignore[attr-defined]
_TAR_NAMES = (".tar", ".tgz", ".tbz", ".tbz2", ".txz", ".tzst")
_SUFFIXES = {".tgz": ".tar", ".tbz": ".tar", ".tbz2": ".tar", ".txz": ".tar", ".tzst": ".tar", ".svgz": ".svg"}


class _Readable(Protocol):
    def read(self, size: int = -1, /) -> bytes: ...


class _EndError(Exception):
    """The mark that ends a tar archive was read."""


class _Forward:
    """What ``tarfile`` needs of a stream: reads, and seeks forwards (or back by the last byte).

    Attributes:
        most: bytes that one read may ask for.
    """

    def __init__(self, stream: _Readable) -> None:
        self._stream = stream
        self._position = 0
        self._last = b""
        self._is_back = False
        self.most = MAX_HEADER

    def tell(self) -> int:
        return self._position - self._is_back

    def seek(self, position: int) -> int:
        distance = position - self._position
        self._is_back = distance == -1
        while distance > 0 and (skipped := self._take(min(distance, _SKIP))):
            distance -= len(skipped)
        return self.tell()

    def read(self, size: int) -> bytes:
        if size > self.most:
            raise ArchiveError("a header says that it is huge: damaged, or a bomb; get the archive again")
        if self._is_back and size > 0:
            self._is_back = False
            return self._last + (self._take(size - 1) if size > 1 else b"")
        return self._take(size)

    def _take(self, size: int) -> bytes:
        data = self._stream.read(size)
        if data:
            self._position += len(data)
            self._last = data[-1:]
        return data


class _Info(tarfile.TarInfo):
    """A header; what is wrong with headers is counted by the archive."""

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> "_Info":
        assert isinstance(archive, _Tar)  # noqa: S101 - for the types; only _Tar makes it
        try:
            return super().fromtarfile(archive)
        except _EOF_HEADER:
            raise _EndError from None
        except _BAD_HEADER:
            archive.bad_blocks += 1
            if archive.bad_blocks > MAX_BAD_BLOCKS:
                raise ArchiveError("damaged tar: no header is found any more; get the archive again") from None
            raise


class _Tar(tarfile.TarFile):
    """A tar archive that goes on behind damaged headers and keeps no list of its members."""

    bad_blocks = 0


def parse_tar(source: ParseInput) -> Iterator[Parsed]:
    """Parse a tar archive that is not packed."""
    yield from archive_documents(source, _entries(source.stream, None))


def parse_packed(source: ParseInput) -> Iterator[Parsed]:
    """Parse a packed tar archive, or a packed file."""
    refusal = Members(source).refusal(0)
    if refusal is not None:
        yield archive_row(refusal, Status.TOO_LARGE)
        return
    head = _unpacked(source).read(_BLOCK)
    source.stream.seek(0)
    unpacked = _unpacked(source)
    if _is_tar(head, source.path):
        yield from archive_documents(source, _entries(unpacked, unpacked))
    else:
        yield from _single(source, unpacked)


def _unpacked(source: ParseInput) -> Unpacked:
    limits = source.options.limits
    most = max(0, limits.total_bytes - source.spent.bytes)
    return Unpacked(source.stream, BY_MEDIA_TYPE[source.media_type], most, limits.ratio)


def _is_tar(head: bytes, path: str) -> bool:
    """Whether unpacked bytes begin with a tar header, or with the end of an empty tar archive."""
    try:
        tarfile.TarInfo.frombuf(head, "utf-8", "replace")
    except _EOF_HEADER:
        name = PurePosixPath(path.lower())
        return name.suffix in _TAR_NAMES or PurePosixPath(name.stem).suffix == ".tar"
    except tarfile.HeaderError:
        return False
    return True


def _single(source: ParseInput, unpacked: Unpacked) -> Iterator[Parsed]:
    """A packed file: a member that is named as the file is, without its last suffix."""
    members = Members(source)
    path = PurePosixPath(source.path)
    name = path.stem + _SUFFIXES.get(path.suffix.lower(), "")
    inner = inner_path(name)
    if inner in source.options.avoid:
        yield from members.parse(name, b"")
        return
    yield Mark(inner)
    content = members.bounded(cast("BinaryIO", unpacked), source.size)
    problem = unpacked.problem
    if isinstance(content, str) or (problem is not None and problem.status is Status.TOO_LARGE):
        reason = content if isinstance(content, str) else problem.reason if problem is not None else ""
        yield archive_row(reason, Status.TOO_LARGE)
        return
    if content or problem is None:
        yield from members.parse(name, content)
    if problem is not None:
        read = f"only the first {len(content):,} bytes are read: " if content else ""
        yield archive_row(read + problem.reason, Status.PARTIAL if content else Status.FAILED)


def _entries(stream: _Readable, unpacked: Unpacked | None) -> Iterator[Entry]:
    """The members of a tar archive.

    Raises:
        ArchiveError: it is damaged or cut off.
    """
    forward = _Forward(stream)
    archive: _Tar | None = None
    try:
        archive = _Tar(
            fileobj=cast("IO[bytes]", forward), tarinfo=_Info, ignore_zeros=True, encoding="utf-8", errors="replace"
        )
        while (info := archive.next()) is not None:
            archive.members = []  # type: ignore[attr-defined]
            if not info.isdir():
                yield Entry(
                    info.name, partial(_read, archive, info, forward, unpacked), info.size, None, _special(info)
                )
            forward.most = MAX_HEADER
    except _EndError:
        if archive is not None and archive.bad_blocks:
            raise ArchiveError("damaged tar: members are missing (bad headers); get the archive again") from None
        return
    except (tarfile.TarError, ValueError, RecursionError, OverflowError) as error:
        if isinstance(error, ArchiveError):
            raise
        _raise_problem(unpacked)
        raise ArchiveError(f"damaged or cut off tar ({str(error)[:60]}); get the archive again") from None
    _raise_problem(unpacked)
    raise ArchiveError("the mark that ends a tar archive is missing: it may be cut off; get the archive again")


def _raise_problem(unpacked: Unpacked | None) -> None:
    """Raise what went wrong with the packing, if anything did."""
    problem: Problem | None = unpacked.problem if unpacked is not None else None
    if problem is not None:
        raise ArchiveError(problem.reason, problem.status)


def _special(info: tarfile.TarInfo) -> str:
    """Why a member is no file."""
    if info.issym() or info.islnk():
        return NOT_FOLLOWED
    return "" if info.isreg() else "devices are not opened"


def _read(
    archive: _Tar, info: tarfile.TarInfo, forward: _Forward, unpacked: Unpacked | None, members: Members
) -> bytes | str:
    """All bytes of a member, or why they are too many.

    Raises:
        MemberError: the archive ends within it.
    """
    forward.most = _READ
    stream = archive.extractfile(info)
    if stream is None:
        raise MemberError("no file")
    try:
        return members.bounded(cast("BinaryIO", stream))
    except tarfile.ReadError:
        reason = "cut off: the archive ends within it; get the archive again"
        status = Status.FAILED
        if unpacked is not None and unpacked.problem is not None:
            reason, status = short_reason(unpacked.problem.reason), unpacked.problem.status
        raise MemberError(reason, status) from None
