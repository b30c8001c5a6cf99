"""Any GGUF model through llama.cpp in a child process: a native crash is a failed attempt, never a dead run.

The library (extra ``llama``) is imported by the child alone, ``inference.engines.llama_child``. The child lives between
calls, so a prompt that begins like the one before is read from where they part. Calls of one engine wait for each other.
"""

import importlib.util
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from inference.engines.child_engine import ChildEngine
from inference.engines.gguf import read_head
from inference.engines.llama_words import refusal, reply_of, request_body
from inference.engines.reasoning import Answer
from inference.errors import EngineUnavailable, InferenceError, ModelUnsupported
from inference.models import ModelFiles, verify
from inference.protocols import Schema
from inference.requests import GenerateRequest, Reply

_LIBRARY: Final = "xllamacpp"


@dataclass(frozen=True, slots=True, kw_only=True)
class LlamaSettings:
    """How a model is run.

    Attributes:
        context: tokens of a request and its answer at most; None = what the model was made for, which
            may take much memory. The library rounds up to the next 256.
        n_gpu_layers: layers on a GPU; None = all where the installed build finds one.
        threads: None = one a core.
        prompt_cache_mb: memory for what was read of earlier prompts, beside the last one's.
        start_seconds: how long loading may take. A call that ends sooner leaves it going on for the next.
    """

    context: int | None = None
    n_gpu_layers: int | None = None
    threads: int | None = None
    prompt_cache_mb: int = 256
    start_seconds: float = 120.0


class LlamaCpp(ChildEngine):
    """``inference.protocols.Generator`` of one GGUF model. Thread-safe; nothing is started before the first call.

    Two answers of one seed are the same text where both began with as much of the prompt already read: adding up in
    another order may turn a close choice.

    Args:
        name: for people and the ledger.
        files: the model, of ``packaged_generator`` or ``gguf_model``; checked against their digests.
        cache_dir: folder for digests already computed.
        settings: how it is run.
        command: what starts the child, for tests; None = this interpreter and ``llama_child``.

    Raises:
        EngineUnavailable: the library is not installed.
        ModelMissing: a file is not there.
        ModelUnsupported: it is no GGUF file, is cut off, or does not say how long its context is.
        DigestMismatch: it is another file than the packaged one.
    """

    library, module = "llama.cpp", "llama_child"
    remedy = "remedy: pip install 'cortex-lakehouse[llama]'"

    def __init__(
        self,
        name: str,
        files: ModelFiles,
        cache_dir: Path,
        *,
        settings: LlamaSettings | None = None,
        command: Sequence[str] | None = None,
    ) -> None:
        if command is None and importlib.util.find_spec(_LIBRARY) is None:
            raise EngineUnavailable(f"engine {name} needs llama.cpp, which is not installed; {self.remedy}")
        self._settings = settings or LlamaSettings()
        self._path = files.folder / files.digests[0][0]
        context = _context(self._path, self._settings)
        verify(files, cache_dir)
        super().__init__(
            name,
            files.name,
            files.digest,
            context,
            place=self._path,
            command=command,
            start_seconds=self._settings.start_seconds,
        )

    def _load_message(self) -> dict[str, Any]:
        return {
            "path": str(self._path),
            "context": self.context,
            "n_gpu_layers": self._settings.n_gpu_layers,
            "threads": self._settings.threads,
            "prompt_cache_mb": self._settings.prompt_cache_mb,
        }

    def _body(self, request: GenerateRequest, schema: Schema | None) -> dict[str, Any]:
        return request_body(request, schema)

    def _reply(self, answer: Answer, end: Mapping[str, Any], first: float | None) -> Reply:
        return reply_of(answer, end, first)

    def _refusal(self, error: Mapping[str, Any]) -> InferenceError:
        return refusal(error, self._where, self.context)


def _context(path: Path, settings: LlamaSettings) -> int:
    """The model's context, or less where the settings say so."""
    known = read_head(path).context
    context = min(known or math.inf, settings.context or math.inf)
    if math.isinf(context) or context < 1:
        raise ModelUnsupported(f"model file {path} does not say how long its context is; remedy: set it (context)")
    return int(context)
