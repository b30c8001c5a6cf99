"""Plain text, and reStructuredText with its underlined headings. The text is the decoded file, verbatim."""

import re
from collections.abc import Iterator

from cortex_assets.documents.model import Block, Heading, ParsedDocument, ParseInput, Structure
from cortex_assets.documents.verbatim import Analysis, verbatim

_RULE = re.compile(r"^([!-/:-@\[-`{-~])\1{2,}[ \t]*\r?$", re.MULTILINE)
_HEADER_FIELD = re.compile(r"(?:[A-Z][A-Za-z-]*:[^\n]*\n(?:[ \t]+\S[^\n]*\n)*){2,}(?=\r?\n)")
_TITLE_FIELD = re.compile(r"^Title:[ \t]*+(\S[^\n]*)", re.MULTILINE)
_CODE_DIRECTIVE = re.compile(r"^([ \t]*)\.\. (?:code-block|code|sourcecode)::[ \t]*([\w+#-]*)[^\n]*\n", re.MULTILINE)
_FIRST_INDENT = re.compile(r"(?:[ \t]*\r?\n)*([ \t]+)\S")


def parse_text(source: ParseInput) -> Iterator[ParsedDocument]:
    """Parse plain text: no structure is read into it."""
    return verbatim(source, "text", lambda text, is_whole: Analysis())


def parse_rst(source: ParseInput) -> Iterator[ParsedDocument]:
    """Parse reStructuredText: headings, code directives, and a head of ``Field: value`` lines as PEPs have it."""
    styles: list[str] = []
    return verbatim(source, "text", lambda text, is_whole: rst_analysis(text, styles))


def rst_analysis(text: str, styles: list[str]) -> Analysis:
    """Structure of reStructuredText.

    Args:
        text: one part of the file.
        styles: adornment styles in order of first use, which is what sets levels; extended in place over the parts.
    """
    blocks = _code_blocks(text)
    title = ""
    if head := _HEADER_FIELD.match(text):
        blocks.insert(0, Block("front_matter", 0, head.end()))
        field = _TITLE_FIELD.search(head.group())
        title = field[1].rstrip() if field else ""
    headings = _rst_headings(text, styles)
    return Analysis(title or (headings[0].title if headings else ""), Structure(tuple(headings), (), tuple(blocks)))


def _rst_headings(text: str, styles: list[str]) -> list[Heading]:
    """Titles with a line of punctuation under them (and perhaps over them), at least as long as the title."""
    headings: list[Heading] = []
    for rule in _RULE.finditer(text):
        title_end = rule.start() - 1
        title_start = text.rfind("\n", 0, max(0, title_end)) + 1
        raw = text[title_start : max(title_start, title_end)].rstrip("\r")
        title = raw.strip()
        if title_end <= 0 or not title or _RULE.match(raw) or len(rule.group().rstrip()) < len(title):
            continue
        over_start = text.rfind("\n", 0, max(0, title_start - 1)) + 1
        over = text[over_start : max(over_start, title_start - 1)].strip()
        has_over = over == rule.group().strip() and over_start < title_start
        if raw[0].isspace() and not has_over:
            continue
        if not has_over and over:
            continue
        style = rule.group(1) * (2 if has_over else 1)
        if style not in styles:
            styles.append(style)
        level = min(6, styles.index(style) + 1)
        headings.append(Heading(level, title, over_start if has_over else title_start))
    return headings


def _code_blocks(text: str) -> list[Block]:
    """Code directives with the lines that are indented under them."""
    blocks: list[Block] = []
    for directive in _CODE_DIRECTIVE.finditer(text):
        first = _FIRST_INDENT.match(text, directive.end())
        if first is None or len(first.group(1)) <= len(directive.group(1)):
            continue
        body = re.compile(rf"(?:[ \t]*\r?\n|{re.escape(first.group(1))}[^\n]*(?:\n|\Z))+").match(text, directive.end())
        if body is not None and (not blocks or directive.start() >= blocks[-1].end):
            end = directive.end() + len(body.group().rstrip())
            blocks.append(Block("code", directive.start(), end, language=directive.group(2) or None))
    return blocks
