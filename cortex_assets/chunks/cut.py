"""Calls ``cut.cpp``: lines, hashes of units, borders between them, pieces of a document. Arrays in and out.

What is cut, and why there, is for ``pack``, ``source`` and ``prose`` to say.
"""

import ctypes
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np

from inference.hashing import Positions
from inference.native import address, library
from inference.protocols import Ints

_RULES = 2
"""Those of ``cut.cpp``: another number wherever other borders may be chosen, or a function has other arguments."""
KINDS = ("prose", "table", "code", "data")
"""Kinds of pieces, in the order of their numbers."""


class Tokenized(NamedTuple):
    """A document's tokens and lines, as ``Source`` has them.

    Attributes:
        length: characters.
        ids: of its tokens.
        starts: first character of each token.
        ends: character after each token.
        newlines: offsets of the line feeds.
        line_tokens: for each line feed, the first token after it.
        weight_before: of each token the weight of those before it, and last that of all.
    """

    length: int
    ids: Ints
    starts: Positions
    ends: Positions
    newlines: Positions
    line_tokens: Positions
    weight_before: Positions


class Edges(NamedTuple):
    """Where a document may be cut beside its blank lines.

    Attributes:
        places: offsets, in any order.
        strengths: how much each wants to be a border.
        blocks: start and end of each block in turn, ascending.
        kinds: number of each block's kind.
    """

    places: Sequence[int]
    strengths: Sequence[int]
    blocks: Sequence[int]
    kinds: Sequence[int]


class Pieces(NamedTuple):
    """Pieces of a document: where each starts, its weight, its first block (-1: none), the number of its kind."""

    starts: list[int]
    weights: list[int]
    blocks: list[int]
    kinds: list[int]


class Places(NamedTuple):
    """Spans without blank lines before and white space after them; those of nothing else are left out.

    Attributes:
        kept: numbers of the spans that are here.
        starts: offset of the first character; the first line keeps its indentation.
        ends: offset after the last character.
        begins: offset of the first character that is no white space.
        tokens: how many start within.
        first_lines: line of the first character, from 0.
        last_lines: line of the last character, from 0.
        doubtful: positions in these lists at whose borders no plain white space stands: ``tokens`` need not be those of
            the text alone there.
    """

    kept: list[int]
    starts: list[int]
    ends: list[int]
    begins: list[int]
    tokens: list[int]
    first_lines: list[int]
    last_lines: list[int]
    doubtful: list[int]


class _Document(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_int64) for name in ("length", "token_count", "line_count")),
        *((name, ctypes.c_void_p) for name in ("ids", "starts", "ends", "newlines", "line_tokens", "weight_before")),
    )


class _Edges(ctypes.Structure):
    _fields_ = (
        ("places", ctypes.c_void_p),
        ("strengths", ctypes.c_void_p),
        ("place_count", ctypes.c_int64),
        ("blocks", ctypes.c_void_p),
        ("block_count", ctypes.c_int64),
    )


class Lines(NamedTuple):
    """Line feeds of a text, the first token after each, and the weight before each token; see ``Source``."""

    newlines: Positions
    line_tokens: Positions
    weight_before: Positions


def lines(data: bytes, length: int, starts: Positions, shift: int) -> Lines:
    """Where the lines of a text end; a token of more than ``2**shift`` characters weighs one for each ``2**shift``.

    Args:
        data: the text in UTF-8.
        length: its characters.
        starts: of its tokens.
        shift: see above.
    """
    newlines, line_tokens = np.empty((2, data.count(b"\n")), dtype=np.int64)
    found = Lines(newlines, line_tokens, np.empty(len(starts) + 1, dtype=np.int64))
    columns = (address(column) for column in found)
    _library().cut_lines(data, len(data), length, address(starts), len(starts), shift, *columns)
    return found


def hashes_between(ids: Ints, bounds: Positions) -> Positions:
    """A 40-bit hash of the tokens between each bound and the next; see ``Source.hashes_between``."""
    ids, bounds = np.ascontiguousarray(ids, dtype=np.int32), np.ascontiguousarray(bounds, dtype=np.int64)
    hashes = np.empty(len(bounds) - 1, dtype=np.int64)
    _library().cut_hashes(address(ids), address(bounds), len(hashes), address(hashes))
    return hashes


def borders(before: Positions, priorities: Positions, sizes: tuple[int, int, int]) -> list[int]:
    """Units that begin a new piece; see ``pack.borders``. ``sizes``: most, anchor, alone.

    Raises:
        MemoryError: no memory is left.
    """
    before, priorities = np.ascontiguousarray(before, dtype=np.int64), np.ascontiguousarray(priorities, dtype=np.int64)
    picked = np.empty(len(priorities), dtype=np.int64)
    bounds = (ctypes.c_int64 * 3)(*sizes)
    count = _library().cut_borders(address(before), address(priorities), len(priorities), bounds, address(picked))
    if count < 0:
        raise MemoryError(f"no memory is left to choose borders between {len(priorities)} units")
    found: list[int] = picked[:count].tolist()
    return found


def pieces(tokenized: Tokenized, edges: Edges, base: int, sizes: tuple[int, int, int]) -> Pieces:
    """Cut a document between its units; see ``prose``. A piece above ``sizes[0]`` is a single unit.

    Raises:
        MemoryError: no memory is left.
    """
    document = _Document(
        tokenized.length,
        len(tokenized.starts),
        len(tokenized.newlines),
        address(tokenized.ids),
        address(tokenized.starts),
        address(tokenized.ends),
        address(tokenized.newlines),
        address(tokenized.line_tokens),
        address(tokenized.weight_before),
    )
    places, strengths, blocks = (np.array(values, dtype=np.int64) for values in edges[:3])
    kinds = np.array(edges.kinds, dtype=np.int32)
    given = _Edges(address(places), address(strengths), len(places), address(blocks), len(kinds))
    room = 1 + len(tokenized.newlines) + len(places)
    starts, weights, owners = np.empty((3, room), dtype=np.int64)
    piece_kinds = np.empty(room, dtype=np.int32)
    found = _library().cut_pieces(
        ctypes.byref(document),
        ctypes.byref(given),
        address(kinds),
        base,
        (ctypes.c_int64 * 3)(*sizes),
        *(address(column) for column in (starts, weights, owners, piece_kinds)),
    )
    if found < 0:
        raise MemoryError(f"no memory is left to cut a document of {tokenized.length} characters")
    return Pieces(*(column[:found].tolist() for column in (starts, weights, owners, piece_kinds)))


def places(data: bytes, tokenized: Tokenized, spans: Sequence[tuple[int, int]]) -> Places:
    """Trim spans of a text that ascend and do not overlap. ``data``: the text in UTF-8."""
    bounds = np.array(spans, dtype=np.int64).reshape(-1, 2)
    found, is_exact = np.empty((len(bounds), 6), dtype=np.int64), np.empty(len(bounds), dtype=np.uint8)
    _library().cut_places(
        data,
        len(data),
        tokenized.length,
        address(tokenized.starts),
        len(tokenized.starts),
        address(tokenized.newlines),
        len(tokenized.newlines),
        address(bounds),
        len(bounds),
        address(found),
        address(is_exact),
    )
    is_kept = found[:, 0] < found[:, 1]
    if not is_kept.all():
        found, is_exact = found[is_kept], is_exact[is_kept]
    starts, ends, begins, tokens, first_lines, last_lines = found.T.tolist()
    kept, doubtful = np.flatnonzero(is_kept).tolist(), np.flatnonzero(is_exact == 0).tolist()
    return Places(kept, starts, ends, begins, tokens, first_lines, last_lines, doubtful)


@cache
def _library() -> ctypes.CDLL:
    """The compiled functions, with their arguments declared."""
    loaded = library("cortex_assets.chunks._cut", "cut_rules", _RULES)
    pointer, size = ctypes.c_void_p, ctypes.c_int64
    loaded.cut_lines.argtypes = [ctypes.c_char_p, size, size, pointer, size, size, pointer, pointer, pointer]
    loaded.cut_lines.restype = None
    loaded.cut_places.argtypes = [
        ctypes.c_char_p,
        size,
        size,
        pointer,
        size,
        pointer,
        size,
        pointer,
        size,
        pointer,
        pointer,
    ]
    loaded.cut_places.restype = None
    loaded.cut_hashes.argtypes, loaded.cut_hashes.restype = [pointer, pointer, size, pointer], None
    loaded.cut_borders.argtypes, loaded.cut_borders.restype = [pointer, pointer, size, pointer, pointer], size
    loaded.cut_pieces.argtypes = [pointer, pointer, pointer, ctypes.c_int32, *[pointer] * 5]
    loaded.cut_pieces.restype = size
    return loaded
