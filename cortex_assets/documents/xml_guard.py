"""An expat parser for XML that nobody trusts: no entity that expands into others, nothing loaded, bounded depth.

Expat itself does not recurse, and bounds how much entities may expand. What elements mean does not belong here.
"""

from typing import TYPE_CHECKING
from xml.parsers import expat

if TYPE_CHECKING:
    from xml.parsers.expat import XMLParserType

MAX_ENTITY_CHARS = 64 * 1024
ExpatError = expat.ExpatError


class UnsafeXmlError(ValueError):
    """The XML does what only a bomb does; the message says what."""


def guarded_parser() -> "XMLParserType":
    """A parser for text (``str``) that was decoded before, whatever encoding the text declares.

    Feeding it raises ``ExpatError`` where the text is not well formed, and ``UnsafeXmlError`` for entities that hold
    entities, or are long.
    """
    parser = expat.ParserCreate("utf-8")
    parser.buffer_text = True
    parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)
    declared = 0

    def entity(
        name: str, is_parameter: int, value: str | None, base: str | None, system: str | None, *rest: str | None
    ) -> None:
        nonlocal declared
        declared += len(value or "")
        if declared > MAX_ENTITY_CHARS or (value is not None and ("&" in value or "%" in value)):
            raise UnsafeXmlError("it declares entities that expand, as a bomb does")

    parser.EntityDeclHandler = entity
    return parser


def place(error: expat.ExpatError) -> str:
    """What is wrong, and where."""
    return f"{expat.ErrorString(error.code)} at line {error.lineno}, column {error.offset + 1}"
