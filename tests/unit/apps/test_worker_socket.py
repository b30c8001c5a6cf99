"""The worker's socket: answers for who shows the token, and refuses everybody else before it reads what they say."""

import contextlib
import json
import os
import socket
import stat
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from apps.errors import CommandError
from apps.worker import client
from apps.worker import server as server_module
from apps.worker.client import HOST, Address, NoWorker
from apps.worker.server import MOST_BYTES, MOST_CONNECTIONS, Server

TOKEN = "a-token-that-nobody-knows"


def _cannot(body: Mapping[str, Any]) -> Any:
    raise CommandError("it cannot be", "there", "do this", 2)


def _breaks(body: Mapping[str, Any]) -> Any:
    raise RuntimeError("nobody foresaw it")


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Path]:
    answers = {"echo": dict, "cannot": _cannot, "breaks": _breaks, "strict": lambda body: body["missing"]}
    server = Server(TOKEN, answers)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    with client.alive(tmp_path):
        client.write_card(tmp_path, Address(server.port, TOKEN, os.getpid()))
        yield tmp_path
    server.shutdown()
    server.server_close()
    thread.join()


def raw(up: Path, text: bytes) -> int:
    """The status of an answer to bytes as they are."""
    with socket.create_connection((HOST, client.find(up).port), timeout=5) as connection:
        connection.sendall(text)
        return int(connection.recv(64).split(b" ")[1])


def question(up: Path, **headers: str) -> bytes:
    port = client.find(up).port
    known = {"Host": f"{HOST}:{port}", "Authorization": f"Bearer {TOKEN}", "Content-Length": "2"} | headers
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in known.items() if value]
    return ("POST /echo HTTP/1.0\r\n" + "\r\n".join(lines) + "\r\n\r\n{}").encode()


def test_an_answer_comes_back(up: Path) -> None:
    assert client.ask(up, "echo", {"a": [1, "é"]}) == {"a": [1, "é"]}


def test_the_card_is_for_its_owner_alone(up: Path) -> None:
    assert stat.S_IMODE(client.card(up).stat().st_mode) == 0o600


def test_what_cannot_be_done_is_told_as_it_is_at_the_command_line(up: Path) -> None:
    with pytest.raises(CommandError) as told:
        client.ask(up, "cannot")
    error = told.value
    assert (error.what, error.where, error.remedy, error.exit_code) == ("it cannot be", "there", "do this", 2)


def test_what_breaks_there_is_done_here(up: Path) -> None:
    for name in ("breaks", "strict", "unknown"):
        with pytest.raises(NoWorker):
            client.ask(up, name)
    assert client.ask(up, "echo") == {}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Authorization": ""}, 401),
        ({"Authorization": "Bearer wrong"}, 401),
        ({"Authorization": TOKEN}, 401),
        ({"Authorization": "Bearer " + "é" * 300}, 401),
        ({"Host": "evil.example"}, 403),
        ({"Host": ""}, 403),
        ({"Content_Length": ""}, 413),
        ({"Content-Length": str(MOST_BYTES + 1)}, 413),
        ({"Content-Length": "-1"}, 413),
        ({"Content-Length": "1e3"}, 413),
        ({}, 200),
    ],
)
def test_strangers_are_refused(up: Path, headers: dict[str, str], status: int) -> None:
    text = question(up, **headers)
    if "Content_Length" in headers:
        text = b"\r\n".join(line for line in text.split(b"\r\n") if not line.startswith(b"Content"))
    assert raw(up, text) == status


def test_other_methods_are_refused(up: Path) -> None:
    assert raw(up, question(up).replace(b"POST", b"GET", 1)) == 501


def slow(up: Path, most: int) -> list[socket.socket]:
    """Connections that began a question and do not end it."""
    port = client.find(up).port
    made = []
    for _ in range(most):
        connection = socket.create_connection((HOST, port), timeout=5)
        connection.sendall(b"POST /echo HTTP/1.0\r\n")
        made.append(connection)
    return made


def test_many_strangers_take_neither_threads_nor_turns(up: Path, capfd: pytest.CaptureFixture[str]) -> None:
    strangers = slow(up, 4 * MOST_CONNECTIONS)
    try:
        assert client.ask(up, "echo", {"a": 1}, seconds=5) == {"a": 1}
        assert threading.active_count() < 3 * MOST_CONNECTIONS
    finally:
        for connection in strangers:
            connection.close()
    assert client.ask(up, "echo", {"a": 1}, seconds=5) == {"a": 1}
    assert "Traceback" not in capfd.readouterr().err


def test_who_sends_a_byte_now_and_then_is_put_out(up: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "PATIENCE", 0.5)
    (connection,) = slow(up, 1)
    began = time.monotonic()
    with connection, contextlib.suppress(ConnectionError):
        connection.settimeout(0.1)
        while time.monotonic() - began < 5:
            connection.sendall(b"X")
            with contextlib.suppress(TimeoutError):
                if not connection.recv(100):
                    break
    assert time.monotonic() - began < 3


def test_a_length_of_many_digits_is_refused(up: Path) -> None:
    assert raw(up, question(up, **{"Content-Length": "9" * 5_000})) == 413


def test_what_is_no_object_is_not_understood(up: Path) -> None:
    for content in (b"[1]", b"{", b"\xff\xfe"):
        text = question(up, **{"Content-Length": str(len(content))})[:-2] + content
        assert raw(up, text) == 400


def test_without_a_worker_nobody_answers(tmp_path: Path) -> None:
    with pytest.raises(NoWorker):
        client.ask(tmp_path, "echo")
    with socket.socket() as free:
        free.bind((HOST, 0))
        port = free.getsockname()[1]
    client.write_card(tmp_path, Address(port, TOKEN, os.getpid()))
    with client.alive(tmp_path), pytest.raises(NoWorker):
        client.ask(tmp_path, "echo")


def test_who_listens_where_a_worker_died_hears_nothing(tmp_path: Path) -> None:
    with socket.socket() as stranger:
        stranger.bind((HOST, 0))
        stranger.listen()
        stranger.settimeout(0.1)
        client.write_card(tmp_path, Address(stranger.getsockname()[1], TOKEN, os.getpid()))
        for _ in range(2):  # before anybody said that it lives, and after that ended
            with pytest.raises(NoWorker):
                client.ask(tmp_path, "echo", {"question": "what nobody is to hear"}, seconds=1)
            with pytest.raises(TimeoutError):
                stranger.accept()
            with client.alive(tmp_path):
                assert client.find(tmp_path).token == TOKEN


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"port": "x"}', '{"protocol": 999, "port": 1, "token": "", "pid": 1}']
)
def test_a_card_of_another_form_is_no_worker(tmp_path: Path, content: str) -> None:
    client.card(tmp_path).write_text(content, encoding="ascii")
    with client.alive(tmp_path), pytest.raises(NoWorker):
        client.find(tmp_path)


def test_a_card_is_taken_away_by_its_worker_only(up: Path) -> None:
    client.remove_card(up, os.getpid() + 1)
    assert client.find(up).pid == os.getpid()
    client.remove_card(up, os.getpid())
    with pytest.raises(NoWorker):
        client.find(up)


def test_a_search_comes_back_as_it_was(up: Path) -> None:
    from apps.reports import plain
    from apps.search_reports import AnswerReport, Hit, SearchResponse

    hit = Hit(
        1,
        0.5,
        "notes",
        "a.md",
        "A",
        "snippet",
        ((0, 3),),
        "exact",
        1,
        2,
        None,
        None,
        0,
        7,
        "prose",
        None,
        None,
        "d",
        "c",
        ("x:1",),
    )
    for answer in (None, AnswerReport("supported", 0.9, "words", (hit,), 1)):
        response = SearchResponse("q", (hit,), {"total": 1.5}, ("note",), answer)
        assert client.response(json.loads(json.dumps(plain(response)))) == response
