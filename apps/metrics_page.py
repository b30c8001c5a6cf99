"""``GET /metrics`` beside the app's pages: an ASGI layer around its server, inside ``own_pages``, so that only this machine is answered."""

import asyncio
from collections.abc import Iterable

from apps import reader
from apps.errors import explain, is_expected
from apps.exposition import CONTENT_TYPE
from apps.own_pages import App, Receive, Scope, Send

PATH = "/metrics"
_OK, _UNAVAILABLE, _NOT_ALLOWED = 200, 503, 405


class MetricsPage:
    """The layer; counts anew for every request, one at a time."""

    def __init__(self, app: App) -> None:
        """Around an application."""
        self._app = app
        self._counting = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, or one websocket."""
        if scope["type"] != "http" or scope["path"] != PATH:
            await self._app(scope, receive, send)
        elif scope["method"] not in ("GET", "HEAD"):
            await _answer(send, _NOT_ALLOWED, b"", [(b"allow", b"GET, HEAD")])
        else:
            async with self._counting:
                status, said = await asyncio.to_thread(_counted)
            content = said.encode("utf-8", "replace")
            length = (b"content-length", str(len(content)).encode())
            kind = (b"content-type", CONTENT_TYPE.encode())
            await _answer(send, status, b"" if scope["method"] == "HEAD" else content, [kind, length])


def _counted() -> tuple[int, str]:
    try:
        return _OK, reader.metrics()
    except Exception as error:
        if not is_expected(error):
            raise
        return _UNAVAILABLE, f"# {' '.join(explain(error).what.split())}\n"


async def _answer(send: Send, status: int, content: bytes, headers: Iterable[tuple[bytes, bytes]]) -> None:
    await send({"type": "http.response.start", "status": status, "headers": [*headers]})
    await send({"type": "http.response.body", "body": content})
