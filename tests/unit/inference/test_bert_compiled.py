"""The compiled layers of an encoder compute what the formulas say, for every length, tile, width and number of threads."""

import gc
import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.engines import bert_compiled
from inference.engines.bert_compiled import Layers
from inference.protocols import Floats

Doubles = npt.NDArray[np.float64]
EPSILON = 1e-12
LEVELS = range(1, bert_compiled.level() + 1)


def drawn(seed: int, layers: int, hidden: int, inner: int) -> list[list[Floats]]:
    """Tensors of some layers, in the order of ``encoder_begin``."""
    random = np.random.default_rng(seed)
    attention = [(hidden, hidden), (hidden,)] * 4 + [(hidden,)] * 2
    shapes = [*attention, (inner, hidden), (inner,), (hidden, inner), (hidden,), (hidden,), (hidden,)]
    return [
        [random.standard_normal(shape).astype(np.float32) * np.float32(0.4) for shape in shapes] for _ in range(layers)
    ]


def expected(tensors: list[list[Floats]], heads: int, states: Floats) -> Doubles:
    """The same in double precision, by the book (Devlin et al. 2018)."""
    erf = np.vectorize(math.erf, otypes=[np.float64])
    x = states.astype(np.float64)
    for layer in tensors:
        q, qb, k, kb, v, vb, a, ab, n1, s1, i, ib, o, ob, n2, s2 = (t.astype(np.float64) for t in layer)
        query, key, value = (
            (w @ x + b[:, None]).reshape(heads, -1, x.shape[1]) for w, b in ((q, qb), (k, kb), (v, vb))
        )
        scores = key.transpose(0, 2, 1) @ query / math.sqrt(key.shape[1])
        shares = np.exp(scores - scores.max(axis=1, keepdims=True))
        attended = (value @ (shares / shares.sum(axis=1, keepdims=True))).reshape(x.shape)
        x = normal(x + a @ attended + ab[:, None], n1, s1)
        wide = i @ x + ib[:, None]
        x = normal(x + o @ (wide * (1 + erf(wide / math.sqrt(2))) / 2) + ob[:, None], n2, s2)
    return x


def normal(x: Doubles, scale: Doubles, shift: Doubles) -> Doubles:
    apart = x - x.mean(axis=0)
    return apart / np.sqrt((apart * apart).mean(axis=0) + EPSILON) * scale[:, None] + shift[:, None]


@given(
    seed=st.integers(0, 2**32),
    length=st.one_of(st.integers(1, 70), st.sampled_from([8, 16, 24, 32, 48, 64, 511, 512])),
    layers=st.integers(1, 3),
    head=st.sampled_from([8, 16, 40]),
    heads=st.integers(1, 3),
    inner=st.sampled_from([8, 40, 72]),
    helped=st.booleans(),
)
@settings(max_examples=60, deadline=None)
@pytest.mark.parametrize("level", LEVELS)
def test_layers_are_what_the_formulas_say(
    level: int, seed: int, length: int, layers: int, head: int, heads: int, inner: int, helped: bool
) -> None:
    hidden = head * heads
    tensors = drawn(seed, layers, hidden, inner)
    states = np.random.default_rng(seed + 1).standard_normal((hidden, length)).astype(np.float32)
    kept = states.copy()
    encoder = Layers(tensors, hidden=hidden, heads=heads, epsilon=EPSILON, level=level)
    assert encoder.are_able(length)
    begun = encoder.begin(states, helped=helped)
    states[:] = 0  # they were copied
    assert np.allclose(begun.finish(), expected(tensors, heads, kept), rtol=1e-3, atol=2e-4)


@pytest.mark.parametrize("level", LEVELS)
def test_great_and_small_numbers_stay_numbers(level: int) -> None:
    tensors = drawn(1, 2, 16, 32)
    encoder = Layers(tensors, hidden=16, heads=2, epsilon=EPSILON, level=level)
    states = np.array([1e4, -1e4, 1e-30, 0.0] * 44, dtype=np.float32).reshape(16, 11)
    found = encoder.begin(states).finish()
    assert np.isfinite(found).all()
    assert np.allclose(found, expected(tensors, 2, states), rtol=1e-2, atol=1e-2)


def test_what_it_cannot_do_is_said_before() -> None:
    tensors = drawn(1, 1, 24, 32)
    assert not Layers(tensors, hidden=24, heads=2, epsilon=EPSILON, level=0).are_able(3)
    best = bert_compiled.level()
    assert not Layers(tensors, hidden=24, heads=2, epsilon=EPSILON, level=best).are_able(3)  # heads of 12 rows
    encoder = Layers(tensors, hidden=24, heads=3, epsilon=EPSILON, level=best)
    assert not encoder.are_able(0)
    assert not encoder.are_able(513)


@pytest.mark.skipif(not LEVELS, reason="a processor without AVX2")
def test_many_at_once_one_let_go_and_none_finished_twice() -> None:
    tensors = drawn(2, 3, 32, 64)
    encoder = Layers(tensors, hidden=32, heads=4, epsilon=EPSILON, level=LEVELS[-1])
    states = np.random.default_rng(3).standard_normal((32, 40)).astype(np.float32)
    wanted = encoder.begin(states, helped=False).finish()
    begun = [encoder.begin(states) for _ in range(20)]
    for number, one in enumerate(reversed(begun)):
        if number % 3:
            assert np.array_equal(one.finish(), wanted)
    with pytest.raises(ValueError, match="finished already"):
        begun[-2].finish()
    del begun, one
    gc.collect()
    assert np.array_equal(encoder.begin(states).finish(), wanted)
