"""Markdown: front matter, headings, tables, fenced code, links. The text is the decoded file, verbatim.

A scanner that looks at the few lines which can begin something, not a CommonMark tree: chunking needs places, not
rendering, and a tree is thirty times slower. Fences are taken at any indentation, because lists nest them.
"""

import re
import tomllib
from collections.abc import Iterator

from cortex_assets.documents.model import Block, Heading, ParsedDocument, ParseInput, Structure
from cortex_assets.documents.verbatim import Analysis, verbatim

_LINE = re.compile(
    r"^(?:"
    r"(?P<fence>[ \t>]*(?P<mark>`{3,}|~{3,})(?P<info>[^\n]*))"
    r"| {0,3}(?P<atx>\#{1,6})(?:[ \t]+(?P<title>[^\n]*))?(?=\r?$)"
    r"|(?P<comment> {0,3}<!--)"
    r"|(?P<rule> {0,3}(?:=++|-++)[ \t]*+\r?$)"
    r"|(?P<table>[ \t]{0,3}\|?[ \t]*+:?-++:?[ \t]*+(?:\|[ \t]*+:?-++:?[ \t]*+)*+\|?[ \t]*+\r?$)"
    r")",
    re.MULTILINE,
)
_BEGINS = r"[ \t>]*(?:`{3}|~{3}|\#|<!--|[=|:-])"
_FIRST, _LATER = re.compile(_BEGINS), re.compile(rf"\n{_BEGINS}")
_FRONT = re.compile(
    r"(?:---[ \t]*\r?\n(?P<yaml>(?:(?!---|\.\.\.)[^\n]*\n)*)(?:---|\.\.\.)"
    r"|\+\+\+[ \t]*\r?\n(?P<toml>(?:(?!\+\+\+)[^\n]*\n)*)\+\+\+)[ \t]*(?:\r?\n|\Z)"
)
_FRONT_TITLE = re.compile(r"^title[ \t]*+[:=][ \t]*+(\S[^\n]*)", re.MULTILINE | re.IGNORECASE)
_LINK = re.compile(
    r"[\[\]<](?:(?<=\[)\[([^\[\]\n]{1,300})\]\]"
    r"|(?<=\])\([ \t]*<?([^)\s<>]{1,2000})"
    r"|(?<=<)(https?://[^>\s]{1,2000})>"
    r"|(?<=\]):[ \t]*<?([^\s>]{0,2000}[/.#][^\s>]{0,2000})>?(?=\s))"
)
_CLOSING_HASHES = re.compile(r"(?:^|[ \t])#++[ \t]*+$")
_NOT_PARAGRAPH = re.compile(r" {0,3}(?:[>|#]|[-*+][ \t]|\d{1,9}[.)][ \t]|```|~~~|</?[a-zA-Z!])| {4}|\t")
_BLOCK_START = re.compile(r"[ \t]*(?:\r?$|```|~~~|#{1,6}[ \t]|>)", re.MULTILINE)


def parse_markdown(source: ParseInput) -> Iterator[ParsedDocument]:
    """Parse Markdown; headings inside fences, comments and front matter are none."""
    scanner = MarkdownScanner()
    return verbatim(source, "markdown", lambda text, is_whole: scanner.scan(text))


class MarkdownScanner:
    """Scans the parts of one file in order; a fence that is open at a part's end goes on in the next."""

    def __init__(self) -> None:
        self._open_fence: re.Pattern[str] | None = None
        self._is_first = True

    def scan(self, text: str) -> Analysis:
        """Structure of the next part."""
        self._headings: list[Heading] = []
        self._blocks: list[Block] = []
        self._fences: list[tuple[int, int]] = []
        title = ""
        position = 0
        if self._is_first and (front := _FRONT.match(text)):
            title = _front_title(front)
            self._blocks.append(Block("front_matter", 0, front.end()))
            position = front.end()
        elif self._open_fence is not None:
            position = self._close_fence(text, 0, 0, None)
        self._is_first = False
        self._scan_lines(text, position)
        if not title:
            first = next((h for h in self._headings if h.level == 1), None) or next(iter(self._headings), None)
            title = first.title if first else ""
        links = _links(text, self._fences)
        return Analysis(title, Structure(tuple(self._headings), (), tuple(self._blocks), links))

    def _scan_lines(self, text: str, position: int) -> None:
        """Visit the lines that can begin something, from ``position``."""
        floor = position
        while (start := _next_start(text, position)) >= 0:
            line = _LINE.match(text, start)
            if line is None:
                position = _line_end(text, start)
            elif line["mark"] and not (line["mark"][0] == "`" and "`" in line["info"]):
                words = line["info"].strip().strip("{}").split()
                self._open_fence = re.compile(
                    rf"^[ \t>]*{line['mark'][0]}{{{len(line['mark'])},}}[ \t]*\r?$", re.MULTILINE
                )
                language = words[0].lstrip(".").split(",")[0] if words else None
                position = floor = self._close_fence(text, start, line.end(), language)
            elif line["atx"]:
                title = _CLOSING_HASHES.sub("", (line["title"] or "").strip()).strip()
                if title:
                    self._headings.append(Heading(len(line["atx"]), title, start))
                position = floor = _line_end(text, start)
            elif line["comment"]:
                end = text.find("-->", line.end())
                position = floor = _line_end(text, end) if end >= 0 else _line_end(text, start)
            elif line["rule"] or line["table"]:
                position = self._underlined(text, start, floor, line)
                floor = max(floor, position if position > _line_end(text, start) else floor)
            else:
                position = _line_end(text, start)

    def _close_fence(self, text: str, start: int, position: int, language: str | None) -> int:
        """Record the code block that is open from ``start``; return where scanning goes on."""
        pattern = self._open_fence
        closing = pattern.search(text, position) if pattern is not None else None
        end = _line_end(text, closing.start()) if closing is not None else len(text)
        if closing is not None:
            self._open_fence = None
        self._blocks.append(Block("code", start, end, language=language or None))
        self._fences.append((start, end))
        return end

    def _underlined(self, text: str, start: int, floor: int, line: re.Match[str]) -> int:
        """A line of dashes: the delimiter row of a table, or the underline of a heading; return where to go on."""
        after = _line_end(text, start)
        above_start = text.rfind("\n", 0, max(0, start - 1)) + 1
        above = text[above_start : max(above_start, start - 1)]
        if start == 0 or above_start < floor or not above.strip():
            return after
        if "|" in line.group() and "|" in above:
            if _cells(above) == _cells(line.group()):
                end = _table_end(text, after)
                self._blocks.append(Block("table", above_start, end, head_end=after))
                return end
            return after
        if line["rule"] and not _NOT_PARAGRAPH.match(above):
            title_start = _paragraph_start(text, above_start, floor)
            if title_start is not None:
                title = " ".join(text[title_start : start - 1].split())
                self._headings.append(Heading(1 if "=" in line.group() else 2, title, title_start))
        return after


def _next_start(text: str, position: int) -> int:
    """Where the next line begins that can begin something, not before the line at ``position``; -1 without one.

    Searched for by the line feed before it, which is three times faster than by the beginning of a line.
    """
    if position == 0 and _FIRST.match(text):
        return 0
    found = _LATER.search(text, max(position - 1, 0))
    return -1 if found is None else found.start() + 1


def _line_end(text: str, position: int) -> int:
    """Offset after the line feed of the line at ``position``."""
    end = text.find("\n", position)
    return len(text) if end < 0 else end + 1


def _cells(row: str) -> int:
    """Number of cells of a table row."""
    row = row.strip().removeprefix("|")
    row = row[:-1] if row.endswith("|") and not row.endswith("\\|") else row
    return row.count("|") - row.count("\\|") + 1


def _table_end(text: str, position: int) -> int:
    """Offset after the last row of a table whose first body row would be at ``position``."""
    while position < len(text) and not _BLOCK_START.match(text, position):
        position = _line_end(text, position)
    return position


def _paragraph_start(text: str, start: int, floor: int) -> int | None:
    """Where the paragraph that ends with the line at ``start`` begins; None where it has more than three lines."""
    for _ in range(3):
        if start <= floor:
            return start
        above_start = text.rfind("\n", 0, start - 1) + 1
        above = text[above_start : start - 1]
        if not above.strip() or above_start < floor or _NOT_PARAGRAPH.match(above):
            return start
        start = above_start
    return None


def _links(text: str, fences: list[tuple[int, int]]) -> tuple[str, ...]:
    """Link targets outside fences in order, each once; a wiki link as ``[[target]]`` without its alias."""
    found: dict[str, None] = {}
    position = 0
    for start, end in [*fences, (len(text), len(text))]:
        for wiki, inline, angle, reference in _LINK.findall(text[position:start]):
            found[f"[[{wiki.split('|')[0].strip()}]]" if wiki else inline or angle or reference] = None
        position = end
    return tuple(found)


def _front_title(front: re.Match[str]) -> str:
    """The title that front matter gives; ``""`` where it gives none."""
    line = _FRONT_TITLE.search(front["yaml"] or front["toml"] or "")
    if line is None:
        return ""
    stated = line[1].rstrip()
    value: object = stated
    if front["toml"] is not None:
        try:
            value = tomllib.loads(f"title = {stated}")["title"]
        except tomllib.TOMLDecodeError:
            value = stated.strip("\"'")
    elif stated[0] in "\"'":
        value = stated[1:].partition(stated[0])[0]
    elif stated[0] in "|>":
        value = ""
    return " ".join(str(value).split())
