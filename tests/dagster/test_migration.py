"""F14: from one embedding space to another, blue/green: the old index answers until the new one is whole, and again after a rollback."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest

from apps import actions, reader
from apps.doctor.report import WARNING
from apps.errors import CommandError
from apps.migration_reports import KEPT, UNDER_WAY, MigrationLine
from apps.past import moments
from apps.reports import AddOptions
from apps.search_reports import SearchFilters
from cortex_assets import switching
from cortex_assets.asking import embedder, live_spaces
from cortex_assets.chunks.schema import CHUNKS
from cortex_assets.corpora.registry import Registered
from cortex_assets.corpora.spaces import Layout, Live
from cortex_assets.embeddings.schema import EMBEDDINGS
from cortex_assets.engine.embed import EmbedStage
from cortex_assets.engine.formats import SEVERAL_SPACES, format_of
from cortex_assets.engine.lease import shard_lease
from cortex_assets.gate import GateVerdict, no_golden_set
from cortex_assets.house import House
from cortex_assets.ops.schema import LAKE
from cortex_assets.retrieval.search import search_spaces
from cortex_assets.retrieval.sparse import query_terms
from inference.engines import hash_embedder
from inference.engines.bert_numpy import BertNumpy
from inference.errors import EngineReplyInvalid, EngineUnavailable, SpaceMismatch
from inference.lanes import parse_engine
from inference.models import model_folder, packaged_model
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


def asked_in(lake: Lake) -> set[str]:
    """Spaces that a search embeds its question for."""
    with lake.house() as house:
        return {space.space_id for space in live_spaces(house, house.register.now()) if space.embed_query}


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
    with filled.house() as house:
        house.register.save(replace(before, is_listed=False))
    filled.inbox.joinpath("notes").rename(filled.root / "aside")
    with pytest.raises(CommandError, match="is paused"):
        actions.migrate("notes", "packaged")
    filled.root.joinpath("aside").rename(filled.inbox / "notes")
    filled.run()
    assert row(filled) == before


def test_a_question_of_another_model_is_refused(filled: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    with filled.house() as house:
        space, vector = row(filled).space_id, np.ones(999, dtype=np.float32).tolist()
        with pytest.raises(BadQueryError, match="another model made it"):
            house.store.search_dense(space, ["notes"], vector, 3)
        assert house.store.search_dense(space, ["nowhere"], vector, 3) == []
        ask = embedder(house, row(filled).layout.main)
        other = house.workshop.embedders.get(parse_engine("packaged", "here"), bulk=False)
        monkeypatch.setattr(house.workshop.embedders, "get", lambda config, bulk: other)
        assert ask is not None
        with pytest.raises(SpaceMismatch, match="cannot be compared"):
            ask("anything")
    assert no_golden_set(row(filled), "a", "b").allows


CODE = {
    "mixed/gauge.py": "def read_tide_gauge(port: str) -> float:\n    '''Depth in metres.'''\n    return open_serial(port).depth\n",
    "mixed/ring.rs": "fn ring_buffer_push(value: u32) -> bool {\n    value > 0\n}\n",
}


def chunk_kinds(lake: Lake) -> dict[str, set[str]]:
    """Chunk ids, code apart from the rest."""
    chunks = lake.table(CHUNKS)
    is_code = pl.col("kind") == "code"
    return {"code": set(chunks.filter(is_code)["chunk_id"]), "rest": set(chunks.filter(~is_code)["chunk_id"])}


def test_code_has_a_model_of_its_own_and_one_question_goes_over_both(
    lake: Lake, embedded: list[tuple[str, int]]
) -> None:
    lake.drop_all({f"../../elsewhere/{name}": text for name, text in (notes("mixed", 5) | CODE).items()})
    lake.add(lake.root / "elsewhere" / "mixed", "mixed", AddOptions(code_model="packaged"))
    lake.run()
    corpus, kinds = row(lake, "mixed"), chunk_kinds(lake)
    main, code = (live.space_id for live in corpus.layout.lives)
    held = indexed(lake)
    assert (held[main].keys(), held[code].keys()) == (kinds["rest"], kinds["code"]) and kinds["code"]
    assert len(lake.table(EMBEDDINGS)) == len(kinds["rest"] | kinds["code"]), "every chunk has one vector"
    assert lake.found("read the tide gauge")[0] == "gauge.py"
    assert lake.found(QUESTION)[0].startswith("note-")
    with lake.house() as house:
        asked: list[str] = []
        spaces = []
        for space in live_spaces(house, house.register.now(), [corpus.name]):
            assert space.embed_query is not None
            spaces.append(replace(space, embed_query=partial(_noted, asked, space.space_id, space.embed_query)))
        result = search_spaces("tide gauge old harbour", store=house.store, spaces=spaces)
        assert sorted(asked) == sorted([main, code]), "embedded once in each"
        assert {hit.space_id for hit in result.hits} == {main, code}
        ids, _ = query_terms("tide gauge old harbour the")
        frequencies = [house.store.document_frequencies(space, corpus.shards, ids.tolist()) for space in (main, code)]
        assert sum(number for _, number in frequencies) == len(kinds["rest"] | kinds["code"])
    lake.assert_sound()
    lake.counts.reset()
    embedded.clear()
    lake.run()
    assert (lake.counts.work, embedded) == (NO_WORK, [])
    lake.drop(lake.root / "elsewhere/mixed/gauge.py", CODE["mixed/gauge.py"].replace("depth", "level"))
    lake.delete(lake.root / "elsewhere/mixed/ring.rs")
    lake.run()
    assert {space for space, _ in embedded} == {code}
    assert indexed(lake)[code].keys() == chunk_kinds(lake)["code"]
    lake.assert_sound()
    then = datetime.now(UTC)
    assert reader.search("read the tide gauge", 3, SearchFilters(), then).hits[0].path == "gauge.py"


def _noted(asked: list[str], space_id: str, embed: Any, text: str) -> Any:
    asked.append(space_id)
    return embed(text)


def test_a_model_for_code_comes_and_goes(lake: Lake, embedded: list[tuple[str, int]]) -> None:
    lake.drop_all({f"../../elsewhere/{name}": text for name, text in (notes("mixed", 3) | CODE).items()})
    lake.add(lake.root / "elsewhere" / "mixed", "mixed")
    lake.run()
    main, kinds = row(lake, "mixed").space_id, chunk_kinds(lake)
    lake.add(lake.root / "elsewhere" / "mixed", "mixed", AddOptions(code_model="packaged"))
    assert line("mixed").state == UNDER_WAY and asked_in(lake) == {main}
    embedded.clear()
    lake.run()
    code = row(lake, "mixed").spaces.code
    assert code is not None and embedded == [(code.space_id, len(kinds["code"]))]
    lake.run()
    held = indexed(lake)
    assert (held[main].keys(), held[code.space_id].keys()) == (kinds["rest"], kinds["code"])
    lake.assert_sound()
    embedded.clear()
    actions.roll_back("mixed")
    lake.run()
    assert row(lake, "mixed").layout == Layout(Live("hash", main)) and embedded == []
    assert indexed(lake)[main].keys() == kinds["rest"] | kinds["code"]
    actions.finish_migration("mixed")
    lake.assert_sound()
    actions.migrate("mixed", code="packaged")
    lake.run()
    actions.finish_migration("mixed")
    actions.migrate("mixed", code="none")
    lake.run()
    assert row(lake, "mixed").layout == Layout(Live("hash", main)) and embedded == [], "all vectors were there"
    lake.assert_sound()


def test_a_refusal_is_asked_again_after_a_while_and_not_before(
    filled: Lake, gate: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by a worker, whose house stays open: what the gate measures takes long, and what it is refused for is put right."""
    gate.is_open = False
    actions.migrate("notes", "packaged")
    filled.run()
    seconds = [1000.0]
    monkeypatch.setattr(switching, "time", SimpleNamespace(monotonic=lambda: seconds[0]))
    gate.asked.clear()
    with filled.house() as house:

        def followed() -> list[str]:
            registry = house.register.now()
            return house.moving.follow(registry.by_name("notes"), registry)

        refused = followed()
        assert "recall@10 fell" in refused[0] and len(gate.asked) == 1
        gate.is_open = True
        seconds[0] += 299.0
        assert followed() == refused and len(gate.asked) == 1, "told again, and not asked"
        seconds[0] += 2.0
        assert "is searched in space" in followed()[0] and len(gate.asked) == 2


def test_resharding_moves_both_spaces(filled: Lake, embedded: list[tuple[str, int]], gate: Door) -> None:
    gate.is_open = False
    actions.migrate("notes", "packaged")
    filled.run()
    before, said = {space: points.keys() for space, points in indexed(filled).items()}, filled.found(QUESTION)
    embedded.clear()
    actions.reshard("notes", 4)
    assert {space: points.keys() for space, points in indexed(filled).items()} == before
    assert filled.found(QUESTION) == said and row(filled).spaces.next is not None
    filled.assert_sound()
    gate.asked.clear()
    filled.run()
    assert len(gate.asked) == 1, "not again for each shard"
    gate.is_open = True
    filled.run()
    assert embedded == [] and row(filled).spaces.next is None
    assert (line().state, len(row(filled).shards)) == (KEPT, 4)
    assert filled.found(QUESTION)
    filled.assert_sound()


def test_a_backup_takes_a_migration_along(filled: Lake, embedded: list[tuple[str, int]], gate: Door) -> None:
    gate.is_open = False
    actions.migrate("notes", "packaged")
    filled.run()
    before = row(filled)
    actions.backup(str(filled.root / "backup"), frozenset({"tables"}))
    actions.abandon_migration("notes")
    embedded.clear()
    actions.restore(str(filled.root / "backup"), is_replacing=True)
    assert row(filled) == before
    gate.is_open = True
    filled.run()
    assert embedded == [] and row(filled).layout == before.spaces.next
    filled.assert_sound()


def test_verification_covers_both_spaces(filled: Lake, embedded: list[tuple[str, int]], gate: Door) -> None:
    gate.is_open = False
    actions.migrate("notes", "packaged")
    filled.run()
    layout = row(filled).spaces.next
    assert layout is not None
    with filled.house() as house:
        new = layout.main.space_id
        some = house.store.sidecar(new, "notes")["chunk_id"].head(2).to_list()
        versions = house.store.versions(new, "notes")
        none = pl.DataFrame(schema=dict.fromkeys(("vector", "terms", "weights"), pl.List(pl.Float32)) | IDS)
        house.store.publish(new, 384, "notes", none, some, versions)
    assert any("index" in text for text in filled.findings())
    assert actions.verify(repair=True).is_sound
    filled.assert_sound()
    with filled.house() as house:
        house.store.drop(new, "notes")
        texts = filled.table(EMBEDDINGS).filter(pl.col("space_id") == new)["embed_hash"].head(1).to_list()
        house.lake.delete_where(EMBEDDINGS, "embed_hash", texts)
    assert any("embeddings" in text for text in filled.findings())
    assert actions.verify(repair=True).is_sound
    filled.assert_sound()


IDS = {"chunk_id": pl.String, "row_hash": pl.Int64}


def test_a_model_that_became_another_one_is_followed(filled: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    old = row(filled).space_id
    monkeypatch.setattr(hash_embedder, "_VERSION", "another")
    response = filled.search(QUESTION)
    assert response.hits and any("by words only" in text for text in response.notes)
    assert line().state == UNDER_WAY
    filled.run()
    assert row(filled).space_id != old and row(filled).every_space == [row(filled).space_id]
    with filled.house() as house:
        assert house.store.shards(old) == []
    assert not any("by words only" in text for text in filled.search(QUESTION).notes)
    filled.assert_sound()


def test_status_doctor_and_the_command_tell_of_it(filled: Lake, gate: Door) -> None:
    assert filled.cli("migrate").stdout.strip() == "no migration is under way, and nothing is kept of one"
    assert "0%" in filled.cli("migrate", "notes", "--to", "packaged").stdout
    (status,) = reader.status("notes").corpora
    assert "on its way from hash" in status.migration and "vectors" in status.migration
    (told,) = [one for one in reader.doctor().diagnoses if one.name == "migration of notes"]
    assert told.state == WARNING and "--abandon" in told.remedy
    assert filled.cli("migrate", "--rollback").returncode == 2
    assert filled.cli("migrate", "notes", "--rollback", "--abandon").returncode == 2
    filled.run()
    assert reader.status("notes").corpora[0].migration == ""
    assert "is kept for a rollback until" in " ".join(filled.cli("migrate").stdout.split())
    said = json.loads(filled.cli("migrate", "notes", "--json").stdout)
    assert said["lines"][0]["state"] == KEPT
    assert filled.cli("migrate", "notes", "--finish").returncode == 0
    assert reader.migrations().lines == ()


def test_sensors_see_what_a_migration_lacks(filled: Lake) -> None:
    with filled.house() as house:
        assert set(house.differing(60).values()) == {""}
    actions.migrate("notes", "packaged")
    with filled.house() as house:
        assert house.differing(60)["notes"].startswith("embeddings")
    filled.run()
    with filled.house() as house:
        assert set(house.differing(60).values()) == {""}


def test_it_goes_in_slices_and_the_old_index_answers_all_the_while(
    filled: Lake, embedded: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cortex_assets.engine.embed.GROUP_TEXTS", 2)
    filled.set("CORTEX_SLICE_SECONDS", "0.001")
    said, during = filled.found(QUESTION), []
    actions.migrate("notes", "packaged")

    def heard(shard: str, stage: str, done: int, total: int, unit: str) -> None:
        if stage == "embeddings":
            during.append((filled.found(QUESTION), line().state))

    actions.run(None, heard)
    assert len(embedded) > 2 and all(count == 2 for _, count in embedded)
    assert len(during) > 2 and set(map(str, during)) == {str((said, UNDER_WAY))}
    assert line().state == KEPT
    filled.assert_sound()


def test_a_switch_waits_for_the_runs_of_other_shards(filled: Lake, gate: Door) -> None:
    actions.reshard("notes", 2)
    gate.is_open = False
    actions.migrate("notes", "packaged")
    filled.run()
    old, gate.is_open = row(filled).space_id, True
    with filled.house() as house, shard_lease(filled.settings.locks, "notes.01"):
        registry = house.register.now()
        report = house.run_shard("notes.00", registry=registry)
    assert row(filled).space_id == old
    assert any("at the end of another run" in text for text in report.notes)
    report = filled.run()
    assert row(filled).space_id != old
    assert sum("is searched in space" in text for text in report.notes) == 1
    assert not any("changed meanwhile" in text for text in report.notes)
    filled.assert_sound()


def test_a_text_that_the_new_model_cannot_do_keeps_the_old_one(filled: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    old = row(filled).space_id
    bad = filled.table(CHUNKS).row(0, named=True)["text"]
    real = BertNumpy.embed_batch

    def failing(self: BertNumpy, texts: Sequence[str], *given: Any) -> Any:
        if any(bad in text for text in texts):
            raise EngineReplyInvalid("the model answered with nothing")
        return real(self, texts, *given)

    with monkeypatch.context() as patch:
        patch.setattr(BertNumpy, "embed_batch", failing)
        actions.migrate("notes", "packaged")
        filled.run()
        filled.run()
    assert row(filled).space_id == old
    assert line().waits_for == ("1 texts that failed (the model answered with nothing): cortex retry",)
    assert filled.found(QUESTION)
    filled.run()
    assert row(filled).space_id == old
    assert actions.retry().keys == 1
    filled.run()
    assert row(filled).space_id != old
    filled.assert_sound()


def test_deletes_reach_an_index_whose_model_is_gone(filled: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    old = row(filled).space_id

    def down(self: hash_embedder.HashEmbedder, *given: Any) -> Any:
        raise EngineUnavailable("the server is down")

    monkeypatch.setattr(hash_embedder, "_VERSION", "another")
    with monkeypatch.context() as patch:
        patch.setattr(hash_embedder.HashEmbedder, "embed_batch", down)
        filled.delete("notes/note-001.md")
        filled.drop("notes/note-009.md", "# Ninth\n\nA zanzibar chronometer.\n")
        report = filled.run()
        assert any("by words alone" in text for text in report.notes)
        assert row(filled).space_id == old and line().state == UNDER_WAY
        assert filled.found("zanzibar chronometer")[0] == "note-009.md"
        assert "note-001.md" not in filled.found("note 1", 20)
    filled.run()
    assert row(filled).space_id != old
    filled.assert_sound()


def test_a_purge_takes_out_both_spaces(filled: Lake, gate: Door) -> None:
    gate.is_open = False
    actions.migrate("notes", "packaged")
    filled.run()
    spaces = row(filled).every_space
    filled.delete("notes")
    report = actions.remove("notes", purge=True)
    assert report.points == 2 * 6
    with filled.house() as house:
        assert [house.store.shards(space_id) for space_id in spaces] == [[], []]


def test_an_earlier_state_is_asked_in_the_space_that_served_then(filled: Lake) -> None:
    old, said, then = row(filled).space_id, filled.found(QUESTION), datetime.now(UTC)
    actions.migrate("notes", "packaged")
    filled.run()
    with filled.house() as house:
        (before,) = moments(house, house.register.corpora(), then)
        (now,) = moments(house, house.register.corpora(), datetime.now(UTC))
    assert before.live == Live("hash", old) and now.live == row(filled).layout.main
    response = reader.search(QUESTION, 10, SearchFilters(), then)
    assert [hit.path for hit in response.hits] == said
    assert not any("by words" in text for text in response.notes)


def pulled(lake: Lake, name: str, longest: int) -> str:
    """A model's folder as a pull leaves it, of the packaged model's files: another model for whoever asks, with another limit."""
    here = packaged_model()
    folder = model_folder(name, lake.settings.models)
    folder.mkdir(parents=True)
    for path in here.folder.iterdir():
        if path.is_file():
            (folder / path.name).symlink_to(path)
    config = {"max_seq_length": longest, "do_lower_case": False}
    (folder / "sentence_bert_config.json").unlink(missing_ok=True)
    (folder / "sentence_bert_config.json").write_text(json.dumps(config))
    content = {"repo_id": name, "revision": "1", "files": dict(here.digests)}
    (folder / "cortex-model.json").write_text(json.dumps(content))
    return f"hf:{name}"


def test_a_model_that_reads_less_is_refused_and_another_one_that_reads_more_is_not(filled: Lake) -> None:
    with pytest.raises(CommandError, match="reads 128 tokens, and the chunks of corpus notes hold up to 256"):
        actions.migrate("notes", pulled(filled, "small/model", 128))
    actions.migrate("notes", pulled(filled, "large/model", 512))
    filled.run()
    assert row(filled).embed == "hf:large/model" and row(filled).spaces.cut == "hash"
    filled.assert_sound()
    shutil.rmtree(model_folder("large/model", filled.settings.models))
    response = filled.search(QUESTION)
    assert response.hits and any("by words only" in text for text in response.notes)
    assert any("cortex models pull large/model" in text for text in filled.run().errors)
    actions.roll_back("notes")
    assert row(filled).embed == "hash"
    assert not any("by words only" in text for text in filled.search(QUESTION).notes)
    actions.roll_back("notes")
    assert row(filled).embed == "hash"
    assert any("not on this machine" in text for text in line().waits_for)
    actions.abandon_migration("notes")
    assert (line().state, row(filled).embed) == (KEPT, "hash"), "a rollback that is given up"
    actions.finish_migration("notes")
    filled.run()
    filled.assert_sound()


def test_away_from_a_model_that_is_gone(lake: Lake) -> None:
    lake.drop_all(notes("notes", 4))
    lake.set("CORTEX_EMBED", pulled(lake, "gone/model", 256))
    lake.run()
    assert row(lake).embed == "hf:gone/model"
    shutil.rmtree(model_folder("gone/model", lake.settings.models))
    assert lake.run().errors
    actions.migrate("notes", "hash")
    lake.drop("notes/note-009.md", "# Ninth\n\nA zanzibar chronometer.\n")
    assert lake.run().errors == ()
    assert row(lake).layout.main.embed == "hash" and row(lake).spaces.cut == ""
    assert lake.found("zanzibar chronometer")[0] == "note-009.md"
    actions.finish_migration("notes")
    lake.run()
    lake.assert_sound()


def test_maintenance_keeps_what_a_migration_is_making(filled: Lake, gate: Door) -> None:
    gate.is_open = False
    filled.set("CORTEX_RETENTION", "0")
    filled.set("CORTEX_SWEEP_AGE", "0")
    actions.migrate("notes", "packaged")
    filled.run()
    held = indexed(filled)
    actions.maintain()
    assert indexed(filled) == held and len(held) == 2
    assert set(filled.table(EMBEDDINGS)["space_id"]) == held.keys()
    filled.assert_sound()


def test_an_older_lake_gets_the_format_that_knows_several_spaces(filled: Lake) -> None:
    with filled.house() as house:
        rows = house.lake.scan(LAKE).collect().with_columns(format_version=pl.lit(2, dtype=pl.Int64))
        house.lake.overwrite(LAKE, rows, "true")
    assert format_of(filled.settings) == 2
    filled.drop("notes/note-009.md", note(9))
    filled.run()
    assert format_of(filled.settings) == 2, "only where it has them"
    actions.migrate("notes", "packaged")
    assert format_of(filled.settings) == SEVERAL_SPACES
    assert actions.upgrade().steps == ()
    filled.run()
    assert line().state == KEPT
    filled.assert_sound()
