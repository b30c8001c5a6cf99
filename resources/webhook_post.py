"""One delivery of a webhook message: signed as Standard Webhooks 1.0 says, over HTTP, within ten seconds.

No proxy is asked and no redirect followed. What is delivered when is ``webhooks``'.
"""

import base64
import contextlib
import hashlib
import hmac
import http.client
import socket
import ssl
import threading

from resources.webhook_file import Hook

SECONDS = 10.0
"""A delivery takes at most so long."""


def signature(secret: bytes, ident: str, timestamp: int, body: bytes) -> str:
    """The value of ``webhook-signature``: ``v1,`` and the base64 of HMAC-SHA256 over ``id.timestamp.body``."""
    signed = f"{ident}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode()


def post(hook: Hook, ident: str, body: bytes, now: float) -> int:
    """Deliver one message over HTTP; the status.

    Raises:
        OSError, http.client.HTTPException: nobody answered, or not within ten seconds.
    """
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "Cortex",
        "webhook-id": ident,
        "webhook-timestamp": str(int(now)),
        "webhook-signature": signature(hook.secret, ident, int(now), body),
    }
    connection: http.client.HTTPConnection
    if hook.scheme == "https":
        context = ssl.create_default_context()
        connection = http.client.HTTPSConnection(hook.host, hook.port, timeout=SECONDS, context=context)
    else:
        connection = http.client.HTTPConnection(hook.host, hook.port, timeout=SECONDS)
    # The socket's own limit is for each read: a receiver that sends a byte now and then would hold everybody up.
    limit = threading.Timer(SECONDS, _cut, (connection,))
    limit.daemon = True
    limit.start()
    try:
        connection.connect()
        if not limit.is_alive():  # looking the name up took so long; nothing was there yet that could be cut
            raise TimeoutError(f"no connection within {SECONDS:g} s")
        connection.request("POST", hook.target, body, headers)
        return connection.getresponse().status
    finally:
        limit.cancel()
        connection.close()


def _cut(connection: http.client.HTTPConnection) -> None:
    sock = connection.sock
    if sock is not None:
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
