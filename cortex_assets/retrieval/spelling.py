"""Words of a question that occur nowhere, as they may have been meant: one letter more, less, other or exchanged.

No vocabulary is kept: the index knows terms by their hash, so every spelling one step away is made and looked up (Norvig 2007,
"How to write a spelling corrector"; Damerau 1964: four of five misspellings are one such step). Common words beat rare ones.
Two steps would be a quarter of a million look-ups a word.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from cortex_assets.retrieval.languages import asked_stems
from cortex_assets.retrieval.stem import stem
from cortex_assets.retrieval.words import asked_ids, term_id

Frequencies = Callable[[Sequence[int]], tuple[list[int], int]]
"""In how many points each term occurs, and how many points there are."""

LETTERS = "abcdefghijklmnopqrstuvwxyz"
SHORTEST = 5
"""Shorter words are one step from too many others."""
LONGEST = 24
MOST_WORDS = 4
LEAST_POINTS = 2
"""A spelling that occurs in fewer points may be another misspelling."""


@dataclass(frozen=True, slots=True)
class Correction:
    """A word of the question that occurs nowhere, and the one that was looked for besides."""

    asked: str
    used: str


def corrected(question: str, frequencies: Mapping[int, int], look_up: Frequencies) -> tuple[Correction, ...]:
    """Corrections of the first ``MOST_WORDS`` words that occur nowhere; a word without a likely one has none.

    Args:
        question: what is asked.
        frequencies: in how many points each term of the question occurs.
        look_up: the same of other terms.
    """
    unknown = [word for word in dict.fromkeys(question.split()) if _is_unknown(word, frequencies)][:MOST_WORDS]
    found = ((word, _likely(word.lower(), look_up)) for word in (_letters(word) for word in unknown))
    return tuple(Correction(word, used) for word, used in found if used)


def _letters(word: str) -> str:
    return word.strip("?!,;:.()[]{}<>'\"`*")


def _is_unknown(word: str, frequencies: Mapping[int, int]) -> bool:
    """Whether a plain word occurs nowhere; names of code, paths and numbers are taken as they are."""
    bare = _letters(word)
    if not (bare.isascii() and bare.isalpha() and SHORTEST <= len(bare) <= LONGEST):
        return False
    if bare != bare.lower() and bare != bare.capitalize():
        return False
    ids = asked_ids(bare)
    return bool(ids) and all(frequencies.get(term, 0) == 0 for term in (*ids, *asked_stems(bare)))


def _likely(word: str, look_up: Frequencies) -> str:
    """The spelling one step away that occurs in most points; empty for none."""
    spellings = sorted(set(_one_step(word)) - {word})
    terms = [term_id(stem(spelling)) for spelling in spellings]
    counts, _ = look_up(terms)
    best = max(zip(counts, spellings, strict=True), key=lambda pair: (pair[0], pair[1]), default=(0, ""))
    return best[1] if best[0] >= LEAST_POINTS else ""


def _one_step(word: str) -> Iterator[str]:
    for at in range(len(word) + 1):
        head, tail = word[:at], word[at:]
        if tail:
            yield head + tail[1:]
            yield from (head + letter + tail[1:] for letter in LETTERS)
        if len(tail) > 1:
            yield head + tail[1] + tail[0] + tail[2:]
        yield from (head + letter + tail for letter in LETTERS)
