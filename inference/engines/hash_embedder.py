"""A deterministic embedder from the hashes of words: for tests, dry runs and measuring everything but a model.

Texts that share words get similar vectors; nothing more is promised. It reads the whole text, so ``max_tokens`` only
tells the chunker how large its chunks should be.
"""

import hashlib
import re
from collections.abc import Sequence
from typing import Final

import numpy as np

from inference.models import make_space
from inference.protocols import Floats, Progress, Space, Tokenizer

DIMENSIONS: Final = 384
_WORD: Final = re.compile(r"\w+")
_SPACED_BYTES: Final = bytes(code if chr(code).isalnum() or chr(code) == "_" else 32 for code in range(256))
_BATCH_CHARS: Final = 512 * 1024
_MOST_WORDS: Final = 100_000
_VERSION: Final = "feature hashing of lower-case words, 1"


def hash_space(max_tokens: int = 256) -> Space:
    """The space of the hash embedder; its id says that it is one."""
    digest = hashlib.sha256(_VERSION.encode()).hexdigest()
    return make_space(model="hash", digest=digest, dimensions=DIMENSIONS, max_tokens=max_tokens, pooling="mean")


class _Words(dict[str | bytes, int]):
    """Word to its signed column: column ``c`` is ``2c`` with a positive and ``2c + 1`` with a negative sign.

    Words of an ASCII text are bytes, which are cut three times as fast.
    """

    def __missing__(self, word: str | bytes) -> int:
        plain = word.lower() if isinstance(word, bytes) else word.lower().encode("utf-8", "surrogatepass")
        raw = hashlib.blake2b(plain, digest_size=8).digest()
        column = int.from_bytes(raw, "little") % (2 * DIMENSIONS)
        self[word] = column
        return column


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
        self._words = _Words()

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
        if len(self._words) > _MOST_WORDS:
            self._words = _Words()
        words: list[str | bytes] = []
        counts: list[int] = []
        for text in texts:
            found: Sequence[str | bytes] = (
                text.encode().translate(_SPACED_BYTES).split() if text.isascii() else _WORD.findall(text)
            )
            words += found
            counts.append(len(found))
        signed = np.fromiter(map(self._words.__getitem__, words), dtype=np.int64, count=len(words))
        rows = np.repeat(np.arange(len(texts), dtype=np.int64), counts)
        size = len(texts) * DIMENSIONS * 2
        sums = np.bincount(rows * (2 * DIMENSIONS) + signed, minlength=size).reshape(len(texts), DIMENSIONS, 2)
        vectors[:] = sums[:, :, 0] - sums[:, :, 1]
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        vectors[lengths[:, 0] == 0, 0] = 1.0
        vectors /= np.where(lengths == 0, 1, lengths)
        return len(words)
