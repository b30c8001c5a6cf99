"""Clicks and headings over a real lake: noted, proposed, accepted into a golden set, refused for good; and gold that moves along."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime

import dagster as dg
import polars as pl
import pytest

from apps import actions, reader
from apps.errors import CommandError
from apps.evaluation_reports import CandidateLine, Click
from cortex_assets import evaluating
from cortex_assets.definitions import build_defs
from cortex_assets.engine.lease import LeaseBusy, shard_lease
from cortex_assets.evaluation import golden
from cortex_assets.evaluation.golden import GoldenError
from cortex_assets.evaluation.schema import DECIDED_CANDIDATES, EVALUATIONS, FEEDBACK
from cortex_assets.proposing import LEASE
from resources.lakehouse import Lakehouse
from tests.dagster.lake import Lake, paragraph, sentence

HEADED = "# Calibration of tide gauges\n\n{}\n\n## Mussels on the north inlet\n\n{}\n\n## See also\n\n{}\n"


@pytest.fixture
def filled(lake: Lake) -> Lake:
    """Two notes with headings, of which one heading stands in both, and one note without any."""
    lake.drop("notes/gauges.md", HEADED.format(paragraph(1), paragraph(2), paragraph(3)))
    lake.drop(
        "notes/buoys.md",
        "# Wave buoy adrift again\n\n" + paragraph(4) + "\n\n# Calibration of tide gauges\n\n" + paragraph(5),
    )
    lake.drop("notes/plain.md", "\n\n".join(paragraph(number) for number in range(10, 30)))
    lake.run()
    return lake


def click(lake: Lake, question: str, how: str, rank: int = 1, asked: str | None = None) -> Click:
    """A click on a hit, as the page makes it."""
    hit = lake.search(asked or question).hits[rank - 1]
    return Click(question, how, hit.document_id, hit.chunk_id, hit.start_char, hit.end_char, datetime.now(UTC))


def proposed(origin: str = "clicks") -> list[CandidateLine]:
    return [one for one in reader.candidates().candidates if one.origin == origin]


def texts(candidates: Sequence[CandidateLine]) -> set[str]:
    return {one.question for one in candidates}


# -- clicks ------------------------------------------------------------------------------------------------------------


def test_a_click_is_noted_with_the_passage_it_cites(filled: Lake) -> None:
    asked = sentence(12 * 4)
    one = click(filled, asked, "thumb_up")
    assert actions.note_clicks([one]).noted == 1
    (row,) = filled.table(FEEDBACK).to_dicts()
    assert (row["question"], row["how"], row["document_id"]) == (asked, "thumb_up", one.document_id)
    text = filled.path(f"notes/{row['path']}").read_text()
    assert text[row["start_char"] :].startswith(row["quote"])
    assert len(row["quote"]) >= one.end_char - one.start_char, "the whole chunk, not what was shown of it"
    actions.note_clicks([one])
    (candidate,) = proposed()
    assert (candidate.question, candidate.told, candidate.golds[0].grade) == (asked, "1 liked", 3)


def test_a_click_on_a_document_that_is_gone_is_counted_and_others_are_noted(filled: Lake) -> None:
    good = click(filled, "mussels", "thumb_up")
    gone = Click("mussels", "thumb_up", "0" * 32, "0" * 32, 0, 9, datetime.now(UTC))
    noted = actions.note_clicks([gone, good])
    assert (noted.noted, noted.gone) == (1, 1)


def test_a_click_that_cannot_be_written_is_an_error_and_changes_nothing(
    filled: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = click(filled, "mussels", "thumb_up")
    with monkeypatch.context() as patched:

        def full(*_: object, **__: object) -> None:
            raise OSError(28, "No space left on device")

        patched.setattr(Lakehouse, "append", full)
        with pytest.raises(OSError, match="No space"):
            actions.note_clicks([one])
    assert filled.table(FEEDBACK).is_empty()
    assert actions.note_clicks([one]).noted == 1


def test_the_gold_of_a_click_is_found_where_its_document_moved_to_and_lost_where_it_was_changed(filled: Lake) -> None:
    asked = sentence(12 * 4)
    actions.note_clicks([click(filled, asked, "thumb_up"), click(filled, "buoy", "opened", asked=sentence(16))])
    places = {gold.place for one in proposed() for gold in one.golds}
    filled.move("notes/plain.md", "notes/moved/away.md")
    filled.run()
    after = {gold.place for one in proposed() for gold in one.golds}
    assert after == {place.replace("plain.md", "moved/away.md") for place in places}
    filled.drop("notes/moved/away.md", "Something else.")
    filled.run()
    report = reader.candidates()
    assert asked not in texts(report.candidates)
    assert report.lost >= 1


def test_places_are_judged_from_the_command_line(filled: Lake) -> None:
    done = filled.cli(
        "feedback",
        "which inlet has mussels",
        "--good",
        "notes/gauges.md:7-9",
        "--good",
        "notes/plain.md",
        "--bad",
        "notes/buoys.md:3",
    )
    assert done.returncode == 0, done.stderr
    (candidate,) = proposed()
    golds = {gold.place: (gold.grade, bool(gold.begins)) for gold in candidate.golds}
    assert golds == {"notes/gauges.md": (3, True), "notes/plain.md": (3, False)}
    with pytest.raises(CommandError, match="no such place"):
        actions.give_feedback("mussels", ["notes/gauges.md:7000"])
    with pytest.raises(CommandError, match="no such place"):
        actions.give_feedback("mussels", ["elsewhere/gauges.md"])
    with pytest.raises(CommandError, match="cannot be good and bad"):
        actions.give_feedback("mussels", ["notes/gauges.md:1"], ["notes/gauges.md:1"])
    assert filled.table(FEEDBACK).height == 3
    with pytest.raises(CommandError, match="nothing is said"):
        actions.give_feedback("mussels")


def test_a_purge_takes_out_what_was_said_of_its_corpus_and_nothing_else(filled: Lake) -> None:
    filled.drop("other/note.md", paragraph(90))
    filled.run()
    actions.note_clicks([click(filled, "mussels", "thumb_up")])
    actions.give_feedback("entry", ["other/note.md:1"])
    actions.remove("notes", purge=True)
    assert filled.table(FEEDBACK).get_column("path").to_list() == ["note.md"]


# -- headings, decisions -----------------------------------------------------------------------------------------------


def test_headings_that_are_topics_and_stand_once_are_proposed(filled: Lake) -> None:
    assert texts(proposed("heading")) == {"Mussels on the north inlet", "Wave buoy adrift again"}
    assert reader.candidates() == reader.candidates()
    filled.drop("notes/third.md", "# Wave buoy adrift again\n\n" + paragraph(6))
    filled.run()
    assert texts(proposed("heading")) == {"Mussels on the north inlet"}


def test_accepted_candidates_are_asked_and_found(filled: Lake) -> None:
    asked = sentence(12 * 4)
    actions.note_clicks([click(filled, asked, "thumb_up")])
    decided = actions.accept_candidates(None)
    assert set(decided.questions) == {asked, "Mussels on the north inlet", "Wave buoy adrift again"}
    assert reader.candidates().candidates == ()
    (found,) = actions.evaluate().sets
    assert (found.name, found.version, found.gone) == ("accepted", 1, ())
    (recall,) = [
        one for one in found.metrics if (one.mode, one.question_type, one.metric) == ("words", "all", "recall@10")
    ]
    assert (recall.value, recall.questions) == (1.0, 3)
    assert actions.accept_candidates(None).questions == ()


def test_a_question_that_was_worded_anew_is_written_so_and_does_not_come_again(filled: Lake) -> None:
    first = proposed("heading")[0]
    actions.accept_candidates([first.candidate_id], {first.candidate_id: "why did it happen?"})
    file = filled.settings.golden / "accepted.yaml"
    text = file.read_text()
    assert "why did it happen?" in text
    assert first.question not in texts(reader.candidates().candidates)
    file.write_text(text.replace("questions:", "questions:  # mine"))
    second = proposed("heading")[0]
    actions.accept_candidates([second.candidate_id[:8]])
    assert "questions:  # mine" in file.read_text()
    assert "version: 2" in file.read_text()
    assert [path.name for path in filled.settings.golden.iterdir()] == ["accepted.yaml"]


def test_refused_candidates_never_come_again(filled: Lake) -> None:
    asked = sentence(12 * 4)
    actions.note_clicks([click(filled, asked, "thumb_up")])
    (candidate,) = proposed()
    with pytest.raises(CommandError, match="too little of an id"):
        actions.refuse_candidates([""])
    assert actions.refuse_candidates([candidate.candidate_id]).questions == (asked,)
    actions.note_clicks([click(filled, asked.upper(), "thumb_up", asked=asked), click(filled, asked, "opened", 2)])
    assert proposed() == []
    assert not (filled.settings.golden / "accepted.yaml").exists()
    assert filled.table(DECIDED_CANDIDATES).get_column("decision").to_list() == ["refused"]
    with pytest.raises(CommandError, match="no candidate any more"):
        actions.refuse_candidates([candidate.candidate_id])


def test_a_file_that_cannot_be_added_to_stays_and_nothing_is_decided(
    filled: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = filled.settings.golden / "accepted.yaml"
    file.parent.mkdir()
    file.write_text("questions: [{id: x, question: why, gold: [{path: a}]}]\n")
    with pytest.raises(GoldenError, match="`version` is missing"):
        actions.accept_candidates(None)
    file.write_text("version: 1\nquestions: [{id: x, question: why, gold: [{path: a}]}]\n")
    before = file.read_text()
    with pytest.raises(GoldenError, match="cannot be added to"):
        actions.accept_candidates(None)
    assert file.read_text() == before
    file.write_text("version: 1\nquestions:\n- {id: x, question: why, gold: [{path: a}]}\n")
    for most in (len(file.read_text()) - 1, len(file.read_text()) + 9):  # as it is, and with one more question
        with monkeypatch.context() as patched:
            patched.setattr(golden, "MOST_BYTES", most)
            with pytest.raises(GoldenError, match="split it into several golden sets"):
                actions.accept_candidates(None)
    (file.parent / "other.yaml").write_text(
        "set: accepted\nversion: 1\nquestions:\n- {id: x, question: why, gold: [{path: a}]}\n"
    )
    file.unlink()
    with pytest.raises(GoldenError, match="give it another name"):
        actions.accept_candidates(None)
    with filled.house() as house, shard_lease(house.leases, LEASE), pytest.raises(LeaseBusy):
        actions.accept_candidates(None)
    assert filled.table(DECIDED_CANDIDATES).is_empty()
    assert len(proposed("heading")) == 2


def test_windows_line_ends_of_a_person_stay(filled: Lake) -> None:
    file = filled.settings.golden / "accepted.yaml"
    file.parent.mkdir()
    mine = b"# mine\r\nversion: 4\r\nquestions:\r\n- {id: x, question: why, gold: [{path: a}]}\r\n"
    file.write_bytes(mine)
    actions.accept_candidates(None)
    assert file.read_bytes().startswith(mine.replace(b"4", b"5"))


def test_what_people_said_is_backed_up(filled: Lake) -> None:
    actions.note_clicks([click(filled, "mussels", "thumb_up")])
    actions.refuse_candidates([proposed("heading")[0].candidate_id])
    report = actions.backup(str(filled.root / "backup"))
    assert {"human/feedback", "human/decided_candidates"} <= {table.name for table in report.tables}


# -- two evaluations at once -------------------------------------------------------------------------------------------


def test_a_second_evaluation_ends_quietly_while_the_first_is_at_work(filled: Lake) -> None:
    actions.accept_candidates(None)
    job = build_defs(filled.settings).resolve_job_def("evaluate")
    with dg.instance_for_test() as instance, filled.house() as house, shard_lease(house.leases, evaluating.LEASE):
        result = job.execute_in_process(instance=instance)
        assert result.success
        (event,) = result.get_asset_materialization_events()
        metadata = event.materialization.metadata
        assert metadata["evaluated"].value == 0
        assert "accepted is left to another evaluation" in metadata["busy"].value[0]
    assert filled.table(EVALUATIONS).is_empty()


def test_an_evaluation_that_was_asked_for_tells_how_far_it_is_and_ends(filled: Lake) -> None:
    actions.accept_candidates(None)
    process = filled.start("from apps import actions; import time; actions.request_evaluation(); time.sleep(0.1)")
    assert process.wait(60) == 0
    end = time.monotonic() + 60
    while time.monotonic() < end and not any(o.shard == evaluating.LEASE and o.state == "ended" for o in reader.live()):
        time.sleep(0.2)
    (line,) = [line for line in reader.live() if line.shard == evaluating.LEASE]
    assert (line.stage, line.state, line.unit) == ("evaluate accepted", "ended", "searches")
    assert line.done == line.total > 0
    assert set(filled.table(EVALUATIONS).select(pl.col("set_name").unique()).to_series()) == {"accepted"}


def test_questions_whose_passages_are_gone_keep_no_other_from_being_proposed(
    filled: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cortex_assets.evaluation.collect.MOST_ASKED", 1)
    actions.give_feedback("a first question", ["notes/gauges.md:7"])
    actions.give_feedback("a second question", ["notes/plain.md"])
    filled.delete("notes/gauges.md")
    filled.run()
    assert texts(proposed()) == {"a second question"}
