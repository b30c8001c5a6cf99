"""Progress of a run on stderr: bars with the time left on a terminal, plain lines elsewhere.

A meter is a context that gives a sink (``apps.progress.ProgressSink``). The clock is only looked at here.
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from apps.progress import ProgressSink, silent
from apps.terminal.console import err, harmless, notice
from apps.terminal.units import duration, whole

SECONDS_BETWEEN_LINES = 5.0


@contextmanager
def meter(is_quiet: bool = False) -> Iterator[ProgressSink]:
    """Give a sink that draws on stderr, or one that hears nothing."""
    if is_quiet:
        yield silent
    elif sys.stderr.isatty():
        with _bars() as sink:
            yield sink
    else:
        yield LineMeter(notice, time.monotonic)


@contextmanager
def _bars() -> Iterator[ProgressSink]:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[unit]}"),
        TimeRemainingColumn(elapsed_when_finished=True),
    )
    with Progress(*columns, console=err()) as progress:
        tasks: dict[tuple[str, str], TaskID] = {}

        def sink(shard: str, stage: str, done: int, total: int, unit: str) -> None:
            if not total:
                return
            key = (shard, stage)
            if key not in tasks:
                from rich.markup import escape

                tasks[key] = progress.add_task(escape(harmless(f"{shard} {stage}")), total=total, unit=unit)
            progress.update(tasks[key], completed=done, total=total)

        yield sink


class LineMeter:
    """A sink that writes a line when a stage ends, and every five seconds while it goes on."""

    def __init__(self, write: Callable[[str], None], clock: Callable[[], float]) -> None:
        """Write lines with ``write``; ``clock`` gives seconds that never go back."""
        self._write, self._clock = write, clock
        self._begun: dict[tuple[str, str], tuple[float, int]] = {}
        self._last = clock()

    def __call__(self, shard: str, stage: str, done: int, total: int, unit: str) -> None:
        """Take a step in; see ``ProgressSink``."""
        now = self._clock()
        key = (shard, stage)
        begun, first = self._begun.setdefault(key, (now, done))
        is_done = done >= total
        if not total or not (is_done or now - self._last >= SECONDS_BETWEEN_LINES):
            return
        self._last = now
        steps = done - first
        left = "" if is_done or not steps else f", about {duration((now - begun) * (total - done) / steps)} left"
        self._write(f"{shard} {stage}: {whole(done)} of {whole(total)} {unit}{left}")
        if is_done:
            del self._begun[key]
