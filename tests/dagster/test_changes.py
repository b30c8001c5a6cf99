"""What differs is found without work, for every way in which a shard can differ, and a quiet lake says so."""

from datetime import datetime

import pytest

from apps import actions
from cortex_assets.documents.schema import DOCUMENTS
from cortex_assets.embeddings.schema import EMBEDDINGS
from cortex_assets.engine import changes
from cortex_assets.engine.verify import ShardStages
from inference.engines.hash_embedder import HashEmbedder
from inference.errors import EngineUnavailable
from tests.dagster.lake import NO_WORK, Lake, note, notes


def differing(lake: Lake) -> dict[str, str]:
    lake.counts.reset()
    with lake.house() as house:
        found = house.differing(10.0)
    assert lake.counts.work == NO_WORK
    assert lake.counts.read == []
    return found


def test_edits_deletes_and_lost_rows_differ_until_they_are_run(lake: Lake) -> None:
    lake.drop_all(notes("notes", 4) | notes("other", 2))
    lake.run()
    quiet = {"notes": "", "other": ""}
    assert differing(lake) == quiet

    lake.drop("notes/note-001.md", note(1, 2))
    first = differing(lake)
    assert first["notes"].startswith("files ")
    assert first["other"] == ""
    assert differing(lake) == first, "an equal difference has an equal token"
    lake.drop("notes/note-001.md", note(1, 3))
    assert differing(lake)["notes"] not in ("", first["notes"])
    lake.run()
    assert differing(lake) == quiet, "also the other shard, whose tables moved"

    lake.delete("notes/note-002.md")
    assert differing(lake)["notes"].startswith("files ")
    lake.run()
    assert differing(lake) == quiet

    with lake.house() as house:
        house.lake.delete_where(DOCUMENTS, "shard", ["other"])
    assert differing(lake)["other"].startswith("documents ")
    lake.run()
    assert differing(lake) == quiet


def test_a_shard_that_stopped_half_way_differs(lake: Lake) -> None:
    lake.drop_all(notes("notes", 3))
    for number, stage in enumerate(("documents", "chunks", "embeddings", "index")):
        lake.run_stages("notes", ("files", "documents", "chunks", "embeddings")[number])
        assert differing(lake)["notes"].startswith(f"{stage} ")
    lake.run_stages("notes", "index")
    assert differing(lake) == {"notes": ""}


def test_withheld_deletes_do_not_differ_and_confirmed_ones_do(lake: Lake) -> None:
    lake.drop_all(notes("notes", 40))
    lake.run()
    lake.delete(*notes("notes", 30))
    assert differing(lake) == {"notes": ""}
    report = lake.run()
    assert differing(lake) == {"notes": ""}
    actions.confirm(report.withheld[0].scan_id)
    assert differing(lake)["notes"].startswith("files ")


def test_time_that_is_up_goes_on_with_the_next_corpus(lake: Lake) -> None:
    lake.drop_all(notes("a", 1) | notes("b", 1) | notes("c", 1))
    lake.run()
    with lake.house() as house:
        seen = [sorted(house.differing(0.0)) for _ in range(4)]
    assert seen == [["a"], ["b"], ["c"], ["a"]]


def planned(lake: Lake, patch: pytest.MonkeyPatch) -> list[str]:
    """Shards whose rows a look reads."""
    real, seen = changes._work, []

    def work(stages: ShardStages, shard: str, now: datetime) -> tuple[str, list[str]]:
        seen.append(shard)
        return real(stages, shard, now)

    with patch.context() as inner:
        inner.setattr(changes, "_work", work)
        differing(lake)
    return seen


def test_only_the_shard_that_moved_is_read_again(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    lake.drop_all(notes("notes", 3) | notes("other", 2))
    lake.run()
    assert planned(lake, monkeypatch) == ["notes", "other"]
    assert planned(lake, monkeypatch) == []
    lake.drop("notes/new.md", note(50))
    lake.run()
    assert planned(lake, monkeypatch) == ["notes"]
    with lake.house() as house:
        house.lake.delete_where(EMBEDDINGS, "space_id", [corpus.space_id for corpus in house.register.corpora()])
    assert differing(lake)["other"].startswith("embeddings "), "vectors that went are everybody's"
    lake.run()
    assert differing(lake) == {"notes": "", "other": ""}


def test_a_shard_without_some_vector_looks_whenever_vectors_come(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    lake.drop_all(notes("notes", 1) | notes("other", 1))
    with monkeypatch.context() as patch:

        def down(*_: object) -> None:
            raise EngineUnavailable("away", is_transient=False)

        patch.setattr(HashEmbedder, "embed_batch", down)
        lake.run("other")
    lake.run("notes")
    first = planned(lake, monkeypatch)
    assert {"notes", "other"} <= set(first)
    lake.drop("notes/more.md", note(60))
    lake.run("notes")
    assert "other" in planned(lake, monkeypatch)


def test_a_word_of_a_worker_stands_for_a_look_at_folders(lake: Lake) -> None:
    lake.drop_all(notes("notes", 3) | notes("other", 2))
    lake.run()
    lake.drop("notes/new.md", note(50))
    with lake.house() as house:
        assert house.differing(10.0, {}) == {"notes": "", "other": ""}
        assert house.differing(10.0, {"other": "handed 1"}) == {"notes": "", "other": "handed 1"}
        assert house.differing(10.0)["notes"].startswith("files ")


def test_since_when_a_shard_differs_is_remembered_until_it_does_no_more(lake: Lake) -> None:
    lake.drop_all(notes("notes", 3) | notes("other", 2))
    lake.run()
    lake.drop("notes/new.md", note(50))
    differing(lake)
    with lake.house() as house:
        (at,) = changes.pending_since(house.state).values()
    differing(lake)
    with lake.house() as house:
        assert changes.pending_since(house.state) == {"notes": at}
    lake.run()
    differing(lake)
    with lake.house() as house:
        assert changes.pending_since(house.state) == {}
