"""Maintenance takes out what nothing names any more, and every file below the data folder lies in a known place."""

import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath

import polars as pl

from apps import actions
from cortex_assets.chunks.schema import CHUNKS
from cortex_assets.embeddings.schema import EMBEDDINGS
from cortex_assets.engine.care import TABLES
from cortex_assets.engine.holders import HOLDERS, holder_of
from cortex_assets.engine.lease import Lease
from cortex_assets.engine.leftovers import PLACES, leftovers
from cortex_assets.engine.sweeps import sweep_vectors
from cortex_assets.ops.schema import SNAPSHOTS
from tests.dagster.lake import NO_WORK, Lake, note, notes

DAY = timedelta(days=1)


def texts(lake: Lake) -> set[str]:
    return set(lake.table(EMBEDDINGS)["embed_hash"])


def test_vectors_of_deleted_texts_go_after_the_retention_and_no_others(lake: Lake) -> None:
    lake.drop_all(notes("notes", 4))
    lake.run()
    everything = texts(lake)
    lake.delete("notes/note-000.md")
    lake.run()
    named = set(lake.table(CHUNKS)["embed_hash"])
    assert named < everything
    space = frozenset(lake.table(EMBEDDINGS)["space_id"])
    now = datetime.now(UTC)
    with lake.house() as house:
        assert sweep_vectors(house.lake, space, timedelta(days=7), DAY, now) == 0
        assert sweep_vectors(house.lake, space, timedelta(0), DAY, now) == 0, "younger than 24 hours"
        assert sweep_vectors(house.lake, space, timedelta(days=7), DAY, now + 8 * DAY) == len(everything - named)
        assert sweep_vectors(house.lake, space, timedelta(days=7), DAY, now + 8 * DAY) == 0
    assert texts(lake) == named
    lake.assert_sound()
    assert lake.run_counted()[1] == NO_WORK


def test_vectors_of_a_space_that_nothing_uses_go_and_those_of_one_to_come_stay(lake: Lake) -> None:
    lake.drop_all(notes("notes", 2))
    lake.run()
    now = datetime.now(UTC)
    rows, snapshots = lake.table(EMBEDDINGS), lake.table(SNAPSHOTS)
    used = frozenset(rows["space_id"])
    with lake.house() as house:
        for space in ("left", "coming"):
            house.lake.append(EMBEDDINGS, rows.with_columns(space_id=pl.lit(space)))
        house.lake.append(SNAPSHOTS, snapshots.with_columns(space_id=pl.lit("left")))
        assert sweep_vectors(house.lake, used, timedelta(days=7), DAY, now + DAY) == 0
        assert sweep_vectors(house.lake, used, timedelta(days=7), DAY, now + 8 * DAY) == rows.height
    assert set(lake.table(EMBEDDINGS)["space_id"]) == {*used, "coming"}


def left(lake: Lake, place: str, now: float | None = None) -> list[str]:
    """What is left over in a place, as names relative to it."""
    with lake.house() as house:
        corpora = house.register.corpora()
        spaces = {corpus.space_id: list(corpus.shards) for corpus in corpora}
        ids = {corpus.corpus_id for corpus in corpora}
    names = [table.name for table in TABLES]
    paths = leftovers(place, lake.settings, ids, names, spaces, ["dropped"], now or time.time())
    return [str(path.relative_to(lake.settings.data_dir / place)) for path in paths]


def age(*paths: Path) -> None:
    for path in paths:
        os.utime(path, (1.0, 1.0))


def test_checkouts_of_unknown_corpora_go_when_they_are_old(lake: Lake) -> None:
    lake.drop_all(notes("notes", 1))
    lake.run()
    git = lake.settings.cache / "git"
    with lake.house() as house:
        (corpus,) = house.register.corpora()
    for name in (corpus.corpus_id, "gone", "fresh"):
        (git / name / ".git").mkdir(parents=True)
    age(git / corpus.corpus_id, git / "gone")
    assert left(lake, "cache/git") == ["gone"]
    actions.maintain()
    assert {path.name for path in git.iterdir()} == {corpus.corpus_id, "fresh"}


def test_leftovers_of_killed_processes_and_of_corpora_that_are_gone(lake: Lake) -> None:
    """Each place with something that goes, something too young, and something that is needed."""
    lake.drop_all(notes("notes", 1))
    lake.run()
    data, cache = lake.settings.data_dir, lake.settings.cache
    (space,) = list(lake.settings.index.iterdir())
    made = {
        "cache": ["producers.json.123", "digests.json.tmp", "format.json.77"],
        "cache/columns": ["silver.nothing-0123.parquet", "silver.chunks-0123.parquet.x.new"],
        "cache/crew": ["4194304999-abc"],
        "cache/dagster-events": ["1.new", "2.json"],
        "cache/live": ["nobody.json", "notes.json.4194304999"],
        "index": [f"{space.name}/nobody", "dropped"],
        "locks": ["nobody.lock"],
        "restoring": [],
        "snapshots": ["format-1-20260101T000000"],
    }
    assert {*made, "cache/git"} == set(PLACES)
    folders = {"4194304999-abc", f"{space.name}/nobody", "dropped", "format-1-20260101T000000"}
    for place, names in made.items():
        for name in names:
            path = data / place / name
            (path if name in folders else path.parent).mkdir(parents=True, exist_ok=True)
            if name not in folders:
                path.write_text("x")
            else:
                (path / "file").write_text("x")
    young = {place: left(lake, place) for place in made}
    assert young["cache"] == [] and young["locks"] == [] and young["snapshots"] == []
    assert young["index"] == ["dropped"]
    for place, names in made.items():
        age(*(data / place / name for name in names))
    assert {place: left(lake, place) for place in made} == {place: sorted(names) for place, names in made.items()}
    with Lease(lake.settings.locks, "nobody"):
        age(data / "locks" / "nobody.lock")
        assert left(lake, "locks") == []
    age(data / "locks" / "nobody.lock")
    (data / "restoring" / "new").mkdir(parents=True)
    (data / "restoring" / "new" / "file").write_text("x")
    would = actions.maintain(is_dry_run=True)
    assert {table.name for table in would.tables} >= {f"leftovers in {place}" for place in made if place != "index"}
    assert all((data / place / name).exists() for place, names in made.items() for name in names), "nothing was done"
    actions.maintain()
    for place, names in made.items():
        for name in names:
            assert (data / place / name).exists() is (name == "dropped"), f"{place}/{name}"
    assert not (data / "restoring").exists()
    assert (cache / "state.sqlite").exists() and (cache / "live" / "notes.json").exists()
    lake.assert_sound()
    assert lake.run_counted()[1] == NO_WORK


def test_every_file_below_the_data_folder_lies_in_a_known_place(lake: Lake) -> None:
    lake.drop_all(notes("notes", 3) | {"notes/copy.md": note(1), "notes/broken.pdf": b"%PDF-1.4 no"})
    lake.run()
    lake.delete("notes/note-002.md")
    lake.run()
    data = lake.settings.data_dir
    files = [PurePosixPath(path.relative_to(data)) for path in data.rglob("*") if path.is_file()]
    assert [str(path) for path in files if holder_of(path) is None] == []
    used = {holder.place for path in files if (holder := holder_of(path)) is not None}
    assert {"inbox", "raw", "index", "cache/state.sqlite*", "lake/bronze/files", "lake/silver/embeddings"} <= used
    assert len({holder.place for holder in HOLDERS}) == len(HOLDERS)
    assert holder_of(PurePosixPath("lake/silver/something")) is None
