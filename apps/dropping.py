"""What ``apps.actions.drop_files`` does: files from a browser to the inbox, whole or not at all. Imported late.

Names come from outside: each part of a path must be an ordinary name, folders are opened one by one without following links,
and bytes lie in ``inbox/.incoming`` until they are on the disk, so that a scan never takes half a file.
"""

import errno
import hashlib
import os
import secrets
import stat
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from apps.errors import USAGE, CommandError
from apps.residence import looked_in
from apps.views import Dropped, DropReport
from cortex_assets.corpora.registry import INBOX, Registered
from resources.abandoned import Owner, remove_abandoned
from resources.settings import free_space_guard

INCOMING = ".incoming"
MOST_PARTS = 16
MOST_NAME_BYTES = 255
MOST_PATH_BYTES = 4_000
"""The kernel takes 4,095."""
BLOCK = 1 << 20
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def drop_files(corpus: str, files: Sequence[tuple[str, BinaryIO]], replace: bool) -> DropReport:
    """See ``apps.actions.drop_files``."""
    with looked_in() as house:
        settings = house.settings
        folder = _folder(house.register.corpora(), settings.inbox, corpus)
    settings.inbox.mkdir(parents=True, exist_ok=True)
    done = []
    with _opened(settings.inbox, (INCOMING,)) as incoming, _owned(settings.inbox / INCOMING) as mine:
        for number, (name, stream) in enumerate(files):
            size = stream.seek(0, os.SEEK_END)
            stream.seek(0)
            free_space_guard(settings.inbox, settings, size)
            try:
                parts = _placed(settings.inbox.joinpath(*folder), _parts(name))
            except CommandError as refused:
                done.append(Dropped(name, "refused", f"{refused.what}; {refused.remedy}"))
                continue
            done.append(_drop(settings.inbox, folder, parts, stream, (incoming, f"{mine}-{number}"), replace))
    return DropReport(corpus, str(settings.inbox.joinpath(*folder)), tuple(done))


def _folder(registered: Sequence[Registered], inbox: Path, corpus: str) -> tuple[str, ...]:
    """The folder of a corpus below the inbox: its own, a new one of that name, or the inbox for its loose files.

    Raises:
        CommandError: the corpus lies elsewhere (Cortex writes nothing there), or the name cannot be a folder.
    """
    if corpus == INBOX:
        return ()
    known = next((one for one in registered if one.name == corpus), None)
    if known is None:
        return _parts(corpus, "the name of the corpus", 1)
    if not known.is_here:
        raise CommandError(
            "this corpus belongs to another machine", corpus, f"drop the files on {known.machine}", USAGE
        )
    if not takes_files(known, inbox):
        raise CommandError(
            "this corpus lies outside of the inbox, and Cortex writes nothing below a source",
            corpus,
            f"copy the files to {known.source.uri} yourself, or choose another corpus",
            USAGE,
        )
    return (Path(known.source.uri).name,)


def takes_files(corpus: Registered, inbox: Path) -> bool:
    """Whether files can be dropped into a corpus: it is a folder of this machine's inbox."""
    return corpus.is_here and corpus.origin == INBOX and Path(corpus.source.uri).parent == inbox


def _parts(name: str, what: str = "the file name", most: int = MOST_PARTS) -> tuple[str, ...]:
    """The parts of a path as they are written to the disk.

    Raises:
        CommandError: one of them is no ordinary name.
    """
    parts = tuple(unicodedata.normalize("NFC", part) for part in name.replace("\\", "/").split("/"))
    if len(parts) > most:
        raise CommandError(f"{what} has more than {most} parts", name[:200], "take another name", USAGE)
    for part in parts:
        is_odd = any(unicodedata.category(letter) in ("Cc", "Cf", "Cs", "Zl", "Zp") for letter in part)
        try:
            is_long = len(part.encode("utf-8")) > MOST_NAME_BYTES
        except UnicodeEncodeError:
            is_odd, is_long = True, False
        if not part.strip() or part.startswith(".") or is_odd or is_long:
            remedy = "use letters, digits, spaces and dashes; no leading dot, no '..', at most 255 bytes"
            raise CommandError(f"{what} cannot be used", name[:200], remedy, USAGE)
    return parts


def _placed(folder: Path, parts: tuple[str, ...]) -> tuple[str, ...]:
    """The parts, where the whole path is one that can be opened again.

    Raises:
        CommandError: it is longer than the system takes.
    """
    if len(os.fsencode(folder.joinpath(*parts))) > MOST_PATH_BYTES:
        shown = "/".join(parts)[:200]
        raise CommandError(
            "the whole path is too long", shown, f"at most {MOST_PATH_BYTES:,} bytes from the root", USAGE
        )
    return parts


@contextmanager
def _owned(incoming: Path) -> Iterator[str]:
    """A beginning of names for files on their way; what drops left there that were cut off is removed."""
    remove_abandoned(incoming)
    mine = secrets.token_hex(16)
    owner = Owner(incoming, mine)
    owner.hold()
    try:
        yield mine
    finally:
        owner.let_go()


def _drop(
    inbox: Path,
    folder: tuple[str, ...],
    parts: tuple[str, ...],
    stream: BinaryIO,
    way: tuple[int, str],
    replace: bool,
) -> Dropped:
    """Write one file; ``way``: the folder for files on their way, and a name in it."""
    shown = "/".join(parts)
    incoming, temporary = way
    try:
        digest = _write(incoming, temporary, stream)
        try:
            with _opened(inbox, (*folder, *parts[:-1])) as target:
                return _move(incoming, temporary, target, parts[-1], shown, digest, replace)
        except NotADirectoryError:
            return Dropped(shown, "refused", "a part of its path is a file or a link there; take another name")
    finally:
        with suppress(FileNotFoundError):
            os.unlink(temporary, dir_fd=incoming)


def _write(folder: int, name: str, stream: BinaryIO) -> str:
    """Write all bytes, force them to the disk, and give their SHA-256."""
    digest = hashlib.sha256()
    with os.fdopen(os.open(name, _NEW, 0o644, dir_fd=folder), "wb") as target:
        while block := stream.read(BLOCK):
            digest.update(block)
            target.write(block)
        target.flush()
        os.fsync(target.fileno())
    return digest.hexdigest()


def _move(incoming: int, temporary: str, target: int, name: str, shown: str, digest: str, replace: bool) -> Dropped:
    """Give the bytes their name, in one step that others see whole."""
    try:
        _name(incoming, temporary, target, name)
    except FileExistsError:
        there = _hash_of(target, name)
        if there is None:
            return Dropped(shown, "refused", "something that is no ordinary file has this name; take another one")
        if there == digest:
            return Dropped(shown, "same", "exactly this file is there already")
        if not replace:
            return Dropped(
                shown, "refused", "another file of this name is there; allow replacing, or take another name"
            )
        os.replace(temporary, name, src_dir_fd=incoming, dst_dir_fd=target)
        os.fsync(target)
        return Dropped(shown, "replaced")
    os.fsync(target)
    return Dropped(shown, "written")


def _name(incoming: int, temporary: str, target: int, name: str) -> None:
    """Give a file a name that nothing has.

    Raises:
        FileExistsError: something has it.
    """
    try:
        os.link(temporary, name, src_dir_fd=incoming, dst_dir_fd=target)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS):
            raise
        # A file system without links (a stick, some network shares): the name is taken first, then filled.
        os.close(os.open(name, _NEW, 0o644, dir_fd=target))
        os.replace(temporary, name, src_dir_fd=incoming, dst_dir_fd=target)


def _hash_of(folder: int, name: str) -> str | None:
    """SHA-256 of an ordinary file, None for anything else."""
    if not stat.S_ISREG(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
        return None
    with os.fdopen(os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder), "rb") as there:
        return hashlib.file_digest(there, "sha256").hexdigest()


@contextmanager
def _opened(root: Path, parts: Sequence[str]) -> Iterator[int]:
    """A descriptor of a folder below ``root``, made where it is missing; no link is followed below the root.

    Raises:
        NotADirectoryError: a part is a file or a link.
    """
    current = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in parts:
            with suppress(FileExistsError):
                os.mkdir(part, 0o755, dir_fd=current)
            try:
                deeper = os.open(part, _FOLDER, dir_fd=current)
            except OSError as error:
                raise NotADirectoryError(error.errno, "a file or a link", part) from error
            os.close(current)
            current = deeper
        yield current
    finally:
        os.close(current)
