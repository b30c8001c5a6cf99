"""Subtitles: what is said with the time it is said at, in five formats and as they come broken."""

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cortex_assets.documents.model import ParsedDocument, ParseInput
from cortex_assets.documents.parsers.subtitles import clock, parse_subtitles
from cortex_assets.tables import Status


def only(raw: str | bytes) -> ParsedDocument:
    data = raw.encode() if isinstance(raw, str) else raw
    documents = list(parse_subtitles(ParseInput(io.BytesIO(data), len(data), "a.srt", "application/x-subrip")))
    assert len(documents) == 1
    assert (documents[0].reason is None) == (documents[0].status is Status.OK)
    return documents[0]


def places(document: ParsedDocument) -> list[tuple[str, str]]:
    return [(p.label, document.text[p.start : p.end]) for p in document.structure.places]


SRT = (
    "1\n00:00:01,000 --> 00:00:03,000\n<i>Hello</i> there\n{\\an8}General\n\n"
    "2\n00:00:04,000 --> 00:00:06,000\nKenobi &amp; co\n3\n00:00:07,000 --> 00:00:08,000\nno blank line before\n\n"
    "4\n00:01:30,500 --> 00:01:31,000\nLater, 42\n\n5\n01:00:00,000 --> 01:00:01,000\n42\n"
)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_srt(encoding: str, newline: str) -> None:
    document = only(SRT.replace("Later", "Spätér").replace("\n", newline).encode(encoding))
    assert places(document) == [
        ("00:00:01", "Hello there\nGeneral\nKenobi & co\nno blank line before"),
        ("00:01:30", "Spätér, 42"),
        ("01:00:00", "42"),
    ]
    assert (document.kind, document.doubt if encoding != "cp1252" else None) == ("subtitles", None)


def test_half_a_minute_makes_a_paragraph() -> None:
    cues = "".join(
        f"{n}\n00:{n // 60:02d}:{n % 60:02d},0 --> 00:{n // 60:02d}:{n % 60:02d},9\nline {n}\n\n" for n in range(90)
    )
    assert [label for label, _ in places(only(cues))] == ["00:00:00", "00:00:30", "00:01:00"]


def test_webvtt() -> None:
    document = only(
        "WEBVTT - Talk\n\nNOTE a\ncomment\n\nSTYLE\n::cue{}\n\nintro\n00:01.000 --> 00:02.000 align:start\n"
        "<v Bob>Hi <c.x>all</c>\n\n00:01:02.000 --> 00:01:03.000\nHi <00:01:02.500>all\n\n00:01:03.000 --> 00:01:04.000\nHi all\nmore\n"
    )
    assert document.title == "Talk"
    assert places(document) == [("00:00:01", "Bob: Hi all"), ("00:01:02", "Hi all\nmore")]


def test_substation_alpha() -> None:
    document = only(
        "[Script Info]\nTitle: Film\n\n[V4+ Styles]\nFormat: Name, Start\n\n[Events]\n"
        "Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\n"
        "Dialogue: 0,0:00:01.00,0:00:03.50,Default,Ann,0,0,0,,Hello\\N{\\i1}there, friend\n"
        "Dialogue: 0,0:00:04.00,0:00:05.00,Default,,0,0,0,,{\\p1}m 0 0 l 1 1\nComment: hidden\n"
        "Dialogue: 0,broken,0:00:05.00,Default,,0,0,0,,kept words\n"
    )
    assert document.text.replace("\n\n", "\n") == "Ann: Hello\nthere, friend\nkept words"
    assert document.title == "Film" and "in line 12:" in (document.reason or "")


def test_microdvd_and_subviewer() -> None:
    document = only("{1}{1}23.976\n{100}{200}{y:i}Hi|there\n{4000}{4100}Later\n")
    assert places(document) == [("00:00:04", "Hi\nthere"), ("00:02:46", "Later")]
    assert "frame rate" in (only("{100}{200}Hi\n").doubt or "")
    assert places(only("00:00:01.00,00:00:02.00\nOne[br]two\n\n00:00:03.00,00:00:04.00\nthree\n")) == [
        ("00:00:01", "One\ntwo\nthree")
    ]


def test_unreadable_times_lose_no_text() -> None:
    document = only(SRT + "\n6\n00:0x:07,000 --> bad\nlost time\n")
    assert "lost time" in document.text and "-->" not in document.text
    line = (SRT + "\n6\n00:0x").count("\n") + 1
    assert document.status is Status.PARTIAL
    assert f"no time can be read in line {line}:" in (document.reason or "")


def test_a_file_without_times_is_plain_text_and_says_so() -> None:
    document = only("only words\n")
    assert (document.status, document.text) == (Status.PARTIAL, "only words\n")
    assert "no times" in (document.reason or "")


def test_nothing_cut_off_and_binary() -> None:
    assert only("").status is Status.EMPTY
    assert only("1\n00:00:01,000 --> 00:00:02,000\n\n").status is Status.EMPTY
    assert "cut off" in (only(SRT + "\n6\n02:00:01,000 --> 02:00:02,000\n").doubt or "")
    assert only(bytes(range(256)) * 8).status is Status.UNSUPPORTED


def test_times_as_people_write_them() -> None:
    assert [clock(second) for second in (0, 90.9, 3600, 360_000)] == ["00:00:00", "00:01:30", "01:00:00", "100:00:00"]


@settings(deadline=None)
@given(
    st.lists(
        st.sampled_from(
            ["1", "", "00:00:01,000 --> 00:00:02,000", "words", "-->", "WEBVTT", "NOTE x", "{1}{2}x", "Dialogue: 1"]
        ),
        max_size=15,
    )
)
def test_any_order_of_lines_gives_a_row_that_says_why(lines: list[str]) -> None:
    document = only("\n".join(lines))
    assert document.text.strip() or document.status is not Status.OK
    other_formats = {"WEBVTT", "{1}{2}x", "Dialogue: 1"}
    if "words" in lines and other_formats.isdisjoint(lines):
        assert "words" in document.text
