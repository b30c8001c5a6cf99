"""EPUB books: the chapters in reading order, each by the HTML parser; titles from the table of contents.

A chapter is a ``place`` (``chapter 3``). Protected books (DRM) are told apart from damaged ones; nothing opens them.
"""

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from cortex_assets.documents.decode import NotTextError, decode_as
from cortex_assets.documents.model import Heading, Parsed, ParsedDocument, ParseInput, Place, Structure
from cortex_assets.documents.parsers.html import html_document
from cortex_assets.documents.parsers.ooxml import attribute, judged, one_line, parse_package
from cortex_assets.documents.parsers.package import Package, PackageError, resolved
from cortex_assets.documents.parts import in_parts, shifted

MAX_CHAPTERS = 20_000
MAX_CHAPTER_BYTES = 32 * 1024 * 1024
MAX_CHARS = 64 * 1024 * 1024
_OPF = "{http://www.idpf.org/2007/opf}"
_DC = "{http://purl.org/dc/elements/1.1/}"
_NCX = "{http://www.daisy.org/z3986/2005/ncx/}"
_ENCRYPTION = "{http://www.w3.org/2001/04/xmlenc#}"
_ROOT_FILE = ".//{urn:oasis:names:tc:opendocument:xmlns:container}rootfile"
_FONT_METHODS = ("http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC")
_XML_ENCODING = re.compile(rb"\s*<\?xml[^>]{0,200}?encoding\s*=\s*[\"']([A-Za-z0-9_.:-]{1,40})")
_EMPTY_TAG = re.compile(r"<([A-Za-z][\w:.-]*)((?:\s[^<>]*)?)/>")
_VOID = frozenset(
    {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr"}
)
_APART = re.compile(r"<(/?)(?:aside|nav|footer)\b", re.IGNORECASE)


def parse_epub(source: ParseInput) -> Iterator[Parsed]:
    """Parse an EPUB book; text above 4 MiB characters comes in parts."""
    return parse_package(source, "EPUB", "book", _documents)


@dataclass(frozen=True, slots=True)
class _Book:
    """What the book's package document says.

    Attributes:
        title: of the book.
        chapters: parts of the chapters in reading order; empty for one that the book does not say where it is.
        titles: of parts, by the table of contents.
    """

    title: str
    chapters: list[str]
    titles: dict[str, str]


def _documents(package: Package, source: ParseInput) -> Iterator[Parsed]:
    book = _book(package)
    protected = _protected(package)
    if protected and any(chapter in protected for chapter in book.chapters):
        reason = (
            "encrypted EPUB (DRM): its chapters are protected; get a copy without protection from where it was bought"
        )
        raise PackageError(reason)
    texts: list[str] = []
    structures: list[Structure] = []
    places: list[Place] = []
    failed: list[int] = []
    size = 0
    for number, part in enumerate(book.chapters, 1):
        try:
            chapter = _chapter(package, part, book.titles.get(part, ""))
        except (PackageError, NotTextError):
            failed.append(number)
            continue
        if not chapter.text:
            continue
        start = size + (2 if texts else 0)
        if start + len(chapter.text) > MAX_CHARS:
            package.problems.append(f"the text is at its limit: chapters from {number} on are left out; split the book")
            break
        texts.append(chapter.text)
        structures.append(shifted(chapter.structure, start))
        size = start + len(chapter.text)
        places.append(Place(f"chapter {number}", start, size))
    structure = _joined(structures, places)
    problem = f"{_named(failed)} cannot be read" if failed else None
    title = book.title or (structure.headings[0].title if structure.headings else "")
    document = ParsedDocument(
        "\n\n".join(texts), "book", title, structure=structure, reason=problem, failed_pages=tuple(failed)
    )
    nothing = "the chapters have no text (only pictures)" if book.chapters else "the book names no chapters"
    yield from in_parts(judged(document, package, nothing))


def _book(package: Package) -> _Book:
    """Read the package document and the table of contents."""
    opf = _package_document(package)
    root = package.tree(opf)
    folder = posixpath.dirname(opf)
    items: dict[str, tuple[str, str, str]] = {}
    for item in root.iterfind(f"{_OPF}manifest/{_OPF}item"):
        target = resolved(folder, item.get("href", ""))
        items[item.get("id", "")] = (target, item.get("media-type", ""), item.get("properties", ""))
    spine = root.find(_OPF + "spine")
    navigation = next((target for target, _, properties in items.values() if "nav" in properties.split()), "")
    chapters = [
        items.get(node.get("idref", ""), ("", "", ""))[0]
        for node in (spine.findall(_OPF + "itemref") if spine is not None else [])
    ]
    if not chapters:
        chapters = [target for target, media, _ in items.values() if "html" in media]
    ncx = items.get(attribute(spine, "toc"), ("", "", ""))[0]
    ncx = ncx or next((target for target, media, _ in items.values() if media == "application/x-dtbncx+xml"), "")
    titles = _navigation_titles(package, navigation) or _ncx_titles(package, ncx)
    title = one_line(root.find(f"{_OPF}metadata/{_DC}title"))
    return _Book(title, [part for part in chapters if part != navigation][:MAX_CHAPTERS], titles)


def _package_document(package: Package) -> str:
    """Name of the package document.

    Raises:
        PackageError: there is none.
    """
    container = package.optional("META-INF/container.xml")
    node = container.find(_ROOT_FILE) if container is not None else None
    named = resolved("", node.get("full-path", "")) if node is not None else ""
    if named and named in package:
        return named
    found = next((name for name in package.names if name.lower().endswith(".opf")), None)
    if found is None:
        raise PackageError("damaged EPUB: it has no package document (.opf); get the book again")
    return found


def _protected(package: Package) -> set[str]:
    """Parts that are encrypted by more than the scrambling of fonts."""
    root = package.optional("META-INF/encryption.xml")
    found: set[str] = set()
    for data in root.iter(_ENCRYPTION + "EncryptedData") if root is not None else ():
        method = data.find(_ENCRYPTION + "EncryptionMethod")
        if method is not None and method.get("Algorithm") in _FONT_METHODS:
            continue
        found.update(resolved("", node.get("URI", "")) for node in data.iter(_ENCRYPTION + "CipherReference"))
    return found


def _navigation_titles(package: Package, part: str) -> dict[str, str]:
    """Titles of parts by the navigation document of EPUB 3; of several in a part, the first."""
    from selectolax.lexbor import LexborHTMLParser

    if not part or part not in package:
        return {}
    try:
        text = _markup(package.content(part, MAX_CHAPTER_BYTES))
    except (PackageError, NotTextError):
        return {}
    folder = posixpath.dirname(part)
    found: dict[str, str] = {}
    for link in LexborHTMLParser(text).css("ol a[href]"):
        target = resolved(folder, link.attributes.get("href") or "")
        found.setdefault(target, " ".join(link.text().split())[:300])
    return found


def _ncx_titles(package: Package, part: str) -> dict[str, str]:
    """Titles of parts by the table of contents of EPUB 2."""
    root = package.optional(part) if part else None
    folder = posixpath.dirname(part)
    found: dict[str, str] = {}
    for point in root.iter(_NCX + "navPoint") if root is not None else ():
        content = point.find(_NCX + "content")
        target = resolved(folder, content.get("src", "")) if content is not None else ""
        found.setdefault(target, one_line(point.find(_NCX + "navLabel"))[:300])
    return found


def _chapter(package: Package, part: str, title: str) -> ParsedDocument:
    """One chapter; one that has no heading gets the title that the table of contents gives it.

    Raises:
        PackageError: it is missing or too large.
        NotTextError: it is no text.
    """
    if posixpath.splitext(part)[1].lower() in (".svg", ".jpg", ".jpeg", ".png", ".gif"):
        return ParsedDocument("", "book")
    document = html_document(_markup(package.content(part, MAX_CHAPTER_BYTES)))
    structure = replace(document.structure, links=tuple(filter(_is_outside, document.structure.links)))
    if not document.text or structure.headings or not title:
        return replace(document, structure=structure)
    head = f"# {title}"
    structure = shifted(structure, len(head) + 2)
    structure = replace(structure, headings=(Heading(1, title, 0), *structure.headings))
    return replace(document, text=f"{head}\n\n{document.text}", structure=structure)


def _markup(raw: bytes) -> str:
    """XHTML as HTML: ``<a/>`` is closed, and notes and the like are plain parts of the text."""
    declared = _XML_ENCODING.match(raw)
    text = decode_as(raw, declared[1].decode("ascii") if declared is not None else None).text
    text = _EMPTY_TAG.sub(lambda tag: tag[0] if tag[1].lower() in _VOID else f"<{tag[1]}{tag[2]}></{tag[1]}>", text)
    return _APART.sub(r"<\1div", text)


def _is_outside(link: str) -> bool:
    return link.startswith(("http://", "https://", "mailto:", "doi:", "urn:"))


def _joined(structures: list[Structure], places: list[Place]) -> Structure:
    """The structures of all chapters as one."""
    return Structure(
        tuple(heading for structure in structures for heading in structure.headings),
        (),
        tuple(block for structure in structures for block in structure.blocks),
        tuple(dict.fromkeys(link for structure in structures for link in structure.links)),
        tuple(places),
    )


def _named(numbers: list[int]) -> str:
    """``chapter 3`` or ``chapters 3, 5``; at most ten are named."""
    more = f" and {len(numbers) - 10} more" if len(numbers) > 10 else ""
    return ("chapter " if len(numbers) == 1 else "chapters ") + ", ".join(map(str, numbers[:10])) + more
