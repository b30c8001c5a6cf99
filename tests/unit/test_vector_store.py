"""What both backends promise: the same suite over the embedded store with either kind of segment and the Qdrant client in memory."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from resources.vector_store import BadPointsError, BadQueryError, EdgeStore, Filter, Hit, ServerStore, VectorStore
from resources.vectors.protocol import SparseQuery
from tests.unit.vector_points import DIMENSIONS, START, chunk, expected_dense, expected_sparse, nothing, points, query

SPACE = "space-1"
TERMS = {3: 1.5, 17: 0.7, 31: 2.25, 44: 1.0}


@pytest.fixture(params=["flat", "edge", "server"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[VectorStore]:
    made: VectorStore
    if request.param != "server":
        made = EdgeStore(tmp_path / "index", flat_points=0 if request.param == "edge" else 2_000, max_segments=4)
    else:
        from qdrant_client import QdrantClient

        made = ServerStore(QdrantClient(":memory:"))
    yield made
    made.close()


def put(store: VectorStore, frame: pl.DataFrame, deletes: list[str] | None = None, shard: str = "notes", **more) -> int:
    versions = more.pop("versions", {"silver/chunks": 1})
    return store.publish(SPACE, DIMENSIONS, shard, frame, deletes or [], versions, **more).number


def pairs(hits: list[Hit]) -> list[tuple[str, float]]:
    return [(hit.chunk_id, hit.score) for hit in hits]


def sidecar_of(frame: pl.DataFrame) -> list[tuple[str, int]]:
    return sorted(frame.select("chunk_id", "row_hash").iter_rows())


def test_empty_store_answers_with_nothing(store: VectorStore) -> None:
    assert store.generation(SPACE, "notes") is None
    assert store.versions(SPACE, "notes") == {}
    assert store.shards(SPACE) == []
    assert store.sidecar(SPACE, "notes").is_empty()
    assert store.real_points(SPACE, "notes").is_empty()
    assert store.search_dense(SPACE, ["notes"], query(), 5) == []
    assert store.document_frequencies(SPACE, ["notes"], [1, 2]) == ({1: 0, 2: 0}, 0)
    assert store.payloads(SPACE, [chunk(1)]) == {}
    assert store.compact(SPACE, "notes") is None
    store.drop(SPACE, "notes")


def test_searches_equal_brute_force(store: VectorStore) -> None:
    frame = points(range(120))
    put(store, frame)
    for seed in range(4):
        assert pairs(store.search_dense(SPACE, ["notes"], query(seed), 25)) == expected_dense(frame, query(seed), 25)
    found = store.search_sparse(SPACE, ["notes"], list(TERMS), list(TERMS.values()), 40)
    assert pairs(found) == expected_sparse(frame, TERMS, 40)
    both = store.search_batch(SPACE, ["notes"], query(1), SparseQuery(list(TERMS), list(TERMS.values())), 25)
    assert pairs(both.dense) == expected_dense(frame, query(1), 25)
    assert pairs(both.sparse) == expected_sparse(frame, TERMS, 25)
    assert store.search_sparse(SPACE, ["notes"], [], [], 5) == []


def test_sparse_scores_are_those_of_the_search(store: VectorStore) -> None:
    put(store, points(range(60)))
    put(store, points(range(30, 40), salt=1), [chunk(5)])  # superseded in the older segment, and deleted
    put(store, points(range(60, 80)), shard="more")
    shards, asked, weights = ["notes", "more"], list(TERMS), list(TERMS.values())
    every = dict(pairs(store.search_sparse(SPACE, shards, asked, weights, 100)))
    ids = [*(chunk(number) for number in range(3, 75, 4)), chunk(5), chunk(999)]
    scores = store.sparse_scores(SPACE, shards, asked, weights, ids)
    assert {key: score for key, score in scores.items() if score} == {key: every[key] for key in ids if key in every}
    assert chunk(5) not in scores
    assert store.sparse_scores(SPACE, ["more"], asked, weights, [chunk(3), chunk(34)]) == {}
    assert store.sparse_scores(SPACE, shards, asked, weights, []) == {}
    assert not any(store.sparse_scores(SPACE, shards, [], [], ids).values())


def test_vectors_are_those_of_the_living_points_that_have_one(store: VectorStore) -> None:
    frame, newer = points(range(20)), points(range(4, 8), salt=1)
    put(
        store,
        frame.with_columns(pl.when(pl.col("chunk_id") == chunk(3)).then(None).otherwise("vector").alias("vector")),
    )
    put(store, newer, [chunk(9)])
    wanted = [chunk(number) for number in (1, 3, 5, 6, 9, 999)]
    found = store.vectors(SPACE, ["notes"], wanted)
    told = dict(frame.select("chunk_id", "vector").iter_rows()) | dict(newer.select("chunk_id", "vector").iter_rows())
    assert found.keys() == {key for key in (chunk(1), chunk(5), chunk(6)) if told[key] is not None}
    for key, vector in found.items():
        assert list(vector) == pytest.approx(told[key], abs=1e-3)
    assert store.vectors(SPACE, ["other"], wanted) == store.vectors(SPACE, ["notes"], []) == {}


def test_of_very_many_terms_those_that_occur_are_counted(store: VectorStore) -> None:
    put(store, points(range(30)))
    known = store.document_frequencies(SPACE, ["notes"], list(TERMS)).documents
    many = [*range(1_000, 1_500), *TERMS]
    assert store.document_frequencies(SPACE, ["notes"], many).documents == {**dict.fromkeys(many, 0), **known}


def test_updates_and_deletes_arrive(store: VectorStore) -> None:
    put(store, points(range(60)))
    expected = points(range(60))
    for step in range(1, 7):
        changed = list(range(step, 60, 11))
        gone = [number for number in range(60) if number % 9 == step]
        news = points([*changed, 60 + step], salt=step)
        keep = [number for number in range(60) if chunk(number) in set(expected["chunk_id"])]
        put(store, news, [chunk(number) for number in gone if number not in changed], versions={"silver/chunks": step})
        dead = {chunk(number) for number in gone if number not in changed}
        expected = pl.concat([expected.filter(~pl.col("chunk_id").is_in([*dead, *news["chunk_id"]])), news])
        assert keep
        assert sidecar_of(store.sidecar(SPACE, "notes")) == sidecar_of(expected)
        assert sidecar_of(store.real_points(SPACE, "notes")) == sidecar_of(expected)
        assert pairs(store.search_dense(SPACE, ["notes"], query(step), 20)) == expected_dense(expected, query(step), 20)
        found = store.search_sparse(SPACE, ["notes"], list(TERMS), list(TERMS.values()), 20)
        assert pairs(found) == expected_sparse(expected, TERMS, 20)
        counts = expected["terms"].explode().value_counts()
        every = dict(counts.iter_rows())
        asked = [*range(60), 999]
        got = store.document_frequencies(SPACE, ["notes"], asked)
        assert got.points == expected.height
        assert got.documents == {term: every.get(term, 0) for term in asked}
    assert store.versions(SPACE, "notes") == {"silver/chunks": 6}
    assert store.generation(SPACE, "notes").points == expected.height
    with_vector = dict(store.real_points(SPACE, "notes").select("chunk_id", "has_vector").iter_rows())
    assert with_vector == dict(expected.select("chunk_id", pl.col("vector").is_not_null()).iter_rows())


def test_publish_without_change_writes_nothing(store: VectorStore) -> None:
    first = put(store, points(range(10)))
    assert put(store, nothing()) == first
    assert put(store, nothing(), [chunk(999)]) == first
    assert put(store, nothing(), versions={"silver/chunks": 2}) == first + 1
    assert store.versions(SPACE, "notes") == {"silver/chunks": 2}
    assert store.sidecar(SPACE, "notes").height == 10


def test_counts_of_a_publish(store: VectorStore) -> None:
    put(store, points(range(10)))
    done = store.publish(SPACE, DIMENSIONS, "notes", points([3, 11], 1), [chunk(4), chunk(99)], {})
    assert (done.points, done.upserted, done.deleted) == (10, 2, 1)


def test_replace_starts_from_scratch(store: VectorStore) -> None:
    put(store, points(range(30)))
    put(store, points(range(40, 50)), shard="other")
    put(store, points(range(20, 25), salt=3), replace=True)
    assert sidecar_of(store.sidecar(SPACE, "notes")) == sidecar_of(points(range(20, 25), salt=3))
    assert store.sidecar(SPACE, "other").height == 10


def test_payload_is_self_sufficient(store: VectorStore) -> None:
    put(store, points(range(20)))
    hit = store.search_sparse(SPACE, ["notes"], list(TERMS), list(TERMS.values()), 1)[0]
    row = points(range(20)).filter(pl.col("chunk_id") == hit.chunk_id).row(0, named=True)
    moment = row.pop("modified_at").strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    wanted = {name: value for name, value in row.items() if name not in ("chunk_id", "vector", "terms", "weights")}
    assert hit.payload == wanted | {"modified_at": moment}
    assert hit.shard == "notes"
    assert store.payloads(SPACE, [hit.chunk_id, chunk(77)]) == {hit.chunk_id: hit.payload}
    assert store.payloads(SPACE, [hit.chunk_id], ["other"]) == {}
    bare = store.search_batch(SPACE, ["notes"], query(), None, 3, with_payload=False).dense
    assert [item.payload for item in bare] == [{}, {}, {}]
    assert [item.shard for item in bare] == ["notes"] * 3


def test_shard_count_never_changes_a_rank(store: VectorStore) -> None:
    frame = points(range(200))
    sparse = SparseQuery(list(TERMS), list(TERMS.values()))
    names = {count: [f"notes.{number:02d}" for number in range(count)] for count in (1, 8, 40)}
    jobs = [(count, number) for count, shards in names.items() for number in range(len(shards))]

    def fill(job: tuple[int, int]) -> None:
        count, number = job
        part = frame.gather_every(count, number)
        store.publish(f"space-{count}", DIMENSIONS, names[count][number], part, [], {})

    with ThreadPoolExecutor(8 if isinstance(store, EdgeStore) else 1) as pool:
        list(pool.map(fill, jobs))
    for limit in (1, 7, 30):
        found = {
            count: store.search_batch(f"space-{count}", shards, query(limit), sparse, limit)
            for count, shards in names.items()
        }
        assert pairs(found[1].dense) == pairs(found[8].dense) == pairs(found[40].dense)
        assert pairs(found[1].sparse) == pairs(found[8].sparse) == pairs(found[40].sparse)
        assert pairs(found[1].dense) == expected_dense(frame, query(limit), limit)
        assert pairs(found[1].sparse) == expected_sparse(frame, TERMS, limit)
    counted = {
        count: store.document_frequencies(f"space-{count}", shards, list(TERMS)) for count, shards in names.items()
    }
    assert counted[1] == counted[8] == counted[40]
    assert store.shards("space-8") == names[8]


def selected(where: Filter) -> set[str]:
    return {name for name, keep in zip(CHUNKS["chunk_id"], FILTERS[where], strict=True) if keep}


CHUNKS = points(range(100))
FILTERS = {
    Filter(corpora=("corpus1",)): CHUNKS["corpus_id"] == "corpus1",
    Filter(kinds=("code",), corpora=("corpus0", "corpus2")): (CHUNKS["kind"] == "code")
    & (CHUNKS["corpus_id"] != "corpus1"),
    Filter(languages=("python", "go")): CHUNKS["language"].eq_missing("python"),
    Filter(document_ids=(f"{3:032x}",)): CHUNKS["document_id"] == f"{3:032x}",
    Filter(path_globs=("docs/**/*.md",)): CHUNKS["path"].str.starts_with("docs/"),
    Filter(path_globs=("*.py", "!src/d0/**")): CHUNKS["path"].str.ends_with(".py")
    & ~CHUNKS["path"].str.starts_with("src/d0/"),
    Filter(path_globs=("nowhere/",)): CHUNKS["path"] == "",
    Filter(modified_after=START + timedelta(hours=40)): CHUNKS["start_char"] >= 400,
    Filter(modified_after=START + timedelta(hours=10), modified_before=START + timedelta(hours=12)): CHUNKS[
        "start_char"
    ].is_between(100, 119),
}


def test_filters_select_exactly(store: VectorStore) -> None:
    put(store, CHUNKS.head(50))
    put(store, CHUNKS.tail(50))
    put(store, points([150], salt=9), [chunk(150)])
    put(store, nothing(), [chunk(150)])
    with_vector = set(CHUNKS.filter(pl.col("vector").is_not_null())["chunk_id"])
    every_term = SparseQuery(range(60), [1.0] * 60)
    for where in FILTERS:
        hits = store.search_batch(SPACE, ["notes"], query(), every_term, 500, where)
        assert {hit.chunk_id for hit in hits.sparse} == selected(where), where
        assert {hit.chunk_id for hit in hits.dense} == selected(where) & with_vector, where


@pytest.mark.parametrize(
    ("fault", "spoil"),
    [
        ("lacks", lambda frame: frame.drop("weights")),
        ("32 lower-case", lambda frame: frame.with_columns(chunk_id=pl.lit("XY"))),
        ("repeated", lambda frame: pl.concat([frame, frame])),
        ("row_hash is null", lambda frame: frame.with_columns(row_hash=pl.lit(None, pl.Int64))),
        ("16 long", lambda frame: frame.with_columns(vector=pl.lit([1.0], pl.List(pl.Float32)))),
        ("differ in length", lambda frame: frame.with_columns(weights=pl.lit([1.0], pl.List(pl.Float32)))),
        (
            "term is repeated",
            lambda frame: frame.with_columns(
                terms=pl.lit([1, 1], pl.List(pl.UInt32)), weights=pl.lit([1.0, 1.0], pl.List(pl.Float32))
            ),
        ),
    ],
)
def test_bad_frames_are_refused_before_anything_is_written(store: VectorStore, fault: str, spoil) -> None:
    put(store, points(range(4)))
    with pytest.raises(BadPointsError, match=fault):
        put(store, spoil(points(range(4, 8))))
    assert store.sidecar(SPACE, "notes").height == 4


def test_other_dimensions_are_refused(store: VectorStore) -> None:
    put(store, points(range(4)))
    with pytest.raises(BadPointsError, match="16 dimensions, not 8"):
        store.publish(SPACE, 8, "notes", nothing(), [], {})
    with pytest.raises(BadQueryError, match="16 dimensions, and the question's has 8: another model made it"):
        store.search_dense(SPACE, ["notes"], query()[:8], 3)
    with pytest.raises(ValueError, match="limit 0"):
        store.search_dense(SPACE, ["notes"], query(), 0)


def test_point_without_words_or_vector(store: VectorStore) -> None:
    empty = points([5]).with_columns(terms=pl.lit([], pl.List(pl.UInt32)), weights=pl.lit([], pl.List(pl.Float32)))
    put(store, empty)
    assert sidecar_of(store.real_points(SPACE, "notes")) == sidecar_of(empty)
    assert store.document_frequencies(SPACE, ["notes"], [1]) == ({1: 0}, 1)


def test_drop_leaves_the_others(store: VectorStore) -> None:
    put(store, points(range(10)), shard="a")
    put(store, points(range(20, 25)), shard="b")
    store.drop(SPACE, "a")
    assert store.shards(SPACE) == ["b"]
    assert store.sidecar(SPACE, "a").is_empty()
    assert store.search_dense(SPACE, ["a"], query(), 3) == []
    assert store.sidecar(SPACE, "b").height == 5
    put(store, points(range(3)), shard="a")
    assert sidecar_of(store.real_points(SPACE, "a")) == sidecar_of(points(range(3)))


def test_names_need_not_be_file_names(store: VectorStore) -> None:
    for number, shard in enumerate(("..", "a/b", ".hidden", "ünï:*")):
        put(store, points(range(number * 3, number * 3 + 3)), shard=shard)
    assert store.shards(SPACE) == sorted(["..", "a/b", ".hidden", "ünï:*"])
    assert store.sidecar(SPACE, "..").height == 3


def test_compact_changes_no_answer(store: VectorStore) -> None:
    put(store, points(range(30)))
    put(store, points(range(20, 40), salt=1), [chunk(2)])
    sparse = SparseQuery(list(TERMS), list(TERMS.values()))
    before = store.search_batch(SPACE, ["notes"], query(), sparse, 50)
    generation = store.compact(SPACE, "notes")
    assert generation.segments == 1
    assert store.search_batch(SPACE, ["notes"], query(), sparse, 50) == before
    assert store.compact(SPACE, "notes") == generation


def test_id_in_both_lists_is_replaced(store: VectorStore) -> None:
    put(store, points(range(10)))
    put(store, points([3], salt=5), [chunk(3)])
    assert store.sidecar(SPACE, "notes").height == 10
    assert sidecar_of(store.real_points(SPACE, "notes")) == sidecar_of(
        pl.concat([points(range(10)).filter(pl.col("chunk_id") != chunk(3)), points([3], salt=5)])
    )


def test_points_are_taken_over_as_they_are(store: VectorStore) -> None:
    """With vectors, terms and payloads; what the shard has already, and what no source has, is left out."""
    frame = points(range(60))
    put(store, frame.head(40), shard="one")
    put(store, frame.slice(40), shard="two")
    put(store, frame.head(0), [chunk(5)], shard="one")
    said = pairs(store.search_dense(SPACE, ["one", "two"], query(), 20))
    payloads = store.payloads(SPACE, frame["chunk_id"].to_list(), ["one", "two"])
    real = pl.concat([store.real_points(SPACE, shard) for shard in ("one", "two")]).sort("chunk_id")
    wanted = pl.concat([frame["chunk_id"], pl.Series("chunk_id", [chunk(900)])])
    assert store.take_over(SPACE, "both", ["one", "two"], wanted, {"silver/chunks": 7}) == 59
    assert sidecar_of(frame.filter(pl.col("chunk_id") != chunk(5))) == sorted(store.sidecar(SPACE, "both").iter_rows())
    assert store.real_points(SPACE, "both").sort("chunk_id").equals(real)
    assert pairs(store.search_dense(SPACE, ["both"], query(), 20)) == said
    assert store.payloads(SPACE, frame["chunk_id"].to_list(), ["both"]) == payloads
    assert store.versions(SPACE, "both") == {"silver/chunks": 7}
    assert store.take_over(SPACE, "both", ["one", "two"], wanted, {"silver/chunks": 8}) == 0
    assert store.take_over(SPACE, "none", ["nobody"], wanted, {}) == 0
    assert "none" not in store.shards(SPACE)
    put(store, frame.head(1).with_columns(row_hash=pl.lit(1, dtype=pl.Int64)), shard="both")
    assert store.sidecar(SPACE, "both").height == 59
