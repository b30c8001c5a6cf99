"""Brings a Hugging Face model onto this machine: ``cortex models pull``. The only module here that downloads.

Only weights as safetensors, the tokenizer, the configuration and the card are taken: no code, no pickles. A pull that was cut off
is resumed by pulling again; the manifest, which makes a model count as present, is written last.
"""

from pathlib import Path
from typing import Final

from inference.errors import EngineUnavailable, ModelMissing, ModelUnsupported
from inference.models import MANIFEST, ModelFiles, file_digest, model_folder, pulled_model, write_json

_WANTED: Final = ("*.safetensors", "*.json", "vocab.txt", "merges.txt", "*.model", "README.md")
_UNWANTED: Final = ("onnx/*", "openvino/*", "*_openvino*", "original/*", "*.bin.index.json", ".*")


def pull_model(
    repo_id: str, models_dir: Path, revision: str | None = None, *, endpoint: str | None = None
) -> ModelFiles:
    """Download a model and write its manifest (revision and SHA-256 of every file).

    Args:
        repo_id: ``org/name``.
        models_dir: folder of pulled models.
        revision: branch, tag or commit; the default branch when None.
        endpoint: address of another hub (a mirror).

    Raises:
        EngineUnavailable: the extra is not installed, or the hub cannot be reached (then ``is_transient``).
        ModelMissing: the hub has no such model or revision.
        ModelUnsupported: it has no safetensors weights or no ``tokenizer.json``.
    """
    if repo_id.count("/") != 1 or not all(part.strip(". ") for part in repo_id.split("/")) or "\\" in repo_id:
        raise ModelMissing(f"{repo_id!r} is not a model's name; remedy: org/name as on the hub")
    folder = model_folder(repo_id, models_dir)
    commit = _download(repo_id, folder, revision, endpoint)
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST)
    names = [path.relative_to(folder).as_posix() for path in files]
    kept = {name: path for name, path in zip(names, files, strict=True) if not name.startswith(".")}
    if not any(name.endswith(".safetensors") for name in kept) or "tokenizer.json" not in kept:
        raise ModelUnsupported(
            f"model {repo_id} has no safetensors weights or no tokenizer.json at {commit[:12]}; choose another"
        )
    digests = {name: file_digest(path) for name, path in kept.items()}
    write_json(folder / MANIFEST, {"repo_id": repo_id, "revision": commit, "files": digests})
    return pulled_model(repo_id, models_dir)


def _download(repo_id: str, folder: Path, revision: str | None, endpoint: str | None) -> str:
    """Fetch what is missing into ``folder`` and return the commit that the revision names."""
    try:
        from huggingface_hub import HfApi
        from huggingface_hub.errors import (
            HTTPError,  # of the HTTP library that the hub is built on
            RepositoryNotFoundError,
            RevisionNotFoundError,
        )
    except ImportError as error:
        raise EngineUnavailable(
            "pulling models needs huggingface-hub; remedy: pip install 'cortex-lakehouse[models]'"
        ) from error
    api = HfApi(endpoint=endpoint)
    try:
        commit = api.model_info(repo_id, revision=revision, timeout=30).sha
        if commit is None:
            raise ModelMissing(f"the hub names no commit for model {repo_id} at {revision or 'its default branch'}")
        (folder / MANIFEST).unlink(missing_ok=True)
        api.snapshot_download(
            repo_id, revision=commit, local_dir=folder, allow_patterns=list(_WANTED), ignore_patterns=list(_UNWANTED)
        )
    except (RepositoryNotFoundError, RevisionNotFoundError) as error:
        raise ModelMissing(
            f"the hub has no model {repo_id} at {revision or 'its default branch'}, or it is private; "
            "remedy: check the name, or log in with the hub's own tool"
        ) from error
    except (HTTPError, OSError) as error:
        raise EngineUnavailable(
            f"model {repo_id} could not be pulled from the hub ({type(error).__name__}: {str(error)[:200]}); "
            f"remedy: go online and pull again (it resumes), or copy {folder.name} into {folder.parent} from elsewhere",
            is_transient=True,
        ) from error
    return str(commit)
