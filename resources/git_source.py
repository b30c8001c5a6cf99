"""A git repository by URL, checked out below ``data/cache/git`` so that it is listed like any folder.

A local repository is not fetched: its work tree is a folder, listed as it is checked out, ``.gitignore`` respected.
Nothing of a fetched repository is run: no hooks, no submodules, no filters, no prompts, and only https, ssh and file as
transports.
"""

import contextlib
import fcntl
import os
import re
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

from resources.settings import child_environment

_REF = "refs/cortex/head"
_SAFETY = (
    "protocol.allow=never",
    "protocol.https.allow=always",
    "protocol.ssh.allow=always",
    "protocol.file.allow=always",
    "protocol.ext.allow=never",
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.autocrlf=false",
    "submodule.recurse=false",
    "fetch.recurseSubmodules=false",
    "filter.lfs.smudge=",
    "filter.lfs.process=",
    "filter.lfs.required=false",
    "gc.auto=0",
    "maintenance.auto=false",
)


class GitError(RuntimeError):
    """A repository could not be fetched or checked out; names it, what git said and the remedy."""


class GitBusy(GitError):
    """Another process is fetching the repository now."""


@dataclass(frozen=True, slots=True)
class Checkout:
    """A checked-out repository: its work tree, the commit it is at, whether the commit moved in this call."""

    path: Path
    commit: str
    is_moved: bool


def fetch_repository(url: str, folder: Path, branch: str | None = None, timeout: float = 600.0) -> Checkout:
    """Fetch ``url`` and check its branch out, whole, with history.

    Args:
        url: https, ssh, file, ``user@host:path`` or an absolute path (of a bare repository).
        folder: where the repository lies (``data/cache/git/<corpus_id>``); made where it is missing.
        branch: its name, or None for the remote's default branch.
        timeout: seconds each git command may take.

    Raises:
        GitBusy: another process is fetching it.
        GitError: fetch or checkout failed; a checkout from before is still whole unless the checkout itself was cut
            off, which the next call repairs.
    """
    shown = redact(url)
    _check_address(url, shown, branch)
    folder.mkdir(parents=True, exist_ok=True)
    lock_fd = os.open(folder.with_name(folder.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise GitBusy(f"{shown}: is being fetched by another process; wait until it is done.") from None
        if not (folder / ".git" / "HEAD").is_file():
            _git(folder, shown, timeout, "init", "--quiet", "--initial-branch=cortex", ".")
        _drop_stale_locks(folder / ".git")
        before = _commit(folder, shown, timeout, "HEAD")
        wanted = f"refs/heads/{branch}" if branch else "HEAD"
        _git(
            folder,
            shown,
            timeout,
            "fetch",
            "--quiet",
            "--force",
            "--no-tags",
            "--no-write-fetch-head",
            "--",
            url,
            f"+{wanted}:{_REF}",
        )
        commit = _commit(folder, shown, timeout, _REF)
        if commit is None:
            raise GitError(
                f"{shown}: has no commit on {branch or 'its default branch'}; push one, or name another `branch`."
            )
        _git(folder, shown, timeout, "checkout", "--quiet", "--force", "--detach", _REF)
        _git(folder, shown, timeout, "reset", "--quiet", "--hard", _REF)
        _git(folder, shown, timeout, "clean", "--quiet", "-ffdx")
        return Checkout(folder, commit, commit != before)
    finally:
        os.close(lock_fd)


def remote_head(url: str, folder: Path, branch: str | None = None, timeout: float = 5.0) -> str:
    """The commit that a branch of a repository is at, asked without fetching anything.

    Args:
        url: as in ``fetch_repository``.
        folder: where the repository is fetched to; git runs in the folder above it.
        branch: its name, or None for the remote's default branch.
        timeout: seconds the answer may take.

    Raises:
        GitError: nobody answered, or there is no such branch.
    """
    shown = redact(url)
    _check_address(url, shown, branch)
    folder.parent.mkdir(parents=True, exist_ok=True)
    wanted = f"refs/heads/{branch}" if branch else "HEAD"
    said = _git(folder.parent, shown, timeout, "ls-remote", "--quiet", "--", url, wanted)
    for line in said.splitlines():
        commit, _, name = line.partition("\t")
        if name == wanted and re.fullmatch(r"[0-9a-f]{40,64}", commit):
            return commit
    raise GitError(f"{shown}: has no commit on {branch or 'its default branch'}; push one, or name another `branch`.")


def fetched_commit(folder: Path) -> str | None:
    """The commit that was fetched last into ``folder``; None before the first fetch. Reads one small file where it can."""
    if not (folder / ".git" / "HEAD").is_file():
        return None
    try:
        text = (folder / ".git" / _REF).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return _commit(folder, str(folder), 5.0, _REF)
    return text or None


def whole_checkout(folder: Path) -> str | None:
    """The commit that lies checked out in ``folder``, whole, from an earlier fetch; None where there is none such."""
    if not (folder / ".git" / "HEAD").is_file():
        return None
    commit = _commit(folder, str(folder), 60.0, _REF)
    try:
        is_whole = commit == _commit(folder, str(folder), 60.0, "HEAD")
        changed = _git(folder, str(folder), 600.0, "status", "--porcelain", "--untracked-files=no")
    except GitError:
        return None
    return commit if is_whole and not changed.strip() else None


def redact(url: str) -> str:
    """An address, or a text with addresses, without user names, passwords, queries and fragments.

    Everything from ``://`` to the last ``@`` of an address goes, so an ``@`` or ``/`` inside a password hides nothing of it.
    """
    return re.sub(r"(?<!file)://\S*@", "://", re.sub(r"(://[^\s?#]*)[?#]\S*", r"\1", url))


def _check_address(url: str, shown: str, branch: str | None) -> None:
    if url.startswith("-") or "::" in url or (branch or "").startswith("-"):
        raise GitError(f"{shown}: not a repository address that is allowed; use https, ssh, file or a path.")


def _commit(folder: Path, shown: str, timeout: float, ref: str) -> str | None:
    try:
        return _git(folder, shown, timeout, "rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}").strip() or None
    except GitError:
        return None


def _drop_stale_locks(git_folder: Path) -> None:
    """Remove git's own lock files that a killed command left; our lock says that nobody works here."""
    for name in ("index.lock", "HEAD.lock", "config.lock", "shallow.lock", "packed-refs.lock", f"{_REF}.lock"):
        with contextlib.suppress(FileNotFoundError):
            (git_folder / name).unlink()


def _git(folder: Path, shown: str, timeout: float, *arguments: str) -> str:
    """Run one git command in ``folder`` and return what it printed."""
    settings = [part for setting in _SAFETY for part in ("-c", setting)]
    environment = child_environment(
        GIT_TERMINAL_PROMPT="0",
        GIT_ASKPASS="true",
        SSH_ASKPASS="true",
        GIT_LFS_SKIP_SMUDGE="1",
        GIT_CEILING_DIRECTORIES=str(folder.parent),
        LC_ALL="C",
    )
    environment.setdefault("GIT_SSH_COMMAND", "ssh -o BatchMode=yes")
    try:
        process = subprocess.Popen(
            ["git", *settings, *arguments],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except FileNotFoundError:
        raise GitError(f"{shown}: the program `git` is not installed; install it, or remove the entry.") from None
    with process:
        try:
            output, errors = process.communicate(timeout=timeout)
        except BaseException as error:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            if isinstance(error, subprocess.TimeoutExpired):
                raise GitError(
                    f"{shown}: git {arguments[0]} took longer than {timeout:.0f} s; it is tried again next time."
                ) from None
            raise
    if process.returncode != 0:
        said = redact(" ".join(errors.decode("utf-8", "replace").split()))[-200:]
        raise GitError(
            f"{shown}: git {arguments[0]} failed ({said}); check the address, the branch and your access to it."
        )
    return output.decode("utf-8", "replace")
