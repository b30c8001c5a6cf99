"""Answers from any server that speaks OpenAI's ``POST <url>/chat/completions``: vLLM, llama-server, Ollama, LM Studio, hosted ones.

One attempt a call: retries and fallback are the lane's. Where a server knows no guided JSON, the first attempt that it
refuses for that teaches this, and the next one asks without.
"""

import hashlib
import json
import time
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

from inference.engines.json_server import JsonServer
from inference.engines.reasoning import Answer
from inference.engines.telling import is_strict, with_schema
from inference.errors import AnswerWithheld, EngineRefused, EngineReplyInvalid, EngineUnavailable
from inference.protocols import Schema
from inference.requests import Finish, GenerateRequest, Limits, Reply, Usage

_ABOUT_GUIDING: Final = ("response_format", "json_schema", "guided", "structured", "grammar")
_REFUSALS: Final = frozenset({400, 404, 415, 422, 500, 501})
_QUOTED: Final = 200


class ChatServer:
    """``inference.protocols.Generator`` over HTTP. Thread-safe.

    Args:
        name: of the engine, as configured.
        url: base address, such as ``http://127.0.0.1:8000/v1``.
        model: the name that the server knows the model by.
        context: tokens that a request and its answer may have together.
        api_key: sent as a bearer token when not empty.
        guided: how JSON is asked for: ``json_schema``, ``json_object``, ``none``, or ``auto``: the first of these that
            the server does not refuse.
        limit_field: how the server calls the longest answer; ``max_completion_tokens`` for some hosted models.

    Raises:
        ConfigInvalid: the address is not http or https.
    """

    def __init__(
        self,
        name: str,
        *,
        url: str,
        model: str,
        context: int,
        api_key: str = "",
        guided: str = "auto",
        limit_field: str = "max_tokens",
    ) -> None:
        self.name, self.model, self.context = name, model, context
        self.digest = hashlib.sha256(f"openai:{model}@{url}".encode("utf-8", "surrogatepass")).hexdigest()
        self._server = JsonServer(
            "model server", url=url, path="chat/completions", model=model, api_key=api_key, timeout=60.0
        )
        self._listing = JsonServer("model server", url=url, path="models", model=model, api_key=api_key, timeout=60.0)
        root = urlunsplit((*urlsplit(url)[:2], "", "", ""))
        self._ready = JsonServer("model server", url=root, path="health", model=model, api_key=api_key, timeout=60.0)
        self._limit_field = limit_field
        self._is_fixed = guided != "auto"
        self._guided = "json_schema" if guided == "auto" else guided

    def generate(self, request: GenerateRequest, limits: Limits, schema: Schema | None = None) -> Reply:
        """See ``inference.protocols.Generator``."""
        raw = self._post(self._body(request, schema), limits)
        try:
            reply = json.loads(raw)
            choice = reply["choices"][0]
            message = choice["message"]
        except (ValueError, KeyError, IndexError, TypeError, RecursionError):
            raise self._no_completion(raw) from None
        if not isinstance(message, dict):
            raise self._no_completion(raw)
        answer = Answer()
        answer.feed(_characters(_text(message.get("content"))))
        answer.end()
        thought = answer.has_reasoning or _has_thought(message)
        return Reply(answer.text, self._finish(choice.get("finish_reason")), _usage(reply.get("usage")), None, thought)

    def stream(self, request: GenerateRequest, limits: Limits, schema: Schema | None = None) -> Iterator[str | Reply]:
        """See ``inference.protocols.Generator``."""
        body = self._body(request, schema) | {"stream": True, "stream_options": {"include_usage": True}}
        begin = time.monotonic()
        heard = _Heard()
        try:
            for line in self._server.lines(body, limits):
                piece = heard.line(line, self)
                if piece:
                    heard.first = heard.first or time.monotonic() - begin
                    yield piece
        except EngineRefused as error:
            raise self._taught(error, body) from None
        if heard.finish is None and not heard.is_done:
            raise EngineUnavailable(
                f"{self._server.where} broke off in the middle of its answer; remedy: look at the server's log",
                is_transient=True,
            )
        if rest := heard.end():
            yield rest
        yield Reply(
            heard.answer.text,
            self._finish(heard.finish),
            heard.usage,
            heard.first,
            heard.answer.has_reasoning or heard.has_thought,
        )

    def health(self, limits: Limits) -> str:
        """See ``inference.protocols.HasHealth``: it says that it is ready where it knows ``/health``, and lists its models."""
        try:
            self._ready.get(limits)
        except EngineRefused as error:
            if error.status == 503:  # vLLM and llama-server while they load a model, or after their engine died
                raise
        raw = self._listing.get(limits)
        try:
            names = [str(one["id"]) for one in json.loads(raw)["data"]]
        except (ValueError, KeyError, TypeError, RecursionError):
            return "answers, and lists no models"
        if self.model in names or not names:
            return f"answers, and lists {self.model}" if names else "answers, and lists no models"
        return f"answers, and does not list {self.model}; it has {', '.join(names[:5])}"

    def close(self) -> None:
        """See ``inference.protocols.Generator``."""
        self._server.close()
        self._listing.close()
        self._ready.close()

    def _post(self, body: dict[str, Any], limits: Limits) -> bytes:
        try:
            return self._server.post(body, limits)
        except EngineRefused as error:
            raise self._taught(error, body) from None

    def _body(self, request: GenerateRequest, schema: Schema | None) -> dict[str, Any]:
        if schema is not None and self._guided != "json_schema":
            request = with_schema(request, schema)
        body: dict[str, Any] = {
            "model": self.model,
            "messages": [{"role": one.role, "content": one.content} for one in request.conversation()],
            self._limit_field: request.max_tokens,
            "temperature": request.temperature,
            "top_p": request.top_p,
        }
        if request.stop:
            body["stop"] = list(request.stop)
        if request.seed is not None:
            body["seed"] = request.seed
        if schema is not None and self._guided != "none":
            body["response_format"] = {"type": self._guided}
            if self._guided == "json_schema":
                body["response_format"]["json_schema"] = {
                    "name": "answer",
                    "schema": dict(schema),
                    "strict": is_strict(schema),
                }
        return body

    def _taught(self, error: EngineRefused, body: dict[str, Any]) -> EngineRefused:
        """The same error, to be tried again where the server refused the way JSON was asked for and there is a plainer one."""
        about = str(error).lower()
        is_guiding = error.status in _REFUSALS and any(word in about for word in _ABOUT_GUIDING)
        if self._is_fixed or not is_guiding or "response_format" not in body:
            return error
        asked = body["response_format"]["type"]
        if self._guided == asked:  # else another thread was taught the same
            self._guided = "json_object" if asked == "json_schema" else "none"
        error.is_transient, error.retry_after = True, 0.0
        return error

    def _finish(self, reason: object) -> Finish:
        if reason == "content_filter":
            raise AnswerWithheld(f"{self._server.where} kept its answer back (content filter)")
        return "length" if reason == "length" else "stop"

    def _no_completion(self, raw: bytes) -> EngineReplyInvalid:
        quoted = self._server.quoted(raw)[:_QUOTED]
        return EngineReplyInvalid(
            f"{self._server.where} did not answer with a completion: {quoted!r}; remedy: is it a chat model's server?"
        )


class _Heard:
    """What of a stream came so far."""

    def __init__(self) -> None:
        self.answer = Answer()
        self.first: float | None = None
        self.finish: object = None
        self.usage: Usage | None = None
        self.has_thought = self.is_done = False
        self._cut = b""
        self._half = ""

    def line(self, line: bytes, server: ChatServer) -> str:
        """The text that a line of the stream adds (server-sent events, WHATWG HTML 9.2); empty for all other lines."""
        if self._cut:  # it was not the last line, so the stream did not break off in it
            raise server._no_completion(self._cut)
        if not line.startswith(b"data:"):
            return ""
        data = line[5:].strip()
        if data == b"[DONE]":
            self.is_done = True
            return ""
        try:
            event = json.loads(data)
        except (ValueError, RecursionError):
            self._cut = data or b" "
            return ""
        if not isinstance(event, dict) or event.get("error"):
            raise server._no_completion(data)
        self.usage = _usage(event.get("usage")) or self.usage
        choices = event.get("choices")
        choice = choices[0] if isinstance(choices, list) and choices else None
        if not isinstance(choice, dict):
            return ""
        self.finish = choice.get("finish_reason") or self.finish
        delta = choice.get("delta")
        if not isinstance(delta, dict):
            return ""
        self.has_thought = self.has_thought or _has_thought(delta)
        text = self._half + _text(delta.get("content"))
        self._half = text[-1] if "\ud800" <= text[-1:] <= "\udbff" else ""
        return self.answer.feed(_characters(text.removesuffix(self._half)))

    def end(self) -> str:
        """What was held back and is answer after all."""
        return self.answer.feed(_characters(self._half)) + self.answer.end()


def _text(content: object) -> str:
    """A message's content, which may come in parts."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(str(part.get("text") or "") for part in content if isinstance(part, dict))
    return ""


def _characters(text: str) -> str:
    """Halves of UTF-16 pairs put together; one without the other cannot be written anywhere, and is replaced."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _has_thought(message: dict[str, Any]) -> bool:
    return bool(message.get("reasoning_content") or message.get("reasoning"))


def _usage(reported: object) -> Usage | None:
    """The tokens that a server reports, where it does so in whole numbers."""
    if not isinstance(reported, dict):
        return None
    counts = [reported.get(name) for name in ("prompt_tokens", "completion_tokens")]
    details = reported.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, dict) else 0
    if not all(_is_count(one) for one in counts):
        return None
    return Usage(int(counts[0] or 0), int(counts[1] or 0), False, int(cached or 0) if _is_count(cached) else 0)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**40
