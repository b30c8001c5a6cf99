"""F8: an engine that fails stops nothing: deletes and keywords are published, one bad text does not hold up the others."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from apps import actions
from cortex_assets.embeddings.schema import EMBEDDINGS
from inference.engines.hash_embedder import HashEmbedder
from inference.errors import EngineReplyInvalid, EngineUnavailable, InferenceError
from tests.dagster.lake import Lake, notes


def fail_where(patch: pytest.MonkeyPatch, is_bad: Callable[[str], bool], error: InferenceError) -> list[int]:
    """Make the embedder raise when a text is bad; the sizes of the calls it gets."""
    real, calls = HashEmbedder.embed_batch, []

    def embed_batch(self: HashEmbedder, texts: Sequence[str], *rest: Any) -> Any:
        calls.append(len(texts))
        if any(is_bad(text) for text in texts):
            raise error
        return real(self, texts, *rest)

    patch.setattr(HashEmbedder, "embed_batch", embed_batch)
    return calls


def test_with_the_engine_down_deletes_and_keywords_are_published(lake: Lake) -> None:
    lake.drop_all(notes("notes", 6))
    lake.drop("notes/doomed.md", "# Doomed\n\nThe zanzibar chronometer stopped at dawn.\n")
    lake.run()
    lake.delete("notes/doomed.md")
    lake.drop("notes/new.md", "# New\n\nA quixotic barometer fell into the sea.\n")
    with pytest.MonkeyPatch.context() as patch:
        calls = fail_where(patch, lambda text: True, EngineUnavailable("server is away", is_transient=True))
        report = lake.run()

    assert len(calls) == 2, "one try and one probe, though the chain went on to a second slice"
    (line,) = [line for line in report.stages if line.stage == "embeddings"]
    assert (line.failed, line.remaining) == (1, 1)
    assert any("server is away" in note for note in report.notes)
    with lake.house() as house:
        (corpus,) = house.register.corpora()
        points = house.store.real_points(corpus.space_id, "notes")
    assert (points.height, points["has_vector"].sum()) == (7, 6)

    assert lake.run().failed == 0
    assert lake.found("quixotic barometer")[0] == "new.md"
    assert "doomed.md" not in lake.found("zanzibar chronometer")
    lake.assert_sound()


def test_one_bad_text_is_recorded_and_the_others_go_on(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    lake.drop_all(notes("notes", 9))
    lake.drop("notes/poison.md", "# Poison\n\nThe zanzibar chronometer stopped at dawn.\n")
    with monkeypatch.context() as patch:
        calls = fail_where(patch, lambda text: "zanzibar" in text, EngineReplyInvalid("not a number"))
        report = lake.run()
        assert report.failed == 1
        assert lake.table(EMBEDDINGS).height == 9
        assert lake.ledger("embeddings").select("status", "reason").rows() == [("failed", "not a number")]
        assert lake.planned("embeddings").new == 0
        del calls[:]
        assert lake.run().failed == 0
        assert calls == [], "the text is not tried again until someone asks"

    assert actions.retry("notes/note-001.md").keys == 0
    assert actions.retry("notes/poison.md").keys == 1
    lake.run()
    assert lake.table(EMBEDDINGS).height == 10
    assert lake.ledger("embeddings").is_empty()
    lake.assert_sound()
