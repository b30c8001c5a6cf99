"""The sensor over shards: what differs is asked for, once while it runs, and ever later where a run changes nothing."""

from collections.abc import Iterator
from itertools import pairwise

import dagster as dg
import pytest

from sensors import shards as module
from sensors.asked import PARTITION_TAG, Asked
from sensors.shards import LONGEST_QUIET, Look, shard_sensor

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
        self.due = float("inf")
        patch.setattr(module.time, "time", lambda: self.now)
        self.taken: set[str] = set()
        self.standing, self.looks = "", 0
        self.sensor = shard_sensor("of_test", JOB, "shards_of_test", self.look, lambda: self.standing)

    def look(self) -> Look:
        """What the sensor is told."""
        self.looks += 1
        return Look(self.shards, self.changes, self.taken, "as the test says", self.due)

    def tick(self, seconds: float = 30.0) -> list[str]:
        """Shards asked for after some time."""
        self.now += seconds
        context = dg.build_sensor_context(
            instance=self.instance, cursor=self.cursor, repository_def=DEFS.get_repository_def()
        )
        result = self.sensor(context)
        if isinstance(result, dg.SkipReason):
            return []
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


def test_what_differs_for_months_is_still_asked_for() -> None:
    asked = Asked(shards={"notes": ("token", 10_000, 1_000.0)})
    assert not asked.is_due("notes", "token", 1_000.0 + 3_599)
    assert asked.is_due("notes", "token", 1_000.0 + 3_600)


def test_a_clock_that_is_set_back_makes_nobody_wait_for_what_it_was(ticks: Ticks) -> None:
    ticks.now += 365 * 86_400
    ticks.standing = "a"
    assert ticks.tick() == ["notes"]
    ticks.changes["notes"] = "edit"
    assert ticks.tick() == ["notes"]
    ticks.now -= 365 * 86_400
    assert ticks.tick() == ["notes"], "asked for again"
    ticks.now += 365 * 86_400
    ticks.changes["notes"] = ""
    ticks.tick()
    looks = ticks.looks
    ticks.tick()
    assert ticks.looks == looks, "all is quiet"
    ticks.now -= 365 * 86_400
    ticks.tick()
    assert ticks.looks == looks + 1


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


def test_while_nothing_moves_nothing_is_looked_at(ticks: Ticks) -> None:
    ticks.standing = "as it is"
    assert ticks.tick() == ["notes"]
    assert ticks.tick() == []
    assert ticks.looks == 2
    for _ in range(5):
        assert ticks.tick() == []
    assert ticks.looks == 2, "file stats alone"
    ticks.standing, ticks.changes = "a table moved", {"notes": "chunks 1"}
    assert ticks.tick() == ["notes"]
    ticks.tick()
    assert ticks.looks == 4, "what differs is looked at again, whatever stands still"


def test_a_quiet_lake_is_looked_at_when_a_retry_is_due_and_once_an_hour(ticks: Ticks) -> None:
    ticks.standing = "as it is"
    ticks.tick()
    ticks.due = ticks.now + 100.0
    ticks.tick()
    ticks.tick(60.0)
    assert ticks.looks == 2
    ticks.due = float("inf")
    ticks.tick(60.0)
    assert ticks.looks == 3
    ticks.tick(LONGEST_QUIET + 1)
    assert ticks.looks == 4


def test_without_a_glance_every_tick_looks(ticks: Ticks) -> None:
    for _ in range(4):
        ticks.tick()
    assert ticks.looks == 4


def test_a_new_shard_that_the_worker_takes_care_of_is_registered_and_not_asked_for(ticks: Ticks) -> None:
    ticks.taken = {"notes"}
    assert ticks.tick() == []
    assert ticks.instance.get_dynamic_partitions("shards_of_test") == ["notes"]
    ticks.taken, ticks.changes = set(), {"notes": "files 1"}
    assert ticks.tick() == ["notes"]


def test_a_shard_that_was_left_out_of_a_look_keeps_the_lake_from_being_quiet(ticks: Ticks) -> None:
    ticks.standing, ticks.shards, ticks.changes = "as it is", ["notes", "more"], {"notes": ""}
    for _ in range(4):
        ticks.tick()
    assert ticks.looks == 4
