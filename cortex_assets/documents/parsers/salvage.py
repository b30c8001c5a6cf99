"""Members of a zip file whose directory is damaged or cut off, by the header that stands before each.

What the members are does not belong here.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

MAX_BYTES = 256 * 1024 * 1024
"""Of a damaged file that is searched."""
_BLOCK = 256 * 1024
_STEP = 4096
_HEADER = struct.Struct("<4sHHHHHIIIHH")
_MARK = b"PK\x03\x04"
_STORED, _DEFLATED = 0, 8
_ENCRYPTED = 1
_LATER_SIZES = 8
_UTF8 = 0x800


@dataclass(frozen=True, slots=True)
class _Member:
    start: int
    end: int
    method: int
    is_cut: bool


class LooseMembers:
    """The members that can be found in a damaged zip file.

    Args:
        stream: the file; its first 256 MB are searched.
    """

    def __init__(self, stream: BinaryIO) -> None:
        stream.seek(0)
        self._raw = stream.read(MAX_BYTES)
        self._members: dict[str, _Member] = {}
        self._broken: set[str] = set()
        self._find()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the members, in the order in which they lie."""
        return tuple(self._members)

    def blocks(self, name: str) -> Iterator[bytes]:
        """A member's bytes, up to where it is damaged; nothing for a member that is not found."""
        member = self._members.get(name)
        if member is None:
            return
        raw = memoryview(self._raw)[member.start : member.end]
        if member.method == _STORED:
            for start in range(0, len(raw), _BLOCK):
                yield bytes(raw[start : start + _BLOCK])
            if member.is_cut:
                self._broken.add(name)
            return
        yield from self._inflated(name, raw)

    def is_whole(self, name: str) -> bool:
        """Whether a member that was read has been read to its end."""
        return name in self._members and name not in self._broken

    def _inflated(self, name: str, raw: memoryview) -> Iterator[bytes]:
        inflate = zlib.decompressobj(-zlib.MAX_WBITS)
        for start in range(0, len(raw), _STEP):
            pending: bytes | memoryview = raw[start : start + _STEP]
            while pending and not inflate.eof:
                try:
                    block = inflate.decompress(pending, _BLOCK)
                except zlib.error:
                    self._broken.add(name)
                    return
                pending = inflate.unconsumed_tail
                if block:
                    yield block
            if inflate.eof:
                return
        self._broken.add(name)

    def _find(self) -> None:
        """Note every header with a plausible name; a name that comes again keeps its first place."""
        raw = self._raw
        position = raw.find(_MARK)
        while position >= 0 and position + _HEADER.size <= len(raw):
            fields = _HEADER.unpack_from(raw, position)
            flags, method, packed, unpacked, name_length, extra = *fields[2:4], *fields[7:9], *fields[9:11]
            start = position + _HEADER.size + name_length + extra
            name = raw[position + _HEADER.size : position + _HEADER.size + name_length].decode(
                "utf-8" if flags & _UTF8 else "cp437", "replace"
            )
            following = raw.find(_MARK, position + 4)
            if method in (_STORED, _DEFLATED) and not flags & _ENCRYPTED and name and name.isprintable():
                size = packed if not flags & _LATER_SIZES else 0
                # A stored member without a size ends somewhere before the next header: not to be told.
                if size or method == _DEFLATED:
                    end = start + size if size else len(raw)
                    self._members.setdefault(name, _Member(start, min(end, len(raw)), method, end > len(raw)))
                    if size and end <= len(raw) and unpacked:
                        following = raw.find(_MARK, end)
            position = following
