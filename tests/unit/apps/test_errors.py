"""Errors: which are meant for people, and what is said of each."""

from apps.errors import CommandError, explain, is_expected
from resources.settings import SettingsError


def test_own_errors_speak_for_themselves():
    assert is_expected(SettingsError("CORTEX_WORKERS=x is not allowed"))
    assert explain(SettingsError("CORTEX_WORKERS=x is not allowed")).what == "CORTEX_WORKERS=x is not allowed"


def test_file_errors_name_the_file():
    explained = explain(FileNotFoundError(2, "No such file or directory", "lake/x"))
    assert (explained.what, explained.where) == ("No such file or directory", "lake/x")
    assert explained.remedy


def test_foreign_errors_are_unexpected():
    assert not is_expected(KeyError("x"))
    assert "--debug" in explain(KeyError("x")).remedy


def test_command_error_is_taken_as_it_is():
    explained = explain(CommandError("a", "b", "c"))
    assert explained.to_dict() == {"what": "a", "where": "b", "remedy": "c"}
