"""Around the app's and Dagster's servers: their own pages and programs are answered, other sites' pages are not, however they ask."""

import asyncio
import subprocess
import sys
from collections.abc import MutableMapping
from typing import Any

import pytest

from apps.own_pages import OwnPages

OWN = {"host": "127.0.0.1:3000"}


def asked(kind: str, method: str, target: str, headers: dict[str, str]) -> list[MutableMapping[str, Any]]:
    """What is sent for a request; the application inside sends one message of its own."""
    sent: list[MutableMapping[str, Any]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "answered"} if kind == "websocket" else {"type": "http.response.start", "headers": []})

    async def receive() -> MutableMapping[str, Any]:
        raise AssertionError("nothing is read")

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    path, _, query = target.partition("?")
    pairs = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    scope = {"type": kind, "method": method, "path": path, "query_string": query.encode(), "headers": pairs}
    asyncio.run(OwnPages(app)(scope, receive, send))
    return sent


@pytest.mark.parametrize(
    ("method", "target", "headers"),
    [
        ("GET", "/", OWN),
        ("GET", "/", {"host": "localhost"}),
        ("GET", "/graphql", OWN),
        ("POST", "/graphql", OWN),
        ("POST", "/graphql", OWN | {"origin": "http://127.0.0.1:3000"}),
        ("GET", "/assets?query=a", OWN),
    ],
)
def test_own_pages_and_programs_are_answered(method: str, target: str, headers: dict[str, str]) -> None:
    (answer,) = asked("http", method, target, headers)
    assert answer == {"type": "http.response.start", "headers": [(b"x-frame-options", b"SAMEORIGIN")]}


@pytest.mark.parametrize(
    ("method", "target", "headers"),
    [
        ("GET", "/", {}),
        ("GET", "/server_info", {"host": "evil.example"}),
        ("POST", "/graphql", {"host": "evil.example:3000", "origin": "http://evil.example:3000"}),
        ("POST", "/graphql", {"host": "127.0.0.1.evil.example:3000"}),
        ("POST", "/graphql", {"host": "127.0.0.1:3000@evil.example"}),
        ("POST", "/graphql", OWN | {"origin": "https://evil.example"}),
        ("POST", "/graphql", OWN | {"origin": "null"}),
        ("POST", "/graphql", OWN | {"origin": "http://127.0.0.1:8080"}),
        ("GET", "/graphql?query=mutation{setNuxSeen}", OWN),
        ("GET", "/graphql/?a=b&query=mutation{setNuxSeen}", OWN),
        ("HEAD", "/graphql?%71uery=mutation{setNuxSeen}", OWN),
    ],
)
def test_others_are_refused(method: str, target: str, headers: dict[str, str]) -> None:
    start, body = asked("http", method, target, headers)
    assert start["status"] == 403
    assert body["body"]


def test_a_websocket_of_another_page_is_closed_before_it_is_opened() -> None:
    other = asked("websocket", "", "/graphql", OWN | {"origin": "http://evil.example"})
    assert [message["type"] for message in other] == ["websocket.close"]
    own = asked("websocket", "", "/graphql", OWN | {"origin": "http://127.0.0.1:3000"})
    assert [message["type"] for message in own] == ["answered"]


@pytest.mark.parametrize(
    ("module", "made"),
    [
        (
            "apps.dagster_parts",
            "dagster_webserver.webserver import DagsterWebserver as it; made = it.build_middleware(None)",
        ),
        (
            "apps.app_server",
            "streamlit.web.server.starlette import starlette_app as it; made = it.create_streamlit_middleware()",
        ),
    ],
)
def test_both_servers_wear_it(module: str, made: str) -> None:
    """In a process of its own: what is Streamlit's and Dagster's is changed."""
    code = (
        f"import {module} as ours; ours.shut_out_other_pages(); from {made}; print(*(one.cls.__name__ for one in made))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    first, *others = done.stdout.split()
    assert first == "OwnPages"
    assert others
