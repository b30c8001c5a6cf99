"""Answers questions on the loopback interface, for whoever shows the token. What the answers are is ``service``'s.

A page in a browser can reach a loopback port, so a question without the token, from another host name, too large or of
another method is refused before anything is read of it. Every user of this machine can reach it, too: whoever does not come to
an end in time, or holds more connections than there are, is put out, so that the worker keeps its threads and files for its work.
"""

import contextlib
import hmac
import io
import json
import logging
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from apps.errors import CommandError, explain, is_expected
from apps.worker.client import HOST

log = logging.getLogger(__name__)

MOST_BYTES = 2**20
PATIENCE = 10.0
"""A question must be there, whole, so many seconds after its connection."""
MOST_CONNECTIONS = 64
"""Where there are more, the one goes that has waited for longest without showing the token."""

Answers = Mapping[str, Callable[[Mapping[str, Any]], Any]]


class Server(ThreadingHTTPServer):
    """A server of some answers on a port of its own choice."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64

    def __init__(self, token: str, answers: Answers, port: int = 0) -> None:
        """Bind; ``serve_forever`` serves.

        Args:
            token: what every question must show.
            answers: by the question's name; each is given the question's JSON object and gives plain JSON values.
            port: 0 lets the system choose.
        """
        super().__init__((HOST, port), _Handler)
        self.token, self.answers = token, answers
        self._strangers: dict[int, socket.socket] = {}
        self._connections = 0
        self._counting = threading.Lock()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.server_address[1])

    def process_request(self, request: Any, client_address: Any) -> None:
        """Take a connection; where there are too many, for another one, or not at all."""
        with self._counting:
            if self._connections >= MOST_CONNECTIONS and self._strangers:
                _cut(self._strangers.pop(next(iter(self._strangers))))
            is_taken = self._connections < 2 * MOST_CONNECTIONS  # those that were cut need a moment to end
            if is_taken:
                self._connections += 1
                self._strangers[id(request)] = request
        if is_taken:
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that broke is nothing to tell; whatever else is, is."""
        if not isinstance(sys.exception(), OSError):
            log.exception("a connection failed")

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve a connection to its end, in a thread of its own."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.know(request)
            with self._counting:
                self._connections -= 1

    def know(self, request: Any) -> None:
        """From now on this connection is not put out: it has shown the token, or ended."""
        with self._counting:
            self._strangers.pop(id(request), None)


def _cut(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


class _InTime(io.RawIOBase):
    """Reads from a socket until a moment (``time.monotonic``): a byte now and then does not keep a connection."""

    def __init__(self, connection: socket.socket, until: float) -> None:
        self._connection, self._until = connection, until

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._connection.settimeout(max(0.001, self._until - time.monotonic()))
        return self._connection.recv_into(buffer)


class _Handler(BaseHTTPRequestHandler):
    server: Server
    timeout = PATIENCE

    def setup(self) -> None:
        super().setup()
        self.rfile = io.BufferedReader(_InTime(self.connection, time.monotonic() + PATIENCE))

    def do_POST(self) -> None:
        """Every question."""
        refusal = self._refusal()
        if refusal is not None:
            self._answer(*refusal)
            return
        answer = self.server.answers.get(self.path.removeprefix("/"))
        if answer is None:
            self._answer(404, {"what": "no such question"})
            return
        self.server.know(self.request)
        content = self.rfile.read(int(self.headers["Content-Length"]))
        self.connection.settimeout(PATIENCE)
        try:
            body = json.loads(content or b"{}")
            if not isinstance(body, dict):
                raise TypeError("a question is a JSON object")
            self._answer(200, answer(body))
        except (ValueError, KeyError, TypeError) as error:
            log.info("a question was not understood: %s", error)
            self._answer(400, {"what": "the question is not understood"})
        except Exception as error:  # noqa: BLE001 (whatever it is, the asker is told)
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        if not is_expected(error):
            log.exception("a question failed")
        code = error.exit_code if isinstance(error, CommandError) else 1
        self._answer(422 if is_expected(error) else 500, explain(error).to_dict() | {"exit_code": code})

    def _refusal(self) -> tuple[int, dict[str, str]] | None:
        port = self.server.port
        if self.headers.get("Host") not in (f"{HOST}:{port}", f"localhost:{port}"):
            return 403, {"what": "this host name is not served"}
        given = self.headers.get("Authorization", "").encode("utf-8", "replace")
        if not hmac.compare_digest(given, f"Bearer {self.server.token}".encode()):
            return 401, {"what": "the token is not shown"}
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or len(length) > 9 or int(length) > MOST_BYTES:
            return 413, {"what": "the question has no length, or is too long"}
        return None

    def _answer(self, status: int, values: Any) -> None:
        content = json.dumps(values).encode("ascii")
        try:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
        except OSError:  # whoever asked has gone
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the name of http.server)
        """Questions are not logged: they are what people look for."""
