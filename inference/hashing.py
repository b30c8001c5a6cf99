"""64-bit hashes of numbers and of short byte strings: the same in every process, on every machine."""

from typing import Final

import numpy as np
import numpy.typing as npt

Hashes = npt.NDArray[np.uint64]
Positions = npt.NDArray[np.int64]

_BASE: Final = 0x9E3779B97F4A7C15
_LENGTH: Final = 0xC4CEB9FE1A85EC53
_MIX: Final = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB))
_MASK: Final = 2**64 - 1


def mixed(values: Hashes) -> Hashes:
    """SplitMix64's finalizer (Steele, Lea, Flood 2014): a bijection that spreads each value over 64 bits."""
    for shift, factor in _MIX:
        values = (values ^ (values >> np.uint64(shift))) * np.uint64(factor)
    return values ^ (values >> np.uint64(31))


def hash_of(codes: bytes) -> int:
    """A polynomial of the codes modulo 2**64 and of their number, spread as by ``mixed``."""
    value, power = len(codes) * _LENGTH, 1
    for code in codes:
        value += code * power
        power = power * _BASE & _MASK
    value &= _MASK
    for shift, factor in _MIX:
        value = (value ^ (value >> shift)) * factor & _MASK
    return value ^ (value >> 31)
