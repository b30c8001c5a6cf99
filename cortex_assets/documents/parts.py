"""Cuts a built document into parts of bounded size, and joins documents into one: text and structure move together.

Files whose text is the file come in parts by ``decode.text_parts``; this is for text that a parser built.
"""

from collections.abc import Iterator
from dataclasses import replace

from cortex_assets.documents.decode import PART_CHARS
from cortex_assets.documents.model import Block, Heading, Page, ParsedDocument, Place, Structure


def in_parts(document: ParsedDocument, limit: int = PART_CHARS) -> Iterator[ParsedDocument]:
    """The document itself, or parts ``part-0001``... of at most ``limit`` characters, which joined are its text.

    Parts of a member are ``/its/path#part-0001``. A part ends after a blank line, else after a line end, else anywhere.
    Every part carries the status and the reason.
    """
    text = document.text
    if len(text) <= limit:
        yield document
        return
    start, number = 0, 0
    while start < len(text):
        number += 1
        end = _cut(text, start, limit)
        name = f"{document.title} (part {number})" if document.title else ""
        yield replace(
            document,
            text=text[start:end],
            title=name,
            inner=f"{document.inner}#part-{number:04d}" if document.inner else f"part-{number:04d}",
            structure=window(document.structure, start, end),
        )
        start = end


def _cut(text: str, start: int, limit: int) -> int:
    """Where a part that begins at ``start`` ends."""
    if len(text) - start <= limit:
        return len(text)
    low, high = start + limit * 3 // 4, start + limit
    for mark in ("\n\n", "\n", " "):
        place = text.rfind(mark, low, high)
        if place >= 0:
            return place + len(mark)
    return high


def window(structure: Structure, start: int, end: int) -> Structure:
    """What of a structure lies in a span, by offsets of the span; links stay with every span."""

    def inside(low: int, high: int) -> tuple[int, int]:
        return max(low, start) - start, min(high, end) - start

    blocks: list[Block] = []
    for block in structure.blocks:
        if block.start < end and block.end > start:
            low, high = inside(block.start, block.end)
            has_head = block.head_end is not None and start <= block.start and block.head_end <= end
            head_end = block.head_end - start if has_head and block.head_end is not None else None
            blocks.append(replace(block, start=low, end=high, head_end=head_end))
    return Structure(
        tuple(Heading(h.level, h.title, h.start - start) for h in structure.headings if start <= h.start < end),
        tuple(Page(p.number, *inside(p.start, p.end)) for p in structure.pages if p.start < end and p.end > start),
        tuple(blocks),
        structure.links,
        tuple(Place(p.label, *inside(p.start, p.end)) for p in structure.places if p.start < end and p.end > start),
    )


def shifted(structure: Structure, by: int) -> Structure:
    """The same structure of a text that begins ``by`` characters later."""
    return Structure(
        tuple(Heading(h.level, h.title, h.start + by) for h in structure.headings),
        tuple(Page(p.number, p.start + by, p.end + by) for p in structure.pages),
        tuple(
            replace(
                block,
                start=block.start + by,
                end=block.end + by,
                head_end=block.head_end + by if block.head_end is not None else None,
            )
            for block in structure.blocks
        ),
        structure.links,
        tuple(Place(p.label, p.start + by, p.end + by) for p in structure.places),
    )
