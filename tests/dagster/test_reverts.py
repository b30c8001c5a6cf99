"""Contents that come and go: reverts, broken and repaired files, half-copied files, batches that repeat an id."""

import os
import time
from collections.abc import Iterator

import polars as pl
import pytest

from apps import actions, reader
from cortex_assets.chunks.derive import ChunksCompute
from cortex_assets.chunks.schema import CHUNKS
from cortex_assets.corpora.schema import FILES
from cortex_assets.documents.schema import DOCUMENTS
from cortex_assets.engine import reading
from cortex_assets.engine.derivation import Output
from tests.dagster.lake import NO_WORK, PROJECT, Lake, note, notes, stage_counts

RARE = "# Rare\n\nThe zanzibar chronometer stopped at dawn.\n"
OTHER = "# Rare\n\nThe ptarmigan barometer fell all night.\n"
PDF = PROJECT / "data" / "sample" / "reports" / "annual-tide-report-2025.pdf"
BROKEN_PDF = b"%PDF-1.4\nthis is no document"


def status_of(lake: Lake, path: str) -> str:
    (status,) = lake.table(DOCUMENTS).filter(pl.col("path") == path)["status"]
    return str(status)


def chunks_of(lake: Lake, path: str) -> int:
    ids = lake.table(DOCUMENTS).filter(pl.col("path") == path)["document_id"]
    return lake.table(CHUNKS).filter(pl.col("document_id").is_in(ids.to_list())).height


def test_a_revert_ends_as_it_began(lake: Lake) -> None:
    lake.drop_all(notes("notes", 3))
    lake.drop("notes/rare.md", RARE)
    lake.run()
    first = lake.image()
    lake.drop("notes/rare.md", OTHER)
    lake.run()
    assert lake.found("ptarmigan barometer")[0] == "rare.md"
    assert "zanzibar" not in "".join(lake.table(CHUNKS)["text"])
    lake.drop("notes/rare.md", RARE)
    _, work = lake.run_counted()
    last = lake.image()
    assert work == {"parsed": 1, "chunked": 1, "embedded": 0, "published": 1}
    for table in ("bronze/files", "bronze/documents", "silver/chunks"):
        assert last.rows[table] == first.rows[table], table
    assert last.points == first.points
    assert "ptarmigan" not in "".join(hit.snippet for hit in lake.search("ptarmigan barometer").hits)
    lake.assert_sound()


def test_a_deleted_file_that_comes_back_is_as_before(lake: Lake) -> None:
    lake.drop_all(notes("notes", 3))
    lake.drop("notes/rare.md", RARE)
    lake.run()
    first = lake.image()
    lake.delete("notes/rare.md")
    lake.run()
    lake.drop("notes/rare.md", RARE)
    _, work = lake.run_counted()
    assert work["embedded"] == 0
    assert lake.image().content == first.content
    lake.assert_sound()


def test_two_files_that_swap_their_names(lake: Lake) -> None:
    lake.drop("notes/a.md", RARE)
    lake.drop("notes/b.md", OTHER)
    lake.run()
    lake.move("notes/a.md", "notes/c.md")
    lake.move("notes/b.md", "notes/a.md")
    lake.move("notes/c.md", "notes/b.md")
    _, work = lake.run_counted()
    assert work["embedded"] == 0
    assert lake.found("zanzibar chronometer")[0] == "b.md"
    assert lake.found("ptarmigan barometer")[0] == "a.md"
    lake.assert_sound()


def test_a_broken_file_fails_once_says_why_and_is_taken_when_it_is_repaired(lake: Lake) -> None:
    lake.drop("notes/report.pdf", BROKEN_PDF)
    lake.drop("notes/good.md", RARE)
    report = lake.run()
    assert report.failed == 1
    assert status_of(lake, "report.pdf") == "failed"
    (group,) = reader.status(failed=True).failures
    assert group.examples == ("report.pdf",)
    assert group.reason
    assert lake.found("zanzibar chronometer")[0] == "good.md", "one bad file holds nobody up"
    _, work = lake.run_counted()
    assert work == NO_WORK, "the same bytes fail again: they are not tried again"

    assert actions.retry("notes/report.pdf").keys == 1
    _, work = lake.run_counted()
    assert lake.counts.parsed == ["report.pdf"]

    lake.drop("notes/report.pdf", PDF.read_bytes())
    report = lake.run()
    assert report.failed == 0
    assert status_of(lake, "report.pdf") == "ok"
    assert chunks_of(lake, "report.pdf") > 0
    assert reader.status(failed=True).failures == ()
    lake.assert_sound()

    lake.drop("notes/report.pdf", BROKEN_PDF)
    lake.run()
    assert status_of(lake, "report.pdf") == "failed"
    assert chunks_of(lake, "report.pdf") == 0, "an edit that no longer parses removes the old rows"
    assert set(lake.points()["notes"]) == set(lake.table(CHUNKS)["chunk_id"])
    assert lake.ledger("chunks").height == 1
    lake.assert_sound()


def test_the_last_good_text_is_kept_where_a_corpus_asks_for_it(lake: Lake) -> None:
    lake.drop(lake.root / "kept" / "report.pdf", PDF.read_bytes())
    lake.settings.sources_file.write_text(
        f"corpora:\n  - name: kept\n    path: {lake.root / 'kept'}\n    keep_last_good: true\n"
    )
    lake.run()
    chunks = chunks_of(lake, "report.pdf")
    points = lake.points()
    assert chunks > 0
    lake.drop(lake.root / "kept" / "report.pdf", BROKEN_PDF)
    lake.run()
    assert chunks_of(lake, "report.pdf") == chunks
    assert lake.points().keys() == points.keys()
    documents = lake.table(DOCUMENTS)
    assert documents.height == 1
    assert documents["reason"][0], "the row says that its text is of an earlier version"
    _, work = lake.run_counted()
    assert work == NO_WORK


def test_a_file_still_being_written_waits_and_is_taken_whole(lake: Lake) -> None:
    lake.set("CORTEX_STILL_SECONDS", "60")
    lake.drop("notes/done.md", note(1))
    lake.drop("notes/half.md", RARE[:20], age=1.0)
    report = lake.run()
    assert set(lake.table(FILES)["path"]) == {"done.md"}
    assert any("still being written" in text for text in report.notes)
    lake.drop("notes/half.md", RARE, age=0.5)
    lake.run()
    assert set(lake.table(FILES)["path"]) == {"done.md"}
    lake.drop("notes/half.md", RARE)
    report = lake.run()
    assert stage_counts(report, "files") == (1, 0, 0)
    assert lake.found("zanzibar chronometer")[0] == "half.md"
    assert not any("still being written" in text for text in report.notes)


def test_a_known_file_keeps_its_rows_while_its_new_version_is_written(lake: Lake) -> None:
    lake.set("CORTEX_STILL_SECONDS", "60")
    lake.drop("notes/rare.md", RARE)
    lake.run()
    before = lake.image()
    lake.drop("notes/rare.md", OTHER[:25], age=0.5)
    lake.run()
    assert lake.image().content == before.content
    lake.drop("notes/rare.md", OTHER)
    lake.run()
    assert lake.found("ptarmigan barometer")[0] == "rare.md"


def test_drop_and_run_waits_the_two_seconds_once(lake: Lake) -> None:
    lake.set("CORTEX_STILL_SECONDS", "1")
    lake.drop("notes/rare.md", RARE, age=0)
    begin = time.monotonic()
    lake.run()
    assert time.monotonic() - begin >= 0.5
    assert set(lake.table(FILES)["path"]) == {"rare.md"}


def test_a_file_that_grows_between_listing_and_reading_is_taken_next_time(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake.drop("notes/calm.md", note(1))
    growing = lake.drop("notes/growing.md", RARE[:30])
    real = reading.open_inside

    def grows(root: bytes, path: bytes) -> int:
        if path == b"growing.md":
            with growing.open("a") as stream:
                stream.write("more\n")
        return real(root, path)

    monkeypatch.setattr(reading, "open_inside", grows)
    lake.run()
    assert set(lake.table(FILES)["path"]) == {"calm.md"}
    monkeypatch.setattr(reading, "open_inside", real)
    lake.drop("notes/growing.md", RARE)
    lake.run()
    assert lake.found("zanzibar chronometer")[0] == "growing.md"
    lake.assert_sound()


def test_a_file_that_vanishes_between_listing_and_reading_is_no_error(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake.drop("notes/calm.md", note(1))
    gone = lake.drop("notes/gone.md", RARE)
    real = reading.open_inside

    def vanishes(root: bytes, path: bytes) -> int:
        if path == b"gone.md" and gone.exists():
            gone.unlink()
        return real(root, path)

    monkeypatch.setattr(reading, "open_inside", vanishes)
    lake.run()
    assert set(lake.table(FILES)["path"]) == {"calm.md"}
    lake.run()
    lake.assert_sound()


def test_a_batch_that_repeats_an_id_is_refused_and_changes_nothing(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    lake.drop_all(notes("notes", 3))
    lake.run()
    before = lake.image()
    real = ChunksCompute.__call__

    def twice(self: ChunksCompute, rows: pl.DataFrame) -> Iterator[Output]:
        for output in real(self, rows):
            yield Output(pl.concat([output.frame, output.frame]), output.finished, output.failures)

    monkeypatch.setattr(ChunksCompute, "__call__", twice)
    lake.drop("notes/note-001.md", RARE)
    lake.drop("notes/new.md", OTHER)
    (error,) = lake.run().errors
    assert "twice in one batch" in error
    assert lake.image().rows["silver/chunks"] == before.rows["silver/chunks"]
    assert lake.image().points == before.points
    monkeypatch.setattr(ChunksCompute, "__call__", real)
    lake.run()
    assert lake.found("zanzibar chronometer")[0] == "note-001.md"
    assert lake.found("ptarmigan barometer")[0] == "new.md"
    lake.assert_sound()


def test_bytes_that_cannot_be_read_for_now_are_tried_again_later(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    lake.drop("notes/calm.md", note(1))
    lake.drop("notes/rare.md", RARE)
    real = reading.open_inside

    def fails(root: bytes, path: bytes) -> int:
        if path == b"rare.md":
            raise OSError(5, "Input/output error")
        return real(root, path)

    monkeypatch.setattr(reading, "open_inside", fails)
    lake.run()
    rows = {row["path"]: row for row in lake.table(FILES).to_dicts()}
    assert rows["rare.md"]["status"] == "failed"
    assert "Input/output error" in rows["rare.md"]["reason"]
    monkeypatch.setattr(reading, "open_inside", real)
    lake.run()
    assert lake.table(FILES)["status"].to_list() == ["ok", "ok"]
    assert lake.found("zanzibar chronometer")[0] == "rare.md"
    lake.assert_sound()


def test_equal_size_and_time_do_not_hide_an_edit(lake: Lake) -> None:
    """A file replaced by one of the same size and mtime differs in inode and change time."""
    path = lake.drop("notes/rare.md", RARE)
    lake.run()
    stat = path.stat()
    other = path.with_name("incoming")
    other.write_text(RARE.replace("zanzibar", "sansibar"))
    os.utime(other, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    other.replace(path)
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (stat.st_size, stat.st_mtime_ns)
    lake.run()
    assert "sansibar" in "".join(lake.table(CHUNKS)["text"])
