"""What of a web page is not its main content: what the markup calls navigation, decoration or hidden, and lists of links.

Only what elements say of themselves is used (tags, roles, classes) and how much of their text is links, never what the
words mean. Whatever holds a good part of the page's text stays, whatever it is called.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from selectolax.lexbor import LexborNode

_NEVER = frozenset(
    {
        "head",
        "script",
        "style",
        "template",
        "noscript",
        "svg",
        "math",
        "iframe",
        "object",
        "embed",
        "canvas",
        "audio",
        "video",
        "source",
        "track",
        "map",
        "area",
        "datalist",
        "dialog",
    }
)
_CONTROLS = frozenset({"button", "select", "option", "input", "textarea"})
_APART = frozenset({"nav", "aside", "footer"})
_APART_ROLES = frozenset({"navigation", "search", "contentinfo", "menu", "menubar", "toolbar", "complementary"})
_APART_CLASSES = frozenset(
    {"mw-editsection", "navbox", "noprint", "headerlink", "skip-link", "sr-only", "visually-hidden"}
)
_APART_WORDS = frozenset(
    {
        "ad",
        "ads",
        "advert",
        "advertisement",
        "banner",
        "breadcrumb",
        "breadcrumbs",
        "comments",
        "consent",
        "cookie",
        "cookies",
        "disqus",
        "footer",
        "gdpr",
        "menu",
        "nav",
        "navbar",
        "navigation",
        "newsletter",
        "pager",
        "pagination",
        "popup",
        "promo",
        "recommendations",
        "recommended",
        "related",
        "relatedposts",
        "respond",
        "share",
        "sharing",
        "sidebar",
        "skip",
        "social",
        "sponsor",
        "sponsored",
        "toc",
        "trending",
    }
)
"""Words in names of classes and ids, mostly those that browsers' reader views go by."""
_LAYOUT_WORDS = frozenset({"body", "content", "for", "grid", "has", "layout", "no", "with", "without"})
"""A name that has one of these as well is of what stands beside the thing named: ``has-sidebar``."""
_NAME_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_LIST_TAGS = frozenset({"div", "ul", "ol", "td", "section", "p", "table"})
_LINK_LIST = 25
_LINKS = 3
_LINKED = 0.8
_LINK_CHARS = 40
_GOOD_PART = 0.3


@dataclass(slots=True)
class _Weight:
    """How much text an element has, and how much of it is links."""

    chars: int = 0
    linked: int = 0
    links: int = 0
    has_main: bool = False

    def add_text(self, text: str, is_in_link: bool) -> None:
        """Count running text."""
        size = len(text.strip())
        self.chars += size
        self.linked += size if is_in_link else 0

    def add(self, below: "_Weight") -> None:
        """Count an element inside."""
        self.chars += below.chars
        self.linked += below.linked
        self.links += below.links
        self.has_main = self.has_main or below.has_main

    @property
    def is_links(self) -> bool:
        """Whether it is a few short links and hardly anything else."""
        is_mostly = self.linked >= _LINKED * self.chars
        return self.links >= _LINKS and is_mostly and self.linked <= _LINK_CHARS * self.links


class Apart:
    """Decides element by element.

    Args:
        root: the part of the page that is read.
        is_whole: only what is never visible is left out.
    """

    def __init__(self, root: "LexborNode", is_whole: bool) -> None:
        self._is_whole = is_whole
        self._is_page = root.tag == "body"
        self._weights = {} if is_whole else _weights(root)
        self._good_part = 0 if is_whole else _GOOD_PART * self._weights[root.mem_id].chars

    def leaves_out(self, node: "LexborNode", tag: str) -> bool:
        """Whether an element is never seen, or (unless the whole page is wanted) is not content."""
        if tag in _NEVER:
            return True
        attributes = node.attributes
        if "hidden" in attributes or "display:none" in (attributes.get("style") or "").replace(" ", "").lower():
            return True
        if self._is_whole:
            return False
        if tag in _CONTROLS or tag in _APART or (attributes.get("role") or "").lower() in _APART_ROLES:
            return True
        if attributes.get("aria-hidden") == "true":
            return True
        classes = (attributes.get("class") or "").split()
        if classes and not _APART_CLASSES.isdisjoint(classes):
            return True
        if tag in ("ul", "ol") and _is_long_link_list(node):
            return True
        if tag == "body" or not self._is_beside(node, tag, [*classes, attributes.get("id") or ""]):
            return False
        weight = self._weights[node.mem_id]
        return weight.chars < self._good_part and not weight.has_main

    def _is_beside(self, node: "LexborNode", tag: str, names: list[str]) -> bool:
        """Whether an element is named as something beside the content, or is links and nothing else.

        Links are looked at only where no element says that it is the main content.
        """
        if any(name and _is_apart_name(name) for name in names):
            return True
        if not self._is_page:
            return False
        parent = node.parent
        if tag == "header" and parent is not None and parent.tag == "body":
            return True
        return tag in _LIST_TAGS and self._weights[node.mem_id].is_links


@lru_cache(4096)
def _is_apart_name(name: str) -> bool:
    words = {word.lower() for word in _NAME_WORD.findall(name[:200])}
    return not _APART_WORDS.isdisjoint(words) and _LAYOUT_WORDS.isdisjoint(words)


def _is_long_link_list(node: "LexborNode") -> bool:
    """A long list of short links and nothing else, as language and category menus are."""
    items = [child for child in node.iter() if child.tag == "li"]
    if len(items) < _LINK_LIST:
        return False
    links = node.css("a")
    linked = sum(len(link.text(strip=True)) for link in links)
    return len(links) >= len(items) and linked >= 0.95 * len(node.text(strip=True)) and linked <= 40 * len(links)


def _weights(root: "LexborNode") -> dict[int, _Weight]:
    """The weight of each element below ``root``, from the leaves up and without recursion (pages nest very deep)."""
    weights: dict[int, _Weight] = {}
    named_main = {node.mem_id for node in root.css("[role=main]")}
    pending: list[tuple[LexborNode, _Weight | None, bool]] = [(root, None, False)]
    while pending:
        node, above, is_in_link = pending.pop()
        tag = node.tag or ""
        if tag == "-text":
            if above is not None:
                above.add_text(node.text_content or "", is_in_link)
            continue
        if tag.startswith(("-", "!")) or tag in _NEVER:
            continue
        if above is not None and node.mem_id in weights:  # its children are done
            above.add(weights[node.mem_id])
            continue
        weight = weights[node.mem_id] = _Weight(has_main=tag in ("h1", "main") or node.mem_id in named_main)
        is_link = tag == "a" and "href" in node.attributes
        weight.links = int(is_link)
        if above is not None:
            pending.append((node, above, is_in_link))
        child = node.child
        while child is not None:
            pending.append((child, weight, is_in_link or is_link))
            child = child.next
    return weights
