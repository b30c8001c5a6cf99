"""Which files of a log a version needs, and which checkpoints may go."""

from pathlib import Path

import polars as pl
import pytest
from deltalake import DeltaTable, write_deltalake

from resources import delta_log
from resources.delta_log import LOG, LogGap, has_checkpoint, log_files, spare_checkpoints


def table(folder: Path, commits: int, interval: int) -> Path:
    """A table of one row a commit."""
    configuration = {"delta.checkpointInterval": str(interval)}
    for number in range(commits):
        write_deltalake(folder, pl.DataFrame({"x": [number]}), mode="append", configuration=configuration)
    return folder


def copied(folder: Path, target: Path, version: int) -> DeltaTable:
    """The table with only the files that ``log_files`` names, and its data."""
    (target / LOG).mkdir(parents=True)
    for path in log_files(folder, version):
        (target / LOG / path.name).write_bytes(path.read_bytes())
    for uri in DeltaTable(folder, version=version).file_uris():
        (target / Path(uri).name).write_bytes(Path(uri).read_bytes())
    return DeltaTable(target)


@pytest.mark.parametrize("version", [0, 3, 4, 5, 9, 10, 11])
def test_a_version_is_read_from_the_files_named_for_it(tmp_path: Path, version: int) -> None:
    folder = table(tmp_path / "t", 12, 5)
    copy = copied(folder, tmp_path / "copy", version)
    assert copy.version() == version
    assert sorted(pl.read_delta(copy)["x"]) == list(range(version + 1))
    assert len(log_files(folder, version)) <= 7


def test_a_missing_commit_is_told(tmp_path: Path) -> None:
    folder = table(tmp_path / "t", 4, 100)
    (folder / LOG / f"{2:020d}.json").unlink()
    with pytest.raises(LogGap, match="version 2"):
        log_files(folder, 3)
    assert log_files(folder, 1)


def test_spare_checkpoints_go_and_every_version_stays_readable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = table(tmp_path / "t", 31, 3)
    before = [path.name for path in (folder / LOG).glob("*.checkpoint.parquet")]
    monkeypatch.setattr(delta_log, "SPACING", 9)
    spare = spare_checkpoints(folder)
    assert 0 < len(spare) < len(before) - 2
    assert has_checkpoint(folder, DeltaTable(folder).version()) == any("000030." in name for name in before)
    for path in spare:
        path.unlink()
    assert spare_checkpoints(folder) == []
    for version in range(31):
        assert DeltaTable(folder, version=version).count() == version + 1


def test_a_checkpoint_that_stands_for_commits_that_are_gone_stays(tmp_path: Path) -> None:
    folder = table(tmp_path / "t", 13, 3)
    first, *_, last = sorted(path.name[:20] for path in (folder / LOG).glob("*.checkpoint.parquet"))
    middle = int(first) + 3
    (folder / LOG / f"{middle - 1:020d}.json").unlink()
    names = {path.name[:20] for path in spare_checkpoints(folder)}
    assert f"{middle:020d}" not in names and first not in names and last not in names
    assert DeltaTable(folder, version=middle).count() == middle + 1


def test_a_folder_without_a_log(tmp_path: Path) -> None:
    assert spare_checkpoints(tmp_path) == []
