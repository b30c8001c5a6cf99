"""The chat engine against bytes that no model server should send: each is an error of the tree, in time, and shows no key."""

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from inference.engines.chat_server import ChatServer
from inference.errors import (
    Cancelled,
    ConfigInvalid,
    EngineReplyInvalid,
    EngineTimeout,
    EngineUnavailable,
    InferenceError,
)
from inference.requests import Cancellation, Limits, Reply, ask, limits

OK = b"HTTP/1.1 200 OK\r\n"
KEY = "open-sesame"
Serve = Callable[[bytes], str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Serves some bytes to whoever asks, then hangs where they end with ``HANG``; says where."""
    closing = threading.Event()
    listening: list[socket.socket] = []

    def start(data: bytes) -> str:
        listener = socket.create_server(("127.0.0.1", 0))
        listener.settimeout(0.05)
        listening.append(listener)
        threading.Thread(target=run, args=(listener, data), daemon=True).start()
        return f"http://127.0.0.1:{listener.getsockname()[1]}/v1"

    def run(listener: socket.socket, data: bytes) -> None:
        while not closing.is_set():
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            with connection:
                connection.settimeout(0.3)
                with contextlib.suppress(TimeoutError):  # the request has no length that this need know
                    while not (got := connection.recv(65536)).endswith(b"}") and got:
                        pass
                connection.sendall(data.removesuffix(b"HANG"))
                if data.endswith(b"HANG"):
                    closing.wait(10)

    yield start
    closing.set()
    for one in listening:
        one.close()


def engine(url: str) -> ChatServer:
    return ChatServer("s", url=url, model="m", context=4096, api_key=KEY)


def event(content: str, finish: str | None = None) -> bytes:
    return b"data: " + json.dumps({"choices": [{"delta": {"content": content}, "finish_reason": finish}]}).encode()


CUT = OK + b"\r\n" + event("one ") + b'\n\ndata: {"choices":[{"delta":{"content":"two'


def test_a_stream_that_ends_within_a_line_broke_off(serve: Serve) -> None:
    with pytest.raises(EngineUnavailable, match="broke off") as caught:
        list(engine(serve(CUT)).stream(ask("x"), limits(5)))
    assert caught.value.is_transient
    assert "two" not in str(caught.value)


def test_a_line_that_is_no_json_in_the_middle_is_garbage(serve: Serve) -> None:
    with pytest.raises(EngineReplyInvalid, match="did not answer with a completion"):
        list(engine(serve(OK + b"\r\ndata: {nonsense\n\n" + event("b", "stop") + b"\n\n")).stream(ask("x"), limits(5)))


def test_cancelling_within_a_line_is_cancelling(serve: Serve) -> None:
    token = Cancellation()
    threading.Timer(0.1, token.cancel).start()
    with pytest.raises(Cancelled):
        list(engine(serve(CUT + b"HANG")).stream(ask("x"), Limits(time.monotonic() + 5, token)))


def test_the_deadline_within_a_line_is_the_deadline(serve: Serve) -> None:
    with pytest.raises(EngineTimeout):
        list(engine(serve(CUT + b"HANG")).stream(ask("x"), limits(0.2)))


def test_halves_of_a_character_in_two_events_are_put_together(serve: Serve) -> None:
    url = serve(OK + b"\r\n" + event("a\ud83d") + b"\n\n" + event("\ude00b", "stop") + b"\n\n")
    *pieces, whole = engine(url).stream(ask("x"), limits(5))
    assert pieces == ["a", "\U0001f600b"]
    assert isinstance(whole, Reply)
    assert whole.text == "a\U0001f600b"


def test_half_a_character_alone_is_replaced(serve: Serve) -> None:
    url = serve(OK + b"\r\n" + event("a\ud83d", "stop") + b"\n\n")
    assert list(engine(url).stream(ask("x"), limits(5)))[:2] == ["a", "\ufffd"]
    body = json.dumps({"choices": [{"message": {"content": "a\udc00b"}}]}).encode()
    assert engine(serve(OK + b"\r\n" + body)).generate(ask("x"), limits(5)).text == "a\ufffdb"


@pytest.mark.parametrize(
    "data",
    [
        OK + b'\r\n{"headers": {"Authorization": "Bearer open-sesame"}}',
        OK + b'\r\ndata: {"error": {"message": "wrong key open-sesame"}}\n\n',
        b"HTTP/1.1 500 Oh\r\n\r\nwrong key open-sesame",
        b"HTTP/1.1 500 Oh\r\n\r\nwrong key open-ses",
    ],
)
@pytest.mark.parametrize("is_streamed", [False, True])
def test_a_key_that_a_server_repeats_is_not_shown(serve: Serve, data: bytes, is_streamed: bool) -> None:
    asked = engine(serve(data))
    with pytest.raises(InferenceError) as caught:
        list(asked.stream(ask("x"), limits(5))) if is_streamed else asked.generate(ask("x"), limits(5))
    assert "open-ses" not in str(caught.value)


def test_a_stream_without_end_is_refused(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inference.engines.json_server._MOST_BYTES", 100_000)
    with pytest.raises(EngineReplyInvalid, match="more than"):
        list(engine(serve(OK + b"\r\n" + (event("more") + b"\n\n") * 5000)).stream(ask("x"), limits(5)))


def test_cancelling_within_a_handshake_ends_it_at_once(serve: Serve) -> None:
    url = serve(b"\x16\x03\x03\x40\x00" + b"HANG").replace("http:", "https:")
    token, begin = Cancellation(), time.monotonic()
    threading.Timer(0.2, token.cancel).start()
    with pytest.raises(Cancelled):
        engine(url).generate(ask("x"), Limits(time.monotonic() + 30, token))
    assert time.monotonic() - begin < 3


def test_a_closed_engine_is_there_again_when_used(serve: Serve) -> None:
    body = json.dumps({"choices": [{"message": {"content": "yes"}}]}).encode()
    asked = engine(serve(OK + b"\r\n" + body))
    asked.generate(ask("x"), limits(5))
    asked.close()
    assert asked.generate(ask("x"), limits(5)).text == "yes"


@pytest.fixture
def full() -> Iterator[int]:
    """A port that takes no connection and refuses none."""
    with socket.socket() as listener, contextlib.ExitStack() as stack:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(8):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


def test_cancelling_while_connecting_ends_it_at_once(full: int) -> None:
    token, begin = Cancellation(), time.monotonic()
    threading.Timer(0.2, token.cancel).start()
    with pytest.raises(Cancelled):
        engine(f"http://127.0.0.1:{full}/v1").generate(ask("x"), Limits(time.monotonic() + 30, token))
    assert time.monotonic() - begin < 3


def test_the_deadline_is_over_all_addresses_of_a_host(full: int, monkeypatch: pytest.MonkeyPatch) -> None:
    [address] = socket.getaddrinfo("127.0.0.1", full, 0, socket.SOCK_STREAM)
    monkeypatch.setattr("socket.getaddrinfo", lambda *given, **named: [address] * 10)
    begin = time.monotonic()
    with pytest.raises(EngineTimeout):
        engine(f"http://127.0.0.1:{full}/v1").generate(ask("x"), limits(0.5))
    assert time.monotonic() - begin < 2


@pytest.mark.parametrize("key", ["open\nsesame", "schl\xfcssel", "k\udc80"])
def test_a_key_that_no_header_takes_is_refused_and_not_shown(key: str) -> None:
    with pytest.raises(ConfigInvalid, match="key") as caught:
        ChatServer("s", url="http://127.0.0.1:9/v1", model="m", context=99, api_key=key)
    assert key not in str(caught.value)


@pytest.mark.parametrize("url", ["http://h/v1?key=secret", "http://h/v1#secret", "http://ex ample/v1", "http://h/v1\n"])
def test_addresses_that_hold_more_than_an_address_are_refused(url: str) -> None:
    with pytest.raises(ConfigInvalid) as caught:
        ChatServer("s", url=url, model="m", context=99)
    assert "secret" not in str(caught.value)
