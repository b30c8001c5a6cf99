"""Requests, replies and refusals in the words of llama.cpp's own server, which the child speaks."""

from collections.abc import Mapping
from typing import Any, Final

from inference.engines.reasoning import Answer
from inference.errors import ContextExceeded, EngineReplyInvalid, InferenceError, RequestInvalid
from inference.protocols import Schema
from inference.requests import GenerateRequest, Reply, Usage

_CONTEXT_ERROR: Final = "exceed_context_size_error"


def request_body(request: GenerateRequest, schema: Schema | None) -> dict[str, Any]:
    """The request in the library's words; what it would add by itself to ``top_p`` is switched off."""
    body: dict[str, Any] = {
        "messages": [{"role": one.role, "content": one.content} for one in request.conversation()],
        "max_tokens": request.max_tokens,
        "temperature": request.temperature,
        "top_p": request.top_p,
        "top_k": 0,
        "min_p": 0.0,
        "stop": list(request.stop),
        "stream_options": {"include_usage": True},
    }
    if request.seed is not None:
        body["seed"] = request.seed % 2**32
    if schema is not None:
        body["response_format"] = {"type": "json_schema", "json_schema": {"schema": dict(schema)}}
    return body


def reply_of(answer: Answer, end: Mapping[str, Any], first: float | None) -> Reply:
    """The reply that the child's last line and the pieces before it make."""
    usage = end.get("usage")
    return Reply(
        text=answer.text,
        finish="length" if end.get("finish") == "length" else "stop",
        usage=None
        if usage is None
        else Usage(
            prompt_tokens=usage["prompt_tokens"],
            completion_tokens=usage["completion_tokens"],
            cached_tokens=usage.get("prompt_tokens_details", {}).get("cached_tokens", 0),
        ),
        first_token=first,
        has_reasoning=answer.has_reasoning,
    )


def refusal(error: Mapping[str, Any], where: str, context: int) -> InferenceError:
    """The error that the library's means."""
    message = str(error.get("message", ""))[:300]
    if error.get("type") == _CONTEXT_ERROR:
        return ContextExceeded(
            f"{where}: the request has {error.get('n_prompt_tokens')} tokens, the context {context}; "
            "remedy: ask for less at once, or an engine with a longer context"
        )
    if error.get("code") == 400:
        return RequestInvalid(f"{where}: llama.cpp refuses the request: {message}")
    return EngineReplyInvalid(f"{where}: llama.cpp failed: {message}")
