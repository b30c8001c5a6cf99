"""Lets a server on the loopback interface answer its own pages only: an ASGI layer around the app's and Dagster's servers.

Any page in a browser can send requests to a loopback port, and a name of another site can be made to resolve to it. So a
request must name this machine, one that says which page it comes from must come from this server's own, and a question of
GraphQL is not taken from an address: a mere picture on another site's page could ask for a run, or delete one. Programs
without a browser say no origin and are answered. No other site's page may hold one of these pages as a frame, where a person
clicks without seeing on what.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qsl

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

NAMES = frozenset({"127.0.0.1", "localhost"})
REFUSED = 403
_POLICY_VIOLATION = 1008


class OwnPages:
    """The layer; refuses with 403 and says why."""

    def __init__(self, app: App) -> None:
        """Around an application."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, or one websocket."""
        problem = problem_of(scope) if scope["type"] in ("http", "websocket") else ""

        async def unframed(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), (b"x-frame-options", b"SAMEORIGIN")]
            await send(message)

        if not problem:
            await self._app(scope, receive, unframed)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": _POLICY_VIOLATION, "reason": problem})
        else:
            content = problem.encode("ascii")
            headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(content)).encode())]
            await send({"type": "http.response.start", "status": REFUSED, "headers": headers})
            await send({"type": "http.response.body", "body": content})


def problem_of(scope: Scope) -> str:
    """Why a request is not answered; empty where it is."""
    hosts, origins = _values(scope, b"host"), _values(scope, b"origin")
    if len(hosts) != 1 or _name(hosts[0]) not in NAMES:
        return "this host name is not served"
    if any(origin != f"http://{hosts[0]}" for origin in origins):
        return "another page may not ask here"
    if scope["type"] == "http" and scope["method"] != "POST" and scope["path"].rstrip("/").endswith("/graphql"):
        asked = parse_qsl(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True)
        if any(name == "query" for name, _ in asked):
            return "a question is posted, never part of an address"
    return ""


def _values(scope: Scope, name: bytes) -> list[str]:
    return [value.decode("latin-1").lower() for key, value in scope["headers"] if key.lower() == name]


def _name(host: str) -> str:
    """A host without its port."""
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdecimal() else host
