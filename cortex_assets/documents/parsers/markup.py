"""AsciiDoc, Org, MediaWiki and Textile: headings, code and tables. The text is the decoded file, verbatim.

Scanners of the few lines that structure a document, as for Markdown: chunking needs places, not rendering. Includes and
templates are not followed.
"""

import re
from collections.abc import Callable, Iterator

from cortex_assets.documents.model import Block, Heading, ParsedDocument, ParseInput, Structure
from cortex_assets.documents.parsers.spans import blocks_of, headings_of, line_end, links_of, outside, trimmed_end
from cortex_assets.documents.verbatim import Analysis, verbatim

_ADOC_OPEN = re.compile(
    r"^(?P<attributes>(?:\[[^\]\n]*\][ \t]*\r?\n(?:\.[^\s.][^\n]*\n)?|\.[^\s.][^\n]*\n(?=\[|[-.+|]{3}|```)){0,4})"
    r"(?P<mark>-{4,}|\.{4,}|\+{4,}|/{4,}|`{3,}(?P<info>\w*)|[|,:!]===+)[ \t]*\r?$",
    re.MULTILINE,
)
_ADOC_LANGUAGE = re.compile(r"\[(?:source|listing)?%?[\w%]*,[ \t]*(?:language=)?\"?([\w+#-]+)")
_ADOC_HEADING = re.compile(
    r"^(?:(?P<mark>={1,6}|\#{1,6})[ \t]++(?P<title>[^\n]+)"
    r"|(?P<over>[^\s\[.|=/-][^\n]*)\r?\n(?P<rule>={3,}+|-{3,}+|~{3,}+|\^{3,}+|\+{3,}+)[ \t]*+\r?$)",
    re.MULTILINE,
)
_ADOC_RULES = "=-~^+"
_ADOC_LINK = re.compile(
    r"(?:link|xref|include):{1,2}([^\[\s]{1,2000})\[|\b(https?://[^\s\[\]<>]{1,2000})|<<([^,>\n]{1,300})"
)
_ORG_BLOCK = re.compile(
    r"^[ \t]*#\+begin_(?P<kind>src|example|export|comment)\b[ \t]*(?P<language>[\w+#-]*)[^\n]*$|^[ \t]*\|[^\n]*$",
    re.MULTILINE | re.IGNORECASE,
)
_ORG_HEADING = re.compile(
    r"^(?P<stars>\*++)[ \t]++(?:(?:TODO|DONE|NEXT|WAITING|CANCELLED)[ \t]++)?(?:\[\#\w\][ \t]*+)?(?P<title>[^\n]*)",
    re.MULTILINE,
)
_ORG_TAGS = re.compile(r"(?:^|[ \t]):[\w@#%:]+:\s*+\Z")
_ORG_TITLE = re.compile(r"^#\+title:([^\n]*)", re.MULTILINE | re.IGNORECASE)
_ORG_LINK = re.compile(r"\[\[([^\[\]\n]{1,2000})\](?:\[[^\]\n]*\])?\]")
_ORG_RULE = re.compile(r"[ \t]*\|-[-+|]*[ \t]*\r?\n")
_WIKI_BLOCK = re.compile(
    r"<(?P<tag>syntaxhighlight|source|pre|nowiki)\b(?P<attributes>[^>\n]*)>|^[ \t:]*(?P<table>\{\|)",
    re.MULTILINE | re.IGNORECASE,
)
_WIKI_LANGUAGE = re.compile(r"\blang=[\"']?([\w+#-]+)")
_WIKI_HEADING = re.compile(
    r"^(?P<mark>={1,6})[ \t]*+(?P<title>[^=\s](?:[^\n]*[^=\s])?)[ \t]*+(?P=mark)[ \t]*+\r?$", re.MULTILINE
)
_WIKI_LINK = re.compile(r"\[\[([^\[\]|\n]{1,300})|\[(https?://[^\s\]]{1,2000})")
_WIKI_TABLE = re.compile(r"^[ \t:]*(?:(\{\|)|(\|\}))", re.MULTILINE)
_WIKI_ROW = re.compile(r"^[ \t]*\|-[^\n]*\n", re.MULTILINE)
_TEXTILE_BLOCK = re.compile(
    r"^(?:(?P<code>bc|pre)(?:\([^)\n]*\)|\{[^}\n]*\})*(?P<long>\.\.?)[ \t]|<pre\b|\|[^\n]*\|[ \t]*\r?$)", re.MULTILINE
)
_TEXTILE_LONG_END = re.compile(r"\r?\n[ \t]*\r?\n(?=(?:p|bc|pre|bq|h[1-6]|fn\d+|notextile)(?:\([^)\n]*\))?\.\.?[ \t])")
_TEXTILE_END = re.compile(r"\r?\n[ \t]*\r?\n")
_TEXTILE_HEADING = re.compile(
    r"^h(?P<level>[1-6])(?:\([^)\n]*\)|\{[^}\n]*\}|[<>=])*+\.[ \t]++(?P<title>[^\n]+)", re.MULTILINE
)
_TEXTILE_LINK = re.compile(r"\":(https?://[^\s)\]]{1,2000}|/[^\s)\]]{1,2000})")


def parse_asciidoc(source: ParseInput) -> Iterator[ParsedDocument]:
    """Parse AsciiDoc: titles with equals signs (or underlined), listing and literal blocks, ``|===`` tables."""
    return _parsed(source, asciidoc_analysis)


def parse_org(source: ParseInput) -> Iterator[ParsedDocument]:
    """Parse Org: starred headings without keyword, priority and tags; source blocks; tables of ``|`` lines."""
    return _parsed(source, org_analysis)


def parse_mediawiki(source: ParseInput) -> Iterator[ParsedDocument]:
    """Parse MediaWiki: headings between equals signs, highlighted and preformatted code, ``{|`` tables."""
    return _parsed(source, mediawiki_analysis)


def parse_textile(source: ParseInput) -> Iterator[ParsedDocument]:
    """Parse Textile: ``h1.`` headings, ``bc.`` code, tables of ``|`` lines."""
    return _parsed(source, textile_analysis)


def _parsed(source: ParseInput, analyse: Callable[[str], Analysis]) -> Iterator[ParsedDocument]:
    return verbatim(source, "text", lambda text, is_whole: analyse(text))


def asciidoc_analysis(text: str) -> Analysis:
    """Structure of one part of an AsciiDoc file."""
    blocks = blocks_of(text, _ADOC_OPEN, lambda match: _adoc_block(text, match))

    def read(match: re.Match[str]) -> tuple[int, str]:
        if match["mark"]:
            words = match["title"].split()
            return len(match["mark"]), " ".join(words[:-1] if len(words) > 1 and words[-1] == match["mark"] else words)
        title, rule = match["over"].rstrip(), match["rule"]
        return _ADOC_RULES.index(rule[0]) + 1, title if abs(len(title) - len(rule)) <= 1 else ""

    return _analysis(text, headings_of(text, _ADOC_HEADING, blocks, read), blocks, _ADOC_LINK)


def _adoc_block(text: str, match: re.Match[str]) -> Block | None:
    """A delimited block, with the attribute lines above it; one that does not close goes on to the end."""
    mark = match["mark"]
    if mark[0] in "-+" and not match["attributes"] and _is_underline(text, match.start(), len(mark)):
        return None
    closing = re.compile(rf"^{re.escape('```' if match['info'] else mark)}[ \t]*\r?$", re.MULTILINE).search(
        text, match.end()
    )
    close_start, close_end = closing.span() if closing is not None else (len(text), len(text))
    end = trimmed_end(text, match.start(), close_end)
    if mark.endswith("==="):
        first = line_end(text, match.end() + 1)
        has_head = "header" in match["attributes"] or re.match(r"[ \t]*\r?\n", text[first + 1 : first + 99]) is not None
        return Block("table", match.start(), end, head_end=first + 1 if has_head and first + 1 < close_start else None)
    language = match["info"] or next(iter(_ADOC_LANGUAGE.findall(match["attributes"])), None)
    return Block("code", match.start(), end, language=language or None)


def _is_underline(text: str, start: int, length: int) -> bool:
    """Whether the line above is a title of about the length of this rule."""
    above = text[text.rfind("\n", 0, max(0, start - 1)) + 1 : max(0, start - 1)].strip()
    return bool(above) and abs(len(above) - length) <= 1 and not above.startswith((".", "[", "|"))


def org_analysis(text: str) -> Analysis:
    """Structure of one part of an Org file."""
    blocks = blocks_of(text, _ORG_BLOCK, lambda match: _org_block(text, match))
    headings = headings_of(
        text, _ORG_HEADING, blocks, lambda match: (len(match["stars"]), _ORG_TAGS.sub("", match["title"]))
    )
    stated = next((match[1].strip() for match in _ORG_TITLE.finditer(text) if outside(blocks, match.start())), "")
    return _analysis(text, headings, blocks, _ORG_LINK, stated)


def _org_block(text: str, match: re.Match[str]) -> Block | None:
    """A ``#+BEGIN`` block or the lines of a table."""
    if match["kind"] is None:
        return _line_table(text, match.start(), _ORG_RULE)
    closing = re.compile(rf"^[ \t]*#\+end_{match['kind']}\b[^\n]*$", re.MULTILINE | re.IGNORECASE).search(
        text, match.end()
    )
    end = closing.end() if closing is not None else len(text)
    is_source = match["kind"].lower() == "src"
    return Block(
        "code",
        match.start(),
        trimmed_end(text, match.start(), end),
        language=(match["language"] or None) if is_source else None,
    )


def _line_table(text: str, start: int, rule: re.Pattern[str] | None) -> Block:
    """A table of lines that begin with ``|``; its head is what stands above a rule after the first line."""
    end = start
    while end < len(text) and text[end : end + 200].lstrip(" \t").startswith("|"):
        end = line_end(text, end) + 1
    first = line_end(text, start) + 1
    head = rule.match(text, first, end) if rule is not None and first < end else None
    end = trimmed_end(text, start, min(end, len(text)))
    return Block("table", start, end, head_end=head.end() if head is not None and head.end() < end else None)


def mediawiki_analysis(text: str) -> Analysis:
    """Structure of one part of a MediaWiki page."""
    blocks = blocks_of(text, _WIKI_BLOCK, lambda match: _wiki_block(text, match))
    headings = headings_of(
        text, _WIKI_HEADING, blocks, lambda match: (len(match["mark"]), match["title"].replace("'''", ""))
    )
    return _analysis(text, headings, blocks, _WIKI_LINK)


def _wiki_block(text: str, match: re.Match[str]) -> Block | None:
    """A table with the tables in it, or an element that is shown as it is; one that does not close goes on to the end."""
    if match["table"]:
        depth = 0
        for mark in _WIKI_TABLE.finditer(text, match.start()):
            depth += 1 if mark[1] else -1
            if depth == 0:
                return Block("table", match.start(), mark.end(), head_end=_wiki_head(text, match.start(), mark.start()))
        return Block("table", match.start(), len(text))
    if match["attributes"].endswith("/"):
        return None
    closing = re.compile(rf"</{match['tag']}>", re.IGNORECASE).search(text, match.end())
    end = closing.end() if closing is not None else len(text)
    language = _WIKI_LANGUAGE.search(match["attributes"])
    if match["tag"].lower() == "nowiki" and "\n" not in text[match.start() : end]:
        return None
    return Block("code", match.start(), end, language=language[1].lower() if language else None)


def _wiki_head(text: str, start: int, end: int) -> int | None:
    """Offset after the rows of header cells (``!``) that a table begins with."""
    rows = [match.start() for match in _WIKI_ROW.finditer(text, start, end)]
    first = next((number for number, row in enumerate(rows) if not _is_header_row(text, row, end)), None)
    if "\n!" in text[start : rows[0] if rows else end]:
        return rows[0] if rows else None
    return rows[first] if first else None


def _is_header_row(text: str, row: int, end: int) -> bool:
    after = line_end(text, row) + 1
    return after < end and text[after] == "!"


def textile_analysis(text: str) -> Analysis:
    """Structure of one part of a Textile file."""
    blocks = blocks_of(text, _TEXTILE_BLOCK, lambda match: _textile_block(text, match))
    headings = headings_of(text, _TEXTILE_HEADING, blocks, lambda match: (int(match["level"]), match["title"]))
    return _analysis(text, headings, blocks, _TEXTILE_LINK)


def _textile_block(text: str, match: re.Match[str]) -> Block | None:
    """A code block to the blank line (an extended one to the next signature), or the lines of a table."""
    if match.group().startswith("<pre"):
        closing = text.find("</pre>", match.end())
        return Block("code", match.start(), closing + 6 if closing >= 0 else len(text))
    if match["code"] is None:
        table = _line_table(text, match.start(), None)
        first = line_end(text, match.start()) + 1
        has_head = text.startswith("|_", match.start()) and first < table.end
        return Block("table", table.start, table.end, head_end=first if has_head else None)
    ending = (_TEXTILE_LONG_END if match["long"] == ".." else _TEXTILE_END).search(text, match.end())
    return Block("code", match.start(), trimmed_end(text, match.start(), ending.start() if ending else len(text)))


def _analysis(
    text: str, headings: list[Heading], blocks: list[Block], links: re.Pattern[str], stated: str = ""
) -> Analysis:
    """The common form; a title that the file does not state is its first heading of level 1, else its first."""
    first = next((heading for heading in headings if heading.level == 1), None) or next(iter(headings), None)
    title = stated or (first.title if first else "")
    return Analysis(title, Structure(tuple(headings), (), tuple(blocks), links_of(text, links)))
