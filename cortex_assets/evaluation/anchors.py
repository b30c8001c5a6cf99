"""A passage to the words that name it in a golden set: the inverse of ``resolve.find_span``. Pure."""

import re

from cortex_assets.evaluation.resolve import find_span

FIRST_WORDS = (6, 10, 16, 26, 42)
LAST_WORDS = (5, 9, 15, 25)
_WORD = re.compile(r"\S+")


def anchors(text: str, start: int, end: int) -> tuple[str, str] | None:
    """First and last words of a passage that find it again, and nothing else of the document.

    Args:
        text: of the document.
        start: first character of the passage.
        end: one past its last.

    Returns:
        ``begins`` and ``ends`` with white space collapsed, ``ends`` empty where ``begins`` is the whole passage; None where it has
        no words, or as many of them as are tried begin in several places.
    """
    words = [match.group() for match in _WORD.finditer(text, start, end)]
    if not words:
        return None
    start = text.index(words[0], start)
    end = text.rindex(words[-1], start, end) + len(words[-1])
    for count in FIRST_WORDS:
        begins = " ".join(words[:count])
        if not _is_only(text, begins, start):
            continue
        if count >= len(words):
            return begins, ""
        return _closed(text, begins, words[count:], (start, end))
    return None


def _is_only(text: str, begins: str, start: int) -> bool:
    """Whether words stand at a place of a text and nowhere else."""
    first = find_span(text, begins)
    return first is not None and first[0] == start and find_span(text[start + 1 :], begins) is None


def _closed(text: str, begins: str, rest: list[str], span: tuple[int, int]) -> tuple[str, str] | None:
    for count in LAST_WORDS:
        ends = " ".join(rest[-count:])
        if find_span(text, begins, ends) == span:
            return begins, ends
    return None
