"""Rows by many keys: what a filtered scan gives, whatever wrote the files."""

import random
from contextlib import nullcontext

import polars as pl
import pytest
from polars.testing import assert_frame_equal

import resources.delta_files
import resources.delta_reads
from resources.lakehouse import Lakehouse
from tests.unit.test_lakehouse import PLAIN, ROWS, rows

COLUMNS = ("shard", "row_id", "value")


@pytest.fixture
def mixed(tmp_path, monkeypatch) -> Lakehouse:
    """A table of files that were appended, merged, and laid out anew, in two shards."""
    monkeypatch.setattr(resources.delta_files, "EDITED_FILE_BYTES", 2_000)
    lake = Lakehouse(tmp_path / "lake", maintenance_lock=nullcontext)
    for shard in ("s", "t a"):
        made = [rows(*((f"k{key:03}", i, key) for i in range(3)), shard=shard) for key in range(300)]
        lake.append(ROWS, pl.concat(made[:200]))
        lake.append(ROWS, pl.concat(made[200:]))
    lake.optimize(ROWS)
    keys = [f"k{key:03}" for key in (5, 250)]
    lake.replace_keys(ROWS, "s", rows(*((key, 0, 7) for key in keys)), keys, gone=[f"{keys[0]}-1"])
    return lake


def test_rows_near_are_those_of_a_filtered_scan(mixed):
    pick = random.Random(3)
    for count in (1, 2, 40, 300):
        keys = [f"k{pick.randrange(320):03}" for _ in range(count)]
        for shard in ("s", "t a"):
            found = mixed.near(ROWS, {"shard": shard}, {"input_key": keys}, COLUMNS)
            wanted = mixed.scan(ROWS, where={"shard": shard}, keys={"input_key": keys}).select(COLUMNS).collect()
            assert wanted.height or count == 1
            assert_frame_equal(found, wanted, check_row_order=False)


def test_few_keys_read_few_files(mixed, monkeypatch):
    read = []
    scan = pl.scan_parquet
    monkeypatch.setattr(pl, "scan_parquet", lambda files, **kwargs: read.append(files) or scan(files, **kwargs))
    assert mixed.near(ROWS, {"shard": "t a"}, {"input_key": ["k010", "k290"]}, COLUMNS).height == 6
    (files,) = read
    assert len(files) == 2 < len(mixed.open(ROWS).file_uris())


def test_few_rows_of_a_key_with_many_read_few_files(tmp_path, monkeypatch):
    monkeypatch.setattr(resources.delta_files, "EDITED_FILE_BYTES", 2_000)
    lake = Lakehouse(tmp_path / "lake")
    lake.append(ROWS, rows(*(("one", number, number) for number in range(2_000))))
    lake.append(ROWS, rows(("two", 0, 0), ("two", 7, 7)))
    read = []
    scan = pl.scan_parquet
    monkeypatch.setattr(pl, "scan_parquet", lambda files, **kwargs: read.append(files) or scan(files, **kwargs))
    keys = {"input_key": ["one", "three"], "row_id": ["one-7", "one-8", "two-7"]}
    assert sorted(lake.near(ROWS, {"shard": "s"}, keys, ("row_id",))["row_id"]) == ["one-7", "one-8"]
    (files,) = read
    assert len(files) <= 3 < 10 < len(lake.open(ROWS).file_uris())
    assert lake.near(ROWS, {"shard": "s"}, keys | {"row_id": []}, ("row_id",)).is_empty()


def test_no_key_no_table_no_file_no_match(mixed, tmp_path):
    assert mixed.near(ROWS, {"shard": "s"}, {"input_key": []}, COLUMNS).schema == {n: ROWS.dtypes[n] for n in COLUMNS}
    assert mixed.near(ROWS, {"shard": "none"}, {"input_key": ["k001"]}, COLUMNS).height == 0
    assert mixed.near(ROWS, {"shard": "s"}, {"input_key": ["zz"]}, COLUMNS).height == 0
    assert Lakehouse(tmp_path / "other").near(ROWS, {"shard": "s"}, {"input_key": ["a"]}, COLUMNS).height == 0
    mixed.overwrite(ROWS, rows(), predicate="shard = 's'")
    assert mixed.near(ROWS, {"shard": "s"}, {"input_key": ["k001"]}, COLUMNS).height == 0


def test_picked_rows_are_the_same_from_dense_and_sparse_files(tmp_path, monkeypatch):
    monkeypatch.setattr(resources.delta_reads, "DENSE_ROWS", 5)
    lake = Lakehouse(tmp_path / "lake")
    for start in (0, 100, 200):
        lake.append(PLAIN, pl.DataFrame({"name": [f"n{i}" for i in range(start, start + 100)], "value": start}))
    keys = [*(f"n{i}" for i in range(20)), "n150", "n150", "absent"]
    found = lake.pick(PLAIN, {}, "name", keys, ("name", "value"))
    wanted = lake.scan(PLAIN, keys={"name": keys}).collect()
    assert wanted.height == 21
    assert_frame_equal(found, wanted, check_row_order=False)
