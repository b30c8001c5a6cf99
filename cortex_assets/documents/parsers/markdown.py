"""Markdown: front matter, headings, tables, fenced code, links. The text is the decoded file, verbatim.

A scanner that looks at the few lines which can begin something, not a CommonMark tree: chunking needs places, not
rendering, and a tree is thirty times slower. Fences are taken at any indentation, because lists nest them.
"""

import re
import tomllib
from collections.abc import Iterator
from functools import lru_cache

from cortex_assets.documents.model import Block, Heading, ParsedDocument, ParseInput, Structure
from cortex_assets.documents.verbatim import Analysis, verbatim

_LINE = (
    r"(?=[ \t>]*(?:`{3}|~{3}|\#|<!--|[=|:-][=|: \t-]*+\r?$))(?:"
    r"(?P<fence>[ \t>]*(?:(?P<ticks>`{3,})(?P<ticked>[^`\n]*$)|(?P<tildes>~{3,})(?P<tilded>[^\n]*)))"
    r"|(?P<atx> {0,3}(?P<hashes>\#{1,6})(?:[ \t]+(?P<title>[^\n]*))?(?=\r?$))"
    r"|(?P<comment> {0,3}<!--)"
    r"|(?P<rule> {0,3}(?:=++|-++)[ \t]*+\r?$)"
    r"|(?P<table>[ \t]{0,3}\|?[ \t]*+:?-++:?[ \t]*+(?:\|[ \t]*+:?-++:?[ \t]*+)*+\|?[ \t]*+\r?$)"
    r")"
)
_FIRST, _LATER = re.compile(_LINE, re.MULTILINE), re.compile(rf"\n{_LINE}", re.MULTILINE)
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
_COMMON_LINK = re.compile(
    r"\](?:\([ \t]*<?(?P<inline>[^)\s<>]{1,2000})|:[ \t]*<?(?P<reference>[^\s>]{0,2000}[/.#][^\s>]{0,2000})>?(?=\s))"
)
_RARE_LINKS = re.compile(r"\[\[[^\[\]\n]{1,300}\]\]"), re.compile(r"<https?://[^>\s]{1,2000}>")
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
        """Visit the lines that begin something, from ``position``."""
        floor = position
        while (line := _next_line(text, position)) is not None:
            start = line.start(line.lastgroup or 0)
            if line.lastgroup == "atx":
                title = (line["title"] or "").strip()
                if title.endswith("#"):
                    title = _CLOSING_HASHES.sub("", title).strip()
                if title:
                    self._headings.append(Heading(len(line["hashes"]), title, start))
                position = floor = _line_end(text, line.end())
            elif line.lastgroup == "fence":
                words = (line["ticked"] or line["tilded"] or "").strip().strip("{}").split()
                self._open_fence = _closing(line["ticks"] or line["tildes"])
                language = words[0].lstrip(".").split(",")[0] if words else None
                position = floor = self._close_fence(text, start, line.end(), language)
            elif line.lastgroup == "comment":
                end = text.find("-->", line.end())
                position = floor = _line_end(text, end) if end >= 0 else _line_end(text, start)
            else:
                position = self._underlined(text, start, floor, line)
                floor = max(floor, position if position > _line_end(text, start) else floor)

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
        dashes = line[line.lastgroup or 0]
        if "|" in dashes and "|" in above:
            if _cells(above) == _cells(dashes):
                end = _table_end(text, after)
                self._blocks.append(Block("table", above_start, end, head_end=after))
                return end
            return after
        if line.lastgroup == "rule" and not _NOT_PARAGRAPH.match(above):
            title_start = _paragraph_start(text, above_start, floor)
            if title_start is not None:
                title = " ".join(text[title_start : start - 1].split())
                self._headings.append(Heading(1 if "=" in dashes else 2, title, title_start))
        return after


@lru_cache(maxsize=64)
def _closing(mark: str) -> re.Pattern[str]:
    """What ends a fence that ``mark`` began."""
    return re.compile(rf"^[ \t>]*{mark[0]}{{{len(mark)},}}[ \t]*\r?$", re.MULTILINE)


def _next_line(text: str, position: int) -> re.Match[str] | None:
    """The next line that begins something, not before the line at ``position``.

    Searched for by the line feed before it, which is three times faster than by the beginning of a line.
    """
    first = _FIRST.match(text) if position == 0 else None
    return first or _LATER.search(text, max(position - 1, 0))


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
    """Link targets outside fences in order, each once; a wiki link as ``[[target]]`` without its alias.

    Two thirds of the time went into looking for all kinds at once, so those that hardly a text has are asked for first.
    """
    found: dict[str, None] = {}
    is_common = not any(pattern.search(text) for pattern in _RARE_LINKS)
    position = 0
    for start, end in [*fences, (len(text), len(text))]:
        part = text[position:start]
        if is_common:
            found.update(dict.fromkeys(inline or reference for inline, reference in _COMMON_LINK.findall(part)))
        else:
            for wiki, inline, angle, reference in _LINK.findall(part):
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
