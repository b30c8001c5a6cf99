"""Streams that unpack as they are read: gzip, bzip2, xz, Zstandard, raw deflate; bounded, and honest about their end.

Nothing is raised for bad bytes: the stream ends, and ``problem`` says why. What is in a stream does not belong here.
"""

import bz2
import lzma
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from cortex_assets.tables import Status

BLOCK = 256 * 1024
XZ_MEMORY = 256 * 1024 * 1024
ZSTD_WINDOW_LOG = 27
"""Zstandard windows above 128 MB need ``--long`` on the command line too."""
_FREE = 16 * 1024 * 1024


class Decompressor(Protocol):
    """What ``bz2``, ``lzma`` and ``zstd`` have in common."""

    @property
    def eof(self) -> bool: ...  # noqa: D102

    @property
    def needs_input(self) -> bool: ...  # noqa: D102

    @property
    def unused_data(self) -> bytes: ...  # noqa: D102

    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a stream ended before its end: ``failed`` (damaged, cut off) or ``too_large`` (a bomb)."""

    reason: str
    status: Status = Status.FAILED


class Inflate:
    """``zlib`` with the interface of the others."""

    def __init__(self, wbits: int) -> None:
        self._engine = zlib.decompressobj(wbits)

    @property
    def eof(self) -> bool:
        """Whether the end was reached."""
        return self._engine.eof

    @property
    def needs_input(self) -> bool:
        """Whether all that was given is used."""
        return not self._engine.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        """What was given beyond the end."""
        return self._engine.unused_data

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        """Unpack at most ``max_length`` bytes."""
        return self._engine.decompress(self._engine.unconsumed_tail + data, max_length)


def gzip() -> Decompressor:
    """A gzip member."""
    return Inflate(31)


def raw_deflate() -> Decompressor:
    """Deflate without a header, as in zip archives."""
    return Inflate(-15)


def xz() -> Decompressor:
    """An xz stream, whose dictionary may take 256 MB."""
    return lzma.LZMADecompressor(memlimit=XZ_MEMORY)


def zstd() -> Decompressor:
    """A Zstandard frame, whose window may take 128 MB."""
    from backports import zstd as backport

    limit: dict[int, int] = {backport.DecompressionParameter.window_log_max: ZSTD_WINDOW_LOG}
    return backport.ZstdDecompressor(options=limit)


BY_MEDIA_TYPE: dict[str, Callable[[], Decompressor]] = {
    "application/gzip": gzip,
    "application/x-bzip2": bz2.BZ2Decompressor,
    "application/x-xz": xz,
    "application/zstd": zstd,
}


class Unpacked:
    """An unpacking stream that is read forwards.

    Args:
        packed: the packed bytes, from where they begin.
        new: makes a decompressor.
        most_bytes: how many bytes may come out.
        ratio: most bytes that one packed byte may become, asked above 16 MB unpacked.
        is_single: nothing is read beyond the first end; else streams may follow each other, as ``cat a.gz b.gz`` makes.

    Attributes:
        problem: why the stream ended early; None so far.
        consumed: packed bytes used so far.
        produced: unpacked bytes so far.
    """

    def __init__(
        self,
        packed: BinaryIO,
        new: Callable[[], Decompressor],
        most_bytes: int,
        ratio: int = 1_000_000,
        is_single: bool = False,
    ) -> None:
        self._packed, self._new, self._engine = packed, new, new()
        self._most, self._ratio, self._is_single = most_bytes, ratio, is_single
        self._fed = 0
        self.problem: Problem | None = None
        self.produced = 0

    @property
    def consumed(self) -> int:
        """Packed bytes used so far."""
        return self._fed - len(self._engine.unused_data)

    def read(self, size: int = -1) -> bytes:
        """At most ``size`` bytes (all for -1), and fewer only where the stream ends."""
        pieces: list[bytes] = []
        wanted = size if size >= 0 else self._most + 1
        while wanted > 0 and self.problem is None:
            piece = self._piece(min(wanted, BLOCK))
            if not piece:
                break
            pieces.append(piece)
            wanted -= len(piece)
            self.produced += len(piece)
            self._judge()
        return b"".join(pieces)

    def _judge(self) -> None:
        """Stop at what unpacks to too much."""
        if self.produced > self._most:
            self.problem = Problem(f"unpacks to more than {self._most // 2**20:,} MB: not read", Status.TOO_LARGE)
        elif self.produced > _FREE and self.produced > self._ratio * max(1, self._fed):
            reason = f"unpacks to more than {self._ratio} times its size, as a bomb does: not read"
            self.problem = Problem(reason, Status.TOO_LARGE)

    def _piece(self, most: int) -> bytes:
        """The next bytes; none at the end, or at a problem."""
        try:
            while True:
                if self._engine.eof:
                    feed = self._following()
                    if not feed:
                        return b""
                    self._engine = self._new()
                elif self._engine.needs_input:
                    feed = self._packed.read(BLOCK)
                    self._fed += len(feed)
                else:
                    feed = b""
                is_at_end = not feed and self._engine.needs_input
                piece = self._engine.decompress(feed, most)
                if piece:
                    return piece
                if is_at_end and not self._engine.eof:
                    self.problem = Problem("cut off: the packed data end too early; get the whole file again")
                    return b""
        except MemoryError:
            self.problem = Problem("needs too much memory to unpack: unpack it yourself", Status.TOO_LARGE)
        except Exception as error:
            if not _is_damage(error):
                raise
            self.problem = _problem(error)
        return b""

    def _following(self) -> bytes:
        """The first bytes of a stream that follows the one that ended; padding and foreign bytes are no stream."""
        if self._is_single:
            return b""
        rest = self._engine.unused_data
        if len(rest) < BLOCK:
            more = self._packed.read(BLOCK)
            self._fed += len(more)
            rest += more
        return rest.lstrip(b"\0")


def _is_damage(error: Exception) -> bool:
    """Whether an error is about the bytes: the module that speaks of them has an error of its own, or one without number."""
    if isinstance(error, OSError):
        return error.errno is None
    return isinstance(error, (zlib.error, lzma.LZMAError, EOFError, ValueError)) or type(error).__name__ == "ZstdError"


def _problem(error: Exception) -> Problem:
    message = str(error)
    if "emory" in message:
        return Problem("needs too much memory to unpack: unpack it yourself", Status.TOO_LARGE)
    return Problem(f"damaged packed data ({message[:80]}); get the file again")
