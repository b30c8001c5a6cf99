"""What a lane is: a purpose, the engines that serve it in the order of preference, and how far it may go. Values only.

They are read from ``inference.yaml`` by ``configuration``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from inference.generation.budget import Caps, Prices
from inference.lanes import EngineConfig

FREE: Final = Prices()
UNCAPPED: Final = Caps()
Tier = Literal["tiny", "small", "large"]
GUIDED: Final = ("auto", "json_schema", "json_object", "none")
TIERS: Final = ("tiny", "small", "large")
DEFAULT: Final = "orchestrator"
GENERATING: Final = ("orchestrator", "coder", "super_reader", "fast_rag", "governance")
EMBEDDING: Final = ("embed", "code_embed")
RERANK: Final = "rerank"
LANES: Final = (*GENERATING, *EMBEDDING, RERANK)
PURPOSES: Final = {
    "orchestrator": "everything else, and the last resort of all other lanes",
    "coder": "code: reading, explaining, writing it",
    "super_reader": "texts longer than the other lanes read",
    "fast_rag": "short answers from passages that were found",
    "governance": "compliance, licences, policies, personal data",
    "embed": "vectors of texts",
    "code_embed": "vectors of code",
    "rerank": "judging the first of a ranking once more",
}


@dataclass(frozen=True, slots=True)
class EngineSpec:
    """One engine that generates.

    Attributes:
        name: for people, the ledger and its breaker; unique.
        model: ``openai:<model>@<url>`` (a server), ``packaged`` or ``gguf:<path>`` (llama.cpp), ``hf:org/name`` (transformers)
            or ``vllm:org/name`` (vLLM in process, for batches), both of a model that was pulled, or ``echo``.
        api_key: of a server; never shown.
        tier: what it can be trusted with: ``tiny`` models prove the machinery, no more.
        context: tokens that a request and its answer may have together; None = what the model's file says, 8192 for a server.
        concurrency: calls at a time, of all processes of the machine.
        timeout: seconds for one attempt.
        prices: per million tokens.
        guided: how a server is asked for JSON (``engines.chat_server``).
        limit_field: how a server calls the longest answer.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:<n>`` (ROCm answers to the same name), for local models.
        threads: of a local model; None = as it likes.
        python: for ``vllm:``, the interpreter of the environment that vLLM is installed in; empty = this one's.
    """

    name: str
    model: str
    api_key: str = field(default="", repr=False)
    tier: Tier = "small"
    context: int | None = None
    concurrency: int = 4
    timeout: float = 60.0
    prices: Prices = FREE
    guided: str = "auto"
    limit_field: str = "max_tokens"
    device: str = "auto"
    threads: int | None = None
    python: str = ""


@dataclass(frozen=True, slots=True)
class LaneSpec:
    """One lane that generates.

    Attributes:
        name: of the lane.
        engines: in the order of preference.
        deadline: seconds for a request, waiting, retries and fallback included.
        attempts: of one engine, where asking again may help.
        calls_per_minute: of the lane; None = as often as is asked.
        caller_calls_per_minute: of each caller in it.
        burst: calls at once after a rest.
        run: caps of a run.
        day: caps of a day (UTC).
        is_cached: answers are kept and given again.
    """

    name: str
    engines: tuple[EngineSpec, ...]
    deadline: float = 180.0
    attempts: int = 2
    calls_per_minute: float | None = None
    caller_calls_per_minute: float | None = None
    burst: int = 10
    run: Caps = UNCAPPED
    day: Caps = UNCAPPED
    is_cached: bool = True


@dataclass(frozen=True, slots=True)
class Configuration:
    """What is configured.

    Attributes:
        lanes: the five that generate, by name; one without engines is served by the default lane, if that has some.
        embed: engines of the ``embed`` lane; empty = not said here.
        code_embed: of the ``code_embed`` lane.
        rerank: what judges the first of a ranking once more; None = not said here.
    """

    lanes: Mapping[str, LaneSpec] = field(default_factory=lambda: {name: LaneSpec(name, ()) for name in GENERATING})
    embed: tuple[EngineConfig, ...] = ()
    code_embed: tuple[EngineConfig, ...] = ()
    rerank: str | None = None

    @property
    def engines(self) -> dict[str, EngineSpec]:
        """All engines that generate, by name."""
        return {one.name: one for lane in self.lanes.values() for one in lane.engines}

    def serving(self, lane: str) -> LaneSpec:
        """The lane that serves a purpose: itself where it has engines, else the default one."""
        return self.lanes[lane] if self.lanes[lane].engines else self.lanes[DEFAULT]
