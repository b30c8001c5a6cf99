"""``cortex doctor`` over a real lake: well where all is well, and each thing that is wrong is found with its remedy."""

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from apps import actions, cli, reader
from apps.doctor import data, examine, machine
from apps.doctor.report import BAD, GOOD, WARNING, Diagnosis
from apps.supervisor.state import UP, WAITING, PartState, UpState, held, write_state
from resources.settings import Settings, load_settings

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("CORTEX_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("CORTEX_EMBED", "hash")
    monkeypatch.setenv("CORTEX_MIN_FREE", "1%,100MB")
    note = tmp_path / "data" / "inbox" / "notes" / "a.md"
    note.parent.mkdir(parents=True)
    note.write_text("# A\n\nThe tide stood high.\n", encoding="utf-8")
    actions.run()
    return load_settings()


@pytest.fixture(autouse=True)
def no_probes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The embedders are probed in one test only: each probe starts a process."""
    monkeypatch.setattr(
        machine, "probe_embedder", lambda settings, bulk: Diagnosis("machine", f"embedder {bulk}", GOOD, "not probed")
    )


def wrong() -> dict[str, Diagnosis]:
    return {one.name: one for one in reader.doctor().diagnoses if one.state != GOOD}


def test_where_all_is_well_nothing_is_bad(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert {name for name, one in wrong().items() if one.state == BAD} == set()
    assert cli.main(["doctor", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert {one["area"] for one in told["diagnoses"]} == {"machine", "data", "models", "sources", "lake", "lanes", "up"}


def test_a_source_that_is_gone_and_tables_that_are_damaged_are_named(settings: Settings, tmp_path: Path) -> None:
    place = tmp_path / "stick"
    place.mkdir()
    (place / "b.md").write_text("b\n", encoding="utf-8")
    actions.add(actions.preview_add(str(place)))
    shutil.rmtree(place)
    log = settings.lake / "silver" / "chunks" / "_delta_log"
    for file in log.glob("*.json"):
        file.write_text("{", encoding="utf-8")
    current = next(settings.index.glob("*/*/current.json"))
    current.write_text("{", encoding="utf-8")
    found = wrong()
    assert found["stick"].state == WARNING
    assert found["silver/chunks"].state == BAD
    assert found["index notes"].state == BAD
    assert all(one.remedy for one in found.values())


def test_a_registry_that_cannot_be_read_is_one_finding(settings: Settings) -> None:
    settings.sources_file.write_text("corpora: [", encoding="utf-8")
    assert wrong()["registry"].state == BAD


def test_an_interrupted_run_is_named(settings: Settings) -> None:
    code = f"""
        import os, signal
        from pathlib import Path
        from cortex_assets.engine.lease import shard_lease
        from cortex_assets.engine.live import Board
        board = Board(Path({str(settings.cache / "live")!r}), "command")
        with shard_lease(Path({str(settings.locks)!r}), "notes"), board.run("notes", "x"):
            os.kill(os.getpid(), signal.SIGKILL)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], cwd=ROOT, check=False)
    assert done.returncode == -signal.SIGKILL
    assert "interrupted" in wrong()["shard notes"].detail


def test_a_part_that_does_not_stay_up_is_bad_and_one_that_came_back_is_told(settings: Settings) -> None:
    with held(settings.up):
        parts = (
            PartState("app", WAITING, 0, "", 3, 0.0, "it ended with exit code 1: no room", "app.log"),
            PartState("worker", UP, os.getpid(), "", 1, 0.0, "it ended with SIGKILL", "worker.log"),
        )
        write_state(settings.up, UpState(os.getpid(), 0.0, parts))
        found = wrong()
    assert (found["app"].state, found["worker"].state) == (BAD, WARNING)
    assert "no room" in found["app"].detail
    assert found["app"].remedy == "see app.log"


def test_too_little_room_is_bad(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORTEX_MIN_FREE", "99.9%")
    assert wrong()["room"].state == BAD


def test_a_corpus_that_outgrew_its_shards_is_told_how_many(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    from apps.doctor import lake

    monkeypatch.setattr(lake, "advised_shards", lambda files: 4)
    assert wrong()["shards of notes"].remedy == "cortex reshard notes --shards 4"


def test_a_look_that_fails_is_a_finding_and_the_others_go_on(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    from apps.doctor import data

    monkeypatch.setattr(data, "examine", lambda settings: 1 / 0)
    report = examine.examine(settings)
    assert [one.area for one in report.diagnoses if one.state == BAD] == ["data"]
    assert any(one.area == "lake" for one in report.diagnoses)


def test_an_engine_that_crashes_takes_only_its_probe_down(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setenv("CORTEX_DATA", str(settings.data_dir))
    monkeypatch.setenv("CORTEX_EMBED", "hash")
    assert machine.probe_embedder(settings, bulk=False).state == GOOD
    monkeypatch.setattr(machine, "_PROBE", "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
    crashed = machine.probe_embedder(settings, bulk=True)
    assert crashed.state == BAD
    assert "crashed (signal 11)" in crashed.detail
    monkeypatch.setattr(machine, "_PROBE", "raise SystemExit('no such model')")
    assert "no such model" in machine.probe_embedder(settings, bulk=True).detail


def test_a_look_at_dagster_s_databases_makes_no_file(tmp_path: Path) -> None:
    """Whatever the folder is called: in an address, # and % mean something else."""
    settings = load_settings(tmp_path, {"DAGSTER_HOME": "a #b%41"})
    settings.dagster_home.mkdir(parents=True)
    (settings.dagster_home / "dagster.yaml").touch()
    database = settings.dagster_home / "runs.db"
    database.write_bytes(b"no database at all" * 100)
    found = {one.name: one for one in data.examine(settings)}
    assert found["DAGSTER_HOME"].state == BAD
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a #b%41"]
