"""A model server without a model, on loopback, that fails as it is told: for tests of lanes, and to try a configuration.

It speaks ``/v1/chat/completions`` (streamed, too), ``/v1/embeddings``, ``/v1/models`` and ``/health``, and counts what it got and what it
reported, so that a ledger can be compared with it. ``python -m inference.engines.scripted_server --port 8012`` serves one.
"""

import argparse
import hashlib
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Final, Self

from inference.engines.scripted import echo, pieces_of, reply_of
from inference.requests import GenerateRequest, Message, Reply

MODEL: Final = "scripted"
DIMENSIONS: Final = 8
"""Of its vectors."""
KINDS: Final = (
    "ok", "status", "hang", "drip", "half", "not_json", "wrong_json", "no_choices", "empty", "reasoning", "cut", "no_usage"
)  # fmt: skip
_MOST_HUNG: Final = 600.0


@dataclass(frozen=True, slots=True)
class Act:
    """What becomes of one call.

    Attributes:
        kind: ``ok``; ``status`` (answers ``status``); ``hang`` (never answers); ``drip`` (a byte of the header every tenth of a
            second); ``half`` (closes in the middle); ``not_json``; ``wrong_json`` (JSON, not what was asked for);
            ``no_choices``; ``empty``; ``reasoning`` (only that); ``cut`` (length); ``no_usage`` (an answer, tokens not told).
        delay: seconds before anything is sent.
        status: HTTP status of ``status``.
        headers: sent with it.
        text: the answer, or the body of ``status``; None = an echo.
    """

    kind: str = "ok"
    delay: float = 0.0
    status: int = 500
    headers: Mapping[str, str] = field(default_factory=dict)
    text: str | None = None


OK: Final = Act()
Script = Callable[[int, Mapping[str, Any]], Act]
"""From the number of the call, from 0, and the body of the request."""


def faults(share: float, seed: int, acts: tuple[Act, ...]) -> Script:
    """A script in which a ``share`` of the calls fails in one of the ways ``acts``, by the number of the call."""

    def script(number: int, _: Mapping[str, Any]) -> Act:
        chance = random.Random(f"{seed} {number}")  # noqa: S311 - not a secret
        return chance.choice(acts) if chance.random() < share else OK

    return script


class ScriptedServer:
    """The server, while it is entered.

    Attributes:
        calls: how many chat calls came.
        kinds: kind of act to how many.
        prompt_tokens: reported in all.
        completion_tokens: reported in all.
        bodies: of the requests, in order.
        times: of ``time.monotonic()``, when they came.
        is_ready: what ``/health`` says.
        embedded: texts that vectors were asked of.
    """

    def __init__(self, script: Script | None = None, *, port: int = 0) -> None:
        self.script: Script = script or (lambda number, body: OK)
        self.calls = self.prompt_tokens = self.completion_tokens = 0
        self.kinds: Counter[str] = Counter()
        self.bodies: list[Mapping[str, Any]] = []
        self.embedded: list[str] = []
        self.times: list[float] = []
        self.is_ready = True
        self.closing = threading.Event()
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", port), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self) -> str:
        """Base address."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def take(self, body: Mapping[str, Any]) -> Act:
        """Count a call and say what becomes of it."""
        with self._lock:
            number, self.calls = self.calls, self.calls + 1
            self.bodies.append(body)
            self.times.append(time.monotonic())
            act = self.script(number, body)
            self.kinds[act.kind] += 1
            return act

    def report(self, reply: Reply) -> dict[str, int]:
        """The tokens of a reply as they are reported, counted."""
        usage = reply.usage
        prompt, completion = (usage.prompt_tokens, usage.completion_tokens) if usage else (0, 0)
        with self._lock:
            self.prompt_tokens += prompt
            self.completion_tokens += completion
        return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news."""


def _handler(owner: ScriptedServer) -> type[BaseHTTPRequestHandler]:
    class Handler(_Handler):
        server_of = owner

    return Handler


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server_of: ScriptedServer

    def log_message(self, *given: Any) -> None:
        """Nothing is logged."""

    def do_GET(self) -> None:
        """Health and the list of models."""
        if self.path == "/health":
            is_ready = self.server_of.is_ready
            return self._send(200 if is_ready else 503, b'{"status":"ok"}' if is_ready else b'{"status":"loading"}')
        if self.path == "/v1/models":
            return self._send(200, json.dumps({"object": "list", "data": [{"id": MODEL, "object": "model"}]}).encode())
        return self._send(404, b'{"error":{"message":"no such path"}}')

    def do_POST(self) -> None:
        """A chat call."""
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path == "/v1/embeddings":
            return self._embed(json.loads(raw))
        if self.path != "/v1/chat/completions":
            return self._send(404, b'{"error":{"message":"no such path"}}')
        body = json.loads(raw)
        act = self.server_of.take(body)
        if act.delay:
            self.server_of.closing.wait(act.delay)
        return self._act(act, body)

    def _embed(self, body: Mapping[str, Any]) -> None:
        """Vectors that are functions of the texts, of no meaning."""
        texts = [body["input"]] if isinstance(body["input"], str) else body["input"]
        self.server_of.embedded.extend(texts)
        rows = [
            {"index": at, "embedding": [byte - 127.5 for byte in hashlib.sha256(text.encode()).digest()[:DIMENSIONS]]}
            for at, text in enumerate(texts)
        ]
        self._send(200, json.dumps({"object": "list", "data": rows}).encode())

    def _act(self, act: Act, body: Mapping[str, Any]) -> None:
        if act.kind == "status":
            text = act.text if act.text is not None else json.dumps({"error": {"message": "scripted"}})
            return self._send(act.status, text.encode(), act.headers)
        if act.kind == "hang":
            self.server_of.closing.wait(_MOST_HUNG)
            self.close_connection = True
            return None
        if act.kind == "drip":
            return self._drip()
        if act.kind == "not_json":
            return self._send(200, b"<html>502</html>")
        if act.kind == "no_choices":
            return self._send(200, b'{"object":"chat.completion","choices":[]}')
        reply, message = self._reply(act, body)
        if body.get("stream"):
            return self._stream(act, reply, message)
        whole: dict[str, Any] = {
            "id": "scripted",
            "object": "chat.completion",
            "model": body.get("model"),
            "choices": [{"index": 0, "message": message, "finish_reason": reply.finish}],
        }
        if act.kind == "half":
            return self._half(json.dumps(whole).encode())
        if act.kind != "no_usage":
            whole["usage"] = self.server_of.report(reply)
        return self._send(200, json.dumps(whole).encode())

    def _reply(self, act: Act, body: Mapping[str, Any]) -> tuple[Reply, dict[str, Any]]:
        """What is answered, and the message that says it."""
        request = _request(body)
        read = sum(len(message.content.split()) for message in request.messages)
        shape = body.get("response_format") or {}
        schema = (shape.get("json_schema") or {}).get("schema")
        text = echo(request, schema) if act.text is None else act.text
        if act.kind == "wrong_json":
            text = '{"unasked": [1, 2'
        if act.kind in ("empty", "reasoning"):
            text = ""
        reply = reply_of(text, request, read) if text else Reply("", "stop", reply_of("x", request, read).usage)
        if act.kind == "cut":
            reply = Reply(reply.text[: len(reply.text) // 2], "length", reply.usage)
        message: dict[str, Any] = {"role": "assistant", "content": reply.text}
        if act.kind == "reasoning":
            message["reasoning_content"] = "it could be this or that"
        return reply, message

    def _stream(self, act: Act, reply: Reply, message: Mapping[str, Any]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        deltas: list[dict[str, Any]] = [{"content": piece} for piece in pieces_of(reply.text) if piece]
        if "reasoning_content" in message:
            deltas.insert(0, {"reasoning_content": message["reasoning_content"]})
        if act.kind == "half":
            deltas = deltas[: len(deltas) // 2 + 1]
        for delta in deltas:
            self._event({"choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
        if act.kind == "half":
            return
        self._event({"choices": [{"index": 0, "delta": {}, "finish_reason": reply.finish}]})
        if act.kind != "no_usage":
            self._event({"choices": [], "usage": self.server_of.report(reply)})
        self.wfile.write(b"data: [DONE]\n\n")
        self.wfile.flush()

    def _event(self, event: Mapping[str, Any]) -> None:
        self.wfile.write(b"data: " + json.dumps(event).encode() + b"\n\n")
        self.wfile.flush()

    def _half(self, data: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[: len(data) // 2])
        self.wfile.flush()
        self.close_connection = True

    def _drip(self) -> None:
        end = time.monotonic() + _MOST_HUNG
        self.close_connection = True
        for byte in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"x" * 10_000:
            if time.monotonic() > end or self.server_of.closing.wait(0.1):
                return
            self.wfile.write(bytes([byte]))
            self.wfile.flush()

    def _send(self, status: int, data: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
        self.wfile.flush()


def _request(body: Mapping[str, Any]) -> GenerateRequest:
    messages = tuple(Message(one["role"], one["content"]) for one in body["messages"])
    return GenerateRequest(messages=messages, max_tokens=body.get("max_tokens") or 1024)


def main() -> None:
    """Serve until interrupted, saying what comes."""
    parser = argparse.ArgumentParser(description="A model server without a model: it echoes, and fails as it is told.")
    parser.add_argument("--port", type=int, default=8012, help="on 127.0.0.1 (default 8012; 0 = a free one)")
    parser.add_argument("--fail", choices=KINDS, default="ok", help="what becomes of the calls that fail")
    parser.add_argument("--share", type=float, default=1.0, help="of the calls that fail, 0 to 1")
    parser.add_argument("--status", type=int, default=503, help="of --fail status")
    given = parser.parse_args()
    script = faults(given.share, 0, (Act(given.fail, status=given.status),))
    with ScriptedServer(script, port=given.port) as server:
        print(f"model {MODEL} on {server.url}", flush=True)
        try:
            while True:
                time.sleep(3600)
        except KeyboardInterrupt:
            print(f"{server.calls} calls: {dict(server.kinds)}")


if __name__ == "__main__":
    main()
