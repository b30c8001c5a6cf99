"""Any model that the built-in BERT encoder does not know, through sentence-transformers (extra ``models``)."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from inference.engines.precision import choose_device
from inference.errors import EngineUnavailable
from inference.models import ModelFiles
from inference.protocols import Floats, IdsTokenizer, Progress, Space

_TEXTS_A_CALL = 1024


class SentenceTransformersEngine:
    """``inference.protocols.Embedder`` through sentence-transformers; no code of the model's repository is executed.

    Args:
        space: the space its vectors are of.
        files: the pulled model.
        tokenizer: its tokenizer.
        device: ``auto``, ``cpu`` or ``cuda``.
        precision: ``fp32`` or ``bf16``.

    Raises:
        EngineUnavailable: the package is missing, or refuses the model.
    """

    def __init__(
        self,
        space: Space,
        files: ModelFiles,
        tokenizer: IdsTokenizer,
        *,
        device: str = "auto",
        precision: str = "fp32",
    ) -> None:
        try:
            import torch
            from sentence_transformers import SentenceTransformer
        except ImportError as error:
            raise EngineUnavailable(
                f"model {files.name} needs sentence-transformers; remedy: pip install 'cortex-lakehouse[models]'"
            ) from error
        self.space = space
        self.tokenizer = tokenizer
        self.precision = precision
        dtype = torch.bfloat16 if precision == "bf16" else torch.float32
        try:
            self._model: Any = SentenceTransformer(
                str(files.folder), device=choose_device(device), local_files_only=True, model_kwargs={"dtype": dtype}
            )
        except (OSError, ValueError, ImportError) as error:
            raise EngineUnavailable(
                f"sentence-transformers cannot load model {files.name} from {files.folder}: {str(error)[:200]}"
            ) from error
        self._model.max_seq_length = space.max_tokens

    def embed_batch(self, texts: Sequence[str], progress: Progress | None = None) -> Floats:
        """Vectors of shape (len(texts), dimensions), float32, of length 1; a longer text is cut at ``max_tokens``."""
        vectors: Floats = np.zeros((len(texts), self.space.dimensions), dtype=np.float32)
        for start in range(0, len(texts), _TEXTS_A_CALL):
            group = list(texts[start : start + _TEXTS_A_CALL])
            encoded = self._model.encode(
                group,
                normalize_embeddings=True,
                convert_to_tensor=True,
                show_progress_bar=False,
                truncate_dim=self.space.dimensions,
            )
            vectors[start : start + len(group)] = encoded.float().cpu().numpy()
            if progress is not None:
                progress(sum(self.tokenizer.count_batch(group)))
        return vectors
