"""XML as text: what its elements are called is found, and whether it is well formed; the text is the decoded file.

Nothing is resolved or loaded, entities are not expanded. Formats that are XML (SVG, DOCX) have parsers of their own.
"""

from collections.abc import Iterator

from cortex_assets.documents.model import Heading, ParsedDocument, ParseInput, Structure
from cortex_assets.documents.verbatim import Analysis, verbatim
from cortex_assets.documents.xml_guard import ExpatError, UnsafeXmlError, guarded_parser, place

CHECKED_CHARS = 4 * 1024 * 1024
MAX_HEADINGS = 2000
_DEPTHS = (2, 3)
_TITLE_CHARS = 100
_LABELS = ("title", "name", "label", "id", "key", "artifactId")


def parse_xml(source: ParseInput) -> Iterator[ParsedDocument]:
    """Parse XML: elements near the top that have a name or a title are headings."""

    def analyse(text: str, is_whole: bool) -> Analysis:
        if not is_whole or len(text) > CHECKED_CHARS:
            return Analysis()
        walk = _Walk()
        problem = walk.problem(text)
        headings = walk.headings(text)
        return Analysis(problem=problem, structure=Structure(tuple(headings)))

    return verbatim(source, "data", analyse)


class _Walk:
    """Finds named elements as expat meets them; offsets are bytes of UTF-8 first."""

    def __init__(self) -> None:
        self._parser = guarded_parser()
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._data
        self._parser.DefaultHandler = lambda data: None  # with it expat does not expand entities
        self._depth = 0
        self._found: list[list[str | int]] = []
        self._open: dict[int, int] = {}
        self._words: list[str] | None = None

    def problem(self, text: str) -> str | None:
        """Why the text is not well formed, and where; None where it is."""
        try:
            self._parser.Parse(text.lstrip(), True)
        except ExpatError as error:
            return f"not well-formed XML: {place(error)}; the text is kept"
        except UnsafeXmlError as error:
            return f"XML is not checked: {error}; the text is kept"
        return None

    def headings(self, text: str) -> list[Heading]:
        """A heading for each element with a name, at the characters where it begins."""
        skipped = len(text) - len(text.lstrip())
        raw = text.lstrip().encode("utf-8", "surrogatepass")
        headings: list[Heading] = []
        byte, char = 0, skipped
        for depth, at, tag, label in self._found:
            char += len(raw[byte : int(at)].decode("utf-8", "surrogatepass"))
            byte = int(at)
            if label and len(headings) < MAX_HEADINGS:
                headings.append(Heading(int(depth) - 1, f"{tag} {label}", char))
        return headings

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        name = name.rpartition(":")[2]
        if self._depth in _DEPTHS and len(self._found) < 20 * MAX_HEADINGS:
            label = next((attributes[key] for key in _LABELS if attributes.get(key)), "")
            self._open[self._depth] = len(self._found)
            self._found.append([self._depth, self._parser.CurrentByteIndex, name[:_TITLE_CHARS], _shortened(label)])
        parent = self._open.get(self._depth - 1)
        if name in _LABELS and parent is not None and not self._found[parent][3]:
            self._words = []

    def _end(self, name: str) -> None:
        if self._words is not None:
            parent = self._open.get(self._depth - 1)
            if parent is not None:
                self._found[parent][3] = _shortened("".join(self._words))
            self._words = None
        self._open.pop(self._depth, None)
        self._depth -= 1

    def _data(self, words: str) -> None:
        if self._words is not None:
            self._words.append(words)


def _shortened(label: str) -> str:
    return " ".join(label[: 4 * _TITLE_CHARS].split())[:_TITLE_CHARS]
