"""What parsers take and give: values only.

The registry is ``documents.registry``; each format family is one module in ``parsers/``.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import BinaryIO, NamedTuple

import orjson

from cortex_assets.tables import Status

KINDS = (
    "text",
    "markdown",
    "code",
    "html",
    "pdf",
    "word",
    "slides",
    "sheet",
    "book",
    "mail",
    "notebook",
    "subtitles",
    "calendar",
    "contacts",
    "image",
    "data",
    "table",
    "database",
    "none",
)
"""Kinds of documents, as people tell them apart; ``none`` has no text."""
NO_BYTES = "the file has no bytes"
"""The reason for a file or member without any: a row of its own, but nothing that anyone needs to be told of."""


class Heading(NamedTuple):
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
    A table that stands for cells of a spreadsheet names them in ``cells`` (``Budget!A1:D20``); then each of its lines
    is one row of the sheet, in order and without gaps, but for the line of dashes that ends at ``head_end``.
    """

    kind: str
    start: int
    end: int
    head_end: int | None = None
    language: str | None = None
    cells: str | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """A span that people know by a name of its own: ``slide 3``, ``cell 7``, ``00:01:30``, ``chapter 2``."""

    label: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Structure:
    """What is where in a document, each tuple sorted by start; offsets are characters of the document's text.

    ``pages`` are pages of a document with page numbers; slides, cells of a notebook and the like are ``places``.
    """

    headings: tuple[Heading, ...] = ()
    pages: tuple[Page, ...] = ()
    blocks: tuple[Block, ...] = ()
    links: tuple[str, ...] = ()
    places: tuple[Place, ...] = ()

    def to_json(self) -> str:
        """Canonical JSON (sorted keys, no white space)."""
        plain: dict[str, object] = {
            "blocks": [
                {
                    "end": block.end,
                    "head_end": block.head_end,
                    "kind": block.kind,
                    "language": block.language,
                    "start": block.start,
                }
                | ({"cells": block.cells} if block.cells else {})
                for block in self.blocks
            ],
            "headings": [{"level": h.level, "start": h.start, "title": h.title} for h in self.headings],
            "links": self.links,
            "pages": [{"end": page.end, "number": page.number, "start": page.start} for page in self.pages],
        }
        if self.places:
            plain["places"] = [{"end": p.end, "label": p.label, "start": p.start} for p in self.places]
        try:
            return orjson.dumps(plain).decode()
        except TypeError:  # half of a character (a lone surrogate), which orjson does not write
            return json.dumps(plain, separators=(",", ":"), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> "Structure":
        """Inverse of ``to_json``."""
        raw = orjson.loads(text)
        return cls(
            tuple(Heading(h["level"], h["title"], h["start"]) for h in raw["headings"]),
            tuple(Page(**p) for p in raw["pages"]),
            tuple(Block(**b) for b in raw["blocks"]),
            tuple(raw["links"]),
            tuple(Place(**p) for p in raw.get("places", ())),
        )


@dataclass(frozen=True, slots=True)
class Limits:
    """What a container (archive, mail, document with attachments) may cost; above it its members are ``too_large``.

    Attributes:
        member_bytes: of one unpacked member.
        total_bytes: of all unpacked members of the file, those of inner containers included.
        ratio: most bytes that one packed byte may become, asked above a megabyte unpacked.
        members: how many members of the file, or of each message of a mailbox, are opened, those of inner containers
            included.
        all_members: how many of a mailbox in all.
        depth: how many containers deep a member may be.
    """

    member_bytes: int = 256 * 1024 * 1024
    total_bytes: int = 2 * 1024 * 1024 * 1024
    ratio: int = 200
    members: int = 20_000
    depth: int = 4
    all_members: int = 1_000_000


@dataclass(frozen=True, slots=True)
class ParseOptions:
    """What a corpus, or an earlier attempt at the same file, has to say about how it is parsed. Picklable.

    Attributes:
        passwords: tried in order on encrypted files; never in a reason, a row or a log.
        limits: of containers.
        avoid: unit (as a ``Mark`` names it) to why it is left out: it ended an earlier attempt.
        given: unit to text that was read apart, in a process of its own.
        depth: how many containers this input is in.
    """

    passwords: tuple[str, ...] = field(default=(), repr=False)
    limits: Limits = Limits()
    avoid: Mapping[str, str] = field(default_factory=dict)
    given: Mapping[str, str] = field(default_factory=dict)
    depth: int = 0

    def below(self, inner: str) -> "ParseOptions":
        """Options for a member: what concerns its own units, by their own names, one container deeper."""
        mark = inner + UNIT_SEPARATOR
        return replace(
            self,
            avoid={unit[len(mark) :]: why for unit, why in self.avoid.items() if unit.startswith(mark)},
            given={unit[len(mark) :]: text for unit, text in self.given.items() if unit.startswith(mark)},
            depth=self.depth + 1,
        )


UNIT_SEPARATOR = "\0"
"""Between a member's name and a unit within it."""


def page_unit(number: int) -> str:
    """The unit that a page is, as in a ``Mark``."""
    return f"page {number}"


@dataclass(frozen=True, slots=True)
class Mark:
    """What a parser says before it begins on a unit (a page, a member) that may end the process that reads it.

    Where it does, the file is parsed again with that unit in ``ParseOptions.avoid``: the unit is lost, the rest is not.
    """

    unit: str


@dataclass(frozen=True, slots=True)
class ParseInput:
    """One file to parse.

    Attributes:
        stream: the bytes, readable and seekable.
        size: number of bytes.
        path: display path (for its suffix and a fallback title; never opened).
        media_type: as found by content.
        options: passwords, limits and what was learned before.
        spent: what the members of the file have cost so far; shared with the containers inside.
    """

    stream: BinaryIO
    size: int
    path: str
    media_type: str
    options: ParseOptions = field(default_factory=ParseOptions)
    spent: "Spent" = field(default_factory=lambda: Spent())


@dataclass(slots=True)
class Spent:
    """How many members of a file, and of what counts for itself in it, were opened; how many bytes they were unpacked to."""

    members: int = 0
    bytes: int = 0
    all_members: int = 0


@dataclass(frozen=True, slots=True)
class ParsedDocument:
    """What a parser gives for a file, or for one part of it. Status ``failed`` has no text, and a reason says why.

    Attributes:
        text: all that is searched and cited.
        kind: one of ``KINDS``.
        title: as the document says; empty where it says none.
        language: programming language of code.
        inner: empty for a whole file; ``part-0001`` for a part of it; for a member of a container a slash and its path,
            ``/docs/a.md``, and then ``#part-0001`` for a part of that member.
        structure: what is where in ``text``.
        status: ``ok``, or else with a ``reason`` that says what, where and the remedy.
        failed_pages: numbers of the pages (slides) that could not be read; then the status is ``partial``.
        page_count: pages, slides or sheets.
        encoding: of a text file.
        empty_pages: numbers of pages on which there was no text to find, such as scanned ones.
        confidence: 0..1, how sure the encoding of its bytes is.
        doubt: what makes the text doubtful without making it wrong (a guessed encoding, a repaired file); for people.
    """

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
    empty_pages: tuple[int, ...] = ()
    doubt: str | None = None
    confidence: float = 1.0


Parsed = ParsedDocument | Mark
Parser = Callable[[ParseInput], Iterator[Parsed]]
