"""7z archives, by py7zr: members are packed together, so all that are wanted are unpacked at once, into memory.

More than ``MAX_UNPACKED`` is not unpacked of one archive: members beyond it have rows that say so. A damaged member
takes those with it that are packed behind it. Names that point out of the archive are refused by py7zr, so such members
are not read.
"""

import io
import lzma
import struct
import zlib
from collections.abc import Iterator
from pathlib import PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Any

from cortex_assets.documents.errors import in_words
from cortex_assets.documents.members import Members
from cortex_assets.documents.model import Mark, Parsed, ParseInput
from cortex_assets.documents.parsers.archive import (
    MAX_LISTED,
    NOT_FOLLOWED,
    Entry,
    MemberError,
    archive_documents,
    archive_row,
    noise_rule,
)
from cortex_assets.tables import Status

if TYPE_CHECKING:
    from py7zr import SevenZipFile

MAX_UNPACKED = 256 * 1024 * 1024
_FREE = 16 * 1024 * 1024
_UNIT = "unpacking"
_ATTEMPTS = 8
_DAMAGE = (ValueError, LookupError, TypeError, ArithmeticError, EOFError, OSError, AttributeError, RuntimeError)
_CODECS = (lzma.LZMAError, zlib.error, struct.error)


class _UnreadableError(ValueError):
    """The archive cannot be opened; the message says why."""

    def __init__(self, reason: str, status: Status = Status.FAILED) -> None:
        super().__init__(reason)
        self.status = status


def parse_7z(source: ParseInput) -> Iterator[Parsed]:
    """Parse a 7z archive."""
    members = Members(source)
    refusal = members.refusal(0)
    if refusal is None and _UNIT in source.options.avoid:
        yield archive_row(f"not unpacked: {source.options.avoid[_UNIT]}; unpack it yourself", Status.QUARANTINED)
        return
    if refusal is not None:
        yield archive_row(refusal, Status.TOO_LARGE)
        return
    yield Mark(_UNIT)
    try:
        entries = _entries(source, members)
    except _UnreadableError as error:
        yield archive_row(str(error), error.status)
        return
    yield from archive_documents(source, entries)


def _entries(source: ParseInput, members: Members) -> list[Entry]:
    """The members, those that are wanted already unpacked.

    Raises:
        _UnreadableError: nothing can be read.
    """
    reason = ""
    for password in (None, *source.options.passwords):
        try:
            with _opened(source, password) as archive:
                infos = [info for info in archive.list() if not info.is_directory]
                is_locked = archive.needs_password()
        except _errors() as error:
            _pass_on(error)
            reason = reason or _reason(error, source)
            continue
        if is_locked and password is None:
            reason = _locked(source)
            continue
        _refuse_bombs(infos, source)
        wanted = _wanted(infos, members)
        contents, problem = _unpacked(source, password, wanted)
        if is_locked and wanted and not contents:
            continue
        return [_entry(info, contents, wanted, problem) for info in infos]
    raise _UnreadableError(reason)


def _errors() -> tuple[type[Exception], ...]:
    """What py7zr raises because of the bytes."""
    from py7zr import exceptions

    return (exceptions.ArchiveError, exceptions.PasswordRequired, exceptions.AbsolutePathError, *_CODECS, *_DAMAGE)


def _pass_on(error: Exception) -> None:
    """Raise an error of the system again: it is not about the bytes."""
    if isinstance(error, OSError) and error.errno not in (None, 22):
        raise error


def _opened(source: ParseInput, password: str | None) -> "SevenZipFile":
    from py7zr import SevenZipFile

    source.stream.seek(0)
    return SevenZipFile(source.stream, password=password)


def _reason(error: Exception, source: ParseInput) -> str:
    if type(error).__name__ == "PasswordRequired":
        return _locked(source)
    if type(error).__name__ == "UnsupportedCompressionMethodError":
        return "packed by a method that is not read: unpack it (7-Zip) and drop the folder"
    return "damaged or cut off 7z archive; get the archive again"


def _locked(source: ParseInput) -> str:
    count = len(source.options.passwords)
    tried = f"none of the {count} passwords of the corpus opens it" if count else "locked"
    return f"encrypted: {tried}; give the corpus its password, or unpack it and drop the folder"


def _refuse_bombs(infos: list[Any], source: ParseInput) -> None:
    """Raise for an archive that says that it unpacks to too much."""
    limits = source.options.limits
    total = sum(info.uncompressed for info in infos)
    if total > _FREE and total > limits.ratio * source.size:
        reason = f"unpacks to more than {limits.ratio} times its size, as a bomb does: not opened"
        raise _UnreadableError(reason, Status.TOO_LARGE)
    if total > limits.total_bytes or len(infos) > MAX_LISTED:
        reason = f"unpacks to {total // 2**20:,} MB in {len(infos):,} members: not opened; unpack it, drop the folder"
        raise _UnreadableError(reason, Status.TOO_LARGE)


def _wanted(infos: list[Any], members: Members) -> list[str]:
    """Names of members to unpack, in order, as many as fit."""
    names: list[str] = []
    total = 0
    for info in infos:
        fits = total + info.uncompressed <= MAX_UNPACKED and members.refusal(info.uncompressed) is None
        if fits and not _special(info) and not noise_rule(info.filename)[0] and _is_inside(info.filename):
            total += info.uncompressed
            names.append(info.filename)
    return names


def _is_inside(name: str) -> bool:
    """Whether py7zr takes a name: one that points out of the archive makes it refuse all members."""
    windows = PureWindowsPath(name)
    return not (PurePosixPath(name).is_absolute() or windows.drive or windows.root or ".." in windows.parts)


def _special(info: Any) -> str:
    return NOT_FOLLOWED if info.is_symlink else ""


def _unpacked(source: ParseInput, password: str | None, wanted: list[str]) -> tuple[dict[str, bytes], str]:
    """Bytes of the members by name, and what went wrong; a member that is damaged is left out of the next attempt."""
    contents: dict[str, bytes] = {}
    left = list(dict.fromkeys(wanted))
    problem = ""
    for _ in range(_ATTEMPTS):
        if not left:
            break
        writers = _writers()
        try:
            with _opened(source, password) as archive:
                archive.extract(targets=left, factory=writers)
        except _errors() as error:
            _pass_on(error)
            problem = in_words(error)
        found = {name: content for name, content in writers.done.items() if name in left and name not in contents}
        damaged = writers.last if problem and writers.last in found else None
        contents |= {name: content for name, content in found.items() if name != damaged}
        if not problem or not found:
            break
        left = [name for name in left if name not in found]
        problem = ""
    return contents, problem


def _writers() -> Any:
    """What py7zr writes members to: bytes by name, in ``done`` when a member is finished; ``last`` began last."""
    from py7zr import Py7zIO, WriterFactory

    class Writer(Py7zIO):
        def __init__(self) -> None:
            self.buffer = io.BytesIO()

        def write(self, s: bytes | bytearray) -> int:
            return self.buffer.write(s)

        def read(self, size: int | None = None) -> bytes:
            return self.buffer.read(size)

        def seek(self, offset: int, whence: int = 0) -> int:
            return self.buffer.seek(offset, whence)

        def flush(self) -> None:
            self.buffer.flush()

        def size(self) -> int:
            return len(self.buffer.getbuffer())

    class Writers(WriterFactory):
        def __init__(self) -> None:
            self.writers: dict[str, Writer] = {}
            self.last: str | None = None

        def create(self, filename: str) -> Py7zIO:
            self.last = filename
            self.writers[filename] = Writer()
            return self.writers[filename]

        @property
        def done(self) -> dict[str, bytes]:
            return {name: writer.buffer.getvalue() for name, writer in self.writers.items()}

    return Writers()


def _entry(info: Any, contents: dict[str, bytes], wanted: list[str], problem: str) -> Entry:
    name = info.filename

    def read(members: Members) -> bytes | str:
        if name in contents or not info.uncompressed:
            return contents.get(name, b"")
        if name in wanted or problem:
            raise MemberError("damaged in the archive; get the archive again")
        if not _is_inside(name):
            raise MemberError("its name points out of the archive: not read; unpack it and drop the folder")
        megabytes = MAX_UNPACKED // 2**20
        return f"more than {megabytes} MB of a 7z archive are not unpacked: unpack it and drop the folder"

    return Entry(name, read, info.uncompressed, None, _special(info))
