"""An exact and fast tokenizer for BERT WordPiece models: every distinct unit of text is tokenized once.

WordPiece after BERT's pre-tokenizer never looks across ASCII white space or ASCII punctuation, so a text cut there
tokenizes to the concatenation of its pieces. A unit is a run of ordinary characters, a run of ASCII punctuation or one
Chinese character; ASCII white space makes no token. Units are cut, hashed and looked up a block of text at a time; a
unit is known by a 64-bit hash whose key each table draws for itself; a long one is hashed by BLAKE2. Two kinds of text are not additive and
are found: one that contains an added token such as ``[SEP]`` is tokenized as a whole; a lone surrogate, which
``tokenizers`` refuses, is read as U+FFFD, which BERT drops.

Only WordPiece belongs here; every other tokenizer is in ``inference.tokenizers_plain``.
"""

import re
import secrets
import threading
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from inference.protocols import Ints, Tokens
from inference.span_hashes import Codes, Positions, SpanHashes

if TYPE_CHECKING:
    from tokenizers import Tokenizer as RustTokenizer

_PUNCTUATION: Final = re.compile(r"[!-/:-@\[-`{-~]")
# Not \s: BERT deletes \x0b, \x0c and \x1c-\x1f, so the words around them join.
_WHITE: Final = " \t\n\r"
_BORDER: Final = re.compile(rf"[{_WHITE}!-/:-@\[-`{{-~]")
# The blocks that BERT pads with spaces (handle_chinese_chars); units of one character keep the table small.
_CHINESE: Final = ((0x3400, 0x4DBF), (0x4E00, 0x9FFF))
_IS_WHITE, _IS_ORDINARY, _IS_PUNCTUATION, _IS_CHINESE = range(4)
_KINDS: Final = np.array(
    [
        _IS_WHITE if chr(code) in _WHITE else _IS_PUNCTUATION if _PUNCTUATION.match(chr(code)) else _IS_ORDINARY
        for code in range(129)
    ],
    dtype=np.uint8,
)
"""Of each ASCII character; the last one is that of every other."""
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_BLOCK_CHARS: Final = 128 * 1024
_LONG_UNIT: Final = 64
"""Longer units are hashed one by one: of long spans some have the same polynomial hash whatever its base."""


class _IntColumn:
    """An int32 array that grows at its end in amortized constant time."""

    def __init__(self) -> None:
        self._array: Ints = np.zeros(1024, dtype=np.int32)
        self.length = 0

    def extend(self, values: Ints) -> None:
        """Append ``values``."""
        end = self.length + len(values)
        if end > len(self._array):
            grown: Ints = np.zeros(max(end, 2 * len(self._array)), dtype=np.int32)
            grown[: self.length] = self._array[: self.length]
            self._array = grown
        self._array[self.length : end] = values
        self.length = end

    @property
    def view(self) -> Ints:
        """The filled part, not copied."""
        return self._array[: self.length]


class _Units(dict[int, int]):
    """Hash of a unit to its number; looking up an unknown one numbers it."""

    def __missing__(self, unit: int) -> int:
        number = self[unit] = len(self)
        return number


class _Table:
    """The units seen so far and, for each, its tokens; flat arrays indexed by unit number."""

    def __init__(self) -> None:
        self.units = _Units()
        self.ids, self.starts, self.ends = _IntColumn(), _IntColumn(), _IntColumn()
        self.firsts, self.counts = _IntColumn(), _IntColumn()

    def add(self, units: Sequence[str], rust: "RustTokenizer") -> None:
        """Tokenize the units numbered last; on an error the table is unusable and the caller must drop it."""
        lengths = np.fromiter(map(len, units), dtype=np.int32, count=len(units))
        tokens = tokens_of(rust, " ".join(units))
        begins = np.cumsum(lengths + 1, dtype=np.int32) - (lengths + 1)
        owners = np.searchsorted(begins, tokens.starts, side="right") - 1
        counts = np.bincount(owners, minlength=len(units)).astype(np.int32)
        self.firsts.extend(self.ids.length + np.cumsum(counts, dtype=np.int32) - counts)
        self.counts.extend(counts)
        self.ids.extend(tokens.ids)
        self.starts.extend(tokens.starts - begins[owners])
        self.ends.extend(tokens.ends - begins[owners])


def readable(text: str) -> str:
    """Return ``text`` with lone surrogates, which ``tokenizers`` refuses, replaced by U+FFFD one to one."""
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)


def is_wordpiece(settings: dict[str, Any]) -> bool:
    """Whether a parsed ``tokenizer.json`` is BERT WordPiece as the word table needs it."""
    normalizer = settings.get("normalizer") or {}
    pre_tokenizer = settings.get("pre_tokenizer") or {}
    model = settings.get("model") or {}
    prefix = model.get("continuing_subword_prefix")
    return (
        normalizer.get("type") == "BertNormalizer"
        and pre_tokenizer.get("type") == "BertPreTokenizer"
        and model.get("type") == "WordPiece"
        and prefix == "##"
    )


class WordTable:
    """``inference.protocols.Tokenizer`` for BERT WordPiece, equal to ``tokenizers`` for every text. Thread-safe.

    Args:
        rust: the ``tokenizers.Tokenizer``; its padding and truncation are switched off.
        settings: the parsed ``tokenizer.json`` that ``rust`` was made from.
        name: names the tokenizer and its digest.
        most_units: the table is emptied when it holds more units than this (500,000 are about 60 MB).
    """

    def __init__(
        self,
        rust: "RustTokenizer",
        settings: dict[str, Any],
        *,
        name: str,
        most_units: int = 500_000,
    ) -> None:
        rust.no_padding()
        rust.no_truncation()
        self.name = name
        self.special_ids = tuple(rust.encode("").ids)
        self.special_tokens = len(self.special_ids)
        self._rust = rust
        self._added = tuple(token["content"] for token in settings.get("added_tokens", ()))
        chinese_apart = bool((settings.get("normalizer") or {}).get("handle_chinese_chars"))
        self._apart = _CHINESE if chinese_apart else ()
        self._most_units = most_units
        self._key = secrets.token_bytes(16)
        # Of a base that is 5 modulo 8 the powers repeat last. Not a constant: those are part of the chunker's version.
        self._base = secrets.randbits(61) << 3 | 5
        self._table = _Table()
        self._lock = threading.Lock()

    def encode(self, text: str) -> Tokens:
        """Tokenize one text; spans are character offsets into ``text``."""
        if not self._is_additive(text):
            return tokens_of(self._rust, text)
        blocks = list(_blocks(text))
        if len(blocks) == 1:
            return self._encode_block(text)
        pieces = [self._encode_block(text[start:end]) for start, end in blocks]
        ids = np.concatenate([piece.ids for piece in pieces])
        starts = np.concatenate([piece.starts + start for piece, (start, _) in zip(pieces, blocks, strict=True)])
        ends = np.concatenate([piece.ends + start for piece, (start, _) in zip(pieces, blocks, strict=True)])
        return Tokens(ids, starts, ends)

    def count_batch(self, texts: Sequence[str]) -> list[int]:
        """Token counts of many texts, special tokens not included."""
        counts: list[int] = []
        for group in _groups(texts):
            counts += self._count_group(group) if len(group) > 1 else [len(self.encode(group[0]).ids)]
        return counts

    def encode_ids_batch(self, texts: Sequence[str]) -> list[Ints]:
        """Token ids of many texts, special tokens not included: int32 arrays in the order of ``texts``."""
        batch: list[Ints] = []
        for group in _groups(texts):
            batch += self._ids_group(group) if len(group) > 1 else [self.encode(group[0]).ids]
        return batch

    def _is_additive(self, text: str) -> bool:
        return not any(token in text for token in self._added)

    def _numbers(self, text: str, codes: Codes, starts: Positions, ends: Positions) -> Ints:
        """Numbers of the units of ``text``, whose tokens are in the table afterwards. The lock is held."""
        if not len(starts):
            return np.zeros(0, dtype=np.int32)
        table = self._table
        if len(table.units) > self._most_units:
            table = self._table = _Table()
        held = len(table.units)
        hashes = SpanHashes(codes, self._base).of(starts, ends)
        for unit in np.flatnonzero(ends - starts > _LONG_UNIT).tolist():
            hashes[unit] = self._hashed(text[starts[unit] : ends[unit]])
        distinct, firsts, places = _distinct(hashes)
        try:
            known = np.fromiter(map(table.units.__getitem__, distinct), dtype=np.int32, count=len(distinct))
            new = firsts[known >= held]
            if len(new):
                spans = zip(starts[new].tolist(), ends[new].tolist(), strict=True)
                table.add([text[start:end] for start, end in spans], self._rust)
        except BaseException:
            self._table = _Table()
            raise
        return known[places]

    def _hashed(self, unit: str) -> int:
        digest = blake2b(unit.encode("utf-8", "surrogatepass"), digest_size=8, key=self._key).digest()
        return int.from_bytes(digest, "little")

    def _encode_block(self, text: str) -> Tokens:
        if len(text) > 8 * _BLOCK_CHARS:  # one word; what the arrays would take is out of proportion
            return tokens_of(self._rust, text)
        codes = _codes(text)
        starts, ends = _units(codes, self._apart)
        with self._lock:
            numbers = self._numbers(text, codes, starts, ends)
            table = self._table
            index, counts = _token_index(table, numbers)
            shift = np.repeat(starts.astype(np.int32), counts)
            return Tokens(table.ids.view[index], table.starts.view[index] + shift, table.ends.view[index] + shift)

    def _joined(self, texts: Sequence[str]) -> tuple[str, Positions, list[int]]:
        """The texts with a line feed behind each, where each begins, and which are not additive (empty in it)."""
        whole = [position for position, text in enumerate(texts) if not self._is_additive(text)]
        if whole:
            left_out = set(whole)
            texts = ["" if position in left_out else text for position, text in enumerate(texts)]
        firsts = np.cumsum([0, *(len(text) + 1 for text in texts)])
        return "\n".join([*texts, ""]), firsts, whole

    def _count_group(self, texts: Sequence[str]) -> list[int]:
        text, firsts, whole = self._joined(texts)
        codes = _codes(text)
        starts, ends = _units(codes, self._apart)
        with self._lock:
            numbers = self._numbers(text, codes, starts, ends)
            totals = np.concatenate(([0], np.cumsum(self._table.counts.view[numbers])))
        counts: list[int] = np.diff(totals[starts.searchsorted(firsts)]).tolist()
        for position in whole:
            counts[position] = len(tokens_of(self._rust, texts[position]).ids)
        return counts

    def _ids_group(self, texts: Sequence[str]) -> list[Ints]:
        text, firsts, whole = self._joined(texts)
        codes = _codes(text)
        starts, ends = _units(codes, self._apart)
        with self._lock:
            numbers = self._numbers(text, codes, starts, ends)
            index, counts = _token_index(self._table, numbers)
            ids = self._table.ids.view[index]
        totals = np.concatenate(([0], np.cumsum(counts)))
        borders = totals[starts.searchsorted(firsts)].tolist()
        batch = [ids[start:end] for start, end in pairwise(borders)]
        for position in whole:
            batch[position] = tokens_of(self._rust, texts[position]).ids
        return batch


def _codes(text: str) -> Codes:
    """The characters of a text as numbers."""
    if text.isascii():
        return np.frombuffer(text.encode("ascii"), dtype=np.uint8)
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)


def _units(codes: Codes, apart: Sequence[tuple[int, int]]) -> tuple[Positions, Positions]:
    """Starts and ends of the units; characters in the blocks ``apart`` are units of their own."""
    kinds = _KINDS[codes if codes.dtype == np.uint8 else np.minimum(codes, 128)]
    if codes.dtype != np.uint8:
        for low, high in apart:
            kinds[(codes >= low) & (codes <= high)] = _IS_CHINESE
    borders = np.ones(len(codes) + 1, dtype=np.bool_)
    np.not_equal(kinds[1:], kinds[:-1], out=borders[1:-1])
    if codes.dtype != np.uint8:
        borders[:-1] |= kinds == _IS_CHINESE
    edges = np.flatnonzero(borders)
    starts, ends = edges[:-1], edges[1:]
    filled = kinds[starts] != _IS_WHITE
    return starts[filled], ends[filled]


def _distinct(hashes: npt.NDArray[np.uint64]) -> tuple[list[int], Positions, Positions]:
    """Each hash once, where one of its kind stands, and for every hash its place in that list."""
    order = np.argsort(hashes)
    ascending = hashes[order]
    new = np.ones(len(hashes), dtype=np.bool_)
    np.not_equal(ascending[1:], ascending[:-1], out=new[1:])
    places = np.empty(len(hashes), dtype=np.int64)
    places[order] = np.cumsum(new) - 1
    return ascending[new].tolist(), order[new], places


def _token_index(table: _Table, numbers: Ints) -> tuple[Ints, Ints]:
    """For units in the order of ``numbers``: where their tokens stand in the table, and how many each has."""
    counts = table.counts.view[numbers]
    before = np.cumsum(counts, dtype=np.int32) - counts
    index = np.repeat(table.firsts.view[numbers] - before, counts)
    index += np.arange(len(index), dtype=np.int32)
    return index, counts


def tokens_of(rust: "RustTokenizer", text: str) -> Tokens:
    """Tokenize one whole text with ``tokenizers`` itself."""
    encoding = rust.encode(readable(text), add_special_tokens=False)
    offsets = np.asarray(encoding.offsets, dtype=np.int32).reshape(-1, 2)
    return Tokens(np.asarray(encoding.ids, dtype=np.int32), offsets[:, 0].copy(), offsets[:, 1].copy())


def _blocks(text: str) -> Iterator[tuple[int, int]]:
    """Cut a text at borders of units into blocks of about 131,000 characters, so that they stay near the processor."""
    start = 0
    while len(text) - start > _BLOCK_CHARS:
        border = _BORDER.search(text, start + _BLOCK_CHARS)
        if border is None:
            break
        yield start, border.start()
        start = border.start()
    yield start, len(text)


def _groups(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """Cut a batch into groups of about 131,000 characters; a text larger than that is alone."""
    start = size = 0
    for position, text in enumerate(texts):
        if position > start and size + len(text) > _BLOCK_CHARS:
            yield texts[start:position]
            start, size = position, 0
        size += len(text)
    if start < len(texts):
        yield texts[start:]
