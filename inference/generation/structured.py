"""Answers that must be JSON: what a request asks for, whether a reply is that, and how to ask once more where it is not.

Empty, cut off and only thought is not an answer, and never "nothing was found".
"""

import json
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from inference.errors import RequestInvalid
from inference.protocols import Schema
from inference.requests import GenerateRequest, Message, Reply

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import ValidationError
    from pydantic import BaseModel

_FENCED = re.compile(r"\A\s*```[a-zA-Z]*\s*\n(.*?)\n?\s*```\s*\Z", re.S)
_REFERENCE = re.compile(r'"\$(?:ref|dynamicRef)": ("(?:[^"\\]|\\.)*")')
_MOST_SHOWN: Final = 4000
_MOST_PROBLEM: Final = 300


class Unfit(Exception):
    """A reply is not what was asked for; says what is wrong with it."""


def schema_of(request: GenerateRequest) -> Schema | None:
    """The JSON schema of a request; None where any text will do.

    Raises:
        RequestInvalid: it is no schema.
    """
    asked = request.schema
    if asked is None:
        return None
    schema: Schema = _of_model(asked) if isinstance(asked, type) else asked
    try:
        text = json.dumps(schema, sort_keys=True)
    except (TypeError, ValueError, RecursionError) as error:
        raise RequestInvalid(f"what the answer must be is no JSON schema: {error}"[:_MOST_PROBLEM]) from None
    _validator(text)
    return schema


def _of_model(model: "type[BaseModel]") -> Schema:
    from pydantic.errors import PydanticUserError

    try:
        return model.model_json_schema()
    except PydanticUserError as error:
        what = str(error).splitlines()[0]
        raise RequestInvalid(f"{model.__name__} has no JSON schema: {what}"[:_MOST_PROBLEM]) from None


def value_of(reply: Reply, request: GenerateRequest, schema: Schema | None) -> Any:
    """What a reply says: a pydantic instance or plain JSON values under a schema, else None.

    Raises:
        Unfit: it is no answer to the request.
    """
    if not reply.text.strip():
        raise Unfit("it is empty, and only reasoning came" if reply.has_reasoning else "it is empty")
    if schema is None:
        return None
    if reply.finish == "length":
        raise Unfit(f"it is cut off after {request.max_tokens} tokens")
    fenced = _FENCED.match(reply.text)
    try:
        value = json.loads(fenced[1] if fenced else reply.text, parse_constant=_refused_constant, parse_float=_finite)
        if "\\u" in reply.text:
            json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise Unfit("it holds half of a character (a lone surrogate)") from None
    except (ValueError, RecursionError) as error:
        raise Unfit(f"it is not JSON: {error}"[:_MOST_PROBLEM]) from None
    asked = request.schema
    if isinstance(asked, type):
        from pydantic import ValidationError

        try:
            return asked.model_validate(value)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False, include_context=False)[0]
            where = ".".join(map(str, first["loc"])) or "the whole"
            raise Unfit(f"{where}: {first['msg']}"[:_MOST_PROBLEM]) from None
    problem = _problem(value, schema)
    if problem:
        raise Unfit(problem[:_MOST_PROBLEM])
    return value


def asked_again(request: GenerateRequest, reply: Reply, problem: str) -> GenerateRequest:
    """The request that asks to mend a reply. Turns alternate, as chat templates demand."""
    shorter = " Answer more briefly." if reply.finish == "length" else ""
    what = "with the JSON that was asked for, and nothing else" if request.schema is not None else "again"
    remark = f"Your last answer cannot be used: {problem}.{shorter} Answer {what}."
    shown = reply.text.strip()[:_MOST_SHOWN]
    if shown:
        return replace(request, messages=(*request.messages, Message("assistant", shown), Message("user", remark)))
    last = request.messages[-1]
    return replace(request, messages=(*request.messages[:-1], Message("user", f"{last.content}\n\n{remark}")))


def _refused_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError("a number in it is too large")
    return number


def _problem(value: Any, schema: Schema) -> str:
    from jsonschema.exceptions import best_match

    try:
        error = best_match(_validator(json.dumps(schema, sort_keys=True)).iter_errors(value))
    except RecursionError:
        return "it is nested too deeply"
    except OverflowError:
        return "a number in it is too large"
    if error is None:
        return ""
    where = error.json_path.removeprefix("$").lstrip(".") or "the whole"
    if error.validator == "required":
        return f"{where}: {error.message}"
    # Its own message quotes the answer, which is not for error messages.
    return f"{where}: it does not fit {json.dumps({error.validator: error.validator_value})}"


@lru_cache(maxsize=256)
def _validator(text: str) -> "Draft202012Validator":
    """Of a schema as sorted JSON; references to other documents are not followed."""
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError
    from jsonschema.validators import extend
    from referencing import Registry

    schema = json.loads(text)
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        raise RequestInvalid(f"what the answer must be is no JSON schema: {error.message[:_MOST_PROBLEM]}") from None
    if "$ref" in text and (outside := re.search(r'"\$ref": "([^#"][^"]*)"', text)):
        raise RequestInvalid(f"the schema refers to {outside[1][:100]}; put it in, nothing is fetched")
    for reference in sorted(set(_REFERENCE.findall(text))) if '"$id"' not in text else ():
        _check_reference(schema, json.loads(reference))
    made: type[Draft202012Validator] = extend(Draft202012Validator, {"pattern": _fits_pattern})  # type: ignore[no-untyped-call]
    return made(schema, registry=Registry())


def _fits_pattern(validator: Any, pattern: str, instance: Any, schema: Any) -> "Iterator[ValidationError]":
    """As jsonschema's own, in linear time where the pattern allows: an answer must not be able to stop this process."""
    from jsonschema.exceptions import ValidationError

    if isinstance(instance, str) and not _finds(pattern)(instance):
        yield ValidationError("it does not match the pattern")


@lru_cache(maxsize=256)
def _finds(pattern: str) -> Callable[[str], bool]:
    from pydantic_core import SchemaError, SchemaValidator, core_schema

    try:
        linear = SchemaValidator(core_schema.str_schema(pattern=pattern, regex_engine="rust-regex", strict=True))
    except SchemaError:  # it looks ahead or back, which only Python's can
        compiled = re.compile(pattern)
        return lambda text: compiled.search(text) is not None
    return linear.isinstance_python


def _check_reference(schema: Any, reference: str) -> None:
    """Raise where a reference leads nowhere, or only to itself: it would be found out after the answer is paid for."""
    from referencing import Registry
    from referencing.exceptions import Unresolvable
    from referencing.jsonschema import DRAFT202012

    resolver = Registry().resolver_with_root(DRAFT202012.create_resource(schema))
    seen = {reference}
    try:
        found = resolver.lookup(reference)
        while isinstance(found.contents, dict) and isinstance(onward := found.contents.get("$ref"), str):
            if onward in seen:
                raise RequestInvalid(f"the schema's reference {reference[:100]} leads only to itself")
            seen.add(onward)
            found = found.resolver.lookup(onward)
    except Unresolvable:
        raise RequestInvalid(f"the schema refers to {reference[:100]}, which is not in it") from None
