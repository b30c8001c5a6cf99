"""Asks the system to read large libraries while smaller ones are still being imported.

Importing reads a library page by page, where it is touched; from a slow disk the first command of a day waited for
hundreds of such reads. What is in the page cache already costs nothing. Nothing here imports or runs a library.
"""

import contextlib
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

LIBRARIES: Final = (
    "numpy/_core/*.so",
    "numpy.libs/*",
    "_polars_runtime*/*.so",
    "dataframely/*.so",
    "deltalake/*.so",
    "tokenizers/*.so",
    "arro3/core/*.so",
    "qdrant_edge/*.so",
)
"""In the order in which a run and a search need them."""


def libraries_ahead(patterns: tuple[str, ...] = LIBRARIES) -> threading.Thread | None:
    """Begin to read the libraries, in a thread; None where they are imported already or the system cannot be asked (macOS, Windows).

    Args:
        patterns: globs below the folders of installed packages.
    """
    if "polars" in sys.modules or not hasattr(os, "posix_fadvise"):
        return None
    reader = threading.Thread(target=_ask, args=(patterns,), name="libraries ahead", daemon=True)
    reader.start()
    return reader


def _ask(patterns: tuple[str, ...]) -> None:
    for path in _files(patterns):
        with contextlib.suppress(OSError):
            handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_WILLNEED)
            finally:
                os.close(handle)


def _files(patterns: tuple[str, ...]) -> Iterator[Path]:
    places = [Path(place) for place in sys.path if place.endswith(("site-packages", "dist-packages"))]
    for pattern in patterns:
        for place in places:
            yield from place.glob(pattern)
