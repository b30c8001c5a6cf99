"""The short way of a run that has nothing to do: taken only when nothing moved, whatever it is that moved."""

import json
import os
from pathlib import Path

import pytest

from apps import actions, resting
from apps.reports import RunReport
from cortex_assets.engine import rest
from cortex_assets.engine.lease import shard_lease
from cortex_assets.engine.stamp import Stamp, code_stamp
from resources.settings import Settings, load_settings
from resources.state import State

LONG_AGO = 1_760_000_000


def report(settings: Settings) -> RunReport | None:
    with resting.looked(settings) as found:
        return found


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    os.utime(path, (LONG_AGO, LONG_AGO))


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A lake over one note, just brought up to date."""
    data = tmp_path_factory.mktemp("rest") / "data"
    write(data / "inbox" / "notes" / "tide.md", "# Tide\n\nHigh water stood at four metres.\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CORTEX_DATA", str(data))
        patch.setenv("CORTEX_EMBED", "hash")
        made = actions.run()
        assert [line.new for line in made.stages] == [1, 1, 1, 1, 1]
        return load_settings()


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, lake: Settings) -> None:
    monkeypatch.setenv("CORTEX_DATA", str(lake.data_dir))
    monkeypatch.setenv("CORTEX_EMBED", "hash")


def test_a_run_after_a_complete_one_takes_the_short_way(lake: Settings) -> None:
    found = report(lake)
    assert found is not None
    assert found.is_clean
    assert {line.stage: line.unchanged for line in found.stages} == {
        "files": 0,
        "documents": 1,
        "chunks": 1,
        "embeddings": 0,
        "index": 1,
    }
    assert not any(line.new + line.changed + line.deleted for line in found.stages)


def test_the_usual_way_says_the_same(lake: Settings) -> None:
    from apps.progress import silent
    from apps.running import run

    usual, short = run(None, silent), report(lake)
    assert short is not None
    assert [(s.stage, s.new, s.unchanged) for s in usual.stages] == [
        (s.stage, s.new, s.unchanged) for s in short.stages
    ]


def test_whatever_moves_is_seen(lake: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    note = lake.inbox / "notes" / "tide.md"
    text, before = note.read_text(encoding="utf-8"), report(lake)
    assert before is not None

    note.write_text(text + "More.\n", encoding="utf-8")
    assert report(lake) is None
    write(note, text)
    assert report(lake) is None, "another ctime: the usual way has to look at the content"
    actions.run()
    assert report(lake) is not None

    extra = lake.inbox / "more"
    extra.mkdir()
    assert report(lake) is None
    extra.rmdir()
    assert report(lake) is not None

    lake.sources_file.write_text("corpora: {}\n", encoding="utf-8")
    assert report(lake) is None
    lake.sources_file.unlink()

    other = load_settings(environment={"CORTEX_DATA": str(lake.data_dir), "CORTEX_EMBED": "packaged"})
    assert report(other) is None
    with shard_lease(lake.locks, "notes"):
        assert report(lake) is None
    with monkeypatch.context() as patch:
        patch.setattr(rest, "code_stamp", lambda: Stamp("edited", 0))
        assert report(lake) is None
    assert report(lake) is not None


def test_a_moved_table_and_a_lost_index_are_seen(lake: Settings) -> None:
    commit = max((lake.lake / "bronze" / "documents" / "_delta_log").glob("*.json"))
    newer = commit.with_name(f"{int(commit.stem) + 1:020d}.json")
    newer.write_text("{}")
    assert report(lake) is None
    newer.unlink()
    assert report(lake) is not None
    (pointer,) = lake.index.glob("*/*/current.json")
    away = pointer.with_suffix(".away")
    pointer.rename(away)
    assert report(lake) is None
    away.rename(pointer)
    assert report(lake) is not None


def test_a_failure_that_is_due_is_retried(lake: Settings) -> None:
    with State(lake.cache / "state.sqlite") as state:
        text = state.meta(resting.RECORD)
        assert text is not None
        state.set_meta(resting.RECORD, json.dumps(json.loads(text) | {"due": "2020-01-01T00:00:00+00:00"}))
        assert report(lake) is None
        state.set_meta(resting.RECORD, text)
    assert report(lake) is not None


def test_code_stamp_moves_with_the_code(tmp_path: Path) -> None:
    write(tmp_path / "apps" / "one.py", "A = 1\n")
    before = code_stamp(tmp_path)
    assert code_stamp(tmp_path) == before
    assert not before.is_what_runs, "a file written just now may have been imported before"
    write(tmp_path / "apps" / "one.py", "A = 2\n")
    assert code_stamp(tmp_path).digest != before.digest
