"""What can be read of a ZIP archive whose directory is missing or damaged: members by the headers before their bytes.

Sizes may be unknown there, so deflated data say themselves where they end. Encrypted members are not read.
"""

import io
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, cast

from cortex_assets.documents.members import Members
from cortex_assets.documents.model import ParseInput
from cortex_assets.documents.parsers.archive import ArchiveError, Entry, MemberError
from cortex_assets.documents.unpacked import Unpacked, raw_deflate
from cortex_assets.tables import Status

_HEADER = struct.Struct("<4sHHHHHIIIHH")
_MARK = b"PK\x03\x04"
_BLOCK = 1024 * 1024
_DAMAGED = "its directory is damaged or cut off: members are found by their own headers; get the archive again"


@dataclass(frozen=True, slots=True)
class _Header:
    """A local header, as the format calls it."""

    name: str
    flags: int
    method: int
    checksum: int
    packed: int
    size: int
    data: int

    @property
    def is_size_known(self) -> bool:
        return not self.flags & 8 or self.packed > 0


def salvaged_entries(source: ParseInput) -> Iterator[Entry]:
    """The members found, in their order.

    Raises:
        ArchiveError: always at the end: an archive without a directory is never whole.
    """
    reader = _Salvage(source)
    position: int | None = 0
    while (position := reader.find(position or 0)) is not None:
        header = reader.header(position)
        if header is None:
            position += len(_MARK)
            continue
        reader.end = header.data + header.packed if header.is_size_known else header.data
        if not header.name.endswith("/"):
            yield Entry(
                header.name,
                lambda members, header=header: reader.read(header, members),  # type: ignore[misc]
                header.size,
                header.packed if header.is_size_known else None,
            )
        position = max(reader.end, position + len(_MARK))
    raise ArchiveError(f"damaged zip: {_DAMAGED}")


class _Salvage:
    """Reads headers and data; ``end`` is where the last member's data end, as far as is known."""

    def __init__(self, source: ParseInput) -> None:
        self._stream, self._file_size = source.stream, source.size
        self._limits = source.options.limits
        self.end = 0

    def find(self, position: int) -> int | None:
        """Where the next header begins."""
        overlap = b""
        self._stream.seek(position)
        while block := self._stream.read(_BLOCK):
            found = (overlap + block).find(_MARK)
            if found >= 0:
                return position - len(overlap) + found
            position += len(block)
            overlap = (overlap + block)[-3:]
        return None

    def header(self, position: int) -> _Header | None:
        """The header at a place; None where it is cut off or can be none."""
        self._stream.seek(position)
        raw = self._stream.read(_HEADER.size)
        if len(raw) < _HEADER.size:
            return None
        _, _, flags, method, _, _, checksum, packed, size, name_length, extra_length = _HEADER.unpack(raw)
        name = self._stream.read(name_length)
        extra = self._stream.read(extra_length)
        if len(name) < name_length or len(extra) < extra_length or not name:
            return None
        if 0xFFFFFFFF in (packed, size) and extra[:2] == b"\x01\x00" and len(extra) >= 20:
            size, packed = struct.unpack_from("<QQ", extra, 4)
        text = name.decode("utf-8", "replace") if flags & 0x800 else _legacy(name)
        data = position + _HEADER.size + name_length + extra_length
        return _Header(text, flags, method, checksum, packed, size, data)

    def read(self, header: _Header, members: Members) -> bytes | str:
        """All bytes of a member, or why they are too many.

        Raises:
            MemberError: it cannot be read.
        """
        if header.flags & 1 or header.method not in (0, 8):
            raise MemberError("encrypted or packed in a rare way, in a damaged archive: get the archive again")
        self._stream.seek(header.data)
        if header.method == 0:
            return self._stored(header, members)
        unpacked = Unpacked(self._stream, raw_deflate, self._limits.member_bytes + 1, is_single=True)
        content = members.bounded(cast("BinaryIO", unpacked), header.packed or None)
        self.end = max(self.end, header.data + unpacked.consumed)
        if unpacked.problem is not None and unpacked.problem.status is Status.FAILED:
            raise MemberError(unpacked.problem.reason)
        if isinstance(content, bytes) and not header.flags & 8 and zlib.crc32(content) != header.checksum:
            raise MemberError("damaged in the archive (wrong checksum); get the archive again")
        return content

    def _stored(self, header: _Header, members: Members) -> bytes | str:
        """Bytes that are not packed; where their number is not said they end before the next header."""
        if header.data + header.packed > self._file_size:
            raise MemberError("cut off: the archive ends within it; get the archive again")
        if not header.is_size_known:
            raise MemberError("of unknown size in a damaged archive; get the archive again")
        return members.bounded(io.BytesIO(self._stream.read(header.packed)), header.packed)


def _legacy(name: bytes) -> str:
    """A name that is not said to be UTF-8, but often is."""
    try:
        return name.decode("utf-8")
    except UnicodeDecodeError:
        return name.decode("cp437")
