"""Fusion: exact order, either half alone, passages without a vector."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from cortex_assets.retrieval.fuse import fuse


def test_a_clear_winner_of_either_kind_beats_a_middling_both() -> None:
    dense = {"d": 1.0, "both": 0.3, "x": 0.0}
    sparse = {"s": 10.0, "both": 3.0}
    assert fuse(dense, sparse, dense_weight=0.7, limit=3)[0].chunk_id == "d"
    assert fuse(dense, sparse, dense_weight=0.25, limit=3)[0].chunk_id == "s"


def test_words_that_are_everywhere_leave_the_ranking_to_the_vectors() -> None:
    found = fuse({"a": 0.2, "b": 0.9}, {"b": 0.0, "c": 0.0}, dense_weight=0.5, limit=3)
    assert [(one.chunk_id, one.score) for one in found] == [("b", 0.9), ("a", 0.2), ("c", 0.0)]
    assert [one.chunk_id for one in fuse({}, {"b": 0.0, "c": 0.0}, dense_weight=0.5, limit=3)] == ["b", "c"]


def test_ties_go_by_id_and_scores_are_rounded() -> None:
    ranked = fuse({"b": 0.333333, "a": 0.333334}, {}, dense_weight=0.7, limit=2)
    assert [one.chunk_id for one in ranked] == ["a", "b"]
    assert ranked[0].score == 0.3333


def test_one_kind_alone_takes_the_whole_weight() -> None:
    assert fuse({}, {"a": 4.0, "b": 2.0}, dense_weight=0.7, limit=2)[1].score == 0.5
    assert fuse({"a": 0.5}, {}, dense_weight=0.25, limit=2)[0].score == 0.5
    assert fuse({}, {}, dense_weight=0.5, limit=2) == []


def test_what_has_no_vector_yet_ranks_by_its_words_alone() -> None:
    dense, sparse = {"a": 1.0, "b": 0.6}, {"late": 10.0, "b": 2.0}
    assert fuse(dense, sparse, dense_weight=0.7, limit=3)[0].chunk_id == "a"
    ranked = fuse(dense, sparse, dense_weight=0.7, limit=3, unembedded={"late"})
    assert (ranked[0].chunk_id, ranked[0].score, ranked[0].by_words) == ("late", 1.0, 1.0)


def test_the_two_parts_make_the_score() -> None:
    for one in fuse({"a": 1.0, "b": 0.6}, {"c": 10.0, "b": 2.0}, dense_weight=0.7, limit=3):
        assert abs(one.by_meaning + one.by_words - one.score) < 1e-4


@given(
    st.lists(st.tuples(st.floats(0, 1), st.floats(0, 50)), min_size=3, max_size=40),
    st.integers(1, 10),
    st.sampled_from([0.25, 0.5, 0.7]),
)
def test_the_first_places_are_as_if_every_sparse_score_were_known(
    scores: list[tuple[float, float]], limit: int, weight: float
) -> None:
    dense = {f"{n:02}": round(d, 3) for n, (d, _) in enumerate(scores)}
    every = {f"{n:02}": round(s, 2) for n, (_, s) in enumerate(scores) if s >= 0.01}
    known = dict(sorted(every.items(), key=lambda pair: (-pair[1], pair[0]))[:limit])
    floor = min(known.values()) if 0 < len(known) == limit else 0.0
    asked: list[str] = []

    def score_sparse(keys: Sequence[str]) -> dict[str, float]:
        asked.extend(keys)
        return {key: every[key] for key in keys if key in every}

    cut = fuse(dense, known, dense_weight=weight, limit=limit, sparse_floor=floor, score_sparse=score_sparse)
    whole = fuse(dense, every, dense_weight=weight, limit=limit)
    assert [one.score for one in cut[:limit]] == [one.score for one in whole[:limit]]
    assert not set(asked) & set(known)
