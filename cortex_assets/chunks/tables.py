"""Tables that are too large for one chunk: cut between rows, the header rows repeated as context."""

import re

from cortex_assets.chunks.context import beginning
from cortex_assets.chunks.refine import Level, lines, refine, sentences
from cortex_assets.chunks.source import Source
from cortex_assets.documents.model import Block
from inference.hashing import Positions

_RULE = re.compile(r"[\s|:+=\-]*\Z")


def table_cuts(source: Source, block: Block, start: int, end: int, most: int) -> tuple[list[int], str, int]:
    """Cut the table ``[start, end)`` between rows.

    Returns:
        The positions to cut at, the header to repeat above every piece that starts after the header rows ("" for none),
        and the header's token count. Pieces leave room for it.
    """
    head_end = block.head_end if block.head_end is not None else start
    header, count = _header(source, start, head_end, most // 3) if head_end > start else ("", 0)

    def rows(inner: Source, low: int, high: int) -> Positions:
        starts = inner.line_starts(low, high)[0]
        return starts[starts > head_end] if low < head_end else starts

    levels: tuple[Level, ...] = (rows, lines, sentences)
    return refine(source, start, end, levels, most - count), header, count


def _header(source: Source, start: int, end: int, room: int) -> tuple[str, int]:
    """The header rows without rules of dashes, which cost a token a dash; shortened to ``room`` tokens."""
    kept = [line.rstrip() for line in source.text[start:end].splitlines() if not _RULE.match(line)]
    if not kept:
        return "", 0
    text = "\n".join(kept) + "\n"
    count = source.tokenizer.count_batch([text])[0]
    return (text, count) if count <= room else beginning(" ".join(text.split()), room, source.tokenizer)
