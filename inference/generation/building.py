"""The lanes of a configuration, each engine built once and when first used: the one door that rooms come through."""

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from inference.errors import ConfigInvalid, InferenceError, LaneDown
from inference.generation.batching import generate_batch
from inference.generation.budget import Spent
from inference.generation.cache import CompletionCache
from inference.generation.lane import GenerateLane
from inference.generation.ledger import Ledger
from inference.generation.routing import Route, route, text_of
from inference.generation.spec import DEFAULT, GENERATING, Configuration, EngineSpec
from inference.models import ModelPlaces, gguf_model, packaged_generator, pulled_model
from inference.protocols import Generator, Progress, Schema
from inference.requests import Cancellation, Completion, GenerateRequest, Limits, Reply

SERVER_CONTEXT: Final = 8192
"""Tokens that a server is taken to read where nothing is configured."""


class Lanes:
    """The lanes of this process. Thread-safe.

    Args:
        configuration: which there are.
        ledger: knows all calls.
        cache: of answers.
        places: where models are.
    """

    def __init__(
        self, configuration: Configuration, ledger: Ledger, cache: CompletionCache, places: ModelPlaces
    ) -> None:
        self.configuration = configuration
        self.ledger, self.cache = ledger, cache
        self._places = places
        self._engines: dict[EngineSpec, Generator] = {}
        self._lanes: dict[str, GenerateLane] = {}
        self._lock = threading.RLock()

    @property
    def has_generator(self) -> bool:
        """Whether any lane can generate; where none can, rooms use their deterministic methods."""
        return bool(self.configuration.engines)

    def lane(self, name: str = DEFAULT) -> GenerateLane:
        """The lane that serves a purpose: the default one where its own has no engine.

        Raises:
            ConfigInvalid: there is no such purpose.
            LaneDown: no engine is configured at all.
        """
        if name not in GENERATING:
            raise ConfigInvalid(f"lane {name!r} is none of {', '.join(GENERATING)}")
        spec = self.configuration.serving(name)
        if not spec.engines:
            raise LaneDown(
                f"lane {name} has no engine, and neither has {DEFAULT}; remedy: name one in inference.yaml "
                "(docs/configuration.md); everything else works without"
            )
        with self._lock:
            if spec.name not in self._lanes:
                has_default = spec.name != DEFAULT and self.configuration.lanes[DEFAULT].engines
                default = self.lane(DEFAULT) if has_default else None
                engines = [self.engine(one) for one in spec.engines]
                self._lanes[spec.name] = GenerateLane(spec, engines, self.ledger, self.cache, default)
            return self._lanes[spec.name]

    def engine(self, spec: EngineSpec) -> Generator:
        """An engine; one that cannot be built is there, too, and fails when it is asked."""
        with self._lock:
            if spec not in self._engines:
                self._engines[spec] = build_engine(spec, self._places)
            return self._engines[spec]

    def route(self, text: str, *, lane: str = "", task: str = "", answer_tokens: int = 1024) -> Route:
        """Which lane a text belongs to, and why."""
        contexts = {
            name: self.engine(spec.engines[0]).context
            for name, spec in self.configuration.lanes.items()
            if spec.engines
        }
        return route(text, contexts, lane=lane, task=task, answer_tokens=answer_tokens)

    def generate(
        self, request: GenerateRequest, *, lane: str = "", task: str = "", cancellation: Cancellation | None = None
    ) -> Completion:
        """One answer of the lane that a request belongs to.

        Raises:
            InferenceError: as for ``GenerateLane.generate``.
        """
        chosen = self.route(text_of(request), lane=lane, task=task, answer_tokens=request.max_tokens)
        return self.lane(chosen.lane).generate(request, cancellation)

    def generate_batch(
        self,
        requests: Sequence[GenerateRequest],
        *,
        lane: str = "",
        task: str = "",
        cancellation: Cancellation | None = None,
        progress: Progress | None = None,
    ) -> list[Completion | InferenceError]:
        """An outcome for each request, in their order, of the lane that the longest of them belongs to; see ``batching``."""
        if not requests:
            return []
        longest = max(requests, key=lambda one: len(text_of(one)))
        chosen = self.route(text_of(longest), lane=lane, task=task, answer_tokens=longest.max_tokens)
        return generate_batch(self.lane(chosen.lane), requests, cancellation, progress)

    def spent_by(self, run_id: str) -> Spent:
        """What a run spent in all lanes."""
        return sum((self.ledger.spent(lane, run_id) for lane in self.configuration.lanes), Spent())

    def close(self) -> None:
        """End the engines and close the files; they begin anew when used."""
        with self._lock:
            for engine in self._engines.values():
                engine.close()
            self.ledger.close()
            self.cache.close()


class Unusable:
    """An engine that is configured and cannot be built here: it says so whenever it is asked, and a lane goes on."""

    def __init__(self, spec: EngineSpec, error: InferenceError) -> None:
        self.name, self.model = spec.name, spec.model
        self.digest, self.context = "", spec.context or SERVER_CONTEXT
        self.error = error

    def generate(self, request: GenerateRequest, limits: Limits, schema: Schema | None = None) -> Reply:
        """Raises why."""
        raise self.error

    def stream(self, request: GenerateRequest, limits: Limits, schema: Schema | None = None) -> Iterator[str | Reply]:
        """Raises why."""
        raise self.error

    def close(self) -> None:
        """Nothing is held."""


def build_engine(spec: EngineSpec, places: ModelPlaces) -> Generator:
    """The engine of a configuration. Nothing is loaded yet: a local model is at its first call."""
    kind, _, rest = spec.model.partition(":")
    try:
        if kind == "openai":
            from inference.engines.chat_server import ChatServer

            model, _, url = rest.rpartition("@")
            return ChatServer(
                spec.name,
                url=url,
                model=model,
                context=spec.context or SERVER_CONTEXT,
                api_key=spec.api_key,
                guided=spec.guided,
                limit_field=spec.limit_field,
            )
        if kind == "echo":
            from inference.engines.scripted import ScriptedGenerator

            return ScriptedGenerator(spec.name, context=spec.context or SERVER_CONTEXT)
        if kind in ("packaged", "gguf"):
            return _llama(spec, rest, places)
        if kind == "hf":
            return _transformers(spec, rest, places)
        if kind == "vllm":
            return _vllm(spec, rest, places)
        raise ConfigInvalid(f"engine {spec.name}: {spec.model} is of no kind that can be built")
    except InferenceError as error:
        return Unusable(spec, error)


def _llama(spec: EngineSpec, path: str, places: ModelPlaces) -> Generator:
    """A GGUF file, the packaged one where no path is given."""
    from inference.engines.llama_cpp import LlamaCpp, LlamaSettings

    files = gguf_model(Path(path).expanduser(), places.cache_dir) if path else packaged_generator()
    layers = 0 if spec.device == "cpu" else None
    settings = LlamaSettings(context=spec.context, n_gpu_layers=layers, threads=spec.threads)
    return LlamaCpp(spec.name, files, places.cache_dir, settings=settings)


def _transformers(spec: EngineSpec, repo_id: str, places: ModelPlaces) -> Generator:
    """A model that was pulled, through transformers."""
    from inference.engines.transformers_engine import TransformersEngine, TransformersSettings

    files = pulled_model(repo_id, places.models_dir)
    settings = TransformersSettings(context=spec.context, device=spec.device, threads=spec.threads)
    return TransformersEngine(spec.name, files, places.cache_dir, settings=settings)


def _vllm(spec: EngineSpec, repo_id: str, places: ModelPlaces) -> Generator:
    """A model that was pulled, through vLLM in this environment or in the one that is named."""
    from inference.engines.vllm_engine import VllmEngine, VllmSettings, command_of

    files = pulled_model(repo_id, places.models_dir)
    settings = VllmSettings(context=spec.context, device=spec.device, threads=spec.threads)
    command = command_of(str(Path(spec.python).expanduser())) if spec.python else None
    return VllmEngine(spec.name, files, places.cache_dir, settings=settings, command=command)
