"""Joins over a column of digests in parts, so that a large one takes the memory of a part. Pure."""

import math
from collections.abc import Sequence

import polars as pl

ROWS_AT_ONCE = 300_000
"""A join of a million digests takes 300 MB; each part costs one more look at the table, .3 s of a million rows."""
_DIGITS = "0123456789abcdef"


def hash_parts(column: str, rows: int) -> Sequence[pl.Expr]:
    """Conditions of which each row with a lower-case hexadecimal digest in ``column`` meets exactly one.

    Args:
        column: holds digests, whose first digit is evenly spread.
        rows: how many there are; decides the number of parts, at most sixteen.
    """
    parts = min(len(_DIGITS), 2 ** max(0, math.ceil(math.log2(max(1, rows) / ROWS_AT_ONCE))))
    if parts == 1:
        return [pl.lit(True)]
    width = len(_DIGITS) // parts
    first = pl.col(column).str.head(1)
    return [first.is_in(list(_DIGITS[start : start + width])) for start in range(0, len(_DIGITS), width)]
