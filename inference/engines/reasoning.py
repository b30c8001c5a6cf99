"""Cuts what a model only thought, ``<think>...</think>`` before its answer, out of a text that comes in pieces."""

from typing import Final

_OPEN: Final = "<think>"
_CLOSE: Final = "</think>"


class Answer:
    """Collects the pieces of one reply. ``text`` is the answer so far, ``has_reasoning`` whether something was thought."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self.has_reasoning = False
        self._is_answering = False
        self._is_thinking = False
        self._held = ""

    @property
    def text(self) -> str:
        """The answer so far."""
        return "".join(self._parts)

    def feed(self, piece: str) -> str:
        """Take a piece; what of it, and of those held back before, is answer."""
        if self._is_answering:
            return self._grow(piece)
        self._held += piece
        if not self._is_thinking:
            start = self._held.lstrip()
            if start.startswith(_OPEN):
                self._is_thinking = self.has_reasoning = True
            elif _OPEN.startswith(start):
                return ""
            else:
                return self._begin(self._held)
        _, close, rest = self._held.partition(_CLOSE)
        if not close:  # thoughts are not kept, or a long one would be read again at each piece
            self._held = self._held[-len(_CLOSE) + 1 :]
        # After thoughts comes white space that belongs to neither.
        return self._begin(rest.lstrip()) if close and rest.strip() else ""

    def end(self) -> str:
        """No more pieces come: what was held back and is answer after all."""
        if self._is_answering or self._is_thinking:
            return ""
        return self._begin(self._held)

    def _begin(self, text: str) -> str:
        self._is_answering, self._held = True, ""
        return self._grow(text)

    def _grow(self, text: str) -> str:
        self._parts.append(text)
        return text
