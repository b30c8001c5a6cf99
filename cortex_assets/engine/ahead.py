"""Do the next step's reading while this one computes."""

import contextlib
import threading
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


@contextlib.contextmanager
def beforehand(readings: Iterable[Callable[[], object]]) -> Iterator[None]:
    """Have things read, one after the other, by a thread, in the order in which what stands within will ask for them.

    Each must be remembered by whoever reads it, and be safe to ask for from two threads. What fails is left to who
    needs it. At the end no more are begun.
    """
    is_over = threading.Event()

    def read() -> None:
        for reading in readings:
            if is_over.is_set():
                return
            with contextlib.suppress(Exception):
                reading()

    reader = threading.Thread(target=read, name="beforehand", daemon=True)
    reader.start()
    try:
        yield
    finally:
        is_over.set()
        reader.join()
