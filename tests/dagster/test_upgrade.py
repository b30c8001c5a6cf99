"""Formats of the lake: new ones have the current, older ones are migrated with a way back, newer ones are refused."""

import json
import shutil
import signal
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from apps import actions, resting
from cortex_assets.engine import formats
from cortex_assets.engine.formats import CURRENT, FIRST, NewerLake, OlderLake, format_of
from cortex_assets.engine.lease import LeaseBusy, shard_lease
from cortex_assets.engine.migrations import MIGRATIONS
from cortex_assets.ops.schema import LAKE
from tests.dagster.contents import contents
from tests.dagster.lake import NO_WORK, Lake, notes
from tests.dagster.test_older_lakes import without_later_columns


def make_older(lake: Lake) -> None:
    """The lake as a Cortex left it that knew no formats: documents lack columns, and tables their log settings."""
    without_later_columns(lake)
    shutil.rmtree(lake.settings.lake / LAKE.name)


@pytest.fixture
def older(lake: Lake) -> Lake:
    """A lake of format 1."""
    lake.drop_all(notes("notes", 6))
    lake.run()
    make_older(lake)
    return lake


def columns(lake: Lake) -> set[str]:
    from cortex_assets.documents.schema import DOCUMENTS

    with lake.house() as house:
        return {field.name for field in house.lake.open(DOCUMENTS).schema().fields}


def test_the_list_ends_with_the_current_format() -> None:
    assert [migration.reaches for migration in MIGRATIONS] == list(range(FIRST + 1, CURRENT + 1))
    assert LAKE.name == formats._TABLE


def test_a_new_lake_has_the_current_format(lake: Lake) -> None:
    assert format_of(lake.settings) == CURRENT
    lake.drop_all(notes("notes", 2))
    lake.run()
    row = lake.table(LAKE).row(0, named=True)
    assert (row["format_version"], row["snapshot"]) == (CURRENT, None)
    assert format_of(lake.settings) == CURRENT
    assert actions.upgrade().steps == ()
    assert lake.table(LAKE).height == 1


def test_an_older_lake_is_worked_on_and_upgraded(older: Lake) -> None:
    assert format_of(older.settings) == FIRST
    assert older.found("old harbour")
    assert older.run_counted()[1] == NO_WORK
    before = contents(with_vectors=True)
    would = actions.upgrade(is_dry_run=True)
    assert would.is_dry_run and len(would.steps) == CURRENT - FIRST and would.snapshot is None
    assert format_of(older.settings) == FIRST and "findings" not in columns(older)
    done = actions.upgrade()
    assert (done.before, done.after, len(done.steps)) == (FIRST, CURRENT, CURRENT - FIRST)
    assert done.snapshot is not None and done.snapshot.is_dir()
    assert format_of(older.settings) == CURRENT and "findings" in columns(older)
    with older.house() as house:
        for name in ("bronze/documents", "silver/chunks"):
            folder = Path(house.lake.root) / name
            assert "logRetentionDuration" in "".join(path.read_text() for path in folder.glob("_delta_log/*.json"))
    assert contents(with_vectors=True) == before
    assert older.run_counted()[1] == NO_WORK
    assert actions.upgrade().steps == ()
    assert older.plan().lines and not older.run().errors


def test_the_way_back(older: Lake) -> None:
    before = contents(with_vectors=True)
    snapshot = actions.upgrade().snapshot
    assert snapshot is not None
    linked = [path for path in snapshot.rglob("*") if path.is_file() and path.stat().st_nlink > 1]
    assert len(linked) >= 10
    actions.restore(str(snapshot), is_replacing=True)
    assert format_of(older.settings) == FIRST and "findings" not in columns(older)
    older.run()
    assert contents(with_vectors=True) == before
    again = actions.upgrade()
    assert again.snapshot is not None and format_of(older.settings) == CURRENT
    assert contents(with_vectors=True) == before


def test_a_newer_lake_is_refused_by_every_command(lake: Lake) -> None:
    lake.drop_all(notes("notes", 2))
    lake.run()
    with lake.house() as house:
        row = {"format_version": 99, "reached_at": datetime.now(UTC), "snapshot": None}
        house.lake.append(LAKE, pl.DataFrame([row], schema=LAKE.dtypes))
    before = {path: path.stat().st_mtime_ns for path in lake.settings.lake.rglob("*")}
    for words in (
        ["run"],
        ["plan"],
        ["search", "harbour"],
        ["status"],
        ["explain", "notes/note-000.md"],
        ["verify"],
        ["retry"],
        ["remove", "notes", "--yes"],
        ["maintain"],
        ["backup", str(lake.root / "backup")],
        ["upgrade"],
        ["upgrade", "--dry-run"],
        ["models", "list"],
    ):
        refused = lake.cli(*words)
        said = " ".join(refused.stderr.split())
        assert refused.returncode == 1, (words, refused.stdout)
        assert "format 99" in said and "newer Cortex" in said and str(lake.settings.lake) in said, (words, said)
    assert {path: path.stat().st_mtime_ns for path in lake.settings.lake.rglob("*")} == before
    assert not (lake.root / "backup").exists()


def test_a_lake_that_has_to_be_migrated_first_says_so(older: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "OLDEST", 2)
    with pytest.raises(OlderLake, match="cortex upgrade"):
        older.run()
    actions.upgrade()
    assert older.run_counted()[1] == NO_WORK


def test_an_upgrade_waits_for_no_run_and_disturbs_none(older: Lake) -> None:
    with shard_lease(older.settings.locks, "notes"), pytest.raises(LeaseBusy):
        actions.upgrade()
    assert format_of(older.settings) == FIRST


def test_the_note_is_only_a_cache(lake: Lake) -> None:
    lake.drop_all(notes("notes", 2))
    lake.run()
    assert format_of(lake.settings) == CURRENT
    note = lake.settings.cache / "format.json"
    for content in ("", "[]", '{"format": 99}', json.dumps({"format": 99, "stamp": ["x", 1, 2]})):
        note.write_text(content)
        assert format_of(lake.settings) == CURRENT
    note.unlink()
    assert format_of(lake.settings) == CURRENT
    with lake.house() as house:
        formats.record(house.lake, 99, datetime.now(UTC))
    with pytest.raises(NewerLake):
        lake.run()


def test_a_run_at_rest_opens_no_table(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    lake.drop_all(notes("notes", 2))
    lake.run()
    lake.run()
    monkeypatch.setattr(formats, "format_of", lambda settings: pytest.fail("the short way asks nobody"))
    with resting.looked(lake.settings) as nothing_to_do:
        assert nothing_to_do is not None
    monkeypatch.undo()


DYING = """
import os, signal
from apps import actions
from resources.lakehouse import Lakehouse
from resources import archive
from cortex_assets.engine import migrations, formats
left = {at}
def around(owner, name):
    real = getattr(owner, name)
    def wrapped(*args, **named):
        global left
        for _ in (1, 2):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            if _ == 1:
                result = real(*args, **named)
        return result
    setattr(owner, name, wrapped)
around(Lakehouse, "bring_up"), around(archive.Archive, "seal"), around(migrations, "record"), around(migrations, "fsync")
actions.upgrade()
print(1000000 - left)
"""


@pytest.mark.slow
def test_killed_at_any_point_an_upgrade_goes_on_with_the_snapshot_of_before(older: Lake) -> None:
    before = contents(with_vectors=True)
    saved = older.root / "saved"
    shutil.copytree(older.settings.data_dir, saved)
    count = int(older.fresh(DYING.format(at=1_000_000)))
    for at in sorted({1, 2, 3, 4, 5, count // 2, count - 3, count - 1, count}):
        shutil.rmtree(older.settings.data_dir)
        shutil.copytree(saved, older.settings.data_dir)
        process = older.start(DYING.format(at=at))
        process.communicate(timeout=120)
        assert process.returncode == -signal.SIGKILL
        assert older.run_counted()[1]["embedded"] == 0
        done = actions.upgrade()
        assert format_of(older.settings) == CURRENT
        assert not (older.settings.data_dir / "snapshots" / formats.PENDING).exists()
        names = sorted(path.name for path in (older.settings.data_dir / "snapshots").iterdir())
        assert done.snapshot is None or done.snapshot.name in names
        assert contents(with_vectors=True) == before
        snapshot = older.settings.data_dir / "snapshots" / str(older.table(LAKE)["snapshot"][0])
        actions.restore(str(snapshot), is_replacing=True)
        assert format_of(older.settings) == FIRST and "findings" not in columns(older)
