"""Maintenance keeps the lake small, says what it would do, and lets runs in between."""

import os
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from apps import actions
from cortex_assets.corpora.schema import SCANS
from cortex_assets.documents.schema import DOCUMENTS
from cortex_assets.engine import care
from cortex_assets.engine.ages import AGED, remove_aged
from cortex_assets.engine.care import Turns
from cortex_assets.engine.lease import LeaseBusy, shard_lease
from cortex_assets.ops.schema import CHECKS, QUARANTINED_ROWS, RUNS, SECRET_COUNTS, SNAPSHOTS
from tests.dagster.contents import contents
from tests.dagster.lake import NO_WORK, Lake, note, notes

DAY = timedelta(days=1)


def logs(lake: Lake) -> int:
    return sum(1 for path in lake.settings.lake.rglob("_delta_log/*") if path.is_file())


def weigh(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def everything(lake: Lake) -> dict[str, tuple[int, int]]:
    data = lake.settings.data_dir
    return {str(p.relative_to(data)): (p.stat().st_size, p.stat().st_mtime_ns) for p in data.rglob("*") if p.is_file()}


@pytest.fixture
def edited(lake: Lake) -> Lake:
    """A lake after some edits."""
    lake.drop_all(notes("notes", 5))
    lake.run()
    for number in range(6):
        lake.drop("notes/note-000.md", note(50 + number))
        lake.run()
    return lake


def test_old_versions_and_their_log_go_and_what_is_there_stays(edited: Lake) -> None:
    edited.set("CORTEX_RETENTION", "0")
    before, size, commits = contents(with_vectors=True), weigh(edited.settings.lake), logs(edited)
    stray = edited.settings.lake / DOCUMENTS.name / "shard=notes" / "part-stray.parquet"
    young = stray.with_name("part-young.parquet")
    stray.write_bytes(b"x" * 10_000)
    young.write_bytes(b"y")
    os.utime(stray, (1.0, 1.0))
    would = actions.maintain(is_dry_run=True)
    assert would.is_dry_run and stray.exists()
    foreseen = {table.name: table.files_before - table.files_after for table in would.tables}
    assert foreseen[DOCUMENTS.name] >= 6
    done = actions.maintain()
    assert not stray.exists() and young.exists(), "what no version names goes after a day"
    assert sum(table.bytes_freed for table in done.tables) > 0 and 0 < done.longest_hold < 30
    assert weigh(edited.settings.lake) < 0.7 * size and logs(edited) < commits / 2
    assert contents(with_vectors=True) == before
    assert edited.run_counted()[1] == NO_WORK
    actions.maintain()  # compacts the row that the run left about the merged index
    versions, size = edited.image().versions, weigh(edited.settings.lake)
    actions.maintain()
    assert edited.image().versions == versions, "another one finds nothing to do"
    assert weigh(edited.settings.lake) <= size
    edited.drop("notes/note-001.md", note(90))
    edited.run()
    edited.assert_sound()


def test_a_dry_run_writes_nothing(edited: Lake) -> None:
    edited.set("CORTEX_RETENTION", "0")
    edited.set("CORTEX_HISTORY", "0")
    before = everything(edited)
    report = actions.maintain(is_dry_run=True)
    assert any(table.rows for table in report.tables) and report.longest_hold == 0
    after = everything(edited)
    assert {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)} <= {
        "cache/state.sqlite",
        "cache/state.sqlite-journal",
    }


def test_rows_about_the_past_go_by_their_age(edited: Lake) -> None:
    now = datetime.now(UTC)
    old, column = now - 500 * DAY, {RUNS: "started_at", CHECKS: "checked_at", SCANS: "started_at"}
    edited.assert_sound()
    counts = {table.name: edited.table(table).height for table in AGED}
    with edited.house() as house:
        for table, name in column.items():
            rows = (
                house.lake.scan(table).head(2).collect().with_columns(pl.lit(old).dt.cast_time_unit("us").alias(name))
            )
            if table is SCANS:
                rows = rows.with_columns(scan_id=pl.format("old-{}", pl.int_range(pl.len())))
            house.lake.append(table, rows)
        published = (
            house.lake.scan(SNAPSHOTS).head(1).collect().with_columns(published_at=pl.lit(old).dt.cast_time_unit("us"))
        )
        house.lake.append(SNAPSHOTS, published)
        gone = {table.name: remove_aged(house.lake, table, 400 * DAY, 7 * DAY, now) for table in AGED}
        assert {table.name: gone[table.name] for table in column} == {RUNS.name: 2, CHECKS.name: 2, SCANS.name: 2}
        assert gone[SNAPSHOTS.name] == 1 and gone[SECRET_COUNTS.name] == gone[QUARANTINED_ROWS.name] == 0
        again = {table.name: remove_aged(house.lake, table, 400 * DAY, 7 * DAY, now) for table in AGED}
        assert set(again.values()) == {0}
    assert {table.name: edited.table(table).height for table in AGED} == counts
    edited.set("CORTEX_HISTORY", "0")
    actions.maintain()
    assert edited.table(RUNS).is_empty() and edited.table(CHECKS).is_empty()
    assert edited.table(SCANS).height == 1, "the last scan of a corpus is what status shows"
    assert edited.run_counted()[1] == NO_WORK
    edited.assert_sound()


def test_maintenance_waits_for_its_turn(edited: Lake) -> None:
    locks = edited.settings.locks
    with shard_lease(locks, "notes"), pytest.raises(LeaseBusy, match="the lake is leased by"):
        actions.maintain()
    begin = time.monotonic()
    with shard_lease(locks, "notes"), pytest.raises(LeaseBusy):
        actions.maintain(wait_seconds=0.3)
    assert time.monotonic() - begin >= 0.3
    holding, over = threading.Event(), threading.Event()

    def hold() -> None:
        with shard_lease(locks, "notes"):
            holding.set()
            over.wait(1.0)

    run = threading.Thread(target=hold)
    run.start()
    holding.wait()
    report = actions.maintain(wait_seconds=60)
    run.join()
    assert not report.busy and report.tables


def test_a_step_that_meets_a_run_is_left_out_and_named(edited: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    work = care.Lakehouse.optimize

    def optimize(self: care.Lakehouse, table: care.TableSpec) -> dict[str, object]:
        if table is not DOCUMENTS:
            return work(self, table)
        with shard_lease(edited.settings.locks, "notes"):
            return work(self, table)

    monkeypatch.setattr(care.Lakehouse, "optimize", optimize)
    report = actions.maintain()
    (busy,) = report.busy
    assert busy.startswith("bronze/documents: ")
    assert "silver/chunks" in {table.name for table in report.tables}


RUNNING = """
import time
from apps import actions
from tests.dagster.lake import note
import pathlib, os
inbox = pathlib.Path({inbox!r})
end, done, busy = time.monotonic() + 6, 0, 0
number = 0
while time.monotonic() < end:
    number += 1
    path = inbox / "notes" / "note-001.md"
    path.write_text(note(1000 + number))
    os.utime(path, (1e9 + number, 1e9 + number))
    while actions.run().busy:
        busy += 1
        time.sleep(0.01)
    done += 1
print(done, busy)
"""


@pytest.mark.slow
def test_runs_get_in_between(edited: Lake) -> None:
    """A run that asks again until it is let in is let in, while maintenance follows maintenance."""
    process = edited.start(RUNNING.format(inbox=str(edited.inbox)))
    rounds = steps = 0
    while process.poll() is None:
        report = actions.maintain(wait_seconds=5)
        rounds, steps = rounds + 1, steps + len(report.tables)
    out, err = process.communicate()
    assert process.returncode == 0, err
    done, _ = map(int, out.split())
    assert done >= 3 and rounds >= 2 and steps > 20, (done, rounds)
    edited.run()
    edited.assert_sound()


def test_turns_measure_the_longest_hold(tmp_path: Path) -> None:
    turns = Turns(tmp_path, 0)
    for seconds in (0.0, 0.05, 0.0):
        with turns.lease():
            time.sleep(seconds)
    assert 0.05 <= turns.longest < 1


@pytest.mark.slow
def test_the_disk_that_edits_take_is_bounded(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty-four rounds of edit, run and maintain with nothing retained: no more bytes at the end than after twelve.

    ``python -m tests.bench.plateau`` does three hundred and prints what lies where.
    """
    lake.set("CORTEX_RETENTION", "0")
    lake.set("CORTEX_HISTORY", "0")
    lake.set("CORTEX_SWEEP_AGE", "0")
    lake.drop_all(notes("notes", 5))
    sizes = []
    for number in range(24):
        lake.drop("notes/note-000.md", note(100 + number))
        lake.run()
        actions.maintain()
        sizes.append(weigh(lake.settings.data_dir))
    assert max(sizes[16:]) <= 1.1 * max(sizes[4:12]), sizes
    lake.assert_sound()
