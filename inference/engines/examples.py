"""The plainest value that a JSON schema (draft 2020-12) allows: what deterministic fakes answer where JSON is asked for.

Covers what prompts ask for: types, enum, const, properties, items, lengths, bounds, references within the schema, anyOf and
oneOf (the first), allOf (merged). It is no solver: a schema with a pattern or with ``not`` may get a value that does not fit.
"""

from collections.abc import Mapping
from typing import Any

_DEEPEST = 32


def example_of(schema: Mapping[str, Any], text: str = "text") -> Any:
    """A value.

    Args:
        schema: an object; ``text`` fills its strings.
        text: repeated or cut where a length is asked for.

    Raises:
        ValueError: the schema refers to itself without end or to what is not there.
    """
    return _value(schema, schema, text, 0)


def _value(schema: Any, root: Mapping[str, Any], text: str, depth: int) -> Any:
    if depth > _DEEPEST:
        raise ValueError("the schema asks for values within values without end")
    if not isinstance(schema, Mapping):
        return None
    if "$ref" in schema:
        return _value(_at(str(schema["$ref"]), root), root, text, depth + 1)
    for name in ("const", "default"):
        if name in schema:
            return schema[name]
    if schema.get("enum"):
        return schema["enum"][0]
    for name in ("anyOf", "oneOf"):
        if schema.get(name):
            return _value({**schema, name: None, **schema[name][0]}, root, text, depth + 1)
    if schema.get("allOf"):
        merged: dict[str, Any] = {**schema, "allOf": None}
        for part in schema["allOf"]:
            merged |= part
        return _value(merged, root, text, depth + 1)
    return _typed(schema, root, text, depth)


def _typed(schema: Mapping[str, Any], root: Mapping[str, Any], text: str, depth: int) -> Any:
    kind = schema.get("type") or ("object" if "properties" in schema else "string")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object":
        properties = schema.get("properties") or {}
        names = schema.get("required") or ()
        return {name: _value(properties.get(name, {}), root, text, depth + 1) for name in names}
    if kind == "array":
        return [_value(schema.get("items") or {}, root, text, depth + 1) for _ in range(schema.get("minItems") or 0)]
    if kind in ("integer", "number"):
        low = schema.get("minimum", schema.get("exclusiveMinimum", 0))
        high = schema.get("maximum", schema.get("exclusiveMaximum"))
        value = low + (1 if "exclusiveMinimum" in schema and "minimum" not in schema else 0)
        return value if high is None or value <= high else high
    if kind == "boolean":
        return False
    if kind == "null":
        return None
    least, most = schema.get("minLength") or 0, schema.get("maxLength")
    filled = text * (least // max(len(text), 1) + 1) if len(text) < least else text
    return filled[:most]


def _at(reference: str, root: Mapping[str, Any]) -> Any:
    """What a JSON pointer (RFC 6901) names in the schema itself."""
    found: Any = root
    if not reference.startswith("#"):
        raise ValueError(f"{reference} is outside the schema")
    for part in reference.lstrip("#").strip("/").split("/"):
        if part:
            name = part.replace("~1", "/").replace("~0", "~")
            if not isinstance(found, Mapping) or name not in found:
                raise ValueError(f"{reference} is not in the schema")
            found = found[name]
    return found
