"""The arithmetic by which the bench fits and judges the confidence of answers."""

import numpy as np
import pytest

from tests.bench.answer_cases import keywords
from tests.bench.answers import area, calibration_error, fit


def test_a_fit_finds_the_constants_that_made_the_labels() -> None:
    features = np.stack(np.meshgrid(np.linspace(-2, 2, 41), np.linspace(0, 30, 41)), axis=-1).reshape(-1, 2)
    chances = 1 / (1 + np.exp(-(0.5 + 1.5 * features[:, 0] - 0.1 * features[:, 1])))
    labels = np.repeat((1.0, 0.0), len(features))  # each case both ways, as often as its chance says
    found = fit(np.tile(features, (2, 1)), labels, np.concatenate((chances, 1 - chances)), ridge=1e-6)
    assert (found.bias, *found.weights) == pytest.approx((0.5, 1.5, -0.1), abs=2e-3)
    assert found.chance((0.0, 5.0)) == pytest.approx(0.5, abs=2e-3)


def test_the_area_counts_pairs_in_order_by_their_weights_and_ties_half() -> None:
    ones = np.ones(4)
    assert area(np.array([0.1, 0.4, 0.35, 0.8]), np.array([0.0, 0.0, 1.0, 1.0]), ones) == 0.75
    assert area(np.full(4, 0.5), np.array([0.0, 1.0, 0.0, 1.0]), ones) == 0.5
    assert area(np.array([0.9, 0.2, 0.5]), np.array([1.0, 0.0, 0.0]), np.array([1.0, 1.0, 9.0])) == 1.0
    assert area(np.array([0.3, 0.2, 0.5]), np.array([1.0, 0.0, 0.0]), np.array([1.0, 1.0, 3.0])) == 0.25


def test_the_calibration_error_is_what_chances_lie_off_by_bin() -> None:
    chances = np.array([0.05, 0.05, 0.95, 0.95, 1.0])
    assert calibration_error(chances, np.array([0.0, 0.0, 1.0, 1.0, 1.0]), np.ones(5)) == pytest.approx(0.04)
    assert calibration_error(np.array([0.5, 0.5]), np.array([1.0, 0.0]), np.ones(2)) == 0
    assert calibration_error(np.array([0.5, 0.5]), np.array([1.0, 0.0]), np.array([3.0, 1.0])) == pytest.approx(0.25)


def test_keywords_are_the_words_that_name_something() -> None:
    assert keywords("How many points did the Panthers' defense surrender?") == "points Panthers defense surrender"
    assert keywords("who is it?") == "who is it?"
