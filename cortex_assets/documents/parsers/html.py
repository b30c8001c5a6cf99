"""HTML: the visible main content as Markdown-like text with exact places of headings, tables and code; links apart.

A walk over the HTML5 tree of selectolax. trafilatura loses table cells, headings and short pages; kreuzberg keeps
navigation and writes every address into the text, which then is embedded (docs/decisions has the figures). What is left
out is decided in ``html_apart``; building the text is ``markup_text``'s.
"""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from cortex_assets.documents.decode import NotTextError, decode_as
from cortex_assets.documents.markup_text import Cell, MarkupText
from cortex_assets.documents.model import ParsedDocument, ParseInput
from cortex_assets.documents.parsers.html_apart import Apart
from cortex_assets.tables import Status

if TYPE_CHECKING:
    from selectolax.lexbor import LexborNode

MAX_BYTES = 64 * 1024 * 1024
_CHARSET = re.compile(
    rb"<meta[^>]{0,500}?charset\s*=\s*[\"']?\s*([A-Za-z0-9_:.-]{2,40})|<\?xml[^>]{0,200}encoding=[\"']([A-Za-z0-9_-]+)",
    re.I,
)
_WHATWG = {
    "iso-8859-1": "cp1252",
    "latin1": "cp1252",
    "ascii": "cp1252",
    "us-ascii": "cp1252",
    "shift_jis": "cp932",
    "shift-jis": "cp932",
    "sjis": "cp932",
    "x-sjis": "cp932",
    "windows-31j": "cp932",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "ks_c_5601-1987": "cp949",
    "euc-kr": "cp949",
    "iso-8859-9": "cp1254",
    "utf-16": "utf-8",
    "utf-16le": "utf-8",
    "utf-16be": "utf-8",
}
_BLOCKS = frozenset(
    {
        "address",
        "article",
        "aside",
        "blockquote",
        "body",
        "center",
        "details",
        "div",
        "dd",
        "dl",
        "dt",
        "fieldset",
        "figcaption",
        "figure",
        "footer",
        "form",
        "header",
        "hgroup",
        "html",
        "li",
        "main",
        "menu",
        "nav",
        "ol",
        "p",
        "section",
        "summary",
        "ul",
        "caption",
        "tr",
        "td",
        "th",
        "table",
        "tbody",
        "thead",
        "tfoot",
        "legend",
    }
)
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_FLOW_IN_CELL = frozenset({"table", "h1", "h2", "h3", "h4", "h5", "h6", "pre", "article", "section"})


def parse_html(source: ParseInput) -> Iterator[ParsedDocument]:
    """Parse a web page. A page that has visible text never comes out empty: then all of its text is given."""
    if source.size > MAX_BYTES:
        reason = f"HTML of {source.size} bytes is above the limit of {MAX_BYTES}: split it"
        yield ParsedDocument("", "html", status=Status.TOO_LARGE, reason=reason)
        return
    raw = source.stream.read()
    try:
        decoded = decode_as(raw, _declared(raw))
    except NotTextError as error:
        yield ParsedDocument("", "none", status=Status.UNSUPPORTED, reason=str(error))
        return
    document = html_document(decoded.text)
    encoding = decoded.encoding
    reasons = [reason for reason in (document.reason, encoding.reason) if reason]
    status = Status.PARTIAL if encoding.is_partial and document.status is Status.OK else document.status
    yield ParsedDocument(
        document.text,
        "html",
        document.title,
        structure=document.structure,
        status=status,
        reason="; ".join(reasons) or None,
        encoding=encoding.name,
        confidence=encoding.confidence,
    )


def html_document(text: str) -> ParsedDocument:
    """The document of decoded HTML (no NULs or control characters come out; they are no HTML)."""
    from selectolax.lexbor import LexborHTMLParser

    tree = LexborHTMLParser(text)
    title_node = tree.css_first("head > title")
    title = " ".join(title_node.text().split()) if title_node is not None else ""
    body = tree.body
    if body is None:
        return ParsedDocument("", "html", title, status=Status.EMPTY, reason="the page has no body")
    built = _built(_main(body), is_whole=False)
    visible = built
    if len(built.text()) < 200:
        visible = _built(body, is_whole=True)
    if not built.text() or len(visible.text()) > 4 * len(built.text()):
        built = visible
    result = built.text()
    if not result:
        noscript = tree.css_first("noscript")
        hint = (
            "it is made by a script"
            if tree.css_first("script") is not None or noscript is not None
            else "nothing is in it"
        )
        return ParsedDocument("", "html", title, status=Status.EMPTY, reason=f"the page has no visible text: {hint}")
    structure = built.structure()
    if not title and structure.headings:
        title = structure.headings[0].title
    return ParsedDocument(result, "html", title, structure=structure)


def _declared(raw: bytes) -> str | None:
    """The charset that the page's first kilobytes declare, by the codec that browsers read it with."""
    match = _CHARSET.search(raw, 0, 4096)
    if match is None:
        return None
    label = (match[1] or match[2]).decode("ascii").lower()
    return _WHATWG.get(label, label)


def _main(body: "LexborNode") -> "LexborNode":
    """The one element that is the main content and holds a good part of the text, else the body."""
    for selector in ("main, [role=main]", "article"):
        found = body.css(selector)
        if len(found) == 1 and len(found[0].text(strip=True)) * 4 >= len(body.text(strip=True)):
            return found[0]
    return body


def _built(root: "LexborNode", is_whole: bool) -> MarkupText:
    """Walk a tree without recursion (pages nest tens of thousands deep) and build its text.

    Args:
        root: where to begin.
        is_whole: also what the markup calls navigation and the like; only never-visible elements are left out.
    """
    out = MarkupText()
    apart = Apart(root, is_whole)
    pending: list[tuple[LexborNode, bool]] = [(root, False)]
    while pending:
        node, is_end = pending.pop()
        tag = node.tag or ""
        if is_end:
            _close(out, node, tag)
            continue
        if tag == "-text":
            out.words(node.text_content or "")
            continue
        if tag.startswith(("-", "!")) or apart.leaves_out(node, tag):
            continue
        if tag == "table" and (rows := _data_rows(node)) is not None:
            out.table(rows, _caption(node))
            continue
        _open(out, node, tag)
        pending.append((node, True))
        children: list[tuple[LexborNode, bool]] = []
        child = node.child
        while child is not None:
            children.append((child, False))
            child = child.next
        pending.extend(reversed(children))
    return out


def _open(out: MarkupText, node: "LexborNode", tag: str) -> None:
    """What an element's start does to the text."""
    if tag in _HEADINGS:
        out.open_heading(_HEADINGS[tag])
    elif tag == "pre":
        out.open_code(_code_language(node))
    elif tag in ("ul", "ol", "menu"):
        out.open_list(is_numbered=tag == "ol")
    elif tag == "li":
        out.open_item()
    elif tag == "br":
        out.line_break()
    elif tag in ("td", "th"):
        out.words(" ")
        out.end_line()
    elif tag in _BLOCKS or tag == "hr":
        out.end_block()
    elif tag == "a":
        href = (node.attributes.get("href") or "").strip()
        if href and not href.startswith(("#", "javascript:", "data:")):
            out.link(href)
    elif tag == "img":
        alt = (node.attributes.get("alt") or "").strip()
        if len(alt) > 2:
            out.words(f" {alt} ")


def _close(out: MarkupText, node: "LexborNode", tag: str) -> None:
    """What an element's end does to the text."""
    if tag in _HEADINGS:
        out.close_heading()
    elif tag == "pre":
        out.close_code()
    elif tag in ("ul", "ol", "menu"):
        out.close_list()
    elif tag in ("td", "th"):
        out.end_line()
    elif tag in _BLOCKS:
        out.end_block()


def _code_language(node: "LexborNode") -> str | None:
    """Language by the class of ``<pre>`` or its ``<code>``, such as ``language-python``."""
    for candidate in (node, node.css_first("code")):
        for name in ((candidate.attributes.get("class") or "") if candidate is not None else "").split():
            if name.startswith(("language-", "lang-", "highlight-")):
                return name.partition("-")[2][:40] or None
    return None


def _caption(table: "LexborNode") -> str:
    node = table.css_first("caption")
    return " ".join(node.text().split()) if node is not None else ""


def _data_rows(table: "LexborNode") -> list[list[Cell]] | None:
    """The rows of a table of data; None for a table that lays out a page (nested, with headings, or one column)."""
    rows: list[list[Cell]] = []
    for row in table.css("tr"):
        cells: list[Cell] = []
        for cell in row.iter():
            if cell.tag in ("td", "th"):
                if any(inner.tag in _FLOW_IN_CELL for inner in cell.traverse()):
                    return None
                cells.append(Cell(_cell_text(cell), cell.tag == "th", _span(cell, "colspan"), _span(cell, "rowspan")))
        if cells:
            rows.append(cells)
    return rows if len(rows) > 1 and max(sum(cell.columns for cell in row) for row in rows) > 1 else None


def _span(cell: "LexborNode", name: str) -> int:
    """A span attribute, between 1 and 100."""
    value = (cell.attributes.get(name) or "").strip()
    return max(1, min(100, int(value))) if value.isascii() and value.isdigit() and len(value) < 5 else 1


def _cell_text(cell: "LexborNode") -> str:
    """Text of a cell on one line."""
    return _built(cell, is_whole=False).inline()
