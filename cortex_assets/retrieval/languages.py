"""Languages other than English: which one a text is in, and the stems of its words there (Snowball, by PyStemmer).

English has its own light rule (``stem``), which every word passes. A text with letters beyond ASCII is looked at for the words that
every sentence of a language has; its other words are stored once more by their stem, marked with the language, so that
*Häuser* meets *Haus* and never an English word. A question is too short to tell its language: it is asked in every language of
its script, and what no text has drops out by itself. Texts of a language whose words happen to be ASCII alone are left as they are.
Chinese, Japanese, Korean, Thai and their like are not spaced into words; ``words`` cuts them into bigrams.
"""

import re
import threading
from collections.abc import Iterable
from functools import cache, lru_cache
from typing import Any

from cortex_assets.retrieval.words import term_id

SEEN_CHARACTERS = 2_000
LEAST_WORDS = 2
"""A text is in a language when so many of its words are among those of the language, and more than among any other's."""
_SHORTEST = 4
"""Shorter words have no ending to take off."""
_LETTERS = re.compile("[\u00c0-\u024f\u0370-\u03ff\u0400-\u04ff]")
_WORD = re.compile(r"[^\W\d_]+")
_COMMON = {
    "danish": "og det at en den til er som på de med der af for ikke et har jeg var han men så kan vi",
    "dutch": "de en van het een dat niet op te zijn voor met die aan er ook maar om bij nog wordt",
    "english": "the of and to in is that for it was on with as be by are this from at which not have",
    "finnish": "ja on ei että se oli hän mutta ovat joka tämä kun myös mitä niin sen kuin tai",
    "french": "le la les de des et un une est que qui dans pour pas sur plus au avec ce il sont par ne",
    "german": "der die und das nicht ist ein eine mit auf für von den dem zu sich im des auch wird sind als",
    "greek": "και το της του να η στην με για που τα από ότι δεν είναι οι στο τη των",
    "hungarian": "a az és hogy nem is egy van ez de meg volt csak mint már vagy még után ki",
    "italian": "il la di che e un una per non sono con si da del della le dei alla più come anche gli nel",
    "norwegian": "og det at en den til er som på de med av for ikke et har jeg var han men så kan vi",
    "portuguese": "o a de que e do da em um para é com não uma os no se na por mais as dos como foi ao",
    "romanian": "și în de la a cu nu o că pe este care din un mai au fost pentru sau se",
    "russian": "и в не на что с как это по но из у за от о для к он она они был так же",
    "spanish": "el la de que y en un una los se del las por con no para es al lo como más su pero sus",
    "swedish": "och det att en den till är som på de med av för inte ett har jag var han men så kan vi",
    "turkish": "ve bir bu için ile da de çok ne daha gibi olarak en olan kadar sonra değil var",
}
_CYRILLIC, _GREEK = ("russian",), ("greek",)
_LATIN = tuple(name for name in _COMMON if name not in ("english", *_CYRILLIC, *_GREEK))
_WORDS = {name: frozenset(words.split()) for name, words in _COMMON.items()}
_LOCK = threading.Lock()


def language_of(text: str) -> str | None:
    """The language that a text is in, of those with stems here; None for English, for others, and where it cannot be told."""
    if text.isascii() or not _LETTERS.search(text):
        return None
    words = [word.casefold() for word in _WORD.findall(text[:SEEN_CHARACTERS])]
    counts = {name: sum(word in common for word in words) for name, common in _WORDS.items()}
    best = max(counts, key=lambda name: (counts[name], name))
    return best if counts[best] >= LEAST_WORDS and best != "english" else None


def stored_stems(text: str, language: str) -> list[int]:
    """Term ids of the stems of a text's words in its language, in order, with repetitions."""
    return [term_id(f"{language}:{stem}") for word in _words(text) if (stem := _stem(language, word))]


def asked_stems(text: str) -> list[int]:
    """Term ids of the stems of a question's words in every language of its script, in order."""
    return [
        term_id(f"{language}:{stem}")
        for word in _words(text)
        for language in _languages(word)
        if (stem := _stem(language, word))
    ]


def unit_stems(unit: str, language: str | None) -> tuple[int, ...]:
    """Ids of the stems that one unit of a text in a language has; none without a language."""
    return tuple(stored_stems(unit, language)) if language else ()


def _words(text: str) -> Iterable[str]:
    return (word.casefold() for word in _WORD.findall(text) if len(word) >= _SHORTEST)


def _languages(word: str) -> tuple[str, ...]:
    first = word[0]
    if "\u0400" <= first <= "\u04ff":
        return _CYRILLIC
    if "\u0370" <= first <= "\u03ff":
        return _GREEK
    return _LATIN if first < "\u0250" else ()


@lru_cache(maxsize=65_536)
def _stem(language: str, word: str) -> str:
    with _LOCK:  # a stemmer has a state
        stem: str = _stemmer(language).stemWord(word)
    return stem


@cache
def _stemmer(language: str) -> Any:
    import Stemmer

    return Stemmer.Stemmer(language)
