"""Embeddings from any server that speaks OpenAI's ``POST <url>/embeddings``: vLLM, llama-server, Ollama, hosted ones.

A time-out, a refused connection, 408, 425, 429 and 5xx are retried with growing pauses; anything else is an error at once.
"""

import json
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Final

import numpy as np

from inference.engines.json_server import JsonServer
from inference.errors import EngineReplyInvalid, EngineUnavailable, InferenceError
from inference.protocols import Floats, Progress, Space, Tokenizer

if TYPE_CHECKING:
    from inference.generation.recording import Recorder

_LONGEST_PAUSE: Final = 30.0


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
        recorder: writes each call down; None = nobody does.
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
        recorder: "Recorder | None" = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.space = space
        self.tokenizer = tokenizer
        self._server = JsonServer(
            "embedding server", url=url, path="embeddings", model=model, api_key=api_key, timeout=timeout
        )
        self._model, self._batch_size, self._recorder = model, batch_size, recorder
        self._attempts, self._pause, self._sleep = attempts, pause, sleep

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
            vectors[start : start + len(group)] = self._vectors(
                self._ask(kept, sum(min(count, most) for count in counts)), len(group)
            )
            if progress is not None:
                progress(sum(min(count, most) for count in counts))
        return vectors

    def _cut(self, text: str, most: int) -> str:
        return text[: int(self.tokenizer.encode(text).ends[most - 1])]

    def _ask(self, texts: list[str], tokens: int) -> bytes:
        """The reply to one request, tried ``attempts`` times; each is written down."""
        failure: InferenceError = EngineUnavailable(f"{self._server.where} was not asked")
        for attempt in range(self._attempts):
            if attempt:
                self._sleep(min(self._pause * 2.0 ** (attempt - 1), _LONGEST_PAUSE))
            try:
                with self._recorder.call(tokens) if self._recorder else nullcontext() as told:
                    reply = self._server.post({"model": self._model, "input": texts, "encoding_format": "float"})
                    if told is not None:
                        told.hear(reply)
                    return reply
            except InferenceError as error:
                if not error.is_transient:
                    raise
                failure = error
        raise failure

    def _vectors(self, reply: bytes, count: int) -> Floats:
        """Vectors of a reply in the order of the request, made length 1."""
        where = self._server.where
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
