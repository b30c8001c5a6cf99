"""Giving memory back to the system between pieces of work. Limits of child processes are ``resources.sandbox``'s."""

import ctypes
import gc


def give_back() -> None:
    """Collect garbage and hand free pages of the C heap to the kernel, which keeps them for itself otherwise.

    Vectors and payloads of a published block leave about 80 MB of free pages behind. Nothing happens where the C library
    has no ``malloc_trim`` (musl, macOS).
    """
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
