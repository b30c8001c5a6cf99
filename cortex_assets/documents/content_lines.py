"""Content lines of calendars and contacts (RFC 5545, RFC 6350, vCard 2.1): unfolded, taken apart, lenient.

The libraries for these formats give up a file for one bad line; here a line that is none goes on a long text before it.
What the properties mean is the parsers'.
"""

import quopri
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from cortex_assets.documents.mail_headers import base64_bytes, text_of

MAX_LINE = 1024 * 1024
"""A property longer than this many characters (a picture) ends there."""
_LINE = re.compile(
    r"(?:([A-Za-z0-9_-]{1,100})\.)?([A-Za-z][A-Za-z0-9_-]{0,100})((?:;(?:[^\":;]|\"[^\"]*\")*)*):(.*)", re.DOTALL
)
_LOOSE = re.compile(r"(?:([A-Za-z0-9_-]{1,100})\.)?([A-Z][A-Z0-9-]{1,100})((?:;[^:]*)?):(.*)", re.DOTALL)
_PARAMETER = re.compile(r";([^=;:\"]*)(?:=((?:[^\";]|\"[^\"]*\")*))?")
_LONG = frozenset({"DESCRIPTION", "NOTE", "COMMENT", "SUMMARY", "LOCATION", "LABEL", "X-ALT-DESC"})
_ESCAPE = re.compile(r"\\([\\;,nN:])")
_STRUCTURED = re.compile(r"((?:[^;\\]|\\.|\\\Z)*+)(?:;|\Z)", re.DOTALL)
_QUOTED_PRINTABLE = re.compile(r"[^:]*;(?:ENCODING=)?QUOTED-PRINTABLE\b[^:]*:", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ContentLine:
    """One property.

    Attributes:
        name: in capitals.
        value: as written, transfer encodings undone, escapes not.
        parameters: name in capitals to value; a bare one (vCard 2.1) is under ``TYPE``.
        group: what ties properties together, such as ``item1``.
        is_known: False for a line that is no property; then all of it is the value.
    """

    name: str
    value: str
    parameters: dict[str, str] = field(default_factory=dict)
    group: str = ""
    is_known: bool = True

    @property
    def text(self) -> str:
        """The value as a person reads it."""
        return unescaped(self.value)

    @property
    def fields(self) -> list[str]:
        """The parts of a structured value, readable."""
        found = [unescaped(match[1]).strip() for match in _STRUCTURED.finditer(self.value)]
        return found[:-1] if len(found) > 1 and not found[-1] else found


def unescaped(value: str) -> str:
    """A value with its escapes undone."""
    if "\\" not in value:
        return value
    return _ESCAPE.sub(lambda match: "\n" if match[1] in "nN" else match[1], value)


def content_lines(texts: Iterable[str]) -> Iterator[ContentLine]:
    """Yield the properties of a file given in pieces; a line that is none joins a long text before it."""
    held: ContentLine | None = None
    added: list[str] = []
    size = 0
    for line in _logical(_physical(texts)):
        found = _parsed(line)
        if found is None and held is not None and held.name in _LONG and line.strip():
            size += len(line)
            if size <= MAX_LINE:
                added.append(line)
            continue
        if held is not None:
            yield _longer(held, added)
        held, added, size = found, [], 0
        if found is None and line.strip():
            yield ContentLine("", line, is_known=False)
    if held is not None:
        yield _longer(held, added)


def _longer(line: ContentLine, added: list[str]) -> ContentLine:
    return replace(line, value="\\n".join([line.value, *added])) if added else line


def _physical(texts: Iterable[str]) -> Iterator[str]:
    """Lines as they stand, without line ends; an overlong one is cut."""
    rest = ""
    for text in texts:
        plain = text if "\n" in text else text.replace("\r", "\n")
        lines = (rest + plain).split("\n")
        rest = lines.pop()[:MAX_LINE]
        for line in lines:
            yield line.rstrip("\r")[:MAX_LINE]
    yield rest.rstrip("\r")


def _logical(lines: Iterable[str]) -> Iterator[str]:
    """Lines unfolded: what begins with white space, or follows a soft line break, belongs to the line before."""
    pieces: list[str] = []
    size, is_soft = 0, False
    for line in lines:
        is_first = not pieces
        if is_soft and not is_first:
            pieces[-1] = pieces[-1].removesuffix("=")
        elif line[:1] in (" ", "\t") and not is_first:
            line = line[1:]
        else:
            if pieces:
                yield "".join(pieces)
            pieces, size, is_soft, is_first = [], 0, False, True
        size += len(line)
        if size <= MAX_LINE:
            pieces.append(line)
        is_quoted = is_soft or (is_first and "=" in line and _QUOTED_PRINTABLE.match(line) is not None)
        is_soft = is_quoted and line.endswith("=")
    if pieces:
        yield "".join(pieces)


def _parsed(line: str) -> ContentLine | None:
    """A line as a property; None for one that is none."""
    match = _LINE.fullmatch(line.lstrip("\ufeff")) or _LOOSE.fullmatch(line)
    if match is None:
        return None
    parameters: dict[str, str] = {}
    for key, value in _PARAMETER.findall(match[3]):
        name, plain = (key.strip().upper(), value.replace('"', "").strip()) if value else ("TYPE", key.strip())
        parameters[name] = f"{parameters[name]},{plain}" if name in parameters else plain
    encoding = parameters.get("ENCODING", parameters.get("TYPE", "")).upper()
    value = match[4]
    if "QUOTED-PRINTABLE" in encoding:
        raw = quopri.decodestring(value.encode("utf-8", "replace"))
        value = text_of(raw, parameters.get("CHARSET")).text.replace("\r\n", "\n")
    elif encoding in ("BASE64", "B") and "CHARSET" in parameters:
        value = text_of(base64_bytes(value.encode("ascii", "replace")), parameters["CHARSET"]).text
    return ContentLine(match[2].upper(), value, parameters, match[1] or "")
