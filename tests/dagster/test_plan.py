"""F7: the plan comes before the run: exact where the inputs are known, an estimate with its basis behind them, and free."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from apps.reports import PlanLine
from cortex_assets.engine.report import StageReport
from tests.dagster.lake import NO_WORK, STAGES, Lake, make_unreadable, note, notes

Counts = tuple[int, int, int]


def planned(lake: Lake) -> dict[str, PlanLine]:
    return {line.stage: line for line in lake.plan().lines}


def counts(line: PlanLine) -> Counts:
    return line.new, line.stale, line.orphaned


def done(report: StageReport) -> Counts:
    return report.new, report.changed, report.deleted


def files_below(folder: Path) -> Mapping[Path, tuple[int, int]]:
    """Every file below a folder but the caches, with size and time of change."""
    found = {}
    for path in folder.rglob("*"):
        if path.is_file() and not {"cache", "locks"} & set(path.relative_to(folder).parts):
            found[path] = path.stat().st_size, path.stat().st_mtime_ns
    return found


def change(lake: Lake) -> None:
    """Three files more, two edited, one deleted, one renamed."""
    lake.drop_all(notes("notes", 3, start=20))
    lake.drop("notes/note-001.md", note(1, 2))
    lake.drop("notes/note-002.md", note(302))
    lake.delete("notes/note-003.md")
    lake.move("notes/note-004.md", "notes/renamed.md")


def test_a_folder_just_dropped_is_planned_before_anything_is_registered(lake: Lake) -> None:
    lake.drop_all(notes("notes", 5))
    before = files_below(lake.settings.data_dir)
    lines = planned(lake)
    assert list(lines) == list(STAGES)
    assert counts(lines["files"]) == (5, 0, 0)
    assert lines["files"].is_exact
    for stage in STAGES[1:]:
        assert not lines[stage].is_exact
        assert lines[stage].basis
    assert counts(lines["documents"]) == (5, 0, 0)
    assert lines["index"].new > 0
    assert lake.counts.work == NO_WORK
    assert lake.counts.read == []
    assert files_below(lake.settings.data_dir) == before


def test_a_plan_reads_parses_and_writes_nothing(lake: Lake) -> None:
    lake.drop_all(notes("notes", 6))
    lake.run()
    change(lake)
    image = lake.image()
    before = files_below(lake.settings.data_dir)
    lake.counts.reset()
    first = lake.plan()
    second = lake.plan()
    assert lake.counts.work == NO_WORK
    assert lake.counts.read == []
    assert files_below(lake.settings.data_dir) == before
    assert lake.image() == image
    assert first.lines == second.lines
    lake.run()
    assert lake.plan().is_empty


def test_after_each_stage_the_next_ones_plan_is_what_it_does(lake: Lake) -> None:
    lake.drop_all(notes("notes", 8))
    lake.drop("notes/code.py", "def tide(hours):\n    return hours % 12\n")
    lake.run()
    change(lake)
    for number, stage in enumerate(STAGES):
        lines = planned(lake)
        assert all(lines[name].is_exact for name in STAGES[: number + 1]), stage
        for earlier in STAGES[:number]:
            assert counts(lines[earlier]) == (0, 0, 0), f"{earlier} after {stage}"
        report = lake.run_stages("notes", stage).stages[stage]
        assert counts(lines[stage]) == done(report), stage
        if stage not in ("embeddings",):
            assert lines[stage].unchanged == report.unchanged, stage
        assert sum(counts(lines[stage])) > 0, f"{stage} had nothing to do, so nothing was shown"
    assert lake.plan().is_empty
    assert all(line.is_exact for line in lake.plan().lines)
    lake.run()  # The lake's own tables follow.
    lake.assert_sound()


def test_a_file_written_a_moment_ago_is_waited_for_as_a_run_waits(lake: Lake) -> None:
    lake.set("CORTEX_STILL_SECONDS", "1.5")
    lake.drop("notes/done.md", note(1))
    lake.drop("notes/fresh.md", note(2), age=0.5)
    lines = planned(lake)
    assert counts(lines["files"]) == (2, 0, 0)
    assert lines["files"].is_exact


def test_a_file_still_being_written_is_named_by_the_plan(lake: Lake) -> None:
    lake.set("CORTEX_STILL_SECONDS", "60")
    lake.drop("notes/done.md", note(1))
    lake.drop("notes/half.md", note(2), age=0.5)
    files = planned(lake)["files"]
    assert counts(files) == (1, 0, 0)
    assert not files.is_exact
    assert files.basis == "not counted: 1 still being written, which a later run takes"


def test_what_waits_behind_a_stage_is_estimated_from_it(lake: Lake) -> None:
    lake.drop_all(notes("notes", 8))
    lake.run()
    change(lake)
    lines = planned(lake)
    # 3 new and one renamed; 2 edited; one deleted and the old name.
    assert counts(lines["files"]) == (4, 2, 2)
    for stage in ("documents", "chunks"):
        assert counts(lines[stage]) == (4, 2, 2), stage
        assert (lines[stage].unchanged, lines[stage].is_exact) == (4, False), stage
    assert lines["index"].new >= 4
    assert not lines["index"].is_exact
    assert "chunks a document" in lines["index"].basis

    lake.run_stages("notes", "files")
    lines = planned(lake)
    assert lines["documents"].is_exact
    assert counts(lines["documents"]) == (4, 2, 2)
    assert not lines["chunks"].is_exact
    assert counts(lines["chunks"]) == (4, 2, 2)

    lake.run_stages("notes", "documents")
    lines = planned(lake)
    assert lines["chunks"].is_exact
    assert counts(lines["chunks"]) == (4, 2, 2)
    assert not lines["embeddings"].is_exact


def test_a_point_published_before_its_vector_is_planned_again(lake: Lake) -> None:
    lake.drop_all(notes("notes", 2))
    lake.run_stages("notes", "files", "documents", "chunks", "index")
    lines = planned(lake)
    missing = lines["embeddings"].new
    assert missing > 0
    assert lines["embeddings"].unchanged == 0
    assert counts(lines["index"]) == (0, missing, 0)
    lake.run_stages("notes", "embeddings")
    assert counts(planned(lake)["embeddings"]) == (0, 0, 0)
    assert planned(lake)["embeddings"].unchanged == missing
    assert counts(planned(lake)["index"]) == (0, missing, 0)
    report = lake.run_stages("notes", "index").stages["index"]
    assert done(report) == (0, missing, 0)
    lake.points()


def test_withheld_deletes_are_not_planned_and_the_line_says_so(lake: Lake) -> None:
    lake.drop_all(notes("notes", 40))
    lake.run()
    lake.delete(*notes("notes", 30))
    line = planned(lake)["files"]
    assert counts(line) == (0, 0, 0)
    assert "30 deletes" in line.basis
    lake.run()
    (withheld,) = lake.plan().withheld
    assert withheld.files == 30


def test_files_under_an_unreadable_folder_are_not_planned_as_deleted(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake.drop_all(notes("notes/open", 2) | notes("notes/shut", 2))
    lake.run()
    make_unreadable(monkeypatch, lake.path("notes/shut"))
    assert counts(planned(lake)["files"]) == (0, 0, 0)


def test_an_edit_is_exact_unless_the_file_kept_its_size(lake: Lake) -> None:
    lake.drop_all(notes("notes", 3))
    lake.run()
    lake.drop("notes/note-000.md", note(0, 2))
    assert planned(lake)["files"].is_exact
    lake.drop("notes/note-001.md", note(1))
    line = planned(lake)["files"]
    assert counts(line) == (0, 2, 0)
    assert not line.is_exact
    assert line.basis.startswith("1 files of the size they had")
    assert done(lake.run_stages("notes", "files").stages["files"]) == (0, 1, 0)
    assert planned(lake)["files"].is_exact


def test_points_published_before_their_vectors_are_reported_as_planned(lake: Lake) -> None:
    lake.drop_all(notes("notes", 3))
    lake.run_stages("notes", "files", "documents", "chunks")
    expected = counts(planned(lake)["index"])
    assert expected[0] > 0
    with lake.house() as house:
        registry = house.sync_registry()
        corpus = registry.by_name("notes")
        assert corpus is not None
        stages = house.workshop.stages(corpus, registry)
        stages.embed._before_long, stages.embed._long_tokens = stages.index, 0
        report = house.run_shard("notes", registry=registry)
    assert lake.counts.published == ["notes", "notes"]
    index = report.stages["index"]
    assert done(index) == expected
    assert index.commits == 2
    assert index.rows_written == 2 * expected[0]
    lake.run()  # The lake's own tables follow.
    lake.assert_sound()
