"""What must hold of any file's documents, however damaged it is. Each violation is one line; no violation is an empty list."""

import re
from collections.abc import Iterator, Sequence
from typing import Protocol

from dataframely.exc import ValidationError

from cortex_assets.documents.model import KINDS, Block, ParsedDocument
from cortex_assets.documents.parse import storable_document
from cortex_assets.documents.schema import Documents
from cortex_assets.tables import REASON_LIMIT, Status
from tests.produced import Produced

GRACE_SECONDS = 5.0
_CELLS = re.compile(r".*![A-Z]+(\d+)(?::[A-Z]+(\d+))?$", re.DOTALL)


class Span(Protocol):
    """What has a start and an end."""

    start: int
    end: int


def violations(produced: Produced, timeout_s: float) -> list[str]:
    """Everything that is wrong with what a file became."""
    found = [f"{problem}" for document in produced.documents for problem in of_document(storable_document(document))]
    try:
        Documents.validate(produced.rows)
    except ValidationError as error:
        found.append(f"rows are not valid: {' '.join(str(error).split())[:200]}")
    if not produced.rows.height:
        found.append("no row")
    if produced.rows["document_id"].n_unique() != produced.rows.height:
        found.append("rows share an id")
    limit = (timeout_s + GRACE_SECONDS) * max(1, produced.attempts)
    if produced.longest > limit:
        found.append(f"hang: no document for {produced.longest:.0f} s in {produced.attempts} attempts")
    return list(dict.fromkeys(found))


def of_document(document: ParsedDocument) -> Iterator[str]:
    """What is wrong with one document."""
    text, status = document.text, document.status
    if status is Status.OK and not any(char.isprintable() and not char.isspace() for char in text):
        yield "silent empty: ok without a visible character"
    if status is not Status.OK and not document.reason:
        yield f"no reason: {status.value}"
    if document.reason and len(document.reason) > REASON_LIMIT:
        yield f"reason of more than {REASON_LIMIT} characters"
    if document.reason and "\n" in document.reason:
        yield "reason of several lines"
    if status is Status.FAILED and text:
        yield "text of a failed document"
    if document.kind not in KINDS:
        yield f"unknown kind {document.kind}"
    if document.failed_pages and status not in (Status.PARTIAL, Status.FAILED):
        yield f"pages failed in a document that is {status.value}"
    for name, value in (("text", text), ("title", document.title), ("inner", document.inner)):
        if not _is_storable(value):
            yield f"{name} cannot be stored: a lone surrogate"
    if document.inner.startswith("/") and {"..", "."} & set(document.inner.split("/")):
        yield "inner path points out of its container"
    yield from _of_structure(document)


def _is_storable(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _of_structure(document: ParsedDocument) -> Iterator[str]:
    """What is wrong with the structure: order, bounds, numbers."""
    structure, size = document.structure, len(document.text)
    starts = [heading.start for heading in structure.headings]
    if starts != sorted(starts):
        yield "headings are not sorted"
    if any(not 0 <= start <= size for start in starts):
        yield "a heading starts outside the text"
    if any(not 1 <= heading.level <= 6 for heading in structure.headings):
        yield "a heading's level is not 1..6"
    if any(not heading.title.strip() for heading in structure.headings):
        yield "a heading without a title"
    yield from _of_spans("pages", structure.pages, size)
    yield from _of_spans("blocks", structure.blocks, size)
    yield from _of_spans("places", structure.places, size)
    numbers = [page.number for page in structure.pages]
    if numbers != sorted(set(numbers)) or any(number < 1 for number in numbers):
        yield "page numbers do not count up from 1"
    if any(not place.label.strip() for place in structure.places):
        yield "a place without a label"
    if any(not isinstance(link, str) or not link or not _is_storable(link) for link in structure.links):
        yield "an empty link, or one that cannot be stored"
    for block in structure.blocks:
        yield from _of_block(block, document.text)


def _of_spans(name: str, spans: Sequence[Span], size: int) -> Iterator[str]:
    if any(not 0 <= span.start <= span.end <= size for span in spans):
        yield f"{name} lie outside the text"
    if [span.start for span in spans] != sorted(span.start for span in spans):
        yield f"{name} are not sorted"


def _of_block(block: Block, text: str) -> Iterator[str]:
    if block.kind not in ("table", "code", "front_matter"):
        yield f"a block of unknown kind {block.kind}"
    if block.head_end is not None and not block.start <= block.head_end <= block.end:
        yield "a table's header ends outside it"
    if block.cells:
        match = _CELLS.match(block.cells)
        if match is None:
            yield "cells that name no range"
            return
        rows = int(match[2] or match[1]) - int(match[1]) + 1
        lines = text[block.start : block.end].rstrip("\n").count("\n") + 1 - (block.head_end is not None)
        if rows != lines:
            yield "a table's lines are not its cells' rows"
