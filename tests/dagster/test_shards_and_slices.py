"""Several shards and several slices: prepared before they run, finished though nothing is written, purged though cut off."""

import shutil
from typing import Any

import polars as pl
import pytest

from apps import actions, registering
from cortex_assets import partitions
from cortex_assets.corpora.schema import CORPORA, FILES
from cortex_assets.documents.schema import DOCUMENTS
from cortex_assets.engine import chain, intake, stage
from tests.dagster.lake import Lake, notes


@pytest.fixture
def sharded(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> Lake:
    """A lake whose shards take ten files at most, with a corpus of thirty."""
    monkeypatch.setattr(partitions, "FILES_PER_SHARD", 10)
    lake.drop_all(notes("notes", 30))
    return lake


def test_a_shard_run_from_outside_is_prepared_first(sharded: Lake) -> None:
    with sharded.house() as house:
        report = house.run_shard("notes")
        assert "4 shards" in report.notes[0]
        for shard in ("notes.00", "notes.01", "notes.02", "notes.03"):
            house.run_shard(shard)
    assert set(sharded.table(FILES)["shard"]) == {"notes.00", "notes.01", "notes.02", "notes.03"}
    assert sharded.table(FILES).height == 30
    sharded.assert_sound()


def test_a_folder_found_as_it_was_is_looked_at_once_for_all_shards(
    sharded: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    sharded.run()
    looks: list[bytes] = []
    walk = intake._walk

    def walked(corpus, state):  # type: ignore[no-untyped-def]
        looks.append(corpus.name)
        return walk(corpus, state)

    monkeypatch.setattr(intake, "_walk", walked)
    with sharded.house() as house:
        registry = house.sync_registry()
        (corpus,) = registry.corpora
        house.run_corpus(corpus, registry)
        assert looks == ["notes"]
        sharded.drop("notes/another.md", "the bittern booms in the reeds")
        house.run_corpus(corpus, registry)
    assert "notes/another.md" in sharded.cited("bittern in the reeds")
    sharded.assert_sound()


def test_a_mass_delete_is_confirmed_once_for_all_shards(sharded: Lake) -> None:
    sharded.run()
    for number in range(4, 30):
        sharded.delete(*notes("notes", 1, number))
    withheld = sharded.run().withheld
    assert withheld and sharded.table(FILES).height == 30
    actions.confirm(withheld[-1].scan_id)
    assert not sharded.run().withheld
    assert sharded.table(FILES).height == 4
    sharded.assert_sound()


def test_slices_go_on_where_nothing_had_to_be_written(lake: Lake) -> None:
    lake.set("CORTEX_SLICE_FILES", "3")
    lake.drop_all(notes("notes", 40))
    lake.run()
    oldest = next(iter(notes("notes", 1)))
    lake.drop(oldest, "an edit in the oldest file of all, about cormorants", age=90_000)
    shutil.rmtree(lake.settings.cache)
    lake.run()
    assert lake.cited("cormorants in the oldest file") >= lake.cited("cormorants", 1)
    assert any("cormorants" in text for text in lake.table(DOCUMENTS)["text"])
    lake.assert_sound()


def test_a_purge_that_was_cut_off_is_not_undone(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    lake.drop(lake.root / "elsewhere" / "a.txt", "herons stand in the shallow water")
    lake.add(lake.root / "elsewhere", "elsewhere")
    lake.run()

    def cut(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(registering, "_purge_shard", cut)
        with pytest.raises(KeyboardInterrupt):
            actions.remove("elsewhere", purge=True)
    lake.run()
    assert not lake.table(CORPORA).row(0, named=True)["is_listed"]
    removed = actions.remove("elsewhere", purge=True)
    assert removed.rows >= 3 and removed.points >= 1
    assert lake.table(CORPORA).is_empty() and lake.table(FILES).is_empty()


def test_a_mailbox_of_many_slices_is_planned_once(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its messages are of one file; they come in several slices, and nothing of them is read twice."""
    message = "From a@b.c Thu Jan  1 10:00:00 2026\nFrom: a@b.c\nSubject: Topic {0}\nMessage-ID: <{0}@b.c>\n\nThe {0}th word.\n\n"
    lake.drop("mail/all.mbox", "".join(message.format(number) for number in range(50)))
    monkeypatch.setattr(chain, "SLICE_WEIGHT", 12 * (stage.KEY_WEIGHT + 50))
    plans: list[str] = []
    read: list[str] = []
    slices: list[int] = []
    plan, fetch, run_slice = stage.MapStage.plan, stage.MapStage._fetch, chain.Chain.run_slice

    def planned(self: stage.MapStage, *args: Any) -> Any:
        plans.append(self.name)
        return plan(self, *args)

    def fetched(self: stage.MapStage, shard: str, batch: pl.DataFrame) -> pl.DataFrame:
        rows = fetch(self, shard, batch)
        read.extend(rows[self.derivation.key] if self.name == "chunks" else ())
        return rows

    def sliced(self: chain.Chain, shard: str, number: int, *args: Any) -> Any:
        slices.append(number)
        return run_slice(self, shard, number, *args)

    monkeypatch.setattr(stage.MapStage, "plan", planned)
    monkeypatch.setattr(stage.MapStage, "_fetch", fetched)
    monkeypatch.setattr(chain.Chain, "run_slice", sliced)
    lake.run()
    assert len(slices) >= 4
    assert plans.count("chunks") == 1
    assert len(read) == len(set(read)) == 50
    lake.assert_sound()
    assert lake.run_counted()[1] == {"parsed": 0, "chunked": 0, "embedded": 0, "published": 0}
