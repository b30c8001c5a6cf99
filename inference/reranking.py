"""Which reranker judges the first of a ranking, and what becomes of one that fails: it is left alone for a while.

A reranker is optional: nothing depends on one, and a search without it says so.
"""

import hashlib
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final

from inference.errors import ConfigInvalid, EngineUnavailable, InferenceError, ModelUnsupported
from inference.lanes import EngineConfig, load_embedder, recorder_of
from inference.models import ModelPlaces, pulled_model
from inference.protocols import Reranker

NONE: Final = "none"
LATE: Final = "late"
PAUSE_SECONDS: Final = 30.0
"""How long one that failed is not asked, so that searches do not each wait for it."""


class GuardedReranker:
    """A reranker that is loaded when first asked, and left alone for a while after it failed. Thread-safe."""

    def __init__(self, name: str, load: Callable[[], Reranker], clock: Callable[[], float] = time.monotonic) -> None:
        """Nothing is loaded yet.

        Args:
            name: for people, until it is loaded.
            load: makes it.
            clock: seconds.
        """
        self.name = name
        self.share = 0.0
        self._load, self._clock = load, clock
        self._loaded: Reranker | None = None
        self._until, self._why = float("-inf"), ""
        self._lock = threading.Lock()

    def score_batch(self, question: str, texts: Sequence[str]) -> list[float]:
        """See ``inference.protocols.Reranker``."""
        with self._lock:
            left = self._until - self._clock()
            if left > 0:
                raise EngineUnavailable(f"left alone for {left:.0f} s: {self._why}", is_transient=True)
            try:
                if self._loaded is None:
                    self._loaded = self._load()
                    self.name, self.share = self._loaded.name, self._loaded.share
                return self._loaded.score_batch(question, texts)
            except InferenceError as error:
                self._until, self._why = self._clock() + PAUSE_SECONDS, str(error)
                raise


def reranker_of(spec: str, places: ModelPlaces, embed: EngineConfig, api_key: str = "") -> Reranker | None:
    """The reranker that a setting names; None for ``none``. Nothing is loaded yet.

    Args:
        spec: ``none``, ``late``, ``hf:org/name`` (a cross-encoder that was pulled) or ``rerank:<model>@<url>``.
        places: where models are.
        embed: the embedding engine whose tokens ``late`` compares.
        api_key: for a server.

    Raises:
        ConfigInvalid: it is none of these.
    """
    if spec in ("", NONE):
        return None
    if spec == LATE:
        return GuardedReranker("late interaction", lambda: _late(embed, places))
    kind, _, name = spec.partition(":")
    model, _, url = name.rpartition("@")
    if kind == "rerank" and model and url:
        from inference.engines.rerankers import RERANK_SECONDS, ServerReranker

        digest = hashlib.sha256(f"rerank:{model}@{url}".encode("utf-8", "surrogatepass")).hexdigest()
        recorder = recorder_of("rerank", model, url, digest, RERANK_SECONDS, places)
        server = ServerReranker(url=url, model=model, api_key=api_key, recorder=recorder)
        return GuardedReranker(model, lambda: server)
    if kind == "hf" and name.count("/") == 1:
        return GuardedReranker(name, lambda: _cross_encoder(name, places))
    raise ConfigInvalid(f"reranker {spec!r} is none of none, late, hf:org/name, rerank:<model>@<url>")


def _cross_encoder(name: str, places: ModelPlaces) -> Reranker:
    from inference.engines.rerankers import CrossEncoderReranker

    return CrossEncoderReranker(pulled_model(name, places.models_dir))


def _late(embed: EngineConfig, places: ModelPlaces) -> Reranker:
    from inference.engines.bert_numpy import BertNumpy
    from inference.engines.rerankers import LateInteraction

    encoder = load_embedder(embed, places, bulk=False)
    if not isinstance(encoder, BertNumpy):
        raise ModelUnsupported(
            f"model {embed.model} shows no tokens to compare; remedy: a local BERT model, or a reranker"
        )
    return LateInteraction(encoder)
