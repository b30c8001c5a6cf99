"""A reranker puts the first in another order; a dead one changes nothing and is told."""

from collections.abc import Sequence

import pytest

from cortex_assets.retrieval.fuse import Fused
from cortex_assets.retrieval.rerank import JUDGED, reranked
from cortex_assets.retrieval.search import Options
from inference.errors import EngineTimeout
from tests.unit.retrieval.test_search import TEXTS, ask, store


class ByLength:
    """Longer texts are better."""

    name, share = "by length", 0.9

    def score_batch(self, question: str, texts: Sequence[str]) -> list[float]:
        return [float(len(text)) for text in texts]


class Dead:
    name, share = "dead", 0.9

    def score_batch(self, question: str, texts: Sequence[str]) -> list[float]:
        raise EngineTimeout("it did not answer within 3 s")


def test_judgement_makes_its_share_of_the_score() -> None:
    order = [Fused("a", 0.8, None), Fused("b", 0.6, None), Fused("c", 0.5, None)]
    texts = {"a": "x", "b": "xxxxx", "c": "xxx"}
    found, judged, note = reranked("q", order, texts.__getitem__, ByLength())
    assert [one.chunk_id for one in found] == ["b", "c", "a"]
    assert (judged, note) == ({"a": 0.0, "b": 1.0, "c": 0.5}, "")
    assert found[0].score == pytest.approx(0.1 * 0.6 + 0.9 * 0.8)


def test_what_was_not_judged_stays_behind() -> None:
    order = [Fused(f"{n:03}", 1 - n / 100, None) for n in range(JUDGED + 5)]
    found, judged, _ = reranked("q", order, lambda key: "x" * int(key), ByLength())
    assert len(judged) == JUDGED
    assert [one.chunk_id for one in found[JUDGED:]] == [one.chunk_id for one in order[JUDGED:]]
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    assert reranked("q", [], str, ByLength()) == ([], {}, "")


def test_a_dead_one_is_told_and_the_order_stays() -> None:
    plain, without = ask("kitten", store(TEXTS)), ask("kitten", store(TEXTS), options=Options(reranker=Dead()))
    assert [hit.chunk_id for hit in without.hits] == [hit.chunk_id for hit in plain.hits]
    assert without.notes == (
        "the reranker dead is not available, the order is without it: it did not answer within 3 s",
    )
    assert without.hits[0].signals.judged is None


def test_a_search_says_what_was_judged() -> None:
    found = ask("kitten", store(TEXTS), options=Options(reranker=ByLength()))
    assert found.hits[0].chunk_id == "e"
    assert found.hits[0].signals.judged == 1.0
    assert "rerank" in found.timings
