"""F8: a source that vanished never reads as "delete everything"; small deletes go at once, adds and edits always go on."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from apps import actions
from apps.errors import CommandError
from cortex_assets.corpora.schema import FILES, SCANS
from resources.lakehouse import literal
from tests.dagster.lake import Lake, make_unreadable, note, notes, outside_ops, stage_counts


def paths(lake: Lake) -> set[str]:
    return set(lake.table(FILES)["path"])


@pytest.fixture
def hundred(lake: Lake) -> Lake:
    """A hundred notes in two folders of one corpus elsewhere."""
    for name, text in (notes("a", 50) | notes("b", 50, start=50)).items():
        lake.drop(lake.root / "source" / name, text)
    lake.add(lake.root / "source", "source")
    lake.run()
    assert len(paths(lake)) == 100
    return lake


def names(folder: str, count: int, start: int = 0) -> list[str]:
    return [f"{folder}/note-{number:03d}.md" for number in range(start, start + count)]


def delete(lake: Lake, *relative: str) -> None:
    lake.delete(*(lake.root / "source" / name for name in relative))


def test_twenty_of_a_hundred_are_deleted_at_once(hundred: Lake) -> None:
    delete(hundred, *names("a", 20))
    report = hundred.run()
    assert report.withheld == ()
    assert stage_counts(report, "files") == (0, 0, 20)
    assert len(paths(hundred)) == 80
    assert set(hundred.points()["source"]) == set(hundred.image().rows["silver/chunks"])


def test_more_than_twenty_and_fifteen_percent_are_withheld_until_confirmed(hundred: Lake) -> None:
    before = hundred.image()
    delete(hundred, *names("a", 21))
    hundred.drop(hundred.root / "source" / "new.md", "The zanzibar chronometer.\n")
    hundred.drop(hundred.root / "source" / "b/note-050.md", note(901))
    report = hundred.run()
    (withheld,) = report.withheld
    assert withheld.files == 21
    assert "21 of 100" in withheld.reason
    assert withheld.scan_id in withheld.reason
    assert stage_counts(report, "files") == (1, 1, 0), "adds and edits go on"
    kept = hundred.image()
    assert before.rows["bronze/files"].keys() < kept.rows["bronze/files"].keys()
    assert hundred.found("zanzibar chronometer")[0] == "new.md"

    again = hundred.run()
    assert stage_counts(again, "files") == (0, 0, 0), "asking again is no consent"
    assert len(paths(hundred)) == 101

    (withheld,) = again.withheld
    confirmed = actions.confirm(withheld.scan_id)
    assert (confirmed.corpus, confirmed.files) == ("source", 21)
    report = hundred.run()
    assert stage_counts(report, "files") == (0, 0, 21)
    assert report.withheld == ()
    assert len(paths(hundred)) == 80
    hundred.assert_sound()
    assert hundred.run().withheld == ()


def test_an_earlier_scan_may_be_confirmed_and_more_that_vanished_since_is_asked_about(hundred: Lake) -> None:
    delete(hundred, *names("a", 30))
    (first,) = hundred.run().withheld
    delete(hundred, *names("b", 10, start=50))
    actions.confirm(first.scan_id)
    (second,) = hundred.run().withheld
    assert second.files == 40
    assert len(paths(hundred)) == 100
    actions.confirm(second.scan_id)
    hundred.run()
    assert len(paths(hundred)) == 60


def test_confirming_what_withholds_nothing_is_refused(hundred: Lake) -> None:
    scan = hundred.table(SCANS)["scan_id"][0]
    for wrong in (scan, "no-such-scan"):
        with pytest.raises(CommandError, match="no scan with that id"):
            actions.confirm(wrong)


def test_files_that_come_back_end_the_matter(hundred: Lake) -> None:
    before = hundred.image()
    hundred.move(hundred.root / "source" / "a", hundred.root / "aside")
    assert hundred.run().withheld[0].files == 50
    hundred.move(hundred.root / "aside", hundred.root / "source" / "a")
    report, work = hundred.run_counted()
    assert report.withheld == ()
    assert work["parsed"] == work["embedded"] == work["published"] == 0
    assert hundred.image().content == before.content


@pytest.mark.parametrize("how", ["missing", "empty"])
def test_a_root_that_is_missing_or_empty_deletes_nothing(lake: Lake, how: str) -> None:
    for name, text in notes("a", 3).items():
        lake.drop(lake.root / "source" / name, text)
    lake.add(lake.root / "source", "source")
    lake.run()
    before = lake.image()
    lake.move(lake.root / "source", lake.root / "unmounted")
    if how == "empty":
        (lake.root / "source").mkdir()
    (withheld,) = lake.run().withheld
    assert withheld.files == 3
    assert ("is missing" if how == "missing" else "is empty") in withheld.reason
    after = lake.image()
    assert after.content == before.content
    assert outside_ops(after.versions) == outside_ops(before.versions)
    assert lake.found("Note 1")

    if how == "empty":
        (lake.root / "source").rmdir()
    lake.move(lake.root / "unmounted", lake.root / "source")
    assert lake.run().withheld == ()
    assert lake.image().content == before.content


def test_a_confirmed_empty_root_is_emptied(lake: Lake) -> None:
    for name, text in notes("a", 3).items():
        lake.drop(lake.root / "source" / name, text)
    lake.add(lake.root / "source", "source")
    lake.run()
    lake.delete(lake.root / "source" / "a")
    (withheld,) = lake.run().withheld
    actions.confirm(withheld.scan_id)
    report = lake.run()
    assert report.withheld == ()
    assert stage_counts(report, "files") == (0, 0, 3)
    assert lake.points() == {"source": {}}


def test_a_directory_rename_does_not_trip_it(hundred: Lake) -> None:
    hundred.move(hundred.root / "source" / "a", hundred.root / "source" / "renamed")
    report, work = hundred.run_counted()
    assert report.withheld == ()
    assert work["embedded"] == 0
    assert paths(hundred) == {*names("renamed", 50), *names("b", 50, start=50)}
    scan = hundred.table(SCANS).sort("started_at").row(-1, named=True)
    assert (scan["moved"], scan["deleted"], scan["withheld"]) == (50, 0, 0)


def test_an_unreadable_folder_protects_only_itself(hundred: Lake) -> None:
    with pytest.MonkeyPatch.context() as patch:
        make_unreadable(patch, hundred.root / "source" / "a")
        delete(hundred, *names("b", 5, start=50))
        report = hundred.run()
        assert report.withheld == ()
        assert paths(hundred) == {*names("a", 50), *names("b", 45, start=55)}
        assert any("cannot be read" in text for text in report.notes)
        scan = hundred.table(SCANS).sort("started_at").row(-1, named=True)
        assert scan["unreadable"] == ["a/"]
    delete(hundred, *names("a", 2))
    hundred.run()
    assert len(paths(hundred)) == 93


def test_an_unreadable_root_deletes_nothing(hundred: Lake) -> None:
    before = hundred.image()
    with pytest.MonkeyPatch.context() as patch:
        make_unreadable(patch, hundred.root / "source")
        hundred.run()
    assert hundred.image().content == before.content
    hundred.run()
    assert hundred.image().content == before.content


def test_deletes_of_twenty_four_hours_are_summed(hundred: Lake) -> None:
    for start in (0, 8, 16):
        delete(hundred, *names("a", 8, start=start))
        report = hundred.run()
    (withheld,) = report.withheld
    assert withheld.files == 8, "8 + 8 went, the third 8 make 24"
    assert "24 of 100" in withheld.reason
    assert len(paths(hundred)) == 84

    _age_scans(hundred, timedelta(hours=25))
    report = hundred.run()
    assert report.withheld == ()
    assert len(paths(hundred)) == 76


def test_a_small_corpus_loses_a_few_files_at_once(lake: Lake) -> None:
    """More than 15 percent, but not more than 20 files."""
    lake.drop_all(notes("notes", 12))
    lake.run()
    lake.delete(*(f"notes/note-{number:03d}.md" for number in range(11)))
    assert lake.run().withheld == ()
    assert paths(lake) == {"note-011.md"}


def test_a_corpus_is_guarded_by_itself(hundred: Lake) -> None:
    """What is withheld in one corpus does not hold up another."""
    hundred.drop_all(notes("notes", 4))
    hundred.run()
    delete(hundred, *names("a", 50))
    hundred.delete("notes/note-001.md")
    report = hundred.run()
    assert [one.corpus for one in report.withheld] == ["source"]
    assert hundred.table(FILES).filter(pl.col("shard") == "notes").height == 3


def _age_scans(lake: Lake, age: timedelta) -> None:
    """Make every scan so much older, as if the time had passed."""
    with lake.house() as house:
        scans = house.lake.scan(SCANS).collect()
        for scan_id in scans["scan_id"]:
            row = scans.filter(pl.col("scan_id") == scan_id).with_columns(pl.col("started_at") - age)
            assert row["started_at"][0] < datetime.now(UTC) - age + timedelta(minutes=10)
            house.lake.overwrite(SCANS, row, f"scan_id = {literal(scan_id)}")
