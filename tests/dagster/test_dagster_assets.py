"""What Dagster sees: assets, metadata, partitioned checks, subsets, a shard that is busy, runs from outside."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import polars as pl
import pytest

from apps.dagster_ui import prepare_home
from cortex_assets.chunks.schema import CHUNKS
from cortex_assets.corpora.schema import FILES, SCANS
from cortex_assets.definitions import FILES_SHARDS, build_defs
from cortex_assets.documents.schema import DOCUMENTS
from cortex_assets.embeddings.schema import EMBEDDINGS
from cortex_assets.engine.assets import WARNINGS, checks_of
from cortex_assets.engine.lease import shard_lease
from tests.dagster.lake import STAGES, Lake, note, notes, outside_ops

Damage = Callable[[Lake], None]


@pytest.fixture
def instance(monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    """A Dagster of its own, in memory, that tells nobody."""
    monkeypatch.setenv("DAGSTER_DISABLE_TELEMETRY", "yes")
    with dg.DagsterInstance.ephemeral() as made:
        yield made


@pytest.fixture
def filled(lake: Lake) -> Lake:
    lake.drop_all(notes("notes", 3))
    lake.drop("notes/tide.py", "def tide(hours):\n    return hours % 12\n")
    return lake


def materialize(
    lake: Lake, instance: dg.DagsterInstance, *, only: Any = None, shard: str = "notes"
) -> dg.ExecuteInProcessResult:
    """Run the job ``files`` for a shard, or a part of it."""
    job = build_defs(lake.settings).resolve_job_def("files")
    instance.add_dynamic_partitions(FILES_SHARDS, [shard])
    return job.execute_in_process(partition_key=shard, instance=instance, asset_selection=only)


def shown(result: dg.ExecuteInProcessResult) -> dict[str, dict[str, Any]]:
    """Asset to the metadata of its materialization."""
    events = result.get_asset_materialization_events()
    assert {event.partition for event in events} <= {"notes"}
    return {
        event.asset_key.to_user_string(): {name: value.value for name, value in event.materialization.metadata.items()}
        for event in events
    }


def failed(result: dg.ExecuteInProcessResult) -> set[tuple[str, str]]:
    """(asset, check) of the checks that did not pass; all of them are there."""
    evaluations = result.get_asset_check_evaluations()
    assert {(e.asset_key.to_user_string(), e.check_name) for e in evaluations} == {
        (s, c) for s in STAGES for c in checks_of(s)
    }
    assert {e.partition for e in evaluations} == {"notes"}
    return {(e.asset_key.to_user_string(), e.check_name) for e in evaluations if not e.passed}


def test_definitions_load_and_open_nothing(lake: Lake) -> None:
    defs = build_defs(lake.settings)
    dg.Definitions.validate_loadable(defs)
    graph = defs.resolve_asset_graph()
    keys = {key.to_user_string() for key in graph.get_all_asset_keys()}
    assert keys == {*STAGES, "duplicates", "corpus_statistics", "evaluations", "model_calls"}
    parents = {
        key.to_user_string(): {parent.to_user_string() for parent in graph.get(key).parent_keys}
        for key in graph.get_all_asset_keys()
    }
    assert parents["files"] == set()
    assert parents["chunks"] == {"documents"}
    assert parents["index"] == {"chunks", "documents", "embeddings"}
    assert parents["corpus_statistics"] == {"files", "documents", "chunks"}
    assert parents["evaluations"] == {"index"}
    for key in graph.get_all_asset_keys():
        node = graph.get(key)
        assert node.description
        assert node.owners == ["team:cortex"]
        assert node.kinds
        assert node.group_name != "default"
        assert node.is_partitioned == (key.to_user_string() in STAGES)
    schema = graph.get(dg.AssetKey("chunks")).metadata["dagster/column_schema"]
    assert [column.name for column in schema.columns] == list(CHUNKS.dtypes)
    assert {job.name for job in defs.resolve_all_job_defs() if not job.name.startswith("__")} == {
        "files",
        "lake",
        "maintain",
        "verify",
        "evaluate",
        "lanes_health",
    }
    assert not lake.settings.lake.exists()


def test_the_job_shows_what_it_did_and_its_checks_pass(filled: Lake, instance: dg.DagsterInstance) -> None:
    result = materialize(filled, instance)
    assert result.success
    assert failed(result) == set()
    metadata = shown(result)
    assert list(metadata) == list(STAGES)
    assert [metadata[stage]["new"] for stage in STAGES[:3]] == [4, 4, len(filled.table(CHUNKS))]
    for stage in STAGES:
        counts = {
            "new",
            "changed",
            "unchanged",
            "deleted",
            "failed",
            "quarantined",
            "remaining",
            "rows written",
            "tokens",
        }
        assert counts <= metadata[stage].keys()
    assert metadata["embeddings"]["tokens"] > 20
    assert metadata["documents"]["delta version"] == filled.image().versions["bronze/documents"]

    filled.drop("notes/note-001.md", note(40))
    filled.delete("notes/note-002.md")
    again = shown(materialize(filled, instance))
    assert {stage: (again[stage]["changed"], again[stage]["deleted"]) for stage in ("files", "documents")} == {
        "files": (1, 1),
        "documents": (1, 1),
    }
    assert again["documents"]["delta version"] > metadata["documents"]["delta version"]
    idle = shown(materialize(filled, instance))
    assert {idle[stage][name] for stage in STAGES for name in ("new", "changed", "deleted", "rows written")} == {0}
    filled.assert_sound()
    assert instance.get_materialized_partitions(dg.AssetKey("index")) == {"notes"}


# -- checks that fail --------------------------------------------------------------------------------------------------


def without_schema(lake: Lake) -> None:
    with lake.house() as house:
        table = house.lake.open(DOCUMENTS)
        assert table is not None
        table.update({"kind": "'nonsense'"}, predicate="path = 'note-001.md'")


def without_file(lake: Lake) -> None:
    with lake.house() as house:
        house.lake.delete_where(FILES, "path", ["note-001.md"])


def without_document(lake: Lake) -> None:
    with lake.house() as house:
        house.lake.delete_where(DOCUMENTS, "path", ["note-001.md"])


def without_chunks(lake: Lake) -> None:
    with lake.house() as house:
        house.lake.delete_where(CHUNKS, "shard", ["notes"])


def without_vectors(lake: Lake) -> None:
    with lake.house() as house:
        spaces = [corpus.space_id for corpus in house.register.corpora()]
        house.lake.delete_where(EMBEDDINGS, "space_id", spaces)


def without_index(lake: Lake) -> None:
    with lake.house() as house:
        (corpus,) = house.register.corpora()
        house.store.drop(corpus.space_id, "notes")


def long_ago(lake: Lake) -> None:
    with lake.house() as house:
        scans = house.lake.scan(SCANS).collect()
        past = scans.with_columns(started_at=pl.lit(datetime.now(UTC) - timedelta(days=8)))
        house.lake.overwrite(SCANS, past.cast(SCANS.dtypes))


SEEDED: dict[str, tuple[Damage, set[tuple[str, str]]]] = {
    "a value that the schema forbids": (without_schema, {("documents", "schema")}),
    "a file's row": (without_file, {("documents", "orphans")}),
    "a document's row": (without_document, {("documents", "parity"), ("chunks", "orphans"), ("index", "parity")}),
    "chunks": (without_chunks, {("chunks", "parity"), ("index", "parity")}),
    "vectors": (without_vectors, {("embeddings", "parity"), ("index", "parity")}),
    "the index": (without_index, {("index", "parity")}),
    "no listing for eight days": (long_ago, {("files", "freshness")}),
}


def checks_only(lake: Lake, instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    """Only the checks, as the UI's button for them does: nothing is run, so nothing is repaired first."""
    job = build_defs(lake.settings).resolve_job_def("files")
    checks = {dg.AssetCheckKey(dg.AssetKey(stage), check) for stage in STAGES for check in checks_of(stage)}
    return job.get_subset(asset_check_selection=checks).execute_in_process(partition_key="notes", instance=instance)


@pytest.mark.parametrize("what", SEEDED)
def test_each_check_fails_on_seeded_damage_and_passes_after_a_run(
    filled: Lake, instance: dg.DagsterInstance, what: str
) -> None:
    damage, wanted = SEEDED[what]
    assert failed(materialize(filled, instance)) == set()
    damage(filled)
    before = outside_ops(filled.image().versions)
    result = checks_only(filled, instance)
    assert failed(result) == wanted
    assert shown(result) == {}
    assert outside_ops(filled.image().versions) == before, "a check writes what it found, nothing else"
    for evaluation in result.get_asset_check_evaluations():
        is_warning = evaluation.check_name in WARNINGS
        assert evaluation.severity == (dg.AssetCheckSeverity.WARN if is_warning else dg.AssetCheckSeverity.ERROR)
        assert (evaluation.metadata["findings"].value > 0) == (not evaluation.passed)
        assert bool(evaluation.metadata["examples"].value) == (not evaluation.passed)
    if what == "a value that the schema forbids":
        from apps import actions

        assert actions.verify(repair=True).is_sound
    assert failed(materialize(filled, instance)) == set()


# -- parts of the chain ------------------------------------------------------------------------------------------------


def test_a_selected_asset_is_materialized_alone(filled: Lake, instance: dg.DagsterInstance) -> None:
    materialize(filled, instance)
    before = filled.image().versions
    without_vectors(filled)
    without_chunks(filled)
    result = materialize(filled, instance, only=[dg.AssetKey("chunks")])
    assert list(shown(result)) == ["chunks"]
    after = filled.image().versions
    assert after["silver/chunks"] > before["silver/chunks"] + 1
    assert len(filled.table(EMBEDDINGS)) == 0
    materialize(filled, instance)
    filled.assert_sound()


def test_a_busy_shard_is_left_alone_and_fails_nothing(filled: Lake, instance: dg.DagsterInstance) -> None:
    materialize(filled, instance)
    filled.drop("notes/new.md", note(70))
    before = filled.image().versions
    with shard_lease(filled.settings.locks, "notes"):
        result = materialize(filled, instance)
    assert result.success
    assert shown(result) == {}
    assert filled.image().versions == before
    assert shown(materialize(filled, instance))["files"]["new"] == 1


def test_the_lake_job_refreshes_aggregates_and_globals(filled: Lake, instance: dg.DagsterInstance) -> None:
    filled.drop("notes/copy.md", note(1))
    materialize(filled, instance)
    job = build_defs(filled.settings).resolve_job_def("lake")
    result = job.execute_in_process(instance=instance)
    events = {
        e.asset_key.to_user_string(): e.materialization.metadata for e in result.get_asset_materialization_events()
    }
    assert events["duplicates"]["new"].value == 1
    assert events["corpus_statistics"]["rows"].value == 1
    events = job.execute_in_process(instance=instance).get_asset_materialization_events()
    counts = {
        name: value.value
        for event in events
        if event.asset_key != dg.AssetKey("model_calls")
        for name, value in event.materialization.metadata.items()
    }
    assert counts == {"new": 0, "changed": 0, "deleted": 0, "rows": 0}


# -- runs that Dagster did not start -----------------------------------------------------------------------------------


def test_a_run_from_outside_is_shown_where_there_is_a_dagster(filled: Lake, instance: dg.DagsterInstance) -> None:
    filled.run()
    assert not filled.settings.dagster_home.exists(), "who never opens the UI pays nothing"
    prepare_home(filled.settings.dagster_home)
    filled.drop("notes/new.md", note(70))
    filled.run()
    with dg.DagsterInstance.from_config(str(filled.settings.dagster_home)) as home:
        assert not home.telemetry_enabled
        assert home.get_dynamic_partitions(FILES_SHARDS) == ["notes"]
        outside = {}
        for stage in STAGES:
            event = home.get_latest_materialization_event(dg.AssetKey(stage))
            assert event is not None, stage
            assert event.asset_materialization is not None
            assert event.asset_materialization.partition == "notes"
            outside[stage] = event.asset_materialization.metadata
        assert [outside[stage]["new"].value for stage in STAGES] == [1] * 5
        records = home.get_materialized_partitions(dg.AssetKey("files"))
        filled.run()
        assert home.get_materialized_partitions(dg.AssetKey("files")) == records == {"notes"}
    filled.drop("notes/newer.md", note(71))
    inside = shown(materialize(filled, instance))
    assert {stage: set(outside[stage]) for stage in STAGES} == {stage: set(inside[stage]) for stage in STAGES}
