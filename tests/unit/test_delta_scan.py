"""Scans by the files of the log, held to what ``polars.scan_delta`` reads."""

import threading
from datetime import UTC, date, datetime

import polars as pl
import pytest
from deltalake import DeltaTable, write_deltalake
from polars.testing import assert_frame_equal

from resources import delta_scan
from resources.delta_scan import FEW_KEYS, scan_files
from resources.snapshots import Snapshots

KEYS = [f"k{number:03d}" for number in range(300)]


def rows(shard: str, keys: list[str]) -> pl.DataFrame:
    count = len(keys)
    return pl.DataFrame(
        {
            "shard": [shard] * count,
            "key": keys,
            "number": range(count),
            "share": [n / 2 for n in range(count)],
            "is_even": [n % 2 == 0 for n in range(count)],
            "day": [date(2026, 11, 1)] * count,
            "moment": pl.Series([datetime(2026, 11, 1, tzinfo=UTC)] * count, dtype=pl.Datetime("us", "UTC")),
            "vector": pl.Series([[1.0, 2.0]] * count, dtype=pl.List(pl.Float32)),
            "empty": pl.Series([None] * count, dtype=pl.String),
        }
    )


@pytest.fixture
def table(tmp_path):
    place = str(tmp_path / "table")
    for shard in ("notes", "a b+c@d=é:1"):
        for start in range(0, len(KEYS), 100):
            write_deltalake(place, rows(shard, KEYS[start : start + 100]), mode="append", partition_by=["shard"])
    return DeltaTable(place)


def same(handle, where, keys):
    ours, theirs = scan_files(handle, ["shard"], where, keys), pl.scan_delta(handle)
    for name, value in where.items():
        ours, theirs = (frame.filter(pl.col(name) == value) for frame in (ours, theirs))
    for name, values in keys.items():
        ours, theirs = (frame.filter(pl.col(name).is_in(list(values))) for frame in (ours, theirs))
    columns = theirs.collect_schema().names()
    found, expected = (frame.select(columns).collect().sort("shard", "key") for frame in (ours, theirs))
    assert_frame_equal(found, expected)
    return found.height


@pytest.mark.parametrize("where", [{}, {"shard": "notes"}, {"shard": "a b+c@d=é:1"}, {"shard": "none"}])
@pytest.mark.parametrize("keys", [{}, {"key": KEYS[:3]}, {"key": KEYS[: FEW_KEYS + 40]}, {"key": ["zzz"]}])
def test_reads_what_scan_delta_reads(table, where, keys):
    found = same(table, where, keys)
    wanted = len(set(keys.get("key", KEYS)) & set(KEYS))
    assert found == wanted * {0: 2, 1: 0 if where.get("shard") == "none" else 1}[len(where)]


def test_a_column_that_came_later_is_null_in_older_files(table):
    more = rows("notes", ["new"]).with_columns(late=pl.lit("x"))
    write_deltalake(table.table_uri, more, mode="append", schema_mode="merge")
    assert same(DeltaTable(table.table_uri), {"shard": "notes"}, {}) == len(KEYS) + 1


def test_files_that_cannot_hold_a_key_are_not_opened(table, monkeypatch):
    opened = []
    really = pl.scan_parquet
    monkeypatch.setattr(
        delta_scan.pl, "scan_parquet", lambda files, **how: opened.append(len(files)) or really(files, **how)
    )
    scan_files(table, ["shard"], {"shard": "notes"}, {"key": ["k150"]}).collect()
    scan_files(table, ["shard"], {"shard": "notes"}, {"key": KEYS[: FEW_KEYS + 40]}).collect()
    assert opened == [1, 2]


def test_tables_of_later_readers_and_other_types_are_left_to_scan_delta(table, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(delta_scan.pl, "scan_delta", lambda handle: asked.append(handle) or pl.LazyFrame())
    monkeypatch.setattr(delta_scan, "READER_VERSION", 0)
    scan_files(table, ["shard"], {}, {})
    monkeypatch.setattr(delta_scan, "READER_VERSION", 1)
    place = str(tmp_path / "other")
    write_deltalake(
        place, pl.DataFrame({"s": ["1.5"]}, {"s": pl.String}).with_columns(pl.col("s").cast(pl.Decimal(10, 2)))
    )
    scan_files(DeltaTable(place), [], {}, {})
    assert len(asked) == 2


def test_a_scan_stays_at_the_version_it_was_made_at(table):
    before = scan_files(table, ["shard"], {"shard": "notes"}, {})
    table.delete("shard = 'notes'")
    assert before.collect().height == len(KEYS)
    assert scan_files(table, ["shard"], {"shard": "notes"}, {}).collect().is_empty()


def test_a_handle_is_given_to_one_writer_and_to_no_reader_meanwhile(table):
    from pathlib import Path

    folder, known = Path(table.table_uri.removeprefix("file://")), Snapshots()
    made = []

    def fresh():
        made.append(DeltaTable(str(folder)))
        return made[-1]

    read = known.get(folder, fresh)
    taken = known.take(folder, fresh)
    assert taken is read
    other = []
    reader = threading.Thread(target=lambda: other.append(known.get(folder, fresh)))
    reader.start()
    reader.join()
    assert other[0] is not taken
    taken.delete("key = 'k001'")
    known.put(folder, taken)
    assert known.get(folder, fresh) is taken
    write_deltalake(str(folder), rows("notes", ["elsewhere"]), mode="append")
    assert known.take(folder, fresh) is not taken  # somebody else committed
