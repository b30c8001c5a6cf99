"""Fetching repositories: real ones in tmp_path, over the file transport."""

import os
import subprocess
import time
from pathlib import Path

import pytest

from resources.git_source import GitError, fetch_repository, fetched_commit, redact, remote_head


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "init.defaultBranch=main"]
    command = ["git", *identity, *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def upstream(tmp_path: Path) -> Path:
    folder = tmp_path / "upstream"
    folder.mkdir()
    git(folder, "init", "-q", ".")
    (folder / "a.md").write_text("one")
    (folder / "b.md").write_text("two")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "first")
    return folder


def test_a_repository_is_fetched_and_follows(upstream: Path, tmp_path: Path) -> None:
    url, place = f"file://{upstream}", tmp_path / "cache" / "git" / "id"
    first = fetch_repository(url, place)
    assert first.commit == git(upstream, "rev-parse", "HEAD")
    assert first.is_moved
    assert not fetch_repository(url, place).is_moved
    (upstream / "b.md").unlink()
    (upstream / "a.md").write_text("changed")
    git(upstream, "add", "-A")
    git(upstream, "commit", "-q", "--amend", "-m", "rewritten")
    (place / "stray.md").write_text("left over")
    (place / ".git" / "index.lock").touch()
    second = fetch_repository(url, place)
    assert second.is_moved
    assert sorted(path.name for path in place.iterdir()) == [".git", "a.md"]
    assert (place / "a.md").read_text() == "changed"


def test_a_branch(upstream: Path, tmp_path: Path) -> None:
    git(upstream, "checkout", "-q", "-b", "other")
    (upstream / "c.md").write_text("three")
    git(upstream, "add", "-A")
    git(upstream, "commit", "-qm", "other")
    git(upstream, "checkout", "-q", "main")
    fetch_repository(str(upstream), tmp_path / "g", branch="other")
    assert (tmp_path / "g" / "c.md").exists()
    with pytest.raises(GitError, match="fetch failed"):
        fetch_repository(str(upstream), tmp_path / "g", branch="none")
    assert (tmp_path / "g" / "c.md").exists()


def test_nothing_of_the_repository_is_run(upstream: Path, tmp_path: Path) -> None:
    place = tmp_path / "g"
    fetch_repository(f"file://{upstream}", place)
    hook = place / ".git" / "hooks" / "post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    hook.chmod(0o755)
    (upstream / "a.md").write_text("more")
    git(upstream, "commit", "-qam", "second")
    fetch_repository(f"file://{upstream}", place)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("url", ["ext::sh -c touch% /tmp/x", "--upload-pack=id", "http://127.0.0.1:9/x.git"])
def test_other_transports_are_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(GitError):
        fetch_repository(url, tmp_path / "g", timeout=20)


def test_errors_show_no_password(tmp_path: Path) -> None:
    assert redact("https://ada:secret@h/x.git") == "https://h/x.git"
    with pytest.raises(GitError) as caught:
        fetch_repository("https://ada:secret@127.0.0.1:9/x.git", tmp_path / "g", timeout=20)
    assert "secret" not in str(caught.value)
    assert "check the address" in str(caught.value)


def test_a_command_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "bin" / "git"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\nsleep 60\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    with pytest.raises(GitError, match="took longer than"):
        fetch_repository("https://example.org/x.git", tmp_path / "g", timeout=0.3)


@pytest.mark.parametrize(
    "address",
    [
        "https://ada:s3cret@h/x.git",
        "https://s3cret@h/x.git",
        "https://ada:p@s3cret@h/x.git",
        "https://ada:p/s3cret@h/x.git",
        "https://h/x.git?private_token=s3cret",
        "ssh://ada:s3cret@h/x.git",
    ],
)
def test_no_form_of_an_address_shows_its_secret(address: str) -> None:
    assert "s3cret" not in redact(f"fatal: '{address}': no access")
    assert "h/x.git" in redact(address)


# -- where a remote is at ----------------------------------------------------------------------------------------------


def test_the_head_of_a_remote_is_asked_without_fetching(upstream: Path, tmp_path: Path) -> None:
    bare, place = tmp_path / "bare.git", tmp_path / "cache" / "git" / "id"
    git(tmp_path, "clone", "-q", "--bare", str(upstream), str(bare))
    git(bare, "branch", "other", "HEAD")
    assert fetched_commit(place) is None
    first = git(upstream, "rev-parse", "HEAD")
    assert remote_head(f"file://{bare}", place) == remote_head(str(bare), place, "other") == first
    assert not place.exists()
    assert fetch_repository(f"file://{bare}", place).commit == fetched_commit(place) == first
    (upstream / "a.md").write_text("changed")
    git(upstream, "commit", "-qam", "second")
    git(upstream, "push", "-q", str(bare), "HEAD:refs/heads/other")
    assert remote_head(f"file://{bare}", place) == first
    assert remote_head(f"file://{bare}", place, "other") == git(upstream, "rev-parse", "HEAD") != fetched_commit(place)


@pytest.mark.parametrize("branch", [None, "missing"])
def test_a_remote_without_such_a_head_is_an_error(tmp_path: Path, branch: str | None) -> None:
    git(tmp_path, "init", "-q", "--bare", "empty.git")
    with pytest.raises(GitError, match="has no commit"):
        remote_head(f"file://{tmp_path}/empty.git", tmp_path / "cache" / "id", branch)


def test_a_remote_that_is_not_there_or_not_allowed_is_an_error(tmp_path: Path) -> None:
    for url in (f"file://{tmp_path}/none.git", "ext::sh -c true", "--upload-pack=true"):
        with pytest.raises(GitError):
            remote_head(url, tmp_path / "cache" / "id")


def test_a_remote_that_hangs_is_left_after_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_SSH_COMMAND", "sleep 60 #")
    begin = time.monotonic()
    with pytest.raises(GitError, match="took longer"):
        remote_head("ssh://example.invalid/a.git", tmp_path / "cache" / "id", timeout=0.5)
    assert time.monotonic() - begin < 5
