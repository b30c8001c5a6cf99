"""Hashes of many spans of one text at once: each costs two look-ups in a cumulated sum (Karp and Rabin 1987).

A span's hash depends on its codes alone, not on where it stands. Words, units and identifiers are cut and hashed with it
a batch at a time; what they are is their callers' business.
"""

from functools import lru_cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Hashes = npt.NDArray[np.uint64]
Positions = npt.NDArray[np.int64]
Codes = npt.NDArray[np.uint8] | npt.NDArray[np.uint32]

BASE: Final = 0x9E3779B97F4A7C15
"""The odd base of hashes that are stored; a table that lives in one process takes a base of its own."""
_LENGTH: Final = 0xC4CEB9FE1A85EC53
_MIX: Final = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB))
_SHORTEST_TABLE: Final = 1 << 17
_LONGEST_KEPT: Final = 1 << 18
_MASK: Final = 2**64 - 1


def mixed(values: Hashes) -> Hashes:
    """SplitMix64's finalizer (Steele, Lea, Flood 2014): a bijection that spreads each value over 64 bits."""
    for shift, factor in _MIX:
        values = (values ^ (values >> np.uint64(shift))) * np.uint64(factor)
    return values ^ (values >> np.uint64(31))


class SpanHashes:
    """Hashes of the spans of one array of codes.

    Args:
        codes: bytes or code points of a text.
        base: odd; of the polynomial.
    """

    def __init__(self, codes: Codes, base: int = BASE) -> None:
        length = max(_SHORTEST_TABLE, 1 << len(codes).bit_length())
        tables = _kept_tables if length <= _LONGEST_KEPT else _tables
        self._powers, self._inverses = tables(length, base)
        self._sums = np.zeros(len(codes) + 1, dtype=np.uint64)
        np.cumsum(codes * self._powers[: len(codes)], out=self._sums[1:])

    def of(self, starts: Positions, ends: Positions, last: npt.NDArray[np.uint8] | None = None) -> Hashes:
        """One hash a span ``[start, end)``; equal spans have equal hashes, others differ but for one chance in 2**64.

        That holds for spans that nobody chose to meet: modulo a power of two some regular strings of 1,024 codes do
        for every base (Thue and Morse), so a table that must be exact keeps to short spans.

        Args:
            starts: of the spans.
            ends: of the spans.
            last: a code that stands behind each span and is hashed with it; 0 for none.
        """
        values = (self._sums[ends] - self._sums[starts]) * self._inverses[starts]
        lengths = ends - starts
        if last is not None:
            values += last * self._powers[lengths]
            lengths = lengths + (last > 0)
        return mixed(values + lengths.astype(np.uint64) * np.uint64(_LENGTH))


def hash_of(codes: bytes, base: int = BASE) -> int:
    """What ``SpanHashes.of`` gives for a span of these codes."""
    value, power = len(codes) * _LENGTH, 1
    for code in codes:
        value += code * power
        power = power * base & _MASK
    value &= _MASK
    for shift, factor in _MIX:
        value = (value ^ (value >> shift)) * factor & _MASK
    return value ^ (value >> 31)


def _tables(length: int, base: int) -> tuple[Hashes, Hashes]:
    """The first ``length`` powers of ``base`` modulo 2**64, and of its inverse."""

    def powers(factor: int) -> Hashes:
        steps: npt.NDArray[Any] = np.full(length, factor, dtype=np.uint64)
        steps[0] = 1
        return np.cumprod(steps)

    return powers(base), powers(pow(base, -1, 2**64))


_kept_tables = lru_cache(maxsize=8)(_tables)
