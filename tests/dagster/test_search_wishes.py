"""What a search may be asked for besides hits, on a real lake: reasons, sections, times, spelling, a reranker that is dead."""

from datetime import UTC, date, datetime

import pytest

from apps import reader
from apps.cli import main
from apps.errors import CommandError
from apps.search_reports import SearchFilters, Wishes
from cortex_assets.house import House
from resources.settings import load_settings
from tests.dagster.lake import Lake

GAUGE = (
    "# Gauge\n\nThe north gauge reads low.\n\n## Repair\n\nTurn the valve left.\n\n"
    "Then wait for the harbour tide.\n\n# Other\n\nNothing.\n"
)


@pytest.fixture
def asked(lake: Lake) -> Lake:
    lake.drop("notes/gauge.md", GAUGE)
    lake.drop("notes/tide.md", "# Tides\n\nThe harbour tide is high at noon, and the harbour is closed.\n")
    lake.drop("notes/tool.py", "def turn_valve(side):\n    '''Turn it.'''\n    return side\n")
    lake.run()
    return lake


def test_reasons_add_up_and_name_the_words(asked: Lake) -> None:
    hit = reader.search("valve of the gauge", wishes=Wishes(reasons=True)).hits[0]
    assert hit.reasons is not None
    assert hit.reasons.by_meaning + hit.reasons.by_words == pytest.approx(hit.score, abs=2e-4)
    assert {word.word: word.fields for word in hit.reasons.words}["valve"]
    assert hit.reasons.told()[0].startswith("keywords: meaning ")
    assert reader.search("valve").hits[0].reasons is None


def test_a_language_is_a_word_of_code(asked: Lake) -> None:
    hit = reader.search("python valve", wishes=Wishes(reasons=True)).hits[0]
    assert hit.path == "tool.py"
    words = {word.word: word.fields for word in hit.reasons.words} if hit.reasons else {}
    assert words["python"] == ("language",)
    assert [one.path for one in reader.search("valve", filters=SearchFilters(languages=("py",))).hits] == ["tool.py"]


def test_a_hit_shows_the_section_it_stands_in(asked: Lake) -> None:
    hit = next(one for one in reader.search("valve", wishes=Wishes(around=True)).hits if one.path == "gauge.md")
    assert hit.around is not None
    assert hit.around.text == GAUGE[hit.around.start_char : hit.around.end_char]
    lines = GAUGE.split("\n")[hit.around.start_line - 1 : hit.around.end_line]
    assert "\n".join(lines).startswith(hit.around.text.rstrip("\n"))
    assert "valve" in hit.around.text


def test_an_earlier_state_ranks_as_it_did(asked: Lake) -> None:
    questions = ("harbour tide", "turn_valve", "how do I turn the valve", "latest tide")
    now = {question: reader.search(question).hits for question in questions}
    then = datetime.now(UTC)
    for question in questions:
        found = reader.search(question, as_of=then).hits
        assert [(one.chunk_id, one.score) for one in found] == [(one.chunk_id, one.score) for one in now[question]]


def test_a_misspelt_word_is_told(asked: Lake) -> None:
    asked.drop("notes/more.md", "The harbour again.\n")
    asked.run()
    response = reader.search("harbuor")
    assert "harbuor occurs nowhere: harbour was looked for as well" in response.notes
    assert {hit.path for hit in response.hits[:2]} <= {"tide.md", "more.md", "gauge.md"}


def test_a_dead_reranker_marks_the_result_and_fails_nothing(asked: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = [hit.chunk_id for hit in reader.search("harbour tide").hits]
    monkeypatch.setenv("CORTEX_RERANK", "rerank:model@http://127.0.0.1:9/v1")
    response = reader.search("harbour tide", wishes=Wishes(reasons=True))
    assert [hit.chunk_id for hit in response.hits] == plain
    assert "the reranker model is not available, the order is without it" in " ".join(response.notes)
    with House.open(load_settings()) as house:
        assert house.workshop.reranker is not None


def test_an_impossible_span_of_time_is_refused(asked: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(CommandError, match="nothing can have changed"):
        reader.search("x", filters=SearchFilters(after=date(2026, 2, 1), before=date(2026, 2, 1)))
    assert main(["search", "valve", "--explain", "--around", "--diverse", "-k", "2"]) == 0
    shown = capsys.readouterr().out
    assert "meaning counts" in shown
    assert "lines 1-" in shown
