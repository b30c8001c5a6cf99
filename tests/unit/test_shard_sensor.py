"""The sensor over shards: what differs is asked for, once while it runs, and ever later where a run changes nothing."""

from collections.abc import Iterator
from itertools import pairwise

import dagster as dg
import pytest

from sensors import shards as module
from sensors.shards import PARTITION_TAG, Asked, shard_sensor

PARTITIONS = dg.DynamicPartitionsDefinition(name="shards_of_test")


@dg.asset(partitions_def=PARTITIONS)
def thing() -> None:
    """Nothing."""


JOB = dg.define_asset_job("files_of_test", selection=[thing.key])
DEFS = dg.Definitions(assets=[thing], jobs=[JOB])


class Ticks:
    """A sensor over differences that a test sets, and a clock that it turns."""

    def __init__(self, instance: dg.DagsterInstance, patch: pytest.MonkeyPatch) -> None:
        self.instance, self.shards, self.changes, self.now = instance, ["notes"], {"notes": ""}, 1_000.0
        self.cursor: str | None = None
        self.keys: list[str] = []
        patch.setattr(module.time, "time", lambda: self.now)
        self.sensor = shard_sensor("of_test", JOB, "shards_of_test", lambda: self.shards, lambda: self.changes)

    def tick(self, seconds: float = 30.0) -> list[str]:
        """Shards asked for after some time."""
        self.now += seconds
        context = dg.build_sensor_context(
            instance=self.instance, cursor=self.cursor, repository_def=DEFS.get_repository_def()
        )
        result = self.sensor(context)
        assert isinstance(result, dg.SensorResult)
        self.cursor = result.cursor
        for request in result.dynamic_partitions_requests or ():
            self.instance.add_dynamic_partitions("shards_of_test", list(request.partition_keys))
        self.keys += [str(request.run_key) for request in result.run_requests or ()]
        return [str(request.partition_key) for request in result.run_requests or ()]


@pytest.fixture
def ticks(monkeypatch: pytest.MonkeyPatch) -> Iterator[Ticks]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield Ticks(instance, monkeypatch)


def test_a_new_shard_is_asked_for_once(ticks: Ticks) -> None:
    assert ticks.tick() == ["notes"]
    assert ticks.tick() == []
    ticks.shards, ticks.changes = ["notes", "more"], {"notes": "", "more": ""}
    assert ticks.tick() == ["more"]


def test_an_edit_and_its_revert_are_asked_for(ticks: Ticks) -> None:
    ticks.tick()
    for token in ("one", "", "two", "", "one", ""):
        ticks.changes["notes"] = token
        assert ticks.tick() == (["notes"] if token else [])
    assert len(set(ticks.keys)) == len(ticks.keys) == 4


def test_a_run_that_changes_nothing_is_asked_for_ever_later_until_the_difference_is_another(ticks: Ticks) -> None:
    ticks.tick()
    ticks.changes["notes"] = "stuck"
    asked = [ticks.now - 1_000 for _ in range(900) if ticks.tick(10.0)]
    waits = [later - earlier for earlier, later in pairwise(asked)]
    assert waits == [60, 240, 960, 3_600, 3_600]
    ticks.changes["notes"] = "edited meanwhile"
    assert ticks.tick() == ["notes"]


def test_a_shard_that_runs_is_left_alone(ticks: Ticks) -> None:
    ticks.tick()
    run = ticks.instance.create_run_for_job(
        DEFS.resolve_job_def("files_of_test"), tags={PARTITION_TAG: "notes"}, status=dg.DagsterRunStatus.STARTED
    )
    ticks.changes["notes"] = "edited"
    assert ticks.tick() == []
    ticks.instance.report_run_failed(run)
    assert ticks.tick() == ["notes"]


def test_a_shard_that_was_not_looked_at_keeps_its_place(ticks: Ticks) -> None:
    ticks.tick()
    ticks.changes = {"notes": "stuck"}
    assert ticks.tick() == ["notes"]
    ticks.changes = {}
    assert ticks.tick() == []
    ticks.changes = {"notes": "stuck"}
    assert ticks.tick(1.0) == []


def test_a_cursor_of_another_form_begins_anew() -> None:
    assert Asked.read("17").shards == {}
    assert Asked.read("17").counter > 1_000_000
