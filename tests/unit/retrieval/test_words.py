"""Words, identifiers and their parts."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cortex_assets.retrieval.words import asked_ids, stored_ids, term_id, unit_ids, unit_pattern, unit_terms


@pytest.mark.parametrize(
    ("unit", "terms"),
    [
        ("Surrendered", ["surrender"]),
        ("getUserName", ["getusernam", "get", "user", "nam"]),
        ("max_retry_count", ["max_retry_count", "max", "retri", "count"]),
        ("__init__", ["__init__", "init"]),
        ("os.path.join", ["os.path.join", "os", "path", "join"]),
        ("std::vector", ["std::vector", "std", "vector"]),
        ("E0308", ["e0308", "0308"]),
        ("v1.2.3", ["v1.2.3", "1.2.3", "v1", "1", "2", "3"]),
        ("C++", ["c++", "c"]),
        ("src/main.rs", ["src/main.rs", "main.rs", "src", "main", "rs"]),
        ("café", ["café", "caf"]),
        ("ＡＢＣ", ["abc"]),
    ],
)
def test_terms_of_a_unit(unit: str, terms: list[str]) -> None:
    assert unit_terms(unit) == terms


def test_decomposed_and_composed_accents_are_one_word() -> None:
    assert set(stored_ids("caf\u0065\u0301")) == set(stored_ids("caf\u00e9"))


def test_unspaced_scripts_are_found_by_any_two_characters_and_by_one() -> None:
    stored = set(stored_ids("東京都の天気は良い"))
    for question in ("京都", "天気", "気", "東京都"):
        assert set(asked_ids(question)) <= stored
    assert not set(asked_ids("大阪")) & stored
    thai = set(stored_ids("สวัสดีครับ"))
    assert set(asked_ids("สวัสดี")) <= thai


def test_a_question_of_two_characters_asks_no_single_one() -> None:
    assert term_id("京") not in asked_ids("京都")
    assert term_id("京") in asked_ids("京")


@pytest.mark.parametrize(("one", "other"), [("points", "point"), ("surrenders", "surrendering"), ("cities", "city")])
def test_inflections_meet(one: str, other: str) -> None:
    assert unit_ids(one) == unit_ids(other)


def test_different_words_do_not_meet() -> None:
    for one, other in (("bus", "bu"), ("class", "clas"), ("this", "thi"), ("string", "str"), ("red", "r")):
        assert unit_ids(one) != unit_ids(other)


@given(st.text(alphabet=st.characters(min_codepoint=9, max_codepoint=126), max_size=60))
@example("a.b-c/d#e f++ g#h ::i::j ..k.. l@m.n --flag=x:y")
@example("0\x1f0")
def test_the_fast_cut_of_ascii_gives_the_terms_of_the_exact_cut(text: str) -> None:
    exact = [one for unit in unit_pattern(text).findall(text) for one in unit_ids(unit)]
    assert list(stored_ids(text)) == exact


@given(st.text(max_size=80))
def test_any_text_has_terms_and_never_fails(text: str) -> None:
    assert all(0 <= one < 2**32 for one in stored_ids(text))
    assert set(asked_ids(text)) <= set(stored_ids(text))


def test_ids_are_stable() -> None:
    assert term_id("cortex") == 2309808210
