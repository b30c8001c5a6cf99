"""The real sensors over a real lake: what differs is asked for, reverts too; what remains goes on; what is stuck waits."""

from collections.abc import Iterator

import dagster as dg
import pytest

from cortex_assets.corpora.schema import CORPUS_STATISTICS
from cortex_assets.definitions import build_defs
from cortex_assets.partitions import FILES_SHARDS
from inference.engines.hash_embedder import HashEmbedder
from inference.errors import EngineUnavailable
from sensors.asked import PARTITION_TAG
from tests.dagster.lake import Lake, note, notes


class Daemon:
    """What Dagster's daemon does, tick by tick: evaluates the sensor, adds partitions, runs what is asked for."""

    def __init__(self, lake: Lake, instance: dg.DagsterInstance) -> None:
        self.defs, self.instance = build_defs(lake.settings), instance
        self.cursor: str | None = None
        self.keys: list[str] = []
        self.followed: str | None = None
        self.after()

    def asked(self) -> list[str]:
        """One tick of ``new_shards``: the shards that it asks for."""
        repository = self.defs.get_repository_def()
        context = dg.build_sensor_context(instance=self.instance, cursor=self.cursor, repository_def=repository)
        result = self.defs.resolve_sensor_def("new_shards")(context)
        assert isinstance(result, dg.SensorResult)
        self.cursor = result.cursor
        for request in result.dynamic_partitions_requests or ():
            self.instance.add_dynamic_partitions(FILES_SHARDS, list(request.partition_keys))
        self.keys += [str(request.run_key) for request in result.run_requests or ()]
        return [str(request.partition_key) for request in result.run_requests or ()]

    def run(self, shard: str) -> dg.ExecuteInProcessResult:
        """The chain job of a shard."""
        job = self.defs.resolve_job_def("files")
        return job.execute_in_process(partition_key=shard, instance=self.instance)

    def tick(self) -> list[str]:
        """Evaluate and run; the shards."""
        shards = self.asked()
        for shard in shards:
            assert self.run(shard).success
        return shards

    def after(self) -> list[tuple[str | None, str | None]]:
        """One tick of ``after_runs``: what it asks for, (job, partition)."""
        repository = self.defs.get_repository_def()
        context = dg.build_sensor_context(instance=self.instance, cursor=self.followed, repository_def=repository)
        result = self.defs.resolve_sensor_def("after_runs")(context)
        assert isinstance(result, dg.SensorResult)
        self.followed = result.cursor
        return [(r.job_name, r.partition_key) for r in result.run_requests or ()]


@pytest.fixture
def instance(monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    monkeypatch.setenv("DAGSTER_DISABLE_TELEMETRY", "yes")
    with dg.DagsterInstance.ephemeral() as made:
        yield made


@pytest.fixture
def daemon(lake: Lake, instance: dg.DagsterInstance) -> Daemon:
    lake.drop_all(notes("notes", 3))
    return Daemon(lake, instance)


def test_folders_edits_and_reverts_come_through(lake: Lake, daemon: Daemon) -> None:
    assert daemon.tick() == ["notes"]
    first = lake.image().content
    assert daemon.tick() == []
    for _ in range(2):
        lake.drop("notes/note-001.md", note(90))
        assert daemon.tick() == ["notes"]
        assert lake.found(note(90))[0] == "note-001.md"
        lake.drop("notes/note-001.md", note(1))
        assert daemon.tick() == ["notes"], "a revert is a difference like any other"
        assert lake.image().rows["bronze/documents"] == first[0]["bronze/documents"]
        assert lake.image().points == first[1]
    lake.drop("more/new.md", note(91))
    assert daemon.tick() == ["more"]
    assert daemon.tick() == []
    assert len(set(daemon.keys)) == len(daemon.keys) == 6, "no run key twice: Dagster would skip it for ever"
    assert all(key.rpartition(":")[2].isdigit() for key in daemon.keys)
    lake.assert_sound()


def test_a_shard_whose_run_is_on_its_way_is_not_asked_for_again(
    lake: Lake, daemon: Daemon, instance: dg.DagsterInstance
) -> None:
    daemon.tick()
    lake.drop("notes/note-001.md", note(90))
    instance.create_run_for_job(
        daemon.defs.resolve_job_def("files"), tags={PARTITION_TAG: "notes"}, status=dg.DagsterRunStatus.STARTED
    )
    assert daemon.asked() == []


def test_after_a_run_the_lake_job_follows_once_all_is_quiet(
    lake: Lake, daemon: Daemon, instance: dg.DagsterInstance
) -> None:
    daemon.asked()
    daemon.run("notes")
    other = instance.create_run_for_job(
        daemon.defs.resolve_job_def("files"), tags={PARTITION_TAG: "other"}, status=dg.DagsterRunStatus.STARTED
    )
    assert daemon.after() == [], "another shard runs: its own run will be followed"
    instance.report_run_failed(other)
    assert daemon.after() == [("lake", None)]
    assert daemon.after() == []
    assert daemon.defs.resolve_job_def("lake").execute_in_process(instance=instance).success
    assert len(lake.table(CORPUS_STATISTICS)) == 1


def test_what_remains_goes_on_and_what_is_stuck_waits_its_time(lake: Lake, daemon: Daemon) -> None:
    """With the engine down a run publishes keywords; the next one gets nowhere and must not be asked for at once."""
    with pytest.MonkeyPatch.context() as patch:

        def down(*_: object) -> None:
            raise EngineUnavailable("server is away", is_transient=True)

        patch.setattr(HashEmbedder, "embed_batch", down)
        daemon.asked()
        daemon.run("notes")
        assert daemon.after() == [("files", "notes")], "it did something and something remains"
        daemon.run("notes")
        assert daemon.after() == [("lake", None)], "it did nothing: no run after run"
        assert daemon.asked() == ["notes"], "the level-triggered sensor asks, ever later"
        daemon.run("notes")
        assert daemon.asked() == []
    assert daemon.run("notes").success
    lake.assert_sound()
