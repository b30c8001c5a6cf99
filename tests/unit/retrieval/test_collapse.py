"""What says the same stands under one hit; what repeats others further down when asked."""

from cortex_assets.retrieval.collapse import diversified, grouped
from cortex_assets.retrieval.fuse import Fused

WORDS = "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda my nu xi omicron pi rho sigma tau ypsilon"


def ranked(*keys: str) -> list[Fused]:
    return [Fused(key, 1 - number / 100, None) for number, key in enumerate(keys)]


def groups(texts: dict[str, str], limit: int = 10) -> list[list[str]]:
    return [[one.chunk_id for one in group] for group in grouped(ranked(*texts), texts.__getitem__, limit)]


def test_equal_and_almost_equal_texts_stand_under_the_best() -> None:
    texts = {
        "a": WORDS,
        "b": "other words entirely",
        "c": WORDS,
        "d": WORDS + " phi",
        "e": WORDS.replace("alpha", "A B C D"),
    }
    assert groups(texts) == [["a", "c", "d"], ["b"], ["e"]]


def test_short_texts_are_the_same_only_when_they_are_equal() -> None:
    assert groups({"a": "one two three", "b": "one two three.", "c": "one two three four"}) == [["a"], ["b"], ["c"]]


def test_the_limit_counts_groups_and_nothing_of_a_shown_one_is_lost() -> None:
    texts = {"a": WORDS, "b": "first other", "c": "second other", "d": WORDS, "e": "third"}
    assert groups(texts, limit=2) == [["a", "d"], ["b"]]


def test_a_diverse_order_takes_what_is_new_before_what_repeats() -> None:
    order = [Fused("a", 0.9, None), Fused("a2", 0.89, None), Fused("b", 0.7, None), Fused("none", 0.2, None)]
    vectors = {"a": [1.0, 0.0], "a2": [1.0, 0.0], "b": [0.0, 1.0]}
    assert [one.chunk_id for one in diversified(order, vectors, 3)] == ["a", "b", "a2", "none"]
    assert [one.chunk_id for one in diversified(order, {}, 4)] == ["a", "a2", "b", "none"]
    assert diversified(order[:1], vectors, 3) == order[:1]


def test_vectors_of_another_space_are_like_none() -> None:
    order = [Fused("a", 0.9, None), Fused("x", 0.8, None)]
    assert [one.chunk_id for one in diversified(order, {"a": [1.0, 0.0], "x": [1.0, 0.0, 0.0]}, 2)] == ["a", "x"]


def test_vectors_of_two_spaces_are_never_compared() -> None:
    order = [Fused("a", 0.9, None), Fused("a2", 0.89, None), Fused("b", 0.7, None)]
    vectors = {"a": [1.0, 0.0], "a2": [1.0, 0.0], "b": [0.0, 1.0]}
    apart = diversified(order, vectors, 3, {"a": "prose", "a2": "code", "b": "prose"})
    assert [one.chunk_id for one in apart] == ["a", "a2", "b"]
