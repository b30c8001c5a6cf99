"""F2: a run on unchanged input parses, embeds, publishes and commits nothing outside ops/."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.dagster.lake import NO_WORK, Image, Lake, notes, outside_ops, paragraph

CODE = "def tide(hours):\n    return hours % 12\n\n\ndef ebb(hours):\n    return tide(hours) > 6\n"


@pytest.fixture
def full(lake: Lake) -> Lake:
    """A lake of two corpora with text and code, one of them a folder elsewhere."""
    lake.drop_all(notes("notes", 6))
    lake.drop("notes/code/tide.py", CODE)
    lake.drop(lake.root / "elsewhere" / "a.txt", paragraph(77))
    lake.add(lake.root / "elsewhere", "elsewhere")
    lake.run()
    return lake


def assert_free(before: Image, after: Image, work: dict[str, int]) -> None:
    assert work == NO_WORK
    assert outside_ops(after.versions) == outside_ops(before.versions)
    assert after.generations == before.generations
    assert after.content == before.content


def test_a_second_run_is_free(full: Lake) -> None:
    full.drop("notes/page.html", f"<html><body><main><h1>Page</h1><p>{paragraph(5)}</p></main></body></html>")
    full.drop("notes/broken.pdf", b"%PDF-1.4\nthis is no document")
    full.run()
    before = full.image()
    report, work = full.run_counted()
    assert_free(before, full.image(), work)
    assert full.counts.read == []
    assert all((line.new, line.changed, line.deleted) == (0, 0, 0) for line in report.stages)


def test_a_second_run_commits_not_even_in_ops(full: Lake) -> None:
    before = full.image()
    full.run()
    full.run()
    assert full.image().versions == before.versions


def test_touched_files_are_read_again_and_nothing_more(full: Lake) -> None:
    before = full.image()
    for path in full.inbox.rglob("*"):
        if path.is_file():
            os.utime(path)
    _, work = full.run_counted()
    assert_free(before, full.image(), work)
    assert len(full.counts.read) == 7


def test_files_just_written_are_no_work_either(lake: Lake) -> None:
    for name, text in notes("notes", 4).items():
        lake.drop(name, text, age=0)
    lake.run()
    before = lake.image()
    _, work = lake.run_counted()
    assert_free(before, lake.image(), work)


def test_a_file_rewritten_with_the_same_bytes_is_no_work(full: Lake) -> None:
    before = full.image()
    path = full.path("notes/note-001.md")
    text = path.read_text()
    path.unlink()
    path.write_text(text)
    _, work = full.run_counted()
    assert_free(before, full.image(), work)


def test_a_run_in_a_fresh_process_is_free(full: Lake) -> None:
    before = full.image()
    completed = full.cli("run")
    assert completed.returncode == 0, completed.stderr
    assert_free(before, full.image(), NO_WORK)


def test_without_the_local_caches_files_are_read_and_nothing_more(full: Lake) -> None:
    before = full.image()
    for path in full.settings.cache.iterdir():
        if path.is_file():
            path.unlink()
    _, work = full.run_counted()
    assert_free(before, full.image(), work)


def test_a_plan_before_and_a_search_after_change_nothing(full: Lake) -> None:
    before = full.image()
    assert full.plan().is_empty
    full.search("harbour lantern")
    assert full.plan().is_empty
    assert full.image() == before


def test_the_lake_of_the_same_input_elsewhere_is_the_same(
    lake: Lake, another_lake: Callable[[str], Lake], tmp_path: Path
) -> None:
    """Same input, same rows: nothing in a row depends on the place, the time or the order of runs."""
    files = notes("notes", 5)
    lake.drop_all(files)
    lake.run()
    first = lake.image()
    time.sleep(0.01)
    other = another_lake("other")
    for name, text in reversed(files.items()):
        other.drop(name, text)
        other.run()
    second = other.image()
    assert second.rows["bronze/files"] == first.rows["bronze/files"]
    assert second.rows["silver/chunks"] == first.rows["silver/chunks"]
    assert {k: sorted(v) for k, v in second.points.items()} == {k: sorted(v) for k, v in first.points.items()}
