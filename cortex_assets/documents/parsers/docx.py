r"""DOCX (Office Open XML text): headings, paragraphs, lists, tables, charts, notes, comments, in the document's order.

Reads the package's XML itself: python-docx loses content controls and insertions and reads 2,400 paragraphs a second,
kreuzberg escapes characters (``C\\#``) and loses list markers. Deleted text of tracked changes is left out, inserted
text is in. Embedded files are inner documents. Slides and sheets do not belong here.
"""

import posixpath
from collections.abc import Iterator
from xml.etree import ElementTree

from cortex_assets.documents.markup_text import Cell, MarkupText
from cortex_assets.documents.model import Parsed, ParsedDocument, ParseInput
from cortex_assets.documents.parsers.drawing import DGM, C, write_graphic
from cortex_assets.documents.parsers.ooxml import (
    FALLBACK,
    R,
    embedded_documents,
    judged,
    one_line,
    parse_package,
    whole_number,
)
from cortex_assets.documents.parsers.package import Package, PackageError
from cortex_assets.documents.parsers.word_styles import W, WordStyles, numbering, outline_level, value
from cortex_assets.documents.parts import in_parts

MAX_COMMENTS = 20_000
_PAGE_NUMBER_LETTERS = 8
"""A header with no more letters says where one is (``Page 1 of 3``)."""
_LEFT_OUT = frozenset(
    {W + "del", W + "moveFrom", W + "instrText", W + "delText", W + "rPr", W + "tblPr", W + "sectPr", FALLBACK}
)
_WRAPPERS = (W + "sdt", W + "sdtContent", W + "ins", W + "customXml")


def parse_docx(source: ParseInput) -> Iterator[Parsed]:
    """Parse a DOCX file, and what is embedded in it; text above 4 MiB characters comes in parts."""
    return parse_package(source, "DOCX", "word", _documents)


def _documents(package: Package, source: ParseInput) -> Iterator[Parsed]:
    """Walk the body, then what belongs to it: notes, comments, headers and footers, embedded files."""
    main = package.main_part("word/document.xml")
    body = package.tree(main).find(W + "body")
    if body is None:
        raise PackageError("damaged DOCX: it has no body; open and save it again")
    walk = _Walk(package, main)
    walk.blocks(body)
    for kind in ("footnotes", "endnotes"):
        walk.notes(kind)
    walk.comments()
    walk.headers_and_footers()
    text = walk.out.text()
    structure = walk.out.structure()
    title = package.title() or walk.title or (structure.headings[0].title if structure.headings else "")
    has_media = any("/media/" in name for name in package.names)
    empty = "the document has no text" + (" (only pictures)" if has_media else "")
    yield from in_parts(judged(ParsedDocument(text, "word", title, structure=structure), package, empty))
    yield from embedded_documents(package, source)


class _Walk:
    """One pass over a document's blocks into ``out``."""

    def __init__(self, package: Package, main: str) -> None:
        self.out = MarkupText()
        self.title = ""
        self._package = package
        self._folder = posixpath.dirname(main)
        self._relations = package.relations(main)
        self._styles = WordStyles(package, self._folder)
        self._counters: dict[tuple[str, int], int] = {}

    def blocks(self, parent: ElementTree.Element) -> None:
        """Paragraphs and tables in order, through content controls and other wrappers."""
        for child in parent:
            if child.tag == W + "p":
                self._paragraph(child)
            elif child.tag == W + "tbl":
                self._table(child)
            elif child.tag not in _LEFT_OUT:
                self.blocks(child)

    def notes(self, kind: str) -> None:
        """Footnotes or endnotes at the end of the text."""
        root = self._package.optional(f"{self._folder}/{kind}.xml")
        for note in root if root is not None else ():
            if note.get(W + "type") is None:
                self.blocks(note)

    def comments(self) -> None:
        """Comments, each with its author."""
        root = self._package.optional(f"{self._folder}/comments.xml")
        for comment in (root.findall(W + "comment") if root is not None else [])[:MAX_COMMENTS]:
            text = self._inline(comment)
            author = " ".join(comment.get(W + "author", "").split())
            if text:
                self._line(f"Comment ({author}): {text}" if author else f"Comment: {text}")

    def headers_and_footers(self) -> None:
        """Headers and footers, each text once; none that the body says, and no bare page numbers."""
        said = " ".join(self.out.text().split())
        seen: set[str] = set()
        for relation in self._relations.values():
            if relation.kind not in ("header", "footer") or relation.is_external:
                continue
            root = self._package.optional(relation.target)
            text = self._inline(root) if root is not None else ""
            if text and text not in seen and text not in said and sum(map(str.isalpha, text)) > _PAGE_NUMBER_LETTERS:
                seen.add(text)
                self._line(f"{relation.kind.capitalize()}: {text}")

    def _line(self, text: str) -> None:
        self.out.words(text)
        self.out.end_block()

    def _inline(self, parent: ElementTree.Element) -> str:
        """The text of blocks on one line; their headings and lists are those of this document."""
        outer, self.out = self.out, MarkupText()
        try:
            self.blocks(parent)
            return self.out.inline()
        finally:
            self.out = outer

    def _paragraph(self, paragraph: ElementTree.Element) -> None:
        properties = paragraph.find(W + "pPr")
        style = value(properties.find(W + "pStyle")) if properties is not None else None
        level = self._styles.heading_levels.get(style or "")
        if level is None:
            level = outline_level(properties)
        number = numbering(properties) or self._styles.list_styles.get(style or "")
        if level is not None:
            self.out.open_heading(max(1, level))
        elif number is not None and number[0] != "0":
            self._item(number)
        nested = self._runs(paragraph)
        if level is not None:
            if level == 0 and not self.title:
                self.title = one_line(paragraph)
            self.out.close_heading()
        self.out.end_block()
        for box in nested:
            if box.tag == W + "txbxContent":
                self.blocks(box)
            else:
                write_graphic(self.out, box, self._relations, self._package)

    def _item(self, number: tuple[str, int]) -> None:
        """Begin a list item with its own counter."""
        counts = self._styles.numbered.get(number, False)
        self._counters[number] = self._counters.get(number, 0) + 1
        for depth in range(number[1] + 1, 10):
            self._counters.pop((number[0], depth), None)
        self.out.open_item(number[1], f"{self._counters[number]}." if counts else "-")

    def _runs(self, parent: ElementTree.Element) -> list[ElementTree.Element]:
        """Words of a paragraph's runs; returns the text boxes and charts met, whose text comes after the paragraph."""
        boxes: list[ElementTree.Element] = []
        for child in parent:
            tag = child.tag
            if tag == W + "t":
                self.out.words(child.text or "")
            elif tag in (W + "tab", W + "ptab"):
                self.out.words("\t")
            elif tag in (W + "br", W + "cr"):
                self.out.line_break()
            elif tag == W + "noBreakHyphen":
                self.out.words("-")
            elif tag in (W + "txbxContent", C + "chart", DGM + "relIds"):
                boxes.append(child)
            elif tag not in _LEFT_OUT and tag != W + "pPr":
                if tag == W + "hyperlink" and (relation := self._relations.get(child.get(R + "id", ""))):
                    self.out.link(relation.target)
                boxes.extend(self._runs(child))
        return boxes

    def _table(self, table: ElementTree.Element) -> None:
        """A table of data; one cell is a box around text, and tables within cells are read as text."""
        rows: list[list[Cell]] = []
        merged: dict[int, str] = {}
        for row in _children(table, W + "tr"):
            properties = row.find(W + "trPr")
            if properties is not None and properties.find(W + "del") is not None:
                continue
            cells: list[Cell] = []
            column = 0
            for cell in _children(row, W + "tc"):
                properties = cell.find(W + "tcPr")
                span = whole_number(value(properties.find(W + "gridSpan"))) if properties is not None else 1
                merge = properties.find(W + "vMerge") if properties is not None else None
                text = self._inline(cell)
                if merge is not None and merge.get(W + "val") != "restart":
                    text = text or merged.get(column, "")
                else:
                    merged[column] = text
                span = max(1, min(span, 100))
                cells.append(Cell(text, columns=span))
                column += span
            if cells:
                rows.append(cells)
        if len(rows) == 1 and len(rows[0]) == 1:
            for cell in table.iter(W + "tc"):
                self.blocks(cell)
                return
        if rows:
            first = [Cell(cell.text, True, cell.columns) for cell in rows[0]]
            self.out.table([first, *rows[1:]] if len(rows) > 1 else rows)


def _children(parent: ElementTree.Element, tag: str) -> Iterator[ElementTree.Element]:
    """Children of a tag, also inside content controls, but not those of nested tables."""
    for child in parent:
        if child.tag == tag:
            yield child
        elif child.tag in _WRAPPERS:
            yield from _children(child, tag)
