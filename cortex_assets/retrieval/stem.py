"""A light English suffix rule, so that a question's ``surrenders`` meets a text's ``surrendered``.

Measured against no stemming, plurals only and the Snowball stemmer on the bench (``tests/bench/retrieval_bench.py``):
within .2 points of
Snowball at a twentieth of its time. Words of other languages pass the rule at worst with an ending cut the same way
on both sides.
"""

import re
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from inference.span_hashes import Positions

Bytes = npt.NDArray[np.uint8]
Flags = npt.NDArray[np.bool_]

_VOWEL = re.compile("[aeiouy]")
_IS_VOWEL = np.array([bool(_VOWEL.match(chr(code))) for code in range(256)])
_SHORTEST = 4


@lru_cache(maxsize=32_768)
def stem(term: str) -> str:
    """The stem of a casefolded term; anything but ASCII letters, and words under four letters, come back unchanged."""
    if len(term) < _SHORTEST or not (term.isascii() and term.isalpha()):
        return term
    term = _without_participle(_singular(term))
    if term.endswith("ly") and len(term) > 5:
        term = term[:-2]
    if len(term) >= _SHORTEST and term.endswith("e"):
        term = term[:-1]
    if len(term) >= _SHORTEST and term.endswith("y"):
        term = term[:-1] + "i"
    return term


def _singular(term: str) -> str:
    if term.endswith("ies") and len(term) > 4:
        return term[:-3] + "y"
    if term.endswith(("sses", "shes", "ches", "xes", "zes")):
        return term[:-2]
    return term[:-1] if term.endswith("s") and not term.endswith(("us", "ss", "is")) else term


def _without_participle(term: str) -> str:
    for suffix in ("ing", "ed"):
        base = term.removesuffix(suffix)
        if base != term and len(base) >= 3 and _VOWEL.search(base):
            return base[:-1] if base[-1] == base[-2] and base[-1] not in "lsz" else base
    return term


def stem_spans(codes: Bytes, starts: Positions, ends: Positions, lettered: Flags) -> tuple[Positions, Bytes]:
    """``stem`` of many spans of lower-case ASCII: where each stem ends, and a letter behind that end, or 0.

    Args:
        codes: the characters.
        starts: of the terms.
        ends: of the terms.
        lettered: whether a term has letters only; others stay as they are.
    """
    ends, last = ends.copy(), np.zeros(len(ends), dtype=np.uint8)
    chosen = np.flatnonzero(lettered & (ends - starts >= _SHORTEST))
    _cut_plurals(codes, starts, ends, last, chosen)
    _cut_participles(codes, starts, ends, chosen[last[chosen] == 0])
    _cut_ly(codes, starts, ends, last, chosen)
    lengths = ends[chosen] - starts[chosen] + (last[chosen] > 0)
    chosen = chosen[lengths >= _SHORTEST]
    silent = chosen[(last[chosen] == 0) & (codes[ends[chosen] - 1] == ord("e"))]
    ends[silent] -= 1
    chosen = chosen[ends[chosen] - starts[chosen] + (last[chosen] > 0) >= _SHORTEST]
    written = chosen[(last[chosen] == 0) & (codes[ends[chosen] - 1] == ord("y"))]
    ends[written] -= 1
    last[written] = ord("i")
    last[chosen[last[chosen] == ord("y")]] = ord("i")
    return ends, last


def _cut_plurals(codes: Bytes, starts: Positions, ends: Positions, last: Bytes, chosen: Positions) -> None:
    """``_singular`` of the chosen spans, in place."""
    chosen = chosen[codes[ends[chosen] - 1] == ord("s")]
    second, third, fourth = (codes[ends[chosen] - place] for place in (2, 3, 4))
    es = second == ord("e")
    ies = es & (third == ord("i")) & (ends[chosen] - starts[chosen] > 4)
    hissing = (third == ord("x")) | (third == ord("z")) | ((third == ord("s")) & (fourth == ord("s")))
    hissing |= (third == ord("h")) & ((fourth == ord("s")) | (fourth == ord("c")))
    hissing &= es
    single = ~(ies | hissing | (second == ord("u")) | (second == ord("s")) | (second == ord("i")))
    ends[chosen] -= 3 * ies + 2 * hissing + single
    last[chosen[ies]] = ord("y")


def _cut_participles(codes: Bytes, starts: Positions, ends: Positions, chosen: Positions) -> None:
    """``_without_participle`` of the chosen spans, in place."""
    final = codes[ends[chosen] - 1]
    chosen = chosen[(final == ord("g")) | (final == ord("d"))]
    first, second, third = (codes[ends[chosen] - place] for place in (1, 2, 3))
    ing = (first == ord("g")) & (second == ord("n")) & (third == ord("i"))
    ed = (first == ord("d")) & (second == ord("e"))
    bases = ends[chosen] - (3 * ing + 2 * ed)
    kept = (ing | ed) & (bases - starts[chosen] >= 3)
    chosen, bases = chosen[kept], bases[kept]
    vowels = np.zeros(len(codes) + 1, dtype=np.int32)
    np.cumsum(_IS_VOWEL[codes], out=vowels[1:])
    voiced = vowels[bases] > vowels[starts[chosen]]
    chosen, bases = chosen[voiced], bases[voiced]
    final = codes[bases - 1]
    doubled = (final == codes[bases - 2]) & (final != ord("l")) & (final != ord("s")) & (final != ord("z"))
    ends[chosen] = bases - doubled


def _cut_ly(codes: Bytes, starts: Positions, ends: Positions, last: Bytes, chosen: Positions) -> None:
    """Cut ``ly`` off the chosen spans that are longer than five letters, in place."""
    chosen = chosen[ends[chosen] - starts[chosen] + (last[chosen] > 0) > 5]
    changed = last[chosen] == ord("y")
    short = chosen[changed & (codes[ends[chosen] - 1] == ord("l"))]
    whole = chosen[~changed & (codes[ends[chosen] - 1] == ord("y")) & (codes[ends[chosen] - 2] == ord("l"))]
    ends[short] -= 1
    last[short] = 0
    ends[whole] -= 2
