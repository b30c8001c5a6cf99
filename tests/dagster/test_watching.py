"""What Dagster's sensors ask: by the worker's list nothing is listed, without one folders are; word of runs goes out."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import pytest

from apps.dagster_ui import prepare_home
from cortex_assets.definitions import build_defs
from cortex_assets.documents.schema import DOCUMENTS
from cortex_assets.engine import assets, files, intake, pruning, upkeep
from cortex_assets.engine.dirty import dirty_file, write_dirty
from cortex_assets.engine.lease import shard_lease
from cortex_assets.engine.pruning import prune
from cortex_assets.ops.schema import CHECKS, RUNS
from cortex_assets.partitions import FILES_SHARDS
from inference.errors import EngineUnavailable
from resources.git_source import GitError
from tests.dagster.lake import Lake, note, notes
from tests.unit.test_git_source import git
from tests.unit.test_webhooks import WHSEC


@pytest.fixture
def instance(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    """A Dagster on disk, as ``cortex up`` makes it."""
    monkeypatch.setenv("DAGSTER_DISABLE_TELEMETRY", "yes")
    prepare_home(lake.settings.dagster_home)
    with dg.DagsterInstance.from_config(str(lake.settings.dagster_home)) as made:
        yield made


@pytest.fixture
def filled(lake: Lake) -> Lake:
    lake.drop_all(notes("notes", 3))
    lake.run()
    return lake


def say(lake: Lake, **shards: str) -> None:
    """The worker's word."""
    write_dirty(dirty_file(lake.settings.cache), shards)


class Ticks:
    """One sensor of the definitions, tick by tick."""

    def __init__(self, lake: Lake, instance: dg.DagsterInstance, name: str) -> None:
        self.defs, self.instance, self.name = build_defs(lake.settings), instance, name
        self.cursor: str | None = None
        self.said = ""

    def tick(self) -> list[str]:
        """(job or shard) that is asked for."""
        repository = self.defs.get_repository_def()
        context = dg.build_sensor_context(instance=self.instance, cursor=self.cursor, repository_def=repository)
        result = self.defs.resolve_sensor_def(self.name)(context)
        if isinstance(result, dg.SkipReason):
            self.said = str(result.skip_message)
            return []
        assert isinstance(result, dg.SensorResult)
        self.cursor = result.cursor
        self.said = (
            str(result.skip_reason.skip_message)
            if isinstance(result.skip_reason, dg.SkipReason)
            else str(result.skip_reason)
        )
        for request in result.dynamic_partitions_requests or ():
            self.instance.add_dynamic_partitions(FILES_SHARDS, list(request.partition_keys))
        return [str(request.partition_key or request.job_name) for request in result.run_requests or ()]


# -- the file-drop sensor ----------------------------------------------------------------------------------------------


def test_with_a_worker_no_folder_is_listed(
    filled: Lake, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def walk(*_: object) -> None:
        raise AssertionError("a folder was listed")

    monkeypatch.setattr(intake, "_walk", walk)
    ticks = Ticks(filled, instance, "new_shards")
    say(filled)
    assert ticks.tick() == []
    assert "as the worker's list says" in ticks.said
    assert instance.get_dynamic_partitions(FILES_SHARDS) == ["notes"]
    filled.drop("notes/new.md", note(9))
    assert ticks.tick() == [], "small changes are the worker's"
    say(filled, notes="handed 17")
    assert ticks.tick() == ["notes"]
    say(filled, notes="handed 17")
    assert ticks.tick() == [], "the same is asked for after a minute, then ever later"


def test_while_nothing_moves_nothing_is_opened(
    filled: Lake, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    say(filled)
    ticks = Ticks(filled, instance, "new_shards")
    ticks.tick()
    ticks.tick()
    opened: list[object] = []
    monkeypatch.setattr("cortex_assets.watching.House.open", lambda *a: opened.append(a))
    say(filled)
    assert ticks.tick() == []
    assert "nothing moved" in ticks.said
    assert opened == []


@pytest.mark.parametrize("what", ["rows", "folder", "sources", "list"])
def test_whatever_moves_is_looked_at(filled: Lake, instance: dg.DagsterInstance, what: str) -> None:
    say(filled)
    ticks = Ticks(filled, instance, "new_shards")
    ticks.tick()
    assert ticks.tick() == []
    if what == "rows":
        with filled.house() as house:
            house.lake.delete_where(DOCUMENTS, "path", ["note-001.md"])
        assert ticks.tick() == ["notes"], "tables that differ among themselves"
    elif what == "folder":
        filled.drop("more/a.md", note(8))
        assert ticks.tick() == []
        assert "more" in instance.get_dynamic_partitions(FILES_SHARDS)
    elif what == "sources":
        elsewhere = filled.root / "elsewhere"
        filled.drop(elsewhere / "a.md", note(7))
        filled.settings.sources_file.write_text(f"corpora:\n  - name: far\n    path: {elsewhere}\n")
        ticks.tick()
        assert "far" in instance.get_dynamic_partitions(FILES_SHARDS)
    else:
        say(filled, notes="handed 1")
        assert ticks.tick() == ["notes"]


@pytest.mark.parametrize("age", [None, 200.0])
def test_without_a_worker_folders_are_looked_at_and_the_reason_says_so(
    filled: Lake, instance: dg.DagsterInstance, age: float | None
) -> None:
    if age is not None:
        write_dirty(dirty_file(filled.settings.cache), {}, at=time.time() - age)
    ticks = Ticks(filled, instance, "new_shards")
    assert ticks.tick() == ["notes"], "a partition of its own, for the first time"
    filled.drop("notes/new.md", note(9))
    assert ticks.tick() == ["notes"]
    filled.run()
    assert ticks.tick() == []
    assert "folders were looked at" in ticks.said
    assert ("no worker runs" if age is None else "the worker's list is 20") in ticks.said


def test_a_look_at_folders_that_takes_long_is_followed_by_a_pause_which_ends(
    filled: Lake, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cortex_assets.watching.LONG_SECONDS", -1.0)
    monkeypatch.setattr("cortex_assets.watching.PAUSES", 100_000)
    ticks = Ticks(filled, instance, "new_shards")
    ticks.tick()
    ticks.tick()
    filled.drop("notes/new.md", note(9))
    filled.drop("more/a.md", note(8))
    assert ticks.tick() == ["more"], "new folders are seen all the same"
    assert ticks.tick() == []
    assert "folders are looked at again in" in ticks.said
    say(filled, notes="handed 1")
    assert ticks.tick() == ["notes"], "the worker's list needs no pause"
    dirty_file(filled.settings.cache).unlink()
    monkeypatch.setattr("cortex_assets.watching.PAUSES", 0)
    again = Ticks(filled, instance, "new_shards")
    assert again.tick() == ["more", "notes"]


def test_a_shard_that_another_process_works_on_is_left_to_it(filled: Lake, instance: dg.DagsterInstance) -> None:
    ticks = Ticks(filled, instance, "new_shards")
    say(filled)
    ticks.tick()
    with filled.house() as house:
        house.lake.delete_where(DOCUMENTS, "path", ["note-001.md"])
    with shard_lease(filled.settings.locks, "notes"):
        assert ticks.tick() == []
    assert ticks.tick() == ["notes"]


# -- repositories ------------------------------------------------------------------------------------------------------


def test_a_remote_that_moves_is_run_once(lake: Lake, instance: dg.DagsterInstance) -> None:
    work, bare = lake.root / "work", lake.root / "bare.git"
    work.mkdir()
    git(work, "init", "-q", ".")
    (work / "a.md").write_text(note(1))
    git(work, "add", "-A")
    git(work, "commit", "-qm", "first")
    git(lake.root, "clone", "-q", "--bare", str(work), str(bare))
    lake.settings.sources_file.write_text(f"corpora:\n  - name: code\n    git: file://{bare}\n")
    heads, shards = Ticks(lake, instance, "git_heads"), Ticks(lake, instance, "new_shards")
    assert heads.tick() == []
    assert shards.tick() == ["code"]
    lake.run()
    assert heads.tick() == []
    assert "none of which moved" in heads.said
    (work / "b.md").write_text(note(2))
    git(work, "add", "-A")
    git(work, "commit", "-qm", "second")
    assert heads.tick() == [], "not pushed yet"
    git(work, "push", "-q", str(bare), "HEAD")
    assert heads.tick() == ["code"]
    lake.run()
    assert lake.found(note(2))[0] == "b.md"
    assert heads.tick() == []
    bare.rename(lake.root / "away.git")
    assert heads.tick() == []
    assert "no answer from code" in heads.said


# -- word of runs ------------------------------------------------------------------------------------------------------


def told(lake: Lake) -> list[dict[str, Any]]:
    """Messages that wait, taken out."""
    found = []
    for file in sorted(lake.settings.webhook_spool.glob("*.json")):
        found.append(json.loads(file.read_text())["message"])
        file.unlink()
    return found


def tell_one_who_is_not_there(lake: Lake) -> None:
    """Messages are wanted, and wait."""
    (lake.settings.data_dir / "webhook.secret").write_text(WHSEC)
    hooks = [{"url": "http://127.0.0.1:1/", "events": ["run_failed", "run_finished"], "secret_file": "webhook.secret"}]
    lake.settings.webhooks_file.write_text(json.dumps({"webhooks": hooks}))


def test_runs_are_told_whoever_starts_them_and_idle_ones_are_no_news(
    filled: Lake, instance: dg.DagsterInstance
) -> None:
    assert not filled.settings.webhook_spool.exists(), "nobody is to be told anything"
    tell_one_who_is_not_there(filled)
    filled.drop("notes/new.md", note(9))
    filled.run()
    (message,) = told(filled)
    assert (message["event"], message["corpus"], message["shard"]) == ("run_finished", "notes", "notes")
    assert message["counts"]["files_new"] == message["counts"]["documents_new"] == 1
    filled.run()
    assert told(filled) == []
    instance.add_dynamic_partitions(FILES_SHARDS, ["notes"])
    filled.drop("notes/newer.md", note(10))
    job = build_defs(filled.settings).resolve_job_def("files")
    assert job.execute_in_process(partition_key="notes", instance=instance).success
    assert [message["event"] for message in told(filled)] == ["run_finished"]
    assert set(filled.table(RUNS).get_column("trigger")) == {"command", "dagster"}


def test_a_run_that_fails_and_one_that_is_killed_are_told(filled: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    tell_one_who_is_not_there(filled)

    def broken(*_: object, **__: object) -> None:
        raise OSError("the disk said: https://me:word@host/x no")

    filled.drop("notes/new.md", note(9))
    with monkeypatch.context() as patch:
        patch.setattr(files.FilesStage, "run", broken)
        assert filled.run().errors
    (message,) = told(filled)
    assert (message["event"], message["shard"]) == ("run_failed", "notes")
    assert "the disk said" in message["reason"]
    assert "word" not in message["reason"]
    code = (
        "import os; from cortex_assets.engine import files; from apps import actions\n"
        "files.FilesStage.run = lambda *a, **k: os._exit(9)\nactions.run()"
    )
    filled.start(code).communicate(timeout=120)
    filled.run()
    assert [(m["event"], m["reason"].split(" after")[0]) for m in told(filled)] == [
        ("run_failed", "interrupted in stage none"),
        ("run_finished", ""),
    ]


def test_dagsters_own_failures_are_told_once(filled: Lake, instance: dg.DagsterInstance) -> None:
    filled.settings.webhooks_file.write_text("webhooks: []\n")
    ticks = Ticks(filled, instance, "after_runs")
    assert ticks.tick() == []
    job = ticks.defs.resolve_job_def("files")
    run = instance.create_run_for_job(job, tags={"dagster/partition": "notes"})
    instance.report_run_failed(run, "could not be launched")
    assert ticks.tick() == ["lake"]
    (message,) = told(filled)
    assert (message["event"], message["shard"]) == ("run_failed", "notes")
    assert "could not be launched" in message["reason"]
    assert ticks.tick() == []
    assert told(filled) == []


def test_an_idle_tick_opens_no_database(
    filled: Lake, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks = Ticks(filled, instance, "after_runs")
    ticks.tick()
    ticks.tick()
    monkeypatch.setattr(instance, "get_run_records", lambda *a, **k: pytest.fail("it was opened"))
    assert ticks.tick() == []
    assert ticks.said == "no run ended since the last look"


def test_messages_are_delivered_by_a_tick(filled: Lake, instance: dg.DagsterInstance) -> None:
    tell_one_who_is_not_there(filled)
    filled.drop("notes/new.md", note(9))
    filled.run()
    assert list(filled.settings.webhook_spool.glob("*.json"))
    filled.settings.webhooks_file.write_text("webhooks: []\n")
    ticks = Ticks(filled, instance, "after_runs")
    ticks.tick()
    assert not list(filled.settings.webhook_spool.glob("*.json")), "nobody wants it any more"
    filled.settings.webhooks_file.write_text("webhooks: [3]\n")
    filled.drop("notes/newer.md", note(10))
    filled.run()
    ticks.tick()
    assert "messages wait" in ticks.said
    assert "entry 1" in ticks.said
    assert len(told(filled)) == 1


# -- retries -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "attempts"),
    [(GitError("no answer"), 3), (EngineUnavailable("away", is_transient=True), 3), (OSError("no"), 1)],
)
def test_what_time_heals_is_tried_again_within_the_run(
    filled: Lake, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch, error: Exception, attempts: int
) -> None:
    tried = []

    def broken(*_: object, **__: object) -> None:
        tried.append(1)
        raise error

    monkeypatch.setattr("cortex_assets.watching.RETRY_SECONDS", 0.01)
    monkeypatch.setattr(files.FilesStage, "run", broken)
    instance.add_dynamic_partitions(FILES_SHARDS, ["notes"])
    job = build_defs(filled.settings).resolve_job_def("files")
    result = job.execute_in_process(partition_key="notes", instance=instance, raise_on_error=False)
    assert (result.success, len(tried)) == (False, attempts)
    assert attempts in (1, assets.RETRIES + 1)


def test_an_engine_that_comes_back_lets_the_run_succeed(
    filled: Lake, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, tried = files.FilesStage.run, []

    def once(self: Any, *given: Any, **named: Any) -> Any:
        tried.append(1)
        if len(tried) == 1:
            raise EngineUnavailable("away", is_transient=True)
        return real(self, *given, **named)

    monkeypatch.setattr("cortex_assets.watching.RETRY_SECONDS", 0.01)
    monkeypatch.setattr(files.FilesStage, "run", once)
    instance.add_dynamic_partitions(FILES_SHARDS, ["notes"])
    filled.drop("notes/new.md", note(9))
    job = build_defs(filled.settings).resolve_job_def("files")
    assert job.execute_in_process(partition_key="notes", instance=instance).success
    filled.assert_sound()


# -- the night ---------------------------------------------------------------------------------------------------------


def test_the_nights_jobs_maintain_and_verify(filled: Lake, instance: dg.DagsterInstance) -> None:
    defs = build_defs(filled.settings)
    instance.add_dynamic_partitions(FILES_SHARDS, ["notes"])
    assert defs.resolve_job_def("files").execute_in_process(partition_key="notes", instance=instance).success
    result = defs.resolve_job_def("maintain").execute_in_process(instance=instance)
    assert result.success
    filled.assert_sound()
    with filled.house() as house:
        house.lake.delete_where(DOCUMENTS, "path", ["note-001.md"])
    verified = defs.resolve_job_def("verify").execute_in_process(instance=instance)
    assert verified.success, "what is found is no failed run"
    failed = filled.table(CHECKS).filter(scope="deep", is_passed=False)
    assert {"chunks", "documents", "index"} <= set(failed.get_column("asset"))
    keys = [dg.AssetCheckKey(dg.AssetKey(a), c) for a, c in (("documents", "parity"), ("documents", "schema"))]
    found = instance.event_log_storage.get_latest_asset_check_execution_by_key(keys)
    statuses = {key.name: record.status.value for key, record in found.items()}
    assert statuses == {"parity": "FAILED", "schema": "SUCCEEDED"}


def test_a_shard_that_a_run_holds_is_verified_another_night(filled: Lake, instance: dg.DagsterInstance) -> None:
    with shard_lease(filled.settings.locks, "notes"):
        result = build_defs(filled.settings).resolve_job_def("verify").execute_in_process(instance=instance)
    assert result.success
    assert filled.table(CHECKS).filter(scope="deep").is_empty()


def test_maintenance_comes_again_where_a_run_holds_the_lake_and_a_failure_is_told(
    filled: Lake, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled.settings.webhooks_file.write_text("webhooks: []\n")
    monkeypatch.setattr("cortex_assets.definitions.MAINTAIN_PATIENCE", 0.0)
    monkeypatch.setattr(upkeep, "BUSY_RETRY", dg.RetryPolicy(max_retries=2, delay=0.01))
    ticks = Ticks(filled, instance, "after_runs")
    ticks.tick()
    with shard_lease(filled.settings.locks, "notes"):
        result = ticks.defs.resolve_job_def("maintain").execute_in_process(instance=instance, raise_on_error=False)
    assert not result.success
    events = [event.event_type for event in result.all_events]
    assert events.count(dg.DagsterEventType.STEP_RESTARTED) == 2
    ticks.tick()
    (message,) = told(filled)
    assert message["event"] == "run_failed"
    assert "leased" in message["reason"]


# -- what Dagster remembers --------------------------------------------------------------------------------------------


def test_old_runs_and_events_go_and_what_shows_how_things_stand_stays(
    filled: Lake, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = filled.settings.dagster_home
    instance.add_dynamic_partitions(FILES_SHARDS, ["notes"])
    job = build_defs(filled.settings).resolve_job_def("files")
    runs = [job.execute_in_process(partition_key="notes", instance=instance).run_id for _ in range(4)]
    for number in range(3):
        instance.report_runless_asset_event(
            dg.AssetMaterialization("documents", partition="notes", metadata={"n": number})
        )
        instance.report_runless_asset_event(
            dg.AssetCheckEvaluation(asset_key=dg.AssetKey("corpus_statistics"), check_name="disk", passed=True)
        )
    now = datetime.now(UTC)
    assert prune(instance, home, now, keep=0).runs == 0, "all of it is young"
    later = now + timedelta(days=40)
    kept = prune(instance, home, later, keep=3)
    assert kept.runs == 1
    assert {run.run_id for run in instance.get_runs()} == set(runs[1:])
    assert not list((home / "history" / "runs").glob(f"{runs[0]}*"))
    gone = prune(instance, home, later, keep=0)
    assert gone.runs == 2
    assert [run.run_id for run in instance.get_runs()] == [runs[-1]], "the latest of the shard stays"
    assert kept.events + gone.events >= 4
    assert instance.get_materialized_partitions(dg.AssetKey("documents")) == {"notes"}
    latest = instance.get_latest_materialization_event(dg.AssetKey("documents"))
    assert latest is not None
    assert latest.asset_materialization is not None
    assert latest.asset_materialization.metadata["n"].value == 2
    key = dg.AssetCheckKey(dg.AssetKey("corpus_statistics"), "disk")
    assert key in instance.event_log_storage.get_latest_asset_check_execution_by_key([key])
    assert pruning.KEEP_DAYS == 30
    assert pruning.KEEP_RUNS == 100
