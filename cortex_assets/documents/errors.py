"""What an error of a parser or its library says, in words for a reason: no class name of Python, no half of a message."""

import re

_WORDS: tuple[tuple[type[BaseException], str], ...] = (
    (MemoryError, "memory ran out"),
    (RecursionError, "it is nested too deeply"),
    (EOFError, "it ends too early"),
    (OverflowError, "a number in it is too large"),
)
_CLASS = re.compile(r"^(?:\w+\.)*(?:[A-Z]\w*|error): ?(?=\S|$)")
_UNKNOWN = "its content is not as its format wants it"


def in_words(error: BaseException, most: int = 80) -> str:
    """One line of at most ``most`` characters."""
    if isinstance(error, KeyError):
        return _shortened(f"{error} is not in it", most)
    message = _shortened(str(error), most)
    return message or next((words for kind, words in _WORDS if isinstance(error, kind)), _UNKNOWN)


def told_in_words(told: str) -> str:
    """The same of what a child process told of an error, ``ValueError: ...``."""
    return _shortened(_CLASS.sub("", told), 100) or _UNKNOWN


def raised(words: str) -> str:
    """The reason for a file or member whose parser raised."""
    return f"damaged, or not as its format wants it ({words}): save it again"


def _shortened(message: str, most: int) -> str:
    """A message on one line, cut between words and before a parenthesis that is not closed."""
    line = " ".join(message.split())
    if len(line) > most:
        # Half a word may be half a secret, which no rule would find any more.
        line = line[:most].rpartition(" ")[0]
        if line.count("(") > line.count(")"):
            line = line[: line.rfind("(")]
        line = f"{line.rstrip(' ,;:(')}…" if line else ""
    return line.rstrip(".")
