"""F14: from one embedding space to another, blue/green: the old index answers until the new one is whole, and again after a rollback."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from apps import actions, reader
from apps.errors import CommandError
from apps.migration_reports import KEPT, UNDER_WAY, MigrationLine
from cortex_assets.corpora.registry import Registered
from cortex_assets.embeddings.schema import EMBEDDINGS
from cortex_assets.engine.embed import EmbedStage
from cortex_assets.house import House
from cortex_assets.moving import GateVerdict, no_golden_set
from resources.vectors.protocol import BadQueryError
from tests.dagster.lake import NO_WORK, Lake, note, notes

QUESTION = "the old harbour near mark"


@pytest.fixture
def filled(lake: Lake) -> Lake:
    """Six notes by the hash embedder."""
    lake.drop_all(notes("notes", 6))
    lake.run()
    return lake


@pytest.fixture
def embedded(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """(space, texts) of every group that a run had embedded, by whatever engine."""
    calls: list[tuple[str, int]] = []
    real = EmbedStage._embed

    def counted(self: EmbedStage, rows: pl.DataFrame, *given: Any) -> Any:
        calls.append((self.space.space_id, rows.height))
        return real(self, rows, *given)

    monkeypatch.setattr(EmbedStage, "_embed", counted)
    return calls


def row(lake: Lake, name: str = "notes") -> Registered:
    with lake.house() as house:
        return next(corpus for corpus in house.register.corpora() if corpus.name == name)


def line(corpus: str = "notes") -> MigrationLine:
    (found,) = reader.migrations(corpus).lines
    return found


def indexed(lake: Lake) -> dict[str, dict[str, bool]]:
    """Space to the points that its index really holds, and whether they have vectors."""
    with lake.house() as house:
        found = {}
        for corpus in house.register.corpora():
            for space_id in corpus.every_space:
                frames = [house.store.real_points(space_id, shard) for shard in house.store.shards(space_id)]
                points = pl.concat(frames) if frames else pl.DataFrame({"chunk_id": [], "has_vector": []})
                assert points["chunk_id"].is_unique().all()
                found[space_id] = dict(points.select("chunk_id", "has_vector").iter_rows())
        return found


def asked_in(lake: Lake, question: str = QUESTION) -> set[str]:
    """Spaces that the hits of a search came from."""
    from cortex_assets.searched import live_spaces

    with lake.house() as house:
        return {space.space_id for space in live_spaces(house, house.register.corpora()) if space.embed_query}


class Door:
    """A gate that refuses until it is opened."""

    def __init__(self) -> None:
        self.is_open = True
        self.asked: list[tuple[str, str, str]] = []

    def __call__(self, corpus: Registered, old_space: str, new_space: str) -> GateVerdict:
        self.asked.append((corpus.name, old_space, new_space))
        return GateVerdict(True, "as good") if self.is_open else GateVerdict(False, "recall@10 fell from .9 to .7")


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Door:
    """The gate of every house that is opened."""
    door, real = Door(), House.__init__

    def opened(self: House, *given: Any, **named: Any) -> None:
        real(self, *given, **named)
        self.gate = door

    monkeypatch.setattr(House, "__init__", opened)
    return door


def test_the_old_index_answers_until_the_new_one_is_whole(
    filled: Lake, embedded: list[tuple[str, int]], gate: Door
) -> None:
    gate.is_open = False
    old = row(filled).space_id
    said = [(hit.path, hit.score) for hit in filled.search(QUESTION).hits]
    assert said
    actions.migrate("notes", "packaged")
    new = row(filled).spaces.next
    assert new is not None and new.main.space_id != old
    assert (line().state, line().vectors, line().serving) == (UNDER_WAY, 0, (old,))
    assert [(hit.path, hit.score) for hit in filled.search(QUESTION).hits] == said
    filled.run()
    assert {space for space, _ in embedded} == {new.main.space_id}
    held = indexed(filled)
    assert held[old].keys() == held[new.main.space_id].keys() and all(held[new.main.space_id].values())
    assert asked_in(filled) == {old} and row(filled).space_id == old, "the gate refuses"
    assert [(hit.path, hit.score) for hit in filled.search(QUESTION).hits] == said
    assert any("recall@10 fell" in waits for waits in line().waits_for)
    filled.assert_sound()
    # an edit and a delete reach both in the same run
    filled.drop("notes/note-003.md", note(77))
    filled.delete("notes/note-004.md")
    filled.run()
    held = indexed(filled)
    assert held[old].keys() == held[new.main.space_id].keys() and all(held[new.main.space_id].values())
    assert "note-004.md" not in filled.found(QUESTION)
    filled.assert_sound()
    gate.is_open = True
    report = filled.run()
    assert any(f"is searched in space {new.main.space_id} now" in text for text in report.notes)
    assert asked_in(filled) == {new.main.space_id}
    assert set(gate.asked) == {("notes", old, new.main.space_id)}
    assert (line().state, line().other) == (KEPT, (old,))
    filled.assert_sound()
    filled.counts.reset()
    embedded.clear()
    filled.run()
    assert (filled.counts.work, embedded) == (NO_WORK, [])


def test_a_rollback_embeds_nothing_and_neither_does_the_way_forth_again(
    filled: Lake, embedded: list[tuple[str, int]]
) -> None:
    old, said = row(filled).space_id, filled.found(QUESTION)
    actions.migrate("notes", "packaged")
    filled.run()
    new = row(filled).space_id
    assert new != old
    embedded.clear()
    filled.drop("notes/note-007.md", note(7))
    filled.delete("notes/note-001.md")
    filled.run()
    assert {space for space, _ in embedded} == {old, new}, "what is new is embedded in both while one is kept"
    filled.assert_sound()
    embedded.clear()
    actions.roll_back("notes")
    assert row(filled).space_id == old and asked_in(filled) == {old}, "at once, without a run"
    assert (line().state, line().other) == (KEPT, (new,))
    assert "note-007.md" in filled.found("note 7") and "note-001.md" not in filled.found(QUESTION)
    assert set(said) - {"note-001.md"} <= set(filled.found(QUESTION))
    filled.run()
    filled.assert_sound()
    actions.roll_back("notes")
    assert row(filled).space_id == new
    assert embedded == [], "neither there nor back"
    filled.run()
    assert embedded == []
    filled.assert_sound()


def test_what_is_kept_goes_when_it_is_finished_or_old(filled: Lake, embedded: list[tuple[str, int]]) -> None:
    filled.set("CORTEX_RETENTION", "0")
    filled.set("CORTEX_SWEEP_AGE", "0")
    old = row(filled).space_id
    actions.migrate("notes", "packaged")
    filled.run()
    new = row(filled).space_id
    actions.maintain()
    assert row(filled).spaces.previous is None, "kept for as long as old versions stay"
    assert row(filled).spaces.cut == "hash", "chunks stay as they were cut"
    actions.maintain()
    assert set(filled.table(EMBEDDINGS)["space_id"]) == {new}
    assert [path.name for path in filled.settings.index.iterdir()] == [new]
    with pytest.raises(CommandError, match="nothing is kept"):
        actions.roll_back("notes")
    with pytest.raises(CommandError, match="nothing is kept"):
        actions.finish_migration("notes")
    filled.set("CORTEX_RETENTION", "7")
    actions.migrate("notes", "hash")
    filled.run()
    assert {space for space, _ in embedded} == {old, new} and row(filled).spaces.cut == ""
    actions.finish_migration("notes")
    with filled.house() as house:
        assert house.store.shards(new) == [] and house.store.shards(old) == ["notes"]
    filled.assert_sound()


def test_a_migration_is_abandoned(filled: Lake, gate: Door) -> None:
    gate.is_open = False
    old, said = row(filled).space_id, filled.found(QUESTION)
    actions.migrate("notes", "packaged")
    filled.run()
    new = row(filled).spaces.next
    assert new is not None
    with pytest.raises(CommandError, match="is on its way"):
        actions.migrate("notes", "packaged")
    actions.abandon_migration("notes")
    assert row(filled).every_space == [old]
    with filled.house() as house:
        assert house.store.shards(new.main.space_id) == []
    filled.run()
    assert filled.found(QUESTION) == said
    filled.assert_sound()
    with pytest.raises(CommandError, match="no migration"):
        actions.abandon_migration("notes")
    filled.set("CORTEX_RETENTION", "0")
    filled.set("CORTEX_SWEEP_AGE", "0")
    actions.maintain()
    assert set(filled.table(EMBEDDINGS)["space_id"]) == {old}


def test_what_cannot_be_begun_is_refused(filled: Lake) -> None:
    before = row(filled)
    with pytest.raises(CommandError, match="already"):
        actions.migrate("notes", "hash")
    with pytest.raises(Exception, match="none of packaged, hash, hf:org/name"):
        actions.migrate("notes", "gpt")
    with pytest.raises(Exception, match="cortex models pull org/name"):
        actions.migrate("notes", "hf:org/name")
    with pytest.raises(CommandError, match="no corpus"):
        actions.migrate("nobody", "packaged")
    assert row(filled) == before


def test_a_question_of_another_model_is_refused(filled: Lake) -> None:
    with filled.house() as house:
        space, vector = row(filled).space_id, np.ones(999, dtype=np.float32).tolist()
        with pytest.raises(BadQueryError, match="another model made it"):
            house.store.search_dense(space, ["notes"], vector, 3)
        assert house.store.search_dense(space, ["nowhere"], vector, 3) == []
    assert no_golden_set(row(filled), "a", "b").allows
