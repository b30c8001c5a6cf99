"""Properties of an Outlook message (MS-OXMSG) in its OLE file, and Outlook's compressed RTF (MS-OXRTFCP).

python-oxmsg reads no messages within messages, gives up the file for one broken stream and loads all of it; this reads
one property at a time. What the properties say as a mail is the ``msg`` parser's.
"""

import struct
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from cortex_assets.documents.mail_headers import text_of

if TYPE_CHECKING:
    from olefile import OleFileIO

MAX_RTF = 32 * 1024 * 1024
_ROOT_HEAD, _EMBEDDED_HEAD, _PART_HEAD = 32, 24, 8
_CODE_PAGES = {65001: "utf-8", 20127: "ascii", 28591: "latin-1", 936: "gb18030", 20866: "koi8-r", 50220: "iso2022_jp"}
_MESSAGE_PAGE, _INTERNET_PAGE = 0x3FFD, 0x3FDE
_EPOCH = datetime(1601, 1, 1, tzinfo=UTC)
_WINDOW = 4096
_RTF_START = (
    rb"{\rtf1\ansi\mac\deff0\deftab720{\fonttbl;}{\f0\fnil \froman \fswiss \fmodern \fscript \fdecor MS Sans Serif"
    rb"SymbolArialTimes New RomanCourier{\colortbl\red0\green0\blue0"
    b"\r\n"
    rb"\par \pard\plain\f0\fs20\b\i\u\tab\tx"
)


@dataclass(slots=True)
class Storage:
    """One message, recipient or attachment in the file.

    Attributes:
        ole: the open file.
        storages: paths of all storages of the file.
        path: storages on the way to it; empty for the message that is the file.
        damage: how many properties could not be read so far.
    """

    ole: "OleFileIO"
    storages: tuple[tuple[str, ...], ...]
    path: tuple[str, ...] = ()
    damage: int = 0
    _fixed: dict[int, bytes] | None = None

    def text(self, number: int) -> str:
        """A text property; empty where there is none."""
        wide = self._stream(f"{number:04X}001F")
        if wide is not None:
            return wide.decode("utf-16-le", "replace").rstrip("\0")
        narrow = self._stream(f"{number:04X}001E")
        return "" if narrow is None else text_of(narrow.rstrip(b"\0"), self.charset(_MESSAGE_PAGE)).text

    def binary(self, number: int) -> bytes:
        """A binary property; empty where there is none."""
        return self._stream(f"{number:04X}0102") or b""

    def size(self, number: int) -> int:
        """How long a binary property says it is."""
        name = [*self.path, f"__substg1.0_{number:04X}0102"]
        return int(self.ole.get_size(name)) if self.ole.exists(name) else 0

    def number(self, number: int) -> int | None:
        """A number or truth value; None where there is none."""
        value = self._properties().get(number)
        return None if value is None else int(struct.unpack("<i", value[:4])[0])

    def time(self, number: int) -> str:
        """A point in time, readable, in UTC; empty where there is none."""
        value = self._properties().get(number)
        if value is None:
            return ""
        try:
            moment = _EPOCH + timedelta(microseconds=int(struct.unpack("<q", value)[0]) // 10)
        except OverflowError:
            return ""
        return moment.strftime("%Y-%m-%d %H:%M UTC")

    def charset(self, *numbers: int) -> str | None:
        """The charset of 8-bit text, by the first of these properties that the message has."""
        for number in numbers:
            page = self.number(number)
            if page:
                return _CODE_PAGES.get(page, f"cp{page}")
        return None

    @property
    def body_charset(self) -> str | None:
        """The charset of an HTML body."""
        return self.charset(_INTERNET_PAGE, _MESSAGE_PAGE)

    def below(self, prefix: str) -> "list[Storage]":
        """The storages within whose names begin so, in order."""
        depth = len(self.path)
        names = {path[depth] for path in self.storages if len(path) == depth + 1 and path[:depth] == self.path}
        return [self.at(name) for name in sorted(names) if name.startswith(prefix)]

    def at(self, name: str) -> "Storage":
        """A storage within."""
        return Storage(self.ole, self.storages, (*self.path, name))

    def _stream(self, name: str) -> bytes | None:
        """Bytes of a property's stream; None where there is none or it is damaged, which is counted."""
        path = [*self.path, f"__substg1.0_{name}"]
        if not self.ole.exists(path):
            return None
        return self._read(path)

    def _read(self, path: list[str]) -> bytes | None:
        try:
            with self.ole.openstream(path) as stream:
                return bytes(stream.read())
        except (OSError, ValueError, IndexError, TypeError) as error:
            if getattr(error, "errno", None) is not None:
                raise
            self.damage += 1
            return None

    def _properties(self) -> dict[int, bytes]:
        """Values of fixed size, by number."""
        if self._fixed is None:
            self._fixed = {}
            path = [*self.path, "__properties_version1.0"]
            raw = self._read(path) if self.ole.exists(path) else None
            for start in range(self._head_size(), len(raw or b"") - 15, 16):
                kind, number = struct.unpack_from("<HH", raw or b"", start)
                if kind in (0x0003, 0x000B, 0x0040):
                    self._fixed[number] = (raw or b"")[start + 8 : start + 16]
        return self._fixed

    def _head_size(self) -> int:
        if not self.path:
            return _ROOT_HEAD
        return _EMBEDDED_HEAD if self.path[-1].startswith("__substg1.0_3701") else _PART_HEAD


def decompressed_rtf(raw: bytes) -> bytes:
    """Outlook's compressed RTF as RTF, as far as it goes; empty for what is none. Checksums are not asked."""
    if len(raw) < 16:
        return b""
    _, size, kind = struct.unpack_from("<III", raw)
    if kind == 0x414C454D:
        return raw[16 : 16 + min(size, MAX_RTF)]
    if kind != 0x75465A4C:
        return b""
    window = bytearray(_RTF_START.ljust(_WINDOW, b" "))
    at, position = len(_RTF_START), 16
    out = bytearray()
    limit = min(size, MAX_RTF)
    while position < len(raw) and len(out) < limit:
        flags = raw[position]
        position += 1
        for bit in range(8):
            if position + (flags >> bit & 1) >= len(raw):
                return bytes(out)
            if not flags >> bit & 1:
                piece = raw[position : position + 1]
                position += 1
            else:
                token = raw[position] << 8 | raw[position + 1]
                position += 2
                start = token >> 4
                if start == at:
                    return bytes(out)
                piece = _repeated(window, start, at, (token & 15) + 2)
            for byte in piece:
                window[at] = byte
                at = (at + 1) % _WINDOW
            out += piece
    return bytes(out)


def _repeated(window: bytearray, start: int, at: int, length: int) -> bytes:
    """Bytes from the window, which may run into the ones being written."""
    piece = bytearray()
    for step in range(length):
        source = (start + step) % _WINDOW
        written = (source - at) % _WINDOW
        piece.append(piece[written] if written < len(piece) else window[source])
    return bytes(piece)
