"""What counts as a word: text to normalized terms and their ids, the same for stored chunks, questions and highlights.

A *unit* is what the eye takes as one thing: a word, an identifier, a version, a path, a run of unspaced script. Its
*terms* are itself,
its components and their words, normalized; a term's id is a stable 32-bit hash. Weights do not belong here, nor stop
words (idf is
enough). A change here changes stored vectors: the index is then rebuilt from the chunks, without a model.
"""

import re
import threading
import unicodedata
from collections.abc import Iterable, Iterator
from functools import cache, lru_cache
from itertools import chain

from cortex_assets.retrieval.stem import stem
from inference.hashing import hash_of

_JOINED = r"(?:(?:::|[.\-/@]){w}+)*"
_SUFFIX = r"(?:\+\+|\#(?!\w))?"
_SIMPLE_UNIT = re.compile(r"\w+" + _JOINED.format(w=r"\w") + _SUFFIX)
_MAY_HAVE_MARKS = re.compile("[\u0300-\u1fff\u20d0-\u20ff\u2c00-\U0010ffff]")
_NOT_IN_A_UNIT = {code: " " for code in range(128) if not re.match(r"[\w.\-/:@+#]", chr(code))}
_SEPARATOR = re.compile(r"::|[.\-/@+#]+")
_PLAIN = re.compile(r"[a-z]+|[A-Z][a-z]+|\d+")
_PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_PARTS_BEYOND_ASCII = re.compile(r"[^\W\d_]+|\d+")
_VERSION = re.compile(r"v\d+(?:\.\d+)+.*")
# Thai, Lao, Myanmar, Khmer, kana, Han; and Hangul, whose particles stick to words.
_UNSPACED_CLASS = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\uac00-\ud7af\U00020000-\U0003ffff"
)
UNSPACED = re.compile(f"[{_UNSPACED_CLASS}]+")
_RUNS = re.compile(f"[{_UNSPACED_CLASS}]+|[^{_UNSPACED_CLASS}]+")
_ACCENTS = re.compile("[\u0300-\u036f]+")
_TABLE_LIMIT = 100_000
_LONGEST_REMEMBERED = 80


@lru_cache(maxsize=65_536)
def term_id(term: str) -> int:
    """The stable 32-bit id of a normalized term."""
    return hash_of(term.encode("utf-8", "surrogatepass")) >> 32


@cache
def _marked_unit() -> re.Pattern[str]:
    """The unit pattern for scripts with combining marks, which ``re`` does not count as word characters."""
    marks = [chr(code) for code in range(0x300, 0x20000) if unicodedata.category(chr(code)) in ("Mn", "Mc")]
    word = r"[\w" + "".join(marks) + "]"
    return re.compile(f"{word}+" + _JOINED.format(w=word) + _SUFFIX)


def part_pattern(word: str) -> re.Pattern[str]:
    """The pattern whose matches are the parts of an identifier: humps, runs of letters, runs of digits."""
    return _PARTS if word.isascii() else _PARTS_BEYOND_ASCII


def unit_pattern(text: str) -> re.Pattern[str]:
    """The pattern whose matches are a text's units: words, identifiers, versions, paths, runs of unspaced script."""
    return _marked_unit() if _MAY_HAVE_MARKS.search(text) else _SIMPLE_UNIT


class _Terms(dict[str, tuple[int, ...]]):
    """Unit to term ids, each distinct unit analysed once; forgets everything when full."""

    def __init__(self, asking: bool) -> None:
        super().__init__()
        self._asking = asking
        self._lock = threading.Lock()

    def __missing__(self, unit: str) -> tuple[int, ...]:
        ids = tuple(term_id(term) for term in unit_terms(unit, asking=self._asking))
        if len(unit) <= _LONGEST_REMEMBERED:
            with self._lock:
                if len(self) >= _TABLE_LIMIT:
                    self.clear()
                self[unit] = ids
        return ids


_STORED = _Terms(asking=False)
_ASKED = _Terms(asking=True)


def _folded(word: str) -> Iterable[str]:
    """The term of a word, and the one without accents where that differs."""
    term = word.casefold()
    yield stem(term)
    if not term.isascii():
        bare = unicodedata.normalize("NFC", _ACCENTS.sub("", unicodedata.normalize("NFD", term)))
        if bare != term:
            yield stem(bare)


def _grams(run: str, asking: bool) -> Iterable[str]:
    """Bigrams of an unspaced run; single characters too when stored, so that a query of one character finds them."""
    if len(run) == 1 or not asking:
        yield from run
    yield from (run[i : i + 2] for i in range(len(run) - 1))


@lru_cache(maxsize=32_768)
def _word_terms(word: str, asking: bool) -> tuple[str, ...]:
    return tuple(_each_word_term(word, asking))


def _each_word_term(word: str, asking: bool) -> Iterator[str]:
    """Terms of one word: itself, and its camelCase, snake_case and letter/digit parts (single letters left out)."""
    if UNSPACED.search(word):
        for run in _RUNS.findall(word):
            yield from _grams(run, asking) if UNSPACED.match(run) else _word_terms(run, asking)
        return
    parts = part_pattern(word).findall(word)
    if len(parts) <= 1:
        yield from _folded(word)
        bare = word.strip("_")
        if bare != word and bare:
            yield from _folded(bare)
        return
    yield from _folded(word)
    for part in parts:
        if len(part) > 1 or part.isdigit():
            yield from _folded(part)


def unit_terms(unit: str, *, asking: bool = False) -> list[str]:
    """The normalized terms of one unit: the whole identifier, path or version, its components, and their words.

    Args:
        unit: a match of ``unit_pattern``.
        asking: whether for a query (single characters of an unspaced run are stored, not asked, unless alone).
    """
    bare = unit.strip("-./:@")
    if _PLAIN.fullmatch(bare):
        return [stem(bare.lower())]
    plain = unit if unit.isascii() else unicodedata.normalize("NFKC", unit)
    pieces = unit_pattern(plain).findall(plain)
    terms: list[str] = []
    for piece in pieces:
        for whole in (piece, *piece.split("/")) if "/" in piece else (piece,):
            if _SEPARATOR.search(whole) and not UNSPACED.search(whole):
                terms.append(whole.casefold())
                if _VERSION.fullmatch(terms[-1]):
                    terms.append(terms[-1][1:])
        for word in _SEPARATOR.split(piece):
            if word:
                terms.extend(_word_terms(word, asking))
    return terms


def unit_ids(unit: str) -> tuple[int, ...]:
    """Ids of the terms that one unit has in a stored chunk."""
    return _STORED[unit]


def stored_ids(text: str) -> Iterable[int]:
    """Ids of all terms of a text as stored, in order, with repetitions."""
    # ASCII is cut roughly, twice as fast; unit_terms cuts each distinct piece exactly, so the terms are the same.
    units = text.translate(_NOT_IN_A_UNIT).split() if text.isascii() else unit_pattern(text).findall(text)
    return chain.from_iterable(map(_STORED.__getitem__, units))


def asked_ids(text: str) -> list[int]:
    """Ids of all terms of a question, in order, with repetitions."""
    return list(chain.from_iterable(map(_ASKED.__getitem__, unit_pattern(text).findall(text))))
