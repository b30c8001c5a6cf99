"""OpenDocument text and slides (ODT, ODP, and their templates); workbooks (ODS) are ``sheets_ods``'.

A slide is a ``place`` (``slide 3``) and counts as a page. Encrypted files are told apart from damaged ones; they cannot
be opened here.
"""

from collections.abc import Iterator
from xml.etree import ElementTree

from cortex_assets.documents.model import Parsed, ParsedDocument, ParseInput
from cortex_assets.documents.parsers.odf_text import DRAW, OFFICE, PRESENTATION, OdfStyles, OdfText
from cortex_assets.documents.parsers.ooxml import judged, one_line, parse_package
from cortex_assets.documents.parsers.package import Package, PackageError
from cortex_assets.documents.parts import in_parts

MAX_SLIDES = 20_000
_ENCRYPTED = ".//{urn:oasis:names:tc:opendocument:xmlns:manifest:1.0}encryption-data"
_TITLE = ".//{http://purl.org/dc/elements/1.1/}title"
_SAME_EVERYWHERE = frozenset({"date-time", "footer", "header", "page-number", "page"})


def parse_odt(source: ParseInput) -> Iterator[Parsed]:
    """Parse an OpenDocument text; text above 4 MiB characters comes in parts."""
    return parse_package(source, "ODT", "word", _text_documents)


def parse_odp(source: ParseInput) -> Iterator[Parsed]:
    """Parse an OpenDocument presentation."""
    return parse_package(source, "ODP", "slides", _slide_documents)


def refuse_encrypted(package: Package) -> None:
    """Raise for a package whose parts are encrypted.

    Raises:
        PackageError: it is encrypted.
    """
    manifest = package.optional("META-INF/manifest.xml")
    if manifest is not None and manifest.find(_ENCRYPTED) is not None:
        raise PackageError(f"encrypted {package.what}: it needs a password; save a copy without one")


def meta_title(package: Package) -> str:
    """The title in the document's properties."""
    root = package.optional("meta.xml")
    return one_line(root.find(_TITLE)) if root is not None else ""


def _content(package: Package, kind: str) -> tuple[ElementTree.Element, OdfText]:
    """The body of a kind, and a walk over it."""
    refuse_encrypted(package)
    root = package.tree("content.xml")
    body = root.find(f"{OFFICE}body/{OFFICE}{kind}")
    if body is None:
        raise PackageError(f"damaged {package.what}: content.xml has no {kind}; open and save it again")
    return body, OdfText(package, OdfStyles(root, package.optional("styles.xml")))


def _text_documents(package: Package, source: ParseInput) -> Iterator[Parsed]:
    body, walk = _content(package, "text")
    walk.blocks(body)
    walk.finish()
    text, structure = walk.out.text(), walk.out.structure()
    title = meta_title(package) or walk.title or (structure.headings[0].title if structure.headings else "")
    has_pictures = any(name.startswith("Pictures/") for name in package.names)
    empty = "the document has no text" + (" (only pictures)" if has_pictures else "")
    yield from in_parts(judged(ParsedDocument(text, "word", title, structure=structure), package, empty))


def _slide_documents(package: Package, source: ParseInput) -> Iterator[Parsed]:
    body, walk = _content(package, "presentation")
    slides = body.findall(DRAW + "page")
    empty: list[int] = []
    for number, slide in enumerate(slides[:MAX_SLIDES], 1):
        walk.out.open_place(f"slide {number}")
        _slide(walk, slide, walk.styles.is_hidden_slide(slide.get(DRAW + "style-name", "")))
        if not walk.out.has_place_text():
            empty.append(number)
    walk.out.close_place()
    if len(slides) > MAX_SLIDES:
        package.limits.append(f"{len(slides) - MAX_SLIDES} slides are left out, the limit is {MAX_SLIDES}")
    text, structure = walk.out.text(), walk.out.structure()
    title = meta_title(package) or (structure.headings[0].title if structure.headings else "")
    document = ParsedDocument(
        text, "slides", title, structure=structure, page_count=len(slides), empty_pages=tuple(empty)
    )
    nothing = "the slides have no text (only pictures or drawings)" if slides else "the presentation has no slides"
    yield from in_parts(judged(document, package, nothing))


def _slide(walk: OdfText, slide: ElementTree.Element, is_hidden: bool) -> None:
    """Title, then the shapes in the order of the slide, then notes and comments."""
    shapes = [shape for shape in slide if shape.get(PRESENTATION + "class") not in _SAME_EVERYWHERE]
    title = next((shape for shape in shapes if shape.get(PRESENTATION + "class") == "title"), None)
    heading = walk.inline(title) if title is not None else ""
    if heading:
        walk.out.open_heading(1)
        walk.out.words(heading)
        walk.out.close_heading()
    if is_hidden:
        walk.out.words("(hidden slide)")
        walk.out.end_block()
    notes = ""
    for shape in shapes:
        if shape.tag == PRESENTATION + "notes":
            frames = [frame for frame in shape if frame.get(PRESENTATION + "class") == "notes"]
            notes = " ".join(filter(None, map(walk.inline, frames)))
        elif shape is not title:
            holder = ElementTree.Element("holder")
            holder.append(shape)
            walk.blocks(holder)
    if notes:
        walk.out.words(f"Notes: {notes}")
        walk.out.end_block()
    walk.finish()
