"""BERT in plain torch for bulk work: ready token ids in, length-sorted batches of a token budget, bf16 where it pays.

No transformers, no sentence-transformers: the encoder is the sixty lines of ``_Encoder``. Which precision and device to
use is decided in ``inference.engines.precision``; which engine at all in ``inference.lanes``.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from inference.engines.bert_files import BertShape, Weights
from inference.engines.bert_linear import Linear, TorchLinear, make_linear
from inference.errors import OutOfMemory
from inference.protocols import Floats, IdsTokenizer, Ints, Progress, Space

if TYPE_CHECKING:
    import torch

_CPU_BUDGET: Final = 4096
_GPU_BUDGET: Final = 131_072


class _Encoder:
    """Token ids of shape (texts, length) to vectors of shape (texts, dimensions of the space)."""

    def __init__(
        self, shape: BertShape, weights: Weights, space: Space, device: str, precision: str, rows: int, fuse: bool
    ) -> None:
        import torch

        self._shape, self._space, self._device = shape, space, device
        self._dtype = torch.bfloat16 if precision == "bf16" else torch.float32
        kind = weights["embeddings.token_type_embeddings.weight"][0]
        self._words = self._tensor(weights["embeddings.word_embeddings.weight"])
        self._positions = self._tensor(weights["embeddings.position_embeddings.weight"] + kind)

        def norm(name: str) -> tuple[torch.Tensor, torch.Tensor]:
            return self._tensor(weights[name + ".weight"]), self._tensor(weights[name + ".bias"])

        def linear(*names: str) -> Linear:
            weight, bias = (
                self._tensor(np.concatenate([weights[f"{name}.{part}"] for name in names]))
                for part in ("weight", "bias")
            )
            return make_linear(weight, bias, precision=precision, rows=rows) if fuse else TorchLinear(weight, bias)

        self._norm = norm("embeddings.LayerNorm")
        self._layers = [
            (
                linear(*(f"{prefix}attention.self.{part}" for part in ("query", "key", "value"))),
                linear(prefix + "attention.output.dense"),
                norm(prefix + "attention.output.LayerNorm"),
                linear(prefix + "intermediate.dense"),
                linear(prefix + "output.dense"),
                norm(prefix + "output.LayerNorm"),
            )
            for prefix in (f"encoder.layer.{layer}." for layer in range(shape.layers))
        ]

    def __call__(self, ids: Ints, lengths: Ints) -> Floats:
        """Encode texts of ``lengths`` tokens, padded to the first and longest one."""
        import torch

        with torch.inference_mode():
            positions = torch.arange(ids.shape[1], device=self._device)
            is_real = None
            if lengths[-1] < ids.shape[1]:
                is_real = positions < torch.from_numpy(lengths).to(self._device).unsqueeze(1)
            states = self._states(torch.from_numpy(ids).to(self._device), is_real)
            vectors = torch.nn.functional.normalize(self._pool(states, is_real)[:, : self._space.dimensions], dim=1)
            result: Floats = vectors.float().cpu().numpy()
            return result

    def _tensor(self, values: Floats) -> "torch.Tensor":
        import torch

        return torch.from_numpy(np.array(values)).to(device=self._device, dtype=self._dtype)

    def _states(self, ids: "torch.Tensor", is_real: "torch.Tensor | None") -> "torch.Tensor":
        from torch.nn import functional

        texts, length = ids.shape
        hidden, heads, epsilon = self._shape.hidden, self._shape.heads, self._shape.epsilon
        mask = None if is_real is None else is_real[:, None, None, :]
        embedded = functional.embedding(ids, self._words) + self._positions[:length]
        states = functional.layer_norm(embedded, (hidden,), *self._norm, epsilon).view(texts * length, hidden)
        for mixed, attended, first_norm, inner, outer, second_norm in self._layers:
            parts = mixed.plain(states).view(texts, length, 3, heads, hidden // heads).permute(2, 0, 3, 1, 4)
            context = functional.scaled_dot_product_attention(parts[0], parts[1], parts[2], attn_mask=mask)
            context = context.transpose(1, 2).reshape(texts * length, hidden)
            states = functional.layer_norm(attended.plus(context, states), (hidden,), *first_norm, epsilon)
            states = outer.plus(inner.gelu(states), states)
            states = functional.layer_norm(states, (hidden,), *second_norm, epsilon)
        return states.view(texts, length, hidden)

    def _pool(self, states: "torch.Tensor", is_real: "torch.Tensor | None") -> "torch.Tensor":
        if self._space.pooling == "cls":
            return states[:, 0].float()
        if is_real is None:
            return states.float().mean(dim=1)
        real = is_real.unsqueeze(2)
        return (states.float() * real).sum(dim=1) / real.sum(dim=1)


class BertTorch:
    """``inference.protocols.Embedder`` in torch.

    Args:
        space: the space its vectors are of.
        shape: the encoder's numbers.
        weights: its tensors.
        tokenizer: its tokenizer.
        device: ``cpu`` or ``cuda`` (which is also ROCm's name).
        precision: ``fp32`` or ``bf16``.
        token_budget: tokens of one batch, padding included.
        fuse: use fused CPU operators where they work.
    """

    def __init__(
        self,
        space: Space,
        shape: BertShape,
        weights: Weights,
        tokenizer: IdsTokenizer,
        *,
        device: str = "cpu",
        precision: str = "fp32",
        token_budget: int | None = None,
        fuse: bool = True,
    ) -> None:
        self.space = space
        self.tokenizer = tokenizer
        self.precision = precision
        self.device = device
        self._budget = token_budget or (_CPU_BUDGET if device == "cpu" else _GPU_BUDGET)
        self._frame = np.asarray(tokenizer.special_ids, dtype=np.int32)
        self._encode = _Encoder(shape, weights, space, device, precision, self._budget, fuse)

    def embed_batch(self, texts: Sequence[str], progress: Progress | None = None) -> Floats:
        """Vectors of shape (len(texts), dimensions), float32, of length 1; a longer text is cut at ``max_tokens``.

        Raises:
            OutOfMemory: one text alone does not fit.
        """
        return self.embed_ids_batch(self.tokenizer.encode_ids_batch(texts), progress)

    def embed_ids_batch(self, ids: Sequence[Ints], progress: Progress | None = None) -> Floats:
        """The same for texts that are tokenized already (ids of this tokenizer, no special tokens)."""
        most = self.space.max_tokens - len(self._frame)
        lengths: Ints = np.asarray([min(len(one), most) for one in ids], dtype=np.int32)
        vectors: Floats = np.zeros((len(ids), self.space.dimensions), dtype=np.float32)
        order = np.argsort(-lengths, kind="stable")
        start = 0
        while start < len(order):
            longest = int(lengths[order[start]]) + len(self._frame)
            rows = order[start : start + max(1, self._budget // longest)]
            self._fill(vectors, rows, ids, lengths)
            start += len(rows)
            if progress is not None:
                progress(int(lengths[rows].sum()))
        return vectors

    def _fill(self, vectors: Floats, rows: npt.NDArray[np.intp], ids: Sequence[Ints], lengths: Ints) -> None:
        """Encode ``rows`` (longest first) into ``vectors``; halve them while they do not fit into memory."""
        frame = len(self._frame)
        padded = np.zeros((len(rows), int(lengths[rows[0]]) + frame), dtype=np.int32)
        padded[:, 0] = self._frame[0]
        for position, row in enumerate(rows):
            length = int(lengths[row])
            padded[position, 1 : length + 1] = ids[row][:length]
            padded[position, length + 1 : length + frame] = self._frame[1:]
        try:
            vectors[rows] = self._encode(padded, np.asarray(lengths[rows] + frame, dtype=np.int32))
            return
        except (MemoryError, RuntimeError) as error:
            if not _is_out_of_memory(error):
                raise
            if len(rows) == 1:
                raise OutOfMemory(
                    f"one text of {padded.shape[1]} tokens does not fit into the memory of {self.device} "
                    f"({self.space.model}, {self.precision}); free memory or set device: cpu"
                ) from error
        self._budget = max(padded.size // 2, 1)
        half = len(rows) // 2
        self._fill(vectors, rows[:half], ids, lengths)
        self._fill(vectors, rows[half:], ids, lengths)


def _is_out_of_memory(error: BaseException) -> bool:
    """Torch has a class for the GPU's case; the CPU allocator raises a RuntimeError that only its text tells apart."""
    import torch

    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or "can't allocate memory" in str(error)
