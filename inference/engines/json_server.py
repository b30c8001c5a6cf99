"""One address of a model server that takes and gives JSON: what goes wrong becomes an error of ``inference.errors``.

Standard library only. A key is sent and never shown: messages hold no header and at most 200 characters of a reply.
"""

import http.client
import json
import socket
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from typing import Any, Final

from inference.errors import ConfigInvalid, EngineRefused, EngineReplyInvalid, EngineTimeout, EngineUnavailable

_QUOTED: Final = 200


_MOST_BYTES: Final = 256 * 1024 * 1024
"""Of a reply: vectors of a large batch have a tenth of it."""
_BLOCK: Final = 64 * 1024


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect would carry the key to another host: it becomes an error that names the status."""

    def redirect_request(self, *_: Any) -> None:
        return None


class JsonServer:
    """Posts to one address.

    Args:
        what: the server in words, such as ``embedding server``.
        url: base address, such as ``http://127.0.0.1:8000/v1``.
        path: below it, such as ``embeddings``.
        model: the name that the server knows the model by.
        api_key: sent as a bearer token when not empty.
        timeout: seconds for one request.

    Raises:
        ConfigInvalid: the address is not http or https.
    """

    def __init__(self, what: str, *, url: str, path: str, model: str, api_key: str, timeout: float) -> None:
        if not _is_address(url):
            raise ConfigInvalid(
                f"{what} {_shown(url)} is not an address; remedy: http(s)://host:port/v1 without the key"
            )
        self.endpoint = f"{url.rstrip('/')}/{path}"
        self.where = f"{what} {self.endpoint} (model {model})"
        self._key, self._timeout = api_key, timeout
        self._opener = urllib.request.build_opener(_NoRedirect)

    def post(self, body: Mapping[str, object]) -> bytes:
        """The reply to one request.

        Raises:
            EngineRefused: the server answered with an error.
            EngineUnavailable: it cannot be reached.
            EngineTimeout: it did not answer in time, or not to the end.
            EngineReplyInvalid: it answers without end.
        """
        begun = time.monotonic()
        data = json.dumps(body).encode("ascii")
        request = urllib.request.Request(self.endpoint, data=data, method="POST")  # noqa: S310 - http(s) is checked
        request.add_header("Content-Type", "application/json")
        if self._key:
            request.add_header("Authorization", f"Bearer {self._key}")
        try:
            with self._opener.open(request, timeout=self._timeout) as reply:
                return self._whole(reply, begun)
        except urllib.error.HTTPError as error:
            with error:
                quoted = error.read(4 * _QUOTED).decode("utf-8", "replace")
            quoted = quoted.replace(self._key, "***")[:_QUOTED] if self._key else quoted[:_QUOTED]
            remedy = "check the key" if error.code in (401, 403) else "check the model's name and the server's log"
            message = f"{self.where} answered {error.code}: {quoted!r}; remedy: {remedy}"
            raise EngineRefused(message, error.code) from None
        except (TimeoutError, urllib.error.URLError, http.client.HTTPException, OSError) as error:
            cause = error.reason if isinstance(error, urllib.error.URLError) else error
            if isinstance(cause, (TimeoutError, socket.timeout)):
                raise self._late() from None
            raise EngineUnavailable(
                f"{self.where} cannot be reached ({type(cause).__name__}); remedy: start the server or correct the url",
                is_transient=True,
            ) from None

    def _whole(self, reply: http.client.HTTPResponse, begun: float) -> bytes:
        """The reply to its end, if that comes in time: a server that sends a byte now and then is as good as silent."""
        blocks, size = [], 0
        while block := reply.read1(_BLOCK):
            blocks.append(block)
            size += len(block)
            if time.monotonic() - begun > self._timeout:
                raise self._late()
            if size > _MOST_BYTES:
                raise EngineReplyInvalid(
                    f"{self.where} answered more than {_MOST_BYTES:,} bytes; is it a model server?"
                )
        if reply.length:
            raise http.client.IncompleteRead(b"", reply.length)
        return b"".join(blocks)

    def _late(self) -> EngineTimeout:
        return EngineTimeout(
            f"{self.where} did not answer within {self._timeout:g} s; remedy: a smaller batch or a longer timeout"
        )


def _is_address(url: str) -> bool:
    """Whether it is http or https with a host, a possible port, and no user."""
    try:
        parts = urllib.parse.urlsplit(url)
        has_port = parts.port != 0  # one out of range is a ValueError
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and not parts.username and has_port


def _shown(url: str) -> str:
    """An address without user, password and query."""
    try:
        parts = urllib.parse.urlsplit(url)
    except ValueError:
        return repr(url.rpartition("@")[2])
    return urllib.parse.urlunsplit((parts.scheme, parts.hostname or "", parts.path, "", ""))
