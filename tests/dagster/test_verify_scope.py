"""F5: verification leaves a shard to the run that has it, and looks at shards that no corpus has."""

from apps import actions
from cortex_assets.corpora.schema import CORPORA
from cortex_assets.engine.lease import shard_lease
from tests.dagster.lake import Lake, notes


def test_a_shard_that_a_run_holds_is_not_compared_while_it_moves(lake: Lake) -> None:
    lake.drop_all(notes("notes", 2) | notes("other", 2))
    lake.run()
    lake.run_stages("other", "files")
    lake.drop_all(notes("notes", 1, start=9))
    with shard_lease(lake.settings.locks, "notes"):
        report = actions.verify(repair=True)
    assert (report.checked, report.findings) == (1, ())
    (busy,) = report.busy
    assert busy.startswith("notes: ")
    assert actions.verify().busy == ()
    assert actions.verify().findings != ()


def test_rows_and_points_of_no_corpus_are_found_and_taken_out(lake: Lake) -> None:
    lake.drop_all(notes("notes", 2))
    lake.drop_all({f"../../elsewhere/{n}.md": f"# Left {n}\n\nOnly here.\n" for n in range(2)})
    lake.add(lake.root / "elsewhere", "left")
    lake.run()
    with lake.house() as house:
        house.lake.delete_where(CORPORA, "name", ["left"])
    report = actions.verify()
    assert {(f.table, f.shard, f.orphans) for f in report.findings if f.orphans} == {
        ("files", "left", 2),
        ("documents", "left", 2),
        ("chunks", "left", 2),
        ("index", "left", 1),
    }
    assert actions.verify(repair=True).is_sound
    lake.assert_sound()
    assert set(lake.points()) == {"notes"}
