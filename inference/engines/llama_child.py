"""The child's side of ``inference.engines.llama_cpp``, and the only module that imports llama.cpp's library (xllamacpp).

Lines are as ``child_side`` says; a request's ``body`` is in the words of the library's chat, answered by ``piece`` and
``thought`` lines and one ``done`` or ``error``.
"""

import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from inference.engines.child_side import Inbox, LoadFailed, Outbox, open_pipes

_ALL_LAYERS: Final = 999
_BATCH: Final = 256
"""Tokens of a prompt that are read at once: between two batches a request can be stopped."""
_ERRORS: Final = 1
"""Of the library's own words only errors."""


def main(arguments: Sequence[str]) -> None:
    """Serve until the pipe closes.

    Args:
        arguments: descriptor to read, descriptor to write, process id of the parent.
    """
    inbox, outbox = open_pipes(arguments)
    settings = inbox.next()
    try:
        server = _load(settings)
    except ImportError as error:
        outbox.failed(LoadFailed("package", error))
        return
    except (RuntimeError, ValueError, MemoryError) as error:
        outbox.failed(LoadFailed("model", error))
        return
    outbox.send({"ready": True})
    while True:
        request = inbox.next()
        _answer(server, request["id"], request["body"], inbox, outbox)


def _load(settings: Mapping[str, Any]) -> Any:
    """Load the model. The library insists on a door for others: it gets a socket file, removed before anybody may knock."""
    import xllamacpp

    threads = settings["threads"] or _cores()
    layers = settings["n_gpu_layers"]
    params = xllamacpp.CommonParams()
    params.model.path = settings["path"]
    params.n_ctx = settings["context"]
    params.n_parallel = 1
    params.n_batch = _BATCH
    params.cpuparams.n_threads = threads
    params.cpuparams_batch.n_threads = threads
    params.n_gpu_layers = (_ALL_LAYERS if _has_gpu(xllamacpp) else 0) if layers is None else layers
    params.fit_params = False
    params.cache_ram_mib = settings["prompt_cache_mb"]
    params.no_extra_bufts = True  # matrix code for AMX crashes in some versions
    params.warmup = False
    params.verbosity = _ERRORS
    params.api_keys = [secrets.token_hex(16)]
    folder = Path(tempfile.mkdtemp(prefix="llama-"))
    params.hostnames = [str(folder / "closed.sock")]
    try:
        return xllamacpp.Server(params)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def _has_gpu(library: Any) -> bool:
    return any("GPU" in str(device["type"]) for device in library.get_device_info())


def _answer(server: Any, request_id: int, body: Mapping[str, Any], inbox: Inbox, outbox: Outbox) -> None:
    """Answer one request, chunk by chunk, until it is done, fails or is stopped."""
    end: dict[str, Any] = {"finish": None, "usage": None}
    failure: dict[str, Any] = {}

    def take(chunk: Mapping[str, Any]) -> bool:
        if "error" in chunk:
            failure.update(chunk["error"])
        end["usage"] = chunk.get("usage") or end["usage"]
        for choice in chunk.get("choices", ()):
            end["finish"] = choice.get("finish_reason") or end["finish"]
            delta = choice.get("delta", {})
            for kind, key in (("piece", "content"), ("thought", "reasoning_content")):
                if delta.get(key):
                    outbox.send({"id": request_id, kind: delta[key]})
        return inbox.is_stopped(request_id)

    failure.update(_refusal(server, body, take))
    if failure and failure["code"] == 400 and body.get("response_format") and "type" not in failure:
        # A schema that the library knows no grammar for: what is written then is for the caller to validate.
        failure.clear()
        failure.update(_refusal(server, {**body, "response_format": None}, take))
    if failure:
        outbox.send({"id": request_id, "error": failure})
    else:
        outbox.send({"id": request_id, "done": end})


def _refusal(server: Any, body: Mapping[str, Any], take: Callable[[Mapping[str, Any]], bool]) -> dict[str, Any]:
    """Have a request answered; what the library raises, which it does before it writes anything."""
    wanted = {key: value for key, value in body.items() if value is not None}
    try:
        server.handle_chat_completions({**wanted, "stream": True, "return_progress": True}, take)
    except (RuntimeError, ValueError, TypeError, MemoryError) as error:
        return {"code": 400 if isinstance(error, ValueError | TypeError) else 500, "message": str(error)}
    return {}


if __name__ == "__main__":
    main(sys.argv[1:])
