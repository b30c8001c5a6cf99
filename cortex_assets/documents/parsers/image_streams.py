"""What is told by walking a picture's own segments: PNG's texts, and whether a PNG or a JPEG goes to its end.

Pixels are skipped, not read. Metadata blocks are ``image_metadata``'s.
"""

import struct
import zlib
from typing import BinaryIO

MAX_CHUNKS = 100_000
MAX_TEXT = 1024 * 1024
_BLOCK = 1024 * 1024


def png_texts(stream: BinaryIO) -> tuple[list[tuple[str, str]], bool]:
    """The texts of a PNG as (key, text), and whether its end was found."""
    texts: list[tuple[str, str]] = []
    stream.seek(8)
    for _ in range(MAX_CHUNKS):
        head = stream.read(8)
        if len(head) < 8:
            return texts, False
        size, kind = struct.unpack(">I4s", head)
        if kind == b"IEND":
            return texts, True
        if kind in (b"tEXt", b"zTXt", b"iTXt") and size <= MAX_TEXT:
            found = _text(kind, stream.read(size))
            if found is not None:
                texts.append(found)
            stream.seek(4, 1)
        else:
            stream.seek(size + 4, 1)
    return texts, False


def _text(kind: bytes, data: bytes) -> tuple[str, str] | None:
    """One text; None for a damaged one."""
    key, _, rest = data.partition(b"\0")
    name = key.decode("latin-1")
    if kind == b"tEXt":
        return name, _latin(rest)
    if kind == b"zTXt":
        body = _inflated(rest[1:])
        return (name, _latin(body)) if body is not None else None
    is_packed = rest[:1] == b"\x01"
    _, _, rest = rest[2:].partition(b"\0")
    _, _, raw = rest.partition(b"\0")
    body = _inflated(raw) if is_packed else raw
    return (name, body.decode("utf-8", "replace")) if body is not None else None


def _latin(raw: bytes) -> str:
    """Latin-1, as the format says, or UTF-8, as most writers do."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _inflated(raw: bytes) -> bytes | None:
    """Unpacked bytes, no more than ``MAX_TEXT``; None where they cannot be unpacked."""
    try:
        return zlib.decompressobj().decompress(raw, MAX_TEXT)
    except zlib.error:
        return None


def is_jpeg_whole(stream: BinaryIO) -> bool:
    """Whether the mark that ends a JPEG comes behind the start of its pixels."""
    stream.seek(2)
    for _ in range(MAX_CHUNKS):
        head = stream.read(4)
        if len(head) < 4 or head[0] != 0xFF:
            return False
        if head[1] == 0xDA:
            break
        stream.seek(max(0, int.from_bytes(head[2:], "big") - 2), 1)
    last = b""
    while block := stream.read(_BLOCK):
        if b"\xff\xd9" in last + block:
            return True
        last = block[-1:]
    return False
