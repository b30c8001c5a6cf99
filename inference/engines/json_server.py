"""One address of a model server that takes and gives JSON: what goes wrong becomes an error of ``inference.errors``.

Connections are kept open and used again. A deadline is over everything, from connecting to the last byte, and cancelling ends
a call at once: a watch shuts the socket, for a server that sends a byte now and then is as good as silent. A key is sent and
never shown: messages hold no header and at most 200 characters of a reply. Retrying is not done here.
"""

import json
import socket
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import urllib3
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NameResolutionError,
    NewConnectionError,
    ProxyError,
    ReadTimeoutError,
)
from urllib3.util import Timeout, parse_url

from inference.engines.addresses import is_address, shown
from inference.engines.refusals import refusal
from inference.engines.watching_sockets import Guard, connection_pool
from inference.errors import Cancelled, ConfigInvalid, EngineReplyInvalid, EngineTimeout, EngineUnavailable
from inference.errors import EngineUnreachable as Unreachable
from inference.requests import Limits, limits

_MOST_BYTES: Final = 256 * 1024 * 1024
"""Of a reply: vectors of a large batch have a tenth of it."""
_MOST_LINE: Final = 8 * 1024 * 1024
_BLOCK: Final = 64 * 1024
_CONNECT_SECONDS: Final = 5.0
_QUOTED_BYTES: Final = 4096
_NEVER_SENT: Final = (NewConnectionError, NameResolutionError, ConnectTimeoutError, ProxyError)


class JsonServer:
    """Posts to one address. Thread-safe.

    Args:
        what: the server in words, such as ``embedding server``.
        url: base address, such as ``http://127.0.0.1:8000/v1``.
        path: below it, such as ``embeddings``.
        model: the name that the server knows the model by.
        api_key: sent as a bearer token when not empty.
        timeout: seconds for one request, where a call gives no limits of its own.

    Raises:
        ConfigInvalid: the address is not http or https.
    """

    def __init__(self, what: str, *, url: str, path: str, model: str, api_key: str, timeout: float) -> None:
        if not is_address(url):
            raise ConfigInvalid(
                f"{what} {shown(url)} is not an address; remedy: http(s)://host:port/v1 without the key"
            )
        if not (api_key.isascii() and api_key.isprintable()):
            raise ConfigInvalid(
                f"the key of {what} {shown(url)} holds a character that no key has; remedy: set it anew"
            )
        self.endpoint = f"{url.rstrip('/')}/{path}"
        self.where = f"{what} {self.endpoint} (model {model})"
        self._key, self._timeout = api_key, timeout
        self._target = parse_url(self.endpoint).request_uri
        self._pool = connection_pool(self.endpoint, _proxy_of(self.endpoint))
        self._headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
        if api_key:
            self._headers["Authorization"] = f"Bearer {api_key}"

    def post(self, body: Mapping[str, object], within: Limits | None = None) -> bytes:
        """The reply to one request.

        Raises:
            EngineRefused: the server answered with an error.
            ContextExceeded: it says that the request is too long.
            EngineUnreachable: it cannot be reached.
            EngineUnavailable: it broke off.
            EngineTimeout: it did not answer in time, or not to the end.
            EngineReplyInvalid: it answers without end.
            Cancelled: nobody wants the answer any more.
        """
        with self._sent(body, within or limits(self._timeout)) as reply:
            return self._whole(reply)

    def get(self, within: Limits | None = None) -> bytes:
        """What stands at the address.

        Raises:
            InferenceError: as for ``post``.
        """
        with self._sent(None, within or limits(self._timeout)) as reply:
            return self._whole(reply)

    def lines(self, body: Mapping[str, object], within: Limits) -> Iterator[bytes]:
        """The reply line by line, as it comes, line ends cut off. Closing the iterator ends the call.

        Raises:
            InferenceError: as for ``post``.
        """
        with self._sent(body, within) as reply:
            held, size = bytearray(), 0
            while block := reply.read1(_BLOCK):
                held += block
                size += len(block)
                if size > _MOST_BYTES:
                    raise self._endless()
                *lines, rest = bytes(held).split(b"\n")
                held = bytearray(rest)
                if len(held) > _MOST_LINE:
                    raise EngineReplyInvalid(f"{self.where} sends a line without end; is it a model server?")
                for line in lines:
                    yield line.rstrip(b"\r")
            within.check(self.where)  # where that shut the socket, the rest is no line
            if held:
                yield bytes(held)

    def close(self) -> None:
        """Close the connections that are kept open; new ones are made when used."""
        old, self._pool = self._pool, connection_pool(self.endpoint, _proxy_of(self.endpoint))
        old.close()

    def quoted(self, raw: bytes) -> str:
        """The beginning of a reply, for messages, without the key."""
        text = raw[:_QUOTED_BYTES].decode("utf-8", "replace")
        if not self._key:
            return text
        text = text.replace(self._key, "***")
        for most in range(len(self._key) - 1, 3, -1):
            if text.endswith(self._key[:most]):  # what was read ends in the middle of it
                return f"{text[:-most]}***"
        return text

    @contextmanager
    def _sent(self, body: Mapping[str, object] | None, within: Limits) -> Iterator[urllib3.BaseHTTPResponse]:
        """Send a request and look at the status; errors of reading what follows are translated, too."""
        within.check(self.where)
        data = None if body is None else json.dumps(body).encode("ascii")
        guard = Guard(within)
        reply: urllib3.BaseHTTPResponse | None = None
        is_read = False
        try:
            with guard:
                with guard.connecting():
                    reply = self._asked(data, within)
                if not 200 <= reply.status < 300:
                    raise refusal(self.where, reply.status, self._quotable(reply), reply.headers)
                yield reply
                is_read = True
                guard.check()
        except (HTTPError, OSError, ValueError) as error:  # ValueError: a header that is none
            raise self._translated(error, guard) from None
        finally:
            if reply is not None:
                if is_read:
                    reply.release_conn()
                else:
                    reply.close()

    def _asked(self, data: bytes | None, within: Limits) -> urllib3.BaseHTTPResponse:
        return self._pool.urlopen(
            "GET" if data is None else "POST",
            self._target,
            data,
            self._headers,
            retries=False,
            redirect=False,
            preload_content=False,
            timeout=Timeout(connect=min(_CONNECT_SECONDS, max(within.left, 0.001)), read=None),
        )

    def _quotable(self, reply: urllib3.BaseHTTPResponse) -> str:
        return self.quoted(reply.read1(_QUOTED_BYTES))

    def _translated(self, error: Exception, guard: Guard) -> Exception:
        if guard.is_cancelled:
            return Cancelled(f"{self.where}: cancelled")
        unsent = isinstance(error, _NEVER_SENT)
        if guard.is_late or isinstance(error, (ReadTimeoutError, TimeoutError)):
            return self._late(guard.seconds)
        if unsent:
            remedy = "start the server or correct the url"
            return Unreachable(f"{self.where} cannot be reached ({_cause(error)}); remedy: {remedy}")
        remedy = "look at the server's log"
        return EngineUnavailable(f"{self.where} broke off ({_cause(error)}); remedy: {remedy}", is_transient=True)

    def _whole(self, reply: urllib3.BaseHTTPResponse) -> bytes:
        blocks, size = [], 0
        while block := reply.read1(_BLOCK):
            blocks.append(block)
            size += len(block)
            if size > _MOST_BYTES:
                raise self._endless()
        return b"".join(blocks)

    def _endless(self) -> EngineReplyInvalid:
        return EngineReplyInvalid(f"{self.where} answered more than {_MOST_BYTES:,} bytes; is it a model server?")

    def _late(self, seconds: float) -> EngineTimeout:
        return EngineTimeout(
            f"{self.where} did not answer within {round(seconds, 2):g} s; remedy: a smaller batch or a longer timeout"
        )


def _proxy_of(url: str) -> str | None:
    """The proxy that the machine is set up with for an address."""
    parts = urllib.parse.urlsplit(url)
    host = parts.hostname or ""
    if host in ("localhost", "::1") or host.startswith("127.") or urllib.request.proxy_bypass(host):
        return None
    return urllib.request.getproxies().get(parts.scheme)


def _cause(error: Exception) -> str:
    """The name of what is at the bottom, for people who search for it."""
    below: Any = error
    while (next_below := getattr(below, "original_error", None) or below.__cause__ or below.__context__) is not None:
        below = next_below
    return "timeout" if isinstance(below, (TimeoutError, socket.timeout)) else type(below).__name__
