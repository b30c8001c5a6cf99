r"""DOCX (Office Open XML text): headings, paragraphs, lists, tables, notes, in the order of the document.

Reads the package's XML itself: python-docx loses content controls and insertions and reads 2,400 paragraphs a second,
kreuzberg escapes characters (``C\\#``) and loses list markers. Deleted text of tracked changes is left out, inserted
text is in. Slides and sheets do not belong here.
"""

import posixpath
import re
import zipfile
import zlib
from collections.abc import Iterator
from xml.etree import ElementTree

from cortex_assets.documents.markup_text import Cell, MarkupText
from cortex_assets.documents.model import ParsedDocument, ParseInput
from cortex_assets.tables import Status

MAX_XML_BYTES = 256 * 1024 * 1024
_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_R = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
_REL = "{http://schemas.openxmlformats.org/package/2006/relationships}"
_DC = "{http://purl.org/dc/elements/1.1/}"
_FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
_STRICT = b"http://purl.oclc.org/ooxml/wordprocessingml/main"
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_LEFT_OUT = frozenset(
    {_W + "del", _W + "moveFrom", _W + "instrText", _W + "delText", _W + "rPr", _W + "tblPr", _W + "sectPr", _FALLBACK}
)
_HEADING_NAME = re.compile(r"heading ([1-9])$")
_ERRORS = (
    zipfile.BadZipFile,
    ElementTree.ParseError,
    KeyError,
    zlib.error,
    EOFError,
    NotImplementedError,
    UnicodeError,
)


class DamagedPackageError(ValueError):
    """The package is no readable DOCX; the message says why."""


def parse_docx(source: ParseInput) -> Iterator[ParsedDocument]:
    """Parse a DOCX file."""
    head = source.stream.read(8)
    source.stream.seek(0)
    if head == _OLE:
        reason = "encrypted: a password is needed (or an old .doc file); save it as .docx without a password"
        yield ParsedDocument("", "word", status=Status.FAILED, reason=reason)
        return
    try:
        with zipfile.ZipFile(source.stream) as package:
            yield _document(_Package(package))
    except DamagedPackageError as error:
        yield ParsedDocument("", "word", status=Status.FAILED, reason=str(error))
    except _ERRORS as error:
        reason = f"damaged DOCX: {type(error).__name__}: {error}; open and save it again"
        yield ParsedDocument("", "word", status=Status.FAILED, reason=reason)
    except RuntimeError as error:
        yield ParsedDocument("", "word", status=Status.FAILED, reason=f"encrypted: {error}; save it without a password")


def _document(package: "_Package") -> ParsedDocument:
    """Walk the body, then the notes that it refers to."""
    body = package.tree(package.main).find(_W + "body")
    if body is None:
        raise DamagedPackageError("damaged DOCX: it has no body; open and save it again")
    walk = _Walk(package)
    walk.blocks(body)
    for kind in ("footnotes", "endnotes"):
        walk.notes(kind)
    text = walk.out.text()
    structure = walk.out.structure()
    title = package.title() or walk.title or (structure.headings[0].title if structure.headings else "")
    if not text:
        reason = "the document has no text" + (" (only pictures)" if package.has_media else "")
        return ParsedDocument("", "word", title, status=Status.EMPTY, reason=reason)
    return ParsedDocument(text, "word", title, structure=structure)


class _Package:
    """The parts of the zip file that are needed, each read once under a size limit."""

    def __init__(self, package: zipfile.ZipFile) -> None:
        self._zip = package
        self._names = set(package.namelist())
        self.main = self._main_part()
        self.folder = posixpath.dirname(self.main)
        self.has_media = any("/media/" in name for name in self._names)
        self.links = {
            relation.get("Id", ""): relation.get("Target", "")
            for relation in self._relations(self.main)
            if relation.get("Type", "").endswith("/hyperlink")
        }
        self.heading_levels, self.list_styles = self._styles()
        self.numbered = self._numbering()

    def tree(self, name: str) -> ElementTree.Element:
        """A part as an element tree.

        Raises:
            DamagedPackageError: it is too large, or declares entities.
        """
        with self._zip.open(name) as part:
            raw = part.read(MAX_XML_BYTES + 1)
        if len(raw) > MAX_XML_BYTES:
            raise DamagedPackageError(f"{name} unpacks to more than {MAX_XML_BYTES} bytes: not read")
        if b"<!DOCTYPE" in raw[:4096] or b"<!ENTITY" in raw[:4096]:
            raise DamagedPackageError(f"{name} declares XML entities, which no DOCX needs: not read")
        return ElementTree.fromstring(raw.replace(_STRICT, _W[1:-1].encode()))  # noqa: S314 - no DTD gets here

    def optional(self, name: str) -> ElementTree.Element | None:
        """A part beside the main one, None where there is none."""
        path = posixpath.join(self.folder, name)
        return self.tree(path) if path in self._names else None

    def title(self) -> str:
        """The title in the core properties."""
        if "docProps/core.xml" not in self._names:
            return ""
        node = self.tree("docProps/core.xml").find(_DC + "title")
        return " ".join((node.text or "").split()) if node is not None else ""

    def _relations(self, name: str) -> list[ElementTree.Element]:
        folder, base = posixpath.split(name)
        path = posixpath.join(folder, "_rels", f"{base}.rels")
        return self.tree(path).findall(_REL + "Relationship") if path in self._names else []

    def _main_part(self) -> str:
        for relation in self._relations(""):
            if relation.get("Type", "").endswith("/officeDocument"):
                return relation.get("Target", "").lstrip("/")
        if "word/document.xml" in self._names:
            return "word/document.xml"
        raise DamagedPackageError("damaged DOCX: it names no main document; open and save it again")

    def _styles(self) -> tuple[dict[str, int], dict[str, tuple[str, int]]]:
        """Style id to heading level (0 = the title), and style id to (numbering id, level), through based-on styles."""
        root = self.optional("styles.xml")
        nodes = (
            {style.get(_W + "styleId", ""): style for style in root.findall(_W + "style")} if root is not None else {}
        )
        levels: dict[str, int] = {}
        lists: dict[str, tuple[str, int]] = {}
        for identifier in nodes:
            current, seen = identifier, set[str]()
            while current in nodes and current not in seen:
                seen.add(current)
                style = nodes[current]
                level = _style_level(style)
                if level is not None:
                    levels.setdefault(identifier, level)
                if (number := _numbering(style.find(_W + "pPr"))) is not None:
                    lists.setdefault(identifier, number)
                current = _value(style.find(_W + "basedOn")) or ""
        return levels, lists

    def _numbering(self) -> dict[tuple[str, int], bool]:
        """(numbering id, level) to whether it counts (True) or has bullets (False)."""
        root = self.optional("numbering.xml")
        if root is None:
            return {}
        formats: dict[tuple[str, int], bool] = {}
        for abstract in root.findall(_W + "abstractNum"):
            for level in abstract.findall(_W + "lvl"):
                form = _value(level.find(_W + "numFmt"))
                formats[abstract.get(_W + "abstractNumId", ""), _int(level.get(_W + "ilvl"))] = form not in (
                    "bullet",
                    "none",
                    None,
                )
        numbered: dict[tuple[str, int], bool] = {}
        for number in root.findall(_W + "num"):
            base = _value(number.find(_W + "abstractNumId"))
            for (abstract_id, depth), counts in formats.items():
                if abstract_id == base:
                    numbered[number.get(_W + "numId", ""), depth] = counts
        return numbered


class _Walk:
    """One pass over a document's blocks into ``out``."""

    def __init__(self, package: _Package) -> None:
        self.out = MarkupText()
        self.title = ""
        self._package = package
        self._counters: dict[tuple[str, int], int] = {}

    def blocks(self, parent: ElementTree.Element) -> None:
        """Paragraphs and tables in order, through content controls and other wrappers."""
        for child in parent:
            if child.tag == _W + "p":
                self._paragraph(child)
            elif child.tag == _W + "tbl":
                self._table(child)
            elif child.tag not in _LEFT_OUT:
                self.blocks(child)

    def notes(self, kind: str) -> None:
        """Footnotes or endnotes at the end of the text."""
        root = self._package.optional(f"{kind}.xml")
        for note in root if root is not None else ():
            if note.get(_W + "type") is None:
                self.blocks(note)

    def _paragraph(self, paragraph: ElementTree.Element) -> None:
        properties = paragraph.find(_W + "pPr")
        style = _value(properties.find(_W + "pStyle")) if properties is not None else None
        level = self._package.heading_levels.get(style or "")
        outline = _value(properties.find(_W + "outlineLvl")) if properties is not None else None
        if level is None and outline is not None and _int(outline) < 6:
            level = _int(outline) + 1
        number = _numbering(properties) or self._package.list_styles.get(style or "")
        if level is not None:
            self.out.open_heading(max(1, level))
        elif number is not None and number[0] != "0":
            self._item(number)
        nested = self._runs(paragraph)
        if level is not None:
            if level == 0 and not self.title:
                self.title = " ".join("".join(paragraph.itertext()).split())
            self.out.close_heading()
        self.out.end_block()
        for box in nested:
            self.blocks(box)

    def _item(self, number: tuple[str, int]) -> None:
        """Begin a list item with its own counter."""
        counts = self._package.numbered.get(number, False)
        self._counters[number] = self._counters.get(number, 0) + 1
        for other in [key for key in self._counters if key[0] == number[0] and key[1] > number[1]]:
            del self._counters[other]
        self.out.open_item(number[1], f"{self._counters[number]}." if counts else "-")

    def _runs(self, parent: ElementTree.Element) -> list[ElementTree.Element]:
        """Words of a paragraph's runs; returns the text boxes met, whose text comes after the paragraph."""
        boxes: list[ElementTree.Element] = []
        for child in parent:
            tag = child.tag
            if tag == _W + "t":
                self.out.words(child.text or "")
            elif tag in (_W + "tab", _W + "ptab"):
                self.out.words("\t")
            elif tag in (_W + "br", _W + "cr"):
                self.out.line_break()
            elif tag == _W + "noBreakHyphen":
                self.out.words("-")
            elif tag == _W + "txbxContent":
                boxes.append(child)
            elif tag not in _LEFT_OUT and tag != _W + "pPr":
                if tag == _W + "hyperlink" and (target := self._package.links.get(child.get(_R + "id", ""))):
                    self.out.link(target)
                boxes.extend(self._runs(child))
        return boxes

    def _table(self, table: ElementTree.Element) -> None:
        """A table of data; one cell is a box around text, and tables within cells are read as text."""
        rows: list[list[Cell]] = []
        merged: dict[int, str] = {}
        for row in table.iter(_W + "tr") if table.find(_W + "tr") is None else _rows(table):
            cells: list[Cell] = []
            column = 0
            for cell in _children(row, _W + "tc"):
                properties = cell.find(_W + "tcPr")
                span = _int(_value(properties.find(_W + "gridSpan")) if properties is not None else None) or 1
                merge = properties.find(_W + "vMerge") if properties is not None else None
                text = self._cell_text(cell)
                if merge is not None and merge.get(_W + "val") != "restart":
                    text = text or merged.get(column, "")
                else:
                    merged[column] = text
                cells.append(Cell(text, columns=max(1, min(span, 100))))
                column += max(1, span)
            if cells:
                rows.append(cells)
        if len(rows) == 1 and len(rows[0]) == 1:
            for cell in table.iter(_W + "tc"):
                self.blocks(cell)
                return
        if rows:
            first = [Cell(cell.text, True, cell.columns) for cell in rows[0]]
            self.out.table([first, *rows[1:]] if len(rows) > 1 else rows)

    def _cell_text(self, cell: ElementTree.Element) -> str:
        inner = _Walk(self._package)
        inner.blocks(cell)
        return inner.out.inline()


def _rows(table: ElementTree.Element) -> Iterator[ElementTree.Element]:
    return _children(table, _W + "tr")


def _children(parent: ElementTree.Element, tag: str) -> Iterator[ElementTree.Element]:
    """Children of a tag, also inside content controls, but not those of nested tables."""
    for child in parent:
        if child.tag == tag:
            yield child
        elif child.tag in (_W + "sdt", _W + "sdtContent", _W + "ins", _W + "customXml"):
            yield from _children(child, tag)


def _style_level(style: ElementTree.Element) -> int | None:
    """Heading level of a style by its name or outline level; 0 for the title style."""
    name = (_value(style.find(_W + "name")) or "").lower()
    if name == "title":
        return 0
    if match := _HEADING_NAME.match(name):
        return min(6, int(match[1]))
    properties = style.find(_W + "pPr")
    outline = _value(properties.find(_W + "outlineLvl")) if properties is not None else None
    return _int(outline) + 1 if outline is not None and _int(outline) < 6 else None


def _numbering(properties: ElementTree.Element | None) -> tuple[str, int] | None:
    """(numbering id, level) of paragraph properties."""
    node = properties.find(_W + "numPr") if properties is not None else None
    if node is None:
        return None
    identifier = _value(node.find(_W + "numId"))
    return (identifier, _int(_value(node.find(_W + "ilvl")))) if identifier is not None else None


def _value(node: ElementTree.Element | None) -> str | None:
    return node.get(_W + "val") if node is not None else None


def _int(value: str | None) -> int:
    return int(value) if value is not None and value.isascii() and value.isdigit() else 0
