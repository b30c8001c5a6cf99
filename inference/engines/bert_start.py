"""Starts the torch encoder as this machine runs it fastest: device, precision, threads."""

from inference.engines.bert_files import BertShape, Weights
from inference.engines.bert_torch import BertTorch
from inference.engines.precision import choose_device, has_native_bf16, is_worth_bf16
from inference.protocols import IdsTokenizer, Space


def start_bert(
    space: Space,
    shape: BertShape,
    weights: Weights,
    tokenizer: IdsTokenizer,
    *,
    device: str = "auto",
    precision: str = "auto",
    token_budget: int | None = None,
) -> BertTorch:
    """Build a ``BertTorch``; ``auto`` precision takes bf16 only where a trial shows it faster and as good.

    Raises:
        EngineUnavailable: the device is not there.
        ImportError: torch is not installed.
    """
    import torch

    chosen = choose_device(device)

    def build(kind: str, *, fuse: bool = True) -> BertTorch:
        return BertTorch(
            space,
            shape,
            weights,
            tokenizer,
            device=chosen,
            precision=kind,
            token_budget=token_budget,
            fuse=fuse,
        )

    if precision != "auto":
        return build(precision)
    if not (has_native_bf16() if chosen == "cpu" else torch.cuda.is_bf16_supported()):
        return build("fp32")
    plain, short = build("fp32", fuse=False), build("bf16")
    vocabulary = len(weights["embeddings.word_embeddings.weight"])
    return short if is_worth_bf16(plain.embed_ids_batch, short.embed_ids_batch, vocabulary) else build("fp32")
