"""Inverted terms give what comparing every point would give."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.vectors.postings import FREQUENCIES, POSTINGS, Postings, top
from resources.vectors.protocol import DamagedIndexError, SparseQuery

Point = dict[int, float]

weights = st.integers(1, 40).map(lambda n: n / 8)
some_points = st.lists(st.dictionaries(st.integers(0, 12) | st.just(2**32 - 1), weights, max_size=6), max_size=25)


def inverted(points: list[Point]) -> Postings:
    terms = pl.Series("terms", [sorted(point) for point in points], pl.List(pl.UInt32))
    values = pl.Series("weights", [[point[t] for t in sorted(point)] for point in points], pl.List(pl.Float32))
    return Postings.of(terms, values)


@given(some_points, st.dictionaries(st.integers(0, 13) | st.just(2**32 - 1), weights, max_size=5), st.data())
def test_the_best_are_those_of_brute_force(points: list[Point], query: Point, data: st.DataObject) -> None:
    allowed = data.draw(st.none() | st.lists(st.booleans(), min_size=len(points), max_size=len(points)))
    floor = data.draw(st.none() | weights)
    scores = [sum(w * query.get(term, 0) for term, w in point.items()) for point in points]
    wanted = [
        row
        for row in sorted(range(len(points)), key=lambda row: -scores[row])
        if scores[row] > 0 and (floor is None or scores[row] >= floor) and (allowed is None or allowed[row])
    ]
    limit = data.draw(st.integers(1, len(points) + 2))
    mask = None if allowed is None else np.array(allowed, np.bool_)
    rows, found = inverted(points).best(SparseQuery(list(query), list(query.values())), mask, limit, floor)
    assert found.tolist() == [scores[row] for row in wanted[:limit]]
    assert {*rows.tolist()} <= {*wanted}
    assert len({*rows.tolist()}) == len(rows)


@given(some_points, st.dictionaries(st.integers(0, 13) | st.just(2**32 - 1), weights, max_size=5))
def test_every_point_has_its_score(points: list[Point], query: Point) -> None:
    scores = inverted(points).scores(SparseQuery(list(query), list(query.values())), range(len(points)))
    assert scores.tolist() == [sum(w * query.get(term, 0) for term, w in point.items()) for point in points]


def test_one_query_after_the_other_gets_its_own_scores() -> None:
    points = Postings.of(pl.Series([[1, 2], [2], [3]]), pl.Series([[1.0, 2.0], [4.0], [8.0]]))
    first, second = SparseQuery([2], [1.0]), SparseQuery([2], [0.5])
    only_first_row = np.array([True, False, False])
    for _ in range(2):
        assert points.best(first, only_first_row, 9, None)[0].tolist() == [0]
        assert points.scores(first, [0, 1, 2]).tolist() == [2.0, 4.0, 0.0]
        assert points.scores(second, [2, 1]).tolist() == [0.0, 2.0]
        assert points.best(second, None, 9, None)[1].tolist() == [2.0, 1.0]
        assert points.scores(SparseQuery([7], [1.0]), [0, 1]).tolist() == [0.0, 0.0]


@given(some_points, st.data())
def test_points_come_back_out(points: list[Point], data: st.DataObject) -> None:
    rows = data.draw(st.lists(st.integers(0, len(points) - 1), unique=True)) if points else []
    postings = inverted(points)
    terms, values = postings.lists_of(rows)
    assert terms.to_list() == [sorted(points[row]) for row in rows]
    assert values.to_list() == [[points[row][term] for term in sorted(points[row])] for row in rows]
    known, counts = postings.counts_of(rows)
    held = [term for row in rows for term in points[row]]
    assert dict(zip(known.tolist(), counts.tolist(), strict=True)) == {term: held.count(term) for term in held}
    asked = np.arange(14, dtype=np.uint32)
    assert postings.frequencies(asked).tolist() == [sum(term in point for point in points) for term in range(14)]


def test_files_hold_the_same(tmp_path: Path) -> None:
    points: list[Point] = [{1: 0.5, 7: 2.0}, {}, {7: 1.0}]
    inverted(points).save(tmp_path)
    loaded = Postings.load(tmp_path, 3)
    rows, scores = loaded.best(SparseQuery([7], [1.0]), None, 5, None)
    assert (rows.tolist(), scores.tolist()) == ([0, 2], [2.0, 1.0])
    assert loaded.lists_of([2, 0, 1])[0].to_list() == [[7], [1, 7], []]


@pytest.mark.parametrize("name", [FREQUENCIES, POSTINGS])
@pytest.mark.parametrize("left", [0, 20, 140])
def test_a_file_cut_short_is_damage(tmp_path: Path, name: str, left: int) -> None:
    inverted([{1: 0.5, 7: 2.0}, {7: 1.0}]).save(tmp_path)
    path = tmp_path / name
    path.write_bytes(path.read_bytes()[:left])
    with pytest.raises(DamagedIndexError, match=name.replace(".", r"\.")):
        Postings.load(tmp_path, 2)


def test_files_of_two_segments_are_damage(tmp_path: Path) -> None:
    inverted([{1: 0.5, 7: 2.0}, {7: 1.0}]).save(tmp_path)
    kept = (tmp_path / FREQUENCIES).read_bytes()
    inverted([{1: 0.5}]).save(tmp_path)
    (tmp_path / FREQUENCIES).write_bytes(kept)
    with pytest.raises(DamagedIndexError, match="counts others"):
        Postings.load(tmp_path, 2)


def test_ties_are_in_the_order_of_places() -> None:
    places, scores = top(np.array([1.0, 3.0, 3.0, 0.0, 3.0]), 2, 0.5)
    assert (places.tolist(), scores.tolist()) == ([1, 2], [3.0, 3.0])
