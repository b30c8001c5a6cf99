"""Which models serve which lane: the environment comes before the file, the file before the defaults."""

from pathlib import Path

import pytest

from inference.errors import ConfigInvalid
from resources.inference import configured, embed_models, open_lanes, rerank_model
from resources.settings import Settings, load_settings


def settings(folder: Path, text: str | None = None, **variables: str) -> Settings:
    if text is not None:
        (folder / "inference.yaml").write_text(text, encoding="utf-8")
    return load_settings(environment={"CORTEX_DATA": str(folder), **variables})


def test_without_a_file_all_is_as_the_environment_says(tmp_path: Path) -> None:
    found = settings(tmp_path, CORTEX_EMBED="hash", CORTEX_RERANK="late")
    assert (embed_models(found), embed_models(found, "code"), rerank_model(found)) == (("hash",), ("hash",), "late")
    assert configured(found).engines == {}
    lanes = open_lanes(found)
    assert not lanes.has_generator
    lanes.close()
    assert list(tmp_path.iterdir()) == []


def test_the_file_says_what_the_environment_does_not(tmp_path: Path) -> None:
    text = "lanes: {embed: [hf:org/big, packaged], code_embed: hash, rerank: late}"
    found = settings(tmp_path, text)
    assert embed_models(found) == ("hf:org/big", "packaged")
    assert embed_models(found, "code_embed") == ("hash",)
    assert rerank_model(found) == "late"
    said = settings(tmp_path, CORTEX_EMBED="packaged", CORTEX_RERANK="none")
    assert (embed_models(said), rerank_model(said)) == (("packaged",), "none")


def test_lanes_of_retrieval_may_be_set_by_variables_alone(tmp_path: Path) -> None:
    found = settings(
        tmp_path,
        CORTEX_LANE_EMBED_MODEL="hash",
        CORTEX_LANE_CODE_EMBED_MODEL="packaged",
        CORTEX_LANE_RERANK_MODEL="late",
    )
    assert (embed_models(found), embed_models(found, "code_embed"), rerank_model(found)) == (
        ("hash",),
        ("packaged",),
        "late",
    )
    for name, value, problem in (
        ("RERANK_MODEL", "bert", "must be none, late"),
        ("EMBED_MODEL", "gpt", "is none of packaged"),
        ("EMBED_TIMEOUT", "3", "is not known; there are MODEL"),
    ):
        with pytest.raises(ConfigInvalid, match=f"CORTEX_LANE_{name}: .*{problem}"):
            embed_models(settings(tmp_path, **{f"CORTEX_LANE_{name}": value}))


def test_keys_are_never_shown(tmp_path: Path) -> None:
    found = settings(
        tmp_path, CORTEX_LANE_CODER_MODEL="m", CORTEX_LANE_CODER_URL="http://h/v1", CORTEX_LANE_CODER_API_KEY="sesame"
    )
    assert configured(found).lanes["coder"].engines[0].api_key == "sesame"
    assert "sesame" not in repr(found) + repr(configured(found))


def test_a_file_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid, match=r"inference\.yaml line 1: `lane` is not known"):
        embed_models(settings(tmp_path, "lane: {}"))
    (tmp_path / "inference.yaml").write_bytes(b"\xff\xfe lanes")
    with pytest.raises(ConfigInvalid, match="make it a UTF-8 file"):
        configured(settings(tmp_path))
    (tmp_path / "inference.yaml").write_bytes(b"#" * 2_000_000)
    with pytest.raises(ConfigInvalid, match="larger than"):
        configured(settings(tmp_path))
    with pytest.raises(ConfigInvalid, match="correct CORTEX_INFERENCE"):
        configured(settings(tmp_path, CORTEX_INFERENCE=str(tmp_path / "none.yaml")))
