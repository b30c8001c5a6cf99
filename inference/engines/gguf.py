"""What the head of a GGUF file says about its model, read without loading anything: for engines that must know it before.

Only what a caller needs belongs here: weights and vocabularies are the native library's. Format: the GGUF specification
of ggml, versions 2 and 3, little-endian.
"""

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

from inference.errors import ModelMissing, ModelUnsupported

_MAGIC: Final = b"GGUF"
_STRING: Final = 8
_ARRAY: Final = 9
_NUMBERS: Final = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
"""Types of values by their number in the file; 8 is a string, 9 an array."""
_MOST: Final = 1 << 20
"""Entries that a head may have, and bytes of a key: more is a broken file."""
_TOKENIZER: Final = "tokenizer."
"""Keys of the vocabulary: they come last and are large."""


@dataclass(frozen=True, slots=True)
class GgufHead:
    """What is known of a model.

    Attributes:
        architecture: such as ``llama``.
        context: tokens that the model was made for; None where the file does not say.
    """

    architecture: str
    context: int | None


def read_head(path: Path) -> GgufHead:
    """Read the head of a GGUF file.

    Raises:
        ModelMissing: there is no such file.
        ModelUnsupported: it is no GGUF file, or one that was cut off.
    """
    try:
        with path.open("rb") as file:
            return _head(file, path)
    except OSError as error:
        raise ModelMissing(
            f"model file {path} cannot be read ({error.strerror}); remedy: correct the path, or bring the file there"
        ) from error
    except EOFError as error:
        raise ModelUnsupported(f"model file {path} is cut off; remedy: download it again") from error


def _head(file: BinaryIO, path: Path) -> GgufHead:
    if file.read(4) != _MAGIC:
        raise ModelUnsupported(f"model file {path} is not a GGUF file; remedy: choose a model in that format")
    version = _number(file, "<I")
    if version not in (2, 3):
        raise ModelUnsupported(
            f"model file {path} is GGUF version {version}, known are 2 and 3; remedy: convert the model anew"
        )
    _number(file, "<Q")  # how many tensors
    values: dict[str, Any] = {}
    for _ in range(_sound(_number(file, "<Q"), path)):
        key = _bytes(file, _sound(_number(file, "<Q"), path)).decode("utf-8", "replace")
        architecture = str(values.get("general.architecture", ""))
        if f"{architecture}.context_length" in values or (architecture and key.startswith(_TOKENIZER)):
            break
        values[key] = _value(file, _number(file, "<I"), path)
    architecture = str(values.get("general.architecture", ""))
    if not architecture:
        raise ModelUnsupported(f"model file {path} names no architecture; remedy: convert the model anew")
    context = values.get(f"{architecture}.context_length")
    return GgufHead(architecture, context if isinstance(context, int) and context > 0 else None)


def _value(file: BinaryIO, kind: int, path: Path) -> Any:
    """One value; of an array nothing is kept."""
    if kind in _NUMBERS:
        return _number(file, _NUMBERS[kind])
    if kind == _STRING:
        return _bytes(file, _number(file, "<Q")).decode("utf-8", "replace")
    if kind != _ARRAY:
        raise ModelUnsupported(f"model file {path} has a value of unknown type {kind}; remedy: download it again")
    inner, count = _number(file, "<I"), _number(file, "<Q")
    if inner in _NUMBERS:
        file.seek(count * struct.calcsize(_NUMBERS[inner]), 1)
    elif inner == _STRING:
        for _ in range(count):
            file.seek(_number(file, "<Q"), 1)
    else:
        raise ModelUnsupported(f"model file {path} has an array of type {inner}; remedy: download it again")
    return None


def _number(file: BinaryIO, form: str) -> Any:
    return struct.unpack(form, _bytes(file, struct.calcsize(form)))[0]


def _bytes(file: BinaryIO, count: int) -> bytes:
    found = file.read(min(count, 1 << 30))
    if len(found) < count:
        raise EOFError
    return found


def _sound(count: int, path: Path) -> int:
    if count > _MOST:
        raise ModelUnsupported(f"model file {path} has a broken head; remedy: download it again")
    return count
