"""An answer that is shown while it is written."""

from collections.abc import Callable, Iterator

from inference.requests import Completion


class Stream:
    """An answer in pieces of text, iterated once; afterwards ``completion`` is the whole.

    Under a schema the whole is checked at the end; what was shown cannot be mended, so an answer that is none is an error.

    Args:
        begin: makes the pieces, and sets ``completion`` at the end.
    """

    def __init__(self, begin: Callable[["Stream"], Iterator[str]]) -> None:
        self.completion: Completion | None = None
        self._pieces = begin(self)

    def __iter__(self) -> Iterator[str]:
        return self._pieces

    def close(self) -> None:
        """End the call; what was written until then is counted."""
        end = getattr(self._pieces, "close", None)
        if end is not None:
            end()
