from typing import Any

import polars as pl
import pytest

from cortex_assets import identity
from cortex_assets.chunks.rows import chunk_documents, chunk_rows, pieces_of
from cortex_assets.chunks.schema import CHUNKS, Chunks
from cortex_assets.documents.model import Heading, Page, Structure
from cortex_assets.tables import Status

TEXT = "# Guide\n\n" + "\n\n".join(["The same paragraph. " * 40] * 3) + "\n\nLast words."


def document(name: str, text: str = TEXT, **changes: Any) -> dict[str, Any]:
    row = {
        "document_id": identity.content_id(name),
        "corpus_id": identity.corpus_id("notes"),
        "shard": "notes",
        "text": text,
        "structure": Structure((Heading(1, "Guide", 0),)).to_json(),
        "kind": "markdown",
        "language": None,
        "status": "ok",
    }
    return row | changes


def frame(*rows: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema_overrides={"language": pl.String})


def test_rows_are_valid_verbatim_and_have_the_ids_of_their_content(model: Any) -> None:
    rows = chunk_documents(frame(document("a"), document("b")), model, 256)
    Chunks.validate(rows)
    assert rows.columns == list(CHUNKS.dtypes)
    assert rows["chunk_id"].n_unique() == rows.height
    first = rows.filter(pl.col("document_id") == identity.content_id("a"))
    assert first["ordinal"].to_list() == list(range(first.height))
    seen: dict[str, int] = {}
    for row in first.iter_rows(named=True):
        assert TEXT[row["start_char"] : row["end_char"]] == row["text"]
        hashed = identity.text_hash(row["text"])
        assert row["chunk_id"] == identity.content_id("chunk", row["document_id"], hashed, seen.get(hashed, 0))
        assert row["embed_hash"] == identity.embed_hash(row["context"], row["text"])
        seen[hashed] = seen.get(hashed, 0) + 1
    assert max(seen.values()) > 1
    other = rows.filter(pl.col("document_id") == identity.content_id("b"))
    assert other["embed_hash"].to_list() == first["embed_hash"].to_list()


def test_one_document_gives_the_same_rows_as_many(model: Any) -> None:
    row = document("a")
    assert chunk_rows(row, pieces_of(row, model, 256)).equals(chunk_documents(frame(row), model, 256))


@pytest.mark.parametrize("status", [status for status in Status if status not in (Status.OK, Status.PARTIAL)])
def test_documents_that_did_not_parse_have_no_chunks(model: Any, status: Status) -> None:
    rows = chunk_documents(frame(document("a", status=status.value)), model, 256)
    assert rows.height == 0
    assert dict(rows.schema) == CHUNKS.dtypes


def test_partial_documents_have_chunks(model: Any) -> None:
    assert chunk_documents(frame(document("a", status="partial")), model, 256).height > 0


def test_an_unreadable_structure_names_the_document(model: Any) -> None:
    with pytest.raises(ValueError, match=identity.content_id("a")):
        chunk_documents(frame(document("a", structure="{}")), model, 256)


def test_row_hashes_are_those_of_the_frame(model: Any) -> None:
    code = document("c", "def one():\n    return 1\n\n\nclass Two:\n    pass\n", kind="code", language="python")
    paged = document("p", structure=Structure((), (Page(1, 0, 100), Page(2, 100, len(TEXT)))).to_json(), kind="pdf")
    rows = chunk_documents(frame(document("a"), code, paged), model, 256)
    again = identity.with_row_hash(rows.drop("row_hash"), CHUNKS.unhashed)
    assert again["row_hash"].to_list() == rows["row_hash"].to_list()
    assert rows["symbol"].null_count() < rows.height
    assert rows["start_page"].null_count() < rows.height
