"""The layers of a BERT encoder by ``encoder.cpp``: the computation of ``bert_numpy``, begun in one call and finished in another.

What is begun goes on in a thread that knows nothing of Python, on another processor where there is one. A search asks for its
question's vector first and looks for words meanwhile; finishing does what is left, so a thread that never came costs nothing.
"""

import ctypes
from collections.abc import Sequence
from functools import cache
from typing import Final

import numpy as np

from inference.native import address, library
from inference.protocols import Floats

_RULES: Final = 1
"""Those of ``encoder.cpp``: another number wherever a function takes other arguments or does something else with them."""
_LONGEST: Final = 512
_MULTIPLE: Final = 8


class Layers:
    """The layers of one encoder.

    Args:
        tensors: of each layer the sixteen that ``encoder_begin`` names, contiguous float32; kept.
        hidden: rows of the states.
        heads: of an attention.
        epsilon: of a norm.
        level: how to compute: 2 by AVX-512, 1 by AVX2; at most ``level()``.

    Raises:
        NotCompiled: ``encoder.cpp`` is not compiled.
    """

    def __init__(
        self, tensors: Sequence[Sequence[Floats]], *, hidden: int, heads: int, epsilon: float, level: int
    ) -> None:
        self._tensors = [tensor for layer in tensors for tensor in layer]
        self._pointers = (ctypes.c_void_p * len(self._tensors))(*(tensor.ctypes.data for tensor in self._tensors))
        inner = tensors[0][10].shape[0]
        self._numbers = (len(tensors), hidden, inner, heads, epsilon, level)
        self._is_able = level > 0 and hidden % (_MULTIPLE * heads) == 0 and inner % _MULTIPLE == 0

    def are_able(self, length: int) -> bool:
        """Whether a text of ``length`` tokens can be encoded here."""
        return self._is_able and 0 < length <= _LONGEST

    def begin(self, states: Floats, *, helped: bool = True) -> "Begun":
        """Begin to encode states of shape (hidden, length), which are copied; ``helped`` by a thread that begins at once.

        Raises:
            MemoryError: no memory is left.
        """
        length = states.shape[1]
        states = np.ascontiguousarray(states)
        handle = _library().encoder_begin(self._pointers, *self._numbers, helped, length, address(states))
        if handle is None:
            raise MemoryError(f"no memory is left to embed a text of {length} tokens")
        return Begun(self, handle, (states.shape[0], length))


class Begun:
    """States on their way through the layers; ``finish`` them once. Let go, they are brought to an end all the same."""

    def __init__(self, layers: Layers, handle: int, shape: tuple[int, int]) -> None:
        self._layers = layers  # the weights must stay mapped until all is done
        self._handle: int | None = handle
        self._shape = shape

    def finish(self) -> Floats:
        """The states after the last layer, of the shape of the first ones; does what is left of the work."""
        if self._handle is None:
            raise ValueError("what was begun is finished already")
        states: Floats = np.empty(self._shape, dtype=np.float32)
        handle, self._handle = self._handle, None
        _library().encoder_finish(handle, address(states))
        return states

    def __del__(self) -> None:
        """Nobody wants the result, but the thread still reads the weights."""
        if self._handle is not None:
            _library().encoder_finish(self._handle, None)


def level() -> int:
    """How this processor computes the layers: 2 by AVX-512, 1 by AVX2, 0 not at all."""
    found: int = _library().encoder_level()
    return found


@cache
def _library() -> ctypes.CDLL:
    """The compiled functions, with their arguments declared."""
    loaded = library("inference._encoder", "encoder_rules", _RULES)
    pointer, small = ctypes.c_void_p, ctypes.c_int
    loaded.encoder_begin.argtypes = [pointer, small, small, small, small, ctypes.c_float, small, small, small, pointer]
    loaded.encoder_begin.restype = pointer
    loaded.encoder_finish.argtypes = [pointer, pointer]
    loaded.encoder_finish.restype = None
    return loaded
