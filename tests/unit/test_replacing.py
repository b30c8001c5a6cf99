"""What replacing rows comes to, against dictionaries."""

from collections.abc import Mapping

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from resources.replacing import change

ROWS = st.dictionaries(st.sampled_from("abcdefgh"), st.integers(0, 2), max_size=8)


def frame(rows: Mapping[str, int]) -> pl.DataFrame:
    """Rows by id; the rows a and b, c and d... are of one key."""
    keys = ["abcdefghz".index(row) // 2 for row in rows]
    columns = {"id": list(rows), "input_key": [f"k{key}" for key in keys], "row_hash": list(rows.values())}
    return pl.DataFrame(columns, {"id": pl.String, "input_key": pl.String, "row_hash": pl.Int64})


@given(ROWS, ROWS, st.sets(st.sampled_from("abcdefghz")))
def test_a_change_is_what_differs(there: dict[str, int], wanted: dict[str, int], gone: set[str]) -> None:
    gone = gone - wanted.keys()
    found = change(frame(there), frame(wanted), sorted(gone), "id")
    fresh = {row: value for row, value in wanted.items() if there.get(row) != value}
    leaving = there.keys() & gone
    assert dict(found.fresh.select("id", "row_hash").iter_rows()) == fresh
    assert found.fresh["id"].to_list() == list(fresh)
    assert found.inserted == len(fresh.keys() - there.keys())
    assert found.updated == len(fresh.keys() & there.keys())
    assert set(found.leaving) == leaving
    assert set(found.keys) == set(frame(dict.fromkeys([*fresh, *leaving], 0))["input_key"])
    assert found.is_whole == (there.keys() <= wanted.keys() | gone)
    assert found.is_nothing == (not fresh and not leaving)
    assert found.is_addition == (not found.updated and not leaving)
    assert not found.is_repeated


def test_an_id_that_is_there_twice_has_everything_written() -> None:
    there = pl.concat([frame({"a": 1}), frame({"a": 1, "b": 2})])
    found = change(there, frame({"a": 1}), ["b", "b"], "id")
    assert found.is_repeated and not found.is_nothing and not found.is_addition
    assert found.fresh["id"].to_list() == ["a"] and list(found.leaving) == ["b"]
