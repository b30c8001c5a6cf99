"""PPTX (Office Open XML slides): of each slide its title, text, tables, charts, notes and comments, in show order.

A slide is a ``place`` (``slide 3``) and counts as a page. Text of layouts and masters, dates and slide numbers do not
belong here: they are the same on every slide.
"""

import re
from collections.abc import Iterator
from xml.etree import ElementTree

from cortex_assets.documents.markup_text import MarkupText
from cortex_assets.documents.model import Parsed, ParsedDocument, ParseInput
from cortex_assets.documents.parsers.drawing import DGM, A, C, write_graphic, write_runs
from cortex_assets.documents.parsers.ooxml import (
    FALLBACK,
    R,
    attribute,
    embedded_documents,
    judged,
    one_line,
    parse_package,
    whole_number,
)
from cortex_assets.documents.parsers.package import Package, PackageError, Relation
from cortex_assets.documents.parts import in_parts

MAX_SLIDES = 20_000
MAX_COMMENTS = 5000
_P = "{http://schemas.openxmlformats.org/presentationml/2006/main}"
_P188 = "{http://schemas.microsoft.com/office/powerpoint/2018/8/main}"
_TITLES = ("title", "ctrTitle")
_SLIDE_PART = re.compile(r"ppt/slides/slide\d{1,6}\.xml")
_DULL_TITLE = re.compile(r"(?i)(?:power ?point|microsoft).{0,40}|(?:slide|folie|diapositiv[ae]) ?1|untitled")
_SAME_EVERYWHERE = frozenset({"sldNum", "dt", "ftr", "hdr", "sldImg"})
_GRAPHICS = frozenset({A + "tbl", C + "chart", DGM + "relIds"})


def parse_pptx(source: ParseInput) -> Iterator[Parsed]:
    """Parse a PPTX file and what is embedded in it; a slide that cannot be read makes the document partial."""
    return parse_package(source, "PPTX", "slides", _documents)


def _documents(package: Package, source: ParseInput) -> Iterator[Parsed]:
    main = _main_part(package)
    slides = _slide_parts(package, main)
    authors = _authors(package, main)
    out = MarkupText()
    failed: list[int] = []
    empty: list[int] = []
    for number, part in enumerate(slides, 1):
        out.open_place(f"slide {number}")
        before = len(package.problems)
        try:
            if part is None:
                raise PackageError("a slide is missing")
            _Slide(package, part, out, authors).write()
        except PackageError:
            failed.append(number)
        if len(package.problems) > before:
            failed.append(number)
        if not out.has_place_text():
            empty.append(number)
    out.close_place()
    text, structure = out.text(), out.structure()
    title = package.title()
    if structure.headings and (not title or _DULL_TITLE.fullmatch(title)):
        title = structure.headings[0].title
    failed = sorted(set(failed))
    document = ParsedDocument(
        text,
        "slides",
        title,
        structure=structure,
        reason=f"{_named(failed)} cannot be read, or not whole" if failed else None,
        failed_pages=tuple(failed),
        page_count=len(slides),
        empty_pages=tuple(number for number in empty if number not in failed),
    )
    nothing = "the slides have no text (only pictures or drawings)" if slides else "the presentation has no slides"
    yield from in_parts(judged(document, package, nothing))
    yield from embedded_documents(package, source)


def _main_part(package: Package) -> str:
    """The presentation part; the name of a missing one, where slides can be read without it.

    Raises:
        PackageError: there is neither.
    """
    try:
        return package.main_part("ppt/presentation.xml")
    except PackageError:
        if not _loose_slides(package):
            raise
        return "ppt/presentation.xml"


def _loose_slides(package: Package) -> list[str]:
    """The slides that are there, by file name, for a presentation that does not list them."""
    names = [name for name in package.names if _SLIDE_PART.fullmatch(name)]
    return sorted(names, key=lambda name: (len(name), name))


def _slide_parts(package: Package, main: str) -> list[str | None]:
    """Parts of the slides in show order; None for one that is missing. Without a list, the slides that are there."""
    relations = package.relations(main)
    root = package.optional(main)
    found: list[str | None] = []
    for node in root.findall(f"{_P}sldIdLst/{_P}sldId") if root is not None else ():
        relation = relations.get(node.get(R + "id", ""))
        found.append(relation.target if relation is not None and relation.target in package else None)
    if not any(found):
        loose = _loose_slides(package)
        found = [*loose] or found
        if loose:
            package.problems.append("the list of slides is missing: their order is by file name")
    if len(found) > MAX_SLIDES:
        package.limits.append(f"{len(found) - MAX_SLIDES} slides are left out, the limit is {MAX_SLIDES}")
    return found[:MAX_SLIDES]


def _authors(package: Package, main: str) -> dict[str, str]:
    """Comment authors by id, of both kinds of comments."""
    found: dict[str, str] = {}
    for relation in package.relations(main).values():
        if relation.kind in ("commentAuthors", "authors") and not relation.is_external:
            root = package.optional(relation.target)
            for node in root if root is not None else ():
                found[node.get("id", "")] = " ".join(node.get("name", "").split())
    return found


def _named(numbers: list[int]) -> str:
    """``slide 3`` or ``slides 3, 5``; at most ten are named."""
    more = f" and {len(numbers) - 10} more" if len(numbers) > 10 else ""
    return ("slide " if len(numbers) == 1 else "slides ") + ", ".join(map(str, numbers[:10])) + more


class _Slide:
    """One slide, written to the text.

    Args:
        package: the presentation.
        part: the slide's part.
        out: the text under construction.
        authors: of comments, by id.
    """

    def __init__(self, package: Package, part: str, out: MarkupText, authors: dict[str, str]) -> None:
        self._package, self._out, self._authors = package, out, authors
        self._root = package.tree(part)
        self._relations = package.relations(part)

    def write(self) -> None:
        """Title, then the shapes in the order of the slide, then notes and comments."""
        tree = self._root.find(f"{_P}cSld/{_P}spTree")
        shapes = list(_shapes(tree)) if tree is not None else []
        title = next((shape for shape in shapes if _placeholder(shape) in _TITLES and one_line(shape)), None)
        if title is not None:
            self._out.open_heading(1)
            self._out.words(_paragraphs_on_one_line(title))
            self._out.close_heading()
        if self._root.get("show") in ("0", "false"):
            self._line("(hidden slide)")
        for shape in shapes:
            if shape is not title and _placeholder(shape) not in _SAME_EVERYWHERE:
                self._shape(shape, self._relations)
        for relation in self._relations.values():
            if relation.kind == "notesSlide" and not relation.is_external:
                self._notes(relation.target)
        for relation in self._relations.values():
            if relation.kind == "comments" and not relation.is_external:
                self._comments(relation.target)

    def _shape(self, shape: ElementTree.Element, relations: dict[str, Relation]) -> None:
        """Text of a shape, a graphic frame or a picture (what is said to be on it)."""
        if shape.tag == _P + "graphicFrame":
            for node in shape.iter():
                if node.tag in _GRAPHICS:
                    write_graphic(self._out, node, relations, self._package)
            return
        if shape.tag == _P + "pic":
            about = " ".join(attribute(shape.find(f"{_P}nvPicPr/{_P}cNvPr"), "descr").split())
            if len(about) > 2:
                self._line(about)
            return
        body = shape.find(_P + "txBody")
        if body is not None:
            self._body(body, _placeholder(shape) in ("body", "obj", ""), relations)

    def _body(self, body: ElementTree.Element, is_list: bool, relations: dict[str, Relation]) -> None:
        """Paragraphs of a text body; in a body placeholder several are a list, and levels are kept."""
        paragraphs = [paragraph for paragraph in body.findall(A + "p") if one_line(paragraph)]
        for paragraph in paragraphs:
            properties = paragraph.find(A + "pPr")
            level = whole_number(attribute(properties, "lvl"))
            has_bullet = properties is not None and any(
                properties.find(A + name) is not None for name in ("buChar", "buAutoNum", "buBlip")
            )
            no_bullet = properties is not None and properties.find(A + "buNone") is not None
            if has_bullet or (is_list and not no_bullet and (len(paragraphs) > 1 or level)):
                self._out.open_item(level, "-")
            write_runs(self._out, paragraph, relations)
            self._out.end_line()
        self._out.end_block()

    def _notes(self, part: str) -> None:
        """The speaker's notes."""
        root = self._package.optional(part)
        lines: list[str] = []
        for shape in root.iter(_P + "sp") if root is not None else ():
            body = shape.find(_P + "txBody")
            if body is not None and _placeholder(shape) not in _SAME_EVERYWHERE:
                lines.extend(filter(None, map(one_line, body.findall(A + "p"))))
        if lines:
            self._out.words("Notes: " + lines[0])
            for line in lines[1:]:
                self._out.end_line()
                self._out.words(line)
            self._out.end_block()

    def _comments(self, part: str) -> None:
        """Comments, old and new ones, with their authors and answers."""
        root = self._package.optional(part)
        if root is None:
            return
        for tag in (_P + "cm", _P188 + "cm", _P188 + "reply"):
            for comment in list(root.iter(tag))[:MAX_COMMENTS]:
                body = comment.find(_P + "text")
                text = one_line(body if body is not None else comment.find(_P188 + "txBody"))
                author = self._authors.get(comment.get("authorId", ""), "")
                if text:
                    self._line(f"Comment ({author}): {text}" if author else f"Comment: {text}")

    def _line(self, text: str) -> None:
        self._out.words(text)
        self._out.end_block()


def _shapes(parent: ElementTree.Element) -> Iterator[ElementTree.Element]:
    """Shapes, graphic frames and pictures in order, through groups and alternatives (the first one only)."""
    for child in parent:
        if child.tag in (_P + "sp", _P + "cxnSp", _P + "graphicFrame", _P + "pic"):
            yield child
        elif child.tag != FALLBACK:
            yield from _shapes(child)


def _placeholder(shape: ElementTree.Element) -> str | None:
    """Type of the placeholder that a shape fills, ``""`` for one of no type; None for a free shape."""
    node = shape.find(f"./*/{_P}nvPr/{_P}ph")
    return node.get("type", "") if node is not None else None


def _paragraphs_on_one_line(shape: ElementTree.Element) -> str:
    """Text of a shape, its paragraphs and line breaks as spaces."""
    parts: list[str] = []
    for node in shape.iter():
        if node.tag in (A + "p", A + "br"):
            parts.append(" ")
        elif node.tag == A + "t":
            parts.append(node.text or "")
    return " ".join("".join(parts).split())
