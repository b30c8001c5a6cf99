"""Scores without the part that hubs have for every question."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex_assets.retrieval.calibrate import (
    DENSITY_SHARE,
    Near,
    Ordinary,
    Scored,
    sampled,
    scaled_dense,
    scaled_together,
)


def unit(*angles: float) -> dict[str, list[float]]:
    return {f"{n:02}": [math.cos(angle), math.sin(angle)] for n, angle in enumerate(angles)}


def test_scaling_runs_from_worst_to_best() -> None:
    assert scaled_dense({"a": 0.9, "b": 0.5, "c": 0.7}, {}) == pytest.approx({"a": 1.0, "b": 0.0, "c": 0.5})
    assert scaled_dense({"a": 0.4}, {}) == {"a": 1.0}
    assert scaled_dense({}, {}) == {}


def test_of_two_that_are_equally_near_the_one_that_is_near_to_everything_says_less() -> None:
    scaled = scaled_dense({"hub": 0.8, "own": 0.8, "far": 0.2}, {"hub": 0.9, "own": 0.3, "far": 0.5})
    assert scaled["own"] == 1.0
    assert scaled["hub"] < 1.0


def test_what_has_no_density_counts_as_ordinary() -> None:
    scaled = scaled_dense({"a": 0.8, "b": 0.8, "c": 0.1}, {"a": 0.2, "c": 0.6})
    assert scaled["a"] > scaled["b"] > scaled["c"]
    assert 0 < DENSITY_SHARE < 1


def test_cosines_and_densities_are_those_of_the_vectors() -> None:
    near = Near.of(unit(0.0, 0.1, 3.0))
    assert near.cosines([1.0, 0.0]) == {"00": 1.0, "01": round(math.cos(0.1), 4), "02": round(math.cos(3.0), 4)}
    density = near.densities()
    assert density["02"] < density["00"]
    assert Near.of(unit(1.0)).densities() == {"00": 0.0}
    assert Near.of({}).cosines([1.0]) == Near.of({}).densities() == {}


@given(st.lists(st.floats(-3, 3), min_size=2, max_size=30), st.randoms())
def test_the_order_in_which_candidates_come_changes_nothing(angles: list[float], chance: object) -> None:
    vectors = unit(*angles)
    keys = list(vectors)
    chance.shuffle(keys)  # type: ignore[attr-defined]
    assert Near.of({key: vectors[key] for key in keys}).densities() == Near.of(vectors).densities()
    assert np.all(np.array(list(Near.of(vectors).densities().values())) <= 1)


def test_two_spaces_are_compared_by_what_is_ordinary_in_each() -> None:
    wide, narrow = Ordinary(0.1, 0.1), Ordinary(0.7, 0.05)
    together = scaled_together([Scored({"a": 0.6, "b": 0.2}, {}, wide), Scored({"x": 0.8, "y": 0.7}, {}, narrow)])
    assert sorted(together, key=lambda key: -together[key]) == ["a", "x", "b", "y"]
    assert (together["a"], together["y"]) == (1.0, 0.0)
    alone = scaled_together([Scored({"a": 0.6, "b": 0.2, "c": 0.4}, {"a": 0.3, "b": 0.1, "c": 0.2}, wide)])
    apart = scaled_dense({"a": 0.6, "b": 0.2, "c": 0.4}, {"a": 0.3, "b": 0.1, "c": 0.2})
    assert {key: round(value, 9) for key, value in alone.items()} == {key: round(v, 9) for key, v in apart.items()}
    assert scaled_together([]) == {}


def test_what_is_ordinary_needs_a_sample() -> None:
    vectors = [[1.0, 0.0], [0.0, 1.0]] * 8
    found = Ordinary.of(vectors, [1.0, 0.0])
    assert found == Ordinary(0.5, 0.5)
    assert Ordinary.of(vectors[:4], [1.0, 0.0]) is None and Ordinary.of([], [1.0]) is None
    assert Ordinary.of([[1.0, 0.0]] * 20, [1.0, 0.0]) is None
    assert sampled(str(number) for number in range(10)) == sorted(str(number) for number in range(10))
    many = sampled(f"{number:05d}" for number in range(10_000))
    assert len(many) == 256 and many == sorted(many)
