"""Calls of servers that embed and rerank, written down as those that generate are: before they are made and after they ended.

They have no breaker, rate or budget: an embedding space has one model, and nothing may stand in for it.
"""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final
from uuid import uuid4

from inference.errors import InferenceError
from inference.generation.budget import Spent
from inference.generation.calls import Admitted, Ask, Ended
from inference.generation.ledger import Ledger
from inference.generation.one_call import HAS_READ, outcome_of
from inference.requests import Origin

_UNLIMITED: Final = 10**6
_REPORTED = re.compile(rb'"(?:prompt_tokens|total_tokens)"\s*:\s*(\d{1,12})\b')
_TAIL: Final = 2_000


@dataclass(slots=True)
class Told:
    """Tokens that a call read: an estimate until the server reports them."""

    tokens: int
    is_estimated: bool = True

    def hear(self, reply: bytes) -> None:
        """Take what a reply reports, which stands at its beginning or its end."""
        found = _REPORTED.search(reply, max(len(reply) - _TAIL, 0)) or _REPORTED.search(reply[:_TAIL])
        if found is not None:
            self.tokens, self.is_estimated = int(found[1]), False


class Recorder:
    """Writes the calls of one server down.

    Args:
        ledger: of this machine.
        lane: ``embed`` or ``rerank``.
        engine: for people, such as ``bge@127.0.0.1:8000``.
        model: its name.
        digest: identity of the model.
        patience: seconds after which a call gives up.
    """

    def __init__(self, ledger: Ledger, *, lane: str, engine: str, model: str, digest: str, patience: float) -> None:
        self._ledger, self._lane, self._engine = ledger, lane, engine
        self._model, self._digest, self._patience = model, digest, patience

    @contextmanager
    def call(self, tokens: int) -> Iterator[Told]:
        """Around one call; ``tokens`` is an estimate of what it reads.

        Raises:
            LedgerUnavailable: it cannot be written down, so it is not made.
        """
        begun, told = time.monotonic(), Told(tokens)
        ask = Ask(
            self._lane, self._engine, self._model, self._digest, uuid4().hex, Origin(), 1, False, self._patience,
            _UNLIMITED, Spent(0.0, tokens, 1), {}, {},
        )  # fmt: skip
        admitted = self._ledger.admit(ask)
        outcome = "cancelled"
        try:
            yield told
            outcome = "ok"
        except InferenceError as error:
            outcome = outcome_of(error)
            raise
        finally:
            if isinstance(admitted, Admitted):
                has_read = outcome == "ok" or outcome in HAS_READ
                ended = Ended(
                    outcome,
                    seconds=time.monotonic() - begun,
                    prompt_tokens=told.tokens if has_read else 0,
                    is_estimated=told.is_estimated and has_read,
                )
                self._ledger.finish(admitted, ended)
