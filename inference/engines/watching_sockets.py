"""Connections whose calls end at a deadline or when they are cancelled, whatever the other side does.

A socket's own timeout is for one read: a server that drips a byte a second is never late by it. So one thread of the process
keeps all deadlines and shuts the socket of a call that is late; its reader then sees the end of the stream.
"""

import contextlib
import heapq
import itertools
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, ClassVar, Self

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

from inference.errors import Cancelled
from inference.requests import Limits

_KEPT_OPEN = 32
_TIDY_AT = 4096
_CONNECT_SECONDS = 5.0
_mine = threading.local()


class Guard:
    """One call: from entering to leaving, its deadline and its cancellation shut the socket it was given (``connecting``)."""

    def __init__(self, within: Limits) -> None:
        self.is_late = self.is_cancelled = False
        self.seconds = max(within.left, 0.0)
        self._within = within
        self._socket: socket.socket | None = None
        self._undo: list[Callable[[], None]] = []

    def __enter__(self) -> Self:
        self._undo = [_ALARMS.at(self._within.deadline, self._late), self._within.cancellation.on_cancel(self._cancel)]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for undo in self._undo:
            undo()

    def check(self) -> None:
        """Raise where the stream ended because this ended it.

        Raises:
            Cancelled: somebody does not want the answer any more.
            TimeoutError: it is late.
        """
        if self.is_cancelled:
            raise Cancelled("cancelled")
        if self.is_late:
            raise TimeoutError

    @property
    def left(self) -> float:
        """Seconds, below 0 where it is late."""
        return self._within.left

    @contextmanager
    def connecting(self) -> Iterator[None]:
        """In here, the connection that this thread uses is the call's."""
        _mine.guard = self
        try:
            yield
        finally:
            _mine.guard = None

    def watch(self, connected: socket.socket | None) -> None:
        """This is the socket to shut."""
        self._socket = connected
        if self.is_late or self.is_cancelled:
            self._shut()

    def _late(self) -> None:
        self.is_late = True
        self._shut()

    def _cancel(self) -> None:
        self.is_cancelled = True
        self._shut()

    def _shut(self) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError, TypeError):  # TypeError: TLS within a proxy's TLS is no socket
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)  # of TLS, too: its own would forget its state


class _Watched(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        return _connected(self)

    def connect(self) -> None:
        super().connect()
        _tell(self.sock)

    def request(self, *given: Any, **named: Any) -> None:
        _tell(self.sock)
        super().request(*given, **named)


class _WatchedTls(HTTPSConnection):
    _twin: socket.socket | None = None

    def _new_conn(self) -> socket.socket:
        made = _connected(self)
        self._twin = made.dup()  # the handshake takes the socket away; shutting its twin ends that, too
        _tell(self._twin)
        return made

    def connect(self) -> None:
        try:
            super().connect()
            _tell(self.sock)
        finally:
            if self._twin is not None:
                self._twin.close()

    def request(self, *given: Any, **named: Any) -> None:
        _tell(self.sock)
        super().request(*given, **named)


class _Pool(HTTPConnectionPool):
    ConnectionCls: ClassVar[Any] = _Watched  # type: ignore[misc]


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls: ClassVar[Any] = _WatchedTls  # type: ignore[misc]


def connection_pool(url: str, proxy: str | None = None) -> HTTPConnectionPool:
    """Connections to the host of an address, kept open, whose calls a ``Guard`` ends."""
    manager = urllib3.PoolManager(maxsize=_KEPT_OPEN) if proxy is None else urllib3.ProxyManager(proxy, maxsize=32)
    manager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}
    return manager.connection_from_url(url)


def _connected(to: HTTPConnection) -> socket.socket:
    """As urllib3's own, but a guard ends it, and its deadline is over all addresses of a host."""
    guard: Guard | None = getattr(_mine, "guard", None)
    most = to.timeout if isinstance(to.timeout, (int, float)) else _CONNECT_SECONDS
    try:
        found = socket.getaddrinfo(to._dns_host.strip("[]"), to.port, 0, socket.SOCK_STREAM)
    except socket.gaierror as error:
        raise NameResolutionError(to.host, to, error) from error
    failed: OSError = OSError("the host has no address")
    for family, kind, protocol, _, address in found:
        seconds = most if guard is None else min(most, guard.left)
        if seconds <= 0 or (guard is not None and guard.is_cancelled):
            failed = TimeoutError()
            break
        try:
            made = socket.socket(family, kind, protocol)
        except OSError as error:  # the machine has no addresses of this family
            failed = error
            continue
        try:
            for option in to.socket_options or ():
                made.setsockopt(*option)
            made.settimeout(seconds)
            _tell(made)
            made.connect(address)
        except OSError as error:
            made.close()
            failed = error
        else:
            return made
    _tell(None)
    if isinstance(failed, TimeoutError):
        raise ConnectTimeoutError(to, f"{to.host} did not answer") from failed
    raise NewConnectionError(to, f"{failed}") from failed


def _tell(connected: socket.socket | None) -> None:
    guard: Guard | None = getattr(_mine, "guard", None)
    if guard is not None:
        guard.watch(connected)


class _Alarms:
    """Calls what is due; one thread, begun at the first."""

    def __init__(self) -> None:
        self._due: list[tuple[float, int, list[Callable[[], None]]]] = []
        self._tidy_at = _TIDY_AT
        self._changed = threading.Condition()
        self._numbers = itertools.count()
        self._thread: threading.Thread | None = None

    def at(self, deadline: float, hook: Callable[[], None]) -> Callable[[], None]:
        """Call ``hook`` at ``deadline`` (of ``time.monotonic()``); what is returned takes that back."""
        cell = [hook]
        with self._changed:
            if self._thread is None or not self._thread.is_alive():  # not alive: this process was forked
                self._thread = threading.Thread(target=self._run, name="deadlines", daemon=True)
                self._thread.start()
            if len(self._due) > self._tidy_at:  # those that were taken back stay until they are due
                self._due = [one for one in self._due if one[2]]
                heapq.heapify(self._due)
                self._tidy_at = max(2 * len(self._due), _TIDY_AT)
            heapq.heappush(self._due, (deadline, next(self._numbers), cell))
            if self._due[0][2] is cell:
                self._changed.notify()
        return cell.clear

    def _run(self) -> None:
        while True:
            with self._changed:
                while self._due and not self._due[0][2]:
                    heapq.heappop(self._due)
                if not self._due or self._due[0][0] > time.monotonic():
                    self._changed.wait(self._due[0][0] - time.monotonic() if self._due else None)
                    continue
                _, _, cell = heapq.heappop(self._due)
            for hook in cell:
                hook()


_ALARMS = _Alarms()
