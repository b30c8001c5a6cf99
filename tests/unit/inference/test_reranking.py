"""Rerankers: a real local server, the packaged model's tokens, and one that failed is left alone."""

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from inference.engines.rerankers import CrossEncoderReranker, ServerReranker
from inference.errors import (
    ConfigInvalid,
    EngineReplyInvalid,
    EngineTimeout,
    EngineUnavailable,
    ModelMissing,
    ModelUnsupported,
)
from inference.lanes import EngineConfig
from inference.models import ModelFiles, ModelPlaces
from inference.reranking import PAUSE_SECONDS, GuardedReranker, reranker_of


class Handler(BaseHTTPRequestHandler):
    """Counts shared words; what a request looked like is kept."""

    reply: bytes | None = None
    status = 200
    wants_texts = False
    drips = False
    seen: ClassVar[list[tuple[str, str | None, dict[str, object]]]] = []

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        Handler.seen.append((self.path, self.headers.get("Authorization"), body))
        asked = set(body["query"].split())
        texts = body.get("texts" if Handler.wants_texts else "documents")
        name = "score" if Handler.wants_texts else "relevance_score"
        scores = [{"index": n, name: len(asked & set(text.split()))} for n, text in enumerate(texts or ())][::-1]
        content = json.dumps(scores if Handler.wants_texts else {"results": scores}).encode()
        content = content if Handler.reply is None else Handler.reply
        self.send_response(Handler.status if texts is not None else 422)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        for at in range(0, len(content), 1 if Handler.drips else len(content)):
            self.wfile.write(content[at : at + 1] if Handler.drips else content)
            if Handler.drips:
                time.sleep(0.05)

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def url() -> Iterator[str]:
    Handler.reply, Handler.status, Handler.seen = None, 200, []
    Handler.wants_texts = Handler.drips = False
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


def test_a_server_that_wants_texts_is_asked_so_from_then_on(url: str) -> None:
    """text-embeddings-inference answers 422 to ``documents``, and a bare list to ``texts``."""
    Handler.wants_texts = True
    reranker = ServerReranker(url=url, model="m")
    for _ in range(2):
        assert reranker.score_batch("a b c", ["x", "a b", "a"]) == [0.0, 2.0, 1.0]
    assert ["documents" in body for _, _, body in Handler.seen] == [True, False, False]


def test_a_server_that_sends_a_byte_now_and_then_is_not_waited_for(url: str) -> None:
    Handler.drips = True
    begun = time.monotonic()
    with pytest.raises(EngineTimeout, match=r"within 0\.3 s"):
        ServerReranker(url=url, model="m", timeout=0.3).score_batch("a", ["a", "b", "c"])
    assert time.monotonic() - begun < 2


@pytest.mark.parametrize("address", ["http://[bad", "http://127.0.0.1:99999/v1", "ftp://host/v1"])
def test_what_is_no_address_is_told(address: str) -> None:
    with pytest.raises(ConfigInvalid, match="is not an address"):
        ServerReranker(url=address, model="m")


@pytest.mark.parametrize("scores", [[[0.1, 0.2, 0.7]], [float("nan")], [], "no numbers"])
def test_a_model_that_is_no_reranker_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, scores: Any) -> None:
    class Model:
        def predict(self, *_: object, **__: object) -> Any:
            if isinstance(scores, str):
                raise RuntimeError(scores)
            return scores

    monkeypatch.setattr(CrossEncoderReranker, "_model", Model())
    reranker = CrossEncoderReranker(ModelFiles("org/nli", tmp_path, ()))
    with pytest.raises(EngineReplyInvalid, match="org/nli"):
        reranker.score_batch("q", ["a"])


@pytest.mark.parametrize(
    "reply",
    [
        b"[" * 100_000,
        b'{"results": [{"index": 0, "relevance_score": 1' + b"0" * 400 + b"}]}",
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
