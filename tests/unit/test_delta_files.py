"""How rows lie in files: cut to a size, found by their statistics, laid out anew where they lie badly."""

import random
import string
import threading
from concurrent.futures import ThreadPoolExecutor

import dataframely as dy
import polars as pl
import pytest

from cortex_assets.tables import sharded
from resources.delta_files import EDITED_FILE_BYTES, LEAST_FILE_BYTES, OVERSIZE
from resources.lakehouse import Lakehouse


class Texts(dy.Schema):
    shard = dy.String()
    row_id = dy.String(primary_key=True)
    input_key = dy.String()
    text = dy.String(nullable=True)
    row_hash = dy.Int64()


TEXTS = sharded("bronze/texts", Texts, "row_id")


def noise(length, seed=0):
    """Text that does not compress much."""
    return "".join(random.Random(seed).choices(string.ascii_letters + string.digits, k=length))


def texts(lengths, shard="s", prefix="k", make=noise):
    return pl.DataFrame(
        {
            "shard": [shard] * len(lengths),
            "row_id": [f"{prefix}{n:05d}-0" for n in range(len(lengths))],
            "input_key": [f"{prefix}{n:05d}" for n in range(len(lengths))],
            "text": [make(length, n) for n, length in enumerate(lengths)],
            "row_hash": list(range(len(lengths))),
        }
    )


def files(lake):
    actions = pl.DataFrame(lake.open(TEXTS).get_add_actions(flatten=True))
    return actions.sort("partition.shard", "min.input_key")


def content(lake):
    return lake.scan(TEXTS).sort("shard", "row_id").collect()


def test_files_have_the_size_aimed_at_and_part_the_keys(lake):
    lake.append(TEXTS, texts([3_000] * 800))
    laid = files(lake)
    assert laid.height > 16
    assert laid["size_bytes"].max() <= 2 * EDITED_FILE_BYTES
    assert laid["size_bytes"][:-1].min() >= EDITED_FILE_BYTES // 4
    assert laid["num_records"].sum() == 800
    assert all(last < first for last, first in zip(laid["max.input_key"], laid["min.input_key"][1:], strict=False))


def test_a_small_table_has_small_files_and_not_many(lake):
    lake.append(TEXTS, texts([300] * 400))
    laid = files(lake)
    assert 4 <= laid.height <= 60
    assert laid["size_bytes"].max() <= 2 * LEAST_FILE_BYTES


@pytest.mark.parametrize(
    "lengths",
    [[1], [0] * 5, [2_000_000], [10, 1_500_000, 10, 20], [100] * 5_000 + [900_000], [900_000] * 3 + [100] * 5_000],
    ids=["one", "empty", "huge", "huge among small", "huge at the end", "huge at the start"],
)
def test_whatever_the_lengths_no_row_is_lost_and_only_a_single_row_makes_a_large_file(lake, lengths):
    frame = texts(lengths)
    lake.append(TEXTS, frame)
    assert content(lake).equals(frame)
    assert files(lake).filter(pl.col("num_records") > 1)["size_bytes"].max() or 2 * EDITED_FILE_BYTES >= 0
    version = lake.version(TEXTS)
    lake.optimize(TEXTS)
    assert lake.version(TEXTS) == version, "what was cut here needs no other layout"


def test_text_that_compresses_well_at_first_and_badly_later_is_cut_by_what_was_seen(lake):
    frame = texts([40_000] * 60, make=lambda length, n: ("same " * (length // 5)) if n < 30 else noise(length, n))
    lake.append(TEXTS, frame)
    assert content(lake).equals(frame)
    assert files(lake)["size_bytes"].max() <= 2 * EDITED_FILE_BYTES


def test_shards_of_any_allowed_name_and_missing_text_are_kept(lake):
    for shard in ("plain", "a b", "mail@home", "1+1=2", "x:y", "Grüße", "..."):
        frame = texts([5, 6], shard=shard).with_columns(text=pl.Series([None, "x"], dtype=pl.String))
        lake.append(TEXTS, frame)
        assert lake.scan(TEXTS, where={"shard": shard}).sort("row_id").collect().equals(frame), shard
        changed = frame.with_columns(text=pl.lit("new"), row_hash=pl.lit(9, pl.Int64))
        commit = lake.replace_keys(TEXTS, shard, changed, ["k00000", "k00001"])
        assert commit.updated == 2
        assert lake.scan(TEXTS, where={"shard": shard}, keys={"input_key": ["k00001"]}).collect()["text"].to_list() == [
            "new"
        ]
    assert lake.delete_where(TEXTS, "input_key", ["k00001"], "a b").deleted == 1


def test_one_changed_row_copies_one_small_file(lake):
    lake.append(TEXTS, texts([3_000] * 800))
    before = files(lake)
    changed = texts([3_000] * 800)[400:401].with_columns(text=pl.lit("changed"), row_hash=pl.lit(-1, pl.Int64))
    lake.replace_keys(TEXTS, "s", changed, ["k00400"])
    after = files(lake)
    written = after.join(before, on="path", how="anti")
    assert written["size_bytes"].sum() <= 2 * EDITED_FILE_BYTES
    assert before.join(after, on="path", how="anti").height == 1
    assert content(lake).filter(pl.col("text") == "changed")["row_id"].to_list() == ["k00400-0"]


def test_a_file_that_an_edit_of_many_rows_made_too_large_is_cut_by_optimize(lake):
    frame = texts([6_000] * 400)
    lake.append(TEXTS, frame)
    lake.append(TEXTS, texts([10] * 3, shard="other"))
    changed = texts([6_000] * 400, make=lambda length, n: noise(length, n + 1_000)).with_columns(pl.col("row_hash") + 1)
    lake.replace_keys(TEXTS, "s", changed, frame["input_key"].to_list())
    assert files(lake)["size_bytes"].max() > OVERSIZE * EDITED_FILE_BYTES
    before = content(lake)
    others = files(lake).filter(pl.col("partition.shard") == "other")["path"].to_list()
    lake.optimize(TEXTS)
    assert files(lake)["size_bytes"].max() <= 2 * EDITED_FILE_BYTES
    assert content(lake).equals(before)
    assert files(lake).filter(pl.col("partition.shard") == "other")["path"].to_list() == others
    version = lake.version(TEXTS)
    lake.optimize(TEXTS)
    assert lake.version(TEXTS) == version


def test_a_layout_in_several_blocks_keeps_every_row_once(lake, monkeypatch):
    monkeypatch.setattr("resources.lake_layout.LAYOUT_BYTES", 300_000)
    for number in range(6):
        lake.append(TEXTS, texts([2_000] * 150, prefix="abcdef"[number])[random.Random(number).sample(range(150), 150)])
    lake.append(TEXTS, texts([2_000] * 900).with_columns(pl.col("input_key").str.head(4)))  # keys with many rows each
    overlapping = texts([2_000] * 150).with_columns(pl.col("row_id") + "-more", pl.col("input_key").str.head(3))
    for start in range(0, 150, 10):
        lake.append(TEXTS, overlapping[start : start + 10])
    before = content(lake)
    lake.optimize(TEXTS)
    assert content(lake).equals(before)
    assert files(lake)["size_bytes"].max() <= 2 * EDITED_FILE_BYTES


def test_writers_of_several_shards_make_the_table_together(tmp_path):
    lakes = [Lakehouse(tmp_path / "lake") for _ in range(4)]
    start = threading.Barrier(4)

    def write(number):
        start.wait()
        for round_ in range(3):
            lakes[number].append(TEXTS, texts([200] * 20, shard=f"s{number}", prefix=f"r{round_}-"))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    assert dict(content(lakes[0]).group_by("shard").len().iter_rows()) == {f"s{n}": 60 for n in range(4)}


def test_files_grow_with_a_large_table(lake, monkeypatch):
    monkeypatch.setattr("resources.delta_files.EDITED_FILES", 10)
    for number in range(8):
        lake.append(TEXTS, texts([3_000] * 400, prefix="abcdefgh"[number]))
    laid = files(lake)
    assert laid.height < 70
    assert laid["size_bytes"].max() > 3 * EDITED_FILE_BYTES
    lake.optimize(TEXTS)
    assert files(lake).height <= 20
