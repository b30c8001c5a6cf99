"""BERT on memory-mapped weights: one query in a fresh process in a fifth of a second, without torch.

The same space as ``bert_torch`` (cosine 1.000000), for a handful of texts; bulk work belongs there. The layers are computed by
``bert_compiled`` where the processor has AVX2, else by numpy.

A text's states are the columns of an array of shape (hidden, tokens), so that every weight is the left factor as it lies in
the file: nothing is copied or turned round.
"""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Final, NamedTuple

import numpy as np

from inference.engines import bert_compiled
from inference.engines.bert_files import BertShape, Weights
from inference.protocols import Floats, IdsTokenizer, Ints, Progress, Space

# Abramowitz and Stegun 7.1.26: erf to 1.5e-7, the precision of float32; numpy has no erf. Here of x / sqrt(2), and halved.
_ERF: Final = tuple(np.float32(c / 2) for c in (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592))
_ERF_SCALE: Final = np.float32(0.3275911 * 0.5**0.5)


class _Linear(NamedTuple):
    """A weight of shape (out, in) and a bias of shape (out, 1)."""

    weight: Floats
    bias: Floats


class _Norm(NamedTuple):
    """Scale and shift of a layer norm, of shape (hidden, 1)."""

    scale: Floats
    shift: Floats


class _Layer(NamedTuple):
    """The tensors of one layer."""

    query: _Linear
    key: _Linear
    value: _Linear
    attended: _Linear
    attention_norm: _Norm
    inner: _Linear
    outer: _Linear
    norm: _Norm


class BertNumpy:
    """``inference.protocols.EarlyEmbedder`` in float32, for few texts.

    Args:
        space: the space its vectors are of.
        shape: the encoder's numbers.
        weights: its tensors.
        tokenizer: its tokenizer.
        level: how layers are computed: 2 by AVX-512, 1 by AVX2, 0 by numpy; None is the best of this processor.
    """

    precision = "fp32"

    def __init__(
        self, space: Space, shape: BertShape, weights: Weights, tokenizer: IdsTokenizer, level: int | None = None
    ) -> None:
        self.space = space
        self.tokenizer = tokenizer
        self._shape = shape
        self._weights = weights
        self._frame = np.asarray(tokenizer.special_ids, dtype=np.int32)
        self._level = bert_compiled.level() if level is None else level

    def embed_batch(self, texts: Sequence[str], progress: Progress | None = None) -> Floats:
        """Vectors of shape (len(texts), dimensions), float32, of length 1; a longer text is cut at ``max_tokens``."""
        vectors: Floats = np.zeros((len(texts), self.space.dimensions), dtype=np.float32)
        for row, ids in enumerate(self.tokenizer.encode_ids_batch(texts)):
            framed = self._framed(ids)
            vectors[row] = self._begin(framed)()
            if progress is not None:
                progress(len(framed) - len(self._frame))
        return vectors

    def begin(self, text: str) -> Callable[[], Floats]:
        """See ``EarlyEmbedder.begin``."""
        return self._begin(self._framed(self.tokenizer.encode_ids_batch([text])[0]))

    def token_vectors(self, text: str) -> Floats:
        """The states of a text's tokens after the last layer, special ones left out: (tokens, hidden), each of length 1."""
        ids = self._framed(self.tokenizer.encode_ids_batch([text])[0])
        states = self._begin_states(ids)()[:, 1 : len(ids) - 1].T
        unit: Floats = states / np.maximum(np.linalg.norm(states, axis=1, keepdims=True), np.float32(1e-12))
        return unit

    def _framed(self, ids: Ints) -> Ints:
        """The ids that the model reads: as many as it can, between its special ones."""
        kept = ids[: self.space.max_tokens - len(self._frame)]
        return np.concatenate((self._frame[:1], kept, self._frame[1:]))

    def _begin(self, ids: Ints) -> Callable[[], Floats]:
        begun = self._begin_states(ids)
        return lambda: self._pooled(begun())

    def _begin_states(self, ids: Ints) -> Callable[[], Floats]:
        """Begin to encode; what is returned gives the states, (hidden, len(ids))."""
        words, positions, kinds, norm = self._tables
        states = self._norm(norm, np.ascontiguousarray((words[ids] + positions[: len(ids)] + kinds[0]).T))
        if self._compiled.are_able(len(ids)):
            return self._compiled.begin(states).finish
        return lambda: self._encoded(states)

    def _encoded(self, states: Floats) -> Floats:
        for layer in self._layers:
            states = self._layer(layer, states)
        return states

    def _pooled(self, states: Floats) -> Floats:
        whole: Floats = states[:, 0] if self.space.pooling == "cls" else states.mean(axis=1)
        pooled = whole[: self.space.dimensions]
        vector: Floats = pooled / np.maximum(np.linalg.norm(pooled), np.float32(1e-12))
        return vector

    @cached_property
    def _tables(self) -> tuple[Floats, Floats, Floats, _Norm]:
        """Embeddings of words, positions and kinds, one a row, and their norm."""
        names = ("word_embeddings", "position_embeddings", "token_type_embeddings")
        words, positions, kinds = (self._weights[f"embeddings.{name}.weight"] for name in names)
        return words, positions, kinds, self._norm_of("embeddings.")

    @cached_property
    def _layers(self) -> tuple[_Layer, ...]:
        layers = []
        for number in range(self._shape.layers):
            prefix = f"encoder.layer.{number}."
            query, key, value = (
                self._linear_of(f"{prefix}attention.self.{name}") for name in ("query", "key", "value")
            )
            layers.append(
                _Layer(
                    query=query,
                    key=key,
                    value=value,
                    attended=self._linear_of(prefix + "attention.output.dense"),
                    attention_norm=self._norm_of(prefix + "attention.output."),
                    inner=self._linear_of(prefix + "intermediate.dense"),
                    outer=self._linear_of(prefix + "output.dense"),
                    norm=self._norm_of(prefix + "output."),
                )
            )
        return tuple(layers)

    @cached_property
    def _compiled(self) -> bert_compiled.Layers:
        """The same layers for ``bert_compiled``, whose order of tensors is that of ``_Layer``."""
        return bert_compiled.Layers(
            [[tensor for part in layer for tensor in part] for layer in self._layers],
            hidden=self._shape.hidden,
            heads=self._shape.heads,
            epsilon=self._shape.epsilon,
            level=self._level,
        )

    def _linear_of(self, name: str) -> _Linear:
        return _Linear(self._weights[name + ".weight"], self._column(name + ".bias"))

    def _norm_of(self, prefix: str) -> _Norm:
        return _Norm(self._column(prefix + "LayerNorm.weight"), self._column(prefix + "LayerNorm.bias"))

    def _column(self, name: str) -> Floats:
        return self._weights[name][:, np.newaxis]

    def _layer(self, layer: _Layer, states: Floats) -> Floats:
        attended = self._linear(layer.attended, self._attention(layer, states))
        attended += states
        states = self._norm(layer.attention_norm, attended)
        outer = self._linear(layer.outer, _gelu(self._linear(layer.inner, states)))
        outer += states
        return self._norm(layer.norm, outer)

    def _attention(self, layer: _Layer, states: Floats) -> Floats:
        hidden, length = states.shape
        by_head = (self._shape.heads, hidden // self._shape.heads, length)
        query, key, value = (
            self._linear(linear, states).reshape(by_head) for linear in (layer.query, layer.key, layer.value)
        )
        query *= np.float32(by_head[1] ** -0.5)
        scores = key.transpose(0, 2, 1) @ query  # of each head (asked, asking)
        scores -= scores.max(axis=1, keepdims=True)
        np.exp(scores, out=scores)
        scores /= scores.sum(axis=1, keepdims=True)
        attended: Floats = (value @ scores).reshape(hidden, length)
        return attended

    def _linear(self, linear: _Linear, states: Floats) -> Floats:
        result: Floats = linear.weight @ states
        result += linear.bias
        return result

    def _norm(self, norm: _Norm, states: Floats) -> Floats:
        """Layer norm of each column, in place."""
        shares = np.full((1, len(states)), 1 / len(states), dtype=np.float32)  # BLAS adds columns faster than numpy
        states -= shares @ states
        variance = shares @ (states * states)
        states /= np.sqrt(variance + np.float32(self._shape.epsilon))
        states *= norm.scale
        states += norm.shift
        return states


def _gelu(values: Floats) -> Floats:
    """The exact (erf) GELU of an array, in place: max(x, 0) - |x| erfc(|x| / sqrt(2)) / 2."""
    size = np.abs(values)
    fraction = size * _ERF_SCALE
    fraction += np.float32(1)
    np.reciprocal(fraction, out=fraction)
    tail = fraction * _ERF[0]
    for coefficient in _ERF[1:]:
        tail += coefficient
        tail *= fraction
    np.multiply(size, size, out=fraction)
    fraction *= np.float32(-0.5)
    tail *= np.exp(fraction, out=fraction)
    tail *= size
    values += size
    values *= np.float32(0.5)
    values -= tail
    return values
