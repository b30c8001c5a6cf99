"""Fixtures of the scenarios: a real, empty lake with counted calls."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cortex_assets.engine import fingerprint
from tests.dagster.lake import Lake, count_calls


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sensor's look is never cut short or followed by a pause because the machine is slow; tests of that set it themselves."""
    monkeypatch.setattr("cortex_assets.watching.LONG_SECONDS", float("inf"))
    monkeypatch.setattr("cortex_assets.watching.LOOK_SECONDS", 60.0)


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lake]:
    """An empty lake in a folder of its own, with the hash embedder and no waiting for files to stand still."""
    made = Lake(tmp_path / "lake", monkeypatch.setenv)
    count_calls(made, monkeypatch)
    yield made
    made.stop()
    if fingerprint._memo is not None:  # a sensor remembers in the cache of this lake
        fingerprint.remember_in(None)


@pytest.fixture
def another_lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Lake]]:
    """Makes further lakes; the one made last is the one that commands work on."""

    def make(name: str) -> Lake:
        return Lake(tmp_path / name, monkeypatch.setenv)

    yield make
