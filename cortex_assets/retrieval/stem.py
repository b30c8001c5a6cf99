"""A light English suffix rule, so that a question's ``surrenders`` meets a text's ``surrendered``.

Measured against no stemming, plurals only and the Snowball stemmer on the bench (``tests/bench/retrieval_bench.py``):
within .2 points of
Snowball at a twentieth of its time. Words of other languages pass the rule at worst with an ending cut the same way
on both sides. ``terms.cpp`` has the same rule; tests hold the two together.
"""

import re
from functools import lru_cache

_VOWEL = re.compile("[aeiouy]")
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
