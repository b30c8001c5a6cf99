"""Reads a large XML part as a stream of tags and text, with no document type and a bounded number of tags.

A part that fits a tree is ``package``'s; what tags mean is the formats'.
"""

from collections.abc import Callable, Iterable, Iterator
from xml.parsers import expat

MAX_TAGS = 40_000_000
"""Of one part: above it, an end is put to reading (after about half a minute)."""


class StreamError(ValueError):
    """A part cannot be read to its end; the message says why."""


class TooLongError(StreamError):
    """There is more of a part than is read."""


def parsed_blocks(
    blocks: Iterable[bytes],
    start: Callable[[str, dict[str, str]], None],
    end: Callable[[str], None],
    text: Callable[[str], None],
) -> Iterator[None]:
    """Call back for every tag (its name without prefix) and text; yields after each block, so that memory stays bounded.

    Args:
        blocks: the part's bytes.
        start: takes a tag's name and its attributes, which keep their prefixes.
        end: takes a tag's name.
        text: takes text between tags.

    Raises:
        StreamError: the XML is damaged, has a document type, or has too many tags; what came before was given.
    """
    tags = 0

    def begin(tag: str, attributes: dict[str, str]) -> None:
        nonlocal tags
        tags += 1
        if tags > MAX_TAGS:
            raise TooLongError(f"more than {MAX_TAGS:,} tags: the rest is not read")
        start(tag.rpartition(":")[2] if ":" in tag else tag, attributes)

    def finish(tag: str) -> None:
        end(tag.rpartition(":")[2] if ":" in tag else tag)

    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = begin
    parser.EndElementHandler = finish
    parser.CharacterDataHandler = text
    parser.StartDoctypeDeclHandler = _refuse
    for block in blocks:
        _feed(parser, block, is_last=False)
        yield
    _feed(parser, b"", is_last=True)
    yield


def _feed(parser: expat.XMLParserType, block: bytes, is_last: bool) -> None:
    try:
        parser.Parse(block, is_last)
    except StreamError:
        raise
    except expat.ExpatError as error:
        raise StreamError("damaged") from error
    except (LookupError, ValueError) as error:  # an encoding that does not exist, or none of single bytes
        raise StreamError("damaged: its encoding is unknown") from error


def _refuse(name: str, system: str | None, public: str | None, has_subset: bool) -> None:
    raise StreamError("it declares a document type or entities, which it has no need of")
