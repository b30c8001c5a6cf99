"""Desired points, their hashes, the difference, the payload."""

from datetime import UTC, datetime

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from cortex_assets.chunks.schema import CHUNKS
from cortex_assets.documents.schema import DOCUMENTS
from cortex_assets.index.points import PAYLOAD_COLUMNS, desired_points, diff, point_payload


def chunks(count: int = 4, **changes: object) -> pl.DataFrame:
    frame = pl.DataFrame(
        {
            "chunk_id": [f"{9 - number:032x}" for number in range(count)],
            "row_hash": [number - 2 for number in range(count)],
            "embed_hash": [f"e{number}" for number in range(count)],
            "document_id": [f"d{number // 2}" for number in range(count)],
            "is_active": [True] * count,
        }
    )
    return frame.with_columns(pl.lit(value).alias(name) for name, value in changes.items())


def documents(row_hash: int = 5) -> pl.DataFrame:
    return pl.DataFrame({"document_id": ["d0", "d1"], "row_hash": [row_hash, 6]})


VECTORS = pl.DataFrame({"embed_hash": ["e0", "e1", "e2", "e3"]})


def hashes(*arguments: object) -> list[int]:
    return desired_points(*arguments).sort("chunk_id")["point_hash"].to_list()


def test_hashes_are_the_same_on_every_machine() -> None:
    points = desired_points(chunks(), documents(), VECTORS, "bm25-1").sort("chunk_id")
    assert points.schema == {"chunk_id": pl.String, "point_hash": pl.Int64, "has_vector": pl.Boolean}
    assert points["point_hash"].to_list() == GOLDEN


GOLDEN = [5990141577087727444, 3448366262182893733, -7195394407456576891, -7105683902671405298]


def test_whatever_a_point_shows_moves_its_hash_and_no_other() -> None:
    base = hashes(chunks(), documents(), VECTORS, "v1")
    assert len(set(base)) == 4
    assert not set(base) & set(hashes(chunks(), documents(), VECTORS, "v2"))
    without = hashes(chunks(), documents(), VECTORS.head(3), "v1")
    assert [a == b for a, b in zip(base, without, strict=True)] == [False, True, True, True]
    other = hashes(chunks(), documents(row_hash=7), VECTORS, "v1")
    assert [a == b for a, b in zip(base, other, strict=True)] == [True, True, False, False]
    assert not set(base) & set(hashes(chunks(row_hash=99), documents(), VECTORS, "v1"))


def test_order_and_repeats_of_input_do_not_count() -> None:
    base = desired_points(chunks(), documents(), VECTORS, "v1")
    shuffled = desired_points(chunks().reverse(), documents().reverse(), pl.concat([VECTORS, VECTORS]), "v1")
    assert base.sort("chunk_id").equals(shuffled.sort("chunk_id"))


def test_inactive_chunks_and_orphans_are_not_desired() -> None:
    assert desired_points(chunks(is_active=False), documents(), VECTORS, "v").is_empty()
    assert desired_points(chunks(), documents().head(1), VECTORS, "v").height == 2
    assert desired_points(chunks().clear(), documents(), VECTORS.clear(), "v").schema["point_hash"] == pl.Int64


IDS = st.dictionaries(st.sampled_from([f"c{number}" for number in range(12)]), st.integers(-3, 3))


@given(IDS, IDS, st.lists(st.sampled_from([f"c{number}" for number in range(12)]), max_size=3))
def test_difference_turns_held_into_desired(desired: dict[str, int], held: dict[str, int], twice: list[str]) -> None:
    wanted = pl.DataFrame(
        {"chunk_id": list(desired), "point_hash": list(desired.values())},
        schema={"chunk_id": pl.String, "point_hash": pl.Int64},
    )
    repeated = [name for name in set(twice) if name in held]
    names = [*held, *repeated]
    have = pl.DataFrame(
        {"chunk_id": names, "row_hash": [held[name] for name in names]},
        schema={"chunk_id": pl.String, "row_hash": pl.Int64},
    )
    found = diff(wanted, have)
    result = {name: value for name, value in held.items() if name not in found.deletes}
    result |= {name: desired[name] for name in found.upserts}
    assert result == desired
    needless = [name for name in found.upserts if held.get(name) == desired[name] and name not in repeated]
    assert needless == []
    assert set(repeated) <= set(found.deletes)


def test_null_hash_of_a_real_point_is_stale() -> None:
    desired = pl.DataFrame({"chunk_id": ["a"], "point_hash": [1]})
    held = pl.DataFrame({"chunk_id": ["a"], "row_hash": [None]}, schema={"chunk_id": pl.String, "row_hash": pl.Int64})
    assert diff(desired, held) == (["a"], [])


def example(spec: object, **values: object) -> pl.DataFrame:
    """One row of a table: given values, else null."""
    return pl.DataFrame({name: [values.get(name)] for name in spec.dtypes}, schema=spec.dtypes)


def test_payload_joins_what_a_result_shows() -> None:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    chunk = example(CHUNKS, chunk_id="c", document_id="d", corpus_id="k", kind="code", text="t", start_page=2)
    document = example(DOCUMENTS, document_id="d", kind="pdf", path="a/b.pdf", title="T", modified_at=moment, text="x")
    payload = point_payload(pl.concat([chunk, example(CHUNKS, chunk_id="o", document_id="gone")]), document)
    assert payload.columns == ["chunk_id", *(name for name in PAYLOAD_COLUMNS if name != "row_hash")]
    row = payload.row(0, named=True)
    assert payload.height == 1
    assert (row["kind"], row["chunk_kind"], row["text"], row["path"]) == ("pdf", "code", "t", "a/b.pdf")
    assert (row["start_page"], row["modified_at"], row["corpus_id"]) == (2, moment, "k")
