"""Parsing bytes given by a test."""

import io
from collections.abc import Callable

import pytest

from cortex_assets.documents.model import ParsedDocument, ParseInput
from cortex_assets.documents.registry import parser_for

Parse = Callable[..., list[ParsedDocument]]


@pytest.fixture
def parse() -> Parse:
    """Parse text or bytes by a media type's route."""

    def parsed(data: str | bytes, media_type: str, path: str = "folder/file.txt") -> list[ParsedDocument]:
        raw = data.encode() if isinstance(data, str) else data
        items = parser_for(media_type).parser(ParseInput(io.BytesIO(raw), len(raw), path, media_type))
        return [item for item in items if isinstance(item, ParsedDocument)]

    return parsed
