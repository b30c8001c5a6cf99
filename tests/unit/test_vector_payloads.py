"""Payloads beside a large segment: written in parts, read by id, groups by filter, damage named."""

from pathlib import Path

import polars as pl
import pytest

from resources.vectors.filters import AnyOf, Between
from resources.vectors.payloads import FIELDS, LINES, PLACE_SCHEMA, Payloads, PayloadWriter
from resources.vectors.protocol import DamagedIndexError
from resources.vectors.segment import SegmentVanishedError
from resources.vectors.stored import BODY, FILTER_FIELDS, SIDECAR, shaped


def rows(numbers: range) -> pl.DataFrame:
    """Stored rows of which three share a document; the first of each has no language."""
    return shaped(
        pl.DataFrame(
            {
                "chunk_id": [f"{number:032x}" for number in numbers],
                "row_hash": [number * 7 for number in numbers],
                "document_id": [f"doc-{number // 3}" for number in numbers],
                "language": [None if number % 3 == 0 else "python" for number in numbers],
                "modified_at": [f"2026-01-{1 + number // 3:02d}T00:00:00.000000Z" for number in numbers],
                BODY: [f'{{"text": "zeile {number} ü\\n\\u2028", "empty": null}}' for number in numbers],
            }
        )
    )


def written(folder: Path, *parts: pl.DataFrame) -> Payloads:
    folder.mkdir()
    writer = PayloadWriter(folder)
    places = [pl.concat([part.select("chunk_id", "row_hash"), writer.add(part)], how="horizontal") for part in parts]
    writer.finish()
    empty = pl.DataFrame(schema={"chunk_id": pl.String, "row_hash": pl.Int64} | PLACE_SCHEMA)
    pl.concat([empty, *places]).sort("chunk_id").write_ipc(folder / SIDECAR, compression="uncompressed")
    return Payloads(folder)


def test_payloads_come_back_by_id_whatever_the_order_of_writing(tmp_path: Path) -> None:
    payloads = written(tmp_path / "s", rows(range(20, 30)), rows(range(0)), rows(range(10)))
    found = payloads.payloads([f"{number:032x}" for number in (25, 3, 99, 3)])
    assert sorted(found) == [f"{number:032x}" for number in (3, 25)]
    assert found[f"{25:032x}"] == {
        "row_hash": 175,
        "corpus_id": None,
        "document_id": "doc-8",
        "kind": None,
        "language": "python",
        "path": None,
        "modified_at": "2026-01-09T00:00:00.000000Z",
        "text": "zeile 25 ü\n\u2028",
        "empty": None,
    }
    assert payloads.payloads([]) == {}


def test_stored_rows_are_what_was_given(tmp_path: Path) -> None:
    given = rows(range(12))
    payloads = written(tmp_path / "s", given.head(5), given.tail(7))
    columns = ["chunk_id", *FILTER_FIELDS, BODY]
    assert payloads.stored(given["chunk_id"]).select(columns).equals(given.select(columns))
    assert payloads.stored([]).height == 0


def test_groups_are_the_combinations_that_occur(tmp_path: Path) -> None:
    payloads = written(tmp_path / "s", rows(range(4)), rows(range(4, 9)))
    fields = payloads.fields()
    assert fields.height == 6
    one = payloads.groups([AnyOf("document_id", ("doc-1",)), AnyOf("language", ("python",))])
    assert fields[one].select("document_id", "language").rows() == [("doc-1", "python")]
    early = payloads.groups([Between("modified_at", None, "2026-01-02T00:00:00.000000Z")])
    assert set(fields[early]["document_id"]) == {"doc-0"}
    assert payloads.groups([AnyOf("kind", ("code",))]) == []


def test_a_segment_without_points_shows_nothing(tmp_path: Path) -> None:
    payloads = written(tmp_path / "s")
    assert payloads.payloads(["0" * 32]) == {}
    assert payloads.groups([AnyOf("kind", ("code",))]) == []


@pytest.mark.parametrize("name", [FIELDS, LINES, SIDECAR])
def test_what_is_gone_and_what_is_damaged_is_told_apart(tmp_path: Path, name: str) -> None:
    written(tmp_path / "s", rows(range(9)))
    path = tmp_path / "s" / name
    path.write_bytes(b"" if name == LINES else path.read_bytes()[:40])
    with pytest.raises(DamagedIndexError, match=name.replace(".", r"\.")):
        Payloads(tmp_path / "s").payloads([f"{3:032x}"])
    path.unlink()
    with pytest.raises(SegmentVanishedError):
        Payloads(tmp_path / "s").payloads([f"{3:032x}"])


def test_a_line_that_is_no_json_is_damage(tmp_path: Path) -> None:
    payloads = written(tmp_path / "s", rows(range(3)))
    path = tmp_path / "s" / LINES
    path.write_bytes(path.read_bytes().replace(b"{", b"[", 1))
    with pytest.raises(DamagedIndexError, match=r"payloads\.jsonl"):
        payloads.payloads([f"{0:032x}"])
