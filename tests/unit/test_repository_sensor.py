"""The git sensor: a run where a remote moved, none where it stands still, ever later where nobody answers."""

from collections.abc import Iterator
from itertools import pairwise

import dagster as dg
import pytest

from sensors import repositories as module
from sensors.asked import PARTITION_TAG
from sensors.repositories import Repository, repository_sensor
from tests.unit.test_shard_sensor import DEFS, JOB


class Remotes:
    """A sensor over remotes that a test moves, and a clock that it turns."""

    def __init__(self, instance: dg.DagsterInstance, patch: pytest.MonkeyPatch) -> None:
        self.instance, self.now, self.cursor = instance, 1_000.0, ""
        self.fetched: dict[str, str | None] = {"code": "c1"}
        self.heads: dict[str, str | Exception] = {"code": "c1"}
        self.asked: list[str] = []
        self.said = ""
        patch.setattr(module.time, "time", lambda: self.now)
        self.sensor = repository_sensor("of_test", JOB, "shards_of_test", self.found)
        instance.add_dynamic_partitions("shards_of_test", ["code"])

    def found(self) -> dict[str, Repository]:
        def head(name: str) -> str:
            self.asked.append(name)
            answer = self.heads[name]
            if isinstance(answer, Exception):
                raise answer
            return answer

        return {name: Repository([name], commit, lambda name=name: head(name)) for name, commit in self.fetched.items()}  # type: ignore[misc]

    def tick(self, seconds: float = 300.0) -> list[str]:
        self.now += seconds
        context = dg.build_sensor_context(
            instance=self.instance, cursor=self.cursor or None, repository_def=DEFS.get_repository_def()
        )
        result = self.sensor(context)
        if isinstance(result, dg.SkipReason):
            self.said = str(result.skip_message)
            return []
        assert isinstance(result, dg.SensorResult)
        self.cursor = result.cursor or ""
        self.said = (
            str(result.skip_reason.skip_message)
            if isinstance(result.skip_reason, dg.SkipReason)
            else str(result.skip_reason)
        )
        return [str(request.partition_key) for request in result.run_requests or ()]


@pytest.fixture
def remotes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Remotes]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield Remotes(instance, monkeypatch)


def test_a_remote_that_moved_is_asked_for_until_it_is_fetched(remotes: Remotes) -> None:
    assert remotes.tick() == []
    assert "none of which moved" in remotes.said
    remotes.heads["code"] = "c2"
    assert remotes.tick() == ["code"]
    remotes.fetched["code"] = "c2"
    assert remotes.tick() == []
    remotes.heads["code"] = "c1"
    assert remotes.tick() == ["code"], "moved back, too"


def test_a_run_that_fetches_nothing_is_asked_for_ever_later(remotes: Remotes) -> None:
    remotes.heads["code"] = "c2"
    asked = [remotes.now for _ in range(60) if remotes.tick()]
    assert [later - earlier for earlier, later in pairwise(asked)][:4] == [300, 300, 1200, 3600]


def test_a_shard_that_runs_and_one_that_is_no_partition_are_left_alone(remotes: Remotes) -> None:
    remotes.heads["code"] = "c2"
    remotes.fetched["new"], remotes.heads["new"] = None, "n1"
    run = remotes.instance.create_run_for_job(
        DEFS.resolve_job_def("files_of_test"), tags={PARTITION_TAG: "code"}, status=dg.DagsterRunStatus.STARTED
    )
    assert remotes.tick() == []
    remotes.instance.report_run_failed(run)
    assert remotes.tick() == ["code"]


def test_one_that_does_not_answer_is_asked_ever_later_and_keeps_no_other_from_it(remotes: Remotes) -> None:
    remotes.fetched["far"], remotes.heads["far"] = "f1", OSError("no route")
    remotes.heads["code"] = "c2"
    assert remotes.tick(60) == ["code"]
    remotes.fetched["code"] = "c2"
    remotes.asked.clear()
    times = []
    for _ in range(200):
        before = remotes.asked.count("far")
        remotes.tick(60)
        times += [remotes.now] if remotes.asked.count("far") > before else []
        assert "no answer from far" in remotes.said
    waits = [later - earlier for earlier, later in pairwise(times)]
    assert waits[:3] == [240, 960, 3600]
    remotes.heads["far"] = "f2"
    remotes.instance.add_dynamic_partitions("shards_of_test", ["far"])
    assert remotes.tick(3_600) == ["far"]


def test_without_repositories_nothing_is_asked(remotes: Remotes) -> None:
    remotes.fetched.clear()
    assert remotes.tick() == []
    assert remotes.said == "no git corpora are listed"
