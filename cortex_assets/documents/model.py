"""What parsers take and give: values only.

The registry is ``documents.registry``; each format family is one module in ``parsers/``.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from cortex_assets.tables import Status


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading: level 1..6, its title, and where its line starts in the document's text (characters)."""

    level: int
    title: str
    start: int


@dataclass(frozen=True, slots=True)
class Page:
    """A page (slide, sheet): its number from 1 and its span in the document's text (characters)."""

    number: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Block:
    """A span that is best not cut.

    Its kind is ``table`` (``head_end`` = end of its header rows), ``code`` (with its language) or ``front_matter``.
    """

    kind: str
    start: int
    end: int
    head_end: int | None = None
    language: str | None = None


@dataclass(frozen=True, slots=True)
class Structure:
    """Headings, pages and blocks of a document, each sorted by start; offsets are characters of the document's text."""

    headings: tuple[Heading, ...] = ()
    pages: tuple[Page, ...] = ()
    blocks: tuple[Block, ...] = ()
    links: tuple[str, ...] = ()

    def to_json(self) -> str:
        """Canonical JSON (sorted keys, no white space)."""
        plain = {
            "blocks": [
                {
                    "end": block.end,
                    "head_end": block.head_end,
                    "kind": block.kind,
                    "language": block.language,
                    "start": block.start,
                }
                for block in self.blocks
            ],
            "headings": [{"level": h.level, "start": h.start, "title": h.title} for h in self.headings],
            "links": self.links,
            "pages": [{"end": page.end, "number": page.number, "start": page.start} for page in self.pages],
        }
        return json.dumps(plain, separators=(",", ":"), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> "Structure":
        """Inverse of ``to_json``."""
        raw = json.loads(text)
        return cls(
            tuple(Heading(**h) for h in raw["headings"]),
            tuple(Page(**p) for p in raw["pages"]),
            tuple(Block(**b) for b in raw["blocks"]),
            tuple(raw["links"]),
        )


@dataclass(frozen=True, slots=True)
class ParseInput:
    """One file to parse.

    Attributes:
        stream: the bytes, readable and seekable.
        size: number of bytes.
        path: display path (for its suffix and a fallback title; never opened).
        media_type: as found by content.
    """

    stream: BinaryIO
    size: int
    path: str
    media_type: str


@dataclass(frozen=True, slots=True)
class ParsedDocument:
    """What a parser gives for a file, or for one part of it. Status ``failed`` has no text, and a reason says why."""

    text: str
    kind: str
    title: str = ""
    language: str | None = None
    inner: str = ""
    structure: Structure = field(default_factory=Structure)
    status: Status = Status.OK
    reason: str | None = None
    failed_pages: tuple[int, ...] = ()
    page_count: int | None = None
    encoding: str | None = None


Parser = Callable[[ParseInput], Iterator[ParsedDocument]]
