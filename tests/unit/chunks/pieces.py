"""``chunks.split`` for tests: the pieces of a document one by one."""

from cortex_assets.chunks import split as cutting
from cortex_assets.chunks.split import Piece
from cortex_assets.documents.model import Structure
from inference.protocols import Tokenizer


def split(
    text: str, structure: Structure, kind: str, language: str | None, tokenizer: Tokenizer, limit: int
) -> list[Piece]:
    return cutting.split(text, structure, kind, language, tokenizer, limit).rows()
