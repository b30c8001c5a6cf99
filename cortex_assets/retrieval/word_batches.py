"""The terms of many texts at once: what ``words.unit_terms`` says of ASCII units, computed on arrays of bytes.

Nothing is made a Python object but units with other characters, which ``words`` analyses one by one. A batch is the
texts' bytes end to end; a word, a part of an identifier, a joined piece is a span of it; a term is a hash of a span.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import numpy.typing as npt

from cortex_assets.retrieval.stem import stem_spans
from cortex_assets.retrieval.words import stored_ids
from inference.span_hashes import Positions, SpanHashes

Bytes = npt.NDArray[np.uint8]
Flags = npt.NDArray[np.bool_]
Ids = npt.NDArray[np.uint32]

_OUTSIDE, _LOWER, _UPPER, _DIGIT, _UNDERSCORE, _JOINT, _COLON, _PLUS, _SHARP, _OTHER = range(10)


def _kind(char: str) -> int:
    """What a character is in a unit; ``words`` has the same as patterns."""
    if char.isalpha():
        return _LOWER if char.islower() else _UPPER
    marks = {"_": _UNDERSCORE, ":": _COLON, "+": _PLUS, "#": _SHARP, ".": _JOINT, "-": _JOINT, "/": _JOINT, "@": _JOINT}
    return _DIGIT if char.isdigit() else marks.get(char, _OUTSIDE)


_KINDS = np.array([_kind(chr(code)) for code in range(128)] + [_OTHER] * 128, dtype=np.uint8)
_LOWERED = np.array([ord(chr(code).lower()) for code in range(128)] + [0] * 128, dtype=np.uint8)
_PART = 256 * 1024


@dataclass(frozen=True, slots=True)
class _Spans:
    """Spans of a batch, ascending; ``last`` is a code that stands behind each instead of what was cut off, or 0."""

    starts: Positions
    ends: Positions
    last: Bytes


@dataclass(frozen=True, slots=True)
class _Words:
    """The words of a batch and which of them are joined to the one behind.

    Attributes:
        starts: of the words.
        ends: of the words.
        joined: whether a word and the next one are parts of one piece, such as a path.
        slashed: whether they are, by a slash.
        suffix: how many characters of a suffix, such as ``++``, stand behind a word that ends a piece.
    """

    starts: Positions
    ends: Positions
    joined: Flags
    slashed: Flags
    suffix: Positions


def stored_batch(texts: Sequence[str]) -> tuple[Positions, Ids]:
    """All terms of many texts as stored, with repetitions: the place of each term's text, and the term's id.

    Terms of one text need not stand together.
    """
    found = list(_parts(texts))
    owners = [np.zeros(0, np.int64), *(owners for owners, _ in found)]
    return np.concatenate(owners), np.concatenate([np.zeros(0, np.uint32), *(ids for _, ids in found)])


def _parts(texts: Sequence[str]) -> list[tuple[Positions, Ids]]:
    """``stored_batch`` of so many texts at a time that the arrays stay small."""
    found: list[tuple[Positions, Ids]] = []
    waiting: list[bytes] = []
    size = first = 0
    for text in texts:
        waiting.append(text.encode("utf-8", "surrogatepass"))
        size += len(waiting[-1])
        if size >= _PART:
            found.append(_terms(waiting, first))
            first, waiting, size = first + len(waiting), [], 0
    return [*found, _terms(waiting, first)]


def _terms(texts: Sequence[bytes], first: int) -> tuple[Positions, Ids]:
    """``stored_batch`` of encoded texts, the first of which has the place ``first``."""
    data = b" ".join([*texts, b" "])
    borders = np.cumsum([0, *(len(text) + 1 for text in texts)])
    codes = np.frombuffer(data, dtype=np.uint8)
    kinds = _KINDS[codes]
    places, others = _others(data, kinds)
    owners = [np.searchsorted(borders, places, side="right") - 1]
    groups = _groups(codes, kinds)
    owners += [np.repeat(np.arange(len(texts)), np.diff(group.starts.searchsorted(borders))) for group in groups]
    starts, ends, last = (np.concatenate([getattr(g, name) for g in groups]) for name in ("starts", "ends", "last"))
    hashes = SpanHashes(_LOWERED[codes]).of(starts, ends, last)
    return np.concatenate(owners) + first, np.concatenate((others, (hashes >> np.uint64(32)).astype(np.uint32)))


def _others(data: bytes, kinds: Bytes) -> tuple[Positions, Ids]:
    """Where terms of units with other characters than ASCII stand, and their ids; their ``kinds`` are blanked."""
    high = np.flatnonzero(kinds == _OTHER)
    if not len(high):
        return np.zeros(0, np.int64), np.zeros(0, np.uint32)
    edges = _edges(kinds != _OUTSIDE)
    starts, ends = edges[::2], edges[1::2]
    filled = np.flatnonzero(high.searchsorted(starts) < high.searchsorted(ends))
    spans = list(zip(starts[filled].tolist(), ends[filled].tolist(), strict=True))
    ids = [list(stored_ids(data[start:end].decode("utf-8", "surrogatepass"))) for start, end in spans]
    for start, end in spans:
        kinds[start:end] = _OUTSIDE
    counts = np.fromiter(map(len, ids), dtype=np.int64, count=len(ids))
    flat = np.fromiter(chain.from_iterable(ids), dtype=np.uint32, count=int(counts.sum()))
    return np.repeat(starts[filled], counts), flat


def _edges(inside: Flags) -> Positions:
    """Starts and ends, in turn, of the runs of True; the last one is False."""
    return np.flatnonzero(np.diff(inside, prepend=False))


def _groups(codes: Bytes, kinds: Bytes) -> list[_Spans]:
    """The spans whose hashes are the terms of the ASCII units."""
    words = _words(codes, kinds)
    letters = _counted((kinds == _LOWER) | (kinds == _UPPER))
    lowered = _LOWERED[codes]
    parts = _word_parts(kinds, words)
    wholes = [_wholes(words, words.joined, np.zeros(len(words.joined), np.bool_))]
    if words.slashed.any():
        wholes.append(_wholes(words, words.joined & ~words.slashed, words.slashed))
    stemmed = [
        _Spans(starts, *stem_spans(lowered, starts, ends, letters[ends] - letters[starts] == ends - starts))
        for starts, ends in ((words.starts, words.ends), parts)
    ]
    plain = [(words.starts[first], ends) for first, ends in wholes]
    plain += [_versions(lowered, kinds, words, first, ends) for first, ends in wholes]
    return stemmed + [_Spans(starts, ends, np.zeros(len(starts), np.uint8)) for starts, ends in plain]


def _words(codes: Bytes, kinds: Bytes) -> _Words:
    """Cut the words and see what stands between them."""
    edges = _edges((kinds >= _LOWER) & (kinds <= _UNDERSCORE))
    starts, ends = edges[::2], edges[1::2]
    gaps = np.append(starts[1:], starts[-1:] + 3) - ends if len(starts) else starts
    behind, second = kinds[ends], kinds[ends + 1]
    joint = (gaps == 1) & (behind == _JOINT)
    joined = joint | ((gaps == 2) & (behind == _COLON) & (second == _COLON))
    if len(joined):
        joined[-1] = False
    sharp = (behind == _SHARP) & ((second < _LOWER) | (second > _UNDERSCORE))
    suffix = 2 * ((behind == _PLUS) & (second == _PLUS)) + sharp
    return _Words(starts, ends, joined, joint & joined & (codes[ends] == ord("/")), suffix.astype(np.int64))


def _counted(flags: Flags) -> npt.NDArray[np.int32]:
    """How many of the flags before each place are set; one longer than ``flags``."""
    counts = np.zeros(len(flags) + 1, dtype=np.int32)
    np.cumsum(flags, out=counts[1:])
    return counts


def _word_parts(kinds: Bytes, words: _Words) -> tuple[Positions, Positions]:
    """The parts of words that are terms: humps, runs of letters and of digits; of a word that is one, none.

    A single letter beside other parts is none; a word without its underscores is one.
    """
    before, behind = np.zeros_like(kinds), np.zeros_like(kinds)
    before[1:], behind[:-1] = kinds[:-1], kinds[1:]
    lower, upper, digit = kinds == _LOWER, kinds == _UPPER, kinds == _DIGIT
    begins = digit & (before != _DIGIT)
    begins |= lower & (before != _LOWER) & (before != _UPPER)
    begins |= upper & ((before != _UPPER) | (behind == _LOWER))
    filled = lower | upper | digit
    finishes = begins | ~filled
    finishes[1:] &= filled[:-1]
    finishes[0] = False
    starts, ends = np.flatnonzero(begins), np.flatnonzero(finishes)
    number = _counted(begins)
    counts = number[words.ends] - number[words.starts]
    several = np.repeat(counts > 1, counts)
    smaller = ends - starts < np.repeat(words.ends - words.starts, counts)
    kept = np.where(several, (ends - starts > 1) | digit[starts], smaller)
    return starts[kept], ends[kept]


def _wholes(words: _Words, joined: Flags, apart: Flags) -> tuple[Positions, Positions]:
    """Runs of joined words that are terms as they stand: first word and end of those with a joint or a suffix.

    Args:
        words: of the batch.
        joined: whether a word belongs to the run of the next one.
        apart: whether a word is parted from the next one inside a piece; where any is, only runs beside such a place.
    """
    firsts = np.flatnonzero(~np.concatenate(([False], joined))[: len(joined)])
    lasts = np.flatnonzero(~joined)
    kept = (lasts > firsts) | (words.suffix[lasts] > 0)
    if apart.any():
        kept &= apart[lasts] | np.concatenate(([False], apart))[firsts]
    firsts, lasts = firsts[kept], lasts[kept]
    return firsts, words.ends[lasts] + words.suffix[lasts]


def _versions(
    lowered: Bytes, kinds: Bytes, words: _Words, firsts: Positions, ends: Positions
) -> tuple[Positions, Positions]:
    """Of the wholes that are versions with a ``v``, such as ``v1.2``, what stands behind it."""
    heads = words.ends[firsts]
    starts = words.starts[firsts]
    likely = (lowered[starts] == ord("v")) & (kinds[starts + 1] == _DIGIT) & words.joined[firsts]
    likely &= (lowered[heads] == ord(".")) & (kinds[heads + 1] == _DIGIT) & (heads < ends)
    if likely.any():
        digits = _counted(kinds == _DIGIT)
        likely &= digits[heads] - digits[starts] == heads - starts - 1
    return starts[likely] + 1, ends[likely]
