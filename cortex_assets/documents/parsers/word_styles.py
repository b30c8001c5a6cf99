"""What the styles and numbering of a DOCX file say about its paragraphs: which are headings, which are list items.

Walking the text is ``docx``'s.
"""

import re
from collections import defaultdict
from xml.etree import ElementTree

from cortex_assets.documents.parsers.ooxml import whole_number
from cortex_assets.documents.parsers.package import Package

W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_HEADING_NAME = re.compile(r"heading ([1-9])$")
_MAX_BASES = 20


class WordStyles:
    """The styles and numbering of one document; a file without them has neither headings nor lists by style.

    Attributes:
        heading_levels: style id to heading level; 0 is the title.
        list_styles: style id to (numbering id, level).
        numbered: (numbering id, level) to whether it counts (True) or has bullets (False).
    """

    def __init__(self, package: Package, folder: str) -> None:
        self.heading_levels, self.list_styles = _styles(package.optional(f"{folder}/styles.xml"))
        self.numbered = _numbered(package.optional(f"{folder}/numbering.xml"))


def value(node: ElementTree.Element | None) -> str | None:
    """The ``w:val`` of an element; None where either is missing."""
    return node.get(W + "val") if node is not None else None


def outline_level(properties: ElementTree.Element | None) -> int | None:
    """Heading level 1..6 by the outline level in paragraph properties; None for body text."""
    outline = value(properties.find(W + "outlineLvl")) if properties is not None else None
    return whole_number(outline) + 1 if outline is not None and whole_number(outline) < 6 else None


def numbering(properties: ElementTree.Element | None) -> tuple[str, int] | None:
    """(numbering id, level) of paragraph properties."""
    node = properties.find(W + "numPr") if properties is not None else None
    if node is None:
        return None
    identifier = value(node.find(W + "numId"))
    return (identifier, whole_number(value(node.find(W + "ilvl")))) if identifier is not None else None


def _styles(root: ElementTree.Element | None) -> tuple[dict[str, int], dict[str, tuple[str, int]]]:
    """Heading levels and list styles, through the styles that a style is based on."""
    nodes = {style.get(W + "styleId", ""): style for style in root.findall(W + "style")} if root is not None else {}
    levels: dict[str, int] = {}
    lists: dict[str, tuple[str, int]] = {}
    for identifier in nodes:
        current = identifier
        for _ in range(_MAX_BASES):
            style = nodes.get(current)
            if style is None:
                break
            level = _style_level(style)
            if level is not None:
                levels.setdefault(identifier, level)
            if (number := numbering(style.find(W + "pPr"))) is not None:
                lists.setdefault(identifier, number)
            current = value(style.find(W + "basedOn")) or ""
    return levels, lists


def _style_level(style: ElementTree.Element) -> int | None:
    """Heading level of a style by its name or outline level; 0 for the title style."""
    name = (value(style.find(W + "name")) or "").lower()
    if name == "title":
        return 0
    if match := _HEADING_NAME.match(name):
        return min(6, int(match[1]))
    return outline_level(style.find(W + "pPr"))


def _numbered(root: ElementTree.Element | None) -> dict[tuple[str, int], bool]:
    """(numbering id, level) to whether it counts."""
    if root is None:
        return {}
    formats: dict[str, list[tuple[int, bool]]] = defaultdict(list)
    for abstract in root.findall(W + "abstractNum"):
        for level in abstract.findall(W + "lvl")[:9]:
            counts = value(level.find(W + "numFmt")) not in ("bullet", "none", None)
            formats[abstract.get(W + "abstractNumId", "")].append((whole_number(level.get(W + "ilvl")), counts))
    return {
        (number.get(W + "numId", ""), depth): counts
        for number in root.findall(W + "num")
        for depth, counts in formats.get(value(number.find(W + "abstractNumId")) or "", ())
    }
