"""Full disks and folders that go away in the middle: a clear error, nothing half-written, and the next run puts it right."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from apps.reports import AddOptions
from cortex_assets.corpora.schema import FILES
from cortex_assets.engine import reading
from tests.dagster.contents import contents
from tests.dagster.lake import Lake, note, notes

LIMITED = """
import functools, resource, sys
from apps.cli import main
from cortex_assets import house
house.EdgeStore = functools.partial(house.EdgeStore, flat_points={flat_points})
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
sys.exit(main(["run"]))
"""


def fill(lake: Lake) -> None:
    """Thirty notes, a page and one file that is larger than the smallest limits."""
    lake.drop_all(notes("notes", 30))
    lake.drop("notes/large.md", note(99, 60))
    lake.drop("notes/page.html", "<html><body><h1>Page</h1><p>A heron stood in the shallows.</p></body></html>")


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a lake of ``fill`` holds when nothing goes wrong."""
    with pytest.MonkeyPatch.context() as patch:
        lake = Lake(tmp_path_factory.mktemp("clean") / "lake", patch.setenv)
        fill(lake)
        lake.run()
        return contents(with_vectors=True)


def files_below(folder: Path) -> list[str]:
    """Every file below a folder, and its size."""
    return sorted(f"{path.relative_to(folder)} {path.stat().st_size}" for path in folder.rglob("*") if path.is_file())


def everything(lake: Lake) -> dict[str, list[str]]:
    places = {name: getattr(lake.settings, name) for name in ("lake", "raw", "index")}
    return {name: files_below(place) for name, place in places.items()}


def test_too_little_space_stops_a_run_before_it_writes_anything(lake: Lake, clean: dict[str, Any]) -> None:
    lake.drop("notes/first.md", note(500))
    lake.run()
    before = everything(lake)
    lake.delete("notes/first.md")
    fill(lake)
    lake.set("CORTEX_MIN_FREE", "1000TB")
    ended = lake.cli("run")
    assert ended.returncode == 1
    words = " ".join((ended.stdout + ended.stderr).split())
    assert "must stay free" in words
    assert "CORTEX_MIN_FREE" in words
    assert "Traceback" not in words
    assert everything(lake) == before
    lake.set("CORTEX_MIN_FREE", "0")
    lake.run()
    assert contents(with_vectors=True) == clean


def test_an_empty_lake_is_not_begun_without_space(lake: Lake) -> None:
    fill(lake)
    lake.set("CORTEX_MIN_FREE", "1000TB")
    assert lake.cli("run").returncode == 1
    assert everything(lake) == {"lake": [], "raw": [], "index": []}


@pytest.mark.parametrize(
    ("limit", "flat_points"), [(1_000, 2_000), (4_000, 2_000), (10_000, 2_000), (40_000, 0), (300_000, 0)]
)
def test_a_write_that_fails_ends_the_run_clearly_and_the_next_one_converges(
    lake: Lake, clean: dict[str, Any], limit: int, flat_points: int
) -> None:
    """A limit on the size of files makes real writes fail, in Delta, in the raw store, in SQLite or in the index."""
    fill(lake)
    process = lake.start(LIMITED.format(limit=limit, flat_points=flat_points))
    out, err = process.communicate(timeout=120)
    words = " ".join((out + err).split())
    assert process.returncode == 1, words
    assert "Traceback" not in words, words
    assert "panicked" not in words, words
    report = lake.run()
    assert report.is_clean
    assert contents(with_vectors=True) == clean
    lake.assert_sound()


@pytest.mark.parametrize(
    ("is_replaced", "is_copied"), [(False, True), (True, False)], ids=["gone, copied", "empty in its place, referenced"]
)
def test_a_source_that_goes_away_in_the_middle_deletes_nothing(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, is_replaced: bool, is_copied: bool
) -> None:
    folder, away = lake.root / "disk", lake.root / "away"
    for number in range(30):
        lake.drop(folder / f"note-{number:03d}.md", note(number))
    lake.add(folder, "disk", AddOptions(copies_raw=is_copied))
    lake.run()
    before = lake.image()
    for number in range(30, 60):
        lake.drop(folder / f"note-{number:03d}.md", note(number))
    real, read = reading.read_file, []

    def unplugged(root: bytes, path: bytes, *rest: Any) -> reading.Reading:
        read.append(path)
        if len(read) == 10:
            folder.rename(away)
            if is_replaced:
                folder.mkdir()
        return real(root, path, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(reading, "read_file", unplugged)
        lake.run()
    assert len(read) == 30
    held = set(lake.table(FILES).get_column("path"))
    assert len(held) == 30 + (9 if is_copied else 0), (
        "thirty were there, nine were read in time and are kept where copied"
    )
    report = lake.run()
    assert report.withheld
    assert report.withheld[0].files == len(held)
    assert set(lake.table(FILES).get_column("path")) == held
    assert before.points["disk"].items() <= lake.image().points["disk"].items()
    assert lake.found(note(3))[0] == "note-003.md"
    if is_replaced:
        folder.rmdir()
    away.rename(folder)
    assert not lake.run().withheld
    assert len(lake.table(FILES)) == 60
    lake.assert_sound()


def test_a_temporary_file_of_a_failed_take_is_gone_at_once(
    lake: Lake, clean: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(lake)
    calls: list[int] = []
    real: Callable[..., None] = reading.RawStore._write_temporary

    def full(self: reading.RawStore, content: bytes) -> str:
        from resources.raw_store import StoreWriteError

        calls.append(len(content))
        if len(calls) == 5:
            raise StoreWriteError("the disk is full")
        return real(self, content)

    with monkeypatch.context() as patch:
        patch.setattr(reading.RawStore, "_write_temporary", full)
        assert lake.run().errors == ("notes: the disk is full",)
    assert len(calls) == 5
    assert files_below(lake.settings.raw) == [], "four files had been copied: a full disk needs their space"
    lake.run()
    assert contents(with_vectors=True) == clean
