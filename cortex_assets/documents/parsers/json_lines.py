"""JSON Lines: the text is the decoded file; each line is tried, and those that are no JSON are counted and named.

A line that a part of a large file cuts is put together again before it is judged. One JSON document is ``data``'s.
"""

from collections.abc import Iterator
from dataclasses import replace

from cortex_assets.documents.model import ParsedDocument, ParseInput
from cortex_assets.documents.parsers.data import json_decoder
from cortex_assets.documents.verbatim import Analysis, verbatim
from cortex_assets.tables import Status, short_reason

MAX_LINE = 16 * 1024 * 1024
_NAMED = 5


def parse_json_lines(source: ParseInput) -> Iterator[ParsedDocument]:
    """Parse JSON Lines."""
    lines = _Lines()
    waiting: ParsedDocument | None = None
    for document in verbatim(source, "data", lambda text, is_whole: Analysis(problem=lines.problem(text))):
        if waiting is not None:
            yield waiting
        waiting = document
    if waiting is not None:
        yield _ended(waiting, lines.end())


def _ended(document: ParsedDocument, problem: str | None) -> ParsedDocument:
    """The last document with what its last line, known only now, has wrong."""
    if problem is None or document.status not in (Status.OK, Status.PARTIAL):
        return document
    reason = f"{document.reason}; {problem}" if document.reason else problem
    return replace(document, status=Status.PARTIAL, reason=short_reason(reason))


class _Lines:
    """Judges lines over all parts of a file."""

    def __init__(self) -> None:
        self._decoder = json_decoder()
        self._number = 0
        self._held: list[str] = []

    def problem(self, text: str) -> str | None:
        """Which of the lines that end in this part are no JSON."""
        bad: list[int] = []
        lines = text.split("\n")
        for line in lines[:-1]:
            whole = "".join([*self._held, line])
            self._held = []
            self._number += 1
            if self._is_bad(whole):
                bad.append(self._number)
        if lines[-1] and sum(map(len, self._held)) < MAX_LINE:
            self._held.append(lines[-1])
        return self._told(bad, len(lines) - 1)

    def end(self) -> str | None:
        """Whether the last line, without a line end, is no JSON: then the file may be cut off."""
        if not self._held or not self._is_bad("".join(self._held)):
            return None
        return f"the last line ({self._number + 1:,}) is no JSON: cut off? Get the whole file again; the text is kept"

    def _is_bad(self, line: str) -> bool:
        line = line.strip("\ufeff \t\r")
        if not line:
            return False
        try:
            self._decoder.decode(line)
        except (ValueError, RecursionError):
            return True
        return False

    def _told(self, bad: list[int], count: int) -> str | None:
        if not bad:
            return None
        named = ", ".join(f"{number:,}" for number in bad[:_NAMED]) + (", …" if len(bad) > _NAMED else "")
        return f"{len(bad):,} of {count:,} lines are not JSON (lines {named}): mend them; the text is kept"
