"""Calls ``keywords.cpp``: the places in a text at which any of some keywords stands."""

import ctypes
import weakref
from collections.abc import Sequence
from functools import cache

import numpy as np

from inference.native import address, library

_RULES = 1
"""Those of ``keywords.cpp``: another number wherever other places may be found, or a function has other arguments."""


class Keywords:
    """Keywords that are looked for in many texts. Thread-safe.

    Args:
        words: of two bytes or more in UTF-8, their ASCII letters small.

    Raises:
        ValueError: a word is shorter.
        NotCompiled: ``keywords.cpp`` is not compiled.
        MemoryError: no memory is left.
    """

    def __init__(self, words: Sequence[str]) -> None:
        encoded = [word.encode() for word in words]
        if any(len(word) < 2 for word in encoded):
            raise ValueError("a keyword has two bytes or more")
        sizes = np.array([len(word) for word in encoded], dtype=np.int32)
        self._handle: int | None = _library().keywords_new(b"".join(encoded), address(sizes), len(encoded))
        if not self._handle:
            raise MemoryError(f"no memory is left for {len(encoded)} keywords")
        weakref.finalize(self, _library().keywords_free, self._handle).atexit = False  # threads may use it to the end

    def places(self, text: str) -> list[int]:
        """Offsets (characters) at which a keyword stands, whatever the case of its ASCII letters; ascending."""
        data = text.encode("utf-8", "surrogatepass")
        room = 64 + len(data) // 256
        while True:
            places = np.empty(room, dtype=np.int64)
            count: int = _library().keywords_find(self._handle, data, len(data), room, address(places))
            if count <= room:
                found: list[int] = places[:count].tolist()
                return found
            room = count


@cache
def _library() -> ctypes.CDLL:
    """The compiled functions, with their arguments declared."""
    loaded = library("cortex_assets.documents._keywords", "keywords_rules", _RULES)
    pointer, size, text = ctypes.c_void_p, ctypes.c_int64, ctypes.c_char_p
    loaded.keywords_new.argtypes, loaded.keywords_new.restype = [text, pointer, ctypes.c_int32], pointer
    loaded.keywords_free.argtypes, loaded.keywords_free.restype = [pointer], None
    loaded.keywords_find.argtypes, loaded.keywords_find.restype = [pointer, text, size, size, pointer], size
    return loaded
