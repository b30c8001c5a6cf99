"""Answers questions on the loopback interface, for whoever shows the token. What the answers are is ``service``'s.

A page in a browser can reach a loopback port, so a question without the token, from another host name, too large or of
another method is refused before anything is read of it.
"""

import hmac
import json
import logging
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from apps.errors import CommandError, explain, is_expected
from apps.worker.client import HOST

log = logging.getLogger(__name__)

MOST_BYTES = 2**20
PATIENCE = 10.0

Answers = Mapping[str, Callable[[Mapping[str, Any]], Any]]


class Server(ThreadingHTTPServer):
    """A server of some answers on a port of its own choice."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, token: str, answers: Answers, port: int = 0) -> None:
        """Bind; ``serve_forever`` serves.

        Args:
            token: what every question must show.
            answers: by the question's name; each is given the question's JSON object and gives plain JSON values.
            port: 0 lets the system choose.
        """
        super().__init__((HOST, port), _Handler)
        self.token, self.answers = token, answers

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.server_address[1])


class _Handler(BaseHTTPRequestHandler):
    server: Server
    timeout = PATIENCE

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
        try:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])) or b"{}")
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
        if not length.isdecimal() or int(length) > MOST_BYTES:
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
