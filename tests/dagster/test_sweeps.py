"""Maintenance takes out what nothing names any more, and every file below the data folder lies in a known place."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath

import polars as pl

from cortex_assets.chunks.schema import CHUNKS
from cortex_assets.embeddings.schema import EMBEDDINGS
from cortex_assets.engine.care import sweep_checkouts, sweep_vectors
from cortex_assets.engine.holders import HOLDERS, holder_of
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
        assert sweep_vectors(house.lake, space, timedelta(days=7), now) == 0
        assert sweep_vectors(house.lake, space, timedelta(0), now) == 0, "younger than 24 hours"
        assert sweep_vectors(house.lake, space, timedelta(days=7), now + 8 * DAY) == len(everything - named)
        assert sweep_vectors(house.lake, space, timedelta(days=7), now + 8 * DAY) == 0
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
        assert sweep_vectors(house.lake, used, timedelta(days=7), now + DAY) == 0
        assert sweep_vectors(house.lake, used, timedelta(days=7), now + 8 * DAY) == rows.height
    assert set(lake.table(EMBEDDINGS)["space_id"]) == {*used, "coming"}


def test_checkouts_of_unknown_corpora_go_when_they_are_old(lake: Lake) -> None:
    lake.drop_all(notes("notes", 1))
    lake.run()
    git = lake.settings.cache / "git"
    with lake.house() as house:
        (corpus,) = house.registered()
        for name in (corpus.corpus_id, "gone", "fresh"):
            (git / name / ".git").mkdir(parents=True)
        for name in (corpus.corpus_id, "gone"):
            os.utime(git / name, (1.0, 1.0))
        assert sweep_checkouts(house.lake, git, 1_000.0) == 1
    assert {path.name for path in git.iterdir()} == {corpus.corpus_id, "fresh"}


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
