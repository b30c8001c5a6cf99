"""Walk a folder: which regular files lie in it, by the raw bytes of their paths, with what ``stat`` says of each.

Here: looking at directories, and opening a listed file without leaving the root. Not here: what to ignore (a ``Scope``
    comes in)
and what a difference to the last listing means (``cortex_assets.corpora.scan``).

Symbolic links: a link to a directory is never entered, a link to a file counts as a file when its real path lies inside
the root, every other link is counted as ignored. Paths are relative to the root, with ``/`` between their parts, as
bytes: a name may hold any byte but NUL and ``/``.
"""
# Paths are bytes or on the hot path, so not pathlib.
# ruff: noqa: PTH115, PTH116, PTH118

import contextlib
import errno
import gc
import os
import stat
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple, Protocol, Self

_RULE_FILE_LIMIT = 1 << 20


class Stat(NamedTuple):
    """What tells an unchanged file from a changed one: bytes, nanoseconds since the epoch, inode number."""

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int


class RootState(StrEnum):
    """What became of the root itself."""

    PRESENT = "present"
    MISSING = "missing"
    UNREADABLE = "unreadable"
    OTHER_DEVICE = "other_device"


class Scope(Protocol):
    """The ignore rules that hold in one directory. Each question is answered with a reason, or None to take it."""

    @property
    def rule_files(self) -> frozenset[bytes]:
        """Names of the files that bring rules of their own."""
        ...

    @property
    def large_bytes(self) -> int:
        """Files above this many bytes are asked about with ``ignored_large``."""
        ...

    def enter(self, directory: bytes, texts: Mapping[bytes, str]) -> Self:
        """The rules inside ``directory`` (relative, ending in ``/``, empty for the root), given its rule files."""
        ...

    def ignored_directory(self, path: bytes, name: bytes) -> str | None:
        """Why the directory ``path`` (relative, without a trailing ``/``) is not entered."""
        ...

    def ignored_file(self, path: bytes, name: bytes) -> str | None:
        """Why the file ``path`` is not listed."""
        ...

    def ignored_large(self, name: bytes) -> str | None:
        """Why a file above ``large_bytes`` is not listed."""
        ...


@dataclass(slots=True)
class Listing:
    """What a walk saw.

    Attributes:
        entries: relative path to its ``Stat``.
        ignored: reason to how many files and directories it kept out (a directory counts once).
        unreadable: relative prefix (a directory ends in ``/``; empty = the root) to why it could not be read.
        root_state: whether the root was there.
        device: device number of the root, -1 where it is missing.
    """

    entries: dict[bytes, Stat] = field(default_factory=dict)
    ignored: Counter[str] = field(default_factory=Counter)
    unreadable: dict[bytes, str] = field(default_factory=dict)
    root_state: RootState = RootState.PRESENT
    device: int = -1


class OutsideRootError(OSError):
    """A listed path now leads out of its root or to something that is no regular file."""


@contextlib.contextmanager
def paused_collection() -> Iterator[None]:
    """Pause the cyclic garbage collector, which takes half of the time over 100,000 tuples that are in no cycle."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def walk(root: Path, scope: Scope, known_device: int | None = None, is_flat: bool = False) -> Listing:
    """List the regular files below ``root``.

    Files that vanish during the walk are left out; a directory that cannot be read (wholly or from some point on) is
    named in ``unreadable``, and what was seen in it stays.

    Args:
        root: the folder; may itself be a symbolic link.
        scope: the ignore rules above the root's own.
        known_device: the device number it had before; another one is reported as ``other_device``.
        is_flat: list the root's own files only (loose files of the inbox).
    """
    listing = Listing()
    base = os.fsencode(root)
    try:
        listing.device = os.stat(base).st_dev
    except (FileNotFoundError, NotADirectoryError):
        listing.root_state = RootState.MISSING
        return listing
    except OSError as error:
        listing.root_state = RootState.UNREADABLE
        listing.unreadable[b""] = _why(error)
        return listing
    if known_device is not None and known_device != listing.device:
        listing.root_state = RootState.OTHER_DEVICE
    real_root = os.path.realpath(base)
    pending: list[tuple[bytes, Scope]] = [(b"", scope)]
    while pending:
        prefix, outer = pending.pop()
        files, links, directories, rule_names = _read_directory(base, prefix, outer.rule_files, listing)
        inner = outer.enter(prefix, _rule_texts(base, prefix, rule_names))
        _list_files(files, prefix, inner, listing)
        for name in links:
            _list_link(real_root, prefix, name, inner, listing)
        if is_flat:
            continue
        for name in directories:
            reason = inner.ignored_directory(prefix + name, name)
            if reason is None:
                pending.append((prefix + name + b"/", inner))
            else:
                listing.ignored[reason] += 1
    if b"" in listing.unreadable and not listing.entries:
        listing.root_state = RootState.UNREADABLE
    return listing


def left_out(root: Path, path: bytes, scope: Scope) -> str | None:
    """Why a walk of ``root`` does not list ``path`` (relative); None where it does, or would once it is there."""
    listing = Listing()
    base = os.fsencode(root)
    directories = path.split(b"/")[:-1]
    prefix = b""
    for name in [b"", *directories]:
        if name:
            prefix += name + b"/"
            reason = scope.ignored_directory(prefix[:-1], name)
            if reason is not None:
                return f"{os.fsdecode(prefix)} is left out: {reason}"
        rules = _read_directory(base, prefix, scope.rule_files, listing)[3]
        scope = scope.enter(prefix, _rule_texts(base, prefix, rules))
        if prefix in listing.unreadable:
            return f"{os.fsdecode(prefix) or 'the root'} cannot be read: {listing.unreadable[prefix]}"
    with contextlib.suppress(OSError):
        if stat.S_ISDIR(os.lstat(os.path.join(base, path)).st_mode):
            return "it is a folder"
    name = path.rpartition(b"/")[2]
    return scope.ignored_file(path, name)


def open_inside(real_root: bytes, raw_path: bytes) -> int:
    """Open a listed file for reading and return its descriptor (closed on exec; never blocks on a fifo).

    Args:
        real_root: the root's real path.
        raw_path: relative path as listed.

    Raises:
        OutsideRootError: the path now leads out of the root, or is no regular file.
        OSError: it cannot be opened.
    """
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    path = os.path.join(real_root, raw_path)
    try:
        descriptor = os.open(path, flags)
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        descriptor = os.open(os.path.realpath(path), flags)
    try:
        is_regular = stat.S_ISREG(os.fstat(descriptor).st_mode)
        try:
            opened = os.readlink(b"/proc/self/fd/%d" % descriptor)
        except OSError:
            opened = os.path.realpath(path)
        if not is_regular or not _is_inside(real_root, opened):
            raise OutsideRootError(errno.EXDEV, "no longer a regular file inside its corpus", os.fsdecode(raw_path))
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _read_directory(
    base: bytes, prefix: bytes, rule_files: frozenset[bytes], listing: Listing
) -> tuple[list[os.DirEntry[bytes]], list[bytes], list[bytes], list[bytes]]:
    """Files, links, directories and rule files of one directory; notes what is special or unreadable."""
    files: list[os.DirEntry[bytes]] = []
    links: list[bytes] = []
    directories: list[bytes] = []
    rules: list[bytes] = []
    try:
        with os.scandir(os.path.join(base, prefix) if prefix else base) as entries:
            for entry in entries:
                if entry.is_file(follow_symlinks=False):
                    files.append(entry)
                    if entry.name in rule_files:
                        rules.append(entry.name)
                elif entry.is_dir(follow_symlinks=False):
                    directories.append(entry.name)
                elif entry.is_symlink():
                    links.append(entry.name)
                else:
                    listing.ignored["special file (fifo, socket or device)"] += 1
    except (FileNotFoundError, NotADirectoryError) as error:
        if not prefix:
            listing.unreadable[b""] = _why(error)
    except OSError as error:
        listing.unreadable[prefix] = _why(error)
    return files, links, directories, rules


def _list_files(files: list[os.DirEntry[bytes]], prefix: bytes, scope: Scope, listing: Listing) -> None:
    """Put the files that no rule ignores into ``listing.entries``."""
    entries, ignored, large = listing.entries, listing.ignored, scope.large_bytes
    ignored_file = scope.ignored_file
    for entry in files:
        name = entry.name
        path = prefix + name
        reason = ignored_file(path, name)
        if reason is None:
            try:
                seen = entry.stat(follow_symlinks=False)
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as error:
                listing.unreadable[path] = _why(error)
                continue
            if seen.st_size > large:
                reason = scope.ignored_large(name)
            if reason is None:
                entries[path] = Stat(seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns, seen.st_ino)
                continue
        ignored[reason] += 1


def _list_link(real_root: bytes, prefix: bytes, name: bytes, scope: Scope, listing: Listing) -> None:
    """List a symbolic link to a regular file inside the root; count every other link as ignored."""
    path = prefix + name
    reason = scope.ignored_file(path, name)
    if reason is None:
        full = os.path.join(real_root, path)
        try:
            seen = os.stat(full)
        except OSError:
            reason = "symbolic link that leads nowhere"
        else:
            if stat.S_ISDIR(seen.st_mode):
                reason = "symbolic link to a directory"
            elif not stat.S_ISREG(seen.st_mode):
                reason = "special file (fifo, socket or device)"
            elif not _is_inside(real_root, os.path.realpath(full)):
                reason = "symbolic link out of the corpus"
            elif seen.st_size > scope.large_bytes:
                reason = scope.ignored_large(name)
    if reason is None:
        listing.entries[path] = Stat(seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns, seen.st_ino)
    else:
        listing.ignored[reason] += 1


def _rule_texts(base: bytes, prefix: bytes, names: list[bytes]) -> dict[bytes, str]:
    """Texts of a directory's rule files; one that cannot be read has no rules."""
    texts: dict[bytes, str] = {}
    for name in names:
        try:
            with open(os.path.join(base, prefix, name), "rb") as file:
                texts[name] = file.read(_RULE_FILE_LIMIT).decode("utf-8-sig", "surrogateescape")
        except OSError:
            continue
    return texts


def _is_inside(real_root: bytes, path: bytes) -> bool:
    return path.startswith(real_root.rstrip(b"/") + b"/")


def _why(error: OSError) -> str:
    return error.strerror or type(error).__name__
