"""The text of OpenDocument elements (headings, paragraphs, lists, tables, notes, comments), which ODT and ODP share.

Tracked deletions are left out. What files there are, and slides, are ``opendocument``'s.
"""

from xml.etree import ElementTree

from cortex_assets.documents.markup_text import Cell, MarkupText
from cortex_assets.documents.parsers.ooxml import one_line, whole_number
from cortex_assets.documents.parsers.package import Package, resolved

_URN = "urn:oasis:names:tc:opendocument:xmlns:"
OFFICE = f"{{{_URN}office:1.0}}"
TEXT = f"{{{_URN}text:1.0}}"
TABLE = f"{{{_URN}table:1.0}}"
DRAW = f"{{{_URN}drawing:1.0}}"
PRESENTATION = f"{{{_URN}presentation:1.0}}"
STYLE = f"{{{_URN}style:1.0}}"
_CHART = f"{{{_URN}chart:1.0}}"
_SVG = f"{{{_URN}svg-compatible:1.0}}"
_DC = "{http://purl.org/dc/elements/1.1/}"
_XLINK = "{http://www.w3.org/1999/xlink}"
MAX_REPEATED = 100
_MAX_PARENTS = 20
_SHAPES = frozenset(
    DRAW + name
    for name in (
        "frame",
        "custom-shape",
        "rect",
        "ellipse",
        "circle",
        "polygon",
        "path",
        "line",
        "connector",
        "g",
        "caption",
    )
)
_LEFT_OUT = frozenset(
    {
        TEXT + "tracked-changes",
        TEXT + "ruby-text",
        TEXT + "note-citation",
        TEXT + "sequence-decls",
        TEXT + "variable-decls",
        TEXT + "user-field-decls",
        OFFICE + "forms",
        OFFICE + "annotation-end",
        OFFICE + "event-listeners",
    }
)


class OdfStyles:
    """What the styles of a document say: which paragraphs are titles or headings, which lists are numbered.

    Args:
        roots: of ``content.xml`` and ``styles.xml``, those that are there.
    """

    def __init__(self, *roots: ElementTree.Element | None) -> None:
        self._nodes: dict[str, ElementTree.Element] = {}
        self._numbered: dict[str, set[int]] = {}
        for root in roots:
            for node in root.iter(STYLE + "style") if root is not None else ():
                self._nodes.setdefault(node.get(STYLE + "name", ""), node)
            for node in root.iter(TEXT + "list-style") if root is not None else ():
                levels = node.findall(TEXT + "list-level-style-number")
                counted = {whole_number(level.get(TEXT + "level")) for level in levels if _counts(level)}
                self._numbered.setdefault(node.get(STYLE + "name", ""), counted)

    def level(self, name: str) -> int | None:
        """Heading level by a paragraph's style, 0 for the title; None for body text."""
        for _ in range(_MAX_PARENTS):
            node = self._nodes.get(name)
            if name == "Title":
                return 0
            if node is None:
                return None
            outline = whole_number(node.get(STYLE + "default-outline-level"))
            if outline:
                return min(6, outline)
            name = node.get(STYLE + "parent-style-name", "")
        return None

    def is_hidden_slide(self, name: str) -> bool:
        """Whether slides of a style are left out of the show."""
        node = self._nodes.get(name)
        properties = node.find(STYLE + "drawing-page-properties") if node is not None else None
        return properties is not None and properties.get(PRESENTATION + "visibility") == "hidden"

    def is_numbered(self, list_style: str, depth: int) -> bool:
        """Whether lists of a style count at a depth from 1."""
        return depth in self._numbered.get(list_style, ())


def _counts(level: ElementTree.Element) -> bool:
    return bool(level.get(STYLE + "num-format"))


class OdfText:
    """A walk over elements into ``out``; notes and comments are kept until ``finish``.

    Args:
        package: for charts.
        styles: of the document.
    """

    def __init__(self, package: Package, styles: OdfStyles) -> None:
        self.out = MarkupText()
        self.title = ""
        self._package, self.styles = package, styles
        self._notes: list[ElementTree.Element] = []
        self._comments: list[str] = []
        self._lists: list[str] = []

    def blocks(self, parent: ElementTree.Element) -> None:
        """Headings, paragraphs, lists, tables and shapes in order, through sections and other wrappers."""
        for child in parent:
            tag = child.tag
            if tag in (TEXT + "h", TEXT + "p"):
                self._paragraph(child)
            elif tag == TEXT + "list":
                self._list(child)
            elif tag == TABLE + "table":
                self._table(child)
            elif tag in _SHAPES:
                self.shape(child)
            elif tag == OFFICE + "annotation":
                self._comment(child)
            elif tag not in _LEFT_OUT:
                self.blocks(child)

    def shape(self, shape: ElementTree.Element) -> None:
        """Text in a frame or a drawn shape; what a picture is said to show; a chart as its table."""
        about = " ".join(one_line(shape.find(_SVG + name)) for name in ("title", "desc")).strip()
        if len(about) > 2:
            self.out.words(about)
            self.out.end_block()
        for child in shape:
            if child.tag in (DRAW + "text-box", DRAW + "g"):
                self.blocks(child)
            elif child.tag in (TEXT + "p", TEXT + "h"):
                self._paragraph(child)
            elif child.tag == TEXT + "list":
                self._list(child)
            elif child.tag == TABLE + "table":
                self._table(child)
            elif child.tag in _SHAPES:
                self.shape(child)
            elif child.tag == DRAW + "object":
                self._chart(child.get(_XLINK + "href", ""))

    def finish(self) -> None:
        """Write the notes and comments met since the last time."""
        notes, self._notes = self._notes, []
        for note in notes:
            self.blocks(note)
        comments, self._comments = self._comments, []
        for comment in comments:
            self.out.words(comment)
            self.out.end_block()

    def inline(self, parent: ElementTree.Element) -> str:
        """The text of blocks on one line."""
        outer, self.out = self.out, MarkupText()
        lists, self._lists = self._lists, []
        try:
            self.blocks(parent)
            return self.out.inline()
        finally:
            self.out, self._lists = outer, lists

    def _paragraph(self, paragraph: ElementTree.Element) -> None:
        level = self.styles.level(paragraph.get(TEXT + "style-name", ""))
        if paragraph.tag == TEXT + "h":
            level = min(6, max(1, whole_number(paragraph.get(TEXT + "outline-level"))))
        if level is not None:
            self.out.open_heading(max(1, level))
        shapes = self._words(paragraph)
        if level is not None:
            if level == 0 and not self.title:
                self.title = one_line(paragraph)
            self.out.close_heading()
        self.out.end_block()
        for shape in shapes:
            self.shape(shape)

    def _words(self, node: ElementTree.Element) -> list[ElementTree.Element]:
        """Words of a paragraph; returns the shapes met, whose text comes after it."""
        shapes: list[ElementTree.Element] = []
        self.out.words(node.text or "")
        for child in node:
            tag = child.tag
            if tag in (TEXT + "s", TEXT + "tab"):
                self.out.words(" ")
            elif tag == TEXT + "line-break":
                self.out.line_break()
            elif tag == TEXT + "note":
                self._notes.extend(child.findall(TEXT + "note-body"))
            elif tag == OFFICE + "annotation":
                self._comment(child)
            elif tag in _SHAPES:
                shapes.append(child)
            elif tag not in _LEFT_OUT:
                if tag == TEXT + "a":
                    self.out.link(child.get(_XLINK + "href", ""))
                shapes.extend(self._words(child))
            self.out.words(child.tail or "")
        return shapes

    def _comment(self, comment: ElementTree.Element) -> None:
        author = one_line(comment.find(_DC + "creator"))
        text = " ".join(filter(None, map(one_line, comment.iter(TEXT + "p"))))
        if text:
            self._comments.append(f"Comment ({author}): {text}" if author else f"Comment: {text}")

    def _list(self, node: ElementTree.Element) -> None:
        style = node.get(TEXT + "style-name") or (self._lists[-1] if self._lists else "")
        self._lists.append(style)
        self.out.open_list(self.styles.is_numbered(style, len(self._lists)))
        for item in node:
            if item.tag in (TEXT + "list-item", TEXT + "list-header"):
                if item.tag == TEXT + "list-item" and any(child.tag == TEXT + "p" for child in item):
                    self.out.open_item()
                self.blocks(item)
        self.out.close_list()
        self._lists.pop()

    def _chart(self, href: str) -> None:
        """The title and the table of a chart, which is a document of its own in the package."""
        root = self._package.optional(resolved("", f"{href}/content.xml")) if href else None
        chart = root.find(f".//{_CHART}chart") if root is not None else None
        if chart is None:
            return
        title = one_line(chart.find(_CHART + "title"))
        self.out.words(f"Chart: {title}" if title else "Chart")
        self.out.end_line()
        table = chart.find(TABLE + "table")
        if table is not None:
            self._table(table)
        self.out.end_block()

    def _table(self, table: ElementTree.Element) -> None:
        """A table of data, its first row as its head; one cell is a box around text."""
        rows: list[list[Cell]] = []
        for row, is_header in _rows(table, False):
            cells: list[Cell] = []
            for cell in row.findall(TABLE + "table-cell"):
                text = self.inline(cell)
                columns = min(max(1, whole_number(cell.get(TABLE + "number-columns-spanned"))), MAX_REPEATED)
                spanned = min(max(1, whole_number(cell.get(TABLE + "number-rows-spanned"))), MAX_REPEATED)
                repeated = min(max(1, whole_number(cell.get(TABLE + "number-columns-repeated"))), MAX_REPEATED)
                cells.extend([Cell(text, is_header or not rows, columns, spanned)] * (repeated if text else 1))
            if cells:
                repeated = min(max(1, whole_number(row.get(TABLE + "number-rows-repeated"))), MAX_REPEATED)
                rows.extend([cells] * (repeated if any(cell.text for cell in cells) else 1))
        if len(rows) == 1 and len(rows[0]) == 1:
            for row, _ in _rows(table, False):
                for cell in row.findall(TABLE + "table-cell"):
                    self.blocks(cell)
        elif any(cell.text for row in rows for cell in row):
            if len(rows) == 1:
                rows = [[Cell(cell.text, False, cell.columns) for cell in rows[0]]]
            self.out.table(rows)


def _rows(table: ElementTree.Element, is_header: bool) -> list[tuple[ElementTree.Element, bool]]:
    """Rows with whether they are header rows, through groups of rows, but not those of tables in cells."""
    found: list[tuple[ElementTree.Element, bool]] = []
    for child in table:
        if child.tag == TABLE + "table-row":
            found.append((child, is_header))
        elif child.tag in (TABLE + "table-rows", TABLE + "table-row-group", TABLE + "table-header-rows"):
            found.extend(_rows(child, is_header or child.tag == TABLE + "table-header-rows"))
    return found
