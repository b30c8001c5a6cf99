"""XLSX (Office Open XML workbooks): every sheet as a heading and tables of its rows, values as people see them.

Also opens what only looks like XLSX: a binary workbook (XLSB) goes to ``sheets_binary``. A formula counts as its stored
value. Charts' data and pictures do not belong here: the cells have the one, and nothing reads the other.
"""

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from xml.etree import ElementTree

from cortex_assets.documents.model import Parsed, ParsedDocument, ParseInput
from cortex_assets.documents.parsers.drawing import A, C
from cortex_assets.documents.parsers.number_format import BUILT_IN, Show, formatter, plain_number
from cortex_assets.documents.parsers.ooxml import (
    R,
    attribute,
    embedded_documents,
    judged,
    note_end,
    one_line,
    parse_package,
    whole_number,
)
from cortex_assets.documents.parsers.package import Package, PackageError, Relation
from cortex_assets.documents.parsers.sheet_text import Row, Sheet, WorkbookText, clean_cell
from cortex_assets.documents.parsers.sheets_binary import binary_documents
from cortex_assets.documents.parsers.xlsx_rows import Book, Merge, XlsxRows, merges_in, unescaped
from cortex_assets.documents.parsers.xml_stream import StreamError, parsed_blocks

MAX_SHEETS = 10_000
MAX_STRING_CHARS = 256 * 1024 * 1024
MAX_COMMENTS = 5000
MAX_LINKS = 5000
_MERGES_BYTES = 64 * 1024 * 1024
_S = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_THREADED = "{http://schemas.microsoft.com/office/spreadsheetml/2018/threadedcomments}"
_SHEET_PART = re.compile(r"xl/worksheets/sheet\d{1,6}\.xml")
_CELL = re.compile(r"[A-Z]{1,3}\d{1,7}")


def parse_xlsx(source: ParseInput) -> Iterator[Parsed]:
    """Parse a workbook and what is embedded in it; text above 4 MiB characters comes in parts."""
    return parse_package(source, "XLSX", "sheet", _documents)


@dataclass(frozen=True, slots=True)
class _SheetPart:
    """A sheet of the workbook and where its cells are; no part for one that is missing."""

    sheet: Sheet
    part: str
    kind: str


def _documents(package: Package, source: ParseInput) -> Iterator[Parsed]:
    main = _main_part(package)
    if main.lower().endswith(".bin"):
        yield from binary_documents(source, "XLSB")
        return
    root = package.tree(main) if main in package else ElementTree.Element("none")
    relations = package.relations(main)
    sheets = _sheets(root, relations) or _loose_sheets(package)
    book = _book(package, relations, posixpath.dirname(main), root)
    out = WorkbookText(package.title())
    reading = _Reading(package, book, out)
    for sheet in sheets[:MAX_SHEETS]:
        yield from (replace(part, page_count=len(sheets)) for part in reading.read(sheet))
    if len(sheets) > MAX_SHEETS:
        package.limits.append(f"{len(sheets) - MAX_SHEETS} sheets are left out, the limit is {MAX_SHEETS}")
    last = replace(out.last(), page_count=len(sheets))
    yield judged(reading.told(last), package, "the sheets have no cells with values")
    yield from embedded_documents(package, source)


def _main_part(package: Package) -> str:
    """The workbook part; the name of a missing one, where sheets can be read without it.

    Raises:
        PackageError: there is neither.
    """
    try:
        return package.main_part("xl/workbook.xml")
    except PackageError as error:
        if not _loose_sheets(package):
            raise
        package.problems.append(f"{error}: names of sheets are missing")
        return "xl/workbook.xml"


def _loose_sheets(package: Package) -> list[_SheetPart]:
    """The sheets that are there, by file name, for a workbook that does not name them."""
    names = [name for name in package.names if _SHEET_PART.fullmatch(name)]
    names.sort(key=lambda name: (len(name), name))
    return [
        _SheetPart(Sheet(number, posixpath.basename(name)[:-4], False), name, "worksheet")
        for number, name in enumerate(names, 1)
    ]


class _Reading:
    """Reads sheets into the text, and remembers what went wrong."""

    def __init__(self, package: Package, book: Book, out: WorkbookText) -> None:
        self._package, self._book, self._out = package, book, out
        self._failed: list[int] = []
        self._formulas = 0
        self._has_cells = False

    def read(self, sheet: _SheetPart) -> Iterator[ParsedDocument]:
        """Add one sheet and what is attached to it; yields the parts that are full."""
        before = len(self._package.problems) + len(self._package.limits)
        relations = self._package.relations(sheet.part) if sheet.part else {}
        rows = XlsxRows(*self._cells(sheet))
        yield from self._out.sheet(sheet.sheet, self._seen(rows, sheet.sheet.number))
        self._formulas += rows.formulas_without_value
        if rows.strings_missing:
            self._package.problems.append(f"sheet {sheet.sheet.number}: {rows.strings_missing:,} texts are missing")
        lines = list(_attached(self._package, relations))
        self._has_cells = self._has_cells or bool(lines)
        self._out.lines(lines)
        for relation in list(relations.values())[:MAX_LINKS]:
            if relation.kind == "hyperlink" and relation.is_external:
                self._out.link(relation.target)
        if len(self._package.problems) + len(self._package.limits) > before:
            self._failed.append(sheet.sheet.number)

    def told(self, last: ParsedDocument) -> ParsedDocument:
        """The last part with what people should know: rows left out, formulas without values, sheets that failed."""
        out, limits = self._out, self._package.limits
        if out.rows_left_out:
            limits.append(f"{out.rows_left_out:,} rows are left out: the text is at its limit")
        if out.rows_cut:
            limits.append(f"{out.rows_cut:,} rows are too long: their last cells are left out")
        doubt = None
        if self._formulas:
            doubt = f"formulas without a stored value: {self._formulas:,}; open and save the workbook in Excel or LibreOffice"
        has_text = self._has_cells or out.has_parts()
        return replace(
            last,
            text=last.text if has_text else "",
            failed_pages=tuple(self._failed),
            doubt=doubt,
        )

    def _seen(self, rows: XlsxRows, number: int) -> Iterator[Row]:
        """The rows, up to where they are damaged; that is noted."""
        try:
            for row in rows.rows():
                self._has_cells = True
                yield row
        except (StreamError, PackageError) as error:
            note_end(self._package, f"sheet {number}", error)

    def _cells(self, sheet: _SheetPart) -> tuple[Iterator[bytes], Book, list[Merge]]:
        """The blocks of a sheet's part, and its merged cells where the part is not too large to look for them first."""
        if sheet.kind != "worksheet":
            return iter((b"<none/>",)), self._book, []
        if sheet.part not in self._package:
            return _missing(), self._book, []
        if self._package.size(sheet.part)[0] > _MERGES_BYTES:
            return self._package.blocks(sheet.part), self._book, []
        blocks = list(self._package.blocks(sheet.part))
        return iter(blocks), self._book, merges_in(b"".join(blocks)[-_MERGES_BYTES:])


def _missing() -> Iterator[bytes]:
    """The bytes of a part that is not there."""
    yield from ()
    raise StreamError("its cells are missing from the file")


def _sheets(root: ElementTree.Element, relations: dict[str, Relation]) -> list[_SheetPart]:
    """The sheets in the order of their tabs."""
    found: list[_SheetPart] = []
    for number, node in enumerate(root.iterfind(f"{_S}sheets/{_S}sheet"), 1):
        relation = relations.get(node.get(R + "id", ""))
        is_hidden = node.get("state") in ("hidden", "veryHidden")
        part, kind = (relation.target, relation.kind) if relation is not None else ("", "worksheet")
        found.append(_SheetPart(Sheet(number, node.get("name", ""), is_hidden), part, kind))
    return found


def _book(package: Package, relations: dict[str, Relation], folder: str, root: ElementTree.Element) -> Book:
    """Shared strings and styles."""
    by_kind = {relation.kind: relation.target for relation in relations.values() if not relation.is_external}
    strings_part = by_kind.get("sharedStrings", f"{folder}/sharedStrings.xml")
    strings = _strings(package, strings_part) if strings_part in package else []
    styles = package.optional(by_kind.get("styles", f"{folder}/styles.xml"))
    has_1904_dates = attribute(root.find(_S + "workbookPr"), "date1904") in ("1", "true")
    shows, bold = _styles(styles, has_1904_dates)
    return Book(strings, shows, bold)


def _styles(root: ElementTree.Element | None, has_1904_dates: bool) -> tuple[list[Show], list[bool]]:
    """Of each cell style, what shows its numbers, and whether it is bold."""
    if root is None:
        return [], []
    codes = dict(BUILT_IN)
    for node in root.iterfind(f"{_S}numFmts/{_S}numFmt"):
        codes[whole_number(node.get("numFmtId"))] = node.get("formatCode", "")[:255]
    made: dict[str, Show] = {}
    fonts = []
    for font in root.iterfind(f"{_S}fonts/{_S}font"):
        mark = font.find(_S + "b")
        fonts.append(mark is not None and mark.get("val") not in ("0", "false"))
    shows: list[Show] = []
    bold: list[bool] = []
    for style in root.iterfind(f"{_S}cellXfs/{_S}xf"):
        code = codes.get(whole_number(style.get("numFmtId")), "")
        if code not in made:
            made[code] = formatter(code, has_1904_dates) if code else plain_number
        shows.append(made[code])
        font_number = whole_number(style.get("fontId"))
        bold.append(font_number < len(fonts) and fonts[font_number])
    return shows, bold


def _strings(package: Package, part: str) -> list[str]:
    """The shared strings; where the part is damaged, those before the damage, and a problem is noted."""
    reader = _StringReader()
    try:
        for _ in parsed_blocks(package.blocks(part), reader.start, reader.end, reader.text):
            pass
    except StreamError:
        package.problems.append("the shared texts of the cells are damaged: cells are missing")
    except PackageError as error:
        package.problems.append(str(error))
    return reader.strings


class _StringReader:
    """Texts of shared strings, without phonetic guides; its methods are called for tags and text.

    Attributes:
        strings: those that have ended, clean.
    """

    def __init__(self) -> None:
        self.strings: list[str] = []
        self._buffer: list[str] = []
        self._taking = self._phonetic = False
        self._chars = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """A tag begins."""
        if name == "t":
            self._taking = not self._phonetic
        elif name == "rPh":
            self._phonetic = True
        elif name == "si":
            self._buffer = []

    def text(self, data: str) -> None:
        """Text between tags."""
        if self._taking:
            self._buffer.append(data)
            self._chars += len(data)
            if self._chars > MAX_STRING_CHARS:
                raise StreamError("too many shared texts")

    def end(self, name: str) -> None:
        """A tag ends."""
        if name == "t":
            self._taking = False
        elif name == "rPh":
            self._phonetic = False
        elif name == "si":
            self.strings.append(clean_cell(unescaped("".join(self._buffer))))


def _attached(package: Package, relations: dict[str, Relation]) -> Iterator[str]:
    """Lines of what is attached to a sheet: comments, titles of charts, text boxes."""
    parts = {kind: [r.target for r in relations.values() if r.kind == kind and not r.is_external] for kind in _ATTACHED}
    for part in parts["comments"]:
        root = package.optional(part)
        if root is None:
            continue
        authors = [one_line(node) for node in root.iterfind(f"{_S}authors/{_S}author")]
        for comment in root.findall(f"{_S}commentList/{_S}comment")[:MAX_COMMENTS]:
            text = one_line(comment.find(_S + "text"))
            number = whole_number(comment.get("authorId"))
            author = authors[number] if number < len(authors) else ""
            if text and not text.startswith("[Threaded comment]"):
                yield _comment(comment.get("ref", ""), "" if author.startswith("tc=") else author, text)
    for part in parts["threadedComment"]:
        root = package.optional(part)
        for comment in (root.findall(_THREADED + "threadedComment") if root is not None else [])[:MAX_COMMENTS]:
            if text := one_line(comment.find(_THREADED + "text")):
                yield _comment(comment.get("ref", ""), "", text)
    for part in parts["drawing"]:
        yield from _drawn(package, part)


_ATTACHED = ("comments", "threadedComment", "drawing")


def _comment(cell: str, author: str, text: str) -> str:
    place = f" on {cell}" if _CELL.fullmatch(cell) else ""
    return f"Comment{place}{f' ({author})' if author else ''}: {text.removeprefix(f'{author}:').strip()}"


def _drawn(package: Package, part: str) -> Iterator[str]:
    """Text boxes of a sheet's drawing, then the titles of its charts."""
    root = package.optional(part)
    for paragraph in root.iter(A + "p") if root is not None else ():
        yield one_line(paragraph)
    for relation in package.relations(part).values() if root is not None else ():
        if relation.kind == "chart" and not relation.is_external:
            chart = package.optional(relation.target)
            title = chart.findall(f"{C}chart/{C}title//{A}t") if chart is not None else []
            if title:
                yield "Chart: " + "".join(node.text or "" for node in title)
