"""Requests, replies and refusals as the children of ``transformers_engine`` and ``vllm_engine`` speak them."""

from collections.abc import Mapping
from typing import Any

from inference.engines.reasoning import Answer
from inference.errors import ContextExceeded, EngineReplyInvalid, InferenceError, OutOfMemory, RequestInvalid
from inference.protocols import Schema
from inference.requests import GenerateRequest, Reply, Usage


def request_body(request: GenerateRequest, schema: Schema | None, where: str) -> dict[str, Any]:
    """A request for a child.

    Raises:
        RequestInvalid: it has text that is no UTF-8 (half of a surrogate pair).
    """
    texts = [one.content for one in request.conversation()]
    try:
        for text in (*texts, *request.stop):
            text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise RequestInvalid(f"{where}: the request is no text: it cannot be written as UTF-8 ({error})") from error
    return {
        "messages": [{"role": one.role, "content": one.content} for one in request.conversation()],
        "max_tokens": request.max_tokens,
        "temperature": request.temperature,
        "top_p": request.top_p,
        "stop": list(request.stop),
        "seed": None if request.seed is None else request.seed % 2**63,
        "schema": None if schema is None else dict(schema),
    }


def reply_of(answer: Answer, end: Mapping[str, Any], first: float | None) -> Reply:
    """The reply that a child's last line and the pieces before it make."""
    usage = end["usage"]
    return Reply(
        text=answer.text,
        finish="length" if end["finish"] == "length" else "stop",
        usage=Usage(
            prompt_tokens=int(usage["prompt_tokens"]),
            completion_tokens=int(usage["completion_tokens"]),
            cached_tokens=int(usage.get("cached_tokens") or 0),
        ),
        first_token=first,
        has_reasoning=answer.has_reasoning,
    )


def refusal(error: Mapping[str, Any], where: str, context: int) -> InferenceError:
    """The error that a child's means."""
    message = str(error.get("message", ""))[:300]
    if error["kind"] == "context":
        return ContextExceeded(
            f"{where}: the request has {error.get('tokens')} tokens, the context {context}; "
            "remedy: ask for less at once, or an engine with a longer context"
        )
    if error["kind"] == "invalid":
        return RequestInvalid(f"{where}: the request is refused: {message}")
    if error["kind"] == "memory":
        return OutOfMemory(
            f"{where}: no memory for the answer; remedy: a shorter request, or a smaller model: {message}"
        )
    return EngineReplyInvalid(f"{where}: it failed: {message}")
