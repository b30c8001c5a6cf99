"""Which models may be asked for fewer dimensions: those trained so that the first coordinates of a vector are one themselves.

A vector is cut, then made length 1 again (Matryoshka representation learning, https://arxiv.org/abs/2205.13147). Of any other
model a cut vector is a worse one by an amount that nobody promised, so the model must say that it may be cut, in the first of

1. ``config.json``, ``config_sentence_transformers.json``: ``matryoshka_dimensions``, a list; ``is_matryoshka``: true for any
   (what vLLM reads: https://docs.vllm.ai/en/latest/models/pooling_models.html); ``truncate_dim``, one number;
2. ``README.md``: ``"matryoshka_dims": [...]``, which sentence-transformers writes into the card of what it trained by that loss;
3. ``KNOWN``: models that say it in the words of their card only.

Add a model to ``KNOWN`` when its card names dimensions and its vectors need nothing but a cut: nomic-embed-text-v1.5 does not
belong there, because its card has a layer norm come before the cut.
"""

import json
import re
from pathlib import Path
from typing import Any, Final

from inference.errors import ModelUnsupported
from inference.models import ModelFiles, make_space, space_of_model
from inference.protocols import Space

KNOWN: Final[dict[str, tuple[int, ...]]] = {
    "mixedbread-ai/mxbai-embed-large-v1": (512,),
    "Snowflake/snowflake-arctic-embed-m-v1.5": (256,),
    "Snowflake/snowflake-arctic-embed-l-v2.0": (256,),
    "nomic-ai/modernbert-embed-base": (256,),
    "google/embeddinggemma-300m": (512, 256, 128),
}
"""Dimensions by model, each from the model's card, https://huggingface.co/<model>."""
CARD: Final = "README.md"
_CONFIGS: Final = ("config.json", "config_sentence_transformers.json")
_IN_CARD: Final = re.compile(r'"matryoshka_dims"\s*:\s*\[([\d\s,]+)\]')


def cut_space(files: ModelFiles, asked: int | None) -> Space:
    """The embedding space of a model that is asked for ``asked`` dimensions; one of its own where these are not all it has.

    Raises:
        ModelUnsupported: see ``inference.models.space_of_model`` and ``cut_dimensions``.
    """
    space = space_of_model(files)
    dimensions = cut_dimensions(files, asked, space.dimensions)
    if dimensions == space.dimensions:
        return space
    return make_space(
        model=space.model,
        digest=space.digest,
        dimensions=dimensions,
        max_tokens=space.max_tokens,
        pooling=space.pooling,
    )


def cut_dimensions(files: ModelFiles, asked: int | None, full: int) -> int:
    """Length of the vectors of a model that is asked for ``asked`` dimensions; ``full`` where nothing less is asked.

    Raises:
        ModelUnsupported: the model does not say that its vectors may be cut to so many.
    """
    if asked is None or asked == full:
        return full
    if asked > full:
        raise ModelUnsupported(
            f"model {files.name} makes vectors of {full} dimensions, {asked} are asked for; ask fewer"
        )
    declared = declared_dimensions(files, full)
    if asked in declared:
        return asked
    if not declared:
        raise ModelUnsupported(
            f"model {files.name} does not say that its vectors may be cut to {asked} dimensions (no matryoshka_dimensions "
            f"in {files.folder / _CONFIGS[0]}, none in its card); remedy: leave @{asked} out, or choose a model trained for it"
        )
    some = ", ".join(map(str, sorted(declared, reverse=True)[:12]))
    raise ModelUnsupported(
        f"model {files.name} may be cut to {some} dimensions, not to {asked}; remedy: ask one of these"
    )


def declared_dimensions(files: ModelFiles, full: int) -> frozenset[int]:
    """The dimensions below ``full`` that a model declares, by the order in this module's docstring."""
    for name in _CONFIGS:
        found = _configured(_object(files.folder / name), full)
        if found:
            return found
    cards = _IN_CARD.findall(_text(files.folder / CARD))
    found = _below(full, [int(number) for card in cards for number in re.findall(r"\d+", card)])
    return found or _below(full, KNOWN.get(files.name, ()))


def _configured(config: dict[str, Any], full: int) -> frozenset[int]:
    listed = config.get("matryoshka_dimensions")
    if isinstance(listed, list):
        return _below(full, listed)
    if config.get("is_matryoshka") is True:
        return frozenset(range(1, full))
    return _below(full, [config.get("truncate_dim")])


def _below(full: int, numbers: Any) -> frozenset[int]:
    return frozenset(number for number in numbers if type(number) is int and 0 < number < full)


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", errors="replace")
    except OSError:
        return ""


def _object(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(_text(path))
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}
