"""What Dagster is told of runs outside it: at once, by another process, or by the next one."""

import json
import os
import sys
import time
from pathlib import Path

import pytest

from apps import dagster_events
from apps.dagster_ui import prepare_home
from cortex_assets.engine.report import ShardReport, StageReport
from resources.settings import Settings, load_settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    found = load_settings(tmp_path, {})
    prepare_home(found.dagster_home)
    return found


def reports(*shards: str) -> list[ShardReport]:
    found = []
    for shard in shards:
        report = ShardReport(shard)
        report.add(StageReport("chunks", shard, new=3, commits=1, notes=["a note"], version=4))
        report.add(StageReport("index", shard))
        found.append(report)
    return found


def materializations(settings: Settings) -> list[tuple[str, object]]:
    import dagster as dg

    with dg.DagsterInstance.from_config(str(settings.dagster_home)) as instance:
        found = instance.fetch_materializations(dg.AssetKey("chunks"), limit=10).records
        return sorted(
            (record.partition_key or "", record.asset_materialization.metadata["new"].value) for record in found
        )


def test_without_a_home_nothing_is_told(tmp_path: Path) -> None:
    assert dagster_events.report_to_dagster(load_settings(tmp_path, {}), reports("notes")) == 0
    assert not (tmp_path / "data" / "cache").exists()


def test_where_dagster_is_imported_it_is_told_at_once(settings: Settings) -> None:
    assert dagster_events.report_to_dagster(settings, reports("notes", "code")) == 2
    assert materializations(settings) == [("code", 3), ("notes", 3)]
    assert dagster_events.report_to_dagster(settings, [ShardReport("notes")]) == 0


def test_else_a_process_of_its_own_tells_it(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.delitem(sys.modules, "dagster")
        begin = time.perf_counter()
        assert dagster_events.report_to_dagster(settings, reports("notes")) == 1
        assert time.perf_counter() - begin < 1.0
    spool = settings.cache / "dagster-events"
    deadline = time.monotonic() + 60
    while list(spool.glob("*.json")) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not list(spool.glob("*.json")), (spool / "log.txt").read_text()
    for process in dagster_events._started:
        process.wait(timeout=60)
    assert materializations(settings) == [("notes", 3)]


def test_what_was_left_behind_is_told_later(settings: Settings) -> None:
    spool = settings.cache / "dagster-events"
    spool.mkdir(parents=True)
    left = spool / f"{1:020d}-{os.getpid()}.json"
    left.write_text(json.dumps([StageReport("chunks", "old", new=7, commits=1).to_dict()]))
    assert dagster_events.drain(settings) == 1
    assert materializations(settings) == [("old", 7)]


def test_what_cannot_be_understood_keeps_nothing_waiting(settings: Settings) -> None:
    spool = settings.cache / "dagster-events"
    spool.mkdir(parents=True)
    good = StageReport("chunks", "old", new=7, commits=1).to_dict()
    for number, text in enumerate(
        (
            "{",
            "[" * 100_000,
            json.dumps([good | {"new": "x"}]),
            json.dumps([good | {"shard": 1}]),
            json.dumps([{"asset": "a", "counts": {"b": "x"}}]),
        )
    ):
        (spool / f"{number:020d}-1.json").write_text(text)
    (spool / f"{9:020d}-1.json").write_text(json.dumps([good]))
    assert dagster_events.drain(settings) == 1
    assert not list(spool.glob("*.json"))


def test_what_the_worker_did_is_told_by_a_sensor(settings: Settings) -> None:
    from cortex_assets.definitions import chain_lineage
    from cortex_assets.engine import events
    from cortex_assets.watching import Watching

    assert events.spool(settings, reports("notes")) == 1
    (events.spool_folder(settings) / f"{2:020d}-1.json").write_text('[{"of": "another release"}]', encoding="utf-8")
    watching = Watching(settings, "dagster", chain_lineage)
    assert "1 materializations" in watching.deliver()
    assert materializations(settings) == [("notes", 3)]
    assert watching.deliver() == ""
    assert not list(events.spool_folder(settings).glob("*.json"))


def test_what_is_made_for_the_whole_lake_is_told_without_a_partition(settings: Settings) -> None:
    import dagster as dg

    from cortex_assets.engine import events

    events.spool_whole(settings, {"duplicates": {"new": 2}, "corpus_statistics": {"rows": 1}})
    assert dagster_events.drain(settings) == 2
    with dg.DagsterInstance.from_config(str(settings.dagster_home)) as instance:
        latest = instance.get_latest_materialization_event(dg.AssetKey("duplicates"))
    assert latest is not None and latest.asset_materialization is not None
    assert latest.asset_materialization.partition is None
    assert latest.asset_materialization.metadata["new"].value == 2


def test_shards_that_are_no_more_leave_the_partitions(settings: Settings) -> None:
    import dagster as dg

    from cortex_assets.partitions import FILES_SHARDS

    dagster_events.report_to_dagster(settings, reports("notes", "code"))
    dagster_events.forget_shards(settings, ["notes", "never-was"])
    with dg.DagsterInstance.from_config(str(settings.dagster_home)) as instance:
        assert instance.get_dynamic_partitions(FILES_SHARDS) == ["code"]
    assert materializations(settings) == [("code", 3), ("notes", 3)], "the history stays"
