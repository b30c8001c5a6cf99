"""Libraries are asked for before they are imported, each once, and what is not there does not matter."""

import os
import sys
from pathlib import Path

import pytest

from resources import readahead
from resources.readahead import LIBRARIES, libraries_ahead


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    found: list[str] = []

    def advise(handle: int, start: int, length: int, advice: int) -> None:
        assert (start, length, advice) == (0, 0, os.POSIX_FADV_WILLNEED)
        found.append(str(Path(f"/proc/self/fd/{handle}").readlink()))

    monkeypatch.setattr(os, "posix_fadvise", advise)
    monkeypatch.delitem(sys.modules, "polars", raising=False)
    return found


def test_every_pattern_finds_a_library(asked: list[str]) -> None:
    reader = libraries_ahead()
    assert reader is not None
    reader.join()
    assert len(set(asked)) == len(asked) >= len(LIBRARIES)
    for pattern in LIBRARIES:
        folder = pattern.split("/")[0].rstrip("*")
        assert any(f"/{folder}" in path for path in asked), pattern


def test_what_is_missing_or_cannot_be_read_is_passed_over(
    asked: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "site-packages"
    (place / "one").mkdir(parents=True)
    (place / "one" / "gone.so").symlink_to(tmp_path / "nowhere")
    (place / "one" / "here.so").write_bytes(b"library")
    monkeypatch.setattr(
        sys, "path", [str(place), str(tmp_path / "site-packages-not"), str(tmp_path / "absent" / "site-packages")]
    )
    readahead._ask(("two/*.so", "one/*.so"))
    assert asked == [str(place / "one" / "here.so")]


def test_nothing_is_asked_where_they_are_imported() -> None:
    import polars  # noqa: F401

    assert libraries_ahead() is None
