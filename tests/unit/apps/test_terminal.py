"""Drawing: text from files stays harmless, places and numbers read right, meters say how long it still takes."""

import dataclasses
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from apps.reports import CorpusStatus, FailureGroup, ModelLine, StatusReport, TableLine
from apps.search_reports import AnswerReport, SearchResponse
from apps.terminal import answers, hits, tables
from apps.terminal.console import harmless, safe
from apps.terminal.meters import LineMeter
from apps.terminal.units import duration, moment, size
from tests.unit.apps.examples import HIT

ATTACK = "\x1b]0;owned\x07 \x1b[2J \x9b31m [bold]loud[/bold] \u202egnp.exe"


def drawn(what, terminal=True):
    stream = io.StringIO()
    Console(file=stream, force_terminal=terminal, width=100, color_system="standard" if terminal else None).print(what)
    return stream.getvalue()


def test_the_name_of_a_column_is_harmless_too():
    """A question in SQL gives its columns any name."""
    for name in (ATTACK, "[/bold]"):
        text = drawn(tables.grid((name, "b"), [(1, 2)]), terminal=False)
        assert not set(text) & {"\x1b", "\x9b", "\u202e", "\x07"}
        assert "bold]" in text


@given(st.text())
def test_harmless_keeps_length_and_has_no_controls(text):
    shown = harmless(text)
    assert len(shown) == len(text)
    assert not any((ord(c) < 32 and c not in "\n\t") or 0x7F <= ord(c) < 0xA0 for c in shown)


def test_harmless_leaves_ordinary_text_alone():
    text = "Norðurhöfn 🌊\tπ\nשלום"
    assert harmless(text) == text


@pytest.mark.parametrize("field", ["snippet", "title", "path", "corpus", "symbol"])
def test_no_escape_sequence_of_a_file_reaches_the_terminal(field):
    hit = dataclasses.replace(HIT, highlights=((0, 3),), **{field: ATTACK})
    text = drawn(hits.response(SearchResponse("q", (hit,))), terminal=False)
    assert "\x1b" not in text and "\x07" not in text and "\x9b" not in text and "\u202e" not in text
    assert "[bold]loud[/bold]" in "".join(text.split("\n")).replace("    ", "")


@pytest.mark.parametrize("field", ["snippet", "title", "path", "corpus", "inner"])
def test_no_escape_sequence_of_an_answer_reaches_the_terminal(field):
    quote = dataclasses.replace(HIT, highlights=((0, 3),), **{field: ATTACK})
    answer = AnswerReport("supported", 0.9, "words", (quote, dataclasses.replace(quote, rank=2, document_id="e")))
    text = drawn(answers.response(SearchResponse("q", (HIT,), answer=answer)), terminal=False)
    assert not set(text) & {"\x1b", "\x9b", "\u202e", "\x07"}
    assert "[bold]loud[/bold]" in "".join(text.split("\n"))


def test_documents_stand_side_by_side_where_there_is_room():
    other = dataclasses.replace(
        HIT, rank=2, document_id="e", title="Harbour gauge", snippet="the harbour gauge reads well"
    )
    report = SearchResponse("q", (), answer=AnswerReport("supported", 0.9, "words", (HIT, other)))
    wide = drawn(answers.response(report), terminal=True).split("\n")
    assert any("North gauge" in line and "Harbour gauge" in line for line in wide[:4])
    plain = drawn(answers.response(report), terminal=False).split("\n")
    assert not any("North gauge" in line and "Harbour gauge" in line for line in plain[:4])


def test_names_in_tables_are_harmless_too():
    status = CorpusStatus(ATTACK, "folder", ATTACK, True, {"ok": 1}, 1, 1, 1, 1)
    failure = FailureGroup(ATTACK, "failed", ATTACK, 1, (ATTACK,))
    text = drawn(tables.status_report(StatusReport(ATTACK, (status,), (failure,))), terminal=False)
    assert "\x1b" not in text and "\x9b" not in text


def test_highlights_fall_on_their_words():
    text = hits.snippet(HIT)
    spans = [text.plain[span.start : span.end] for span in text.spans if "yellow" in str(span.style)]
    assert spans == ["north gauge"]


def test_other_places_of_the_same_text_are_named():
    assert "also in" not in drawn(hits.draw_hit(HIT), terminal=False)
    places = tuple(f"other/{name}.md:1" for name in "abcde")
    text = drawn(hits.draw_hit(dataclasses.replace(HIT, also_in=places)), terminal=False)
    assert "also in other/a.md:1, other/b.md:1, other/c.md:1 and 2 more" in text


def test_long_snippets_end_after_six_lines():
    hit = dataclasses.replace(HIT, snippet="\n".join(f"line {n}" for n in range(9)), highlights=())
    assert hits.snippet(hit).plain.endswith("line 5 …")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "notes/gauges/north.md:13-18"),
        ({"end_line": 13}, "notes/gauges/north.md:13"),
        ({"start_page": 2, "end_page": 2}, "notes/gauges/north.md page 2"),
        ({"start_page": 2, "end_page": 4}, "notes/gauges/north.md pages 2-4"),
    ],
)
def test_place(changes, expected):
    assert hits.place(dataclasses.replace(HIT, **changes)) == expected


@pytest.mark.parametrize(("citation", "mark"), [("exact", "✓ exact"), ("fuzzy", "≈ fuzzy"), ("odd", "? unverified")])
def test_citation_marks(citation, mark):
    assert mark in drawn(hits.draw_hit(dataclasses.replace(HIT, citation=citation)), terminal=False)


def test_status_counts_what_is_not_ok_and_shows_paused():
    status = CorpusStatus("notes", "folder", "/n", False, {"ok": 1200, "failed": 3, "ignored": 5}, 1200, 9, 9, 9)
    text = drawn(tables.status_report(StatusReport("lake", (status,))), terminal=False)
    row = next(line for line in text.splitlines() if line.startswith("notes"))
    assert row.split()[:4] == ["notes", "folder", "1,208", "3"]
    assert row.split()[-1] == "paused" and "never" in row


def test_empty_lake_says_what_to_do():
    assert "cortex add" in drawn(tables.status_report(StatusReport("lake", ())), terminal=False)


def test_models_and_tables_draw():
    assert "not here" in drawn(tables.models([ModelLine("m", "embed", "hub", False, 0)]), terminal=False)
    assert "12,000" in drawn(tables.lake_tables([TableLine("silver/chunks", "sharded", 12_000, 4)]), terminal=False)


def test_line_meter_says_what_is_left():
    now, lines = [0.0], []
    meter = LineMeter(lines.append, lambda: now[0])
    for second, done in ((0, 0), (1, 10), (6, 60), (10, 100)):
        now[0] = second
        meter("notes", "documents", done, 100, "files")
    assert lines == ["notes documents: 60 of 100 files, about 4.0 s left", "notes documents: 100 of 100 files"]


def test_line_meter_says_nothing_of_nothing():
    lines = []
    LineMeter(lines.append, lambda: 0.0)("notes", "documents", 0, 0, "files")
    assert lines == []


def test_units():
    assert size(-2_500_000) == "-2.5 MB"
    assert [size(n) for n in (0, 999, 1500, 2_500_000, 7 * 10**15)] == ["0 B", "999 B", "1.5 kB", "2.5 MB", "7000.0 TB"]
    assert [duration(s) for s in (0.04, 42, 600, 9000)] == ["0.0 s", "42 s", "10 min", "2.5 h"]
    assert moment(None) == "never"


def test_safe_is_not_markup():
    assert safe("[red]x[/red]").plain == "[red]x[/red]"
