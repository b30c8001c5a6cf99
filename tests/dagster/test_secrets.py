"""A password in the address of a repository is refused by every door, and shown by none."""

import json
from dataclasses import replace

import pytest

from apps import actions, reader
from apps.errors import CommandError, explain
from cortex_assets.corpora.sources import Source
from tests.dagster.lake import Lake


def test_add_refuses_a_password(lake: Lake) -> None:
    with pytest.raises(CommandError) as raised:
        actions.preview_add("https://ada:s3cret@example.invalid/x.git")
    assert "s3cret" not in json.dumps(explain(raised.value).to_dict())
    with pytest.raises(CommandError, match="https://, ssh://"):
        actions.preview_add("http://example.invalid/x.git")


def test_status_shows_none_that_is_registered_already(lake: Lake) -> None:
    with lake.house() as house:
        corpus = house.register(Source("x", "git", "https://example.invalid/x.git"), "added")
        secret = replace(corpus.source, uri="https://ada:s3cret@example.invalid/x.git")
        house.save(replace(corpus, source=secret))
    assert [line.uri for line in reader.status().corpora if line.name == "x"] == ["https://example.invalid/x.git"]
    assert not any("s3cret" in error for error in lake.run("x").errors)
