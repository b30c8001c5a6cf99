"""What can go wrong in inference, as one tree; every message says what, where and the remedy.

::

    InferenceError
    ├── ConfigInvalid        a lane or engine is configured with something that cannot be
    ├── ModelMissing         a model's files are not on this machine
    ├── ModelUnsupported     the files are there, but no engine here can run that architecture
    ├── SpaceMismatch        an engine makes vectors of another space than the one that is asked
    ├── DigestMismatch       a file is not the one that was pulled or packaged
    ├── EngineUnavailable    an engine cannot be used here (no package, no server); ``is_transient`` says which
    │   └── EngineUnreachable  nothing was sent, for nobody listens (transient)
    ├── NotCompiled          a compiled part of Cortex is missing or was built from other source
    ├── EngineTimeout        an engine did not answer in time (transient)
    ├── EngineReplyInvalid   an engine answered with something that is not a result
    ├── AnswerWithheld       an engine answered, and its content filter kept the answer back
    ├── OutOfMemory          one text alone does not fit (transient: memory may be free later)
    ├── RequestInvalid       what is asked cannot be asked of any engine
    ├── ContextExceeded      what is asked is longer than an engine reads
    ├── EngineCrashed        an engine in a child process ended (transient: it is started anew)
    ├── EngineRefused        a server answered with a status that is no success
    │   ├── RateLimited      too many calls for now (transient, ``retry_after`` seconds)
    │   └── QuotaExceeded    no money, no key, or not for this key: asking again is of no use
    ├── OutputInvalid        no engine wrote what the schema asks for; ``attempts`` are the evidence
    ├── LaneDown             no engine of a lane answers now; ``attempts`` say why
    ├── LedgerUnavailable    a call cannot be written down, so it is not made (transient)
    ├── BudgetExhausted      a run or a day has spent what it may
    └── Cancelled            somebody does not want the answer any more

``is_transient`` is what the caller's retry policy looks at: True means that the same call may succeed later,
False that only a change of input, configuration or files helps. Nothing here knows an engine.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from inference.requests import Attempt

TRANSIENT_STATUS: Final = frozenset({408, 425, 429, 500, 502, 503, 504, 529})


class InferenceError(Exception):
    """Root of the tree.

    Attributes:
        is_transient: the same call may succeed later.
    """

    is_transient: bool = False


class ConfigInvalid(InferenceError):
    """A lane or an engine is configured with something that cannot be."""


class ModelMissing(InferenceError):
    """A model's files are not on this machine."""


class ModelUnsupported(InferenceError):
    """The files are there, but no engine here can run them."""


class SpaceMismatch(InferenceError):
    """An engine makes vectors of another space than the one that is asked: they cannot be compared."""


class DigestMismatch(InferenceError):
    """A file is not the one that was pulled or packaged."""


class EngineUnavailable(InferenceError):
    """An engine cannot be used: a package is missing or a server refuses."""

    def __init__(self, message: str, *, is_transient: bool = False) -> None:
        super().__init__(message)
        self.is_transient = is_transient


class EngineUnreachable(EngineUnavailable):
    """A server that nobody listens at: nothing was sent, so nothing was counted or paid there."""

    def __init__(self, message: str) -> None:
        super().__init__(message, is_transient=True)


class NotCompiled(InferenceError):
    """A compiled part of Cortex is missing or was built from other source."""


class EngineTimeout(InferenceError):
    """An engine did not answer in time."""

    is_transient = True


class EngineReplyInvalid(InferenceError):
    """An engine answered with something that is not a result."""


class AnswerWithheld(InferenceError):
    """An engine answered, and its content filter kept the answer back: another engine may give one."""


class OutOfMemory(InferenceError):
    """One text alone does not fit into memory."""

    is_transient = True


class RequestInvalid(InferenceError):
    """What is asked cannot be asked of any engine."""


class ContextExceeded(InferenceError):
    """What is asked is longer than an engine reads: one with a longer context may answer."""


class EngineCrashed(InferenceError):
    """An engine in a child process ended: a failed attempt, never a dead run."""

    is_transient = True


class EngineRefused(EngineUnavailable):
    """A server answered with a status that is no success.

    Attributes:
        status: the HTTP status.
        retry_after: seconds that the server asks to wait; None where it says nothing.
    """

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message, is_transient=status in TRANSIENT_STATUS)
        self.status = status
        self.retry_after: float | None = None


class RateLimited(EngineRefused):
    """Too many calls for now."""

    def __init__(self, message: str, status: int = 429, retry_after: float | None = None) -> None:
        super().__init__(message, status)
        self.is_transient = True
        self.retry_after = retry_after


class QuotaExceeded(EngineRefused):
    """The account has no money left, the key is wrong or may not do this: asking again is of no use."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message, status)
        self.is_transient = False


class _WithAttempts(InferenceError):
    """An error of a whole lane, with what was tried.

    Attributes:
        attempts: all of them, in order.
    """

    def __init__(self, message: str, attempts: Sequence["Attempt"] = ()) -> None:
        tried = "; ".join(f"{one.engine}: {one.outcome}{one.message and ': '}{one.message}" for one in attempts)
        super().__init__(f"{message}: {tried}" if tried else message)
        self.attempts = tuple(attempts)


class OutputInvalid(_WithAttempts):
    """No engine of a lane wrote what the schema asks for, a repair by each included."""


class LaneDown(_WithAttempts):
    """No engine of a lane answers now.

    Attributes:
        retry_after: seconds after which an engine is tried again.
    """

    is_transient = True

    def __init__(self, message: str, attempts: Sequence["Attempt"] = (), retry_after: float = 30.0) -> None:
        super().__init__(message, attempts)
        self.retry_after = retry_after


class LedgerUnavailable(InferenceError):
    """A call cannot be written down, so it is not made: the disk is full, or another process holds the file for long."""

    is_transient = True


class BudgetExhausted(InferenceError):
    """A run or a day has spent what it may: what was answered stays, and is not asked again."""


class Cancelled(InferenceError):
    """Somebody does not want the answer any more."""
