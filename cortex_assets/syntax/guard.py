"""Ends a parse that goes wild: some grammars need minutes, or gigabytes, for a text that is not of their language.

What decides is the text wherever it can be: its size, and how much of its beginning a grammar makes sense of. The limits
on time and memory are the last resort, far above what any source of that size needs.
"""

import re
import time
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from tree_sitter import Parser, Tree

WILD_BYTES = 512 * 1024
"""Most bytes that are given to a grammar which can go wild."""
_PROBE_FROM = 16 * 1024
_PROBE_BYTES = 3000
_MOST_WRONG = 0.25
_ENDS = re.compile(rb"[;{}>]")
_MOST_ANGLES = 1000
"""More opening angle brackets than this in one statement are no generics: C#'s grammar needs gigabytes for them."""
_SECONDS = 10.0
_LITTLE = 0.01
"""Seconds in which no parse takes memory that matters; asking the kernel for it takes as long as a small parse."""
_GROWTH = 160 * 1024 * 1024
"""tree-sitter does not give back what a parse held that was given up, so it must not be much."""


class Guard:
    """Counts what one text costs; ``is_over`` is for the parser to ask.

    Args:
        error_steps: progress reports in recovery from errors after which to give up.
    """

    def __init__(self, error_steps: int) -> None:
        self._steps = error_steps
        self._started = time.thread_time()
        self._process: psutil.Process | None = None
        self._most = 0

    def is_over(self, has_error: bool) -> bool:
        """Whether to give up now."""
        self._steps -= has_error
        seconds = time.thread_time() - self._started
        if self._steps <= 0 or seconds > _SECONDS:
            return True
        return seconds > _LITTLE and self._has_grown()

    def _has_grown(self) -> bool:
        """Whether the process grew too much since this was asked first."""
        if self._process is None:
            self._process = psutil.Process()
            self._most = self._process.memory_info().rss + _GROWTH
        return self._process.memory_info().rss > self._most


def is_another_language(parser: "Parser", source: bytes) -> bool:
    """Whether a grammar makes nothing of the first lines of a source that is large enough to cost time."""
    if len(source) < _PROBE_FROM:
        return False
    if max(part.count(b"<") for part in _ENDS.split(source)) > _MOST_ANGLES:
        return True
    head = source[: source.rfind(b"\n", 0, _PROBE_BYTES) + 1] or source[:_PROBE_BYTES]
    return _wrong_bytes(parser.parse(head)) > _MOST_WRONG * len(head)


def _wrong_bytes(tree: "Tree") -> int:
    """How many bytes are words directly within errors: no part of a statement, an expression or a comment.

    An error around whole statements is no sign of another language: the end of a block is missing where the lines end.
    """
    wrong = 0
    pending = [(tree.root_node, False)]
    while pending:
        node, is_in_error = pending.pop()
        if node.child_count and node.has_error:
            pending.extend((child, node.type == "ERROR") for child in node.children)
        elif is_in_error and not node.child_count and not node.is_extra:
            wrong += node.end_byte - node.start_byte
    return wrong
