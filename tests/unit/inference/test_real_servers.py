"""Real model servers through the same lane: llama.cpp's own HTTP server, and vLLM where one is named.

llama.cpp's is started here from its library (``make llama`` installs it). A vLLM, or any other server, is named by its address and
model; with the shared script that serves SmolLM2 on port 8011::

    CORTEX_TEST_SERVER=http://127.0.0.1:8011/v1 CORTEX_TEST_MODEL=smollm2 pytest tests/unit/inference/test_real_servers.py
"""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

from inference.errors import ContextExceeded, InferenceError
from inference.generation.building import Lanes
from inference.generation.cache import CompletionCache
from inference.generation.configuration import read_configuration
from inference.generation.ledger import Ledger
from inference.models import ModelPlaces, packaged_generator
from inference.requests import ask

SERVE = """
import sys, threading
import xllamacpp
params = xllamacpp.CommonParams()
params.model.path, params.n_ctx, params.n_parallel = sys.argv[1], 2048, 1
params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 2
params.no_extra_bufts, params.warmup, params.verbosity = True, False, 1
params.hostnames, params.port = ["127.0.0.1"], int(sys.argv[2])
server = xllamacpp.Server(params)
print("up", flush=True)
threading.Event().wait()
"""


class City(BaseModel):
    name: str
    is_capital: bool


@pytest.fixture(scope="module")
def llama() -> Iterator[tuple[str, str]]:
    pytest.importorskip("xllamacpp", reason="make llama installs llama.cpp")
    files = packaged_generator()
    model = files.folder / files.digests[0][0]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    child = subprocess.Popen([sys.executable, "-c", SERVE, str(model), str(port)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline().strip() == "up"
    url = f"http://127.0.0.1:{port}"
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=2):
                break
        except OSError:
            time.sleep(0.1)
    yield f"{url}/v1", "smollm2"
    child.kill()
    child.wait()
    child.stdout.close()


@pytest.fixture
def named() -> tuple[str, str]:
    url = os.environ.get("CORTEX_TEST_SERVER")
    if not url:
        pytest.skip("names no server: CORTEX_TEST_SERVER=http://127.0.0.1:8011/v1 CORTEX_TEST_MODEL=smollm2")
    return url, os.environ.get("CORTEX_TEST_MODEL", "smollm2")


@pytest.fixture(params=["llama", "named"])
def lanes(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Lanes]:
    url, model = request.getfixturevalue(request.param)
    text = (
        f"engines: {{real: {{model: 'openai:{model}@{url}', context: 2048, timeout: 120}}}}\nlanes: {{coder: real}}\n"
    )
    configuration = read_configuration(text, "inference.yaml", {}, lambda name: None)
    places = ModelPlaces(tmp_path / "models", tmp_path)
    made = Lanes(configuration, Ledger(tmp_path / "calls.sqlite"), CompletionCache(tmp_path / "k.sqlite"), places)
    yield made
    made.close()


def test_words_with_exact_usage(lanes: Lanes) -> None:
    found = lanes.lane("coder").generate(ask("Name the capital of France in one sentence.", max_tokens=24))
    assert "Paris" in found.text
    assert not found.usage.is_estimated
    assert 0 < found.usage.completion_tokens <= 24
    [row] = lanes.ledger.undrained(9)
    assert (row["outcome"], row["prompt_tokens"]) == ("ok", found.usage.prompt_tokens)


def test_guided_json_is_what_the_schema_asks_for(lanes: Lanes) -> None:
    for number in range(3):
        found = lanes.lane("coder").generate(
            ask(f"Describe city number {number} as JSON.", schema=City, max_tokens=128)
        )
        assert isinstance(found.value, City)
        assert [one.outcome for one in found.attempts] == ["ok"]


def test_a_stream_has_pieces_usage_and_a_first_token(lanes: Lanes) -> None:
    stream = lanes.lane("coder").stream(ask("Count from one to five.", max_tokens=32))
    pieces = list(stream)
    assert len(pieces) > 3
    assert stream.completion is not None
    assert "".join(pieces) == stream.completion.text
    assert not stream.completion.usage.is_estimated
    assert 0 < (stream.completion.first_token or 0) < stream.completion.latency


def test_a_text_that_is_too_long_is_told_as_such(lanes: Lanes) -> None:
    with pytest.raises(InferenceError) as caught:
        lanes.lane("coder").generate(ask("word " * 6000, max_tokens=8))
    assert isinstance(caught.value, ContextExceeded)


@pytest.mark.parametrize("lanes", ["llama"], indirect=True)  # of a named server it is not known how much it reads
def test_a_request_that_the_server_finds_too_long_is_told_as_such(lanes: Lanes) -> None:
    with pytest.raises(ContextExceeded):
        lanes.lane("coder").generate(ask("a b c d e f g h i j " * 260, max_tokens=8))
