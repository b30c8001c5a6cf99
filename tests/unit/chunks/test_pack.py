import itertools
import math
import random
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex_assets.chunks import pack as packing
from cortex_assets.chunks.pack import WALL, Sizes


def borders(before: list[int], priorities: list[int], sizes: Sizes) -> list[int]:
    return packing.borders(np.array(before), np.array(priorities), sizes)


def pack(sizes: list[int], priorities: list[int], most: int) -> list[list[int]]:
    before = [0]
    for size in sizes:
        before.append(before[-1] + size)
    cuts = [0, *borders(before, priorities, Sizes.of(most)), len(sizes)]
    return [sizes[low:high] for low, high in itertools.pairwise(cuts)]


units = st.lists(st.tuples(st.integers(1, 400), st.integers(0, 50)), min_size=1, max_size=200)


@given(units)
def test_every_unit_is_in_one_piece_and_only_single_units_exceed_the_bound(drawn: list[tuple[int, int]]) -> None:
    sizes = [size for size, _ in drawn]
    pieces = pack(sizes, [priority for _, priority in drawn], 238)
    assert [size for piece in pieces for size in piece] == sizes
    assert all(len(piece) == 1 or sum(piece) <= 238 for piece in pieces)


def test_a_wall_is_always_cut_and_large_units_stand_alone() -> None:
    assert pack([5, 5, 5], [0, WALL, 0], 238) == [[5], [5, 5]]
    assert pack([20, 150, 20, 20], [0, 3, 2, 1], 238) == [[20], [150], [20, 20]]


def test_units_that_fit_together_are_not_cut() -> None:
    assert pack([20, 20, 20], [0, 9, 5], 238) == [[20, 20, 20]]


@pytest.mark.parametrize("priorities", ["equal", "rising", "falling"])
def test_priorities_without_a_maximum_still_give_full_pieces(priorities: str) -> None:
    count = 20_000
    order = {"equal": [7] * count, "rising": list(range(count)), "falling": list(range(count, 0, -1))}[priorities]
    pieces = pack([10] * count, order, 238)
    assert max(sum(piece) for piece in pieces) <= 238
    assert len(pieces) <= 3 * 10 * count / 238


def even(rng: random.Random) -> int:
    return rng.randint(5, 115)


def real(rng: random.Random) -> int:
    """As long as paragraphs of real documents: median 47 tokens, mean 69, a tenth of them stand alone."""
    return min(238, max(1, round(rng.lognormvariate(math.log(47), 0.876))))


@pytest.mark.parametrize(("size", "rate"), [(even, 0.002), (real, 0.006)])
def test_one_changed_unit_touches_few_pieces(size: Callable[[random.Random], int], rate: float) -> None:
    """The figures of the module: one unit inserted, changed or deleted; three pieces are exceeded rarely, not never."""
    rng = random.Random(7)
    touched: list[int] = []
    for _ in range(60):
        document = [(size(rng), rng.getrandbits(40)) for _ in range(240)]
        old = spans(document)
        for _ in range(50):
            edited = list(document)
            place = rng.randrange(len(edited))
            edited[place : place + rng.randint(0, 1)] = [(size(rng), rng.getrandbits(40))] * rng.randint(0, 1)
            new = spans(edited)
            touched.append(max(len(old - new), len(new - old)))
    assert sum(touched) / len(touched) < 1.7
    assert sum(count > 3 for count in touched) / len(touched) < rate
    assert max(touched) <= 5


def spans(document: list[tuple[int, int]]) -> set[tuple[tuple[int, int], ...]]:
    before = [0]
    for size, _ in document:
        before.append(before[-1] + size)
    cuts = [0, *borders(before, [priority for _, priority in document], Sizes.of(238)), len(document)]
    return {tuple(document[low:high]) for low, high in itertools.pairwise(cuts)}
