"""Rerankers: a server's, a cross-encoder of sentence-transformers, and late interaction of the embedding model's own tokens."""

import json
import math
from collections.abc import Sequence
from contextlib import nullcontext
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from inference.engines.bert_numpy import BertNumpy
from inference.engines.json_server import JsonServer
from inference.errors import EngineRefused, EngineReplyInvalid, EngineUnavailable
from inference.generation.tokens import estimated_tokens
from inference.models import ModelFiles

if TYPE_CHECKING:
    from inference.generation.recording import Recorder

RERANK_SECONDS: Final = 3.0
TRAINED_SHARE: Final = 0.7
_TEXTS: Final = "texts"
"""What text-embeddings-inference calls the documents; it answers 422 where it misses them."""
_UNPROCESSABLE: Final = 422
LATE_SHARE: Final = 0.2
"""A model that is not trained for it judges little better than its vectors do: measured, .2 is the most that harms neither XQuAD
nor CoSQA (half A +.007 and -.005 with the packaged model)."""


class ServerReranker:
    """``POST <url>/rerank`` as vLLM, llama-server and Jina speak it, or as text-embeddings-inference does."""

    share = TRAINED_SHARE

    def __init__(
        self,
        *,
        url: str,
        model: str,
        api_key: str = "",
        timeout: float = RERANK_SECONDS,
        recorder: "Recorder | None" = None,
    ) -> None:
        """Nothing is asked yet; see ``JsonServer`` for the arguments, and ``recorder`` writes each call down."""
        self.name, self._recorder = model, recorder
        self._field = "documents"
        self._server = JsonServer(
            "rerank server", url=url, path="rerank", model=model, api_key=api_key, timeout=timeout
        )

    def score_batch(self, question: str, texts: Sequence[str]) -> list[float]:
        """See ``inference.protocols.Reranker``."""
        if not texts:
            return []
        try:
            reply = self._post(question, texts)
        except EngineRefused as refusal:
            if refusal.status != _UNPROCESSABLE or self._field == _TEXTS:
                raise
            self._field = _TEXTS
            reply = self._post(question, texts)
        found = self._scores(reply)
        if sorted(found) != list(range(len(texts))):
            raise EngineReplyInvalid(
                f"{self._server.where} answered {len(found)} scores for {len(texts)} texts; use another model"
            )
        if not all(map(math.isfinite, found.values())):
            raise EngineReplyInvalid(
                f"{self._server.where} answered scores that are not finite numbers; use another model"
            )
        return [found[number] for number in range(len(texts))]

    def _post(self, question: str, texts: Sequence[str]) -> bytes:
        tokens = sum(estimated_tokens(text) for text in texts) + len(texts) * estimated_tokens(question)
        with self._recorder.call(tokens) if self._recorder else nullcontext() as told:
            reply = self._server.post({"model": self.name, "query": question, self._field: list(texts)})
            if told is not None:
                told.hear(reply)
            return reply

    def _scores(self, reply: bytes) -> dict[int, float]:
        """Number of a text to its score, from ``{"results": [{"index", "relevance_score"}]}`` or ``[{"index", "score"}]``."""
        try:
            content = json.loads(reply)
            if isinstance(content, list):
                return {int(row["index"]): float(row["score"]) for row in content}
            return {int(row["index"]): float(row["relevance_score"]) for row in content["results"]}
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            raise EngineReplyInvalid(
                f"{self._server.where} did not answer with scores; remedy: is it a reranking model?"
            ) from error


class CrossEncoderReranker:
    """A cross-encoder that was pulled, by sentence-transformers; loaded when first asked."""

    share = TRAINED_SHARE

    def __init__(self, files: ModelFiles, device: str = "cpu") -> None:
        """Bind."""
        self.name = files.name
        self._files, self._device = files, device

    def score_batch(self, question: str, texts: Sequence[str]) -> list[float]:
        """See ``inference.protocols.Reranker``."""
        if not texts:
            return []
        try:
            scores = np.asarray(self._model.predict([(question, text) for text in texts], show_progress_bar=False))
        except (RuntimeError, ValueError, TypeError, IndexError) as error:
            raise EngineReplyInvalid(
                f"reranker {self.name} failed ({type(error).__name__}: {error}); use another model"
            ) from error
        if scores.shape != (len(texts),) or not np.isfinite(scores).all():
            raise EngineReplyInvalid(
                f"reranker {self.name} gave no finite number a text (shape {scores.shape} for {len(texts)} texts); "
                "remedy: a cross-encoder with one output"
            )
        return [float(score) for score in scores]

    @cached_property
    def _model(self) -> Any:
        try:
            from sentence_transformers import CrossEncoder

            return CrossEncoder(str(self._files.folder), device=self._device, local_files_only=True)
        except (ImportError, OSError, ValueError, RuntimeError) as error:
            raise EngineUnavailable(
                f"reranker {self.name} cannot be loaded ({type(error).__name__}); remedy: pull a cross-encoder"
            ) from error


class LateInteraction:
    """Mean over the question's tokens of the nearest token of a text (MaxSim; Khattab and Zaharia 2020, ColBERT).

    By the embedding model itself: needs no other model, and costs one encoding a text.
    """

    share = LATE_SHARE

    def __init__(self, encoder: BertNumpy) -> None:
        """Bind."""
        self.name = f"late interaction of {encoder.space.model}"
        self._encoder = encoder

    def score_batch(self, question: str, texts: Sequence[str]) -> list[float]:
        """See ``inference.protocols.Reranker``."""
        asked = self._encoder.token_vectors(question)
        scores = []
        for text in texts:
            tokens = self._encoder.token_vectors(text)
            near = (asked @ tokens.T).max(axis=1).mean() if len(asked) and len(tokens) else -1.0
            scores.append(float(near))
        return scores
