"""Texts cut into sentences, items, rows, headings and code."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex_assets.retrieval.sentences import CODE_LINES, LONGEST, Kind, Layout, pieces

TEXTS = st.text(
    st.sampled_from("aZ é中。！？.!?…,;:\"')]-*#|`~=\t\n\r\x0b\u2028 1०।") | st.characters(exclude_categories=["Cs"]),
    max_size=300,
)
LONG = st.builds(
    lambda word, count: word * count, st.sampled_from(["x", "word ", "字", "a. ", "\n\n", " | "]), st.integers(0, 400)
)


def cut(text: str, layout: Layout = Layout.PROSE) -> list[str]:
    return [text[piece.start : piece.end] for piece in pieces(text, layout)]


@given(TEXTS | LONG | st.builds("".join, st.lists(TEXTS | LONG, max_size=3)), st.sampled_from(Layout))
def test_pieces_are_disjoint_in_order_trimmed_bounded_and_leave_out_only_white_space(text: str, layout: Layout) -> None:
    done = 0
    for piece in pieces(text, layout):
        assert not text[done : piece.start].strip()
        assert done <= piece.start < piece.end
        assert piece.end - piece.start <= LONGEST
        quoted = text[piece.start : piece.end]
        assert quoted == quoted.strip()
        done = piece.end
    assert not text[done:].strip()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Dr. J. Smith paid 3.5 kg. Then he left! Why? No.", ["Dr. J. Smith paid 3.5 kg.", "Then he left!", "Why?", "No."]),
        ("See Fig. 3, No. 5 and e.g. this. Done.", ["See Fig. 3, No. 5 and e.g. this.", "Done."]),
        ("It left the U.S. Army in 1999. \"So it did.\" He wept.", ["It left the U.S. Army in 1999.", '"So it did."', "He wept."]),
        ("Version 1.2. Next one... and on. End", ["Version 1.2.", "Next one... and on.", "End"]),
        ("これは文です。次の文！「はい。」と言った。", ["これは文です。", "次の文！", "「はい。」", "と言った。"]),
        ("यह वाक्य है। दूसरा वाक्य।", ["यह वाक्य है।", "दूसरा वाक्य।"]),
        ("هل هذا سؤال؟ نعم.", ["هل هذا سؤال؟", "نعم."]),
        ("A line that is\nwrapped. Another\none.", ["A line that is\nwrapped.", "Another\none."]),
    ],
)  # fmt: skip
def test_sentences_end_where_people_end_them(text: str, expected: list[str]) -> None:
    assert cut(text) == expected


def test_markdown_is_cut_at_its_marks() -> None:
    text = (
        "---\ntitle: A\n---\n\n# Head\n\nOne. Two.\n- item one\n  goes on\n2. item two\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n"
        "Title\n-----\n\n```python\nx = 1\n\ny = 2\n```\nLast."
    )
    assert [(piece.kind, text[piece.start : piece.end]) for piece in pieces(text)] == [
        (Kind.HEADING, "---\ntitle: A\n---"),
        (Kind.HEADING, "# Head"),
        (Kind.PROSE, "One."),
        (Kind.PROSE, "Two."),
        (Kind.ITEM, "- item one\n  goes on"),
        (Kind.ITEM, "2. item two"),
        (Kind.ITEM, "| a | b |"),
        (Kind.ITEM, "|---|---|"),
        (Kind.ITEM, "| 1 | 2 |"),
        (Kind.HEADING, "Title\n-----"),
        (Kind.CODE, "```python\nx = 1"),
        (Kind.CODE, "y = 2\n```"),
        (Kind.PROSE, "Last."),
    ]


def test_headings_and_rows_of_a_page_without_marks_stand_apart() -> None:
    text = (
        "Extremes\nPage 2\nThe highest level of the year was 4.87 m above datum, at\nthe harbour.\n12 May 4.87 0.78\n"
        "Thanks\nTo the crew of the ferry."
    )
    assert [(piece.kind, text[piece.start : piece.end]) for piece in pieces(text)] == [
        (Kind.HEADING, "Extremes"),
        (Kind.HEADING, "Page 2"),
        (Kind.PROSE, "The highest level of the year was 4.87 m above datum, at\nthe harbour."),
        (Kind.ITEM, "12 May 4.87 0.78"),
        (Kind.HEADING, "Thanks"),
        (Kind.PROSE, "To the crew of the ferry."),
    ]


def test_code_is_cut_into_blocks_and_rows_into_lines() -> None:
    code = "def a():\n    return 1. + 2\n\n" + "\n".join(f"x{n} = {n}" for n in range(CODE_LINES + 1))
    blocks = cut(code, Layout.CODE)
    assert blocks[0] == "def a():\n    return 1. + 2"
    assert [block.count("\n") for block in blocks[1:]] == [CODE_LINES - 1, 0]
    assert cut("a,b\n1,2\n\n3,4\n", Layout.ROWS) == ["a,b", "1,2", "3,4"]
