"""ZIP archives: members by the directory, or by their own headers where the directory is damaged or cut off.

Passwords open the old encryption; AES is told apart. Names without a stated encoding are UTF-8 where they can be, else
CP932 or GBK where that is sure, else CP437. Office files, books and packages that are ZIP files too have own parsers.
"""

import lzma
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from typing import BinaryIO, cast

from cortex_assets.documents.encodings import legacy_guess
from cortex_assets.documents.errors import in_words
from cortex_assets.documents.members import Members
from cortex_assets.documents.model import Parsed, ParseInput
from cortex_assets.documents.parsers.archive import (
    NOT_FOLLOWED,
    ArchiveError,
    Entry,
    MemberError,
    archive_documents,
    archive_row,
)
from cortex_assets.documents.parsers.zip_salvage import salvaged_entries
from cortex_assets.tables import Status

MAX_DIRECTORY = 16 * 1024 * 1024
"""Bytes of a directory: about 130,000 members; each costs a kilobyte of memory."""
MAX_DECRYPTED = 32 * 1024 * 1024
"""Python decrypts about 2 MB a second."""
_SURE = 0.9
_AES = 99
_METHODS = {
    zipfile.ZIP_STORED: "stored",
    zipfile.ZIP_DEFLATED: "deflate",
    zipfile.ZIP_BZIP2: "bzip2",
    zipfile.ZIP_LZMA: "LZMA",
}
_OTHER_METHODS = {1: "shrink", 6: "implode", 9: "deflate64", 93: "Zstandard", 95: "xz", 98: "PPMd"}
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    NotImplementedError,
    OSError,
    ValueError,
    struct.error,
)


class _TooLargeDirectoryError(ValueError):
    """The directory is not read."""


class _Guarded:
    """A stream of which no more than ``MAX_DIRECTORY`` bytes are read at once: ``zipfile`` reads a directory whole."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.seekable, self.tell = stream.seekable, stream.tell

    def seek(self, offset: int, whence: int = 0) -> int:
        if whence == 0 and offset < 0:
            raise ValueError("a place before the file's start")
        return self._stream.seek(offset, whence)

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(min(size, MAX_DIRECTORY + 1) if size >= 0 else MAX_DIRECTORY + 1)
        if len(data) > MAX_DIRECTORY:
            raise _TooLargeDirectoryError
        return data


def parse_zip(source: ParseInput) -> Iterator[Parsed]:
    """Parse a ZIP archive."""
    try:
        package = zipfile.ZipFile(_Guarded(source.stream))
    except _TooLargeDirectoryError:
        reason = f"a directory above {MAX_DIRECTORY // 2**20} MB (many members): not opened; unpack it, drop the folder"
        yield archive_row(reason, Status.TOO_LARGE)
        return
    except _DAMAGE as error:
        if isinstance(error, OSError) and error.errno not in (None, 22):
            raise
        yield from archive_documents(source, salvaged_entries(source))
        return
    with package:
        yield from archive_documents(source, _entries(source, package))


def _entries(source: ParseInput, package: zipfile.ZipFile) -> Iterator[Entry]:
    """The members that the directory lists."""
    infos = [info for info in package.infolist() if not info.is_dir()]
    if sum(info.compress_size for info in infos) > source.size:
        raise ArchiveError("its members lie over each other, as in a bomb: not opened", Status.TOO_LARGE)
    reader = _Reader(package, source)
    reader.refuse_locked(infos)
    for info, name in zip(infos, _names(infos), strict=True):
        yield Entry(
            name,
            lambda members, info=info: reader.read(info, members),  # type: ignore[misc]
            info.file_size,
            info.compress_size,
            _special(info),
        )


def _special(info: zipfile.ZipInfo) -> str:
    """Why a member is neither file nor folder."""
    mode = info.external_attr >> 16 if info.create_system == 3 else 0
    if stat.S_ISLNK(mode):
        return NOT_FOLLOWED
    return "devices are not opened" if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR) else ""


def _names(infos: list[zipfile.ZipInfo]) -> list[str]:
    """The members' names, read in the encoding that fits them."""
    raw = [b"" if info.flag_bits & 0x800 else info.filename.encode("cp437", "replace") for info in infos]
    foreign = [name for name in raw if not name.isascii() and _utf8(name) is None]
    encoding = "cp437"
    if foreign:
        guess, confidence = legacy_guess(b"\n".join(foreign))
        if confidence >= _SURE and guess in ("cp932", "gb18030"):
            encoding = guess
    return [
        info.filename if name.isascii() else _utf8(name) or name.decode(encoding, "replace")
        for info, name in zip(infos, raw, strict=True)
    ]


def _utf8(raw: bytes) -> str | None:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return None


class _Reader:
    """Reads members, encrypted ones with the corpus's passwords."""

    def __init__(self, package: zipfile.ZipFile, source: ParseInput) -> None:
        self._package, self._size = package, source.size
        self._passwords = source.options.passwords

    def refuse_locked(self, infos: list[zipfile.ZipInfo]) -> None:
        """Raise where every member is encrypted and none of the passwords opens the smallest: one row says it all."""
        locked = [info for info in infos if info.flag_bits & 1 and not _special(info)]
        if not locked or len(locked) < len(infos):
            return
        smallest = min(locked, key=lambda info: info.compress_size)
        if _is_aes(smallest):
            raise ArchiveError(_AES_REASON, Status.UNSUPPORTED)
        if not any(self._opens(smallest, password) for password in self._passwords):
            raise ArchiveError(self._locked_reason())

    def read(self, info: zipfile.ZipInfo, members: Members) -> bytes | str:
        """All bytes of a member, or why they are too many.

        Raises:
            MemberError: it cannot be read.
        """
        if _is_aes(info):
            raise MemberError(_AES_REASON, Status.UNSUPPORTED)
        if info.compress_type not in _METHODS:
            method = _OTHER_METHODS.get(info.compress_type, str(info.compress_type))
            raise MemberError(f"compressed by {method}, which is not read: unpack it yourself", Status.UNSUPPORTED)
        if info.flag_bits & 1:
            return self._decrypted(info, members)
        try:
            with self._package.open(info) as stream:
                return members.bounded(cast("BinaryIO", stream), min(info.compress_size, self._size))
        except MemoryError:
            raise MemberError("needs too much memory to unpack: unpack it yourself", Status.TOO_LARGE) from None
        except _DAMAGE as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
            raise MemberError(f"damaged in the archive ({_short(error)}); get the archive again") from None

    def _decrypted(self, info: zipfile.ZipInfo, members: Members) -> bytes | str:
        if info.compress_size > MAX_DECRYPTED:
            reason = f"encrypted and above {MAX_DECRYPTED // 2**20} MB: decrypt it yourself"
            raise MemberError(reason, Status.TOO_LARGE)
        for password in self._passwords:
            try:
                with self._package.open(info, pwd=password.encode()) as stream:
                    return members.bounded(cast("BinaryIO", stream), min(info.compress_size, self._size))
            except (RuntimeError, *_DAMAGE) as error:
                if isinstance(error, OSError) and error.errno is not None:
                    raise
        raise MemberError(self._locked_reason())

    def _opens(self, info: zipfile.ZipInfo, password: str) -> bool:
        """Whether a password opens a member, as far as its first bytes tell."""
        try:
            with self._package.open(info, pwd=password.encode()) as stream:
                stream.read(65536)
        except (RuntimeError, *_DAMAGE):
            return False
        return True

    def _locked_reason(self) -> str:
        tried = f"none of the {len(self._passwords)} passwords of the corpus opens it" if self._passwords else "locked"
        return f"encrypted: {tried}; give the corpus its password, or unpack it and drop the folder"


_AES_REASON = "encrypted by AES, which is not read: unpack it (7-Zip, unar) and drop the folder"


def _is_aes(info: zipfile.ZipInfo) -> bool:
    return info.compress_type == _AES or bool(info.flag_bits & 0x40)


def _short(error: Exception) -> str:
    """The kind of an error in words without the member's name, which has its own column."""
    return in_words(error, 300).partition(" for file")[0][:60]
