"""The engines of one space agree; the hash embedder is deterministic; memory that runs out halves the batch."""

from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest

from inference.engines import bert_compiled
from inference.engines.bert_files import Weights, bert_shape, open_weights
from inference.engines.bert_numpy import BertNumpy
from inference.engines.bert_torch import BertTorch
from inference.engines.hash_embedder import HashEmbedder
from inference.engines.precision import has_native_bf16, is_worth_bf16
from inference.errors import ModelUnsupported, OutOfMemory
from inference.lanes import EngineConfig, ResidentEmbedders, load_embedder, load_tokenizer
from inference.models import ModelFiles, ModelPlaces, packaged_model, space_of_model
from inference.protocols import Floats, Ints, begin

TEXTS = [
    "How do I cancel a subscription and get my money back?",
    "",
    "Grüße aus 中国, and [SEP] too.",
    "def signed(self, key: bytes) -> Signer: return Signer(key)",
    "A short text.",
    "word " * 300,
]


@pytest.fixture(scope="module")
def numpy_engine(places: ModelPlaces) -> BertNumpy:
    engine = load_embedder(EngineConfig(), places, bulk=False)
    assert isinstance(engine, BertNumpy)
    return engine


@lru_cache(maxsize=4)
def torch_engine(places: ModelPlaces, precision: str, *, fuse: bool = True) -> BertTorch:
    files = packaged_model()
    return BertTorch(
        space_of_model(files),
        bert_shape(files),
        open_weights(files),
        load_tokenizer(EngineConfig(), places),
        precision=precision,
        fuse=fuse,
    )


def cosines(one: Floats, other: Floats) -> Floats:
    return np.sum(one * other, axis=1)


@pytest.mark.parametrize("fuse", [True, False])
@pytest.mark.parametrize(("precision", "least"), [("fp32", 0.999999), ("bf16", 0.999)])
def test_torch_agrees_with_numpy(
    places: ModelPlaces, numpy_engine: BertNumpy, precision: str, least: float, fuse: bool
) -> None:
    engine = torch_engine(places, precision, fuse=fuse)
    vectors = engine.embed_batch(TEXTS)
    assert vectors.shape == (len(TEXTS), 384)
    assert vectors.dtype == np.float32
    assert cosines(vectors, numpy_engine.embed_batch(TEXTS)).min() >= least
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3)


@pytest.mark.parametrize("level", range(bert_compiled.level() + 1))
def test_compiled_layers_are_those_of_numpy(places: ModelPlaces, numpy_engine: BertNumpy, level: int) -> None:
    files = packaged_model()
    parts = (space_of_model(files), bert_shape(files), open_weights(files), numpy_engine.tokenizer)
    texts = [*TEXTS, *(" ".join(["token"] * length) for length in range(1, 64, 3))]
    vectors = BertNumpy(*parts, level=level).embed_batch(texts)
    assert cosines(vectors, torch_engine(places, "fp32").embed_batch(texts)).min() >= 0.999999


def test_begun_early_it_is_the_same_vector(places: ModelPlaces, numpy_engine: BertNumpy) -> None:
    hashed = load_embedder(EngineConfig(model="hash"), places, bulk=True)
    for engine in (numpy_engine, hashed):
        begun = [begin(engine, text) for text in TEXTS]
        assert np.array_equal([finish() for finish in begun], engine.embed_batch(TEXTS))


def test_batching_does_not_matter(places: ModelPlaces, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = torch_engine(places, "fp32", fuse=False)
    whole = engine.embed_batch(TEXTS)
    monkeypatch.setattr(engine, "_budget", 1)
    assert cosines(whole, engine.embed_batch(TEXTS)).min() >= 0.999999


def test_meaning_and_known_values(numpy_engine: BertNumpy) -> None:
    vectors = numpy_engine.embed_batch(["A man is eating food.", "A man eats something.", "The stock market fell."])
    assert vectors[0] @ vectors[1] > 0.7 > 0.2 > vectors[0] @ vectors[2]


def test_only_the_embedder_truncates(numpy_engine: BertNumpy) -> None:
    longer, cut = "word " * 600, "word " * 254
    assert numpy_engine.tokenizer.count_batch([longer]) == [600]
    vectors = numpy_engine.embed_batch([longer, cut])
    assert np.array_equal(vectors[0], vectors[1])


def test_progress_counts_tokens(places: ModelPlaces, numpy_engine: BertNumpy) -> None:
    for engine in (numpy_engine, torch_engine(places, "fp32")):
        seen: list[int] = []
        engine.embed_batch(["one two", "three"], seen.append)
        assert sum(seen) == 3


def test_no_texts(places: ModelPlaces, numpy_engine: BertNumpy) -> None:
    hashed = load_embedder(EngineConfig(model="hash"), places, bulk=True)
    for engine in (numpy_engine, torch_engine(places, "fp32"), hashed):
        assert engine.embed_batch([]).shape == (0, 384)


def test_out_of_memory_halves_the_batch(places: ModelPlaces, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = torch_engine(places, "fp32", fuse=False)
    wanted = engine.embed_batch(TEXTS)
    encode, tried = engine._encode, []

    def small_memory(ids: Ints, lengths: Ints) -> Floats:
        tried.append(len(ids))
        if len(ids) > 1:
            raise RuntimeError(
                "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"
            )
        return encode(ids, lengths)

    monkeypatch.setattr(engine, "_budget", 4096)
    monkeypatch.setattr(engine, "_encode", small_memory)
    assert cosines(engine.embed_batch(TEXTS), wanted).min() >= 0.999999
    assert tried[0] == len(TEXTS)
    assert tried.count(1) == len(TEXTS)


@pytest.mark.parametrize("failure", [MemoryError(), RuntimeError("can't allocate memory")])
def test_one_text_that_does_not_fit_is_a_clear_error(
    places: ModelPlaces, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    engine = torch_engine(places, "fp32", fuse=False)

    def no_memory(*_: object) -> Floats:
        raise failure

    monkeypatch.setattr(engine, "_encode", no_memory)
    with pytest.raises(OutOfMemory, match=r"tokens does not fit.*device: cpu") as caught:
        engine.embed_batch(["a b"])
    assert caught.value.is_transient


def test_another_runtime_error_is_not_taken_for_memory(places: ModelPlaces, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = torch_engine(places, "fp32", fuse=False)

    def broken(*_: object) -> Floats:
        raise RuntimeError("shapes differ")

    monkeypatch.setattr(engine, "_encode", broken)
    with pytest.raises(RuntimeError, match="shapes differ"):
        engine.embed_batch(["a", "b"])


def test_cpu_flags(tmp_path: Path) -> None:
    flags = tmp_path / "cpuinfo"
    flags.write_text("processor : 0\nflags\t\t: fpu avx2 amx_bf16 amx_tile\n")
    assert has_native_bf16(flags)
    flags.write_text("processor : 0\nflags\t\t: fpu avx2 avx512f\n")
    assert not has_native_bf16(flags)
    assert not has_native_bf16(tmp_path / "absent")


def test_bf16_must_agree_to_be_chosen() -> None:
    import time

    def slow(ids: list[Ints]) -> Floats:
        time.sleep(0.02)
        return np.eye(len(ids), dtype=np.float32)

    assert is_worth_bf16(slow, lambda ids: np.eye(len(ids), dtype=np.float32), 100)
    assert not is_worth_bf16(slow, lambda ids: np.eye(len(ids), dtype=np.float32)[::-1], 100)
    assert not is_worth_bf16(lambda ids: np.eye(len(ids), dtype=np.float32), slow, 100)


def test_weights_refuse_other_files(tmp_path: Path) -> None:
    for content in (b"", b"GGUF", (10**15).to_bytes(8, "little") + b"{}", (4).to_bytes(8, "little") + b"nope"):
        (tmp_path / "m.safetensors").write_bytes(content)
        with pytest.raises(ModelUnsupported, match="safetensors"):
            Weights(tmp_path / "m.safetensors")


@pytest.mark.parametrize("stored", ["float16", "bfloat16", "float64"])
def test_weights_of_other_types_become_float32(tmp_path: Path, stored: str) -> None:
    import torch
    from safetensors.torch import save_file

    values = torch.arange(6, dtype=torch.float32).reshape(2, 3) / 4
    save_file({"bert.a.weight": values.to(getattr(torch, stored))}, tmp_path / "m.safetensors")
    weights = Weights(tmp_path / "m.safetensors")
    assert list(weights) == ["a.weight"]
    assert np.array_equal(weights["a.weight"], values.numpy())
    with pytest.raises(ModelUnsupported, match="no float tensor"):
        weights["b.weight"]


def test_other_architectures_are_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "mpnet", "hidden_size": 8}')
    with pytest.raises(ModelUnsupported, match="mpnet"):
        bert_shape(ModelFiles("org/m", tmp_path, ()))


def test_hash_embedder(places: ModelPlaces) -> None:
    engine = HashEmbedder(load_tokenizer(EngineConfig(), places))
    texts = ["the cat sat on the mat", "The cat sat on a mat!", "quarterly revenue grew by twelve percent", "", "…"]
    vectors = engine.embed_batch(texts)
    assert np.array_equal(vectors, HashEmbedder(engine.tokenizer).embed_batch(texts))
    assert np.array_equal(vectors[:1], engine.embed_batch(texts[:1]))
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1)
    assert vectors[0] @ vectors[1] > 0.7 > 0.3 > abs(vectors[0] @ vectors[2])
    assert engine.space.space_id.startswith("hash-")


def test_resident_engine_is_loaded_once(places: ModelPlaces) -> None:
    resident = ResidentEmbedders(places)
    query = resident.get(EngineConfig(), bulk=False)
    assert resident.get(EngineConfig(), bulk=False) is query
    assert query.precision == "fp32"


@pytest.mark.slow
def test_sentence_transformers_engine_makes_the_same_vectors(places: ModelPlaces, numpy_engine: BertNumpy) -> None:
    pytest.importorskip("sentence_transformers", reason="the extra `models` is not installed")
    from inference.engines.sentence_transformers_engine import SentenceTransformersEngine

    engine = SentenceTransformersEngine(
        numpy_engine.space, packaged_model(), load_tokenizer(EngineConfig(), places), device="cpu"
    )
    seen: list[int] = []
    vectors = engine.embed_batch(TEXTS, seen.append)
    assert cosines(vectors, numpy_engine.embed_batch(TEXTS)).min() >= 0.999999
    assert seen == [sum(engine.tokenizer.count_batch(TEXTS))]
