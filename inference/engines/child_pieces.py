"""Text out of tokens, piece by piece: whole characters only, and nothing of what may be the text that ends an answer."""

from collections.abc import Callable, Sequence
from typing import Final

_UNFINISHED: Final = "�"
_PATIENCE: Final = 16
"""Tokens after which a character that is still not whole is taken as what it looks like."""


class Spelling:
    """Spells tokens. A token's text depends on those before it, so a few of them are spelled again each time.

    Args:
        decode: text of token ids.
    """

    def __init__(self, decode: Callable[[Sequence[int]], str]) -> None:
        self._decode = decode
        self._ids: list[int] = []
        self._known = 0

    def feed(self, token: int) -> str:
        """Take a token; the characters that are whole with it."""
        self._ids.append(token)
        text = self._rest()
        if text.endswith(_UNFINISHED) and len(self._ids) - self._known < _PATIENCE:
            return ""
        if text:
            self._ids, self._known = self._ids[self._known :], len(self._ids) - self._known
        return text

    def end(self) -> str:
        """No more tokens come: what is left."""
        return self._rest()

    def _rest(self) -> str:
        before = self._decode(self._ids[: self._known])
        return self._decode(self._ids)[len(before) :]


class Stops:
    """Ends a text at the first of some strings, which is not part of it. ``is_reached`` says that it came."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(stops)
        self._held = ""
        self.is_reached = False

    def feed(self, piece: str) -> str:
        """Take a piece; what of it, and of what was held back before, is text for sure."""
        self._held += piece
        found = [at for at in map(self._held.find, self._stops) if at >= 0]
        if found:
            self.is_reached = True
        at = min(found) if found else self._safe()
        text, self._held = self._held[:at], self._held[at:]
        return text

    def end(self) -> str:
        """No more pieces come: what was held back and is text after all."""
        return "" if self.is_reached else self._held

    def _safe(self) -> int:
        """How much of what is held cannot be the beginning of a stop."""
        longest = max(map(len, self._stops), default=1) - 1
        for at in range(max(0, len(self._held) - longest), len(self._held)):
            if any(stop.startswith(self._held[at:]) for stop in self._stops):
                return at
        return len(self._held)
