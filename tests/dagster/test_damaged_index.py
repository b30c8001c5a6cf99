"""The index is a projection: whatever happens to its files, verify says so, and repair or the next edit builds it anew."""

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from apps import actions, reader
from cortex_assets import house
from resources.vectors.edge import EdgeStore
from tests.dagster.lake import Lake, notes


def lose_a_segment(shard: Path) -> None:
    shutil.rmtree(next(shard.glob("seg-*")))


def tear_current(shard: Path) -> None:
    (shard / "current.json").write_text('{"format":')


def tear_points(shard: Path) -> None:
    for file in next(shard.glob("seg-*")).joinpath("edge").rglob("*"):
        if file.is_file():
            file.write_bytes(b"")


def tear_sidecar(shard: Path) -> None:
    for file in next(shard.glob("seg-*")).glob("*"):
        if file.is_file():
            file.write_bytes(file.read_bytes()[:40])


FLAT, EDGE = 2_000, 0
"""Points below which a segment is one file."""
DAMAGES = [(lose_a_segment, FLAT), (tear_current, FLAT), (tear_sidecar, FLAT)]
DAMAGES += [(lose_a_segment, EDGE), (tear_points, EDGE), (tear_sidecar, EDGE)]


@pytest.fixture(params=DAMAGES, ids=lambda case: f"{case[0].__name__}-{'flat' if case[1] else 'edge'}")
def damaged(request: pytest.FixtureRequest, lake: Lake, monkeypatch: pytest.MonkeyPatch) -> Lake:
    damage: Callable[[Path], None] = request.param[0]
    monkeypatch.setattr(house, "EdgeStore", partial(EdgeStore, flat_points=request.param[1]))
    lake.drop_all(notes("notes", 4))
    lake.run()
    (current,) = lake.settings.index.glob("*/notes/current.json")
    damage(current.parent)
    return lake


def test_verify_finds_and_repairs_damage(damaged: Lake) -> None:
    (finding,) = [f for f in actions.verify().findings if f.detail.startswith("index")]
    assert "damaged" in finding.detail
    reader.status()
    damaged.plan()
    assert all(finding.is_repaired for finding in actions.verify(repair=True).findings)
    damaged.assert_sound()
    assert len(damaged.found("note")) == 4


def test_the_next_edit_builds_it_anew(request: pytest.FixtureRequest, damaged: Lake) -> None:
    if request.node.callspec.params["damaged"][0] is tear_points:
        pytest.skip("only reading the points shows it, which is what verify is for")
    damaged.drop("notes/new.md", "# New\n\nA quixotic barometer fell into the sea.\n")
    report = damaged.run()
    assert report.errors == ()
    assert damaged.found("quixotic barometer")[0] == "new.md"
