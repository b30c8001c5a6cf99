"""An exact and fast tokenizer for BERT WordPiece models; the cutting itself is in ``wordpiece.cpp``.

WordPiece after BERT's pre-tokenizer never looks across ASCII white space or ASCII punctuation, so a text cut there
tokenizes to the concatenation of its pieces. Runs of ASCII letters and digits are cut by the vocabulary; what a unit with
other characters becomes is asked of ``tokenizers`` once and remembered. Two kinds of text are not additive and
are found: one that contains an added token such as ``[SEP]`` is tokenized as a whole; a lone surrogate, which
``tokenizers`` refuses, is read as U+FFFD, which BERT drops.

Only WordPiece belongs here; every other tokenizer is in ``inference.tokenizers_plain``.
"""

import ctypes
import re
import threading
import weakref
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from inference.native import address, library
from inference.protocols import Ints, Tokens

if TYPE_CHECKING:
    from tokenizers import Tokenizer as RustTokenizer

# Not \s: BERT deletes \x0b, \x0c and \x1c-\x1f, so the words around them join.
_BORDER: Final = re.compile(r"[ \t\n\r!-/:-@\[-`{-~]")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_BLOCK_CHARS: Final = 128 * 1024
_RULES: Final = 1
"""Those of ``wordpiece.cpp``: another number wherever a text may get other tokens, or a function other arguments."""
_LONGEST_WORD: Final = 256
_NO_MEMORY: Final = -(2**63)


def readable(text: str) -> str:
    """Return ``text`` with lone surrogates, which ``tokenizers`` refuses, replaced by U+FFFD one to one."""
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)


def is_wordpiece(settings: dict[str, Any]) -> bool:
    """Whether a parsed ``tokenizer.json`` is BERT WordPiece as this module cuts it."""
    normalizer = settings.get("normalizer") or {}
    pre_tokenizer = settings.get("pre_tokenizer") or {}
    model = settings.get("model") or {}
    added = settings.get("added_tokens") or ()
    return (
        normalizer.get("type") == "BertNormalizer"
        and bool(normalizer.get("clean_text"))
        and pre_tokenizer.get("type") == "BertPreTokenizer"
        and model.get("type") == "WordPiece"
        and model.get("continuing_subword_prefix") == "##"
        and model.get("unk_token") in model.get("vocab", {})
        and not any(token.get("normalized") or re.search(r"\s", token["content"]) for token in added)
        and 0 < model.get("max_input_chars_per_word", 0) <= _LONGEST_WORD
    )


class WordPiece:
    """``inference.protocols.Tokenizer`` for BERT WordPiece, equal to ``tokenizers`` for every text. Thread-safe.

    Args:
        rust: the ``tokenizers.Tokenizer``; its padding and truncation are switched off.
        settings: the parsed ``tokenizer.json`` that ``rust`` was made from, of which ``is_wordpiece`` is true.
        name: names the tokenizer and its digest.
        most_bytes: what was asked of ``tokenizers`` is forgotten when it takes about so much memory.

    Raises:
        NotCompiled: ``wordpiece.cpp`` is not compiled.
        MemoryError: no memory is left; also of its methods, after which it is as usable as before.
    """

    def __init__(
        self,
        rust: "RustTokenizer",
        settings: dict[str, Any],
        *,
        name: str,
        most_bytes: int = 64 * 1024 * 1024,
    ) -> None:
        rust.no_padding()
        rust.no_truncation()
        self.name = name
        self.special_ids = tuple(rust.encode("").ids)
        self.special_tokens = len(self.special_ids)
        self._rust = rust
        added = [re.escape(token["content"]) for token in settings.get("added_tokens", ())]
        self._added = re.compile("|".join(added) or r"(?!)")  # one pass: `in` for each takes five times as long
        self._most_bytes = most_bytes
        self._calls = _library()
        self._table = _table(settings)
        self._lock = threading.Lock()
        weakref.finalize(self, self._calls.wordpiece_free, self._table).atexit = False  # threads may use it to the end

    def __reduce__(self) -> str:
        raise TypeError("a tokenizer stays in its process; open it anew where it is needed")

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
        return [len(ids) for ids in self.encode_ids_batch(texts)]

    def encode_ids_batch(self, texts: Sequence[str]) -> list[Ints]:
        """Token ids of many texts, special tokens not included: int32 arrays in the order of ``texts``."""
        batch: list[Ints] = []
        for group in _groups(texts):
            batch += self._ids_group(group) if len(group) > 1 else [self.encode(group[0]).ids]
        return batch

    def _is_additive(self, text: str) -> bool:
        return self._added.search(text) is None

    def _ids_group(self, texts: Sequence[str]) -> list[Ints]:
        """``encode_ids_batch`` of texts that are one block together."""
        joined = "\n".join([*texts, ""])
        whole: dict[int, Ints] = {}
        if not self._is_additive(joined):
            apart = [position for position, text in enumerate(texts) if not self._is_additive(text)]
            whole = {position: tokens_of(self._rust, texts[position]).ids for position in apart}
            texts = ["" if position in whole else text for position, text in enumerate(texts)]
            joined = "\n".join([*texts, ""])
        tokens = self._encode_block(joined)
        firsts = np.cumsum([0, *(len(text) + 1 for text in texts)])
        borders = tokens.starts.searchsorted(firsts).tolist()
        return [whole.get(n, tokens.ids[start:end]) for n, (start, end) in enumerate(pairwise(borders))]

    def _encode_block(self, text: str) -> Tokens:
        """Tokens of a text without added tokens."""
        if len(text) > 8 * _BLOCK_CHARS:  # one word; what the arrays would take is out of proportion
            return tokens_of(self._rust, text)
        data = text.encode("utf-8", "surrogatepass")
        ids, starts, ends = (np.empty(len(data), dtype=np.int32) for _ in range(3))
        with self._lock:
            if self._calls.wordpiece_held(self._table) > self._most_bytes:
                self._calls.wordpiece_forget(self._table)
            while (count := self._cut(data, ids, starts, ends)) < 0:
                spans = zip(starts[: -1 - count].tolist(), ends[: -1 - count].tolist(), strict=True)
                self._teach([data[start:end] for start, end in spans])
        return Tokens(ids[:count].copy(), starts[:count].copy(), ends[:count].copy())

    def _cut(self, data: bytes, ids: Ints, starts: Ints, ends: Ints) -> int:
        """Tokens into the arrays; less than zero where units are unknown, see ``wordpiece_cut``."""
        count: int = self._calls.wordpiece_cut(
            self._table, data, len(data), address(ids), address(starts), address(ends)
        )
        if count == _NO_MEMORY:
            raise MemoryError(f"no memory is left for the tokens of {len(data)} bytes of text")
        return count

    def _teach(self, units: Sequence[bytes]) -> None:
        """Ask ``tokenizers`` for the tokens of units, and remember them."""
        texts = [unit.decode("utf-8", "surrogatepass") for unit in units]
        lengths = np.fromiter(map(len, texts), dtype=np.int32, count=len(texts))
        tokens = tokens_of(self._rust, " ".join(texts))
        begins = np.cumsum(lengths + 1, dtype=np.int32) - (lengths + 1)
        owners = np.searchsorted(begins, tokens.starts, side="right") - 1
        counts = np.bincount(owners, minlength=len(texts)).astype(np.int32)
        sizes = np.fromiter(map(len, units), dtype=np.int32, count=len(units))
        starts, ends = (
            (tokens.starts - begins[owners]).astype(np.int32),
            (tokens.ends - begins[owners]).astype(np.int32),
        )
        columns = address(tokens.ids), address(starts), address(ends)
        sizes_and_counts = address(sizes), address(counts)
        if self._calls.wordpiece_teach(self._table, b"".join(units), *sizes_and_counts, len(units), *columns):
            raise MemoryError(f"no memory is left for the tokens of {len(units)} words")


@cache
def _library() -> ctypes.CDLL:
    """The compiled functions, with their arguments declared."""
    loaded = library("inference._wordpiece", "wordpiece_rules", _RULES)
    pointer, size, small, text = ctypes.c_void_p, ctypes.c_int64, ctypes.c_int32, ctypes.c_char_p
    loaded.wordpiece_new.argtypes = [text, pointer, pointer, pointer, size, small, small, small, small]
    loaded.wordpiece_new.restype = pointer
    loaded.wordpiece_free.argtypes = loaded.wordpiece_forget.argtypes = loaded.wordpiece_held.argtypes = [pointer]
    loaded.wordpiece_free.restype = loaded.wordpiece_forget.restype = None
    loaded.wordpiece_teach.restype = small
    loaded.wordpiece_teach.argtypes = [pointer, text, pointer, pointer, size, pointer, pointer, pointer]
    loaded.wordpiece_cut.argtypes = [pointer, text, size, pointer, pointer, pointer]
    loaded.wordpiece_cut.restype = loaded.wordpiece_held.restype = size
    return loaded


def _table(settings: dict[str, Any]) -> int:
    """A handle of the vocabulary of a parsed ``tokenizer.json``; only ASCII pieces are needed of it."""
    model, normalizer = settings["model"], settings["normalizer"]
    known = [(piece, number) for piece, number in model["vocab"].items() if piece.isascii()]
    suffixes = np.array([piece.startswith("##") for piece, _ in known], dtype=np.uint8)
    pieces = [piece.removeprefix("##").encode() for piece, _ in known]
    sizes: npt.NDArray[np.int32] = np.array([len(piece) for piece in pieces], dtype=np.int32)
    ids = np.array([number for _, number in known], dtype=np.int32)
    handle: int | None = _library().wordpiece_new(
        b"".join(pieces),
        address(sizes),
        address(ids),
        address(suffixes),
        len(pieces),
        model["vocab"][model["unk_token"]],
        model["max_input_chars_per_word"],
        bool(normalizer.get("lowercase")),
        bool(normalizer.get("handle_chinese_chars")),
    )
    if not handle:
        raise MemoryError("no memory is left for a vocabulary")
    return handle


def tokens_of(rust: "RustTokenizer", text: str) -> Tokens:
    """Tokenize one whole text with ``tokenizers`` itself."""
    encoding = rust.encode(readable(text), add_special_tokens=False)
    offsets = np.asarray(encoding.offsets, dtype=np.int32).reshape(-1, 2)
    return Tokens(np.asarray(encoding.ids, dtype=np.int32), offsets[:, 0].copy(), offsets[:, 1].copy())


def _blocks(text: str) -> Iterator[tuple[int, int]]:
    """Cut a text at borders of units into blocks of about 131,000 characters, so that the arrays stay small."""
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
