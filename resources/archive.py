"""A backup's folder: files under their SHA-256, and a manifest that says which there are, written last.

    <folder>/manifest.json      of the last backup that is whole; absent while there is none
    <folder>/objects/ab/<sha>   bytes, each content once
    <folder>/lock               flock of whoever writes

An interrupted backup leaves objects that no manifest names and the manifest of the one before; the next one uses or
removes them. A folder may come from elsewhere (a stick, a server): nothing in it is followed that is a link, nothing is read
that is no ordinary file, nothing is removed but objects. Generic: what is backed up, and where it goes back to, is
``engine.backup``'s and ``engine.restore``'s.
"""

import contextlib
import errno
import hashlib
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from resources.durability import fsync, make_durable
from resources.file_lock import alone
from resources.manifest import BackupError, Manifest, Stored, check_paths, is_sha256

MANIFEST, OBJECTS, LOCK = "manifest.json", "objects", "lock"
_UNFINISHED = ".new-"
_BLOCK = 1 << 20
_NEW_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class FileMoved(Exception):
    """A file changed while it was copied."""


@dataclass(slots=True)
class Archive:
    """A backup's folder.

    Attributes:
        folder: where it is.
        before_write: called with the bytes that are about to be written; raises to refuse (free-space guard).
        copied: files and bytes that were written since ``writing`` began.
    """

    folder: Path
    before_write: Callable[[int], None] = lambda size: None
    copied: list[int] = field(default_factory=lambda: [0, 0])
    _known: dict[str, Stored] = field(default_factory=dict)
    _fresh: list[Path] = field(default_factory=list)

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Make the folder where it is missing, and hold it for one writer.

        Raises:
            BackupError: it holds something else, or another backup is being written there.
        """
        self._refuse_others()
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        (self.folder / OBJECTS).mkdir(exist_ok=True)
        with alone(self.folder / LOCK) as is_mine:
            if not is_mine:
                raise BackupError(f"another backup is being written to {self.folder}; wait until it is done")
            for left in (self.folder / OBJECTS).glob(f"{_UNFINISHED}*"):
                left.unlink()
            with contextlib.suppress(BackupError):  # a damaged manifest only means that everything is copied
                self._known = {file.path: file for file in self.read().files}
            yield

    def _refuse_others(self) -> None:
        if self.folder.exists() and not self.folder.is_dir():
            raise BackupError(f"{self.folder} is a file; a backup is written to a folder")
        names = {path.name for path in self.folder.iterdir()} if self.folder.is_dir() else set()
        others = sorted(names - {MANIFEST, OBJECTS, LOCK, f"{MANIFEST}.new"})
        if others or (names and OBJECTS not in names):
            shown = others[0] if others else MANIFEST
            raise BackupError(f"{self.folder} holds something else, such as {shown}; give a new or an empty folder")
        own = [self.folder / name for name in sorted(names)]
        for path in [*own, *((self.folder / OBJECTS).iterdir() if OBJECTS in names else ())]:
            kind = path.lstat().st_mode
            is_folder = path == self.folder / OBJECTS or (path.parent != self.folder and len(path.name) == 2)
            if not (stat.S_ISDIR(kind) if is_folder else stat.S_ISREG(kind)):
                raise BackupError(f"{path} is a link, or no part of a backup; give a new or an empty folder")

    def add(self, source: Path, path: str, *, is_checked: bool = False, is_linked: bool = False) -> Stored:
        """Take a file in, unless the backup before has it already; durable after ``seal``.

        Args:
            source: a regular file.
            path: what it is called in the backup.
            is_checked: read again what an earlier backup wrote, and replace what is damaged.
            is_linked: link instead of copying where the file system can: for files that nobody changes.

        Raises:
            FileMoved: it changed meanwhile.
            FileNotFoundError: it is gone.
        """
        fd = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            seen = os.fstat(fd)
            known = self._known.get(path)
            is_known = known is not None and (known.size, known.mtime_ns) == (seen.st_size, seen.st_mtime_ns)
            if known is not None and is_known and self._is_there(known.sha256, known.size, is_checked):
                return known
            return Stored(path, seen.st_size, *self._taken(fd, source, seen, is_checked, is_linked))
        finally:
            os.close(fd)

    def _taken(self, fd: int, source: Path, seen: os.stat_result, is_checked: bool, is_linked: bool) -> tuple[str, int]:
        """Put the bytes under their hash; (hash, modification time)."""
        self.before_write(0 if is_linked else seen.st_size)
        fresh = self.folder / OBJECTS / f"{_UNFINISHED}{os.getpid()}"
        digest = _hash(fd) if is_linked and _link(source, fresh) else _copy(fd, fresh)
        after = os.fstat(fd)
        if (after.st_size, after.st_mtime_ns) != (seen.st_size, seen.st_mtime_ns):
            fresh.unlink()
            raise FileMoved(f"{source} changed while it was copied")
        if self._is_there(digest, seen.st_size, is_checked):
            fresh.unlink()
        else:
            target = self.object(digest)
            target.parent.mkdir(exist_ok=True)
            fresh.replace(target)
            self._fresh.append(target)
            self.copied[0] += 1
            self.copied[1] += seen.st_size
        return digest, seen.st_mtime_ns

    def _is_there(self, sha256: str, size: int, is_checked: bool) -> bool:
        target = self.object(sha256)
        try:
            is_there = target.stat().st_size == size
        except FileNotFoundError:
            return False
        return is_there and (not is_checked or target in self._fresh or self.is_whole(sha256, size))

    def seal(self, manifest: Manifest) -> None:
        """Make everything durable, then name it: from now on this is the backup. What it does not name is removed."""
        folders = {path.parent for path in self._fresh}
        make_durable([*self._fresh, *sorted(folders), self.folder / OBJECTS], self.folder)
        fresh = self.folder / f"{MANIFEST}.new"
        fresh.unlink(missing_ok=True)
        with open(os.open(fresh, _NEW_FLAGS, 0o600), "wb") as stream:
            stream.write(manifest.to_bytes())
        fsync(fresh)
        fresh.replace(self.folder / MANIFEST)
        fsync(self.folder)
        named = {file.sha256 for file in manifest.files}
        for path in (self.folder / OBJECTS).glob("??/*"):
            if path.name not in named and is_sha256(path.name) and path.name.startswith(path.parent.name):
                path.unlink()

    def read(self) -> Manifest:
        """What the backup holds.

        Raises:
            BackupError: there is none, or it cannot be read by this Cortex.
        """
        place = self.folder / MANIFEST
        try:
            with open(_opened(place), "rb") as stream:
                content = stream.read()
        except (FileNotFoundError, NotADirectoryError):
            raise BackupError(f"{self.folder} holds no backup that is whole: there is no {MANIFEST}") from None
        manifest = Manifest.from_bytes(content, place)
        check_paths(manifest, place)
        return manifest

    def is_whole(self, sha256: str, size: int) -> bool:
        """Whether the bytes under a hash are there and are those."""
        try:
            fd = _opened(self.object(sha256))
        except (OSError, BackupError):
            return False
        try:
            return os.fstat(fd).st_size == size and _hash(fd) == sha256
        finally:
            os.close(fd)

    def fetch(self, file: Stored, target: Path) -> None:
        """Copy a file out of the backup to a path where nothing is, with its modification time; not yet durable.

        Raises:
            BackupError: its bytes are not those that were backed up; nothing is left at ``target``.
        """
        fd = _opened(self.object(file.sha256))
        try:
            digest = _copy(fd, target)
        finally:
            os.close(fd)
        if digest != file.sha256:
            target.unlink()
            raise BackupError(f"{self.object(file.sha256)} is damaged; nothing was replaced. Take another backup")
        os.utime(target, ns=(file.mtime_ns, file.mtime_ns))

    def object(self, sha256: str) -> Path:
        """Where the bytes of a hash lie."""
        return self.folder / OBJECTS / sha256[:2] / sha256


def damaged(archive: Archive, files: Sequence[Stored], heard: Callable[[int], None]) -> list[str]:
    """Paths whose bytes are missing or others; ``heard`` is told the bytes read. Each content is read once."""
    verdicts: dict[str, bool] = {}
    for file in files:
        if file.sha256 not in verdicts:
            verdicts[file.sha256] = archive.is_whole(file.sha256, file.size)
            heard(file.size)
    return [file.path for file in files if not verdicts[file.sha256]]


def _opened(path: Path) -> int:
    """A descriptor of an ordinary file; opening another kind (a pipe) could wait for ever.

    Raises:
        BackupError: it is a link, or no file.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise BackupError(f"{path} is a link, and a backup has none; take another backup") from None
        raise
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise BackupError(f"{path} is no ordinary file; take another backup")
    return fd


def _link(source: Path, target: Path) -> bool:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:  # another file system, or one without links
        return False
    return True


def _hash(fd: int) -> str:
    digest = hashlib.sha256()
    os.lseek(fd, 0, os.SEEK_SET)
    while block := os.read(fd, _BLOCK):
        digest.update(block)
    return digest.hexdigest()


def _copy(fd: int, target: Path) -> str:
    """Copy an open file to a path where nothing is; the hash of its bytes. Nothing is left where that fails."""
    digest = hashlib.sha256()
    os.lseek(fd, 0, os.SEEK_SET)
    out = os.open(target, _NEW_FLAGS, 0o600)
    try:
        with os.fdopen(out, "wb") as stream:
            while block := os.read(fd, _BLOCK):
                digest.update(block)
                stream.write(block)
    except BaseException:
        target.unlink()
        raise
    return digest.hexdigest()
