"""Loads what is compiled: plain C functions in a shared library, called with the interpreter's lock let go.

``pip install`` (so ``make setup``) compiles each ``.cpp`` that ``pyproject.toml`` names, beside the module that calls it.
A library says which rules it was built from; one built from others is refused, so that old code never makes new rows.
"""

import ctypes
import importlib.util
from typing import TYPE_CHECKING

from inference.errors import NotCompiled

if TYPE_CHECKING:  # what calls without arrays, such as a child process for parsers, has no use for numpy
    import numpy as np
    import numpy.typing as npt


def library(module: str, rules: str, wanted: int) -> ctypes.CDLL:
    """Load the library that was compiled as ``module``.

    Args:
        module: its dotted name, such as ``inference._wordpiece``.
        rules: its function that says which rules it was built from.
        wanted: the rules that the calling code needs.

    Raises:
        NotCompiled: it is missing, cannot be loaded, or was built from other source.
    """
    remedy = "run `make setup` (or `pip install -e .`); a C++ compiler must be there (on Debian: apt-get install g++)"
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise NotCompiled(f"{module} is not compiled: {remedy}")
    try:
        loaded = ctypes.CDLL(spec.origin)
    except OSError as error:
        raise NotCompiled(f"{spec.origin} cannot be loaded ({error}): {remedy}") from error
    built = getattr(loaded, rules, lambda: "unknown")()
    if built != wanted:
        raise NotCompiled(f"{spec.origin} was compiled from other source (rules {built}, not {wanted}): {remedy}")
    return loaded


def address(array: "npt.NDArray[np.generic]") -> int:
    """Where the data of a contiguous array lie; the array must outlive the call.

    Raises:
        ValueError: the array is not contiguous.
    """
    if array.size and array.flags.writeable:
        try:
            return ctypes.addressof(ctypes.c_char.from_buffer(array.data))  # three times as fast as array.ctypes
        except TypeError:  # it has strides, or a type that is no buffer
            pass
    if not array.flags.c_contiguous:
        raise ValueError("an array with strides has no address that a function could read it from")
    return array.ctypes.data
