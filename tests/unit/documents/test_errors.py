"""Errors in words: no class name of Python, no half of a message."""

import pytest

from cortex_assets.documents.errors import in_words, told_in_words


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ValueError("bad\n page 3."), "bad page 3"),
        (EOFError(), "it ends too early"),
        (RecursionError(), "it is nested too deeply"),
        (ValueError("x" * 500), "its content is not as its format wants it"),
        (OSError(), "its content is not as its format wants it"),
        (KeyError("word/document.xml"), "'word/document.xml' is not in it"),
        (ValueError("Couldn't deserialize thrift: invalid (field 7 of a very long list of fields)"), None),
    ],
)
def test_words_of_an_error(error: Exception, words: str | None) -> None:
    told = in_words(error, 60)
    assert told == (words or "Couldn't deserialize thrift: invalid…")
    assert type(error).__name__ not in told


@pytest.mark.parametrize("told", ["ValueError: bad", "py7zr.exceptions.Bad7zFile: bad", "struct.error: bad"])
def test_what_a_child_tells_loses_its_class(told: str) -> None:
    assert told_in_words(told) == "bad"
