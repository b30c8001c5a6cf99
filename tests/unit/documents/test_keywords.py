import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex_assets.documents.keywords import Keywords
from cortex_assets.documents.secret_rules import SECRETS

WORDS = ["ab", "aba", "b-c", "key", "keyed", "é=", "://"]
PARTS = st.sampled_from(
    [*WORDS, *(word.upper() for word in WORDS), "a", "b", "k", " ", "é", "漢", "\ud800", "\0", "\n", "K"]
)


def small(text: str) -> str:
    return "".join(char.lower() if char.isascii() else char for char in text)


@given(st.lists(PARTS, max_size=40).map("".join))
def test_every_place_of_every_keyword_is_found_once(text: str) -> None:
    wanted = [place for place in range(len(text)) if small(text)[place:].startswith(tuple(WORDS))]
    assert Keywords(WORDS).places(text) == wanted


def test_more_places_than_there_was_room_for() -> None:
    assert Keywords(["aa"]).places("a" * 10_000) == list(range(9_999))


def test_no_keywords_stand_nowhere() -> None:
    assert Keywords([]).places("anything") == []


def test_a_keyword_of_one_byte_is_refused() -> None:
    with pytest.raises(ValueError, match="two bytes"):
        Keywords(["a"])


def test_those_of_the_rules_are_small_ascii() -> None:
    words = {word for rule in SECRETS for word in rule.keywords}
    assert [word for word in words if not word.isascii() or word != word.lower()] == []
