"""The lakehouse on real Delta tables in a temporary folder."""

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import dataframely as dy
import polars as pl
import pytest

from cortex_assets.tables import Kind, TableSpec, sharded
from resources import delta_files, lake_writing
from resources.coercion import SchemaMismatch, coerce
from resources.lake_writing import Writes
from resources.lakehouse import LakeError, Lakehouse, RepeatedIds


class Rows(dy.Schema):
    shard = dy.String()
    row_id = dy.String(primary_key=True)
    input_key = dy.String()
    value = dy.Int64()
    row_hash = dy.Int64()


class Plain(dy.Schema):
    name = dy.String(primary_key=True)
    value = dy.Int64()


class Grown(Rows):
    """What a later declaration makes of the table."""

    found = dy.List(dy.Struct({"rule": dy.String(), "line": dy.Int64(nullable=True)}), nullable=True)
    score = dy.Float64(nullable=True)
    notes = dy.List(dy.String(), nullable=True)


ROWS = sharded("bronze/rows", Rows, "row_id")
GROWN = sharded("bronze/rows", Grown, "row_id")
PLAIN = TableSpec("ops/plain", Kind.OPS, Plain, ("name",))


def rows(*values, shard="s"):
    return pl.DataFrame(
        [(shard, f"{key}-{i}", key, v, v) for key, i, v in values],
        schema=["shard", "row_id", "input_key", "value", "row_hash"],
        orient="row",
    )


def plain(count, start=0):
    return pl.DataFrame({"name": [f"n{i}" for i in range(start, start + count)], "value": list(range(count))})


def values(lake, **kwargs):
    return dict(lake.scan(ROWS, **kwargs).select("row_id", "value").collect().iter_rows())


def test_a_table_that_does_not_exist_reads_empty_with_its_columns(lake):
    assert lake.scan(ROWS).collect().schema == pl.Schema(ROWS.dtypes)
    assert lake.version(ROWS) == -1


def test_replace_keys_inserts_updates_deletes_and_leaves_other_keys_alone(lake):
    lake.replace_keys(ROWS, "s", rows(("a", 0, 1), ("a", 1, 2), ("b", 0, 3)), ["a", "b"])
    commit = lake.replace_keys(ROWS, "s", rows(("a", 0, 9), ("a", 2, 4)), ["a"], gone=["a-1"])
    assert (commit.inserted, commit.updated, commit.deleted) == (1, 1, 1)
    assert values(lake) == {"a-0": 9, "a-2": 4, "b-0": 3}


@pytest.mark.parametrize("few", [0, 64])
def test_overwriting_keys_gives_what_a_merge_gives(tmp_path, monkeypatch, few):
    """A hundred random batches, some of keys whose other rows stay, against a dictionary; both ways of writing."""
    monkeypatch.setattr(lake_writing, "OVERWRITTEN_KEYS", few)
    chance, lake, there = random.Random(7), Lakehouse(tmp_path / "lake"), {}
    lake.append(ROWS, rows(("z", 0, 0), shard="t"))
    for number in range(60):
        keys = chance.sample(["a", "b", "c", "d", "e"], chance.randint(1, 3))
        made = {(key, i): chance.randint(0, 2) for key in keys for i in range(4) if chance.random() < 0.5}
        had = {row for row in there if row[0] in keys} - made.keys()
        gone = had if chance.random() < 0.7 else set(chance.sample(sorted(had), len(had) // 2))
        before, then = lake.version(ROWS), dict(there)
        there = {row: value for row, value in there.items() if row not in gone} | made
        commit = lake.replace_keys(
            ROWS, "s", rows(*((k, i, v) for (k, i), v in made.items())), keys, [f"{k}-{i}" for k, i in gone]
        )
        assert values(lake, where={"shard": "s"}) == {f"{k}-{i}": v for (k, i), v in there.items()}, number
        assert (lake.version(ROWS) == before) == (there == then)
        assert commit.inserted == len(made.keys() - then.keys())
        assert commit.updated == sum(then.get(row, value) != value for row, value in made.items())
        assert commit.deleted == len(gone)
    assert values(lake, where={"shard": "t"}) == {"z-0": 0}


def test_many_rows_of_keys_whose_other_rows_stay_are_merged(lake, monkeypatch):
    monkeypatch.setattr(lake_writing, "OVERWRITTEN_KEYS", 2)
    lake.replace_keys(ROWS, "s", rows(*(("a", i, 0) for i in range(6))), ["a"])
    merged = []
    really = Writes._merge
    monkeypatch.setattr(Writes, "_merge", lambda self, *args: merged.append(args) or really(self, *args))
    lake.replace_keys(ROWS, "s", rows(("a", 0, 3), ("a", 1, 0)), ["a"], gone=["a-5"])
    lake.replace_keys(ROWS, "s", rows(("a", 6, 1), ("a", 7, 1), ("a", 8, 1), ("a", 2, 0)), ["a"])
    assert not merged
    lake.replace_keys(ROWS, "s", rows(("a", 1, 4), ("a", 2, 4), ("a", 3, 4)), ["a"])
    assert len(merged) == 1
    wanted = {"a-0": 3, "a-1": 4, "a-2": 4, "a-3": 4, "a-4": 0, "a-6": 1, "a-7": 1, "a-8": 1}
    assert values(lake) == wanted


def test_a_new_row_of_a_large_key_is_appended(lake):
    """Of a mailbox with one more message nothing that is there is written again."""
    lake.replace_keys(ROWS, "s", rows(*(("a", i, 0) for i in range(500))), ["a"])
    before = set(lake.open(ROWS).file_uris())
    commit = lake.replace_keys(ROWS, "s", rows(*(("a", i, 0) for i in range(501))), ["a"])
    assert (commit.inserted, commit.updated, commit.deleted) == (1, 0, 0)
    after = set(lake.open(ROWS).file_uris())
    assert before < after and len(after - before) == 1
    assert len(values(lake)) == 501


def test_few_rows_of_large_keys_are_overwritten_alone(lake, monkeypatch):
    """Files without their keys are not read, files without their rows not written."""
    monkeypatch.setattr(lake_writing, "SMALL_KEYS_ROWS", 20)
    monkeypatch.setattr(delta_files, "EDITED_FILE_BYTES", 2_000)
    monkeypatch.setattr(delta_files, "LEAST_FILE_BYTES", 2_000)
    for key in "abcd":
        lake.append(ROWS, rows(*((key, i, 0) for i in range(1_000))))
    before = set(lake.open(ROWS).file_uris())
    made = [("b", i, int(i == 7)) for i in range(1_000)]
    commit = lake.replace_keys(ROWS, "s", rows(*made), ["b"], gone=[])
    assert (commit.inserted, commit.updated, commit.deleted) == (0, 1, 0)
    after = set(lake.open(ROWS).file_uris())
    assert len(before - after) == 1 < len(before) / 8
    assert values(lake, keys={"input_key": ["b"]}) == {f"b-{i}": int(i == 7) for i in range(1_000)}
    assert len(values(lake)) == 4_000


def test_an_id_that_is_there_twice_can_be_taken_out(lake):
    lake.append(ROWS, rows(("a", 0, 1), ("a", 1, 1)))
    lake.append(ROWS, rows(("a", 0, 1)))
    lake.replace_keys(ROWS, "s", rows(), ["a"], gone=["a-0", "a-0", "a-1"])
    assert values(lake) == {}


def test_a_lake_by_uri_takes_every_kind_of_change(tmp_path):
    """As in an object store."""
    lake = Lakehouse(f"file://{tmp_path}/lake")
    lake.replace_keys(ROWS, "s", rows(("a", 0, 1), ("a", 1, 2), ("b", 0, 3)), ["a", "b"])
    lake.append(ROWS, rows(("c", 0, 1)))
    lake.replace_keys(ROWS, "s", rows(("a", 0, 9), ("a", 2, 4)), ["a"], gone=["a-1"])
    assert values(lake) == {"a-0": 9, "a-2": 4, "b-0": 3, "c-0": 1}
    assert lake.near(ROWS, {"shard": "s"}, {"input_key": ["a"]}, ("row_id",))["row_id"].sort().to_list() == [
        "a-0",
        "a-2",
    ]


def test_keys_are_overwritten_after_somebody_laid_the_shard_out_anew(tmp_path, lake):
    """A handle from before an OPTIMIZE must not bring back what it compacted."""
    for number in range(30):
        lake.replace_keys(ROWS, "s", rows((f"k{number:02d}", 0, number)), [f"k{number:02d}"])
    Lakehouse(lake.root, maintenance_lock=nullcontext).optimize(ROWS)
    lake.replace_keys(ROWS, "s", rows(("k07", 0, 99)), ["k07"])
    assert values(lake) == {f"k{number:02d}-0": number for number in range(30)} | {"k07-0": 99}


def test_an_unchanged_batch_makes_no_commit(lake):
    lake.replace_keys(ROWS, "s", rows(("a", 0, 1)), ["a"])
    before = lake.version(ROWS)
    lake.replace_keys(ROWS, "s", rows(("a", 0, 1)), ["a"])
    assert lake.version(ROWS) == before


def test_repeated_ids_are_refused(lake):
    lake.replace_keys(ROWS, "s", rows(("b", 0, 1)), ["b"])
    with pytest.raises(RepeatedIds, match="a-0"):
        lake.replace_keys(ROWS, "s", rows(("a", 0, 1), ("a", 0, 2)), ["a"])
    assert values(lake) == {"b-0": 1}


def test_a_gone_id_of_another_shard_stays(lake):
    lake.replace_keys(ROWS, "s", rows(("a", 0, 1)), ["a"])
    lake.replace_keys(ROWS, "t", rows(("a", 0, 2), shard="t"), ["a"])
    lake.replace_keys(ROWS, "t", rows(shard="t"), ["a"], gone=["a-0"])
    assert lake.scan(ROWS).select("shard").collect().to_series().to_list() == ["s"]


def test_a_predicate_value_with_a_quote_is_refused(lake):
    lake.replace_keys(ROWS, "s", rows(("a", 0, 1)), ["a"])
    with pytest.raises(LakeError, match="predicate"):
        lake.delete_where(ROWS, "input_key", ["a' OR 'x' = 'x"])
    assert values(lake) == {"a-0": 1}


def test_keys_and_versions_select_rows(lake):
    lake.replace_keys(ROWS, "s", rows(("a", 0, 1), ("b", 0, 2)), ["a", "b"])
    first = lake.version(ROWS)
    lake.delete_where(ROWS, "input_key", ["a"], "s")
    assert values(lake, keys={"input_key": ["a"]}) == {}
    assert values(lake, keys={"input_key": ["a"]}, version=first) == {"a-0": 1}
    lake.restore(ROWS, first)
    assert values(lake) == {"a-0": 1, "b-0": 2}


def test_a_lake_at_fixed_versions_sees_no_later_commit(lake):
    lake.replace_keys(ROWS, "s", rows(("a", 0, 1), ("b", 0, 2)), ["a", "b"])
    then = Lakehouse(lake.root, at={ROWS.name: lake.version(ROWS), PLAIN.name: lake.version(PLAIN)})
    lake.replace_keys(ROWS, "s", rows(("a", 0, 9), ("c", 0, 3)), ["a", "c"])
    lake.append(PLAIN, plain(3))
    assert values(then) == {"a-0": 1, "b-0": 2}
    assert then.near(ROWS, {"shard": "s"}, {"input_key": ["a", "c"]}, ("row_id",))["row_id"].to_list() == ["a-0"]
    assert then.pick(ROWS, {"shard": "s"}, "row_id", ["c-0"], ("row_id",)).is_empty()
    assert then.scan(PLAIN).collect().is_empty()
    assert values(lake)["a-0"] == 9


def test_deleting_nothing_makes_no_commit(lake):
    lake.replace_keys(ROWS, "s", rows(("a", 0, 1)), ["a"])
    before = lake.version(ROWS)
    lake.delete_where(ROWS, "input_key", ["zz"], "s")
    assert lake.version(ROWS) == before


def test_an_app_transaction_is_written_once(lake):
    lake.append(PLAIN, plain(3), ("drain", 1))
    lake.append(PLAIN, plain(3), ("drain", 1))
    assert lake.scan(PLAIN).collect().height == 3
    lake.append(PLAIN, plain(3, start=3), ("drain", 2))
    assert lake.scan(PLAIN).collect().height == 6


def test_writers_of_different_shards_do_not_conflict(tmp_path):
    lake = Lakehouse(tmp_path / "lake")
    lake.append(ROWS, rows(("z", 0, 0), shard="z"))

    def write(shard):
        own = Lakehouse(tmp_path / "lake")
        for number in range(5):
            own.replace_keys(ROWS, shard, rows((f"k{shard}", 0, number), shard=shard), [f"k{shard}"])

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(write, ["s0", "s1", "s2"]))
    assert values(lake) == {"z-0": 0, "ks0-0": 4, "ks1-0": 4, "ks2-0": 4}


def test_concurrent_optimize_does_not_multiply_rows(tmp_path, lake):
    """Two OPTIMIZEs at once corrupt a table without a word; the lake's lock must keep them apart."""
    for number in range(30):
        lake.append(PLAIN, plain(100, start=number * 100))
    threads = [threading.Thread(target=lake.optimize, args=(PLAIN,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert lake.scan(PLAIN).select(pl.len()).collect().item() == 3000


def test_maintenance_without_a_lock_is_refused(tmp_path):
    lake = Lakehouse(tmp_path / "lake")
    lake.append(PLAIN, plain(1))
    with pytest.raises(LakeError, match="without a lock"):
        lake.optimize(PLAIN)
    with pytest.raises(LakeError, match="without a lock"):
        lake.vacuum(PLAIN, timedelta(0))


def test_vacuum_removes_what_no_retained_version_names(lake):
    lake.append(PLAIN, plain(10))
    lake.overwrite(PLAIN, plain(5))
    assert lake.vacuum(PLAIN, timedelta(0))
    assert lake.scan(PLAIN).collect().height == 5


def keys_a_file(lake):
    """First and last input key of each file, in order."""
    files = pl.DataFrame(lake.open(ROWS).get_add_actions(flatten=True))
    return sorted(files.select("min.input_key", "max.input_key").rows())


def test_optimize_sorts_a_shard_whose_files_overlap_and_then_leaves_it(lake, monkeypatch):
    monkeypatch.setattr("resources.delta_files.EDITED_FILE_BYTES", 16 * 1024)
    for number in range(8):
        lake.append(ROWS, rows(*[(f"{key * 40503 % 65536:08x}", 0, key) for key in range(number, 6000, 8)]))
    before = values(lake)
    lake.optimize(ROWS)
    ranges = keys_a_file(lake)
    assert len(ranges) > 3
    assert all(one[1] < other[0] for one, other in pairwise(ranges)), ranges
    assert values(lake) == before
    version = lake.version(ROWS)
    lake.optimize(ROWS)
    assert lake.version(ROWS) == version


@pytest.mark.parametrize(("retention", "hours"), [(0, 0), (30 * 60, 0), (3600, 1), (3601, 2), (7 * 86400, 168)])
def test_vacuum_keeps_every_version_inside_the_retention(lake, monkeypatch, retention, hours):
    from deltalake import DeltaTable

    lake.append(PLAIN, plain(3))
    asked = []
    monkeypatch.setattr(DeltaTable, "vacuum", lambda self, given, **rest: asked.append(given) or [])
    lake.vacuum(PLAIN, timedelta(seconds=retention))
    assert asked == [hours]


def test_vacuum_below_an_hour_finds_what_went_before_a_checkpoint(lake):
    for number in range(60):  # a checkpoint comes after every 50 commits
        lake.overwrite(PLAIN, plain(number + 1))
        if number in (20, 40):
            lake.vacuum(PLAIN, timedelta(seconds=1))
            time.sleep(1.1)
    time.sleep(1.1)
    lake.vacuum(PLAIN, timedelta(seconds=1))
    left = list(Path(lake.uri(PLAIN)).rglob("*.parquet"))
    assert len([path for path in left if "_delta_log" not in path.parts]) == 1


def test_vacuum_below_an_hour_keeps_what_could_be_read_since_and_nothing_older(lake):
    for number in range(4):
        lake.overwrite(PLAIN, plain(number + 1))
    time.sleep(1.2)
    lake.overwrite(PLAIN, plain(5))
    lake.vacuum(PLAIN, timedelta(seconds=1))
    assert lake.scan(PLAIN, version=4).collect().height == 5
    assert lake.scan(PLAIN, version=3).collect().height == 4, "it was the latest one a second ago"
    with pytest.raises(FileNotFoundError):
        lake.scan(PLAIN, version=2).collect()


def test_before_write_can_refuse_and_nothing_is_written(tmp_path):
    def refuse():
        raise OSError("disk is full")

    lake = Lakehouse(tmp_path / "lake", before_write=refuse)
    with pytest.raises(OSError, match="full"):
        lake.append(PLAIN, plain(1))
    assert lake.version(PLAIN) == -1


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (pl.DataFrame({"name": ["a"]}), "missing"),
        (pl.DataFrame({"name": ["a"], "value": ["x"]}), "do not fit"),
        (pl.DataFrame({"name": ["a"], "value": [1], "more": [1]}), "more"),
    ],
)
def test_coercion_names_the_column(frame, message):
    with pytest.raises(SchemaMismatch, match=message):
        coerce(frame, PLAIN.dtypes)


def test_coercion_refuses_types_that_delta_loses():
    with pytest.raises(SchemaMismatch, match="Delta does not keep"):
        coerce(pl.DataFrame({"a": [1]}), {"a": pl.UInt8()})
    with pytest.raises(SchemaMismatch, match="UTC"):
        coerce(
            pl.DataFrame({"t": ["2026-01-01"]}).with_columns(pl.col("t").str.to_datetime()),
            {"t": pl.Datetime("us", "UTC")},
        )


class Vectors(dy.Schema):
    space_id = dy.String()
    name = dy.String(primary_key=True)
    vector = dy.List(dy.Float32())


@pytest.mark.parametrize("space", ["plain", "a b:c@1.0=x+y"])
def test_pick_reads_wide_rows_by_key(lake, space):
    table = TableSpec("silver/vectors", Kind.GLOBAL, Vectors, ("space_id", "name"), ("space_id",), (), ("name",))
    assert lake.pick(table, {"space_id": space}, "name", ["n1"], ("name", "vector")).height == 0
    for start in (0, 10, 20):
        names = [f"n{number}" for number in range(start, start + 10)]
        vectors = [[float(number)] * 3 for number in range(start, start + 10)]
        for one in (space, "other"):
            lake.append(table, pl.DataFrame({"space_id": [one] * 10, "name": names, "vector": vectors}))
    found = lake.pick(table, {"space_id": space}, "name", ["n3", "n25", "absent"], ("name", "vector")).sort("name")
    assert found.schema == {"name": pl.String, "vector": pl.List(pl.Float32)}
    assert found.rows() == [("n25", [25.0] * 3), ("n3", [3.0] * 3)]
    assert lake.pick(table, {"space_id": space}, "name", [], ("name",)).height == 0
    assert lake.pick(table, {"space_id": "none"}, "name", ["n3"], ("name",)).height == 0


# -- columns that are declared later -----------------------------------------------------------------------------------


def grown(*values):
    found = pl.Series("found", [[{"rule": "a", "line": 1}]] * len(values), dtype=GROWN.dtypes["found"])
    return rows(*values).with_columns(found, score=pl.lit(0.5), notes=pl.lit(["n"], dtype=pl.List(pl.String)))


def scores(lake):
    return dict(lake.scan(GROWN).select("row_id", "score").collect().iter_rows())


def test_columns_that_a_table_lacks_are_null_for_every_reader(lake):
    lake.append(ROWS, rows(("a", 0, 1), ("b", 0, 2)))
    version = lake.version(ROWS)
    assert lake.scan(GROWN).collect().schema == pl.Schema(GROWN.dtypes)
    assert lake.scan(GROWN, version=version).collect()["found"].null_count() == 2
    columns = ["row_id", "found", "score"]
    here = {"shard": "s"}
    assert lake.near(GROWN, here, {"input_key": ["a"]}, columns).rows() == [("a-0", None, None)]
    assert lake.pick(GROWN, here, "row_id", ["a-0"], columns).rows() == [("a-0", None, None)]
    assert lake.scan_narrow(GROWN, ["row_id", "score"]).collect()["score"].null_count() == 2
    assert lake.version(GROWN) == version, "reading writes nothing"


@pytest.mark.parametrize("few", [0, 64])
@pytest.mark.parametrize("write", ["append", "overwrite", "replace_keys"])
def test_the_first_write_adds_them_and_old_rows_stay(tmp_path, monkeypatch, few, write):
    monkeypatch.setattr(lake_writing, "OVERWRITTEN_KEYS", few)
    lake = Lakehouse(tmp_path / "lake")
    lake.append(ROWS, rows(("a", 0, 1), ("b", 0, 2)))
    if write == "append":
        lake.append(GROWN, grown(("c", 0, 3)))
        wanted = {"a-0": None, "b-0": None, "c-0": 0.5}
    elif write == "overwrite":
        lake.overwrite(GROWN, grown(("a", 0, 3)), "input_key = 'a'")
        wanted = {"a-0": 0.5, "b-0": None}
    else:
        lake.replace_keys(GROWN, "s", grown(("a", 0, 3)), ["a"])
        wanted = {"a-0": 0.5, "b-0": None}
    assert scores(lake) == wanted
    again = Lakehouse(tmp_path / "lake", maintenance_lock=nullcontext)
    again.optimize(GROWN)
    again.delete_where(GROWN, "input_key", ["b"])
    assert scores(again) == {k: v for k, v in wanted.items() if k != "b-0"}
    assert set(again.scan(GROWN).collect()["found"].to_list()[-1][0]) == {"rule", "line"}
    assert values(again) == dict(again.scan(GROWN).select("row_id", "value").collect().iter_rows())


def test_two_first_writers_both_succeed(tmp_path):
    first, second = Lakehouse(tmp_path / "lake"), Lakehouse(tmp_path / "lake")
    first.append(ROWS, rows(("a", 0, 1)))
    second.append(ROWS, rows(("b", 0, 2)))
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda lake, key: lake.append(GROWN, grown((key, 0, 3))), (first, second), ("c", "d")))
    assert scores(first) == scores(second) == {"a-0": None, "b-0": None, "c-0": 0.5, "d-0": 0.5}
