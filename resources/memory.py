"""What a process does about its memory as a whole. Limits of child processes are ``resources.sandbox``'s."""

import ctypes
import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def loading() -> Iterator[None]:
    """Import large libraries within it, near the start of a process: what exists at the end is never looked at for garbage again.

    The collector would go through a hundred thousand classes and functions again and again: a sixteenth of a small run.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_enabled:
            gc.enable()


def give_back() -> None:
    """Collect garbage and hand free pages of the C heap to the kernel, which keeps them for itself otherwise.

    Vectors and payloads of a published block leave about 80 MB of free pages behind. Nothing happens where the C library
    has no ``malloc_trim`` (musl, macOS).
    """
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
