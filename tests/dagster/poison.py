"""A parser that some files crash, hang or fill: what the sandbox is given in place of the real one.

The child process imports it by name, so it is a module of its own.
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path

from cortex_assets.documents import parse
from cortex_assets.documents.model import Parsed, ParseOptions

FUNCTION = "tests.dagster.poison.parse_path"
CRASH, HANG, MEMORY = b"poison: crash", b"poison: hang", b"poison: memory"


def parse_path(raw_path: str, display_path: str, media_type: str, size: int, options: ParseOptions) -> Iterator[Parsed]:
    """The real ``parse_path``, unless the file's bytes hold a poison."""
    content = Path(raw_path).read_bytes()
    if CRASH in content:
        os.abort()
    if HANG in content:
        time.sleep(3600)
    if MEMORY in content:
        hoard = [bytearray(16 << 20) for _ in range(10_000)]
        raise AssertionError(f"{len(hoard)} blocks of 16 MiB fitted in")
    yield from parse.parse_path(raw_path, display_path, media_type, size, options)
