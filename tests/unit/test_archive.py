"""A backup's folder that somebody else prepared: no link in it is followed, no pipe waited for, no odd manifest believed."""

import json
import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from resources.archive import Archive, damaged
from resources.manifest import BackupError, Manifest, Stored, _sum

SHA = "ab" + "0" * 62


def nothing(*files: Stored) -> Manifest:
    return Manifest("2026-01-01T00:00:00+00:00", 1, ("human",), {}, files)


def _objects(folder: Path, victim: Path) -> None:
    (folder / "objects").symlink_to(victim)


def _part_of_objects(folder: Path, victim: Path) -> None:
    (folder / "objects").mkdir()
    (folder / "objects" / "ab").symlink_to(victim / "ab")


def _manifest(folder: Path, victim: Path) -> None:
    (folder / "objects").mkdir()
    (folder / "manifest.json.new").symlink_to(victim / "ab" / SHA)


def _lock(folder: Path, victim: Path) -> None:
    (folder / "objects").mkdir()
    (folder / "lock").symlink_to(victim / "made")


@pytest.mark.parametrize("plant", [_objects, _part_of_objects, _manifest, _lock])
def test_links_in_the_folder_lead_nowhere(tmp_path: Path, plant: Callable[[Path, Path], None]) -> None:
    victim, folder = tmp_path / "victim", tmp_path / "backup"
    (victim / "ab").mkdir(parents=True)
    (victim / "ab" / SHA).write_text("precious", encoding="ascii")
    folder.mkdir()
    plant(folder, victim)
    archive = Archive(folder)
    with pytest.raises(BackupError, match="is a link"), archive.writing():
        archive.seal(nothing())
    assert (victim / "ab" / SHA).read_text(encoding="ascii") == "precious"
    assert not (victim / "made").exists()


def test_only_objects_are_removed(tmp_path: Path) -> None:
    folder = tmp_path / "objects" / "ab"
    folder.mkdir(parents=True)
    for name in (SHA, "notes.md", "cd" + SHA[2:]):
        (folder / name).write_text("x", encoding="ascii")
    archive = Archive(tmp_path)
    with archive.writing():
        archive.seal(nothing())
    assert sorted(path.name for path in folder.iterdir()) == ["cd" + SHA[2:], "notes.md"]


def test_no_pipe_is_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "manifest.json")
    archive = Archive(tmp_path)
    with pytest.raises(BackupError, match="no ordinary file"):
        archive.read()
    (tmp_path / "objects" / "ab").mkdir(parents=True)
    os.mkfifo(archive.object(SHA))
    stored = Stored("sources.yaml", 0, SHA, 0)
    assert damaged(archive, [stored], lambda size: None) == ["sources.yaml"]
    with pytest.raises(BackupError, match="no ordinary file"):
        archive.fetch(stored, tmp_path / "out")


STORED = {"path": "sources.yaml", "size": 1, "sha256": SHA, "mtime_ns": 1}


@pytest.mark.parametrize(
    "changed",
    [
        {"files": 5},
        {"files": [STORED | {"path": 1}]},
        {"files": [STORED | {"size": "1"}]},
        {"files": [STORED | {"size": -1}]},
        {"files": [STORED | {"mtime_ns": 10**30}]},
        {"files": [STORED | {"sha256": 7}]},
        {"files": [STORED | {"more": 7}]},
        {"tables": [1]},
        {"tables": {"human/corpora": {"version": True, "rows": 1}}},
        {"lake_format": "1"},
        {"made_at": 5},
        {"more": 5},
    ],
)
def test_a_manifest_with_a_sum_of_its_own_is_not_believed(tmp_path: Path, changed: dict[str, Any]) -> None:
    values = json.loads(json.dumps(asdict(nothing()) | changed))
    place = tmp_path / "manifest.json"
    place.write_text(json.dumps(values | {"sum": _sum(values)}), encoding="ascii")
    with pytest.raises(BackupError, match=r"manifest\.json .*take another backup"):
        Archive(tmp_path).read()


def test_a_manifest_nested_without_end_is_none(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_bytes(b"[" * 200_000)
    with pytest.raises(BackupError, match="is no manifest"):
        Archive(tmp_path).read()
