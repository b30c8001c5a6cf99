"""Parsers that end the process which reads them; the sandbox imports them by name."""

import os
import time
from collections.abc import Iterator

from cortex_assets.documents.model import Mark, ParsedDocument, ParseOptions, page_unit
from cortex_assets.tables import Status

PAGES = 100


def members(deadly: dict[str, str], options: ParseOptions) -> Iterator[Mark | ParsedDocument]:
    """A container of ten members, some of which abort, hang or exhaust memory."""
    for number in range(10):
        inner = f"/m{number}"
        if inner in options.avoid:
            yield ParsedDocument("", "none", inner=inner, status=Status.QUARANTINED, reason=options.avoid[inner])
            continue
        yield Mark(inner)
        how = deadly.get(inner)
        if how == "abort":
            os.abort()
        elif how == "hang":
            time.sleep(60)
        elif how == "memory":
            raise MemoryError
        elif how == "raise":
            raise ValueError("bad bytes")
        yield ParsedDocument(f"text of {number}", "text", inner=inner)


def pages(deadly: tuple[int, ...], options: ParseOptions) -> Iterator[Mark | ParsedDocument]:
    """A document whose pages ``deadly`` abort, unless they are avoided or given."""
    texts, failed = [], []
    for number in range(1, PAGES + 1):
        unit = page_unit(number)
        if unit in options.given:
            texts.append(options.given[unit])
        elif unit in options.avoid:
            failed.append(number)
        else:
            yield Mark(unit)
            if number in deadly:
                os.abort()
            texts.append(f"page {number}")
    status = Status.PARTIAL if failed else Status.OK
    reason = "pages cannot be read" if failed else None
    yield ParsedDocument("\n".join(texts), "pdf", status=status, reason=reason, failed_pages=tuple(failed))


def page(number: int, readable: tuple[int, ...]) -> Iterator[str]:
    """One page by itself."""
    if number not in readable:
        os.abort()
    yield f"page {number} apart"
