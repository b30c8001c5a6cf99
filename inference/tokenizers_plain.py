"""Opens a model's tokenizer: ``WordPiece`` where it is exact, else ``tokenizers`` itself with offsets.

A tokenizer with a faster exact way gets its own module, as ``inference.wordpiece`` has.
"""

import hashlib
import json
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from inference.errors import ModelMissing, ModelUnsupported
from inference.protocols import IdsTokenizer, Ints, Tokens
from inference.wordpiece import WordPiece, is_wordpiece, readable, tokens_of

if TYPE_CHECKING:
    from tokenizers import Tokenizer as RustTokenizer

_BATCH = 1024
_open: weakref.WeakValueDictionary[str, IdsTokenizer] = weakref.WeakValueDictionary()
"""Tokenizers in use, by the digest of their file: what one has learned of words serves all who count and embed."""


class PlainTokenizer:
    """``inference.protocols.Tokenizer`` for BPE, unigram and any other model, through ``encode_batch``.

    Args:
        rust: the ``tokenizers.Tokenizer``; its padding and truncation are switched off.
        name: names the tokenizer and its digest.
    """

    def __init__(self, rust: "RustTokenizer", *, name: str) -> None:
        rust.no_padding()
        rust.no_truncation()
        self.name = name
        self.special_ids = tuple(rust.encode("").ids)
        self.special_tokens = len(self.special_ids)
        self._rust = rust

    def encode(self, text: str) -> Tokens:
        """Tokenize one text; spans are character offsets into ``text``."""
        return tokens_of(self._rust, text)

    def count_batch(self, texts: Sequence[str]) -> list[int]:
        """Token counts of many texts, special tokens not included."""
        return [len(ids) for ids in self.encode_ids_batch(texts)]

    def encode_ids_batch(self, texts: Sequence[str]) -> list[Ints]:
        """Token ids of many texts, special tokens not included: int32 arrays in the order of ``texts``."""
        batch: list[Ints] = []
        for start in range(0, len(texts), _BATCH):
            group = [readable(text) for text in texts[start : start + _BATCH]]
            encodings = self._rust.encode_batch_fast(group, add_special_tokens=False)
            batch += [np.asarray(encoding.ids, dtype=np.int32) for encoding in encodings]
        return batch


def open_tokenizer(path: Path) -> IdsTokenizer:
    """Open a ``tokenizer.json``, or share one of the same content that is in use.

    Raises:
        ModelMissing: the file is not there.
        ModelUnsupported: the file is not a tokenizer that ``tokenizers`` reads.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ModelMissing(f"tokenizer {path} cannot be read ({error.strerror}); pull the model again") from error
    digest = hashlib.sha256(raw).hexdigest()
    known = _open.get(digest)
    if known is None:
        known = _open[digest] = _opened(path, raw, digest[:8])
    return known


def _opened(path: Path, raw: bytes, digest: str) -> IdsTokenizer:
    from tokenizers import Tokenizer as RustTokenizer

    try:
        settings = json.loads(raw)
        rust = RustTokenizer.from_buffer(raw)
    except Exception as error:
        raise ModelUnsupported(f"tokenizer {path} is not readable: {str(error)[:200]}; pull the model again") from error
    if is_wordpiece(settings):
        return WordPiece(rust, settings, name=f"wordpiece-{digest}")
    kind = str((settings.get("model") or {}).get("type", "tokenizer")).lower()
    return PlainTokenizer(rust, name=f"{kind}-{digest}")
