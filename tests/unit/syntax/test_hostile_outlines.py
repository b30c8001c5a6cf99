"""Sources of a language told by its lines that would be searched to their end from each of their lines."""

import time

import pytest

from cortex_assets.syntax.symbols import symbols

COUNT = 50_000


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("perl", "sub a {\n" * COUNT),
        ("proto", "message A\n{\n" * COUNT),
        ("graphql", "type A {" * 10 + "{\n" * COUNT),
        ("cmake", "function(a)\n" * COUNT),
        ("erlang", "a(\n" * COUNT),
        ("makefile", "a" + " \t" * COUNT + "x"),
        ("makefile", "a:\n" + " \t\n" * COUNT + "x"),
        ("dockerfile", "FROM " + "--a " * COUNT),
        ("r", "a" + " " * COUNT + "x"),
    ],
)
def test_a_source_is_read_once(language: str, text: str) -> None:
    begin = time.perf_counter()
    symbols(text, language)
    assert time.perf_counter() - begin < 2


def test_a_block_that_does_not_close_ends_before_the_next_definition() -> None:
    text = "sub one {\n  1;\n\nsub two { 2 }\nsub three;\nsub four\n{\n  4;\n}\nrest\n"
    found = [(symbol.name, text[symbol.start_char : symbol.end_char]) for symbol in symbols(text, "perl")]
    assert found == [
        ("one", "sub one {\n  1;"),
        ("two", "sub two { 2 }"),
        ("three", "sub three;"),
        ("four", "sub four\n{\n  4;\n}"),
    ]
