"""Tells what a model thought from what it answers: text between ``<think>`` and ``</think>`` at the beginning is no answer."""

from typing import Final

_OPEN: Final = "<think>"
_CLOSE: Final = "</think>"


class AnswerOnly:
    """Takes text piece by piece and gives what is answer. One object a reply.

    Attributes:
        has_reasoning: something was thought.
    """

    def __init__(self) -> None:
        self.has_reasoning = False
        self._held = ""
        self._is_answer = False
        self._has_begun = False

    def feed(self, piece: str) -> str:
        """What of this piece, and of pieces held back before, is answer."""
        if self._is_answer:
            return self._begun(piece)
        self._held += piece
        text = self._held.lstrip()
        if self.has_reasoning:
            return self._after_thought()
        if text.startswith(_OPEN):
            self.has_reasoning = True
            return self._after_thought()
        if _OPEN.startswith(text):
            return ""  # not to be told yet
        self._is_answer, self._held = True, ""
        return self._begun(text)

    def rest(self) -> str:
        """What is still held back when the reply is over: nothing of a thought that never ended."""
        return "" if self.has_reasoning or self._is_answer else self._held

    def _after_thought(self) -> str:
        _, mark, after = self._held.partition(_CLOSE)
        if not mark:
            return ""
        self._is_answer, self._held = True, ""
        return self._begun(after)

    def _begun(self, text: str) -> str:
        """Without the blank lines that follow a thought."""
        if not self._has_begun and self.has_reasoning:
            text = text.lstrip()
        self._has_begun = self._has_begun or bool(text)
        return text


def answer_of(text: str) -> tuple[str, bool]:
    """The answer in a whole text, and whether something was thought."""
    filtered = AnswerOnly()
    return filtered.feed(text) + filtered.rest(), filtered.has_reasoning
