"""What the line-based markup families share: blocks that open and close, and headings that stand outside of them.

Patterns are each family's own; blocks that are open at the end of a part (4 MiB) end with it.
"""

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence

from cortex_assets.documents.model import Block, Heading

MAX_TITLE = 300


def line_start(text: str, position: int) -> int:
    """Offset of the first character of the line at ``position``."""
    return text.rfind("\n", 0, position) + 1


def line_end(text: str, position: int) -> int:
    """Offset of the line feed that ends the line at ``position``, or of the text's end."""
    end = text.find("\n", position)
    return len(text) if end < 0 else end


def trimmed_end(text: str, start: int, end: int) -> int:
    """``end`` without the white space before it."""
    return start + len(text[start:end].rstrip())


def blocks_of(text: str, opener: re.Pattern[str], read: Callable[[re.Match[str]], Block | None]) -> list[Block]:
    """Blocks in order, none inside another.

    Args:
        text: a part of a file.
        opener: what can begin a block.
        read: the block that begins at a match; None where none does.
    """
    blocks: list[Block] = []
    position = 0
    while match := opener.search(text, position):
        block = read(match)
        position = max(match.end(), match.start() + 1)
        if block is not None and block.start < block.end:
            blocks.append(block)
            position = max(position, block.end)
    return blocks


def outside(blocks: Sequence[Block], position: int) -> bool:
    """Whether no block covers ``position``; ``blocks`` are sorted and disjoint."""
    index = bisect_right(blocks, position, key=lambda block: block.start) - 1
    return index < 0 or blocks[index].end <= position


def headings_of(
    text: str, pattern: re.Pattern[str], blocks: Sequence[Block], read: Callable[[re.Match[str]], tuple[int, str]]
) -> list[Heading]:
    """Headings outside blocks: level (bounded to 1..6) and title as ``read`` gives them; one without a title is none."""
    headings: list[Heading] = []
    for match in pattern.finditer(text):
        if not outside(blocks, match.start()):
            continue
        level, title = read(match)
        title = " ".join(title.split())[:MAX_TITLE]
        if title:
            headings.append(Heading(max(1, min(6, level)), title, line_start(text, match.start())))
    return headings


def links_of(text: str, pattern: re.Pattern[str]) -> tuple[str, ...]:
    """What a pattern's groups name as targets, in order, each once."""
    found: Iterable[str] = (next(filter(None, match.groups()), "").strip() for match in pattern.finditer(text))
    return tuple(dict.fromkeys(target for target in found if target))
