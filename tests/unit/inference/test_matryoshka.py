"""Fewer dimensions of a model that is trained to be cut: a tiny BERT that says so, in each of the ways models do."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inference.engines.bert_numpy import BertNumpy
from inference.engines.bert_torch import BertTorch
from inference.engines.sentence_transformers_engine import SentenceTransformersEngine
from inference.errors import ConfigInvalid, ModelUnsupported
from inference.lanes import EngineConfig, engine_of_space, load_embedder, parse_engine, parse_lanes, space_of
from inference.matryoshka import KNOWN, cut_dimensions, cut_space, declared_dimensions
from inference.models import MANIFEST, ModelFiles, ModelPlaces, file_digest, model_folder, packaged_model, write_json

HIDDEN, INNER, HEADS, LAYERS = 32, 64, 4, 2
TEXTS = ["How do I cancel a subscription?", "", "def sign(key): return key", "word " * 60]
CONFIG = {
    "model_type": "bert",
    "architectures": ["BertModel"],
    "hidden_act": "gelu",
    "hidden_size": HIDDEN,
    "intermediate_size": INNER,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "max_position_embeddings": 64,
    "type_vocab_size": 2,
    "vocab_size": 30_522,
    "layer_norm_eps": 1e-12,
}


def tensors() -> dict[str, np.ndarray]:
    """Seeded weights of a BERT of ``HIDDEN`` dimensions by their names."""
    rng = np.random.default_rng(11)

    def normal(*shape: int) -> np.ndarray:
        return (rng.standard_normal(shape) * 0.2).astype(np.float32)

    found = {
        "embeddings.word_embeddings.weight": normal(CONFIG["vocab_size"], HIDDEN),
        "embeddings.position_embeddings.weight": normal(CONFIG["max_position_embeddings"], HIDDEN),
        "embeddings.token_type_embeddings.weight": normal(2, HIDDEN),
    }
    linear = {f"attention.self.{name}": (HIDDEN, HIDDEN) for name in ("query", "key", "value")}
    linear |= {"attention.output.dense": (HIDDEN, HIDDEN), "intermediate.dense": (INNER, HIDDEN)}
    linear |= {"output.dense": (HIDDEN, INNER)}
    norms = ["embeddings.LayerNorm"]
    for layer in range(LAYERS):
        for name, shape in linear.items():
            found[f"encoder.layer.{layer}.{name}.weight"] = normal(*shape)
            found[f"encoder.layer.{layer}.{name}.bias"] = normal(shape[0])
        norms += [f"encoder.layer.{layer}.{name}.LayerNorm" for name in ("attention.output", "output")]
    for name in norms:
        found[f"{name}.weight"] = 1 + normal(HIDDEN)
        found[f"{name}.bias"] = normal(HIDDEN)
    return found


def write_safetensors(path: Path, named: dict[str, np.ndarray]) -> None:
    """As https://huggingface.co/docs/safetensors says."""
    header, start = {}, 0
    for name, tensor in named.items():
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [start, start + tensor.nbytes]}
        start += tensor.nbytes
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + b"".join(one.tobytes() for one in named.values()))


def pulled(places: ModelPlaces, name: str = "org/doll", card: str = "", **declared: Any) -> ModelFiles:
    """A tiny model as ``cortex models pull`` leaves it; ``declared`` goes into its ``config.json``."""
    folder = model_folder(name, places.models_dir)
    folder.mkdir(parents=True)
    write_safetensors(folder / "model.safetensors", tensors())
    (folder / "tokenizer.json").write_bytes((packaged_model().folder / "tokenizer.json").read_bytes())
    (folder / "config.json").write_text(json.dumps(CONFIG | declared))
    if card:
        (folder / "README.md").write_text(card)
    digests = {path.name: file_digest(path) for path in sorted(folder.iterdir())}
    write_json(folder / MANIFEST, {"repo_id": name, "revision": "c" * 40, "files": digests})
    return ModelFiles(name, folder, tuple(digests.items()), "c" * 40)


@pytest.fixture
def here(tmp_path: Path) -> ModelPlaces:
    return ModelPlaces(tmp_path / "models", tmp_path / "cache")


def test_a_cut_vector_is_the_beginning_of_the_whole_one_made_length_one(here: ModelPlaces) -> None:
    pulled(here, matryoshka_dimensions=[8, 16])
    whole = load_embedder(parse_engine("hf:org/doll", "test"), here, bulk=False).embed_batch(TEXTS)
    assert whole.shape == (len(TEXTS), HIDDEN)
    wanted = whole[:, :8] / np.linalg.norm(whole[:, :8], axis=1, keepdims=True)
    config = parse_engine({"model": "hf:org/doll", "dimensions": 8, "precision": "fp32"}, "test")
    for bulk, kind in ((False, BertNumpy), (True, BertTorch)):
        engine = load_embedder(config, here, bulk=bulk)
        assert isinstance(engine, kind)
        found = engine.embed_batch(TEXTS)
        assert found.shape == (len(TEXTS), engine.space.dimensions) == (len(TEXTS), 8)
        assert np.allclose(found, wanted, atol=1e-5)


def test_sentence_transformers_cuts_the_same_way(here: ModelPlaces) -> None:
    files = pulled(here, matryoshka_dimensions=[8])
    query = load_embedder(parse_engine("hf:org/doll@8", "test"), here, bulk=False)
    engine = SentenceTransformersEngine(query.space, files, query.tokenizer, device="cpu")
    assert np.allclose(engine.embed_batch(TEXTS[:1]), query.embed_batch(TEXTS[:1]), atol=1e-4)


def test_each_cut_is_a_space_of_its_own_and_all_dimensions_are_the_plain_one(here: ModelPlaces) -> None:
    files = pulled(here, matryoshka_dimensions=[8, 16])
    spaces = [cut_space(files, asked) for asked in (None, HIDDEN, 16, 8)]
    assert spaces[0] == spaces[1]
    assert len({space.space_id for space in spaces}) == 3
    assert [space.dimensions for space in spaces] == [HIDDEN, HIDDEN, 16, 8]


def test_text_and_mapping_say_the_same_and_a_corpus_finds_its_engine_again(here: ModelPlaces) -> None:
    pulled(here, matryoshka_dimensions=[16])
    by_text = parse_engine("hf:org/doll@16", "test")
    assert by_text == parse_engine({"model": "hf:org/doll", "dimensions": 16}, "test")
    assert by_text.model == "hf:org/doll@16", "a corpus keeps the name alone"
    assert space_of(parse_engine(by_text.model, "corpus"), here) == space_of(by_text, here)
    assert space_of(EngineConfig("hf:org/doll", dimensions=16), here) == space_of(by_text, here)
    lanes = parse_lanes({"embed": ["hf:org/doll", "hf:org/doll@16"]})
    assert engine_of_space(space_of(by_text, here).space_id, lanes, here) == by_text


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("hf:org/doll@", "number of dimensions"),
        ("hf:org/doll@main", "number of dimensions"),
        ("hf:org/doll@0", "number of dimensions"),
        ({"model": "hf:org/doll@16", "dimensions": 8}, "contradict"),
        ({"model": "hash", "dimensions": 8}, "leave `dimensions` out"),
    ],
)
def test_dimensions_that_cannot_be_meant(value: object, message: str) -> None:
    with pytest.raises(ConfigInvalid, match=message):
        parse_engine(value, "lane embed")


def test_a_model_that_does_not_say_so_is_not_cut(here: ModelPlaces) -> None:
    pulled(here)
    with pytest.raises(ModelUnsupported, match=r"org/doll does not say .* 16 dimensions.*remedy: leave @16 out"):
        space_of(parse_engine("hf:org/doll@16", "test"), here)
    with pytest.raises(ModelUnsupported, match=r"all-MiniLM-L6-v2 does not say"):
        space_of(EngineConfig(dimensions=128), here)


def test_other_dimensions_than_declared_are_refused(here: ModelPlaces) -> None:
    files = pulled(here, matryoshka_dimensions=[8, 16, HIDDEN, 64, "many"])
    assert declared_dimensions(files, HIDDEN) == {8, 16}
    with pytest.raises(ModelUnsupported, match=r"may be cut to 16, 8 dimensions, not to 12"):
        cut_space(files, 12)
    with pytest.raises(ModelUnsupported, match=r"vectors of 32 dimensions, 64 are asked"):
        cut_space(files, 64)


@pytest.mark.parametrize(
    ("declared", "card", "found"),
    [
        ({"is_matryoshka": True}, "", set(range(1, HIDDEN))),
        ({"is_matryoshka": True, "matryoshka_dimensions": [4]}, "", {4}),
        ({"truncate_dim": 16}, "", {16}),
        (
            {},
            '```json\n{\n "matryoshka_dims": [\n  32,\n  16,\n  8\n ],\n "matryoshka_weights": [1, 1, 1]\n}\n```',
            {16, 8},
        ),
        ({}, "cut it as you like", set()),
    ],
)
def test_where_models_say_it(here: ModelPlaces, declared: dict[str, Any], card: str, found: set[int]) -> None:
    assert declared_dimensions(pulled(here, card=card, **declared), HIDDEN) == found


def test_models_that_say_it_in_words_are_listed(tmp_path: Path) -> None:
    files = ModelFiles("mixedbread-ai/mxbai-embed-large-v1", tmp_path, ())
    assert cut_dimensions(files, 512, 1024) == 512
    assert all(name.count("/") == 1 and dimensions for name, dimensions in KNOWN.items())
