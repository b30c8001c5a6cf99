"""What differs is found without work, for every way in which a shard can differ, and a quiet lake says so."""

from apps import actions
from cortex_assets.documents.schema import DOCUMENTS
from tests.dagster.lake import NO_WORK, Lake, note, notes


def differing(lake: Lake) -> dict[str, str]:
    lake.counts.reset()
    with lake.house() as house:
        found = house.differing(10.0)
    assert lake.counts.work == NO_WORK
    assert lake.counts.read == []
    return found


def test_edits_deletes_and_lost_rows_differ_until_they_are_run(lake: Lake) -> None:
    lake.drop_all(notes("notes", 4) | notes("other", 2))
    lake.run()
    quiet = {"notes": "", "other": ""}
    assert differing(lake) == quiet

    lake.drop("notes/note-001.md", note(1, 2))
    first = differing(lake)
    assert first["notes"].startswith("files ")
    assert first["other"] == ""
    assert differing(lake) == first, "an equal difference has an equal token"
    lake.drop("notes/note-001.md", note(1, 3))
    assert differing(lake)["notes"] not in ("", first["notes"])
    lake.run()
    assert differing(lake) == quiet, "also the other shard, whose tables moved"

    lake.delete("notes/note-002.md")
    assert differing(lake)["notes"].startswith("files ")
    lake.run()
    assert differing(lake) == quiet

    with lake.house() as house:
        house.lake.delete_where(DOCUMENTS, "shard", ["other"])
    assert differing(lake)["other"].startswith("documents ")
    lake.run()
    assert differing(lake) == quiet


def test_a_shard_that_stopped_half_way_differs(lake: Lake) -> None:
    lake.drop_all(notes("notes", 3))
    for number, stage in enumerate(("documents", "chunks", "embeddings", "index")):
        lake.run_stages("notes", ("files", "documents", "chunks", "embeddings")[number])
        assert differing(lake)["notes"].startswith(f"{stage} ")
    lake.run_stages("notes", "index")
    assert differing(lake) == {"notes": ""}


def test_withheld_deletes_do_not_differ_and_confirmed_ones_do(lake: Lake) -> None:
    lake.drop_all(notes("notes", 40))
    lake.run()
    lake.delete(*notes("notes", 30))
    assert differing(lake) == {"notes": ""}
    report = lake.run()
    assert differing(lake) == {"notes": ""}
    actions.confirm(report.withheld[0].scan_id)
    assert differing(lake)["notes"].startswith("files ")


def test_time_that_is_up_goes_on_with_the_next_corpus(lake: Lake) -> None:
    lake.drop_all(notes("a", 1) | notes("b", 1) | notes("c", 1))
    lake.run()
    with lake.house() as house:
        seen = [sorted(house.differing(0.0)) for _ in range(4)]
    assert seen == [["a"], ["b"], ["c"], ["a"]]
