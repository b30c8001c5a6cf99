"""Schedules: everything once a day but what is being worked on; a night's job once; all on by default, their times real."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from apps.dagster_ui import prepare_home
from cortex_assets.definitions import build_defs
from resources.settings import load_settings
from sensors.asked import PARTITION_TAG
from sensors.schedules import nightly, refresh_schedule, where_any
from tests.unit.test_shard_sensor import DEFS, JOB

NOW = datetime(2026, 3, 4, 2, 0, tzinfo=UTC)


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    monkeypatch.setenv("DAGSTER_DISABLE_TELEMETRY", "yes")
    prepare_home(tmp_path / "home")
    with dg.DagsterInstance.from_config(str(tmp_path / "home")) as made:
        made.add_dynamic_partitions("shards_of_test", ["a", "b"])
        yield made


def tick(schedule: dg.ScheduleDefinition, instance: dg.DagsterInstance) -> Any:
    context = dg.build_schedule_context(
        instance=instance, scheduled_execution_time=NOW, repository_def=DEFS.get_repository_def()
    )
    return schedule.evaluate_tick(context)


def test_every_shard_once_a_day_but_those_at_work_and_those_that_are_no_partition_yet(
    instance: dg.DagsterInstance,
) -> None:
    schedule = refresh_schedule("of_test", JOB, "shards_of_test", lambda: ["a", "b", "new"])
    requests = tick(schedule, instance).run_requests
    assert [(r.partition_key, r.run_key) for r in requests] == [
        ("a", "a:2026-03-04T02:00"),
        ("b", "b:2026-03-04T02:00"),
    ]
    job = DEFS.resolve_job_def("files_of_test")
    instance.create_run_for_job(job, tags={PARTITION_TAG: "a"}, status=dg.DagsterRunStatus.NOT_STARTED)
    assert [r.partition_key for r in tick(schedule, instance).run_requests] == ["b"]
    instance.create_run_for_job(job, tags={PARTITION_TAG: "b"}, status=dg.DagsterRunStatus.STARTED)
    done = tick(schedule, instance)
    assert (done.run_requests, "already" in done.skip_message) == ([], True)


def test_a_nights_job_is_left_out_while_the_last_one_is_at_it(instance: dg.DagsterInstance) -> None:
    schedule = nightly("of_night", JOB, "0 3 * * *", "A test.")
    assert [r.run_key for r in tick(schedule, instance).run_requests] == ["files_of_test:2026-03-04T02:00"]
    instance.create_run_for_job(DEFS.resolve_job_def("files_of_test"), status=dg.DagsterRunStatus.STARTED)
    assert tick(schedule, instance).run_requests == []


def test_a_schedule_that_may_have_nothing_to_do_says_why(instance: dg.DagsterInstance) -> None:
    reasons = ["no engine is configured", ""]
    schedule = where_any("of_test", JOB, "*/15 * * * *", "test", lambda: reasons.pop(0))
    assert tick(schedule, instance).skip_message == "no engine is configured"
    [request] = tick(schedule, instance).run_requests
    assert request.run_key.endswith("2026-03-04T02:00")


def test_all_sensors_and_schedules_run_by_default_and_look_at_most_once_a_minute(tmp_path: Path) -> None:
    defs = build_defs(load_settings(tmp_path, {}))
    repository = defs.get_repository_def()
    assert {s.name: s.default_status for s in repository.schedule_defs} == dict.fromkeys(
        ("daily_refresh", "nightly_maintenance", "nightly_verification", "nightly_evaluation", "lanes_health"),
        dg.DefaultScheduleStatus.RUNNING,
    )
    assert {s.name for s in repository.sensor_defs} == {"new_shards", "git_heads", "after_runs", "alerts"}
    for sensor in repository.sensor_defs:
        assert sensor.default_status == dg.DefaultSensorStatus.RUNNING
        assert sensor.minimum_interval_seconds >= 60
        assert sensor.description
    assert not list(tmp_path.iterdir()), "loading opens nothing"
