"""Metrics against numbers worked out by hand, plain definitions over random rankings, and intervals that hold what they say."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex_assets.evaluation.judge import Found, Spot, characters, meets
from cortex_assets.evaluation.metrics import (
    KS,
    average_precision,
    credited_grades,
    mark,
    mean_estimate,
    ndcg,
    percentile_estimate,
)
from cortex_assets.evaluation.resolve import Target


def hit(document: str, start: int = 0, end: int = 10, chunk: str = "") -> Found:
    return Found((Spot(chunk or f"{document}:{start}", document, start, end),))


def whole(document: str, grade: int = 1) -> Target:
    return Target(grade, frozenset({document}))


def span(document: str, start: int, end: int, grade: int = 1) -> Target:
    return Target(grade, frozenset({document}), (start, end))


# -- what meets what -----------------------------------------------------------------------------------------------------


def test_a_document_is_met_by_any_chunk_a_passage_by_a_shared_character_a_chunk_by_itself() -> None:
    chunk = Target(1, frozenset({"a"}), (0, 10), "a:0")
    table = meets([hit("a"), hit("a", 10, 20), hit("b")], [whole("a"), span("a", 9, 12), span("a", 20, 30), chunk])
    assert table.tolist() == [
        [True, True, False, True],
        [True, True, False, False],
        [False, False, False, False],
    ]


def test_a_text_that_stands_at_several_places_meets_the_gold_of_each() -> None:
    both = Found((Spot("x", "copy", 0, 10), Spot("y", "a", 40, 50)))
    assert meets([both], [span("a", 45, 60), whole("copy"), whole("b")]).tolist() == [[True, True, False]]
    assert characters([both], [span("a", 45, 60)]) == (5, 15, 10)


def test_characters_count_once_however_often_they_are_shown() -> None:
    targets = [span("a", 5, 15), span("a", 10, 20), whole("b")]
    assert characters([hit("a"), hit("a", 0, 12), hit("b")], targets) == (7, 15, 22)
    assert characters([], targets) == (0, 15, 0)
    assert characters([hit("b")], [whole("b")]) == (0, 0, 10)


# -- by hand -------------------------------------------------------------------------------------------------------------


def test_a_ranking_worked_out_by_hand() -> None:
    targets = [whole("a", 3), whole("b", 1), whole("c", 2)]
    hits = [hit("x"), hit("b"), hit("b", 10, 20), hit("a")]
    found = mark(hits, targets)
    ideal = 7 + 3 / math.log2(3) + 1 / 2
    assert found.ranks == (4, 2, 0)
    assert found.first == 2
    assert found.values["mrr@10"] == 0.5
    assert found.values["hit@1"] == 0
    assert found.values["hit@5"] == 1
    assert found.values["recall@5"] == pytest.approx(2 / 3, abs=1e-4)
    assert found.values["map@10"] == pytest.approx((1 / 2 + 2 / 4) / 3, abs=1e-4)
    assert found.values["ndcg@10"] == pytest.approx((1 / math.log2(3) + 7 / math.log2(5)) / ideal, abs=1e-4)
    assert found.values["ndcg@1"] == 0
    assert "span_recall@5" not in found.values


def test_a_hit_is_credited_with_the_best_gold_that_it_meets_and_each_gold_once() -> None:
    table = np.array([[True, True], [True, True], [True, True]])
    assert credited_grades(table, [1, 3]) == [3, 1, 0]
    one = mark([hit("a")], [span("a", 0, 5), span("a", 5, 10)])
    assert one.values["recall@1"] == 1, "both passages are in the chunk"
    assert one.ranks == (1, 1)


def test_nothing_found_is_zero_and_everything_in_order_is_one() -> None:
    targets = [span("a", 0, 10, 2), span("b", 0, 10, 1)]
    assert set(mark([], targets).values.values()) == {0.0}
    best = mark([hit("a"), hit("b")], targets)
    assert {name: best.values[name] for name in ("map@10", "ndcg@10", "recall@10", "span_recall@10", "mrr@10")} == {
        "map@10": 1,
        "ndcg@10": 1,
        "recall@10": 1,
        "span_recall@10": 1,
        "mrr@10": 1,
    }
    assert best.values["span_precision@10"] == 1


# -- against plain definitions ------------------------------------------------------------------------------------------

DOCUMENTS = st.sampled_from("abcdefgh")
RANKINGS = st.lists(DOCUMENTS, max_size=12, unique=True)
GOLDS = st.dictionaries(DOCUMENTS, st.integers(1, 3), min_size=1)


def plain_ndcg(ranking: Sequence[str], grades: dict[str, int], k: int) -> float:
    def gain(values: Sequence[int]) -> float:
        return sum((2**grade - 1) / math.log2(place + 2) for place, grade in enumerate(values))

    return gain([grades.get(name, 0) for name in ranking[:k]]) / gain(sorted(grades.values(), reverse=True)[:k])


@given(RANKINGS, GOLDS)
def test_every_metric_is_its_plain_definition(ranking: list[str], grades: dict[str, int]) -> None:
    found = mark([hit(name) for name in ranking], [whole(name, grade) for name, grade in grades.items()])
    places = [place for place, name in enumerate(ranking, start=1) if name in grades]
    seen = [place for place in places if place <= 10]
    assert found.values["mrr@10"] == pytest.approx(1 / seen[0] if seen else 0, abs=1e-4)
    precision = sum((number + 1) / place for number, place in enumerate(seen)) / len(grades)
    assert found.values["map@10"] == pytest.approx(precision, abs=1e-4)
    for k in KS:
        assert found.values[f"recall@{k}"] == pytest.approx(sum(p <= k for p in places) / len(grades), abs=1e-4)
        assert found.values[f"hit@{k}"] == float(any(p <= k for p in places))
        assert found.values[f"ndcg@{k}"] == pytest.approx(plain_ndcg(ranking, grades, k), abs=1e-4)


SPANS = st.tuples(st.sampled_from("ab"), st.integers(0, 30), st.integers(1, 15))


@given(st.lists(SPANS, max_size=8), st.lists(SPANS, min_size=1, max_size=4))
def test_span_metrics_are_those_of_sets_of_characters(
    shown: list[tuple[str, int, int]], golds: list[tuple[str, int, int]]
) -> None:
    hits = [hit(name, start, start + length) for name, start, length in shown]
    targets = [span(name, start, start + length) for name, start, length in golds]
    sets = [
        {(name, at) for name, start, length in some for at in range(start, start + length)} for some in (shown, golds)
    ]
    assert characters(hits, targets) == (len(sets[0] & sets[1]), len(sets[1]), len(sets[0]))


@given(RANKINGS, GOLDS, st.integers(0, 11))
def test_a_better_place_is_never_worse(ranking: list[str], grades: dict[str, int], place: int) -> None:
    """Moving a gold up by one never lowers recall, MRR, MAP or nDCG."""
    if not 0 < place < len(ranking) or ranking[place] not in grades or ranking[place - 1] in grades:
        return
    better = [*ranking[: place - 1], ranking[place], ranking[place - 1], *ranking[place + 1 :]]
    targets = [whole(name, grade) for name, grade in grades.items()]
    before, after = (mark([hit(name) for name in order], targets).values for order in (ranking, better))
    assert all(after[name] >= before[name] for name in before)


def test_metrics_of_nothing_credited() -> None:
    assert ndcg([], [1], 10) == 0
    assert ndcg([0, 0], [], 10) == 0
    assert average_precision([], 2) == 0


# -- intervals -----------------------------------------------------------------------------------------------------------


def test_intervals_are_the_same_each_time_and_hold_the_value() -> None:
    values = [0.0, 1.0, 0.5, 1.0, 0.25, 1.0, 0.0, 1.0]
    one = mean_estimate(values)
    assert one == mean_estimate(values)
    assert one != mean_estimate(values, seed=1)
    assert one.low < one.value < one.high
    assert one.questions == 8
    assert mean_estimate([0.5]) == mean_estimate([0.5] * 1)
    assert (mean_estimate([0.5]).low, mean_estimate([0.5]).high) == (0.5, 0.5)
    slow = percentile_estimate([1.0, 2.0, 3.0, 100.0], 95)
    assert slow.low <= slow.value <= slow.high <= 100


def test_the_interval_holds_the_true_mean_about_as_often_as_it_says() -> None:
    """200 samples of 60 draws of a mean of .7: about 95 % of the intervals hold it."""
    draw = np.random.default_rng(7)
    held = 0
    for _ in range(200):
        one = mean_estimate((draw.random(60) < 0.7).astype(float).tolist(), samples=400)
        held += one.low <= 0.7 <= one.high
    assert 0.88 <= held / 200 <= 0.99
