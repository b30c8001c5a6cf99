"""Alerts over a real lake: each check is seen to fire and to clear, and what begins or ends is told once."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import polars as pl
import pytest

from apps import actions, reader
from cortex_assets.checking import quick_check
from cortex_assets.definitions import build_defs, chain_lineage
from cortex_assets.documents.schema import DOCUMENTS
from cortex_assets.engine import alerting
from cortex_assets.engine.changes import note_pending
from cortex_assets.engine.live import INTERRUPTED, LiveRun
from cortex_assets.engine.runs import record_endings
from cortex_assets.ops.alerts import ALERTS, ERROR, WARNING, Alert
from cortex_assets.ops.schema import CHECKS, RUNS
from cortex_assets.watching import Watching
from resources.webhooks import Message, drain, enqueue
from tests.dagster.lake import Lake, note, notes
from tests.unit.test_webhooks import hook

NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)


def firing(lake: Lake, now: datetime | None = None) -> dict[str, Alert]:
    """Alerts by key."""
    with lake.house() as house:
        return {alert.key: alert for alert in house.alerts(now or datetime.now(UTC))}


def append_runs(lake: Lake, *rows: dict[str, Any]) -> None:
    """Rows of ``ops/runs`` of corpus notes; a row says what is unlike a good one."""
    with lake.house() as house:
        (corpus,) = [c for c in house.register.corpora() if c.name == "notes"]
        counts = {name: 0 for name in RUNS.dtypes if name.endswith("_count")}
        good = {"shard": "notes", "corpus_id": corpus.corpus_id, "stage": "files", "trigger": "dagster", "seconds": 1.0}
        good |= counts | {"status": "ok", "reason": None, "rows_written": 0}
        made = [good | {"run_id": f"r{n:03d}"} | row for n, row in enumerate(rows)]
        house.lake.append(RUNS, pl.DataFrame(made, schema=RUNS.dtypes))


@pytest.fixture
def filled(lake: Lake) -> Lake:
    lake.drop_all(notes("notes", 3))
    lake.run()
    return lake


def test_a_healthy_lake_has_nothing_to_tell(filled: Lake) -> None:
    assert firing(filled) == {}
    assert reader.alerts().alerts == ()


# -- growth ------------------------------------------------------------------------------------------------------------


def test_runs_that_end_badly_three_times_fire_and_one_that_ends_well_clears(filled: Lake) -> None:
    def ended_badly(number: int) -> None:
        with filled.house() as house:
            (corpus,) = [c for c in house.register.corpora() if c.name == "notes"]
            at = datetime.now(UTC).timestamp()
            run = LiveRun(
                f"bad-{number}", "notes", corpus.corpus_id, "dagster", 1, "here", at, at, INTERRUPTED, stage="chunks"
            )
            record_endings(house.lake, [run])

    for number in range(2):
        ended_badly(number)
    assert firing(filled) == {}
    ended_badly(3)
    alert = firing(filled)["growth:notes"]
    assert (alert.severity, "last 3 runs" in alert.detail, "stopped in stage chunks" in alert.detail) == (
        ERROR,
        True,
        True,
    )
    filled.drop("notes/new.md", note(9))
    filled.run()
    assert firing(filled) == {}


def test_a_source_that_differs_for_hours_fires_until_it_is_run(filled: Lake) -> None:
    filled.drop("notes/new.md", note(9))
    long_ago = datetime.now(UTC) - timedelta(hours=8)
    with filled.house() as house:
        tokens = house.differing(10.0)
        note_pending(house.state, {"notes": ""}, 0.0)
        note_pending(house.state, tokens, long_ago.timestamp())
    # The run that filled the lake wrote something a moment ago: hours must pass since.
    assert firing(filled) == {}
    later = datetime.now(UTC) + timedelta(hours=7)
    alert = firing(filled, later)["growth:notes"]
    assert "has differed for 15 hours, and no run wrote anything for 7 hours" in alert.detail
    filled.run()
    with filled.house() as house:
        house.differing(10.0)
    assert firing(filled, datetime.now(UTC) + timedelta(hours=7)) == {}


def test_what_differs_and_is_written_all_the_time_is_no_stall(filled: Lake) -> None:
    with filled.house() as house:
        note_pending(house.state, {"notes": "files 1"}, (NOW - 2 * DAY).timestamp())
    append_runs(filled, {"started_at": NOW - timedelta(hours=1), "rows_written": 3})
    assert "growth:notes" not in firing(filled, NOW)


def test_a_corpus_that_grew_every_day_and_stopped_fires_and_clears(filled: Lake) -> None:
    begin = datetime.now(UTC) + 40 * DAY
    append_runs(filled, *({"started_at": begin + n * DAY, "new_count": 2, "rows_written": 2} for n in range(14)))
    assert "growth:notes" not in firing(filled, begin + 16 * DAY)
    alert = firing(filled, begin + 18 * DAY)["growth:notes"]
    assert (alert.severity, "nothing new for 5 days" in alert.detail) == (WARNING, True)
    append_runs(filled, {"started_at": begin + 18 * DAY, "new_count": 1, "rows_written": 1, "run_id": "again"})
    assert "growth:notes" not in firing(filled, begin + 18 * DAY + timedelta(hours=1))


def test_a_corpus_without_a_pace_or_that_is_paused_is_left_alone(filled: Lake) -> None:
    begin = datetime.now(UTC) + 40 * DAY
    append_runs(filled, *({"started_at": begin + n * DAY, "new_count": 2} for n in (0, 1, 2)))
    assert "growth:notes" not in firing(filled, begin + 20 * DAY)
    append_runs(filled, *({"started_at": begin + n * DAY, "new_count": 2, "run_id": f"m{n}"} for n in range(14)))
    assert "growth:notes" in firing(filled, begin + 20 * DAY)
    filled.delete("notes")
    with filled.house() as house:
        house.sync_registry()
    assert firing(filled, begin + 20 * DAY) == {}


# -- failures ----------------------------------------------------------------------------------------------------------


def test_too_many_failed_files_fire_and_repaired_ones_clear(filled: Lake) -> None:
    for number in range(5):
        filled.drop(f"notes/bad-{number}.pdf", b"%PDF-1.7 nothing else")
    filled.run()
    alert = firing(filled)["failures:notes"]
    assert "5 of 8 files failed (62%)" in alert.detail
    for number in range(5):
        filled.drop(f"notes/bad-{number}.pdf", note(20 + number))
    filled.run()
    assert len(filled.table(DOCUMENTS)) == 8
    assert firing(filled) == {}


def test_few_failures_are_no_alert(filled: Lake) -> None:
    for number in range(4):
        filled.drop(f"notes/bad-{number}.pdf", b"%PDF-1.7 nothing else")
    filled.run()
    assert firing(filled) == {}


def test_failures_that_jump_fire_and_clear_after_a_day(filled: Lake) -> None:
    now = datetime.now(UTC) + 60 * DAY
    old = {"stage": "documents", "call_count": 1_000, "failed_count": 10, "started_at": now - 5 * DAY}
    new = {"stage": "documents", "call_count": 50, "failed_count": 8, "started_at": now - timedelta(hours=2)}
    append_runs(filled, old)
    assert "failures:notes" not in firing(filled, now)
    append_runs(filled, new | {"run_id": "new"})
    alert = firing(filled, now)["failures:notes"]
    assert (alert.severity, "8 of 50 files failed within a day (16%), 1% before" in alert.detail) == (WARNING, True)
    assert "failures:notes" not in firing(filled, now + DAY)


# -- freshness, disk, soundness, webhooks ------------------------------------------------------------------------------


def test_a_corpus_nobody_looked_at_fires_and_a_run_clears(filled: Lake) -> None:
    later = datetime.now(UTC) + 8 * DAY
    assert "last listed" in firing(filled, later)["freshness:notes"].detail
    filled.run()
    assert "freshness:notes" not in firing(filled, datetime.now(UTC) + 6 * DAY)


@contextmanager
def disk_of(patch: pytest.MonkeyPatch, total: int, free: int) -> Iterator[None]:
    """As if the disk had so many bytes."""
    with patch.context() as inner:
        inner.setattr(alerting.shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(total, total - free, free))
        yield


def test_a_disk_that_fills_fires_and_clears(filled: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    filled.set("CORTEX_MIN_FREE", "10GB")
    for free, severity in ((9 * 10**9, ERROR), (15 * 10**9, WARNING)):
        with disk_of(monkeypatch, 10**12, free):
            alert = firing(filled)["disk:"]
        assert alert.severity == severity
        assert f"{free / 1e9:.1f} GB are free" in alert.detail
    with disk_of(monkeypatch, 10**12, 100 * 10**9):
        assert firing(filled) == {}


def test_growth_that_fills_the_disk_within_days_fires_and_clears(filled: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    now = datetime.now(UTC)
    with filled.house() as house:
        rows = [[(now - n * DAY).timestamp(), 50 * 10**9 - n * 10**9] for n in range(10, 0, -1)]
        house.state.set_meta(alerting.SIZES, json.dumps(rows))
    with disk_of(monkeypatch, 10**12, 9 * 10**9):
        alert = firing(filled, now)["disk:"]
    assert "full in 9 days: lake and index grow by 1.00 GB a day" in alert.detail
    with disk_of(monkeypatch, 10**12, 90 * 10**9):
        assert firing(filled, now) == {}


def test_maintenance_notes_how_large_everything_is(filled: Lake) -> None:
    with filled.house() as house:
        house.maintain()
        sizes = alerting.sizes(house.state)
        folders = (house.settings.lake, house.settings.index, house.settings.raw)
        files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
        on_disk = sum(path.stat().st_blocks * 512 for path in files)
    assert sizes.height == 1
    assert sizes["bytes"][0] == on_disk > 0


def test_what_a_deep_check_finds_fires_until_a_deep_check_finds_it_gone(filled: Lake) -> None:
    with filled.house() as house:
        house.lake.delete_where(DOCUMENTS, "path", ["note-001.md"])
    assert not actions.verify().is_sound
    alert = firing(filled)["soundness:notes"]
    assert "chunks, shard notes: 1 orphaned" in alert.detail
    with filled.house() as house:
        quick_check(house, "notes")
    assert "soundness:notes" in firing(filled)
    assert actions.verify(repair=True).is_sound
    assert actions.verify().is_sound
    assert firing(filled) == {}


def test_what_a_quick_check_finds_fires_until_any_later_check(filled: Lake) -> None:
    with filled.house() as house:
        house.lake.delete_where(DOCUMENTS, "path", ["note-001.md"])
        quick_check(house, "notes")
    assert "soundness:notes" in firing(filled)
    filled.run()
    with filled.house() as house:
        quick_check(house, "notes")
    assert firing(filled) == {}


def test_a_document_of_which_something_is_missing_is_no_unsoundness(filled: Lake) -> None:
    filled.drop("notes/deep.json", "[" * 3000)
    filled.run()
    with filled.house() as house:
        quick_check(house, "notes")
        checks = house.lake.scan(CHECKS).filter(~pl.col("is_passed")).collect()
    assert "complete" in checks["check"].to_list()
    assert firing(filled) == {}


def test_messages_that_are_not_taken_fire_and_clear(filled: Lake) -> None:
    settings = filled.settings
    settings.webhooks_file.write_text("webhooks: []\n")
    enqueue(settings.webhooks_file, settings.webhook_spool, Message("alert", "msg_1", "now"))
    assert firing(filled) == {}
    assert "1 messages wait" in firing(filled, datetime.now(UTC) + timedelta(hours=2))["webhooks:"].detail
    (file,) = settings.webhook_spool.glob("*.json")
    file.write_text("{")
    drain(settings.webhook_spool, [hook(None)])
    assert "was given up within a day" in firing(filled)["webhooks:"].detail
    assert firing(filled, datetime.now(UTC) + 2 * DAY) == {}


# -- telling -----------------------------------------------------------------------------------------------------------


def waiting(lake: Lake) -> list[tuple[str, str]]:
    """(corpus, reason) of the alert messages that wait, and takes them out."""
    found = []
    for file in sorted(lake.settings.webhook_spool.glob("*.json")):
        message = json.loads(file.read_text())["message"]
        if message["event"] == "alert":
            found.append((message["corpus"], message["reason"]))
        file.unlink()
    return found


def test_what_begins_and_ends_is_told_once_and_shown_as_checks(filled: Lake) -> None:
    filled.settings.webhooks_file.write_text("webhooks: []\n")
    watching = Watching(filled.settings, "dagster", chain_lineage)
    assert {one.check_name: one.passed for one in watching.alerts()} == dict.fromkeys(ALERTS, True)
    assert watching.alerts() == []
    assert waiting(filled) == []
    for number in range(5):
        filled.drop(f"notes/bad-{number}.pdf", b"%PDF-1.7 nothing else")
    filled.run()
    (failed,) = watching.alerts()
    assert (failed.check_name, failed.passed, failed.severity) == ("failures", False, dg.AssetCheckSeverity.ERROR)
    ((corpus, reason),) = waiting(filled)
    assert (corpus, reason.startswith("failures firing: error: 5 of 8 files failed")) == ("notes", True)
    assert watching.alerts() == []
    assert Watching(filled.settings, "dagster", chain_lineage).alerts() != [], "a new process shows the checks"
    assert waiting(filled) == [], "and tells nobody again"
    shown = reader.alerts().alerts
    assert [(one.name, one.corpus, one.severity) for one in shown] == [("failures", "notes", "error")]
    assert shown[0].since is not None
    filled.delete(*(f"notes/bad-{number}.pdf" for number in range(5)))
    filled.run()
    (passed,) = watching.alerts()
    assert (passed.check_name, passed.passed) == ("failures", True)
    assert waiting(filled) == [("notes", "failures cleared: failures: it is over")]


def test_the_lake_job_and_the_sensor_evaluate_them(filled: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_DISABLE_TELEMETRY", "yes")
    defs = build_defs(filled.settings)
    with dg.DagsterInstance.ephemeral() as instance:
        result = defs.resolve_job_def("lake").execute_in_process(instance=instance)
        assert {e.check_name: e.passed for e in result.get_asset_check_evaluations()} == dict.fromkeys(ALERTS, True)
        context = dg.build_sensor_context(instance=instance, repository_def=defs.get_repository_def())
        ticked = defs.resolve_sensor_def("alerts")(context)
        assert isinstance(ticked, dg.SensorResult)
        assert {e.check_name for e in ticked.asset_events} == set(ALERTS)  # type: ignore[union-attr]


def test_status_shows_what_fires(filled: Lake) -> None:
    for number in range(5):
        filled.drop(f"notes/bad-{number}.pdf", b"%PDF-1.7 nothing else")
    filled.run()
    assert [alert.name for alert in reader.status().alerts] == ["failures"]
    said = filled.cli("status").stdout
    assert "5 of 8 files failed" in said
