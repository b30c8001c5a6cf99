"""Do the next step's reading while this one computes."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from typing import TypeVar

Given = TypeVar("Given")
Got = TypeVar("Got")


def read_ahead(beside: Executor, read: Callable[[Given], Got], wanted: Iterable[Given]) -> Iterator[Got]:
    """Yield what ``read`` gives for each of ``wanted``, in order; the next one is read by ``beside`` meanwhile."""
    asked = (beside.submit(read, one) for one in wanted)
    ahead = next(asked, None)
    while ahead is not None:
        got = ahead.result()
        ahead = next(asked, None)
        yield got
