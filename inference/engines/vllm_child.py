"""The child's side of ``inference.engines.vllm_engine``, and the only module that imports vLLM (written for 0.32).

Lines are as ``child_side`` says. A request has a ``body`` in ``child_words``' words, answered by ``piece`` lines and one ``done``
or ``error``; or ``bodies``, a batch, answered by one line for each ``item``, as soon as it is there: ``text``, ``finish`` and
``usage``, or ``refused``; and at last ``done``. An error of vLLM in the middle ends the process: it does not recover.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from inference.engines.child_prompts import Refused, prompt_of
from inference.engines.child_side import Inbox, LoadFailed, Outbox, open_pipes

_ENVIRONMENT: Final = {
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_DO_NOT_TRACK": "1",
    "VLLM_LOGGING_LEVEL": "WARNING",
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",  # this process is the engine: what kills the one ends the other
    "VLLM_HOST_IP": "127.0.0.1",  # its parts meet at an address of this machine alone
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
}
_CPU_CACHE_GIB: Final = "2"
"""Memory for what was read and written, on a CPU, where the environment says nothing else."""
_CPU_STEP: Final = 4096
"""Tokens of a step on a CPU, and never fewer than the longest prompt has."""
_UNLOADABLE: Final = (
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
    ImportError,
    RuntimeError,
    MemoryError,
)


def main(arguments: Sequence[str]) -> None:
    """Serve until the pipe closes.

    Args:
        arguments: as for ``open_pipes``.
    """
    inbox, outbox = open_pipes(arguments)
    settings = inbox.next()
    _set_environment(settings)
    try:
        model = _load(settings)
    except LoadFailed as failure:
        outbox.failed(failure)
        return
    outbox.send({"ready": True})
    while True:
        request = inbox.next()
        if "bodies" in request:
            _answer_batch(model, request["id"], request["bodies"], inbox, outbox)
        else:
            _answer(model, request["id"], request["body"], inbox, outbox)


@dataclass(frozen=True, slots=True)
class _Model:
    """A loaded model.

    Attributes:
        engine: vLLM's.
        tokenizer: of the model.
        vllm: the library's module of sampling parameters.
        refusals: what it raises for a request that it does not take.
        context: tokens of a request and its answer.
    """

    engine: Any
    tokenizer: Any
    vllm: Any
    refusals: tuple[type[Exception], ...]
    context: int


def _set_environment(settings: Mapping[str, Any]) -> None:
    os.environ.update(_ENVIRONMENT)
    os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", _CPU_CACHE_GIB)
    if settings["threads"]:
        os.environ["OMP_NUM_THREADS"] = str(settings["threads"])
    _, _, index = settings["device"].partition(":")
    if index:
        os.environ["CUDA_VISIBLE_DEVICES"] = os.environ["HIP_VISIBLE_DEVICES"] = index


def _load(settings: Mapping[str, Any]) -> _Model:
    """Load tokenizer and weights from the model's folder, and no code of its repository.

    Raises:
        LoadFailed: in the words for the parent.
    """
    try:
        from vllm import sampling_params
        from vllm.engine.arg_utils import EngineArgs
        from vllm.exceptions import VLLMClientError, VLLMError
        from vllm.platforms import current_platform
        from vllm.v1.engine.llm_engine import LLMEngine
    except ImportError as error:
        raise LoadFailed("package", error) from error
    _check_device(current_platform, settings["device"])
    is_cpu = current_platform.is_cpu()
    try:
        engine = LLMEngine.from_engine_args(
            EngineArgs(
                model=settings["path"],
                max_model_len=settings["context"],
                trust_remote_code=False,
                load_format="safetensors",
                gpu_memory_utilization=settings["gpu_share"],
                tensor_parallel_size=settings["gpus"],
                enforce_eager=is_cpu,  # compiling costs minutes there and gains little
                # There, a prompt that is read in two steps breaks off every request with a seed, and the engine with it.
                enable_chunked_prefill=False if is_cpu else None,
                max_num_batched_tokens=max(settings["context"], _CPU_STEP) if is_cpu else None,
                disable_log_stats=True,
            )
        )
        refusals = (VLLMClientError, ValueError, TypeError)
        return _Model(engine, engine.get_tokenizer(), sampling_params, refusals, settings["context"])
    except (*_UNLOADABLE, VLLMError) as error:
        raise LoadFailed("model", f"{type(error).__name__}: {error}") from error


def _check_device(platform: Any, wanted: str) -> None:
    """What is configured must be what this vLLM is built for: it knows one kind of device."""
    kind = wanted.partition(":")[0]
    is_there = {"cpu": platform.is_cpu(), "cuda": platform.is_cuda_alike()}
    if not is_there.get(kind, True):
        raise LoadFailed(
            "device",
            f"device {wanted} is configured, and this vLLM is built for {platform.device_type or 'none that is here'}; "
            "remedy: install the other build of vLLM, or set device: auto",
        )


def _answer(model: _Model, asked: int, body: Mapping[str, Any], inbox: Inbox, outbox: Outbox) -> None:
    """Answer one request, piece by piece, until it is done, refused or stopped."""
    name, kind = str(asked), model.vllm.RequestOutputKind.DELTA
    written = 0
    end: dict[str, Any] = {"finish": "length", "usage": None}
    try:
        opening = _begin(model, name, body, kind)
        while model.engine.has_unfinished_requests():
            if inbox.is_stopped(asked):
                _abort(model, [name])
                break
            for output in model.engine.step():
                [choice] = output.outputs
                if choice.finish_reason == "error":
                    body = _without_schema(body, written)
                    opening = _begin(model, name, body, kind)
                    continue
                written += len(choice.token_ids)
                if choice.text:
                    outbox.send({"id": asked, "piece": opening + choice.text})
                    opening = ""
                end = {"finish": choice.finish_reason, "usage": _usage(output, written)}
    except Refused as refused:
        outbox.send({"id": asked, "error": refused.error})
    else:
        outbox.send({"id": asked, "done": end})


def _answer_batch(model: _Model, asked: int, bodies: Sequence[Mapping[str, Any]], inbox: Inbox, outbox: Outbox) -> None:
    """Answer many requests, each as soon as it is whole, until all are or nobody wants them any more."""
    openings: dict[str, str] = {}
    wanted = list(bodies)

    def begin(item: int, *, has_failed: bool = False) -> None:
        name = f"{asked}-{item}"
        try:
            if has_failed:
                wanted[item] = _without_schema(wanted[item])
            openings[name] = _begin(model, name, wanted[item], model.vllm.RequestOutputKind.FINAL_ONLY)
        except Refused as refused:
            outbox.send({"id": asked, "item": item, "refused": refused.error})

    for item in range(len(bodies)):
        if not inbox.is_stopped(asked):
            begin(item)
    while openings and not inbox.is_stopped(asked):
        for output in model.engine.step():
            if not output.finished:
                continue
            opening, [choice] = openings.pop(output.request_id), output.outputs
            item = int(output.request_id.rpartition("-")[2])
            if choice.finish_reason == "error":
                begin(item, has_failed=True)
                continue
            end = {"finish": choice.finish_reason, "usage": _usage(output, len(choice.token_ids))}
            outbox.send({"id": asked, "item": item, "text": opening + choice.text, **end})
    _abort(model, list(openings))
    outbox.send({"id": asked, "done": {}})


def _without_schema(body: Mapping[str, Any], written: int = 0) -> dict[str, Any]:
    """The request to try once more when vLLM gave it up, which it does where it finds late that it knows no grammar.

    Raises:
        Refused: that is not why.
    """
    if body["schema"] is None or written:
        raise Refused("failed", "vLLM gave the request up")
    return {**body, "schema": None}


def _begin(model: _Model, name: str, body: Mapping[str, Any], kind: Any) -> str:
    """Hand a request to vLLM; what of the answer the template wrote already.

    Raises:
        Refused: it cannot be answered.
    """
    prompt = prompt_of(model.tokenizer, body["messages"], model.context)

    def add(schema: Mapping[str, Any] | None) -> None:
        parameters = model.vllm.SamplingParams(
            max_tokens=min(int(body["max_tokens"]), model.context - len(prompt.ids)),
            temperature=body["temperature"],
            top_p=body["top_p"],
            stop=body["stop"],
            seed=body["seed"],
            structured_outputs=None if schema is None else model.vllm.StructuredOutputsParams(json=schema),
            output_kind=kind,
        )
        model.engine.add_request(name, {"prompt_token_ids": prompt.ids}, parameters)

    if body["schema"] is not None:
        try:
            add(body["schema"])
        except model.refusals:
            pass  # a schema that vLLM knows no grammar for: what is written then is for the caller to validate
        else:
            return ""  # a grammar leaves no room for thoughts
    try:
        add(None)
    except model.refusals as error:
        raise Refused("invalid", error) from error
    return prompt.opening


def _usage(output: Any, written: int) -> dict[str, int]:
    return {
        "prompt_tokens": len(output.prompt_token_ids or ()),
        "completion_tokens": written,
        "cached_tokens": output.num_cached_tokens or 0,
    }


def _abort(model: _Model, names: list[str]) -> None:
    """Have vLLM forget requests, and take what it still says of them."""
    if names:
        model.engine.abort_request(names)
    while model.engine.has_unfinished_requests():
        model.engine.step()


if __name__ == "__main__":
    main(sys.argv[1:])
