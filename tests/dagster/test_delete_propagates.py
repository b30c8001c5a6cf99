"""F1: what leaves the source leaves every table, the ledgers, the index and the search, in one run, and nothing else moves."""

import polars as pl

from apps import actions
from cortex_assets.chunks.schema import CHUNKS
from cortex_assets.corpora.schema import FILES
from cortex_assets.documents.schema import DOCUMENTS
from tests.dagster.lake import Lake, notes, paragraph, stage_counts


def test_one_removed_file_leaves_nothing_and_touches_nothing_else(lake: Lake) -> None:
    lake.drop_all(notes("notes", 12))
    lake.drop("notes/doomed.md", "# Doomed\n\nThe zanzibar chronometer stopped at dawn.\n")
    lake.run()
    before = lake.image()
    assert lake.found("zanzibar chronometer")[0] == "doomed.md"
    file_id = lake.table(FILES).filter(pl.col("path") == "doomed.md")["file_id"][0]
    document_ids = lake.table(DOCUMENTS).filter(pl.col("file_id") == file_id)["document_id"].to_list()
    chunk_ids = lake.table(CHUNKS).filter(pl.col("document_id").is_in(document_ids))["chunk_id"].to_list()
    assert document_ids
    assert chunk_ids

    lake.delete("notes/doomed.md")
    report, work = lake.run_counted()
    after = lake.image()

    assert stage_counts(report, "files") == (0, 0, 1)
    assert work == {"parsed": 0, "chunked": 0, "embedded": 0, "published": 1}
    assert "doomed.md" not in lake.found("zanzibar chronometer")
    ids = {file_id, *document_ids, *chunk_ids}
    for asset in ("documents", "chunks"):
        assert ids.isdisjoint(lake.ledger(asset)["input_key"]), asset
    for table in (FILES, DOCUMENTS, CHUNKS):
        kept = {key: row_hash for key, row_hash in before.rows[table.name].items() if key not in ids}
        assert len(kept) < len(before.rows[table.name])
        assert after.rows[table.name] == kept, table.name
    assert after.points["notes"] == {k: v for k, v in before.points["notes"].items() if k not in ids}
    lake.assert_sound()


def test_an_edit_from_ten_chunks_to_six_leaves_six_everywhere(lake: Lake) -> None:
    parts = [f"## Part {number}\n\n{paragraph(number, 9)}\n" for number in range(10)]
    lake.drop("notes/report.md", "\n".join(parts))
    lake.drop_all(notes("notes", 3))
    lake.run()
    before = lake.image()
    (document_id,) = lake.table(DOCUMENTS).filter(pl.col("path") == "report.md")["document_id"]
    ten = set(lake.table(CHUNKS).filter(pl.col("document_id") == document_id)["chunk_id"])
    assert len(ten) == 10

    lake.drop("notes/report.md", "\n".join(parts[:3] + parts[7:]))
    _, work = lake.run_counted()
    after = lake.image()

    six = set(lake.table(CHUNKS).filter(pl.col("document_id") == document_id)["chunk_id"])
    assert len(six) == 6
    assert six < ten
    assert work["embedded"] == 0
    assert set(after.points["notes"]) == set(before.points["notes"]) - (ten - six)
    ledger = lake.ledger("chunks").filter(pl.col("input_key") == document_id)
    assert ledger["row_count"].to_list() == [6]
    (gone,) = [paragraph(4, 1)]
    assert all(hit.chunk_id in six for hit in lake.search(gone).hits if hit.document_id == document_id)
    lake.assert_sound()


def test_the_last_file_of_a_small_corpus_goes_on_confirmation_and_leaves_an_empty_lake(lake: Lake) -> None:
    lake.drop("notes/only.md", "# Only\n\nThe zanzibar chronometer stopped at dawn.\n")
    lake.run()
    lake.delete("notes/only.md")
    (withheld,) = lake.run().withheld

    actions.confirm(withheld.scan_id)
    lake.run()

    image = lake.image()
    assert [image.rows[table.name] for table in (FILES, DOCUMENTS, CHUNKS)] == [{}, {}, {}]
    assert image.points == {"notes": {}}
    assert lake.search("zanzibar chronometer").hits == ()
    lake.assert_sound()
