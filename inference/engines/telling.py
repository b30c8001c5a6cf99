"""Says in words what the answer must be, for engines that cannot be held to a schema."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from inference.protocols import Schema
from inference.requests import GenerateRequest


def with_schema(request: GenerateRequest, schema: Schema) -> GenerateRequest:
    """The request whose system message asks for JSON under a schema, besides what it said."""
    text = json.dumps(schema, ensure_ascii=False, sort_keys=True)
    asked = f"Answer with JSON alone, valid under this JSON schema:\n{text}"
    return replace(request, system=f"{request.system}\n\n{asked}".strip())


def is_strict(schema: Any) -> bool:
    """Whether every object of a schema names all its properties as required and allows no others.

    Only such schemas are taken by servers that promise to keep them (OpenAI, structured outputs, ``strict``).
    """
    if isinstance(schema, Mapping):
        if schema.get("type") == "object" or "properties" in schema:
            named, required = schema.get("properties") or {}, schema.get("required") or []
            if not isinstance(named, Mapping) or not isinstance(required, list):
                return False  # a value that only looks like a schema, such as a default
            if schema.get("additionalProperties") is not False or named.keys() != set(required):
                return False
        return all(is_strict(value) for value in schema.values())
    return all(is_strict(value) for value in schema) if isinstance(schema, list) else True
