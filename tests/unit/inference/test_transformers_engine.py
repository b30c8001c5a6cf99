"""The transformers engine on a tiny random model; where the point is the failure, a child that plays a script."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from inference.engines import transformers_engine
from inference.engines.child_engine import GRACE
from inference.engines.child_pieces import Spelling, Stops
from inference.engines.child_prompts import Refused, prompt_of
from inference.engines.transformers_engine import TransformersEngine, TransformersSettings
from inference.errors import (
    Cancelled,
    ContextExceeded,
    DigestMismatch,
    EngineCrashed,
    EngineReplyInvalid,
    EngineTimeout,
    EngineUnavailable,
    ModelMissing,
    ModelUnsupported,
    OutOfMemory,
    RequestInvalid,
)
from inference.generation.building import Unusable, build_engine
from inference.generation.spec import EngineSpec
from inference.models import ModelFiles, ModelPlaces
from inference.protocols import Generator
from inference.requests import Cancellation, GenerateRequest, Limits, Message, Reply, ask, limits
from tests.unit.inference.tiny_causal import CONTEXT, closed, pulled, tiny

ROOT = Path(__file__).resolve().parents[3]
real = pytest.mark.skipif(
    find_spec("transformers") is None, reason="transformers is not installed: pip install 'cortex-lakehouse[models]'"
)


@pytest.fixture(scope="module")
def doll(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("doll")
    tiny(folder)
    return folder


@pytest.fixture(scope="module")
def engine(places: ModelPlaces, doll: Path) -> Iterator[TransformersEngine]:
    files = pulled(places, "org/doll", doll)
    one = TransformersEngine("local", files, places.cache_dir, settings=TransformersSettings(device="cpu", threads=1))
    yield one
    one.close()


# --- the real library


@real
def test_an_answer(engine: TransformersEngine) -> None:
    generator: Generator = engine
    assert (generator.model, generator.context) == ("org/doll", CONTEXT)
    assert len(generator.digest) == 64
    reply = engine.generate(ask("the cat", system="sat", max_tokens=12), limits(60))
    assert reply.text and reply.finish == "length"
    assert reply.usage is not None and not reply.usage.is_estimated
    assert reply.usage.completion_tokens == 12
    assert reply.first_token is not None and reply.first_token > 0
    assert not reply.has_reasoning


@real
def test_usage_is_what_the_tokenizer_counts(engine: TransformersEngine, doll: Path) -> None:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(doll / "tokenizer.json"))
    request = GenerateRequest(
        messages=(Message("user", "the cat"), Message("assistant", "sat"), Message("user", "äöü 漢字?")),
        system="on the mat",
        max_tokens=40,
    )
    text = "<|system|>on the mat</s><|user|>the cat</s><|assistant|>sat</s><|user|>äöü 漢字?</s><|assistant|>"
    usage = engine.generate(request, limits(60)).usage
    assert usage is not None
    assert usage.prompt_tokens == len(tokenizer.encode(text, add_special_tokens=False).ids)
    assert (usage.completion_tokens, usage.cached_tokens) == (40, 0)


@real
def test_temperature_0_and_seeds_give_the_same_text_twice(engine: TransformersEngine) -> None:
    def written(**settings: Any) -> str:
        return engine.generate(ask("how many roads", max_tokens=40, **settings), limits(60)).text

    assert written() == written() == written(seed=3)
    drawn = written(temperature=1.0, seed=7)
    assert drawn == written(temperature=1.0, seed=7)
    assert len({drawn, written(temperature=1.0, seed=8), written(temperature=1.0, seed=-8)}) == 3
    assert written(temperature=1.5) != written(temperature=1.5), "without a seed it is drawn anew"
    narrow = written(temperature=1.0, seed=7, top_p=0.01)
    assert narrow == written(temperature=1.0, seed=8, top_p=0.01) != drawn, "only the likeliest is left"


@real
def test_pieces_join_to_the_reply(engine: TransformersEngine) -> None:
    *pieces, reply = engine.stream(ask("the cat", max_tokens=60, temperature=1.0, seed=4), limits(60))
    assert isinstance(reply, Reply)
    assert len(pieces) > 5
    assert "".join(map(str, pieces)) == reply.text


@real
def test_stop_is_not_part_of_the_answer(engine: TransformersEngine) -> None:
    whole = engine.generate(ask("the cat", max_tokens=40, temperature=1.0, seed=9), limits(60))
    stop = whole.text[15:18]
    at = whole.text.index(stop)
    *pieces, reply = engine.stream(
        ask("the cat", max_tokens=40, temperature=1.0, seed=9, stop=("never there", stop)), limits(60)
    )
    assert isinstance(reply, Reply)
    assert (reply.text, reply.finish) == (whole.text[:at], "stop")
    assert "".join(map(str, pieces)) == reply.text
    assert reply.usage is not None and whole.usage is not None
    assert 0 < reply.usage.completion_tokens < whole.usage.completion_tokens


@real
def test_a_token_that_the_models_files_name_ends_the_answer(places: ModelPlaces, doll: Path, tmp_path: Path) -> None:
    from tokenizers import Tokenizer

    files = pulled(places, "org/ended", doll)
    tokenizer = Tokenizer.from_file(str(doll / "tokenizer.json"))
    settings = TransformersSettings(device="cpu", threads=1)
    plain = TransformersEngine("plain", files, places.cache_dir, settings=settings)
    request = ask("def sign", max_tokens=30, temperature=1.0, seed=2)
    text = plain.generate(request, limits(60)).text
    plain.close()
    last = tokenizer.encode(text, add_special_tokens=False).ids[-1]
    path = files.folder / "generation_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"eos_token_id": [1, last], "temperature": 9.0}))
    ended = TransformersEngine("ended", closed("org/ended", files.folder), places.cache_dir, settings=settings)
    reply = ended.generate(request, limits(60))
    ended.close()
    assert reply.finish == "stop"
    assert text.startswith(reply.text)
    assert reply.usage is not None and 0 < reply.usage.completion_tokens <= 30


@real
def test_longer_than_the_context(engine: TransformersEngine) -> None:
    with pytest.raises(ContextExceeded, match=rf"request has \d{{5}} tokens, the context {CONTEXT}; remedy"):
        engine.generate(ask("漢字 " * 5000), limits(60))


@real
def test_an_answer_ends_with_the_context(places: ModelPlaces, doll: Path) -> None:
    files = pulled(places, "org/short", doll)
    one = TransformersEngine(
        "short", files, places.cache_dir, settings=TransformersSettings(context=70, device="cpu", threads=1)
    )
    assert one.context == 70
    reply = one.generate(ask("the cat", max_tokens=900), limits(60))
    one.close()
    assert reply.finish == "length"
    assert reply.usage is not None and reply.usage.prompt_tokens + reply.usage.completion_tokens == 70


@real
def test_what_is_no_text_is_refused(engine: TransformersEngine) -> None:
    for request in (ask("half of a pair: \ud800"), ask("x", stop=("\udfff",)), ask("x", system="\ud800")):
        with pytest.raises(RequestInvalid, match="UTF-8"):
            engine.generate(request, limits(60))


@real
def test_a_schema_is_left_to_the_lane(engine: TransformersEngine) -> None:
    assert engine.generate(ask("the cat", max_tokens=5), limits(60), {"type": "object"}).text


@real
def test_cancelling_in_the_middle_keeps_the_child(engine: TransformersEngine) -> None:
    cancellation = Cancellation()
    stream = engine.stream(ask("the cat", max_tokens=3900), Limits(time.monotonic() + 60, cancellation))
    next(stream)
    pid, begun = engine.pid, time.monotonic()
    cancellation.cancel()
    with pytest.raises(Cancelled):
        list(stream)
    assert time.monotonic() - begun < GRACE
    assert engine.generate(ask("the cat", max_tokens=3), limits(60)).text
    assert engine.pid == pid


@real
def test_a_deadline_in_the_middle(engine: TransformersEngine) -> None:
    engine.generate(ask("the cat", max_tokens=3), limits(60))
    begun = time.monotonic()
    with pytest.raises(EngineTimeout, match="remedy"):
        engine.generate(ask("the cat", max_tokens=3900), limits(0.4))
    assert time.monotonic() - begun < 0.4 + GRACE
    assert engine.generate(ask("the cat", max_tokens=3), limits(60)).text


@real
def test_leaving_a_stream_ends_the_call(engine: TransformersEngine) -> None:
    stream = engine.stream(ask("the cat", max_tokens=3900), limits(60))
    next(stream)
    stream.close()
    begun = time.monotonic()
    assert engine.generate(ask("the cat", max_tokens=3), limits(60)).text
    assert time.monotonic() - begun < 3.0


@real
def test_a_killed_child_is_a_failed_attempt(engine: TransformersEngine) -> None:
    stream = engine.stream(ask("the cat", max_tokens=3900), limits(60))
    next(stream)
    pid = engine.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(EngineCrashed, match="died by SIGKILL"):
        list(stream)
    assert engine.generate(ask("the cat", max_tokens=3), limits(60)).text
    assert engine.pid not in (None, pid)


@real
def test_a_dead_parent_leaves_no_child(engine: TransformersEngine, places: ModelPlaces) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from inference.engines.transformers_engine import TransformersEngine\n"
        "from inference.models import pulled_model\n"
        "from inference.requests import ask, limits\n"
        f"files = pulled_model('org/doll', Path({str(places.models_dir)!r}))\n"
        f"engine = TransformersEngine('local', files, Path({str(places.cache_dir)!r}))\n"
        "for piece in engine.stream(ask('the cat', max_tokens=3900), limits(60)):\n"
        "    assert 'torch' not in sys.modules and 'transformers' not in sys.modules\n"
        "    print(engine.pid, flush=True)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, cwd=ROOT) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        parent.kill()
        parent.stdout.read()
    for _ in range(500):
        state = Path(f"/proc/{child}/stat")
        if not state.exists() or state.read_text().rpartition(")")[2].split()[0] == "Z":
            return
        time.sleep(0.01)
    raise AssertionError(f"process {child} lives on")


@real
def test_a_model_without_a_template_goes_on_from_the_contents(places: ModelPlaces, tmp_path: Path) -> None:
    from tokenizers import Tokenizer

    tiny(tmp_path / "plain", None)
    files = pulled(places, "org/plain", tmp_path / "plain")
    one = TransformersEngine("plain", files, places.cache_dir, settings=TransformersSettings(device="cpu", threads=1))
    usage = one.generate(ask("the cat", system="sat on", max_tokens=3), limits(60)).usage
    one.close()
    tokenizer = Tokenizer.from_file(str(files.folder / "tokenizer.json"))
    assert usage is not None and usage.prompt_tokens == len(tokenizer.encode("sat on\n\nthe cat").ids)


@real
def test_weights_that_are_not_there(places: ModelPlaces, doll: Path) -> None:
    from safetensors.torch import load_file, save_file

    files = pulled(places, "org/lacking", doll)
    path = files.folder / "model.safetensors"
    weights = load_file(path)
    weights.pop("model.layers.1.mlp.up_proj.weight")
    save_file(weights, path, metadata={"format": "pt"})
    one = TransformersEngine("l", closed("org/lacking", files.folder), places.cache_dir)
    with pytest.raises(ModelUnsupported, match=r"lack weights: model\.layers\.1\.mlp\.up_proj"):
        one.generate(ask("x"), limits(60))
    path.write_bytes(path.read_bytes()[:5000])
    one = TransformersEngine("l", closed("org/lacking", files.folder), places.cache_dir)
    with pytest.raises(ModelUnsupported, match="transformers cannot load it; remedy"):
        one.generate(ask("x"), limits(60))
    assert one.pid is None


@real
def test_code_of_a_repository_is_not_executed(places: ModelPlaces, doll: Path, tmp_path: Path) -> None:
    files = pulled(places, "org/programs", doll)
    config = json.loads((files.folder / "config.json").read_text())
    mine = {"AutoConfig": "mine.Config", "AutoModelForCausalLM": "mine.Model"}
    (files.folder / "config.json").write_text(json.dumps(config | {"model_type": "mine", "auto_map": mine}))
    (files.folder / "mine.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    one = TransformersEngine("c", closed("org/programs", files.folder), places.cache_dir)
    with pytest.raises(ModelUnsupported, match="cannot load it"):
        one.generate(ask("x"), limits(60))
    assert not (tmp_path / "ran").exists()


@real
def test_a_device_that_is_not_there(places: ModelPlaces, doll: Path) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is one")
    files = pulled(places, "org/gpu", doll)
    one = TransformersEngine("g", files, places.cache_dir, settings=TransformersSettings(device="cuda:3"))
    with pytest.raises(EngineUnavailable, match=r"device cuda:3 .* or set device: cpu"):
        one.generate(ask("x"), limits(60))


@real
def test_the_engine_of_a_configuration(places: ModelPlaces, doll: Path) -> None:
    pulled(places, "org/configured", doll)
    one = build_engine(EngineSpec("mine", "hf:org/configured", context=99, device="cpu", threads=1), places)
    assert isinstance(one, TransformersEngine)
    assert (one.name, one.context) == ("mine", 99)
    assert one.generate(ask("the cat", max_tokens=3), limits(60)).text
    one.close()


# --- files


def test_a_model_that_was_never_pulled(places: ModelPlaces) -> None:
    one = build_engine(EngineSpec("mine", "hf:org/none"), places)
    assert isinstance(one, Unusable)
    with pytest.raises(ModelMissing, match=r"org/none.*remedy: cortex models pull org/none"):
        one.generate(ask("x"), limits(1))


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"architectures": ["BertModel"]}, "no causal language model: .* BertModel; remedy"),
        ({"architectures": ["T5ForConditionalGeneration"], "is_encoder_decoder": True}, "no causal language model"),
        ({"is_encoder_decoder": True}, "architecture none; remedy"),
        ([], "is not readable"),
        ({"architectures": ["LlamaForCausalLM"]}, r"how long its context is; remedy: set it \(context\)"),
    ],
)
def test_files_that_are_no_language_model(places: ModelPlaces, tmp_path: Path, config: Any, words: str) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config))
    files = ModelFiles("org/other", tmp_path, ())
    with pytest.raises(ModelUnsupported, match=words):
        TransformersEngine("l", files, places.cache_dir, command=["x"])


def test_where_models_say_how_much_they_read(places: ModelPlaces, tmp_path: Path) -> None:
    def context(asked: int | None = None, **config: Any) -> int:
        (tmp_path / "config.json").write_text(json.dumps({"architectures": ["XForCausalLM"]} | config))
        settings = TransformersSettings(context=asked)
        files = ModelFiles("org/x", tmp_path, ())
        return TransformersEngine("l", files, places.cache_dir, command=["x"], settings=settings).context

    assert context(max_position_embeddings=2048) == 2048
    assert context(n_positions=1024) == 1024
    assert context(text_config={"max_position_embeddings": 512}, max_position_embeddings=7) == 512
    assert context(900, max_position_embeddings=2048) == 900
    assert context(9000, max_position_embeddings=2048) == 2048
    assert context(77) == 77


def test_a_file_that_was_changed(places: ModelPlaces, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"architectures": ["XForCausalLM"], "max_position_embeddings": 64}')
    files = ModelFiles("org/x", tmp_path, (("config.json", "0" * 64),), "c" * 40)
    with pytest.raises(DigestMismatch, match="remedy: cortex models pull org/x"):
        TransformersEngine("l", files, places.cache_dir, command=["x"])


def test_without_the_library(places: ModelPlaces, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transformers_engine, "_LIBRARY", "no_such_library")
    with pytest.raises(EngineUnavailable, match=r"pip install 'cortex-lakehouse\[models\]'"):
        TransformersEngine("l", ModelFiles("org/x", tmp_path, ()), places.cache_dir)


# --- a child that plays a script


FAKE = """
import json, os, signal, sys, time
inbox, outbox = os.fdopen(int(sys.argv[-3]), "rb"), os.fdopen(int(sys.argv[-2]), "wb")
def say(**message):
    outbox.write(json.dumps(message).encode() + b"\\n")
    outbox.flush()
def hear():
    line = inbox.readline()
    if not line:
        raise SystemExit(0)
    return json.loads(line)
settings = hear()
"""
END = "say(id=one['id'], done={'finish': 'stop', 'usage': {'prompt_tokens': 3, 'completion_tokens': 2}}); hear()\n"


@pytest.fixture
def fake(places: ModelPlaces, tmp_path: Path) -> Iterator[Any]:
    (tmp_path / "config.json").write_text('{"architectures": ["XForCausalLM"], "max_position_embeddings": 64}')
    engines: list[TransformersEngine] = []

    def make(script: str) -> TransformersEngine:
        files, command = ModelFiles("org/x", tmp_path, ()), [sys.executable, "-c", FAKE + script]
        engines.append(TransformersEngine("fake", files, places.cache_dir, command=command))
        return engines[-1]

    yield make
    for one in engines:
        one.close()


def test_thoughts_are_cut_out(fake: Any) -> None:
    script = "say(ready=True)\none = hear()\nfor p in ['<think>hm', '</think>\\n', 'Yes']: say(id=one['id'], piece=p)\n"
    reply = fake(script + END).generate(ask("?"), limits(20))
    assert (reply.text, reply.has_reasoning, reply.usage.prompt_tokens) == ("Yes", True, 3)


@pytest.mark.parametrize(
    ("script", "error", "words"),
    [
        ("say(failed='package', message='no module')", EngineUnavailable, r"no module; remedy: pip install"),
        ("say(failed='device', message='no GPU')", EngineUnavailable, "no GPU"),
        ("say(failed='model', message='CUDA out of memory')", OutOfMemory, "remedy"),
        ("raise SystemExit(3)", EngineCrashed, "left with exit code 3"),
        ("say(ready=True); one = hear(); os.kill(os.getpid(), signal.SIGSEGV)", EngineCrashed, "died by SIGSEGV"),
        ("say(ready=True); one = hear(); say(id=one['id'], done={}); hear()", EngineReplyInvalid, "no reply"),
        ("say(ready=True); say(id=hear()['id'], error={'kind': 'memory'}); hear()", OutOfMemory, "remedy"),
        (
            "say(ready=True); say(id=hear()['id'], error={'kind': 'invalid', 'message': 'm'}); hear()",
            RequestInvalid,
            "m",
        ),
        ("say(ready=True); say(id=hear()['id'], error={'kind': 'x'}); hear()", EngineReplyInvalid, "failed"),
    ],
)
def test_what_a_child_may_say(fake: Any, script: str, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        fake(script).generate(ask("?"), limits(20))


def test_a_child_that_hangs_is_killed(fake: Any) -> None:
    one = fake("say(ready=True); hear(); time.sleep(60)")
    begun = time.monotonic()
    with pytest.raises(EngineTimeout):
        one.generate(ask("?"), limits(0.5))
    assert time.monotonic() - begun < 0.5 + GRACE + 1.0
    assert one.pid is None


# --- text of a child


@pytest.mark.parametrize(
    ("stops", "pieces", "told", "reached"),
    [
        ((), ["a", "b"], ["a", "b", ""], False),
        (("bc",), ["ab", "c", "d"], ["a", "", ""], True),
        (("bc",), ["ab", "d"], ["a", "bd", ""], False),
        (("bc",), ["ab"], ["a", "b"], False),
        (("xyz", "c"), ["abxy", "c"], ["ab", "xy", ""], True),
        (("aab",), ["aa", "ab"], ["", "a", ""], True),
    ],
)
def test_where_a_stop_ends_the_text(stops: tuple[str, ...], pieces: list[str], told: list[str], reached: bool) -> None:
    found = Stops(stops)
    heard = []
    for piece in pieces:
        heard.append(found.feed(piece))
        if found.is_reached:
            break
    heard.append(found.end())
    assert (heard, found.is_reached) == (told, reached)


def test_characters_are_spelled_whole() -> None:
    data = "a€漢b".encode()
    spelling = Spelling(lambda ids: bytes(ids).decode("utf-8", "replace"))
    assert [spelling.feed(one) for one in data] == ["a", "", "", "€", "", "", "漢", "b"]
    assert spelling.feed(0xE2) == "" and spelling.end() == "�"
    endless = Spelling(lambda ids: bytes(ids).decode("utf-8", "replace"))
    assert "".join(endless.feed(0x80) for _ in range(100)) + endless.end() == "�" * 100


class Words:
    """A tokenizer of words whose template may refuse a system message, as some do."""

    def __init__(self, template: str) -> None:
        self.chat_template = template

    def __call__(self, text: str, add_special_tokens: bool = True) -> dict[str, list[int]]:
        return {"input_ids": [0] * add_special_tokens + [len(word) for word in text.split()]}

    def apply_chat_template(self, messages: list[dict[str, str]], **settings: Any) -> str:
        from jinja2 import Environment

        def refuse(why: str) -> None:
            from jinja2 import TemplateError

            raise TemplateError(why)

        return Environment(autoescape=False).from_string(self.chat_template).render(messages=messages, refuse=refuse)


def test_a_template_that_refuses_a_system_message() -> None:
    strict = (
        "{% for m in messages %}{% if m.role == 'system' %}{{ refuse('no') }}{% endif %}{{ m.content }} {% endfor %}"
    )
    messages = [{"role": "system", "content": "be"}, {"role": "user", "content": "brief"}]
    assert prompt_of(Words(strict), messages, 9).ids == [2, 5]
    with pytest.raises(Refused) as caught:
        prompt_of(Words("{{ refuse('never') }}"), messages, 9)
    assert caught.value.error == {"kind": "invalid", "message": "the model's chat template: never"}


def test_a_template_that_begins_a_thought() -> None:
    messages = [{"role": "user", "content": "why"}]
    assert prompt_of(Words("{{ messages[0].content }} <think>\n"), messages, 9).opening == "<think>"
    assert prompt_of(Words("{{ messages[0].content }}"), messages, 9).opening == ""
    with pytest.raises(Refused) as caught:
        prompt_of(Words("{{ messages[0].content }} a b"), messages, 3)
    assert caught.value.error["tokens"] == 3
