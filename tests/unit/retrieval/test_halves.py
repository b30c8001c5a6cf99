"""Each half of the search alone, over several spaces."""

from cortex_assets.asking import _best
from tests.unit.retrieval.exact_store import Found


def found(chunk_id: str, score: float, space: str = "one") -> Found:
    return Found(chunk_id, score, {"space": space}, "shard")


def test_a_passage_found_in_two_spaces_counts_once_by_its_better_copy_whichever_comes_first() -> None:
    copies = [found("a", 0.2), found("b", 0.5), found("a", 0.9, "two"), found("c", 0.1, "two"), found("b", 0.4, "two")]
    for points in (copies, copies[::-1]):
        best = _best(iter(points), 10)
        assert [(one.chunk_id, one.score, one.payload["space"]) for one in best] == [
            ("a", 0.9, "two"),
            ("b", 0.5, "one"),
            ("c", 0.1, "two"),
        ]
        assert [one.chunk_id for one in _best(iter(points), 2)] == ["a", "b"], "copies take no place of others"


def test_equal_scores_are_ordered_by_id() -> None:
    assert [one.chunk_id for one in _best(iter([found("b", 0.5), found("a", 0.5)]), 2)] == ["a", "b"]
