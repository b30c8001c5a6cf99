"""The content-addressed store of raw bytes: ``raw/ab/<SHA-256>``, written once, never changed.

Here: taking bytes in, finding and checking them, sweeping what nothing names any more. What is taken, and when, is
    decided by
``cortex_assets.engine.intake``.

Durability: bytes go to a temporary file in ``raw/.incoming``; ``flush`` forces every pending file to the disk (eight at
    a time, so
that the file system's journal commits them together), moves each to its name with ``os.replace`` and then forces the
folders it touched. So a file under its final name is whole, even after a power cut, and a row that names a hash is to
be committed after ``flush``. A crash before it leaves temporary files, which ``remove_abandoned`` removes.
"""
# Paths are bytes or on the hot path, so not pathlib.
# ruff: noqa: PTH105, PTH108

import contextlib
import errno
import fcntl
import hashlib
import os
import re
import secrets
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from resources.abandoned import LOCK, Owner, remove_abandoned
from resources.durability import make_durable
from resources.listing import open_inside

_FICLONE = 0x40049409
_BLOCK = 1 << 20
_SMALL = 4 << 20
_HASH = re.compile(r"[0-9a-f]{64}")
_NO_REFLINK = {errno.EOPNOTSUPP, errno.EXDEV, errno.ENOTTY, errno.EINVAL, errno.ENOSYS, errno.EPERM, errno.ETXTBSY}


class SourceMoved(OSError):
    """The source's size or modification time changed while its bytes were read: take it another time."""


class StoreWriteError(RuntimeError):
    """The store itself could not be written (disk full, permissions); names its folder, the cause and the remedy."""


@dataclass(frozen=True, slots=True)
class Taken:
    """Bytes that were read: their SHA-256 (hex) and how many."""

    content_hash: str
    size: int


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep removed."""

    files: int
    size: int


class RawStore:
    """One store folder. Takes are pending until ``flush``; as a context manager it flushes on a clean exit."""

    def __init__(self, root: Path, before_write: Callable[[int], None] | None = None) -> None:
        """Bind to a folder; it is made at the first take.

        Args:
            root: the store's folder.
            before_write: called with the bytes that are about to be written; raises to refuse (free-space guard).
        """
        self.root = root
        self._before_write = before_write or (lambda size: None)
        self._incoming = root / ".incoming"
        self._pending: dict[str, str] = {}
        self._can_reflink = True
        self._prefix = f"{os.getpid()}-{secrets.token_hex(8)}"
        self._owner = Owner(self._incoming, self._prefix)
        self._count = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self.flush()
        finally:
            self._discard()

    def path_of(self, content_hash: str) -> Path:
        """Where the bytes of a hash lie, present or not.

        Raises:
            ValueError: not a SHA-256 in lower-case hex.
        """
        if not _HASH.fullmatch(content_hash):
            raise ValueError(f"{content_hash[:80]!r} is not a SHA-256 of 64 lower-case hex digits")
        return self.root / content_hash[:2] / content_hash

    def has(self, content_hash: str) -> bool:
        """Whether the bytes are stored (or pending in this object)."""
        return content_hash in self._pending or self.path_of(content_hash).is_file()

    def claim(self, content_hash: str) -> bool:
        """``has``, and where they are stored, marked as named now, so that a sweep spares them."""
        if content_hash in self._pending:
            return True
        try:
            os.utime(self.path_of(content_hash))
        except (FileNotFoundError, NotADirectoryError):
            return False
        return True

    def take(self, source_fd: int) -> Taken:
        """Copy an open regular file into the store while hashing it; durable after ``flush``.

        Raises:
            SourceMoved: it changed meanwhile.
            StoreWriteError: the store cannot be written.
            OSError: it cannot be read.
        """
        before = os.fstat(source_fd)
        if before.st_size <= _SMALL:
            content = _read_small(source_fd, before.st_size)
            _check_still(source_fd, before, len(content))
            taken = Taken(hashlib.sha256(content).hexdigest(), len(content))
            if not self.claim(taken.content_hash):
                self._before_write(taken.size)
                self._pending[taken.content_hash] = self._write_temporary(content)
            return taken
        self._before_write(before.st_size)
        temporary, target_fd = self._temporary()
        try:
            try:
                digest, size = self._copy(source_fd, target_fd, temporary, before.st_size)
            finally:
                os.close(target_fd)
            _check_still(source_fd, before, size)
            taken = Taken(digest, size)
        except BaseException:
            os.unlink(temporary)
            raise
        if self.claim(taken.content_hash):
            os.unlink(temporary)
        else:
            self._pending[taken.content_hash] = temporary
        return taken

    def flush(self) -> None:
        """Make everything taken so far durable and visible under its hash."""
        if not self._pending:
            self._owner.let_go()
            return
        make_durable(list(self._pending.values()), self.root)
        folders = {self.root / content_hash[:2] for content_hash in self._pending}
        for folder in folders:
            folder.mkdir(exist_ok=True)
        for content_hash, temporary in self._pending.items():
            os.replace(temporary, self.path_of(content_hash))
        make_durable([*sorted(folders), self.root], self.root)
        self._pending.clear()
        self._owner.let_go()

    def verify(self, content_hash: str) -> bool:
        """Whether the bytes are stored and still have their hash."""
        try:
            with self.path_of(content_hash).open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest() == content_hash
        except FileNotFoundError:
            return False

    def discard(self, content_hash: str) -> None:
        """Remove what lies under a hash, because it is damaged and will be taken again; nothing there is no error."""
        self.path_of(content_hash).unlink(missing_ok=True)

    def sweep(self, keep: Container[str], older_than: float) -> Swept:
        """Remove stored bytes that ``keep`` does not name, and leftover temporary files, older than ``older_than``.

        Args:
            keep: hashes that some retained version names.
            older_than: seconds since the epoch; younger files stay, whoever names them.
        """
        files = size = 0
        for path in self.unnamed(keep, older_than):
            size += path.stat().st_size
            files += 1
            path.unlink()
        return Swept(files, size)

    def unnamed(self, keep: Container[str], older_than: float) -> list[Path]:
        """What ``sweep`` would remove."""
        found: list[Path] = []
        for folder in [self._incoming, *sorted(self.root.glob("[0-9a-f][0-9a-f]"))]:
            if not folder.is_dir():
                continue
            with os.scandir(folder) as entries:
                for entry in entries:
                    if folder != self._incoming and (entry.name in keep or not _HASH.fullmatch(entry.name)):
                        continue
                    if not entry.name.endswith(LOCK) and entry.stat(follow_symlinks=False).st_mtime < older_than:
                        found.append(Path(entry.path))
        return found

    def remove_abandoned(self) -> int:
        """Remove temporary files of processes that ended before ``flush``; how many there were."""
        return remove_abandoned(self._incoming)

    def _discard(self) -> None:
        for temporary in self._pending.values():
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
        self._pending.clear()
        self._owner.let_go()

    def _temporary(self) -> tuple[str, int]:
        self._count += 1
        path = f"{self._incoming}/{self._prefix}-{self._count}"
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            self._owner.hold()
            return path, os.open(path, flags, 0o440)
        except OSError as error:
            raise _store_error(path, error) from error

    def _write_temporary(self, content: bytes) -> str:
        path, fd = self._temporary()
        try:
            _write_all(path, fd, content)
        except BaseException:
            os.unlink(path)
            raise
        finally:
            os.close(fd)
        return path

    def _copy(self, source_fd: int, target_fd: int, target: str, expected: int) -> tuple[str, int]:
        """Clone or copy the source into the target; the hash is that of the bytes that the target holds."""
        if self._can_reflink:
            try:
                fcntl.ioctl(target_fd, _FICLONE, source_fd)
                return _hash_descriptor(target_fd, expected)
            except OSError as error:
                if error.errno not in _NO_REFLINK:
                    raise
                self._can_reflink = False
        digest, size = hashlib.sha256(), 0
        os.lseek(source_fd, 0, os.SEEK_SET)
        while size <= expected and (block := os.read(source_fd, _BLOCK)):
            digest.update(block)
            _write_all(target, target_fd, block)
            size += len(block)
        return digest.hexdigest(), size


def hash_file(source_fd: int) -> Taken:
    """Hash an open regular file without keeping its bytes.

    Raises:
        SourceMoved: it changed meanwhile.
        OSError: it cannot be read.
    """
    before = os.fstat(source_fd)
    digest, size = _hash_descriptor(source_fd, before.st_size)
    _check_still(source_fd, before, size)
    return Taken(digest, size)


@contextlib.contextmanager
def checked_file(real_root: bytes, raw_path: bytes, content_hash: str) -> Iterator[Path]:
    """Open a file that is read in place, and give a path of the open descriptor, for this process and its children.

    Args:
        real_root: the corpus root's real path.
        raw_path: relative path as listed.
        content_hash: what its bytes must be.

    Raises:
        SourceMoved: its bytes are others, or changed while they were read.
        OSError: it cannot be opened, or leads out of the root.
    """
    descriptor = open_inside(real_root, raw_path)
    try:
        before = os.fstat(descriptor)
        if hash_file(descriptor).content_hash != content_hash:
            raise SourceMoved(errno.EAGAIN, "changed after it was listed")
        yield Path(f"/proc/{os.getpid()}/fd/{descriptor}")
        _check_still(descriptor, before, before.st_size)
    finally:
        os.close(descriptor)


def _hash_descriptor(fd: int, expected: int) -> tuple[str, int]:
    """Hash and size; a file that grows as it is read is left when it is larger than ``expected``."""
    digest, size = hashlib.sha256(), 0
    os.lseek(fd, 0, os.SEEK_SET)
    while size <= expected and (block := os.read(fd, _BLOCK)):
        digest.update(block)
        size += len(block)
    return digest.hexdigest(), size


def _read_small(fd: int, size: int) -> bytes:
    os.lseek(fd, 0, os.SEEK_SET)
    content = os.read(fd, size + 1)
    while len(content) <= size and (block := os.read(fd, size + 1 - len(content))):
        content += block
    return content


def _check_still(fd: int, before: os.stat_result, size: int) -> None:
    after = os.fstat(fd)
    if size != before.st_size or (after.st_size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
        raise SourceMoved(errno.EAGAIN, "the file changed while it was read")


def _write_all(path: str, fd: int, content: bytes) -> None:
    view = memoryview(content)
    try:
        while view:
            view = view[os.write(fd, view) :]
    except OSError as error:
        raise _store_error(path, error) from error


def _store_error(path: str, error: OSError) -> StoreWriteError:
    return StoreWriteError(
        f"{path}: cannot be written ({error.strerror}); free some space or check the folder's permissions."
    )
