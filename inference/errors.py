"""What can go wrong in inference, as one tree; every message says what, where and the remedy.

::

    InferenceError
    ├── ConfigInvalid        a lane or engine is configured with something that cannot be
    ├── ModelMissing         a model's files are not on this machine
    ├── ModelUnsupported     the files are there, but no engine here can run that architecture
    ├── SpaceMismatch        an engine makes vectors of another space than the one that is asked
    ├── DigestMismatch       a file is not the one that was pulled or packaged
    ├── EngineUnavailable    an engine cannot be used here (no package, no server); ``is_transient`` says which
    ├── NotCompiled          a compiled part of Cortex is missing or was built from other source
    ├── EngineTimeout        an engine did not answer in time (transient)
    ├── EngineReplyInvalid   an engine answered with something that is not a result
    └── OutOfMemory          one text alone does not fit (transient: memory may be free later)

``is_transient`` is what the caller's retry policy looks at: True means that the same call may succeed later,
False that only a change of input, configuration or files helps. Nothing here knows an engine.
"""


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


class NotCompiled(InferenceError):
    """A compiled part of Cortex is missing or was built from other source."""


class EngineTimeout(InferenceError):
    """An engine did not answer in time."""

    is_transient = True


class EngineReplyInvalid(InferenceError):
    """An engine answered with something that is not a result."""


class OutOfMemory(InferenceError):
    """One text alone does not fit into memory."""

    is_transient = True
