"""Snippets: the best window, spans, nothing unsafe."""

from hypothesis import given
from hypothesis import strategies as st

from cortex_assets.retrieval.highlight import displayable, snippet
from cortex_assets.retrieval.sparse import query_terms


def asked(question: str) -> dict[int, float]:
    return dict.fromkeys(query_terms(question)[0].tolist(), 1.0)


def marked(text: str, question: str, width: int = 240) -> list[str]:
    shown = snippet(text, asked(question), width)
    return [piece for piece, is_match in shown.segments() if is_match]


def test_inflections_and_parts_of_identifiers_are_marked() -> None:
    assert marked("The team surrendered 308 points.", "points surrender") == ["surrendered", "points"]
    assert marked("call getUserName() now", "user") == ["User"]
    assert marked("call getUserName() now", "getUserName") == ["getUserName"]
    assert marked("use os.path.join here", "path") == ["path"]
    assert marked("東京都の天気は", "天気") == ["天気"]


def test_the_window_holds_the_most_different_terms() -> None:
    text = "alpha " * 50 + "\nbeta gamma delta\n" + "filler " * 50
    shown = snippet(text, asked("alpha beta gamma delta"), 60)
    assert {piece for piece, is_match in shown.segments() if is_match} >= {"beta", "gamma", "delta"}
    assert shown.end - shown.start <= 60


def test_words_that_weigh_next_to_nothing_are_marked_only_among_their_like() -> None:
    text = "The mussels in the well"
    light = asked("the in")
    for weights, wanted in ((light | dict.fromkeys(asked("mussels"), 9.0), ["mussels"]), (light, ["The", "in", "the"])):
        shown = snippet(text, weights)
        assert [piece for piece, is_match in shown.segments() if is_match] == wanted


def test_without_a_match_it_is_the_beginning() -> None:
    shown = snippet("one two three four five", asked("zebra"), 12)
    assert (shown.start, shown.spans) == (0, ())
    assert shown.text == "one two"


@given(st.text(max_size=200), st.text(alphabet="ab cé京1_.", max_size=12), st.integers(1, 80))
def test_any_text_gives_a_bounded_safe_snippet(text: str, question: str, width: int) -> None:
    shown = snippet(text, asked(question), width)
    assert 0 <= shown.start <= shown.end <= min(len(text), shown.start + width)
    assert displayable(shown.text)[0] == shown.text
    assert "".join(piece for piece, _ in shown.segments()) == shown.text
    ends = [0, *(place for span in shown.spans for place in span)]
    assert ends == sorted(ends)
    assert ends[-1] <= len(shown.text)
    shown.text.encode("utf-8")


def test_escape_sequences_never_reach_a_terminal_and_spans_move_along() -> None:
    text = "\x1b[31m red\x1b[0m \x1b]0;title\x07zebra\x00 \u202edrow\x9b2J <b>&"
    shown = snippet(text, asked("zebra red"))
    assert shown.text == " red zebra drow <b>&"
    assert [shown.text[start:end] for start, end in shown.spans] == ["red", "zebra"]


@given(st.text())
def test_what_is_displayed_has_no_control_character_but_tab_and_line_feed(text: str) -> None:
    shown = displayable(text)[0]
    assert not any(ord(c) < 32 and c not in "\t\n" for c in shown)
    assert "\x1b" not in shown
