"""Embeddings from any server that speaks OpenAI's ``POST <url>/embeddings``: vLLM, llama-server, Ollama, hosted ones.

Standard library only. A time-out, a refused connection, 408, 425, 429 and 5xx are retried with growing pauses; anything
else is an error at once. A key is sent and never shown: messages hold no header and at most 200 characters of a reply.
"""

import http.client
import json
import socket
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from inference.errors import ConfigInvalid, EngineReplyInvalid, EngineTimeout, EngineUnavailable, InferenceError
from inference.protocols import Floats, Progress, Space, Tokenizer

_TRANSIENT_STATUS: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
_LONGEST_PAUSE: Final = 30.0
_QUOTED: Final = 200


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect would carry the key to another host: it becomes an error that names the status."""

    def redirect_request(self, *_: Any) -> None:
        return None


class OpenAICompatible:
    """``inference.protocols.Embedder`` over HTTP.

    Args:
        space: the space its vectors are of; ``space.model`` is not what is sent, ``model`` is.
        tokenizer: cuts texts longer than ``space.max_tokens``; an estimate when it is not the server model's own.
        url: base address, such as ``http://127.0.0.1:8000/v1``.
        model: the name that the server knows the model by.
        api_key: sent as a bearer token when not empty.
        batch_size: texts in one request.
        timeout: seconds for one request.
        attempts: how often a request is tried.
        pause: seconds before the second attempt, doubled each time.
        sleep: waits (an argument so that a test need not).

    Raises:
        ConfigInvalid: the address is not http or https.
    """

    precision = "fp32"

    def __init__(
        self,
        space: Space,
        tokenizer: Tokenizer,
        *,
        url: str,
        model: str,
        api_key: str = "",
        batch_size: int = 64,
        timeout: float = 60.0,
        attempts: int = 4,
        pause: float = 0.5,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        parts = urllib.parse.urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
            raise ConfigInvalid(
                f"embedding server {_shown(url)} is not an address; remedy: http(s)://host:port/v1 without the key"
            )
        self.space = space
        self.tokenizer = tokenizer
        self._endpoint = url.rstrip("/") + "/embeddings"
        self._model, self._key = model, api_key
        self._batch_size, self._timeout = batch_size, timeout
        self._attempts, self._pause, self._sleep = attempts, pause, sleep
        self._opener = urllib.request.build_opener(_NoRedirect)

    def embed_batch(self, texts: Sequence[str], progress: Progress | None = None) -> Floats:
        """Vectors of shape (len(texts), dimensions), float32, of length 1, in the order of ``texts``.

        Raises:
            EngineUnavailable: the server refuses or cannot be reached.
            EngineTimeout: it did not answer in time, every time.
            EngineReplyInvalid: it answered with something else than vectors of this space.
        """
        vectors: Floats = np.zeros((len(texts), self.space.dimensions), dtype=np.float32)
        most = self.space.max_tokens - self.tokenizer.special_tokens
        for start in range(0, len(texts), self._batch_size):
            group = list(texts[start : start + self._batch_size])
            counts = self.tokenizer.count_batch(group)
            kept = [self._cut(text, most) if count > most else text for text, count in zip(group, counts, strict=True)]
            vectors[start : start + len(group)] = self._vectors(self._ask(kept), len(group))
            if progress is not None:
                progress(sum(min(count, most) for count in counts))
        return vectors

    def _cut(self, text: str, most: int) -> str:
        return text[: int(self.tokenizer.encode(text).ends[most - 1])]

    def _ask(self, texts: list[str]) -> bytes:
        """The reply to one request, tried ``attempts`` times."""
        failure: InferenceError = EngineUnavailable(f"embedding server {self._endpoint} was not asked")
        for attempt in range(self._attempts):
            if attempt:
                self._sleep(min(self._pause * 2.0 ** (attempt - 1), _LONGEST_PAUSE))
            try:
                return self._post(texts)
            except InferenceError as error:
                if not error.is_transient:
                    raise
                failure = error
        raise failure

    def _post(self, texts: list[str]) -> bytes:
        body = json.dumps({"model": self._model, "input": texts, "encoding_format": "float"}).encode("ascii")
        request = urllib.request.Request(self._endpoint, data=body, method="POST")  # noqa: S310 - http(s) is checked
        request.add_header("Content-Type", "application/json")
        if self._key:
            request.add_header("Authorization", f"Bearer {self._key}")
        where = f"embedding server {self._endpoint} (model {self._model})"
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
                f"{where} answered {error.code}: {quoted!r}; remedy: {remedy}", is_transient=transient
            ) from None
        except (TimeoutError, urllib.error.URLError, http.client.HTTPException, OSError) as error:
            cause = error.reason if isinstance(error, urllib.error.URLError) else error
            if isinstance(cause, (TimeoutError, socket.timeout)):
                raise EngineTimeout(
                    f"{where} did not answer within {self._timeout:g} s; remedy: a smaller batch or a longer timeout"
                ) from None
            raise EngineUnavailable(
                f"{where} cannot be reached ({type(cause).__name__}); remedy: start the server or correct the url",
                is_transient=True,
            ) from None

    def _vectors(self, reply: bytes, count: int) -> Floats:
        """Vectors of a reply in the order of the request, made length 1."""
        where = f"embedding server {self._endpoint} (model {self._model})"
        try:
            rows = sorted(json.loads(reply)["data"], key=lambda row: int(row["index"]))
            indexes = [int(row["index"]) for row in rows]
            vectors: Floats = np.asarray([row["embedding"] for row in rows], dtype=np.float32)
        except (ValueError, KeyError, TypeError) as error:
            raise EngineReplyInvalid(
                f"{where} did not answer with embeddings; remedy: is it an embedding model?"
            ) from error
        wanted = (count, self.space.dimensions)
        if indexes != list(range(count)) or vectors.shape != wanted:
            raise EngineReplyInvalid(
                f"{where} answered vectors of shape {vectors.shape}, wanted {wanted}; correct dimensions"
            )
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        if not np.isfinite(vectors).all() or not lengths.all():
            raise EngineReplyInvalid(f"{where} answered a vector that is zero or not finite; use another model")
        unit: Floats = vectors / lengths
        return unit


def _shown(url: str) -> str:
    """An address without user, password and query."""
    parts = urllib.parse.urlsplit(url)
    return urllib.parse.urlunsplit((parts.scheme, parts.hostname or "", parts.path, "", ""))
