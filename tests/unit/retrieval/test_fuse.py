"""Fusion: forms of questions, scaled scores, exact order."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex_assets.retrieval.fuse import DENSE_WEIGHT, Form, fuse, question_form, scaled_dense


@pytest.mark.parametrize(
    ("question", "form", "exact"),
    [
        ("How many points did the Panthers defense surrender?", Form.NATURAL, ()),
        ("python smooth an array", Form.NATURAL, ()),
        ("What did the U.S. do in 2010?", Form.NATURAL, ()),
        ("getUserName", Form.EXACT, ("getusername",)),
        ("max_retry_count", Form.EXACT, ("max_retry_count",)),
        ("os.path.join()", Form.EXACT, ("os.path.join",)),
        ("src/main.rs", Form.EXACT, ("src/main.rs",)),
        ("E0308", Form.EXACT, ("e0308",)),
        ("CVE-2024-3094", Form.EXACT, ("cve-2024-3094",)),
        ("std::vector", Form.EXACT, ("std::vector",)),
        ("README.md", Form.EXACT, ("readme.md",)),
        ("v1.2.3", Form.EXACT, ("v1.2.3",)),
        ('who said "to be  or not"', Form.EXACT, ("to be or not",)),
        ("what does max_retry_count do", Form.MIXED, ()),
        ("tokenizer", Form.MIXED, ()),
    ],
)
def test_form_of_a_question(question: str, form: Form, exact: tuple[str, ...]) -> None:
    found = question_form(question)
    assert (found.form, found.exact) == (form, exact)


def test_words_count_more_the_more_exact_the_question() -> None:
    assert DENSE_WEIGHT[Form.EXACT] < DENSE_WEIGHT[Form.MIXED] < DENSE_WEIGHT[Form.NATURAL]


def test_scaling_runs_from_worst_to_best() -> None:
    assert scaled_dense({"a": 0.9, "b": 0.5, "c": 0.7}) == pytest.approx({"a": 1.0, "b": 0.0, "c": 0.5})
    assert scaled_dense({"a": 0.4}) == {"a": 1.0}
    assert scaled_dense({}) == {}


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
