"""The gate before a switch of embedding spaces: whoever measures how well a corpus answers may refuse it.

``House.gate`` is asked when both indexes are whole. What it has to search is ``corpus.layout`` and ``corpus.spaces.next``
(``asking.live_spaces`` makes either askable). What is measured, and by which questions, does not belong here.
"""

from collections.abc import Callable
from dataclasses import dataclass

from cortex_assets.corpora.registry import Registered


@dataclass(frozen=True, slots=True)
class GateVerdict:
    """Whether a corpus may be searched in other spaces, and why, or why not."""

    allows: bool
    note: str = ""


Gate = Callable[[Registered, str, str], GateVerdict]
"""Asked before a switch, when both indexes are whole: the corpus, the space that is left, the one that takes its place."""


def no_golden_set(corpus: Registered, old_space: str, new_space: str) -> GateVerdict:
    """The gate of a corpus that nobody wrote questions for."""
    return GateVerdict(True, "no golden set: how well it answers was not compared")
