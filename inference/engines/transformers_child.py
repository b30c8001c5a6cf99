"""The child's side of ``inference.engines.transformers_engine``, and the only module that generates through transformers.

Lines are as ``child_side`` says; a request's ``body`` is ``child_words``', answered by ``piece`` lines and one ``done`` or
``error``. An error of torch that is not about memory ends the process: a GPU is of no use afterwards.
"""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from inference.engines.child_pieces import Spelling, Stops
from inference.engines.child_prompts import Prompt, Refused, prompt_of
from inference.engines.child_side import Inbox, LoadFailed, Outbox, open_pipes
from inference.engines.precision import choose_device, has_native_bf16
from inference.errors import EngineUnavailable

_OFFLINE: Final = {
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "TRANSFORMERS_VERBOSITY": "error",
}
_UNLOADABLE: Final = (
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    ImportError,
    RuntimeError,
    MemoryError,
)
_MEMORY: Final = ("out of memory", "allocate memory")


def main(arguments: Sequence[str]) -> None:
    """Serve until the pipe closes.

    Args:
        arguments: as for ``open_pipes``.
    """
    inbox, outbox = open_pipes(arguments)
    settings = inbox.next()
    os.environ.update(_OFFLINE)
    try:
        model = _load(settings)
    except LoadFailed as failure:
        outbox.failed(failure)
        return
    outbox.send({"ready": True})
    while True:
        request = inbox.next()
        end = _answered(model, request["id"], request["body"], inbox, outbox)
        outbox.send({"id": request["id"], **end})


@dataclass(slots=True)
class _Model:
    """A loaded model.

    Attributes:
        torch: the library.
        network: the model itself.
        tokenizer: its tokenizer.
        settings: for one answer: the class of transformers.
        ends: ids of the tokens that end an answer.
        context: tokens of a request and its answer.
        check: called before each layer and each matrix; raises where nobody wants the answer any more.
    """

    torch: Any
    network: Any
    tokenizer: Any
    settings: Any
    ends: list[int]
    context: int
    check: Callable[[], None] = field(default=lambda: None)


class _Enough(Exception):
    """The answer is whole, or nobody wants it."""


def _load(settings: Mapping[str, Any]) -> _Model:
    """Load tokenizer and weights from the model's folder, and no code of its repository.

    Raises:
        LoadFailed: in the words for the parent.
    """
    try:
        import torch
        import transformers
        from safetensors import SafetensorError
    except ImportError as error:
        raise LoadFailed("package", error) from error
    device = _device(torch, settings["device"])
    if settings["threads"]:
        torch.set_num_threads(settings["threads"])
    safe = {"local_files_only": True, "trust_remote_code": False}
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(settings["path"], **safe)
        network, report = transformers.AutoModelForCausalLM.from_pretrained(
            settings["path"], dtype=_dtype(torch, device), use_safetensors=True, output_loading_info=True, **safe
        )
        if report["missing_keys"]:
            raise ValueError(f"its files lack weights: {', '.join(sorted(report['missing_keys'])[:3])}")
        network = network.to(device).eval()
    except (*_UNLOADABLE, SafetensorError) as error:
        raise LoadFailed("model", f"{type(error).__name__}: {error}") from error
    ends = _ends(network, tokenizer)
    # What the model's files say about sampling is not asked for: requests say it all.
    network.generation_config = transformers.GenerationConfig()
    model = _Model(torch, network, tokenizer, transformers.GenerationConfig, ends, settings["context"])
    for module in network.modules():
        module.register_forward_pre_hook(lambda *_: model.check())
    return model


def _device(torch: Any, wanted: str) -> str:
    try:
        device = choose_device(wanted)
    except EngineUnavailable as error:
        raise LoadFailed("device", error) from error
    _, _, index = device.partition(":")
    if index and int(index) >= torch.cuda.device_count():
        raise LoadFailed(
            "device",
            f"device {device} is configured, and torch sees {torch.cuda.device_count()}; remedy: another number",
        )
    return device


def _dtype(torch: Any, device: str) -> Any:
    """bf16 where the hardware multiplies it, else float32."""
    has_bf16 = torch.cuda.is_bf16_supported() if device.startswith("cuda") else has_native_bf16()
    return torch.bfloat16 if has_bf16 else torch.float32


def _ends(network: Any, tokenizer: Any) -> list[int]:
    """Tokens that end an answer: those of the model's files and the tokenizer's own."""
    named = network.generation_config.eos_token_id
    ends = named if isinstance(named, list) else [named]
    return sorted({int(one) for one in (*ends, tokenizer.eos_token_id) if one is not None})


def _answered(model: _Model, asked: int, body: Mapping[str, Any], inbox: Inbox, outbox: Outbox) -> dict[str, Any]:
    """Answer one request, piece by piece, until it is done, fails or is stopped; the last line."""
    try:
        prompt = prompt_of(model.tokenizer, body["messages"], model.context)
        answer = _Answer(model, prompt, body, lambda piece: outbox.send({"id": asked, "piece": piece}))

        def check() -> None:
            if inbox.is_stopped(asked):
                raise _Enough

        model.check = check
        return {"done": _written(model, prompt, body, answer)}
    except Refused as refused:
        return {"error": refused.error}
    except (RuntimeError, MemoryError) as error:
        if isinstance(error, MemoryError) or any(word in str(error).lower() for word in _MEMORY):
            if model.torch.cuda.is_available():
                model.torch.cuda.empty_cache()
            return {"error": Refused("memory", error).error}
        raise


def _written(model: _Model, prompt: Prompt, body: Mapping[str, Any], answer: "_Answer") -> dict[str, Any]:
    """Have the model write; how it ended."""
    torch = model.torch
    ids = torch.tensor([prompt.ids], device=model.network.device)
    if body["seed"] is None:
        torch.seed()
    else:
        torch.manual_seed(body["seed"])
    sampling: dict[str, Any] = {"do_sample": False}
    if body["temperature"] > 0:
        sampling = {"do_sample": True, "temperature": body["temperature"], "top_p": body["top_p"], "top_k": 0}
    settings = model.settings(
        max_new_tokens=answer.most,
        eos_token_id=model.ends or None,
        pad_token_id=model.ends[0] if model.ends else 0,
        **sampling,
    )
    try:
        with torch.inference_mode():
            model.network.generate(
                ids, attention_mask=torch.ones_like(ids), generation_config=settings, streamer=answer
            )
    except _Enough:
        pass
    return answer.ended()


class _Answer:
    """The answer as it is written: what transformers calls a streamer."""

    def __init__(self, model: _Model, prompt: Prompt, body: Mapping[str, Any], say: Callable[[str], None]) -> None:
        decode = model.tokenizer.decode
        self._spelling = Spelling(
            lambda ids: decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False) if ids else ""
        )
        self.most = min(int(body["max_tokens"]), model.context - len(prompt.ids))
        self._stops = Stops(body["stop"])
        self._model, self._say = model, say
        self._prompt_tokens, self._opening = len(prompt.ids), prompt.opening
        self._written = 0
        self._has_begun = self._has_ended = False

    def put(self, tokens: Any) -> None:
        """Take the prompt, which comes first, and then token after token."""
        if not self._has_begun:
            self._has_begun = True
            return
        for token in tokens.reshape(-1).tolist():
            self._written += 1
            if token in self._model.ends:
                self._has_ended = True
                return
            self._tell(self._stops.feed(self._spelling.feed(token)))
            self._model.check()
            if self._stops.is_reached:
                raise _Enough

    def end(self) -> None:
        """All tokens came; what is left is told by ``ended``."""

    def ended(self) -> dict[str, Any]:
        """Tell what was held back; how it ended."""
        if not self._stops.is_reached:
            self._tell(self._stops.feed(self._spelling.end()))
            self._tell(self._stops.end())
        is_whole = self._has_ended or self._stops.is_reached
        usage = {"prompt_tokens": self._prompt_tokens, "completion_tokens": self._written}
        return {"finish": "stop" if is_whole else "length", "usage": usage}

    def _tell(self, piece: str) -> None:
        if piece:
            self._say(self._opening + piece)
            self._opening = ""


if __name__ == "__main__":
    main(sys.argv[1:])
