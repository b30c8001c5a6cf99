"""Narrow columns that are kept: equal to a fresh scan after every kind of commit, by whomever, and never read twice."""

from datetime import timedelta
from pathlib import Path

import dataframely as dy
import polars as pl
import pytest

from cortex_assets.tables import sharded
from resources import lakehouse, narrow
from resources.lake_handles import Handles
from resources.lakehouse import Lakehouse
from tests.unit.test_lakehouse import PLAIN


class Rows(dy.Schema):
    shard = dy.String()
    row_id = dy.String(primary_key=True)
    input_key = dy.String()
    text = dy.String()
    seen_at = dy.Datetime(time_zone="UTC")
    row_hash = dy.Int64()


ROWS = sharded("bronze/rows", Rows, "row_id")
COLUMNS = ("shard", "row_id", "input_key", "seen_at", "row_hash")


def rows(keys, shard="s", version=1):
    frame = pl.DataFrame({"input_key": [*keys]})
    return frame.select(
        pl.lit(shard).alias("shard"),
        (pl.col("input_key") + "-0").alias("row_id"),
        "input_key",
        pl.lit(f"text {version} " * 20).alias("text"),
        pl.lit("2026-01-01T00:00:00Z").str.to_datetime(time_zone="UTC").alias("seen_at"),
        pl.lit(version, dtype=pl.Int64).alias("row_hash"),
    )


def kept(lake, **kwargs):
    return lake.scan_narrow(ROWS, COLUMNS, **kwargs).sort("shard", "row_id").collect()


def scanned(lake, **kwargs):
    return lake.scan(ROWS, **kwargs).select(COLUMNS).sort("shard", "row_id").collect()


@pytest.fixture
def filled(lake):
    lake.append(ROWS, rows([f"k{n:03d}" for n in range(300)]))
    lake.append(ROWS, rows(["a", "b"], shard="with space %"))
    return lake


def test_a_table_that_does_not_exist_reads_empty_with_the_columns_asked_for(lake):
    assert kept(lake).schema == pl.Schema({name: ROWS.dtypes[name] for name in COLUMNS})


@pytest.mark.parametrize(
    "write",
    [
        lambda lake: lake.append(ROWS, rows(["new"])),
        lambda lake: lake.replace_keys(
            ROWS, "s", rows(["k001", "k002"], version=2), ["k001", "k002", "k003"], ["k003-0"]
        ),
        lambda lake: lake.delete_where(ROWS, "input_key", ["k010", "a"]),
        lambda lake: lake.overwrite(ROWS, rows(["x"]), "shard = 's'"),
        lambda lake: lake.optimize(ROWS),
        lambda lake: lake.restore(ROWS, 0),
    ],
    ids=["append", "merge", "delete", "overwrite", "optimize", "restore"],
)
@pytest.mark.parametrize("by_another", [False, True])
def test_they_are_those_of_a_fresh_scan_after_any_commit(filled, write, by_another):
    assert kept(filled).equals(scanned(filled))
    write(Lakehouse(filled.root, maintenance_lock=filled._maintenance_lock) if by_another else filled)
    fresh = Lakehouse(filled.root)
    assert kept(filled).equals(scanned(fresh))
    assert scanned(filled).equals(scanned(fresh))
    shard = {"shard": "with space %"}
    assert kept(filled, where=shard).equals(scanned(fresh, where=shard))


def test_only_files_that_a_commit_added_are_read(filled, monkeypatch):
    read = []
    really = narrow._read
    monkeypatch.setattr(narrow, "_read", lambda numbers, *args: read.append(len(numbers)) or really(numbers, *args))
    kept(filled)
    first = read.pop()
    kept(filled)
    assert read == []
    filled.append(ROWS, rows(["new"]))
    kept(filled)
    assert first > 1
    assert read == [1]


def test_large_tables_are_not_kept(filled, monkeypatch):
    monkeypatch.setattr(lakehouse, "KEPT_ROWS", 10)
    assert kept(filled).equals(scanned(filled))
    assert filled._narrow._known == {}


def test_after_a_write_the_table_is_not_opened_again(filled, monkeypatch):
    opened = []
    really = Handles.open
    monkeypatch.setattr(Handles, "open", lambda self, *args: opened.append(args) or really(self, *args))
    for write in (
        lambda: filled.append(ROWS, rows(["new"])),
        lambda: filled.replace_keys(ROWS, "s", rows(["k001"], version=3), ["k001"]),
        lambda: filled.delete_where(ROWS, "input_key", ["k002"]),
        lambda: filled.overwrite(ROWS, rows(["x"]), "shard = 's'"),
    ):
        opened.clear()
        write()
        kept(filled)
        scanned(filled)
        assert not opened


def test_the_handle_of_a_write_knows_what_a_fresh_one_does(filled):
    def files(lake, table):
        return pl.DataFrame(lake._handles.snapshot(table).get_add_actions(flatten=True)).sort("path")

    filled.replace_keys(ROWS, "s", rows(["k001"], version=3), ["k001"])
    filled.append(ROWS, rows(["later"]))
    filled.append(PLAIN, pl.DataFrame({"name": ["n"], "value": [1]}))
    filled.append(PLAIN, pl.DataFrame({"name": ["m"], "value": [2]}))
    for table in (ROWS, PLAIN):
        fresh = Lakehouse(filled.root)
        assert files(filled, table).drop("modification_time").equals(files(fresh, table).drop("modification_time"))


def test_a_commit_of_another_after_ours_is_seen(filled):
    kept(filled)
    filled.append(ROWS, rows(["ours"]))
    Lakehouse(filled.root).append(ROWS, rows(["theirs"]))
    assert {"ours", "theirs"} <= set(kept(filled)["input_key"])


def test_files_that_vacuum_removed_are_not_missed(filled):
    kept(filled)
    filled.delete_where(ROWS, "shard", ["s"])
    filled.vacuum(ROWS, timedelta(0))
    assert kept(filled)["shard"].unique().to_list() == ["with space %"]


def test_of_a_table_that_grew_beyond_the_limit_nothing_stays(filled, monkeypatch):
    kept(filled)
    assert filled._narrow._known
    monkeypatch.setattr(lakehouse, "KEPT_ROWS", 1)
    assert kept(filled).equals(scanned(filled))
    assert not filled._narrow._known


def test_many_commits_do_not_leave_many_pieces(filled, monkeypatch):
    monkeypatch.setattr(narrow, "_MOST_CHUNKS", 3)
    for number in range(8):
        filled.append(ROWS, rows([f"n{number}"]))
        assert kept(filled).equals(scanned(filled))
    (one,) = filled._narrow._known.values()
    assert one.rows.n_chunks() <= 4


@pytest.fixture
def saving(filled, tmp_path, monkeypatch):
    """Lakes over the same tables, each as a process of its own would have it, that keep their columns in one folder."""
    monkeypatch.setattr(narrow, "MOST_UNSAVED", 0)

    def opened():
        lake = Lakehouse(filled.root)
        lake.keep_columns_in(tmp_path / "columns")
        return lake

    lake = opened()
    lasting(lake)
    lake.save_columns()
    return opened


def lasting(lake):
    return lake.scan_narrow(ROWS, COLUMNS, is_lasting=True).sort("shard", "row_id").collect()


@pytest.fixture
def read(monkeypatch):
    """Numbers of data files that are read one by one."""
    counts = []
    really = narrow._read
    monkeypatch.setattr(narrow, "_read", lambda numbers, *args: counts.append(len(numbers)) or really(numbers, *args))
    return counts


def test_the_next_process_reads_only_new_files(saving, read):
    assert lasting(saving()).equals(scanned(saving()))
    assert read == []
    saving().append(ROWS, rows(["new"]))
    assert lasting(saving()).equals(scanned(saving()))
    assert read == [1]


def test_rows_of_files_that_left_the_table_are_not_read_from_the_folder(saving, filled):
    filled.replace_keys(ROWS, "s", rows(["k001"], version=3), ["k001"])
    filled.delete_where(ROWS, "input_key", ["k002"])
    filled.overwrite(ROWS, rows(["z"], shard="with space %"), "shard = 'with space %'")
    assert lasting(saving()).equals(scanned(saving()))
    filled.restore(ROWS, 1)
    assert lasting(saving()).equals(scanned(saving()))


def test_a_data_file_that_is_not_what_it_was_is_read_from_the_table(saving, filled, read):
    path = next(p for p in (Path(filled.root) / ROWS.name).rglob("*.parquet") if "shard=s" in str(p))
    frame = pl.read_parquet(path)
    frame.with_columns(pl.col("row_hash") + 7).write_parquet(path)
    assert lasting(saving()).equals(scanned(saving()))
    assert read == [1]


@pytest.mark.parametrize("harm", ["cut", "empty", "other", "gone"])
def test_a_harmed_file_of_the_folder_counts_as_none(saving, tmp_path, harm):
    (path,) = (tmp_path / "columns").iterdir()
    content = path.read_bytes()
    {
        "cut": lambda: path.write_bytes(content[: len(content) // 2]),
        "empty": lambda: path.write_bytes(b""),
        "other": lambda: (
            pl.read_parquet(path).drop("row_id").write_parquet(path, metadata=pl.read_parquet_metadata(path))
        ),
        "gone": path.unlink,
    }[harm]()
    assert lasting(saving()).equals(scanned(saving()))


def test_little_is_not_worth_a_write_and_a_folder_that_cannot_be_written_is_no_error(saving, tmp_path, monkeypatch):
    (path,) = (tmp_path / "columns").iterdir()
    monkeypatch.setattr(narrow, "MOST_UNSAVED", 64)
    before = path.stat().st_mtime_ns
    saving().append(ROWS, rows(["new"]))
    lake = saving()
    lasting(lake)
    lake.save_columns()
    assert path.stat().st_mtime_ns == before
    monkeypatch.setattr(narrow, "MOST_UNSAVED", 0)
    path.unlink()
    path.parent.rmdir()
    path.parent.write_bytes(b"a file")
    lake.save_columns()
    assert kept(lake).equals(scanned(lake))


def test_columns_that_do_not_last_are_not_saved(saving, tmp_path, filled):
    lake = saving()
    lake.scan_narrow(ROWS, COLUMNS[:3]).collect()
    lake.save_columns()
    assert len(list((tmp_path / "columns").iterdir())) == 1
