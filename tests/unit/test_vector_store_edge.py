"""The embedded store's own promises: crashes, garbage, readers, damage, merging, indexes of large segments."""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path
from uuid import UUID

import polars as pl
import pytest

from resources.vector_store import BadPointsError, DamagedIndexError, EdgeStore, Filter, PublishBusyError
from resources.vectors.generation import publish_lock
from resources.vectors.protocol import IndexWriteError, Upserts
from resources.vectors.publishing import write_segment
from tests.unit.vector_points import DIMENSIONS, chunk, expected_dense, expected_sparse, nothing, points, query

SPACE = "space-1"
STEPS = ("segment", "generation", "switched", "collected")

CHILD = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from tests.unit.vector_points import DIMENSIONS, chunk, points
from resources.vector_store import EdgeStore

def die(step):
    if step == sys.argv[3]:
        os.kill(os.getpid(), signal.SIGKILL)

store = EdgeStore(Path(sys.argv[2]), keep_seconds=0, max_segments=2, on_step=die)
store.publish("space-1", DIMENSIONS, "notes", points(range(5, 25), salt=1), [chunk(1)], {"t": 2})
"""


def put(store: EdgeStore, frame: pl.DataFrame | Upserts, deletes: list[str] | None = None, **more):
    return store.publish(SPACE, DIMENSIONS, "notes", frame, deletes or [], more.pop("versions", {"t": 1}), **more)


def content(store: EdgeStore) -> list[tuple[str, int]]:
    real = store.real_points(SPACE, "notes").select("chunk_id", "row_hash")
    assert real.equals(store.sidecar(SPACE, "notes").sort("chunk_id"))
    return list(real.iter_rows())


def rows(*frames: pl.DataFrame) -> list[tuple[str, int]]:
    return sorted(pl.concat(frames).select("chunk_id", "row_hash").iter_rows())


def names(root: Path, pattern: str) -> set[str]:
    return {path.name for path in (root / SPACE / "notes").glob(pattern)}


@pytest.mark.parametrize("step", STEPS)
def test_kill_at_any_point_leaves_a_whole_generation(tmp_path: Path, step: str) -> None:
    store = EdgeStore(tmp_path, keep_seconds=0, max_segments=2)
    put(store, points(range(10)))
    put(store, points(range(10, 12)))
    before = rows(points(range(12)))
    after = rows(points(range(12)).filter(~pl.col("chunk_id").is_in([chunk(1), *map(chunk, range(5, 12))])))
    after = sorted(after + rows(points(range(5, 25), salt=1)))
    arguments = [sys.executable, "-c", CHILD, str(Path(__file__).parent), str(tmp_path), step]
    killed = subprocess.run(arguments, check=False, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
    assert killed.returncode == -signal.SIGKILL
    is_switched = STEPS.index(step) >= STEPS.index("switched")
    assert content(store) == (after if is_switched else before)
    assert store.versions(SPACE, "notes") == {"t": 2 if is_switched else 1}
    put(store, points(range(5, 25), salt=1), [chunk(1)], versions={"t": 2})
    put(store, nothing(), versions={"t": 3})
    assert content(store) == after
    referenced = set()
    for name in names(tmp_path, "gen-*.json"):
        manifest = json.loads((tmp_path / SPACE / "notes" / name).read_text())
        referenced |= {entry["folder"] for entry in manifest["segments"]}
    assert names(tmp_path, "seg-*") == referenced
    assert len(names(tmp_path, "gen-*.json")) == 2
    store.close()


def test_two_generations_and_young_ones_are_kept(tmp_path: Path) -> None:
    store = EdgeStore(tmp_path, keep_seconds=600)
    for number in range(4):
        put(store, points([number]))
    assert len(names(tmp_path, "gen-*.json")) == 4
    for name in names(tmp_path, "gen-*"):
        os.utime(tmp_path / SPACE / "notes" / name, (0, 0))
    put(store, points([9]))
    assert names(tmp_path, "gen-*.json") == {"gen-000004.json", "gen-000005.json"}


def test_readers_follow_and_keep_open_segments(tmp_path: Path) -> None:
    writer, reader = EdgeStore(tmp_path, keep_seconds=0, max_segments=4), EdgeStore(tmp_path)
    put(writer, points(range(30)))
    assert len(reader.search_dense(SPACE, ["notes"], query(), 50)) == 28
    first = reader._opened[SPACE, "notes"].parts[0].segment
    put(writer, points(range(30, 33)))
    assert {hit.chunk_id for hit in reader.search_dense(SPACE, ["notes"], query(), 50)} >= {chunk(30), chunk(32)}
    assert reader._opened[SPACE, "notes"].parts[0].segment is first
    for salt in range(1, 4):
        put(writer, points(range(30), salt=salt))
        hits = reader.search_dense(SPACE, ["notes"], query(), 50)
        frame = pl.concat([points(range(30), salt=salt), points(range(30, 33))])
        assert [(hit.chunk_id, hit.score) for hit in hits] == expected_dense(frame, query(), 50)
    reader.close()
    assert len(reader.search_dense(SPACE, ["notes"], query(), 5)) == 5
    reader.close()


def test_readers_survive_a_busy_publisher(tmp_path: Path) -> None:
    writer, reader = EdgeStore(tmp_path, keep_seconds=0, max_segments=1), EdgeStore(tmp_path)
    put(writer, points(range(20)))
    done = threading.Event()
    failures: list[str] = []

    def read() -> None:
        while not done.is_set():
            hits = reader.search_dense(SPACE, ["notes"], query(), 40)
            texts = {str(hit.payload["text"]).split()[-1] for hit in hits}
            if len(hits) != 18 or len(texts) != 1:
                failures.append(f"{len(hits)} hits of generations {texts}")

    thread = threading.Thread(target=read)
    thread.start()
    for salt in range(1, 5):
        put(writer, points(range(20), salt=salt))
    done.set()
    thread.join()
    assert failures == []
    reader.close()


def test_missing_segment_is_an_error_not_an_empty_answer(tmp_path: Path) -> None:
    store = EdgeStore(tmp_path)
    put(store, points(range(5)))
    shutil.rmtree(store.segment_folders(SPACE, "notes")[0])
    for ask in (lambda: store.search_dense(SPACE, ["notes"], query(), 3), lambda: store.sidecar(SPACE, "notes")):
        with pytest.raises(DamagedIndexError, match="rebuild"):
            ask()
    put(store, points(range(5)), replace=True)
    assert content(store) == rows(points(range(5)))


def test_damaged_current_file_says_so_and_can_be_replaced(tmp_path: Path) -> None:
    store = EdgeStore(tmp_path)
    put(store, points(range(5)))
    (tmp_path / SPACE / "notes" / "current.json").write_text("{")
    with pytest.raises(DamagedIndexError, match="not JSON"):
        store.sidecar(SPACE, "notes")
    put(store, points(range(3)), replace=True)
    assert content(store) == rows(points(range(3)))


def test_one_publisher_at_a_time(tmp_path: Path) -> None:
    store = EdgeStore(tmp_path)
    put(store, points(range(5)))
    with publish_lock(tmp_path / SPACE / "notes"), pytest.raises(PublishBusyError, match="another publish"):
        put(store, points(range(9)))
    put(store, points(range(9)))


def test_damage_to_real_points_is_seen_and_repaired(tmp_path: Path) -> None:
    import qdrant_edge as qe

    from cortex_assets.index.points import diff

    store = EdgeStore(tmp_path, flat_points=0)
    good = points(range(20))
    put(store, good)
    put(store, points([20, 21]))
    good = pl.concat([good, points([20, 21])])
    shard = qe.EdgeShard.load(str(store.segment_folders(SPACE, "notes")[0] / "edge"))
    shard.update(qe.UpdateOperation.delete_points([UUID(chunk(2))]))
    shard.update(qe.UpdateOperation.set_payload([UUID(chunk(3))], {"row_hash": 1}))
    twice, stray = ({"dense": [9.0] * DIMENSIONS} for _ in range(2))
    extra = [qe.Point(UUID(chunk(21)), twice, {"row_hash": 5}), qe.Point(UUID(chunk(77)), stray, {"row_hash": 6})]
    shard.update(qe.UpdateOperation.upsert_points(extra))
    shard.update(qe.UpdateOperation.delete_vectors([UUID(chunk(4))], ["dense"]))
    shard.flush()
    shard.close()
    store.close()
    desired = good.select("chunk_id", point_hash="row_hash")
    assert diff(desired, store.sidecar(SPACE, "notes")) == ([], [])
    real = store.real_points(SPACE, "notes")
    found = diff(desired, real)
    assert chunk(77) not in {hit.chunk_id for hit in store.search_dense(SPACE, ["notes"], [1.0] * DIMENSIONS, 50)}
    assert found.upserts == sorted([chunk(2), chunk(3), chunk(21)])
    assert found.deletes == sorted([chunk(21), chunk(77)])
    assert not real.filter(pl.col("chunk_id") == chunk(4))["has_vector"][0]
    put(store, good.filter(pl.col("chunk_id").is_in([*found.upserts, chunk(4)])), found.deletes)
    assert diff(desired, store.real_points(SPACE, "notes")) == ([], [])
    hits = store.search_dense(SPACE, ["notes"], [1.0] * DIMENSIONS, 50)
    assert chunk(77) not in {hit.chunk_id for hit in hits}
    assert max(hit.score for hit in hits) < 9
    store.compact(SPACE, "notes")
    assert content(store) == rows(good)
    store.close()


def test_points_that_no_sidecar_lists_take_no_hits_place(tmp_path: Path) -> None:
    import qdrant_edge as qe

    store = EdgeStore(tmp_path, flat_points=0)
    good = points(range(60))
    put(store, good)
    shard = qe.EdgeShard.load(str(store.segment_folders(SPACE, "notes")[0] / "edge"))
    strays = [qe.Point(UUID(chunk(900 + n)), {"dense": [9.0] * DIMENSIONS}, {"row_hash": n}) for n in range(30)]
    shard.update(qe.UpdateOperation.upsert_points(strays))
    shard.flush()
    shard.close()
    asked = [1.0] * DIMENSIONS
    for limit in (1, 4, 60):
        found = store.search_dense(SPACE, ["notes"], asked, limit)
        assert [hit.chunk_id for hit in found] == [name for name, _ in expected_dense(good, asked, limit)]
    store.close()


def test_segments_stay_few_and_small_edits_stay_cheap(tmp_path: Path) -> None:
    store = EdgeStore(tmp_path, max_segments=4, keep_seconds=0)
    put(store, points(range(400)))
    big = store.segment_folders(SPACE, "notes")[0]
    kept = 0
    for step in range(1, 9):
        generation = put(store, points([step, 400 + step], salt=step))
        assert generation.segments <= 4
        kept += big in store.segment_folders(SPACE, "notes")
    assert kept == 8
    assert store.generation(SPACE, "notes").points == 408
    worn = put(store, nothing(), [chunk(number) for number in range(100, 250)])
    assert big not in store.segment_folders(SPACE, "notes")
    assert worn.points == 258
    gone = put(store, nothing(), store.sidecar(SPACE, "notes")["chunk_id"].to_list())
    assert (gone.points, gone.segments) == (0, 0)
    assert store.search_dense(SPACE, ["notes"], query(), 3) == []


def test_graph_and_payload_indexes_of_large_segments(tmp_path: Path) -> None:
    import qdrant_edge as qe

    store = EdgeStore(tmp_path, full_points=1_500)
    frame = points(range(1_500))
    put(store, frame.head(1_000))
    put(store, frame.tail(500))
    store.compact(SPACE, "notes")
    put(store, points([3], salt=1))
    frame = pl.concat([frame.filter(pl.col("chunk_id") != chunk(3)), points([3], salt=1)])
    hits = store.search_dense(SPACE, ["notes"], query(), 30)
    wanted = expected_dense(frame, query(), 30)
    assert len({hit.chunk_id for hit in hits} & {name for name, _ in wanted}) >= 27
    code = store.search_dense(SPACE, ["notes"], query(), 30, Filter(path_globs=("src/**",)))
    assert {hit.payload["kind"] for hit in code} == {"code"}
    store.close()
    shard = qe.EdgeShard.load(str(store.segment_folders(SPACE, "notes")[0] / "edge"))
    info = shard.info()
    assert info.indexed_vectors_count > 0
    assert "group" in info.payload_schema
    shard.close()


def apart(folder: Path, frame: pl.DataFrame, size: int = 7) -> Upserts:
    """Points written as a segment in a place of their own."""
    folder.mkdir(exist_ok=True)
    segment = write_segment(folder, DIMENSIONS, Upserts(frame["chunk_id"], frame.iter_slices(size)))
    return Upserts(frame["chunk_id"], segment=segment)


@pytest.mark.parametrize("max_segments", [2, 8])
def test_a_segment_written_apart_is_as_good_as_points(tmp_path: Path, max_segments: int) -> None:
    one, other = EdgeStore(tmp_path / "one", max_segments=max_segments), EdgeStore(tmp_path / "other")
    for number, numbers in enumerate((range(30), range(20, 50), range(50, 70), range(5))):
        frame = points(numbers, salt=number)
        put(one, apart(tmp_path / "apart", frame), [chunk(3 + number)])
        put(other, frame, [chunk(3 + number)])
        assert content(one) == content(other)
        assert one.generation(SPACE, "notes").points == other.generation(SPACE, "notes").points
    for seed in range(5):
        hits = [store.search_dense(SPACE, ["notes"], query(seed), 20) for store in (one, other)]
        assert hits[0] == hits[1]
    fresh = EdgeStore(tmp_path / "one")
    assert fresh.search_dense(SPACE, ["notes"], query(1), 20) == other.search_dense(SPACE, ["notes"], query(1), 20)


def test_a_segment_of_other_points_than_announced_is_refused(tmp_path: Path) -> None:
    store = EdgeStore(tmp_path / "index")
    put(store, points(range(5)))
    written = apart(tmp_path / "apart", points(range(5, 9)))
    with pytest.raises(BadPointsError, match="does not hold"):
        put(store, Upserts(points(range(6, 10))["chunk_id"], segment=written.segment))
    assert content(store) == rows(points(range(5)))


@pytest.mark.parametrize(
    ("announced", "came", "message"),
    [
        (range(10), [range(4)], "10 points were announced and 4 came"),
        (range(4), [range(4), range(4, 6)], "not those announced"),
        (range(8), [range(4), range(5, 9)], "not those announced"),
        ([1, 1], [], "stands twice"),
    ],
)
def test_parts_that_are_not_what_was_announced_are_not_published(tmp_path: Path, announced, came, message) -> None:
    store = EdgeStore(tmp_path / "index")
    put(store, points(range(5)))
    ids = pl.Series("chunk_id", [chunk(number) for number in announced])
    with pytest.raises(BadPointsError, match=message):
        put(store, Upserts(ids, (points(numbers) for numbers in came)))
    assert content(store) == rows(points(range(5)))
    put(store, points(range(5, 8)))
    assert content(store) == rows(points(range(8)))


def test_small_segments_are_files_that_become_shards_when_merged(tmp_path: Path) -> None:
    """Both kinds side by side answer as brute force does; points move from files into shards and, worn, back."""
    store = EdgeStore(tmp_path, flat_points=40, max_segments=4, keep_seconds=0)
    lake = nothing()
    seen: set[tuple[bool, ...]] = set()
    for step, numbers in enumerate(
        [range(30), range(30, 90), range(90, 100), range(20, 35), range(100, 130), range(3)]
    ):
        news = points(numbers, salt=step)
        gone = [chunk(number) for number in range(step * 5, step * 5 + 3)]
        gone = [name for name in gone if name not in set(news["chunk_id"])]
        put(store, news, gone)
        lake = pl.concat([lake.filter(~pl.col("chunk_id").is_in([*gone, *news["chunk_id"]])), news])
        assert content(store) == rows(lake)
        for seed in range(3):
            dense = store.search_dense(SPACE, ["notes"], query(seed), 20)
            assert [(hit.chunk_id, hit.score) for hit in dense] == expected_dense(lake, query(seed), 20)
            sparse = store.search_sparse(SPACE, ["notes"], [3, 17, 31], [1.5, 0.7, 2.0], 20)
            wanted = expected_sparse(lake, {3: 1.5, 17: 0.7, 31: 2.0}, 20)
            assert [(hit.chunk_id, hit.score) for hit in sparse] == wanted
        where = Filter(path_globs=("src/**",), corpora=("corpus1", "corpus2"))
        code = lake.filter(pl.col("path").str.starts_with("src/") & pl.col("corpus_id").is_in(["corpus1", "corpus2"]))
        found = store.search_dense(SPACE, ["notes"], query(), 20, where)
        assert [(hit.chunk_id, hit.score) for hit in found] == expected_dense(code, query(), 20)
        seen.add(tuple(sorted((folder / "edge").exists() for folder in store.segment_folders(SPACE, "notes"))))
    assert {(False,), (False, True)} <= seen
    store.compact(SPACE, "notes")
    assert [(folder / "edge").exists() for folder in store.segment_folders(SPACE, "notes")] == [True]
    put(store, nothing(), store.sidecar(SPACE, "notes")["chunk_id"].to_list()[10:])
    assert [(folder / "edge").exists() for folder in store.segment_folders(SPACE, "notes")] == [False]
    assert store.sidecar(SPACE, "notes").height == 10
    store.close()


@pytest.mark.parametrize("damage", ["cut short", "another file", "a shard's sidecar"])
def test_a_damaged_file_of_points_is_an_error(tmp_path: Path, damage: str) -> None:
    store = EdgeStore(tmp_path)
    put(store, points(range(9)))
    path = store.segment_folders(SPACE, "notes")[0] / "points.arrow"
    if damage == "cut short":
        path.write_bytes(path.read_bytes()[:200])
    elif damage == "another file":
        path.write_bytes(b"no arrow at all")
    else:
        pl.read_ipc(path.read_bytes()).select("chunk_id", "row_hash", "terms").write_ipc(path)
    asked = [
        lambda: store.search_dense(SPACE, ["notes"], query(), 3),
        lambda: store.search_sparse(SPACE, ["notes"], [1], [1.0], 3),
        lambda: store.real_points(SPACE, "notes"),
        lambda: store.payloads(SPACE, [chunk(1)]),
    ]
    for ask in asked:
        with pytest.raises(DamagedIndexError, match="rebuild"):
            ask()
    put(store, points(range(9)), replace=True)
    assert content(store) == rows(points(range(9)))


def test_an_edit_of_a_small_index_writes_one_file_of_points(tmp_path: Path) -> None:
    store = EdgeStore(tmp_path, max_segments=8)
    put(store, points(range(30)))
    put(store, points([3], salt=1))
    fresh = store.segment_folders(SPACE, "notes")[-1]
    assert [path.name for path in fresh.rglob("*")] == ["points.arrow"]


@pytest.mark.parametrize("flat_points", [0, 2_000], ids=["edge", "flat"])
def test_a_segment_that_cannot_be_written_leaves_the_current_generation(tmp_path: Path, flat_points: int) -> None:
    store = EdgeStore(tmp_path, flat_points=flat_points)
    put(store, points(range(9)))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, before[1]))
    try:
        with pytest.raises(IndexWriteError, match="cannot be written"):
            put(store, points(range(9, 400)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert content(store) == rows(points(range(9)))
    put(store, points(range(9, 400)))
    assert content(store) == rows(points(range(400)))
    store.close()
