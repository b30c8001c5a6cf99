"""What a configured model may be called, and what an engine is called that nobody named."""

import re
from typing import Final

from inference.engines.addresses import is_address, shown
from inference.errors import ConfigInvalid
from inference.generation.places import Place
from inference.lanes import EngineConfig, parse_engine

_PULLED: Final = ("hf", "vllm")
"""Kinds of engines whose models ``cortex models pull`` brings."""
_REPOSITORY: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*/[A-Za-z0-9_][A-Za-z0-9_.-]*")


def model_named(place: Place) -> str:
    """A model's name, checked by its form.

    Raises:
        ConfigInvalid: it is none.
    """
    model = place.text()
    kind, _, rest = model.partition(":")
    if model in ("packaged", "echo") or (kind == "gguf" and rest):
        return model
    if kind in _PULLED and _REPOSITORY.fullmatch(rest):
        return model
    name, _, url = rest.rpartition("@")
    if kind != "openai" or not name or not url:
        raise place.wrong(
            f"is {shown(model)[:80]!r}, and must be openai:<model>@http://host:port/v1, packaged, gguf:<path>, "
            "hf:org/name, vllm:org/name or echo"
        )
    if not is_address(url):
        raise place.wrong(f"names {shown(url)!r}, which is no address; remedy: http(s)://host:port/v1 without a key")
    return model


def short_name(model: str) -> str:
    """What an engine without a name is called: the model, and the host of its server."""
    kind, _, rest = model.partition(":")
    name, _, url = rest.rpartition("@")
    if kind == "openai":
        return f"{name}@{re.sub(r'^https?://', '', url).split('/')[0]}"
    return rest.rpartition("/")[2] or model


def embedder_named(place: Place) -> EngineConfig:
    """An embedder by its name alone, which is what a corpus keeps of it.

    Raises:
        ConfigInvalid: it is none.
    """
    name = place.text()
    try:
        return parse_engine(name, "it")
    except ConfigInvalid as error:
        raise place.wrong(str(error).removeprefix("it: ")) from None


def rerank_named(place: Place) -> str:
    """What judges the first of a ranking once more, checked by its form.

    Raises:
        ConfigInvalid: it is none.
    """
    spec = place.text()
    model, _, url = spec.removeprefix("rerank:").rpartition("@")
    is_server = spec.startswith("rerank:") and bool(model) and is_address(url)
    if spec not in ("none", "late") and not is_server and not re.fullmatch(r"hf:[\w.-]+/[\w.-]+", spec):
        raise place.wrong("must be none, late, hf:org/name or rerank:<model>@http://host:port/v1")
    return spec
