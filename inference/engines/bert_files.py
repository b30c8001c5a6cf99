"""A BERT encoder's configuration and weights, read from ``config.json`` and memory-mapped safetensors with numpy alone.

What computes with them is in ``bert_numpy`` and ``bert_torch``. Source of the format:
https://huggingface.co/docs/safetensors (8-byte little-endian header length, JSON header, raw tensors).
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from inference.errors import ModelMissing, ModelUnsupported
from inference.models import ModelFiles, extra_modules
from inference.protocols import Floats

_HEADER_LIMIT: Final = 100_000_000
_TYPES: Final[dict[str, np.dtype[Any]]] = {
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "F64": np.dtype("<f8"),
    "BF16": np.dtype("<u2"),
}


@dataclass(frozen=True, slots=True)
class BertShape:
    """The numbers of a BERT encoder that its computation needs."""

    hidden: int
    layers: int
    heads: int
    positions: int
    epsilon: float


def bert_shape(files: ModelFiles) -> BertShape:
    """Read a model's shape.

    Raises:
        ModelUnsupported: it is not a plain BERT encoder (other architecture, activation or position embedding).
    """
    path = files.folder / "config.json"
    try:
        config: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ModelUnsupported(f"model {files.name}: {path} is not readable") from error
    wanted = {"model_type": "bert", "hidden_act": "gelu", "position_embedding_type": "absolute"}
    for key, value in wanted.items():
        if config.get(key, value if key != "model_type" else None) != value:
            raise ModelUnsupported(
                f"model {files.name} has {key} {config.get(key)!r}, the built-in encoder needs {value!r}"
            )
    if extra_modules(files.folder):
        raise ModelUnsupported(f"model {files.name} has layers after pooling: {', '.join(extra_modules(files.folder))}")
    return BertShape(
        hidden=int(config["hidden_size"]),
        layers=int(config["num_hidden_layers"]),
        heads=int(config["num_attention_heads"]),
        positions=int(config["max_position_embeddings"]),
        epsilon=float(config.get("layer_norm_eps", 1e-12)),
    )


class Weights(Mapping[str, Floats]):
    """Tensors of one safetensors file as float32 arrays; float32 ones are views of the mapped file, read when touched.

    A ``bert.`` prefix of the names, which some checkpoints have, is dropped.

    Raises:
        ModelMissing: the file cannot be read.
        ModelUnsupported: it is not safetensors, or a tensor is asked for that it does not have.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            size = path.stat().st_size
            with path.open("rb") as file:
                length = int.from_bytes(file.read(8), "little")
                if not 2 <= length <= min(size - 8, _HEADER_LIMIT):
                    raise ModelUnsupported(f"{path} is not a safetensors file; pull the model again")
                header = json.loads(file.read(length))
        except OSError as error:
            raise ModelMissing(f"weights {path} cannot be read ({error.strerror}); pull the model again") from error
        except ValueError as error:
            raise ModelUnsupported(f"{path} has an unreadable safetensors header; pull the model again") from error
        header.pop("__metadata__", None)
        self._entries: dict[str, dict[str, Any]] = {name.removeprefix("bert."): entry for name, entry in header.items()}
        self._bytes = np.memmap(path, dtype=np.uint8, mode="r", offset=8 + length)

    def __getitem__(self, name: str) -> Floats:
        entry = self._entries.get(name)
        if entry is None or entry["dtype"] not in _TYPES:
            raise ModelUnsupported(f"{self._path} has no float tensor {name!r}: not a BERT encoder")
        start, end = entry["data_offsets"]
        count = (end - start) // _TYPES[entry["dtype"]].itemsize
        raw = np.frombuffer(self._bytes, dtype=_TYPES[entry["dtype"]], count=count, offset=start).reshape(
            entry["shape"]
        )
        is_bf16 = entry["dtype"] == "BF16"
        tensor: Floats = (
            (raw.astype(np.uint32) << 16).view(np.float32) if is_bf16 else raw.astype(np.float32, copy=False)
        )
        return tensor

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)


def open_weights(files: ModelFiles) -> Weights:
    """Map the weights of a model that has them in one file.

    Raises:
        ModelUnsupported: they are spread over several files.
    """
    names = [path for path, _ in files.digests if path.endswith(".safetensors")]
    if len(names) != 1:
        raise ModelUnsupported(f"model {files.name} has {len(names)} weight files; the built-in encoder reads one")
    return Weights(files.folder / names[0])
