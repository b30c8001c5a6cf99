"""Any pulled causal language model through transformers in a child process: a native crash is a failed attempt.

The library (extra ``models``) is imported by the child alone, ``inference.engines.transformers_child``. It runs offline and
executes no code of a model's repository. Nothing that is installed with it can hold a model to a grammar, so an answer under
a schema is written freely, and the lane validates and repairs it; ``gguf:`` and ``vllm:`` models are held to it.
"""

import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from inference.engines.causal_files import causal_context
from inference.engines.child_engine import ChildEngine
from inference.engines.child_words import refusal, reply_of, request_body
from inference.engines.reasoning import Answer
from inference.errors import EngineUnavailable, InferenceError
from inference.models import ModelFiles, verify
from inference.protocols import Schema
from inference.requests import GenerateRequest, Reply

_LIBRARY: Final = "transformers"


@dataclass(frozen=True, slots=True, kw_only=True)
class TransformersSettings:
    """How a model is run.

    Attributes:
        context: tokens of a request and its answer at most; None = what the model was made for.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:<n>``; ROCm answers to the same names.
        threads: of a processor; None = one a core.
        start_seconds: how long loading may take. A call that ends sooner leaves it going on for the next.
    """

    context: int | None = None
    device: str = "auto"
    threads: int | None = None
    start_seconds: float = 300.0


class TransformersEngine(ChildEngine):
    """``inference.protocols.Generator`` of one causal language model. Thread-safe; nothing is started before the first call.

    Weights are bf16 where the hardware multiplies it, else float32. A request without a seed is sampled differently each
    time; with one, or with temperature 0, twice the same on the same hardware.

    Args:
        name: for people and the ledger.
        files: the pulled model; checked against its digests.
        cache_dir: folder for digests already computed.
        settings: how it is run.
        command: what starts the child, for tests; None = this interpreter and ``transformers_child``.

    Raises:
        EngineUnavailable: the library is not installed.
        ModelMissing: a file is not there.
        ModelUnsupported: it is no causal language model, or does not say how long its context is.
        DigestMismatch: a file is not the one that was pulled.
    """

    library, module = "transformers", "transformers_child"
    remedy = "remedy: pip install 'cortex-lakehouse[models]'"

    def __init__(
        self,
        name: str,
        files: ModelFiles,
        cache_dir: Path,
        *,
        settings: TransformersSettings | None = None,
        command: Sequence[str] | None = None,
    ) -> None:
        if command is None and importlib.util.find_spec(_LIBRARY) is None:
            raise EngineUnavailable(f"engine {name} needs transformers, which is not installed; {self.remedy}")
        self._settings = settings or TransformersSettings()
        self._folder = files.folder
        context = causal_context(files, self._settings.context)
        verify(files, cache_dir)
        super().__init__(
            name,
            files.name,
            files.digest,
            context,
            place=files.folder,
            command=command,
            start_seconds=self._settings.start_seconds,
        )

    def _load_message(self) -> dict[str, Any]:
        return {
            "path": str(self._folder),
            "context": self.context,
            "device": self._settings.device,
            "threads": self._settings.threads,
        }

    def _body(self, request: GenerateRequest, schema: Schema | None) -> dict[str, Any]:
        return request_body(request, None, self._where)

    def _reply(self, answer: Answer, end: Mapping[str, Any], first: float | None) -> Reply:
        return reply_of(answer, end, first)

    def _refusal(self, error: Mapping[str, Any]) -> InferenceError:
        return refusal(error, self._where, self.context)
