"""An exact and fast tokenizer for BERT WordPiece models: every distinct unit of text is tokenized once.

WordPiece after BERT's pre-tokenizer never looks across ASCII white space or ASCII punctuation, so a text cut there
tokenizes to the concatenation of its pieces. A unit is a run of ordinary characters with at most one space before it, a
run of ASCII punctuation, a run of ASCII white space, or one Chinese character. Two kinds of text are not additive and
are found: one that contains an added token such as ``[SEP]`` is tokenized as a whole; a lone surrogate, which
``tokenizers`` refuses, is read as U+FFFD, which BERT drops.

Only WordPiece belongs here; every other tokenizer is in ``inference.tokenizers_plain``.
"""

import re
import threading
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from inference.protocols import Ints, Tokens

if TYPE_CHECKING:
    from tokenizers import Tokenizer as RustTokenizer

_PUNCTUATION: Final = r"!-/:-@\[-`{-~"
# Not \s: BERT deletes \x0b, \x0c and \x1c-\x1f, so the words around them join.
_WHITE: Final = r" \t\n\r"
# The blocks that BERT pads with spaces (handle_chinese_chars); units of one character keep the table small.
_CHINESE: Final = "\u3400-\u4dbf\u4e00-\u9fff"
_UNIT: Final = re.compile(rf" ?[^{_PUNCTUATION}{_WHITE}{_CHINESE}]+|[{_PUNCTUATION}]+ ?|[{_WHITE}]+|[{_CHINESE}]")
_UNIT_JOINED: Final = re.compile(rf" ?[^{_PUNCTUATION}{_WHITE}]+|[{_PUNCTUATION}]+ ?|[{_WHITE}]+")
_WHITE_RUN: Final = re.compile(rf"[{_WHITE}]")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_BLOCK_CHARS: Final = 512 * 1024


class _IntColumn:
    """An int32 array that grows at its end in amortized constant time."""

    def __init__(self) -> None:
        self._array: Ints = np.zeros(1024, dtype=np.int32)
        self.length = 0

    def extend(self, values: Sequence[int]) -> None:
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


class _Units(dict[str, int]):
    """Unit text to unit number; looking up an unknown unit numbers it and remembers it in ``pending``."""

    def __init__(self) -> None:
        super().__init__()
        self.pending: list[str] = []

    def __missing__(self, unit: str) -> int:
        number = len(self)
        self[unit] = number
        self.pending.append(unit)
        return number


class _Table:
    """The units seen so far and, for each, its tokens; flat arrays indexed by unit number."""

    def __init__(self) -> None:
        self.units = _Units()
        self.chars = 0
        self.ids, self.starts, self.ends = _IntColumn(), _IntColumn(), _IntColumn()
        self.firsts, self.counts, self.lengths = _IntColumn(), _IntColumn(), _IntColumn()

    def complete(self, rust: "RustTokenizer") -> None:
        """Tokenize the pending units; on an error the table is unusable and the caller must drop it."""
        pending, self.units.pending = self.units.pending, []
        if not pending:
            return
        encodings = rust.encode_batch([readable(unit) for unit in pending], add_special_tokens=False)
        ids: list[int] = []
        offsets: list[tuple[int, int]] = []
        firsts: list[int] = []
        counts: list[int] = []
        base = self.ids.length
        for encoding in encodings:
            unit_ids = encoding.ids
            firsts.append(base + len(ids))
            counts.append(len(unit_ids))
            ids += unit_ids
            offsets += encoding.offsets
        lengths = [len(unit) for unit in pending]
        self.chars += sum(lengths)
        self.ids.extend(ids)
        self.starts.extend([start for start, _ in offsets])
        self.ends.extend([end for _, end in offsets])
        self.firsts.extend(firsts)
        self.counts.extend(counts)
        self.lengths.extend(lengths)


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
        most_units: the table is emptied when it holds more units than this (500,000 are about 100 MB).
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
        self._split = _UNIT if chinese_apart else _UNIT_JOINED
        self._most_units = most_units
        self._most_chars = 32 * most_units
        self._table = _Table()
        self._lock = threading.Lock()

    def encode(self, text: str) -> Tokens:
        """Tokenize one text; spans are character offsets into ``text``."""
        if not self._is_additive(text):
            return tokens_of(self._rust, text)
        pieces = [self._encode_block(text, start, end) for start, end in _blocks(text)]
        if len(pieces) == 1:
            return pieces[0]
        ids, starts, ends = (
            np.concatenate([getattr(piece, field) for piece in pieces]) for field in ("ids", "starts", "ends")
        )
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

    def _numbers(self, units: list[str]) -> Ints:
        """Unit numbers of ``units``, whose tokens are in the table afterwards. The lock is held."""
        table = self._table
        if len(table.units) > self._most_units or table.chars > self._most_chars:
            table = self._table = _Table()
        try:
            numbers = np.fromiter(map(table.units.__getitem__, units), dtype=np.int32, count=len(units))
            table.complete(self._rust)
        except BaseException:
            self._table = _Table()
            raise
        return numbers

    def _encode_block(self, text: str, start: int, end: int) -> Tokens:
        units = self._split.findall(text, start, end)
        with self._lock:
            numbers = self._numbers(units)
            table = self._table
            index, counts = _token_index(table, numbers)
            lengths = table.lengths.view[numbers]
            unit_starts = np.cumsum(lengths, dtype=np.int32) - lengths + np.int32(start)
            shift = np.repeat(unit_starts, counts)
            return Tokens(table.ids.view[index], table.starts.view[index] + shift, table.ends.view[index] + shift)

    def _units_of(self, texts: Sequence[str]) -> tuple[list[str], Ints, list[int]]:
        """Units of all texts, how many each text has, and which texts are not additive (they have none)."""
        units: list[str] = []
        lengths: list[int] = []
        whole: list[int] = []
        for position, text in enumerate(texts):
            if self._is_additive(text):
                found = self._split.findall(text)
                units += found
                lengths.append(len(found))
            else:
                lengths.append(0)
                whole.append(position)
        return units, np.asarray(lengths, dtype=np.int32), whole

    def _count_group(self, texts: Sequence[str]) -> list[int]:
        units, unit_counts, whole = self._units_of(texts)
        with self._lock:
            numbers = self._numbers(units)
            totals = np.concatenate(([0], np.cumsum(self._table.counts.view[numbers])))
        ends = np.cumsum(unit_counts)
        counts: list[int] = (totals[ends] - totals[ends - unit_counts]).tolist()
        for position in whole:
            counts[position] = len(tokens_of(self._rust, texts[position]).ids)
        return counts

    def _ids_group(self, texts: Sequence[str]) -> list[Ints]:
        units, unit_counts, whole = self._units_of(texts)
        with self._lock:
            numbers = self._numbers(units)
            index, counts = _token_index(self._table, numbers)
            ids = self._table.ids.view[index]
        totals = np.concatenate(([0], np.cumsum(counts)))
        borders = totals[np.concatenate(([0], np.cumsum(unit_counts)))].tolist()
        batch = [ids[start:end] for start, end in pairwise(borders)]
        for position in whole:
            batch[position] = tokens_of(self._rust, texts[position]).ids
        return batch


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
    """Cut a text before white space into blocks of about half a million characters, so that memory stays bounded."""
    start = 0
    while len(text) - start > _BLOCK_CHARS:
        border = _WHITE_RUN.search(text, start + _BLOCK_CHARS)
        if border is None:
            break
        yield start, border.start()
        start = border.start()
    yield start, len(text)


def _groups(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """Cut a batch into groups of about half a million characters; a text larger than that is alone."""
    start = size = 0
    for position, text in enumerate(texts):
        if position > start and size + len(text) > _BLOCK_CHARS:
            yield texts[start:position]
            start, size = position, 0
        size += len(text)
    if start < len(texts):
        yield texts[start:]
