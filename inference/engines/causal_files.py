"""What the small files of a pulled language model say: that it writes text from left to right, and how much it reads.

Nothing here loads weights or a library.
"""

import json
import math
from typing import Any, Final

from inference.errors import ModelUnsupported
from inference.models import ModelFiles

_CAUSAL: Final = ("ForCausalLM", "LMHeadModel")
_CONTEXTS: Final = ("max_position_embeddings", "n_positions", "max_sequence_length", "max_seq_len", "seq_length")


def causal_context(files: ModelFiles, wanted: int | None) -> int:
    """Tokens that a request and its answer may have together: the model's own, or less where ``wanted`` says so.

    Raises:
        ModelUnsupported: it is no causal language model, or says nothing of its context and neither does ``wanted``.
    """
    path = files.folder / "config.json"
    try:
        config = json.loads(path.read_text("utf-8"))
        names = [str(name) for name in config.get("architectures") or ()]
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise ModelUnsupported(
            f"model {files.name}: {path} is not readable; remedy: cortex models pull {files.name}"
        ) from error
    # Where a model names none, whoever loads it decides.
    if config.get("is_encoder_decoder") or (names and not any(name.endswith(_CAUSAL) for name in names)):
        raise ModelUnsupported(
            f"model {files.name} is no causal language model: {path} names the architecture "
            f"{', '.join(names) or 'none'}; remedy: choose one whose architecture ends in ForCausalLM"
        )
    context = min(_longest(config), wanted or math.inf)
    if math.isinf(context):
        raise ModelUnsupported(
            f"model {files.name}: {path} does not say how long its context is; remedy: set it (context)"
        )
    return int(context)


def _longest(config: dict[str, Any]) -> float:
    """The model's context; infinite where it says none. Of a model with several parts, that of the one for text."""
    text = config.get("text_config")
    for part in (text if isinstance(text, dict) else {}, config):
        for name in _CONTEXTS:
            value = part.get(name)
            if isinstance(value, int) and not isinstance(value, bool) and value > 0:
                return value
    return math.inf
