"""SVG drawings: name, title, descriptions and the text elements, in the order of the file.

Styles, scripts and shapes are left out; nothing is drawn or loaded. Pictures made of pixels are ``image``'s.
"""

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from cortex_assets.documents.decode import NotTextError, decode
from cortex_assets.documents.model import ParsedDocument, ParseInput
from cortex_assets.documents.xml_guard import ExpatError, UnsafeXmlError, guarded_parser, place
from cortex_assets.tables import Status, short_reason

MAX_BYTES = 32 * 1024 * 1024
MAX_TEXT = 2 * 1024 * 1024
_LINES = frozenset({"text", "title", "desc", "p", "div", "li", "flowPara", "tspan", "textPath"})
_SHOWN = frozenset({"text", "title", "desc", "foreignObject", "flowRoot"})
_LEFT_OUT = frozenset({"style", "script", "metadata"})
_NUMBER = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(?:px)?\s*$")


def parse_svg(source: ParseInput) -> Iterator[ParsedDocument]:
    """Parse an SVG drawing."""
    if source.size > MAX_BYTES:
        reason = f"a drawing above {MAX_BYTES // 2**20} MB is not read: save its text apart"
        yield ParsedDocument("", "image", status=Status.TOO_LARGE, reason=reason)
        return
    try:
        text = decode(source.stream.read()).text
    except NotTextError:
        yield ParsedDocument("", "image", status=Status.FAILED, reason="damaged SVG: it is no text; save it again")
        return
    walk, problem, status = _Walk(), "", Status.PARTIAL
    parser = guarded_parser()
    parser.StartElementHandler, parser.EndElementHandler = walk.start, walk.end
    parser.CharacterDataHandler = walk.data
    try:
        parser.Parse(text, True)
    except ExpatError as error:
        problem = f"damaged SVG: {place(error)}; save it again"
    except UnsafeXmlError as error:
        problem, status = f"SVG is not read: {error}", Status.TOO_LARGE
    if problem and not (walk.lines or walk.size):
        yield ParsedDocument("", "image", status=Status.FAILED if status is Status.PARTIAL else status, reason=problem)
        return
    name = PurePosixPath(source.path).name
    lines = "\n".join([f"{name}: SVG drawing{walk.size}", *walk.lines])
    yield ParsedDocument(
        lines,
        "image",
        walk.title,
        status=status if problem else Status.OK,
        reason=short_reason(problem) if problem else None,
    )


class _Walk:
    """Gathers texts as expat meets them."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.title = ""
        self.size = ""
        self._open: list[str] = []
        self._shown = self._left_out = self._chars = 0
        self._words: list[str] = []

    def start(self, name: str, attributes: dict[str, str]) -> None:
        name = name.rpartition(":")[2]
        if not self._open:
            self.size = _size(attributes)
        self._open.append(name)
        self._shown += name in _SHOWN
        self._left_out += name in _LEFT_OUT
        if name in _LINES:
            self._end_line(name == "tspan" and not ({"x", "y", "dy"} & attributes.keys()))

    def end(self, name: str) -> None:
        name = self._open.pop()
        if name in _LINES and name != "tspan":
            if name == "title" and len(self._open) == 1:
                self.title = " ".join("".join(self._words).split())
            self._end_line(False)
        self._shown -= name in _SHOWN
        self._left_out -= name in _LEFT_OUT

    def data(self, words: str) -> None:
        if self._shown and not self._left_out and self._chars < MAX_TEXT:
            self._words.append(words)
            self._chars += len(words)

    def _end_line(self, is_same_line: bool) -> None:
        if is_same_line:
            return
        line = " ".join("".join(self._words).split())
        self._words = []
        if line:
            self.lines.append(line)


def _size(attributes: dict[str, str]) -> str:
    """Width and height in pixels, where the drawing states them."""
    sides = [_NUMBER.match(attributes.get(side, "")) for side in ("width", "height")]
    if all(sides):
        return ", " + " × ".join(side[1] for side in sides if side) + " pixels"
    return ""
