"""BERT in numpy on memory-mapped weights: one query in a fresh process in a fifth of a second, without torch.

The same space as ``bert_torch`` (cosine 1.000000), for a handful of texts; bulk work belongs there.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np

from inference.engines.bert_files import BertShape, Weights
from inference.protocols import Floats, IdsTokenizer, Ints, Progress, Space

# Abramowitz and Stegun 7.1.26: erf to 1.5e-7, the precision of float32; numpy has no erf.
_ERF: Final = (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592)


class BertNumpy:
    """``inference.protocols.Embedder`` in numpy, float32.

    Args:
        space: the space its vectors are of.
        shape: the encoder's numbers.
        weights: its tensors.
        tokenizer: its tokenizer.
    """

    precision = "fp32"

    def __init__(self, space: Space, shape: BertShape, weights: Weights, tokenizer: IdsTokenizer) -> None:
        self.space = space
        self.tokenizer = tokenizer
        self._shape = shape
        self._weights = weights
        self._frame = np.asarray(tokenizer.special_ids, dtype=np.int32)

    def embed_batch(self, texts: Sequence[str], progress: Progress | None = None) -> Floats:
        """Vectors of shape (len(texts), dimensions), float32, of length 1; a longer text is cut at ``max_tokens``."""
        vectors: Floats = np.zeros((len(texts), self.space.dimensions), dtype=np.float32)
        for row, ids in enumerate(self.tokenizer.encode_ids_batch(texts)):
            kept = ids[: self.space.max_tokens - len(self._frame)]
            vectors[row] = self._embed(np.concatenate((self._frame[:1], kept, self._frame[1:])))
            if progress is not None:
                progress(len(kept))
        return vectors

    def _embed(self, ids: Ints) -> Floats:
        states = self._embeddings(ids)
        for layer in range(self._shape.layers):
            states = self._layer(f"encoder.layer.{layer}.", states)
        pooled: Floats = states[0] if self.space.pooling == "cls" else states.mean(axis=0)
        vector: Floats = pooled / np.maximum(np.linalg.norm(pooled), np.float32(1e-12))
        return vector

    def _embeddings(self, ids: Ints) -> Floats:
        weights = self._weights
        words = weights["embeddings.word_embeddings.weight"][ids]
        positions = weights["embeddings.position_embeddings.weight"][: len(ids)]
        kind = weights["embeddings.token_type_embeddings.weight"][0]
        return self._norm("embeddings.LayerNorm", words + positions + kind)

    def _layer(self, prefix: str, states: Floats) -> Floats:
        attended = self._linear(prefix + "attention.output.dense", self._attention(prefix + "attention.self.", states))
        states = self._norm(prefix + "attention.output.LayerNorm", attended + states)
        inner = _gelu(self._linear(prefix + "intermediate.dense", states))
        return self._norm(prefix + "output.LayerNorm", self._linear(prefix + "output.dense", inner) + states)

    def _attention(self, prefix: str, states: Floats) -> Floats:
        length, hidden = states.shape
        width = hidden // self._shape.heads
        query, key, value = (
            self._linear(prefix + part, states).reshape(length, self._shape.heads, width).transpose(1, 0, 2)
            for part in ("query", "key", "value")
        )
        scores = query @ key.transpose(0, 2, 1) * np.float32(width**-0.5)
        scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
        scores /= scores.sum(axis=-1, keepdims=True)
        attended: Floats = (scores @ value).transpose(1, 0, 2).reshape(length, hidden)
        return attended

    def _linear(self, name: str, states: Floats) -> Floats:
        # The weight first: BLAS is a quarter faster when the large matrix is the left one and the text is short.
        result: Floats = (self._weights[name + ".weight"] @ states.T).T + self._weights[name + ".bias"]
        return result

    def _norm(self, name: str, states: Floats) -> Floats:
        centered = states - states.mean(axis=-1, keepdims=True)
        variance = np.mean(centered * centered, axis=-1, keepdims=True)
        scaled = centered / np.sqrt(variance + np.float32(self._shape.epsilon))
        result: Floats = scaled * self._weights[name + ".weight"] + self._weights[name + ".bias"]
        return result


def _gelu(values: Floats) -> Floats:
    """The exact (erf) GELU of an array."""
    scaled = np.abs(values) * np.float32(0.5**0.5)
    fraction = 1 / (1 + np.float32(0.3275911) * scaled)
    series = np.zeros_like(fraction)
    for coefficient in _ERF:
        series = (series + np.float32(coefficient)) * fraction
    tail = series * np.exp(-scaled * scaled)
    positive = np.where(values >= 0, 2 - tail, tail)
    result: Floats = np.float32(0.5) * values * positive
    return result
