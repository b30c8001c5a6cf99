"""The terms of many texts at once: what ``words.unit_terms`` says of ASCII units, computed by ``terms.cpp``.

Nothing is made a Python object but units with other characters, which ``words`` analyses one by one.
"""

import ctypes
from collections.abc import Sequence
from functools import cache
from itertools import chain
from typing import Final

import numpy as np
import numpy.typing as npt

from cortex_assets.retrieval.words import stored_ids
from inference.hashing import Positions
from inference.native import address, library

Ids = npt.NDArray[np.uint32]

_RULES: Final = 1
"""Those of ``terms.cpp``: another number wherever a text may get other terms, or a function other arguments."""


def stored_batch(texts: Sequence[str]) -> tuple[Positions, Ids]:
    """All terms of many texts as stored, with repetitions.

    Returns:
        Where each text's terms begin, and behind the last one's end; and the terms' ids, end to end.

    Raises:
        NotCompiled: ``terms.cpp`` is not compiled.
        MemoryError: no memory is left.
    """
    data = " ".join([*texts, ""]).encode("utf-8", "surrogatepass")
    lengths = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))
    others, other_counts, other_ids = _others(data, len(data) > int(lengths.sum()) + len(texts))
    offsets = np.empty(len(texts) + 1, dtype=np.int64)
    room = len(data)
    while True:
        ids = np.empty(room, dtype=np.uint32)
        count: int = _library().terms_of(
            data,
            len(data),
            address(lengths),
            len(texts),
            address(others),
            address(other_counts),
            address(other_ids),
            len(others),
            address(ids),
            room,
            address(offsets),
        )
        if count < 0:
            raise MemoryError(f"no memory is left for the terms of {len(texts)} texts")
        if count <= room:
            return offsets, ids[:count]
        room = count


def _others(data: bytes, there_are_some: bool) -> tuple[Positions, Positions, Ids]:
    """Where units with other characters than ASCII begin, how many terms each has, and the terms' ids."""
    starts, ends = (np.empty(len(data) // 2 + 1 if there_are_some else 0, dtype=np.int64) for _ in range(2))
    count = _library().terms_others(data, len(data), address(starts), address(ends)) if there_are_some else 0
    spans = zip(starts[:count].tolist(), ends[:count].tolist(), strict=True)
    ids = [list(stored_ids(data[start:end].decode("utf-8", "surrogatepass"))) for start, end in spans]
    counts = np.fromiter(map(len, ids), dtype=np.int64, count=count)
    return starts[:count], counts, np.fromiter(chain.from_iterable(ids), dtype=np.uint32, count=int(counts.sum()))


@cache
def _library() -> ctypes.CDLL:
    """The compiled functions, with their arguments declared."""
    loaded = library("cortex_assets.retrieval._terms", "terms_rules", _RULES)
    pointer, size, text = ctypes.c_void_p, ctypes.c_int64, ctypes.c_char_p
    loaded.terms_others.argtypes = [text, size, pointer, pointer]
    loaded.terms_of.argtypes = [text, size, pointer, size, pointer, pointer, pointer, size, pointer, size, pointer]
    loaded.terms_others.restype = loaded.terms_of.restype = size
    return loaded
