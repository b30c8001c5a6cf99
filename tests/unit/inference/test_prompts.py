"""Prompts in files: what is filled in, what is refused, and that the content is the version."""

from pathlib import Path

import pytest

from cortex_assets.engine.fingerprint import Producer
from inference.errors import ConfigInvalid, RequestInvalid
from inference.prompts import load_prompt

TEXT = "You extract ${what}.\n---\nFrom this text, for $$5:\n\n$text\n"


def written(folder: Path, text: str) -> Path:
    file = folder / "extract.md"
    file.write_text(text, encoding="utf-8")
    return file


def test_a_prompt_is_filled_in_and_names_its_version(tmp_path: Path) -> None:
    prompt = load_prompt(written(tmp_path, TEXT))
    assert prompt.fields == {"what", "text"}
    request = prompt.request({"what": "names", "text": "it costs $what"}, max_tokens=9)
    assert request.system == "You extract names."
    assert request.messages[0].content == "From this text, for $5:\n\nit costs $what"
    assert (request.prompt, request.max_tokens) == (f"extract@{prompt.version}", 9)
    assert load_prompt(written(tmp_path, TEXT + " ")).version != prompt.version


def test_without_a_rule_all_is_the_users(tmp_path: Path) -> None:
    prompt = load_prompt(written(tmp_path, "Say $word"))
    assert (prompt.system, prompt.user) == ("", "Say $word")


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    prompt = load_prompt(written(tmp_path, TEXT))
    with pytest.raises(RequestInvalid, match="prompt extract: lacks what and has no size"):
        prompt.request({"text": "x", "size": "y"})
    for text, problem in (
        ("costs 5 $", "stands for itself"),
        ("system\n---\n \n", "says nothing"),
        ("", "says nothing"),
    ):
        with pytest.raises(ConfigInvalid, match=problem):
            load_prompt(written(tmp_path, text))
    with pytest.raises(ConfigInvalid, match="cannot be read"):
        load_prompt(tmp_path / "none.md")


def test_a_change_of_a_prompt_is_another_producer_version(tmp_path: Path) -> None:
    prompt = load_prompt(written(tmp_path, TEXT))
    before = Producer((load_prompt,), assets=(prompt.file,)).version()
    assert Producer((load_prompt,), assets=(prompt.file,)).version() == before
    written(tmp_path, TEXT.replace("extract", "find"))
    assert Producer((load_prompt,), assets=(prompt.file,)).version() != before
