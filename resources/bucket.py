"""An object store below one URL: small objects that are created and replaced under conditions, and what went wrong in a sentence.

The lake's tables are delta-rs' and Polars' affair; they get ``Bucket.options``. Here is what leases and looks need besides.
No message of the store is passed on: an answer of S3 repeats headers and keys, so an error says what failed and the remedy.
"""

import builtins
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

LOCKS = "_locks"
"""Below the lake's URL: leases, and what is written to look at the store's clock."""
_CONNECT, _AT_ONCE, _QUICK, _PATIENT = "3s", "4s", "10s", "120s"
"""Time-outs: of a connection, of a first look, of a small object, of a table's file."""
_RETRIES = {"max_retries": 3, "retry_timeout": timedelta(seconds=8)}


NO_PROMISE = (
    "no machine may use this lake: take a store that keeps conditions of a put (AWS S3, MinIO, Cloudflare R2, Ceph)"
)


class ObjectStoreError(Exception):
    """The object store cannot be used as it must; the message names it, what is wrong and the remedy."""


@dataclass(frozen=True, slots=True)
class Found:
    """An object: its bytes, the tag that a conditional replacement names, and when the store wrote it, by the store's clock."""

    content: bytes
    tag: str
    modified_at: datetime


@dataclass(frozen=True, slots=True)
class Listed:
    """An object in a listing; see ``Found``."""

    key: str
    size: int
    modified_at: datetime


@dataclass(frozen=True, slots=True)
class Bucket:
    """A place in an object store.

    Attributes:
        url: ``s3://bucket/prefix``, without a slash at the end.
        settings: what the environment says of it (``AWS_*``), as pairs; never shown.
    """

    url: str
    settings: tuple[tuple[str, str], ...] = field(default=(), repr=False)

    @property
    def options(self) -> dict[str, str]:
        """What delta-rs and Polars need; commits of delta-rs are puts that fail where the object is there already."""
        return {**dict(self.settings), "aws_conditional_put": "etag"}

    @property
    def secrets(self) -> tuple[str, ...]:
        """Values that must not be shown, wherever."""
        return tuple(value for name, value in self.settings if name in _SECRET and len(value) >= _SECRET_LENGTH)

    def hide(self, text: str) -> str:
        """A text without them."""
        for secret in self.secrets:
            text = text.replace(secret, "█")
        return text

    def create(self, key: str, content: bytes) -> str | None:
        """Write an object that is not there yet; its tag, or None where it is there."""
        return self._put(key, content, "create")

    def replace(self, key: str, content: bytes, tag: str) -> str | None:
        """Write an object if it still has a tag; its new one, or None where it is another by now, or gone."""
        return self._put(key, content, {"e_tag": tag})

    def _put(self, key: str, content: bytes, mode: Any) -> str | None:
        from obstore.exceptions import AlreadyExistsError, NotFoundError, PreconditionError

        with self._told():
            try:
                return str(_store(self).put(key, content, mode=mode)["e_tag"])
            except (AlreadyExistsError, PreconditionError, NotFoundError, FileNotFoundError):
                return None

    def write(self, key: str, content: bytes) -> None:
        """Write an object, whatever was there; it may be large."""
        with self._told():
            _store(self, _PATIENT).put(key, content)

    def read(self, key: str) -> Found | None:
        """An object, or None where there is none."""
        with self._told():
            try:
                answer = _store(self).get(key)
                return Found(bytes(answer.bytes()), str(answer.meta["e_tag"]), answer.meta["last_modified"])
            except FileNotFoundError:
                return None

    def list(self, prefix: str, after: str | None = None) -> "builtins.list[Listed]":
        """The objects below a prefix, by key; with ``after`` those whose key is greater."""
        with self._told():
            pages = [*_store(self).list(prefix, offset=after)]
        found = [Listed(one["path"], one["size"], one["last_modified"]) for page in pages for one in page]
        return sorted(found, key=lambda one: one.key)

    def delete(self, key: str) -> None:
        """Remove an object; none there is no error."""
        with self._told():
            try:
                _store(self).delete(key)
            except FileNotFoundError:
                return

    def now(self) -> datetime:
        """The time by the clock that also dates objects: that of an object that is written for it."""
        key = f"{LOCKS}/_clock"
        with self._told():
            _store(self).put(key, os.urandom(8))
            modified_at: datetime = _store(self).head(key)["last_modified"]
            return modified_at

    def check(self) -> None:
        """Ask whether the store answers, and answers us.

        Raises:
            ObjectStoreError: it does not.
        """
        with self._told():
            _store(self, _AT_ONCE).list_with_delimiter(LOCKS)

    def broken_promise(self) -> str:
        """What the store does that it must not, by trying; empty where it keeps what leases and commits rest on."""
        key = f"{LOCKS}/_trial/{os.urandom(8).hex()}"
        try:
            first = self.create(key, b"first")
            if first is None:
                return "an object that is not there cannot be created under the condition that it is not"
            if self.create(key, b"second") is not None:
                return "an object was created that was there already"
            if self.replace(key, b"third", first) is None:
                return "an object cannot be replaced under the condition that it is what it was"
            if self.replace(key, b"fourth", first) is not None:
                return "an object was replaced that was another one by then"
            return ""
        finally:
            self.delete(key)

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            if type(error).__module__.split(".")[0] != "obstore" and not isinstance(error, OSError):
                raise
            raise self.explained(error) from None

    def explained(self, error: BaseException) -> ObjectStoreError:
        """What an error of the store's client means, in our words: the client's may repeat what was sent."""
        text = str(error)
        for signs, what, remedy in _MEANINGS:
            if any(sign in text for sign in signs):
                return ObjectStoreError(f"{self.url}: {what}{self._endpoint()}; {remedy}")
        kind = type(error).__name__
        return ObjectStoreError(
            f"{self.url}: the object store failed ({kind}){self._endpoint()}; try again, `cortex doctor` looks at it"
        )

    def _endpoint(self) -> str:
        endpoint = dict(self.settings).get("AWS_ENDPOINT_URL", "")
        return f" (endpoint {endpoint})" if endpoint else ""


@dataclass(frozen=True, slots=True)
class LeasePlace:
    """Where the leases of a lake on an object store are.

    Attributes:
        folder: of this machine's own lock files, which exclude its processes from each other.
        bucket: of the lake.
        machine: name of this machine (``resources.machine``).
        term: seconds after which a lease that is not renewed may be taken by others.
    """

    folder: Path
    bucket: Bucket
    machine: str
    term: float


_SECRET = frozenset({"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"})
_SECRET_LENGTH = 4
"""What is shorter protects nothing, and stands in any text."""
_MEANINGS = (
    (
        ("error sending request", "HTTP error", "timed out", "Connection refused", "dns error"),
        "the object store cannot be reached",
        "see that it runs and that AWS_ENDPOINT_URL and AWS_REGION are right",
    ),
    (
        ("NoSuchBucket", "specified bucket does not exist"),
        "there is no such bucket",
        "make it with your provider's tools, or correct CORTEX_LAKE",
    ),
    (
        (
            "403 Forbidden",
            "401 Unauthorized",
            "InvalidAccessKeyId",
            "SignatureDoesNotMatch",
            "AccessDenied",
            "ExpiredToken",
        ),
        "the object store refuses these credentials",
        "correct AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, or what they may do",
    ),
    (
        ("501 Not Implemented", "NotImplemented"),
        "the object store knows no conditional put, without which two machines would harm the lake",
        NO_PROMISE,
    ),
)


@lru_cache(maxsize=64)
def _store(bucket: Bucket, seconds: str = _QUICK) -> Any:
    """The client; its connections are shared by all threads."""
    from obstore.store import S3Store

    name, _, prefix = bucket.url.removeprefix("s3://").partition("/")
    known = {_NAMES[variable]: value for variable, value in bucket.settings if variable in _NAMES}
    allow_http = dict(bucket.settings).get("AWS_ALLOW_HTTP", "") == "true"
    return S3Store(
        name,
        prefix=prefix or None,
        config=known,  # type: ignore[arg-type]
        client_options={"connect_timeout": _CONNECT, "timeout": seconds, "allow_http": allow_http},
        retry_config=_RETRIES,  # type: ignore[arg-type]
    )


_NAMES: Mapping[str, str] = {
    "AWS_ACCESS_KEY_ID": "access_key_id",
    "AWS_SECRET_ACCESS_KEY": "secret_access_key",
    "AWS_SESSION_TOKEN": "session_token",
    "AWS_REGION": "region",
    "AWS_ENDPOINT_URL": "endpoint",
}
