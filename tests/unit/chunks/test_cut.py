"""``cut.cpp`` against the same rules in Python: no unit, hash or border may differ."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex_assets.chunks import cut
from cortex_assets.chunks.pack import WALL, Sizes, borders
from cortex_assets.chunks.source import Source
from cortex_assets.documents.model import Block
from inference.errors import NotCompiled
from inference.protocols import Tokens
from tests.unit.chunks import reference_cut as reference

PIECES = st.sampled_from(
    ["word ", "two words ", "a" * 70, "\n", "\n\n", "\r\n \n", "  ", "\t", "é ", "漢字", ". ", "# T\n"]
)
RANKS = st.integers(0, 1 << 45) | st.integers(0, 3) | st.just(WALL)


@given(st.lists(st.tuples(st.integers(1, 400), RANKS), min_size=1, max_size=120), st.integers(1, 400))
def test_borders(drawn: list[tuple[int, int]], most: int) -> None:
    before = np.cumsum([0, *(size for size, _ in drawn)])
    priorities = np.array([rank for _, rank in drawn], dtype=np.int64)
    sizes = Sizes.of(most)
    assert borders(before, priorities, sizes) == reference.borders(before.tolist(), priorities.tolist(), sizes)


@given(st.lists(PIECES | st.sampled_from(["\ud800", "😀\n"]), max_size=60).map("".join), st.integers(0, 7))
def test_lines(text: str, shift: int) -> None:
    starts = np.array([place for place, char in enumerate(text) if not char.isspace()], dtype=np.int64)
    found = cut.lines(text.encode("utf-8", "surrogatepass"), len(text), starts, shift)
    assert found.newlines.tolist() == [place for place, char in enumerate(text) if char == "\n"]
    assert found.line_tokens.tolist() == np.searchsorted(starts, found.newlines).tolist()
    spans = np.diff([*starts, len(text)]) if len(starts) else starts
    assert found.weight_before.tolist() == [0, *np.cumsum(np.maximum(spans >> shift, 1)).tolist()]


WHITE = [chr(code) for code in range(0x110000) if chr(code).isspace()]


@given(st.lists(PIECES | st.sampled_from([*WHITE, "\ud800", "😀", "x"]), min_size=1, max_size=150), st.data())
def test_places(words: Any, drawn: list[str], data: st.DataObject) -> None:
    source = Source("".join(drawn), words)
    sides = data.draw(st.lists(st.integers(0, len(source.text)), max_size=40).map(sorted))
    spans = list(zip(sides[::2], sides[1::2], strict=False))
    assert source.places(spans) == reference.places(source, spans)
    whole = list(pairwise([0, *sides, len(source.text)]))
    assert source.places(whole) == reference.places(source, whole)


@pytest.mark.parametrize("character", [*WHITE, "\x1b", "\u180e", "\u200b", "\u2060", "\ufeff", "\U000e0020"])
def test_white_space_is_what_python_takes_for_it(words: Any, character: str) -> None:
    text = f"{character}one{character} two{character}"
    source = Source(text, words)
    assert source.places([(0, len(text))]) == reference.places(source, [(0, len(text))])


@given(st.lists(PIECES, min_size=1, max_size=60), st.data())
def test_hashes(words: Any, drawn: list[str], data: st.DataObject) -> None:
    source = Source("".join(drawn), words)
    bounds = data.draw(
        st.lists(st.integers(0, len(source.starts)), min_size=2, max_size=9, unique=True).map(sorted)
        if len(source.starts)
        else st.just([0, 0])
    )
    assert source.hashes_between(bounds).tolist() == reference.hashes_between(source, np.array(bounds)).tolist()


@given(st.lists(PIECES, min_size=1, max_size=200), st.data())
def test_pieces(words: Any, drawn: list[str], data: st.DataObject) -> None:
    text = "".join(drawn)
    source = Source(text, words)
    spots = st.integers(-2, len(text) + 2)
    strengths = st.sampled_from([3, 5, 8, 9, 99])
    marks = data.draw(st.lists(st.tuples(spots, strengths), max_size=20))
    sides = data.draw(st.lists(st.integers(0, len(text)), max_size=8, unique=True).map(sorted))
    kinds = data.draw(st.lists(st.sampled_from(["table", "code", "data"]), min_size=4, max_size=4))
    blocks = [Block(kind, *sides[2 * n : 2 * n + 2]) for n, kind in enumerate(kinds[: len(sides) // 2])]
    base = data.draw(st.sampled_from(["prose", "table"]))
    sizes = Sizes.of(data.draw(st.integers(8, 60)))
    flat = [side for block in blocks for side in (block.start, block.end)]
    edges = cut.Edges(
        [*(place for place, _ in marks), *flat],
        [*(strength for _, strength in marks), *[1] * len(flat)],
        flat,
        [cut.KINDS.index(block.kind) for block in blocks],
    )
    found = cut.pieces(source.tokenized(), edges, cut.KINDS.index(base), sizes.numbers)
    told = [
        (start, weight, blocks[block] if block >= 0 else None, cut.KINDS[kind])
        for start, weight, block, kind in zip(*found, strict=True)
    ]
    assert told == reference.pieces(source, blocks, marks, base, sizes)


def test_a_priority_above_a_wall_is_a_wall() -> None:
    before, sizes = np.array([0, 50, 100, 150]), Sizes.of(120)
    over, wall = (borders(before, np.array([0, rank, 0]), sizes) for rank in (WALL + 1, WALL))
    assert over == wall
    assert 1 in wall


def test_arrays_with_strides_are_read_right() -> None:
    priorities = np.random.default_rng(1).integers(0, 1 << 40, 80)
    before, sizes = np.cumsum([0] + [9] * 40), Sizes.of(60)
    assert borders(before, priorities[::2], sizes) == borders(before, priorities[::2].copy(), sizes)


class Uneven:
    name, special_tokens = "uneven", 0

    def encode(self, text: str) -> Tokens:
        return Tokens(np.zeros(3, np.int32), np.arange(len(text), dtype=np.int32), np.arange(len(text), dtype=np.int32))


def test_a_tokenizer_without_a_span_for_each_token_is_refused() -> None:
    with pytest.raises(ValueError, match="uneven: ids and spans differ"):
        Source("some text", Uneven())  # type: ignore[arg-type]


def test_a_library_of_other_rules_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cut, "_RULES", 0)
    cut._library.cache_clear()
    with pytest.raises(NotCompiled, match="other source"):
        borders(np.array([0, 1, 2]), np.array([0, 1]), Sizes.of(8))
    cut._library.cache_clear()
