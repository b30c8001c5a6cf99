"""The page of quality and what feeds it: sets, a regression and its questions, candidates, thumbs that cannot be written."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from apps import actions, reader
from resources.lakehouse import Lakehouse
from tests.app.conftest import words

QUESTIONS = {
    "why did the north gauge read too low?": ("notes/north-gauge-reads-low.md", "Mussels. Young mussels had settled"),
    "what was the highest still water level of 2025?": (
        "reports/annual-tide-report-2025.pdf",
        "The highest still water level of 2025",
    ),
    "what <b>happened</b> to the *wave* buoy?": ("notes/wave-buoy-adrift.md", ""),
}


@pytest.fixture
def measured(sample_data: Path, tmp_path: Path, over: Callable[[Path], Path]) -> Path:
    """A copy of the sample's lake with a golden set."""
    data = tmp_path / "data"
    shutil.copytree(sample_data, data)
    lines: list[dict[str, Any]] = [{"set": "station", "version": 3, "corpora": ["sample"]}]
    for number, (question, (path, begins)) in enumerate(QUESTIONS.items()):
        gold = {"path": path} | ({"from": begins} if begins else {})
        lines.append(
            {"id": f"q{number}", "question": question, "type": "question" if number else "other", "gold": [gold]}
        )
    (data / "golden").mkdir()
    (data / "golden" / "station.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return over(data)


def worsen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the search lose what it finds, and its version another."""
    from cortex_assets import asking, measuring
    from cortex_assets.retrieval.search import SearchResult

    monkeypatch.setattr(asking, "find", lambda *_: SearchResult((), {"total": 0.001}, ()))
    monkeypatch.setattr(measuring, "retrieval_version", lambda house: "worse")


def button(app: Any, label: str) -> Any:
    return next(one for one in app.button if one.label == label)


def test_a_set_that_was_never_evaluated_waits_for_the_button(measured, page, monkeypatch):
    app = page("quality")
    assert "station was not evaluated yet." in words(app)
    asked = []
    monkeypatch.setattr(actions, "request_evaluation", lambda: asked.append(True))
    button(app, "Evaluate now").click().run()
    assert asked == [True]
    assert "The golden questions are being asked" in words(app)


def test_an_evaluated_set_shows_its_numbers_side_by_side(measured, page):
    actions.evaluate()
    app = page("quality")
    said = words(app)
    assert "This is the baseline" in said
    assert "version 3 · 3 questions asked" in said
    for told in ("Found in ten", "words alone", "meaning alone", "Slow time", "95 % interval over 3 questions"):
        assert told in said
    assert "all together" in said
    assert "Compare with this from now on" not in [one.label for one in app.button]
    assert "One evaluation so far" in said


def test_a_regression_says_what_fell_and_shows_its_questions_until_it_is_accepted(measured, page, monkeypatch):
    actions.evaluate()
    with monkeypatch.context() as patched:
        worsen(patched)
        actions.evaluate()
    app = page("quality")
    assert "Quality was lost: the search changed, and over 3 questions fell" in app.error[0].value
    assert app.get("vega_lite_chart")
    assert "Dashed: something of ours changed. 2: the search" in words(app)
    labels = [one.label for one in app.expander]
    assert labels[0].startswith("▼ 1 → – · ")
    assert any(label.endswith(" → – · what \\<b\\>happened\\</b\\> to the \\*wave\\* buoy?") for label in labels)
    found = reader.asked_now("station", "q0")
    assert [gold.place for gold in found.golds] == ["notes/north-gauge-reads-low.md"]
    assert found.response.hits[0].path == "notes/north-gauge-reads-low.md"
    button(app, "Compare with this from now on").click().run()
    assert not app.exception
    assert "Accepted: later evaluations are compared with this one." in words(app)
    assert "This is the baseline" in words(app)


def test_gold_that_is_gone_and_files_that_cannot_be_used_are_told(measured, page):
    file = measured / "golden" / "station.jsonl"
    gone = {"id": "gone", "question": "<i>where?</i>", "gold": [{"path": "nowhere.md"}]}
    file.write_text(file.read_text() + "\n" + json.dumps(gone))
    actions.evaluate()
    (measured / "golden" / "broken.yaml").write_text("questions: [")
    said = words(page("quality"))
    assert "A golden set cannot be used" in said
    assert "broken.yaml" in said
    assert "Gold that is not there" in said
    assert "&lt;i&gt;where?&lt;/i&gt;" in said
    assert "nowhere.md: no such document" in said


def test_candidates_are_worded_accepted_and_refused(measured, page):
    hit = reader.search("when is the harbour closed").hits[0]
    actions.give_feedback("when is the harbour closed", [f"sample/{hit.path}"])
    app = page("quality")
    app.session_state["quality-tab"] = "Candidates"
    app.run()
    first, second = reader.candidates().candidates[:2]
    assert first.question == "when is the harbour closed"
    app.text_input(key=f"question-{first.candidate_id}").set_value("when may no boat enter?")
    next(one for one in app.button if one.label == "Accept").click().run()
    assert not app.exception
    assert "when may no boat enter?" in (measured / "golden" / "accepted.yaml").read_text()
    next(one for one in app.button if one.label == "Refuse").click().run()
    left = {one.candidate_id for one in reader.candidates().candidates}
    assert not left & {first.candidate_id, second.candidate_id}


def test_a_thumb_that_cannot_be_written_is_told_kept_and_written_with_the_next(measured, page, monkeypatch):
    app = page("search")
    app.text_input(key="q").set_value("north gauge").run()
    hits = len([one for one in app.button if one.label == "Open at its place"])
    with monkeypatch.context() as patched:

        def full(*_: object, **__: object) -> None:
            raise OSError(28, "No space left on device")

        patched.setattr(Lakehouse, "append", full)
        app.feedback[0].set_value(1).run()
        said = words(app)
        assert "Your click is not noted yet" in said
        assert "No space left on device" in said
        assert [one.label for one in app.button].count("Open at its place") == hits, "the answer stands"
    app.feedback[1].set_value(0).run()
    assert "not noted yet" not in words(app)
    rows = reader.sql("select how from human.feedback order by clicked_at").rows
    assert rows == (("thumb_up",), ("thumb_down",))
    app.feedback[0].set_value(None).run()
    assert len(reader.sql("select how from human.feedback where how = 'withdrawn'").rows) == 1
