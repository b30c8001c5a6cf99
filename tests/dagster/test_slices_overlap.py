"""While a slice goes on, other processes write the index segments of the one before: the same lake, whatever happens meanwhile."""

import signal
from collections.abc import Mapping

import polars as pl
import pytest

from apps import actions
from apps.reports import RunReport
from cortex_assets.chunks import derive as chunking
from cortex_assets.engine import fresh, publication
from cortex_assets.engine.chain import Chain
from cortex_assets.engine.embed import EmbedStage
from cortex_assets.engine.grown import Files, added_files
from cortex_assets.engine.lacking import LackingTexts
from cortex_assets.engine.project import IndexStage
from cortex_assets.engine.stage import MapStage
from cortex_assets.engine.wanted import WantedPoints
from cortex_assets.workshop import Workshop
from resources.lakehouse import LakeError, Lakehouse
from tests.dagster.contents import contents
from tests.dagster.lake import Lake, notes

FILES = 60
SMALL: Mapping[object, Mapping[str, int]] = {
    chunking: {"FRAME_DOCUMENTS": 3, "SHARED_FROM": 1},
    publication: {"SHARED_FROM": 10, "LEAST_SHARE": 5, "PUBLISH_POINTS": 20},
    fresh: {"LEAST_ROWS": 1},
}
"""Thresholds at which some dozens of notes are shared."""
KILLED_AT_THE = """
import os, signal
from apps import actions
from cortex_assets.chunks import derive
from cortex_assets.engine import fresh, publication
from resources.vectors.edge import EdgeStore

derive.FRAME_DOCUMENTS, derive.SHARED_FROM = 3, 1
publication.SHARED_FROM, publication.LEAST_SHARE, publication.PUBLISH_POINTS = 10, 5, 20
fresh.LEAST_ROWS = 1
publish, seen = EdgeStore.publish, []

def dying(self, *args):
    seen.append(1)
    if len(seen) == {number}:
        os.kill(os.getpid(), signal.SIGKILL)
    return publish(self, *args)

EdgeStore.publish = dying
actions.run(None)
"""


@pytest.fixture(autouse=True)
def small_shares(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, values in SMALL.items():
        for name, value in values.items():
            monkeypatch.setattr(module, name, value)


@pytest.fixture
def sliced(lake: Lake) -> Lake:
    """A lake of which a run takes four slices: of six files, then of twenty-four."""
    lake.set("CORTEX_WORKERS", "2")
    lake.set("CORTEX_SLICE_FILES", "6")
    lake.drop_all(notes("notes", FILES))
    return lake


def counted(report: RunReport, stage: str) -> tuple[int, int, int]:
    line = next(line for line in report.stages if line.stage == stage)
    return line.new, line.changed, line.deleted


def test_overlapping_slices_make_what_one_process_makes(sliced: Lake, another_lake) -> None:
    report = sliced.run()
    points = sliced.points()["notes"]
    assert counted(report, "index") == (len(points), 0, 0)
    assert not any(line.unchanged for line in report.stages), "all of it is new"
    assert next(line for line in report.stages if line.stage == "index").remaining == 0
    sliced.assert_sound()
    shared = contents(with_vectors=True)
    assert not list((sliced.settings.cache / "crew").glob("*")), "segments, frames and vectors on their way are gone"
    assert sliced.run_counted()[1] == {"parsed": 0, "chunked": 0, "embedded": 0, "published": 0}
    alone = another_lake("alone")
    alone.set("CORTEX_WORKERS", "1")
    alone.drop_all(notes("notes", FILES))
    alone.run()
    assert contents(with_vectors=True) == shared


def test_a_slice_is_published_while_the_next_one_goes_on(sliced: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    publish, run = publication.Publication._publish, MapStage.run

    def published(self, points):  # type: ignore[no-untyped-def]
        order.append("publish")
        publish(self, points)

    def ran(self, *args):  # type: ignore[no-untyped-def]
        report = run(self, *args)
        if self.name == "chunks":
            order.append(self.name)
        return report

    monkeypatch.setattr(publication.Publication, "_publish", published)
    monkeypatch.setattr(MapStage, "run", ran)
    sliced.run()
    last_stage = len(order) - 1 - order[::-1].index("chunks")
    assert "publish" in order[:last_stage]
    assert order[-1] == "publish"


def test_what_a_slice_makes_is_there_for_the_next_run_where_a_later_slice_fails(
    sliced: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    slices = Chain.run_slice

    def failing(self, shard, number, *args):  # type: ignore[no-untyped-def]
        if number == 2:
            raise LakeError("the third slice fails")
        return slices(self, shard, number, *args)

    with monkeypatch.context() as patch:
        patch.setattr(Chain, "run_slice", failing)
        report = sliced.run()
    assert "the third slice fails" in report.errors[0]
    assert not list((sliced.settings.cache / "crew").glob("*"))
    assert sliced.run().is_clean
    assert len(sliced.points()["notes"]) >= FILES
    sliced.assert_sound()


@pytest.mark.slow
@pytest.mark.parametrize("number", [1, 2, 4])
def test_killed_while_segments_are_on_their_way_and_run_again(sliced: Lake, another_lake, number: int) -> None:
    process = sliced.start(KILLED_AT_THE.format(number=number))
    process.communicate(timeout=120)
    assert process.returncode == -signal.SIGKILL
    sliced.run()
    sliced.assert_sound()
    again = contents(with_vectors=True)
    clean = another_lake("clean")
    clean.drop_all(notes("notes", FILES))
    clean.run()
    assert contents(with_vectors=True) == again


def test_a_point_published_early_and_again_counts_once(sliced: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    chain = Workshop.chain

    def early(self, corpus, registry):  # type: ignore[no-untyped-def]
        made = chain(self, corpus, registry)
        embed, index = made.stages[-2:]
        assert isinstance(embed, EmbedStage) and isinstance(index, IndexStage)
        embed._before_long, embed._long_tokens = index, 0
        return made

    monkeypatch.setattr(Workshop, "chain", early)
    report = sliced.run()
    assert counted(report, "index") == (len(sliced.points()["notes"]), 0, 0)
    sliced.assert_sound()


def test_vectors_of_this_run_are_not_read_back_and_others_are(sliced: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    pick = Lakehouse.pick

    def picked(self, table, where, column, values, columns):  # type: ignore[no-untyped-def]
        asked.append(len(values))
        return pick(self, table, where, column, values, columns)

    monkeypatch.setattr(Lakehouse, "pick", picked)
    sliced.set("CORTEX_WORKERS", "1")
    sliced.run()
    assert asked and not any(asked)
    with sliced.house() as house:
        (corpus,) = house.register.corpora()
        house.store.drop(corpus.space_id, "notes")
    sliced.run()
    assert sum(asked) == len(set(sliced.points()["notes"]))
    sliced.assert_sound()


def test_a_damaged_index_met_while_segments_are_on_their_way_is_built_anew(
    sliced: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    sliced.run()
    sliced.drop_all(notes("notes", FILES, FILES))
    damaged: list[int] = []
    publish = publication.Publication._publish

    def publishing(self, points):  # type: ignore[no-untyped-def]
        if not damaged:
            damaged.append(1)
            for folder in self._store.segment_folders(self._space.space_id, self._shard):
                (folder / "points.arrow").write_bytes(b"no such file")
            self._store.close()
        publish(self, points)

    monkeypatch.setattr(publication.Publication, "_publish", publishing)
    report = actions.run(None)
    assert damaged
    assert any("built anew" in note for note in report.notes)
    assert len(sliced.points()["notes"]) >= 2 * FILES
    sliced.assert_sound()


def test_a_slice_looks_only_at_what_was_added(sliced: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """And finds what a look at everything finds."""
    points: list[tuple[int, int]] = []
    texts: list[int] = []
    grown, since = WantedPoints.grown, LackingTexts.since

    def changes(self: WantedPoints, shard: str, generation: int) -> publication.Changes | None:
        found = grown(self, shard, generation)
        if found is not None:
            wanted, upserts, deletes = self.pending(shard)
            assert (found.points, sorted(found.upserts["chunk_id"]), deletes) == (wanted.height, upserts, [])
            points.append((len(upserts), wanted.height))
        return found

    def lacking(self: LackingTexts, shard: str, now: Files) -> pl.DataFrame:
        found = since(self, shard, now)
        assert found.equals(self.every(shard))
        texts.append(found.height)
        return found

    monkeypatch.setattr(WantedPoints, "grown", changes)
    monkeypatch.setattr(LackingTexts, "since", lacking)
    sliced.run()
    sliced.assert_sound()
    assert points, "no slice knew where the one before ended"
    assert all(0 < upserts < wanted for upserts, wanted in points)
    assert len(texts) == 4 and all(texts[:3])


def test_slices_of_edits_look_at_everything(sliced: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    sliced.run()
    sliced.drop_all({name: f"{text}\n\nAnd more.\n" for name, text in notes("notes", FILES).items()})
    known: list[publication.Changes | None] = []
    grown = WantedPoints.grown
    monkeypatch.setattr(WantedPoints, "grown", lambda *args: known.append(grown(*args)) or known[-1])
    sliced.run()
    assert known and not any(known)
    sliced.assert_sound()


def test_files_that_came_are_told_only_while_none_has_gone() -> None:
    here, more, other = frozenset({"a"}), frozenset({"a", "b"}), frozenset({"b"})
    assert added_files({"t": here}, {"t": more}) == {"t": {"b"}}
    assert added_files({"t": here}, {"t": other}) is None
