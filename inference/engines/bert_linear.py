"""The linear layers of the torch encoder: oneDNN's prepacked and fused ones where they work, else torch's own.

Fusing the activation and the residual sum into the matrix product saves a quarter of the time on a CPU with AMX. The
operators are the ones torch's own compiler emits; they are not a public interface, so one small product is compared
with torch's before they are trusted.
"""

from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import torch


class Linear(Protocol):
    """``y = x W' + b`` with what is done to y right after."""

    def plain(self, states: "torch.Tensor") -> "torch.Tensor":
        """``y``."""
        ...

    def gelu(self, states: "torch.Tensor") -> "torch.Tensor":
        """``gelu(y)``, the exact one."""
        ...

    def plus(self, states: "torch.Tensor", residual: "torch.Tensor") -> "torch.Tensor":
        """``y + residual``."""
        ...


class TorchLinear:
    """Torch's own operators: any device, any type."""

    def __init__(self, weight: "torch.Tensor", bias: "torch.Tensor") -> None:
        self._weight, self._bias = weight, bias

    def plain(self, states: "torch.Tensor") -> "torch.Tensor":
        """``y``."""
        from torch.nn import functional

        return functional.linear(states, self._weight, self._bias)

    def gelu(self, states: "torch.Tensor") -> "torch.Tensor":
        """``gelu(y)``."""
        from torch.nn import functional

        return functional.gelu(self.plain(states))

    def plus(self, states: "torch.Tensor", residual: "torch.Tensor") -> "torch.Tensor":
        """``y + residual``."""
        return self.plain(states) + residual


class FusedLinear:
    """OneDNN with the weight packed once for the CPU's tiles and the operation that follows fused in."""

    def __init__(self, weight: "torch.Tensor", bias: "torch.Tensor", *, rows: int) -> None:
        import torch

        self._ops = torch.ops.mkldnn
        self._weight = self._ops._reorder_linear_weight(weight, rows)
        self._bias = bias

    def plain(self, states: "torch.Tensor") -> "torch.Tensor":
        """``y``."""
        result: torch.Tensor = self._ops._linear_pointwise(states, self._weight, self._bias, "none", [], "none")
        return result

    def gelu(self, states: "torch.Tensor") -> "torch.Tensor":
        """``gelu(y)``."""
        result: torch.Tensor = self._ops._linear_pointwise(states, self._weight, self._bias, "gelu", [], "none")
        return result

    def plus(self, states: "torch.Tensor", residual: "torch.Tensor") -> "torch.Tensor":
        """``y + residual``."""
        result: torch.Tensor = self._ops._linear_pointwise.binary(states, residual, self._weight, self._bias, "add")
        return result


@lru_cache(maxsize=4)
def can_fuse(precision: str) -> bool:
    """Whether the fused operators are there for ``precision`` (``fp32``, ``bf16``) and compute the right thing."""
    import torch

    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    if not torch.backends.mkldnn.is_available():
        return False
    generator = torch.Generator().manual_seed(0)
    weight, states = (torch.randn(64, 64, generator=generator).to(dtype) for _ in range(2))
    bias = torch.randn(64, generator=generator).to(dtype)
    try:
        fused = FusedLinear(weight, bias, rows=64)
        pairs = [
            (fused.plain(states), TorchLinear(weight, bias).plain(states)),
            (fused.gelu(states), TorchLinear(weight, bias).gelu(states)),
            (fused.plus(states, states), TorchLinear(weight, bias).plus(states, states)),
        ]
    except (AttributeError, RuntimeError, NotImplementedError):
        return False
    return all(bool(torch.allclose(one.float(), other.float(), rtol=0.02, atol=0.1)) for one, other in pairs)


def make_linear(weight: "torch.Tensor", bias: "torch.Tensor", *, precision: str, rows: int) -> Linear:
    """The fastest right linear layer for these tensors; ``rows`` is the usual number of rows of its input."""
    if weight.device.type == "cpu" and can_fuse(precision):
        return FusedLinear(weight, bias, rows=rows)
    return TorchLinear(weight, bias)
