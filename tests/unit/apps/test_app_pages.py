"""What pages are made of: text of files is never markup, numbers and times are said as people say them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from apps.app_pages import marking, wording
from apps.app_pages.marking import Column
from apps.search_reports import AnswerReport
from apps.views import Lineage, LineageNode, SourceLine
from tests.unit.apps.examples import HIT

EVIL = '<script>alert("1")</script>'
ESCAPED = "&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;"


def test_no_text_of_a_file_becomes_markup():
    hit = replace(
        HIT, title=EVIL, path=EVIL, corpus=EVIL, snippet=EVIL, symbol=EVIL, inner="/" + EVIL, also_in=(EVIL,),
        highlights=((0, 8),), citation=EVIL, place=None,
    )  # fmt: skip
    lineage = Lineage(EVIL, True, (LineageNode(EVIL, 1, 1, ""), LineageNode("index", 1, 0, "running")), ())
    drawn = [
        marking.hit_card(hit),
        marking.table([Column(EVIL, "badge"), Column("x", "code")], [(EVIL, (EVIL, EVIL))], EVIL),
        marking.tiles([(EVIL, EVIL, EVIL, EVIL)]),
        marking.source_lines([SourceLine(1, EVIL, ((0, 3, True), (3, 9, False)))], True, True),
        marking.lineage_picture(lineage),
        marking.evidence((hit, replace(hit, kind="code"))),
        marking.answer_head(AnswerReport(EVIL, 0.5, EVIL, (hit,))),
    ]
    for html in drawn:
        assert "<script" not in html
        assert "&quot;1&quot;" in html
        assert 'title="<' not in html
    assert ESCAPED in drawn[1]


def test_an_answer_says_how_sure_it_is_and_cites_each_sentence():
    quote = replace(HIT, snippet="the north\ngauge reads low", highlights=((4, 15),))
    head = marking.answer_head(AnswerReport("weak", 0.314, "words", (quote,)))
    assert "weak support" in head
    assert "31 % sure" in head
    html = marking.evidence((quote, replace(quote, rank=2, kind="code")))
    assert 'the <mark class="cx-mark">north gauge</mark> reads low <sup>[1]</sup>' in html
    assert 'the <mark class="cx-mark">north\ngauge</mark> reads low <sup>[2]</sup>' in html
    assert html.count("notes/gauges/north.md:13-18") == 2
    assert "% sure" not in marking.answer_head(AnswerReport("none", 0.01, "words"))


def test_marks_lie_where_they_are_said_to():
    assert marking.marked("a<b>c", ((1, 4),)) == 'a<mark class="cx-mark">&lt;b&gt;</mark>c'
    assert marking.marked("abc", ((0, 2), (1, 3))) == '<mark class="cx-mark">ab</mark><mark class="cx-mark">c</mark>'
    assert marking.marked("abc", ()) == "abc"


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({}, "notes/gauges/north.md:13-18"),
        ({"end_line": 13}, "notes/gauges/north.md:13"),
        ({"start_page": 2, "end_page": 2}, "notes/gauges/north.md page 2"),
        ({"start_page": 2, "end_page": 4}, "notes/gauges/north.md page 2-4"),
        ({"place": "slide 3"}, "notes/gauges/north.md slide 3"),
        ({"place": "§ Install"}, "notes/gauges/north.md:13-18"),
        ({"inner": "/in.txt", "end_line": 13}, "notes/gauges/north.md!/in.txt:13"),
    ],
)
def test_a_place_is_said_as_people_say_it(change, place):
    assert marking.place_of(replace(HIT, **change)) == place


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.04, "0.0 s"),
        (3.21, "3.2 s"),
        (42, "42 s"),
        (100, "2 min"),
        (3600, "60 min"),
        (7200, "2 h"),
        (86_400 * 3, "3 d"),
    ],
)
def test_a_span_is_said_in_one_unit(seconds, said):
    assert wording.lasting(seconds) == said


def test_moments_are_said_from_now():
    now = datetime(2026, 1, 2, 12, tzinfo=UTC)
    assert wording.ago(None) == "never"
    assert wording.ago(now - timedelta(seconds=2), now) == "just now"
    assert wording.ago(now - timedelta(minutes=5), now) == "5 min ago"
    assert wording.at(now) == "2026-01-02 12:00:00 UTC"


@pytest.mark.parametrize(
    ("number", "said"), [(0, "0"), (9_999, "9,999"), (12_345, "12.3k"), (4_100_000, "4.1M"), (2 * 10**9, "2.0G")]
)
def test_large_numbers_are_brief(number, said):
    assert wording.brief(number) == said


def test_words_hold_no_markup_for_markdown():
    assert wording.plain("*a* [b](c) :red[d] $e$\n# f") == r"\*a\* \[b\]\(c\) \:red\[d\] \$e\$ \# f"
    assert wording.plural(1, "file") == "1 file"
    assert wording.plural(1200, "file") == "1,200 files"
    assert wording.size(1_500) == "1.5 kB"
    assert wording.tone("failed") == "bad"
    assert wording.tone("something else") == "calm"
