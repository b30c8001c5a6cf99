"""How a run tells the outside how far it is: one call with plain numbers, the same shape as the engine's sink.

What draws bars from it is ``apps.terminal.meters``.
"""

from typing import Protocol


class ProgressSink(Protocol):
    """Hears how a run goes."""

    def __call__(self, shard: str, stage: str, done: int, total: int, unit: str) -> None:
        """``done`` of ``total`` ``unit`` (files, documents, chunks, tokens) of a stage of a shard."""
        ...


def silent(shard: str, stage: str, done: int, total: int, unit: str) -> None:
    """The sink that hears nothing."""
