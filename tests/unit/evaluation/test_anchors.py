"""A passage's first and last words find that passage and nothing else, or there are none."""

from hypothesis import example, given
from hypothesis import strategies as st

from cortex_assets.evaluation.anchors import anchors
from cortex_assets.evaluation.resolve import find_span

WORDS = st.lists(st.sampled_from(["a", "b", "ab", "tide", "gauge", "the", "…", "日本", "x.y", "(*"]), max_size=60)
SPACES = st.sampled_from([" ", "\n", "  ", "\n\n\t"])


@given(WORDS, WORDS, WORDS, SPACES)
@example(["a"], ["a", "b"], [], " ")
@example([], ["a"] * 50, ["a"] * 50, "\n")
def test_anchors_find_the_passage_again_or_are_none(
    before: list[str], inside: list[str], after: list[str], space: str
) -> None:
    head, body, tail = (space.join(part) for part in (before, inside, after))
    text = space.join(filter(None, (head, body, tail)))
    start = len(head) + len(space) if head and body else len(head)
    found = anchors(text, start, start + len(body))
    if not inside:
        assert found is None
    elif found is not None:
        assert find_span(text, *found) == (start, start + len(body))


def test_short_passages_are_quoted_whole_and_long_ones_by_their_ends() -> None:
    words = [f"word{number}" for number in range(100)]
    text = " ".join(words)
    assert anchors(text, 0, len("word0 word1 word2")) == ("word0 word1 word2", "")
    assert anchors(text, 0, len(text)) == (" ".join(words[:6]), " ".join(words[-5:]))
    assert anchors(f"\n  {text}  \n", 0, len(text) + 6) == (" ".join(words[:6]), " ".join(words[-5:]))


def test_a_beginning_that_stands_elsewhere_is_made_longer_until_it_does_not() -> None:
    same = " ".join(f"same{number}" for number in range(8))
    text = f"{same} first passage ends here. {same} second passage ends there."
    start = text.index(same, 1)
    found = anchors(text, start, len(text))
    assert found is not None
    assert find_span(text, *found) == (start, len(text))
    assert len(found[0].split()) == 10


def test_a_passage_that_stands_twice_has_no_anchors() -> None:
    text = "high water at noon. high water at noon."
    assert anchors(text, 0, 19) is None
    assert anchors(text, 20, 39) is None
