"""The doors of inference: what an embedder and a token counter promise. Batch is the primitive.

Engines live in ``inference.engines``; which engine serves a lane is resolved in ``inference.lanes``.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from inference.errors import InferenceError
from inference.requests import GenerateRequest, Limits, Reply

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Space:
    """An embedding space: vectors of one space may be compared with each other, of two spaces never.

    Attributes:
        space_id: readable prefix and digest of everything below, such as ``minilm-l6-v2-53aa5117``.
        model: name of the model.
        digest: SHA-256 of the weights (or the constant of a fake).
        dimensions: length of a vector.
        max_tokens: what the model reads at most, special tokens included.
        pooling: ``mean`` or ``cls``.
        normalized: vectors have length 1.
    """

    space_id: str
    model: str
    digest: str
    dimensions: int
    max_tokens: int
    pooling: str
    normalized: bool = True


@dataclass(frozen=True, slots=True)
class Tokens:
    """A tokenized text: parallel arrays of token ids and of their character spans, special tokens not included."""

    ids: Ints
    starts: Ints
    ends: Ints


class Tokenizer(Protocol):
    """An exact tokenizer of one model."""

    name: str
    """Names the tokenizer and its digest: part of a producer version."""
    special_tokens: int
    """How many special tokens the model adds to every text."""

    def encode(self, text: str) -> Tokens:
        """Tokenize one text; ``text[starts[i]:ends[i]]`` is what token i was made from."""
        ...

    def count_batch(self, texts: Sequence[str]) -> list[int]:
        """Token counts of many texts, special tokens not included."""
        ...


class IdsTokenizer(Tokenizer, Protocol):
    """A tokenizer whose ids an embedder can feed to its model."""

    special_ids: tuple[int, ...]
    """Ids of the special tokens that the model adds to every text, in their order (``[CLS]``, ``[SEP]``)."""

    def encode_ids_batch(self, texts: Sequence[str]) -> list[Ints]:
        """Token ids of many texts, special tokens not included: int32 arrays in the order of ``texts``."""
        ...


class Progress(Protocol):
    """Told how many tokens were done since the last call."""

    def __call__(self, tokens: int) -> None:
        """Report progress."""
        ...


class Embedder(Protocol):
    """Turns texts into vectors of one space."""

    space: Space
    precision: str
    """``fp32`` or ``bf16``: recorded with every vector."""

    @property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer of the model, which may be a more capable one than the protocol asks for."""
        ...

    def embed_batch(self, texts: Sequence[str], progress: Progress | None = None) -> Floats:
        """Vectors of shape (len(texts), space.dimensions), float32, L2-normalized, in the order of ``texts``.

        ``progress`` hears the tokens done, batch by batch.
        """
        ...


@runtime_checkable
class EarlyEmbedder(Protocol):
    """An embedder that works on one text while its caller does something else."""

    def begin(self, text: str) -> Callable[[], Floats]:
        """Begin to embed a text; what is returned gives its vector, (space.dimensions,), once, and does what is left."""
        ...


def begin(embedder: Embedder, text: str) -> Callable[[], Floats]:
    """Begin to embed one text where the embedder can (``EarlyEmbedder``), else leave all of it to the call of the result."""
    if isinstance(embedder, EarlyEmbedder):
        return embedder.begin(text)
    return partial(_embedded, embedder, text)


def _embedded(embedder: Embedder, text: str) -> Floats:
    vector: Floats = embedder.embed_batch([text])[0]
    return vector


class Reranker(Protocol):
    """Judges how well texts answer a question, better and slower than vectors do: for the first few of a ranking."""

    name: str
    """For people, such as ``bge-reranker-v2-m3``."""
    share: float
    """How much of a score its judgement makes, 0..1: most for a model trained to judge, little for a by-product."""

    def score_batch(self, question: str, texts: Sequence[str]) -> list[float]:
        """One score a text, in their order; higher is better, comparable within one call only.

        Raises:
            InferenceError: it cannot judge now.
        """
        ...


Schema = Mapping[str, Any]
"""A JSON schema, draft 2020-12."""


class Generator(Protocol):
    """Writes. One attempt each: retries, fallback, cache and ledger are the lane's (``inference.generation``)."""

    name: str
    """For people and the ledger, such as ``local``: as it is configured."""
    model: str
    """The model's name."""
    digest: str
    """Identity of the model: answers are cached under it."""
    context: int
    """Tokens that a request and its answer may have together."""

    def generate(self, request: GenerateRequest, limits: Limits, schema: Schema | None = None) -> Reply:
        """One answer.

        Args:
            request: what is asked; its own ``schema`` is not looked at.
            limits: until when.
            schema: the engine should write nothing else, where it can be made to; the lane validates in any case.

        Raises:
            InferenceError: see ``inference.errors``; ``Cancelled`` and ``EngineTimeout`` when ``limits`` are over.
        """
        ...

    def stream(self, request: GenerateRequest, limits: Limits, schema: Schema | None = None) -> Iterator[str | Reply]:
        """The same in pieces of text as they are written; at last the whole ``Reply``. Closing the iterator ends the call."""
        ...

    def close(self) -> None:
        """End what it holds: connections, child processes. It may be asked again afterwards and then begins anew."""
        ...


@runtime_checkable
class HasHealth(Protocol):
    """An engine that can be looked at without asking it to write."""

    def health(self, limits: Limits) -> str:
        """What was seen, in a sentence.

        Raises:
            InferenceError: it is not there.
        """
        ...


@runtime_checkable
class BatchGenerator(Protocol):
    """A generator that answers many requests together in less time than one after the other."""

    def generate_batch(
        self, requests: Sequence[GenerateRequest], limits: Limits, schemas: Sequence[Schema | None]
    ) -> list[Reply | InferenceError]:
        """One answer for each request, in their order, or why there is none. Nothing of ``InferenceError`` is raised.

        What ends the whole call (the deadline, a cancellation, a crash) stands where no answer had come by then.

        Args:
            requests: what is asked; their own ``schema`` is not looked at.
            limits: until when, all of them together.
            schemas: of each request, as for ``Generator.generate``.

        Raises:
            ValueError: there are not as many schemas as requests.
        """
        ...
