"""A deterministic embedder from the hashes of tokens: for tests, dry runs and measuring everything but a model.

Texts that share words get similar vectors; nothing more is promised. It reads the whole text, so ``max_tokens`` only
tells the chunker how large its chunks should be.
"""

import hashlib
from collections.abc import Sequence
from typing import Final

import numpy as np

from inference.hashing import mixed
from inference.models import make_space, packaged_model
from inference.protocols import Floats, IdsTokenizer, Progress, Space

DIMENSIONS: Final = 384
_BATCH_CHARS: Final = 128 * 1024
_VERSION: Final = "feature hashing of tokens, 4"


def hash_space(max_tokens: int = 256) -> Space:
    """The space of the hash embedder; its id says that it is one.

    Raises:
        ModelMissing: the packaged model is not installed.
    """
    tokenizer = dict(packaged_model().digests)["tokenizer.json"]
    digest = hashlib.sha256(f"{_VERSION} {tokenizer}".encode()).hexdigest()
    return make_space(model="hash", digest=digest, dimensions=DIMENSIONS, max_tokens=max_tokens, pooling="mean")


class HashEmbedder:
    """``inference.protocols.Embedder`` by feature hashing (Weinberger et al. 2009) of token ids.

    Args:
        tokenizer: of the packaged model; its tokens are hashed.
        max_tokens: what the space says a model of its kind would read.
    """

    precision = "fp32"

    def __init__(self, tokenizer: IdsTokenizer, max_tokens: int = 256) -> None:
        self.space = hash_space(max_tokens)
        self.tokenizer = tokenizer

    def embed_batch(self, texts: Sequence[str], progress: Progress | None = None) -> Floats:
        """Vectors of shape (len(texts), 384), float32, of length 1; progress counts tokens."""
        vectors: Floats = np.zeros((len(texts), DIMENSIONS), dtype=np.float32)
        start = 0
        while start < len(texts):
            end, size = start, 0
            while end < len(texts) and (end == start or size + len(texts[end]) <= _BATCH_CHARS):
                size += len(texts[end])
                end += 1
            tokens = self._fill(vectors[start:end], texts[start:end])
            start = end
            if progress is not None:
                progress(tokens)
        return vectors

    def _fill(self, vectors: Floats, texts: Sequence[str]) -> int:
        """Embed ``texts`` into ``vectors`` and return how many tokens they have.

        Column ``c`` of a vector is cell ``2c`` with a positive and ``2c + 1`` with a negative sign.
        """
        batch = self.tokenizer.encode_ids_batch(texts)
        ids = np.concatenate(batch)
        cells = (mixed(ids.astype(np.uint64)) % np.uint64(2 * DIMENSIONS)).astype(np.int64)
        rows = np.repeat(np.arange(len(texts)) * (2 * DIMENSIONS), [len(one) for one in batch])
        counts = np.bincount(rows + cells, minlength=2 * vectors.size).reshape(len(texts), DIMENSIONS, 2)
        np.subtract(counts[:, :, 0], counts[:, :, 1], out=vectors, casting="unsafe")
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        vectors[lengths[:, 0] == 0, 0] = 1.0
        vectors /= np.where(lengths == 0, 1, lengths)
        return len(ids)
