"""Which engine serves a purpose: a lane names a purpose and lists engines, the first that can be used fixes the space.

An embed lane is resolved once, when a corpus is registered; the space_id records the choice, and from then on only an
engine of that very space may stand in (torch for many texts, numpy for a query). A lane never falls back to another
model afterwards: the vectors could not be compared. Nothing here imports torch until an engine is loaded.
"""

import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from inference.errors import ConfigInvalid, EngineUnavailable, InferenceError, ModelMissing, ModelUnsupported
from inference.matryoshka import cut_space
from inference.models import ModelFiles, ModelPlaces, make_space, packaged_model, pulled_model, verify
from inference.protocols import Embedder, IdsTokenizer, Space

if TYPE_CHECKING:
    from inference.generation.recording import Recorder

PACKAGED: Final = "packaged"
HASH: Final = "hash"
_DEVICES: Final = ("auto", "cpu", "cuda")
_PRECISIONS: Final = ("auto", "fp32", "bf16")


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """One engine of a lane.

    Attributes:
        model: ``packaged``, ``hash``, ``hf:org/name``, ``hf:org/name@<dimensions>`` or ``openai:<model>@<url>#<dimensions>``.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:<n>`` (ROCm answers to the same name).
        precision: ``auto``, ``fp32`` or ``bf16``.
        dimensions: length of a vector: needed for ``openai:``; for ``hf:``, the first so many of a model that is trained to be
            cut (``matryoshka``). Read from a configuration, it stands in ``model`` as well, which is what a corpus keeps.
        max_tokens: what the model reads at most; for ``openai:`` only, where it defaults to 512.
        api_key: for ``openai:``; never shown.
        timeout: seconds for one request, ``openai:`` only.
    """

    model: str = PACKAGED
    device: str = "auto"
    precision: str = "auto"
    dimensions: int | None = None
    max_tokens: int | None = None
    api_key: str = field(default="", repr=False)
    timeout: float = 60.0


@dataclass(frozen=True, slots=True)
class Lane:
    """A purpose (``embed``, ``code``) and its engines in the order of preference."""

    name: str
    engines: tuple[EngineConfig, ...]


@dataclass(frozen=True, slots=True)
class Resolved:
    """What a lane came to on this machine.

    Attributes:
        space: the space that was chosen.
        engines: the engines of that space, in order; never one of another space.
        passed_over: (model, reason) of the engines before it that could not be used.
    """

    space: Space
    engines: tuple[EngineConfig, ...]
    passed_over: tuple[tuple[str, str], ...] = ()


def parse_engine(value: object, where: str) -> EngineConfig:
    """Read one engine from a model's name or a mapping of ``EngineConfig``'s fields.

    Raises:
        ConfigInvalid: naming ``where``, what is wrong, and what would be right.
    """
    settings: Mapping[str, object] = {"model": value} if isinstance(value, str) else _mapping(value, where)
    allowed = EngineConfig.__dataclass_fields__
    unknown = sorted(set(settings) - set(allowed))
    if unknown:
        raise ConfigInvalid(f"{where}: unknown setting {', '.join(unknown)}; known are {', '.join(allowed)}")
    for name, kind in (("model", str), ("device", str), ("precision", str), ("api_key", str)):
        if not isinstance(settings.get(name, ""), kind):
            raise ConfigInvalid(f"{where}: {name} must be a text")
    for name in ("dimensions", "max_tokens", "timeout"):
        number = settings.get(name, 1)
        is_number = isinstance(number, (int, float)) if name == "timeout" else isinstance(number, int)
        if number is not None and (not is_number or isinstance(number, bool) or not 0 < float(str(number)) < 1e9):
            raise ConfigInvalid(f"{where}: {name} must be a positive number")
    fields: dict[str, Any] = {name: value for name, value in settings.items() if value is not None}
    config = EngineConfig(**fields)
    _check(config, where)
    return _with_dimensions(config, where)


def parse_lanes(settings: Mapping[str, object]) -> dict[str, Lane]:
    """Read lanes from a mapping of lane name to an engine or a list of engines.

    Raises:
        ConfigInvalid: naming the lane and the engine.
    """
    lanes: dict[str, Lane] = {}
    for name, value in settings.items():
        listed: Sequence[object] = value if isinstance(value, (list, tuple)) else (value,)
        if not listed:
            raise ConfigInvalid(f"lane {name} lists no engine; remedy: [packaged]")
        engines = tuple(parse_engine(one, f"lane {name}, engine {at}") for at, one in enumerate(listed, 1))
        lanes[name] = Lane(name, engines)
    return lanes


DEFAULT_LANES: Final = {
    "embed": Lane("embed", (EngineConfig(),)),
    "code": Lane("code", (EngineConfig(),)),
}


def space_of(config: EngineConfig, places: ModelPlaces) -> Space:
    """The space an engine makes vectors of, without loading it.

    Raises:
        ModelMissing: the model is not on this machine.
    """
    kind, name = _kind(config.model)
    if kind == HASH:
        from inference.engines.hash_embedder import hash_space

        return hash_space(config.max_tokens or 256)
    if kind == "openai":
        import hashlib

        model, _, dimensions = _server_of(name)
        digest = hashlib.sha256(f"openai:{model}".encode("utf-8", "surrogatepass")).hexdigest()
        return make_space(
            model=model,
            digest=digest,
            dimensions=config.dimensions or dimensions or 0,
            max_tokens=config.max_tokens or 512,
            pooling="server",
        )
    return cut_space(_files(config, places), _asked(config))


def resolve(lane: Lane, places: ModelPlaces) -> Resolved:
    """Choose a lane's space: that of the first engine whose model is here. Done once, at registration.

    Raises:
        ModelMissing: none of the lane's engines can be used; the message has every reason.
    """
    passed_over: list[tuple[str, str]] = []
    for position, config in enumerate(lane.engines):
        try:
            space = space_of(config, places)
        except InferenceError as error:
            passed_over.append((config.model, str(error)))
            continue
        rest = tuple(other for other in lane.engines[position + 1 :] if _space_or_none(other, places) == space)
        return Resolved(space, (config, *rest), tuple(passed_over))
    reasons = "; ".join(f"{model}: {reason}" for model, reason in passed_over)
    raise ModelMissing(f"lane {lane.name} has no engine that can be used here: {reasons}")


def engine_of_space(space_id: str, lanes: Mapping[str, Lane], places: ModelPlaces) -> EngineConfig:
    """The configured engine whose vectors are of ``space_id``: how a registered corpus finds its model again.

    Raises:
        ModelMissing: none is; embedding with another model is refused.
    """
    seen: list[str] = []
    for lane in lanes.values():
        for config in lane.engines:
            space = _space_or_none(config, places)
            if space is not None and space.space_id == space_id:
                return config
            seen.append(f"{config.model} ({space.space_id if space else 'not here'})")
    raise ModelMissing(
        f"no configured engine makes vectors of space {space_id}; configured: {', '.join(seen) or 'none'}; "
        "remedy: configure or pull the model it was made with, or migrate the corpus to another space"
    )


def load_tokenizer(config: EngineConfig, places: ModelPlaces) -> IdsTokenizer:
    """The tokenizer of an engine's model; the packaged one for ``hash``, and for ``openai:``, where it is an estimate."""
    from inference.tokenizers_plain import open_tokenizer

    kind, _ = _kind(config.model)
    files = packaged_model() if kind in (HASH, "openai") else _files(config, places)
    verify(_only_tokenizer(files), places.cache_dir)
    return open_tokenizer(files.folder / "tokenizer.json")


def load_embedder(config: EngineConfig, places: ModelPlaces, *, bulk: bool) -> Embedder:
    """Load an engine: for ``bulk`` the fastest, else the one that starts fastest. Both make vectors of the same space.

    Raises:
        InferenceError: the model or the engine cannot be used; see ``inference.errors``.
    """
    kind, name = _kind(config.model)
    tokenizer = load_tokenizer(config, places)
    if kind == HASH:
        from inference.engines.hash_embedder import HashEmbedder

        return HashEmbedder(tokenizer, config.max_tokens or 256)
    if kind == "openai":
        from inference.engines.openai_compat import OpenAICompatible

        model, url, _ = _server_of(name)
        key = config.api_key or places.server_key
        space = space_of(config, places)
        recorder = recorder_of("embed", model, url, space.digest, config.timeout, places)
        return OpenAICompatible(
            space, tokenizer, url=url, model=model, api_key=key, timeout=config.timeout, recorder=recorder
        )
    files = _files(config, places)
    verify(files, places.cache_dir)
    return _load_local(config, files, tokenizer, bulk=bulk)


def recorder_of(
    lane: str, model: str, url: str, digest: str, patience: float, places: ModelPlaces
) -> "Recorder | None":
    """What writes the calls of a server down; None where there is no ledger."""
    if places.calls is None:
        return None
    from inference.generation.ledger import Ledger
    from inference.generation.recording import Recorder

    engine = f"{model}@{urlsplit(url).netloc}"
    ledger = Ledger(places.calls)
    return Recorder(ledger, lane=lane, engine=engine, model=model, digest=digest, patience=patience)


class ResidentEmbedders:
    """Loaded engines, kept for the life of the process: a worker holds one and asks it again and again. Thread-safe."""

    def __init__(self, places: ModelPlaces) -> None:
        self._places = places
        self._loaded: dict[tuple[EngineConfig, bool], Embedder] = {}
        self._lock = threading.Lock()

    def get(self, config: EngineConfig, *, bulk: bool) -> Embedder:
        """The engine of ``config``, loaded at most once; a resident bulk engine serves single queries too."""
        with self._lock:
            for key in ((config, True), (config, bulk)):
                if key in self._loaded:
                    return self._loaded[key]
            engine = self._loaded[config, bulk] = load_embedder(config, self._places, bulk=bulk)
            return engine


def _load_local(config: EngineConfig, files: ModelFiles, tokenizer: IdsTokenizer, *, bulk: bool) -> Embedder:
    """The built-in encoder for BERT, sentence-transformers for everything else."""
    from inference.engines.bert_files import bert_shape, open_weights

    space = cut_space(files, _asked(config))
    try:
        shape = bert_shape(files)
        weights = open_weights(files)
    except ModelUnsupported:
        from inference.engines.sentence_transformers_engine import SentenceTransformersEngine

        precision = "fp32" if config.precision == "auto" else config.precision
        return SentenceTransformersEngine(space, files, tokenizer, device=config.device, precision=precision)
    if bulk:
        try:
            from inference.engines.bert_start import start_bert

            return start_bert(space, shape, weights, tokenizer, device=config.device, precision=config.precision)
        except ImportError as error:
            if config.device.startswith("cuda"):
                raise EngineUnavailable(
                    f"device {config.device} needs torch; remedy: pip install torch==2.13.0"
                ) from error
    from inference.engines.bert_numpy import BertNumpy

    return BertNumpy(space, shape, weights, tokenizer)


def _with_dimensions(config: EngineConfig, where: str) -> EngineConfig:
    """The same with the dimensions of an ``hf:`` or ``openai:`` model both in its name and beside it."""
    kind, name = _kind(config.model)
    if kind not in ("hf", "openai"):
        return config
    named = _dimensions_in(config.model) if kind == "hf" else _server_of(name)[2]
    if config.dimensions is not None and named not in (None, config.dimensions):
        raise ConfigInvalid(
            f"{where}: {config.model} and dimensions: {config.dimensions} contradict each other; say one"
        )
    asked = config.dimensions or named
    if asked is None:
        return config
    whole = f"hf:{name}@{asked}" if kind == "hf" else f"openai:{name.partition('#')[0]}#{asked}"
    return replace(config, model=whole, dimensions=asked)


def _server_of(name: str) -> tuple[str, str, int | None]:
    """Model, address and dimensions in ``<model>@<url>#<dimensions>``; None where the last are not said."""
    model, _, place = name.rpartition("@")
    url, _, number = place.partition("#")
    return model, url, int(number) if re.fullmatch(r"[1-9]\d{0,5}", number, re.ASCII) else None


def _asked(config: EngineConfig) -> int | None:
    """How many dimensions a local model is asked for; None for all that it has."""
    return config.dimensions or _dimensions_in(config.model)


def _dimensions_in(model: str) -> int | None:
    """The dimensions in ``hf:org/name@256``."""
    number = model.partition("@")[2] if model.startswith("hf:") else ""
    return int(number) if number else None


def _mapping(value: object, where: str) -> Mapping[str, object]:
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return value
    raise ConfigInvalid(f"{where}: must be a model's name or a mapping with `model`, not {type(value).__name__}")


def _check(config: EngineConfig, where: str) -> None:
    """Raise when the values of a configuration cannot be."""
    try:
        kind, name = _kind(config.model)
    except ConfigInvalid as error:
        raise ConfigInvalid(f"{where}: {error}") from None
    if config.device not in _DEVICES and not config.device.removeprefix("cuda:").isdecimal():
        raise ConfigInvalid(f"{where}: device {config.device!r} is none of {', '.join(_DEVICES)}, cuda:<n>")
    if config.precision not in _PRECISIONS:
        raise ConfigInvalid(f"{where}: precision {config.precision!r} is none of {', '.join(_PRECISIONS)}")
    if kind == HASH and config.dimensions is not None:
        raise ConfigInvalid(f"{where}: hash makes vectors of 384 dimensions; leave `dimensions` out")
    if kind == "openai":
        model, url, dimensions = _server_of(name)
        if not model or not url or (config.dimensions or dimensions) is None:
            raise ConfigInvalid(f"{where}: an openai engine is openai:<model>@<url>#<dimensions>, such as #768")


def _kind(model: str) -> tuple[str, str]:
    """(``packaged`` | ``hash`` | ``hf`` | ``openai``, the rest of the name; of ``hf`` without dimensions)."""
    if model in (PACKAGED, HASH):
        return model, ""
    kind, _, name = model.partition(":")
    if kind == "hf":
        name, at, dimensions = name.partition("@")
        if at and not re.fullmatch(r"[1-9]\d{0,8}", dimensions, re.ASCII):
            raise ConfigInvalid(f"model {model!r}: behind @ must stand a number of dimensions, as in hf:org/name@256")
    if kind not in ("hf", "openai") or not name or (kind == "hf" and name.count("/") != 1):
        raise ConfigInvalid(
            f"model {model!r} is none of packaged, hash, hf:org/name, hf:org/name@256, openai:<model>@<url>#<dimensions>"
        )
    return kind, name


def _files(config: EngineConfig, places: ModelPlaces) -> ModelFiles:
    kind, name = _kind(config.model)
    return packaged_model() if kind == PACKAGED else pulled_model(name, places.models_dir)


def _only_tokenizer(files: ModelFiles) -> ModelFiles:
    kept = tuple(entry for entry in files.digests if entry[0] == "tokenizer.json")
    return ModelFiles(files.name, files.folder, kept, files.revision)


def _space_or_none(config: EngineConfig, places: ModelPlaces) -> Space | None:
    try:
        return space_of(config, places)
    except InferenceError:
        return None
