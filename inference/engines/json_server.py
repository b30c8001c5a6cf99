"""One address of a model server that takes and gives JSON: what goes wrong becomes an error of ``inference.errors``.

Standard library only. A key is sent and never shown: messages hold no header and at most 200 characters of a reply.
"""

import http.client
import json
import socket
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from typing import Any, Final

from inference.errors import ConfigInvalid, EngineTimeout, EngineUnavailable

_TRANSIENT_STATUS: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
_QUOTED: Final = 200


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
        parts = urllib.parse.urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
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
            EngineUnavailable: the server refuses or cannot be reached.
            EngineTimeout: it did not answer in time.
        """
        data = json.dumps(body).encode("ascii")
        request = urllib.request.Request(self.endpoint, data=data, method="POST")  # noqa: S310 - http(s) is checked
        request.add_header("Content-Type", "application/json")
        if self._key:
            request.add_header("Authorization", f"Bearer {self._key}")
        try:
            with self._opener.open(request, timeout=self._timeout) as reply:
                content: bytes = reply.read()
                return content
        except urllib.error.HTTPError as error:
            with error:
                quoted = error.read(4 * _QUOTED).decode("utf-8", "replace")
            quoted = quoted.replace(self._key, "***")[:_QUOTED] if self._key else quoted[:_QUOTED]
            remedy = "check the key" if error.code in (401, 403) else "check the model's name and the server's log"
            transient = error.code in _TRANSIENT_STATUS
            raise EngineUnavailable(
                f"{self.where} answered {error.code}: {quoted!r}; remedy: {remedy}", is_transient=transient
            ) from None
        except (TimeoutError, urllib.error.URLError, http.client.HTTPException, OSError) as error:
            cause = error.reason if isinstance(error, urllib.error.URLError) else error
            if isinstance(cause, (TimeoutError, socket.timeout)):
                raise EngineTimeout(
                    f"{self.where} did not answer within {self._timeout:g} s; remedy: a smaller batch or a longer timeout"
                ) from None
            raise EngineUnavailable(
                f"{self.where} cannot be reached ({type(cause).__name__}); remedy: start the server or correct the url",
                is_transient=True,
            ) from None


def _shown(url: str) -> str:
    """An address without user, password and query."""
    parts = urllib.parse.urlsplit(url)
    return urllib.parse.urlunsplit((parts.scheme, parts.hostname or "", parts.path, "", ""))
