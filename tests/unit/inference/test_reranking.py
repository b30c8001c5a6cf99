"""Rerankers: a real local server, the packaged model's tokens, and one that failed is left alone."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from inference.engines.rerankers import ServerReranker
from inference.errors import ConfigInvalid, EngineReplyInvalid, EngineUnavailable, ModelMissing, ModelUnsupported
from inference.lanes import EngineConfig
from inference.models import ModelPlaces
from inference.reranking import PAUSE_SECONDS, GuardedReranker, reranker_of


class Handler(BaseHTTPRequestHandler):
    """Counts shared words; what a request looked like is kept."""

    reply: bytes | None = None
    status = 200
    seen: ClassVar[list[tuple[str, str | None, dict[str, object]]]] = []

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        Handler.seen.append((self.path, self.headers.get("Authorization"), body))
        asked = set(body["query"].split())
        scores = [
            {"index": n, "relevance_score": len(asked & set(text.split()))} for n, text in enumerate(body["documents"])
        ]
        content = Handler.reply if Handler.reply is not None else json.dumps({"results": scores[::-1]}).encode()
        self.send_response(Handler.status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def url() -> Iterator[str]:
    Handler.reply, Handler.status, Handler.seen = None, 200, []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_server_is_asked_once_for_all_and_answers_in_any_order(url: str) -> None:
    reranker = ServerReranker(url=url, model="m", api_key="secret")
    assert reranker.score_batch("a b c", ["x", "a b", "a"]) == [0.0, 2.0, 1.0]
    assert reranker.score_batch("a", []) == []
    ((path, key, body),) = Handler.seen
    assert (path, key, body["model"]) == ("/v1/rerank", "Bearer secret", "m")


@pytest.mark.parametrize(
    "reply",
    [
        b"{}",
        b"no json",
        b'{"results": [{"index": 0, "relevance_score": 1}]}',
        b'{"results": [{"index": 7}]}',
        b'{"results": [{"index": 0, "relevance_score": NaN}, {"index": 1, "relevance_score": 1}]}',
    ],
)
def test_a_reply_that_is_no_judgement_is_refused(url: str, reply: bytes) -> None:
    Handler.reply = reply
    with pytest.raises(EngineReplyInvalid, match="rerank server"):
        ServerReranker(url=url, model="m").score_batch("q", ["a", "b"])


def test_an_error_shows_no_key(url: str) -> None:
    Handler.status, Handler.reply = 401, b"bad key secret"
    with pytest.raises(EngineUnavailable, match="check the key") as raised:
        ServerReranker(url=url, model="m", api_key="secret").score_batch("q", ["a"])
    assert "secret" not in str(raised.value)


def test_one_that_failed_is_left_alone_for_a_while() -> None:
    now = [0.0]
    calls: list[str] = []

    class Broken:
        name, share = "broken", 0.7

        def score_batch(self, question: str, texts: object) -> list[float]:
            calls.append(question)
            if now[0] < PAUSE_SECONDS:
                raise EngineUnavailable("it is down", is_transient=True)
            return [1.0]

    guarded = GuardedReranker("broken", Broken, lambda: now[0])
    with pytest.raises(EngineUnavailable, match="it is down"):
        guarded.score_batch("a", ["x"])
    with pytest.raises(EngineUnavailable, match="left alone for 30 s: it is down"):
        guarded.score_batch("b", ["x"])
    now[0] = PAUSE_SECONDS
    assert guarded.score_batch("c", ["x"]) == [1.0]
    assert (calls, guarded.share) == (["a", "c"], 0.7)


def places(tmp_path: Path) -> ModelPlaces:
    return ModelPlaces(tmp_path / "models", tmp_path / "cache")


def test_the_packaged_model_compares_tokens(tmp_path: Path) -> None:
    reranker = reranker_of("late", places(tmp_path), EngineConfig())
    assert reranker is not None
    scores = reranker.score_batch(
        "how are kittens fed", ["The weather is bad.", "Feeding young cats needs milk.", "How are kittens fed?", ""]
    )
    assert scores[2] > scores[1] > scores[0] > scores[3] == -1.0


def test_settings_that_cannot_be(tmp_path: Path) -> None:
    assert reranker_of("none", places(tmp_path), EngineConfig()) is None
    for spec in ("rerank:model", "hf:name", "other"):
        with pytest.raises(ConfigInvalid, match="is none of"):
            reranker_of(spec, places(tmp_path), EngineConfig())
    with pytest.raises(ConfigInvalid, match="not an address"):
        reranker_of("rerank:m@ftp://x/v1", places(tmp_path), EngineConfig())
    late = reranker_of("late", places(tmp_path), EngineConfig("hash"))
    assert late is not None
    with pytest.raises(ModelUnsupported, match="no tokens"):
        late.score_batch("q", ["a"])
    absent = reranker_of("hf:org/absent", places(tmp_path), EngineConfig())
    assert absent is not None
    with pytest.raises(ModelMissing):
        absent.score_batch("q", ["a"])
