"""Searches the bytes of files whose parser leaves text out: comments and scripts of HTML, outputs of notebooks, files that failed.

Only bytes that are text: where there are control characters, as in what is packed, nothing is searched. What is found is kept in
memory until the rows of its file are made, which say where it is and not what.
"""

from collections.abc import Iterator
from pathlib import Path

from cortex_assets.documents.encodings import utf16_guess
from cortex_assets.documents.redact import Found, Redaction, found_values

_BLOCK = 4 * 1024 * 1024
_HEAD = 64 * 1024
_OVERLAP = 4096
"""Bytes at the end of a block that are searched again with the next one."""
_CONTROLS = bytes(set(range(0x20)) - set(b"\t\n\r\f\v\b\x1b"))
_MARKS = ((b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))


class LeftOut:
    """Texts of bytes that wait until many are searched at once."""

    def __init__(self, redaction: Redaction) -> None:
        self._redaction = redaction
        self._texts: list[tuple[str, str]] = []
        self._chars = 0
        self._found: dict[str, list[Found]] = {}

    def look(self, file_id: str, path: Path) -> None:
        """Take a file's bytes in, before its first document.

        Raises:
            OSError: they cannot be read.
        """
        for text in _blocks(path):
            self._texts.append((file_id, text))
            self._chars += len(text)
            if self._chars >= _BLOCK:
                self._search()

    def take(self) -> dict[str, list[Found]]:
        """File id to what was found in its bytes, since this was last asked."""
        self._search()
        found, self._found = self._found, {}
        return found

    def _search(self) -> None:
        texts, self._texts, self._chars = self._texts, [], 0
        for (file_id, _), found in zip(texts, found_values([text for _, text in texts], self._redaction), strict=True):
            if found:
                self._found.setdefault(file_id, []).extend(found)


def _blocks(path: Path) -> Iterator[str]:
    """The text of a file in overlapping blocks; what is not UTF-8 becomes U+FFFD, for no secret has any of it."""
    with path.open("rb") as stream:
        head = stream.read(_HEAD)
        encoding = _encoding(head)
        if encoding is None:
            return
        before = head
        while before:
            block = stream.read(_BLOCK)
            yield (before + block).decode(encoding, "replace")
            before = (before + block)[-_OVERLAP:] if block else b""


def _encoding(head: bytes) -> str | None:
    """What bytes are to be read as; None where they are no text."""
    for mark, name in _MARKS:
        if head.startswith(mark):
            return name
    controls = len(head) - len(head.translate(None, _CONTROLS))
    if not controls:
        return "utf-8"
    wide = utf16_guess(head)
    if wide is not None:
        return wide[0]
    return "utf-8" if controls * 100 <= len(head) else None
