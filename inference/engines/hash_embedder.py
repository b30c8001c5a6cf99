"""A deterministic embedder from the hashes of words: for tests, dry runs and measuring everything but a model.

Texts that share words get similar vectors; nothing more is promised. It reads the whole text, so ``max_tokens`` only
tells the chunker how large its chunks should be.
"""

import hashlib
import re
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from inference.models import make_space
from inference.protocols import Floats, Progress, Space, Tokenizer
from inference.span_hashes import Hashes, Positions, SpanHashes

DIMENSIONS: Final = 384
_WORD: Final = re.compile(r"\w+")
_CLEAN_BYTES: Final = bytes(ord(chr(c).lower()) if chr(c).isalnum() or chr(c) == "_" else 32 for c in range(128)).ljust(
    256
)
_BATCH_CHARS: Final = 512 * 1024
_VERSION: Final = "feature hashing of lower-case words, 3"


def hash_space(max_tokens: int = 256) -> Space:
    """The space of the hash embedder; its id says that it is one."""
    digest = hashlib.sha256(_VERSION.encode()).hexdigest()
    return make_space(model="hash", digest=digest, dimensions=DIMENSIONS, max_tokens=max_tokens, pooling="mean")


class HashEmbedder:
    """``inference.protocols.Embedder`` by feature hashing.

    Args:
        tokenizer: handed on to those who count tokens; the vectors do not depend on it.
        max_tokens: what the space says a model of its kind would read.
    """

    precision = "fp32"

    def __init__(self, tokenizer: Tokenizer, max_tokens: int = 256) -> None:
        self.space = hash_space(max_tokens)
        self.tokenizer = tokenizer

    def embed_batch(self, texts: Sequence[str], progress: Progress | None = None) -> Floats:
        """Vectors of shape (len(texts), 384), float32, of length 1; progress counts words."""
        vectors: Floats = np.zeros((len(texts), DIMENSIONS), dtype=np.float32)
        start = 0
        while start < len(texts):
            end, size = start, 0
            while end < len(texts) and (end == start or size + len(texts[end]) <= _BATCH_CHARS):
                size += len(texts[end])
                end += 1
            words = self._fill(vectors[start:end], texts[start:end])
            start = end
            if progress is not None:
                progress(words)
        return vectors

    def _fill(self, vectors: Floats, texts: Sequence[str]) -> int:
        """Embed ``texts`` into ``vectors`` and return how many words they have."""
        cleaned = [_cleaned(text) for text in texts]
        firsts = np.cumsum([0, *(len(text) + 1 for text in cleaned)])
        starts, hashes = _hashed_words(np.frombuffer(b" ".join(cleaned) + b" ", dtype=np.uint8))
        signed = (hashes % np.uint64(2 * DIMENSIONS)).astype(np.int64)
        rows = np.searchsorted(firsts, starts, side="right") - 1
        size = len(texts) * DIMENSIONS * 2
        sums = np.bincount(rows * (2 * DIMENSIONS) + signed, minlength=size).reshape(len(texts), DIMENSIONS, 2)
        vectors[:] = sums[:, :, 0] - sums[:, :, 1]
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        vectors[lengths[:, 0] == 0, 0] = 1.0
        vectors /= np.where(lengths == 0, 1, lengths)
        return len(starts)


def _cleaned(text: str) -> bytes:
    """The lower-case words of a text as UTF-8, between spaces."""
    if text.isascii():
        return text.encode().translate(_CLEAN_BYTES)
    return " ".join(_WORD.findall(text)).lower().encode("utf-8", "surrogatepass")


def _hashed_words(data: npt.NDArray[np.uint8]) -> tuple[Positions, Hashes]:
    """Where each word of ``data`` begins, which ends with a space, and its 64-bit hash.

    Column ``c`` of a vector is ``2c`` with a positive and ``2c + 1`` with a negative sign.
    """
    edges = np.flatnonzero(np.diff(data != 32, prepend=False))
    starts, ends = edges[::2], edges[1::2]
    return starts, SpanHashes(data).of(starts, ends)
