"""One corpus that cannot be run holds up no other, and an unreachable repository is read as it was last fetched."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from cortex_assets.corpora.registry import Registered
from cortex_assets.moving import Moving
from resources.lakehouse import LakeError
from tests.dagster.lake import Lake, notes


def git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "init.defaultBranch=main"]
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def repository(lake: Lake) -> Path:
    folder = lake.root / "upstream"
    lake.drop(folder / "guide.md", "# Guide\n\nThe zanzibar chronometer is wound at dawn.\n")
    git(folder, "init", "-q", ".")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "first")
    sources = f"corpora:\n  - {{name: a-code, git: 'file://{folder}'}}\n"
    lake.settings.sources_file.write_text(sources)
    return folder


def test_an_unreachable_repository_stops_no_other_corpus(lake: Lake, repository: Path) -> None:
    lake.drop_all(notes("notes", 2))
    repository.rename(repository.with_name("gone"))
    report = lake.run()
    assert [error.partition(":")[0] for error in report.errors] == ["a-code"]
    assert not report.is_clean
    assert lake.found("note")
    assert lake.cli("run").returncode == 1


def test_offline_the_last_checkout_is_read(lake: Lake, repository: Path) -> None:
    lake.run()
    repository.rename(repository.with_name("gone"))
    lake.drop_all(notes("notes", 2))
    report = lake.run()
    assert report.errors == ()
    assert any("commit" in note and "is what is read" in note for note in report.notes)
    assert lake.found("zanzibar chronometer")[0] == "guide.md"
    (checkout,) = (lake.settings.cache / "git").glob("*/guide.md")
    checkout.unlink()
    assert [error.partition(":")[0] for error in lake.run().errors] == ["a-code"], "half a checkout is not read"
    assert lake.found("zanzibar chronometer")[0] == "guide.md"


def test_an_error_in_one_shard_stops_no_other(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    lake.drop_all(notes("bad", 1))
    lake.drop_all(notes("notes", 2))
    real = Moving.follow

    def follow(self: Moving, corpus: Registered, *given: Any) -> list[str]:
        if corpus.name == "bad":
            raise LakeError("table is torn")
        return real(self, corpus, *given)

    monkeypatch.setattr(Moving, "follow", follow)
    report = lake.run()
    assert report.errors == ("bad: table is torn",)
    assert {line.corpus for line in report.stages} == {"notes"}
