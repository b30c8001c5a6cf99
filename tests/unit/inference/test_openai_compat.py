"""The OpenAI-compatible engine against a small real server on loopback."""

import http.server
import json
import socket
import threading
import time
from collections.abc import Iterator
from typing import ClassVar

import numpy as np
import pytest

from inference.engines.openai_compat import OpenAICompatible
from inference.errors import ConfigInvalid, EngineReplyInvalid, EngineTimeout, EngineUnavailable, InferenceError
from inference.lanes import EngineConfig, load_embedder, load_tokenizer, space_of
from inference.models import ModelPlaces

KEY = "sk-very-secret-key"


class Server(http.server.BaseHTTPRequestHandler):
    """Answers embeddings (text length, 1, 0) in reverse order, after the failures that a test wants."""

    failures: ClassVar[list[int]] = []
    requests: ClassVar[list[dict[str, object]]] = []
    keys: ClassVar[list[str | None]] = []
    body: bytes | None = None
    delay = 0.0

    def log_message(self, *_: object) -> None:
        pass

    def do_POST(self) -> None:
        sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.requests.append(sent)
        self.keys.append(self.headers.get("Authorization"))
        time.sleep(self.delay)
        status = self.failures.pop(0) if self.failures else 200
        rows = [{"index": at, "embedding": [len(text), 1, 0]} for at, text in enumerate(sent["input"])]
        body = self.body or json.dumps({"data": rows[::-1]}).encode()
        if status != 200:
            body = f"no: {self.headers.get('Authorization')} ".encode() * 50
        try:
            self.send_response(status)
            if status == 302:
                self.send_header("Location", "http://127.0.0.1:9/elsewhere")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        except (BrokenPipeError, ConnectionResetError):
            pass


@pytest.fixture
def url() -> Iterator[str]:
    Server.failures, Server.requests, Server.keys, Server.body, Server.delay = [], [], [], None, 0.0
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    server.server_close()
    thread.join()


def engine(places: ModelPlaces, url: str, **settings: object) -> OpenAICompatible:
    config = EngineConfig(model=f"openai:small@{url}", dimensions=3, max_tokens=16)
    space, tokenizer = space_of(config, places), load_tokenizer(config, places)
    options: dict[str, object] = {"api_key": KEY, "sleep": lambda _: None, **settings}
    return OpenAICompatible(space, tokenizer, url=url, model="small", **options)  # type: ignore[arg-type]


def test_vectors_come_in_order_and_normalized(places: ModelPlaces, url: str) -> None:
    vectors = engine(places, url, batch_size=2).embed_batch(["a", "bbb", "cc"])
    assert np.allclose(vectors[:, 0] / vectors[:, 1], [1, 3, 2])
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1)
    assert [request["input"] for request in Server.requests] == [["a", "bbb"], ["cc"]]
    assert Server.requests[0]["model"] == "small"
    assert Server.keys == [f"Bearer {KEY}"] * 2


def test_a_lane_loads_it(places: ModelPlaces, url: str) -> None:
    config = EngineConfig(model=f"openai:small@{url}", dimensions=3)
    assert load_embedder(config, places, bulk=True).embed_batch(["abc"]).shape == (1, 3)
    assert Server.keys == [None]


def test_longer_texts_are_cut_here(places: ModelPlaces, url: str) -> None:
    engine(places, url).embed_batch(["word " * 50])
    assert Server.requests[0]["input"] == [("word " * 14).rstrip()]


def test_transient_failures_are_retried_with_growing_pauses(places: ModelPlaces, url: str) -> None:
    Server.failures = [503, 429, 500]
    pauses: list[float] = []
    assert engine(places, url, sleep=pauses.append, pause=0.5).embed_batch(["a"]).shape == (1, 3)
    assert pauses == [0.5, 1.0, 2.0]


@pytest.mark.parametrize(
    ("status", "calls", "transient"), [(401, 1, False), (404, 1, False), (302, 1, False), (503, 4, True)]
)
def test_a_refusal_names_the_server_and_never_the_key(
    places: ModelPlaces, url: str, status: int, calls: int, transient: bool
) -> None:
    Server.failures = [status] * 9
    with pytest.raises(EngineUnavailable) as caught:
        engine(places, url).embed_batch(["a"])
    message = str(caught.value)
    assert f"{url}/embeddings" in message
    assert "remedy" in message
    assert KEY not in message
    assert len(message) < 500
    assert len(Server.requests) == calls
    assert caught.value.is_transient is transient


def test_time_out(places: ModelPlaces, url: str) -> None:
    Server.delay = 0.3
    with pytest.raises(EngineTimeout, match=r"within 0\.05 s; remedy") as caught:
        engine(places, url, timeout=0.05, attempts=2).embed_batch(["a"])
    assert caught.value.is_transient
    time.sleep(0.4)


def test_nobody_there(places: ModelPlaces) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    with pytest.raises(EngineUnavailable, match="start the server"):
        engine(places, address).embed_batch(["a"])


@pytest.mark.parametrize(
    "body",
    [
        b"<html>",
        b"{}",
        b"[]",
        b'{"data": [{"index": 0, "embedding": [1, 2]}]}',
        b'{"data": []}',
        b'{"data": [{"index": 1, "embedding": [1, 2, 3]}]}',
        b'{"data": [{"index": 0, "embedding": [0, 0, 0]}]}',
        b'{"data": [{"index": 0, "embedding": [1, NaN, 0]}]}',
    ],
)
def test_an_answer_that_is_none(places: ModelPlaces, url: str, body: bytes) -> None:
    Server.body = body
    with pytest.raises(EngineReplyInvalid, match="answer"):
        engine(places, url).embed_batch(["a"])


@pytest.mark.parametrize("address", ["file:///etc/passwd", "localhost:80", "http://user:pass@host/v1"])
def test_an_address_that_cannot_be(places: ModelPlaces, address: str) -> None:
    with pytest.raises(ConfigInvalid) as caught:
        engine(places, address)
    assert "pass@" not in str(caught.value)
    assert isinstance(caught.value, InferenceError)
