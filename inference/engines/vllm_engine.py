"""Any pulled causal language model through vLLM in a child process, for offline batches: a native crash is a failed attempt.

The library (extra ``vllm``) is imported by the child alone, ``inference.engines.vllm_child``; it may be installed in an
environment of its own, whose interpreter is then named. Many requests at once are what it is for: vLLM begins one as another
ends, and reads a common beginning once. A server for many clients is ``chat_server``'s.
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
from inference.errors import EngineReplyInvalid, EngineUnavailable, InferenceError, RequestInvalid
from inference.models import ModelFiles, verify
from inference.protocols import Schema
from inference.requests import GenerateRequest, Limits, Reply

_LIBRARY: Final = "vllm"
_BOOT: Final = (
    "import sys; sys.path.append(sys.argv[1]); from inference.engines.vllm_child import main; main(sys.argv[2:])"
)
"""In another environment: its own packages come first, and of this one's only Cortex is needed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VllmSettings:
    """How a model is run.

    Attributes:
        context: tokens of a request and its answer at most; None = what the model was made for.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:<n>``; vLLM is built for one kind, ROCm answers to ``cuda``.
        threads: of a processor; None = one a core.
        gpu_share: of a GPU's memory that vLLM may take.
        gpus: how many the model is spread over.
        start_seconds: how long loading may take; on a GPU it compiles, too.
    """

    context: int | None = None
    device: str = "auto"
    threads: int | None = None
    gpu_share: float = 0.9
    gpus: int = 1
    start_seconds: float = 900.0


class VllmEngine(ChildEngine):
    """``inference.protocols.Generator`` and ``BatchGenerator`` of one causal language model. Thread-safe.

    An answer under a schema is held to it by vLLM's structured outputs, where it knows a grammar for it; else the lane
    validates. Nothing is started before the first call.

    Args:
        name: for people and the ledger.
        files: the pulled model; checked against its digests.
        cache_dir: folder for digests already computed.
        settings: how it is run.
        command: what starts the child, its three arguments not included; None = this interpreter and ``vllm_child``.
            See ``command_of`` for another environment's.

    Raises:
        EngineUnavailable: the library is not installed.
        ModelMissing: a file is not there.
        ModelUnsupported: it is no causal language model, or does not say how long its context is.
        DigestMismatch: a file is not the one that was pulled.
    """

    library, module = "vLLM", "vllm_child"
    remedy = (
        "remedy: pip install 'cortex-lakehouse[vllm]', or install vLLM in an environment of its own and name its "
        "interpreter (python)"
    )

    def __init__(
        self,
        name: str,
        files: ModelFiles,
        cache_dir: Path,
        *,
        settings: VllmSettings | None = None,
        command: Sequence[str] | None = None,
    ) -> None:
        if command is None and importlib.util.find_spec(_LIBRARY) is None:
            raise EngineUnavailable(f"engine {name} needs vLLM, which is not installed; {self.remedy}")
        self._settings = settings or VllmSettings()
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

    def generate_batch(
        self, requests: Sequence[GenerateRequest], limits: Limits, schemas: Sequence[Schema | None]
    ) -> list[Reply | InferenceError]:
        """Many answers at once; see ``BatchGenerator``."""
        found: dict[int, Reply | InferenceError] = {}
        bodies: list[dict[str, Any]] = []
        places: dict[int, int] = {}
        for place, (request, schema) in enumerate(zip(requests, schemas, strict=True)):
            try:
                bodies.append(self._body(request, schema))
            except RequestInvalid as error:
                found[place] = error
            else:
                places[len(bodies) - 1] = place
        rest = self._heard(bodies, places, limits, found) if bodies else None
        lost = rest or EngineReplyInvalid(f"{self._where}: the child left a request of a batch unanswered")
        return [found.get(place, lost) for place in range(len(requests))]

    def _heard(
        self,
        bodies: Sequence[Mapping[str, Any]],
        places: Mapping[int, int],
        limits: Limits,
        found: dict[int, Reply | InferenceError],
    ) -> InferenceError | None:
        """Ask a batch and put what is answered into ``found``; what ended it before all were there."""
        try:
            with self._asking({"bodies": bodies}, limits) as hear:
                while "done" not in (message := hear()):
                    if "error" in message:
                        raise self._refusal(message["error"])
                    found[places[message["item"]]] = self._item(message)
        except InferenceError as error:
            return error
        return None

    def _item(self, message: Mapping[str, Any]) -> Reply | InferenceError:
        if "refused" in message:
            return self._refusal(message["refused"])
        answer = Answer()
        answer.feed(str(message["text"]))
        answer.end()
        return self._reply(answer, message, None)

    def _load_message(self) -> dict[str, Any]:
        return {
            "path": str(self._folder),
            "context": self.context,
            "device": self._settings.device,
            "threads": self._settings.threads,
            "gpu_share": self._settings.gpu_share,
            "gpus": self._settings.gpus,
        }

    def _body(self, request: GenerateRequest, schema: Schema | None) -> dict[str, Any]:
        return request_body(request, schema, self._where)

    def _reply(self, answer: Answer, end: Mapping[str, Any], first: float | None) -> Reply:
        return reply_of(answer, end, first)

    def _refusal(self, error: Mapping[str, Any]) -> InferenceError:
        return refusal(error, self._where, self.context)


def command_of(python: str) -> list[str]:
    """What starts the child in another environment.

    Args:
        python: its interpreter, which imports vLLM.
    """
    return [python, "-c", _BOOT, str(Path(__file__).resolve().parents[2])]
