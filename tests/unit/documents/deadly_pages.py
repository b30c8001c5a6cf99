"""A stand-in for a parser of pages, some of which end the process: what ``Recovery`` and a sandbox are tried on."""

import os
from collections.abc import Iterator

from cortex_assets.documents.model import Mark, Page, Parsed, ParsedDocument, ParseOptions, Structure, page_unit
from cortex_assets.tables import Status


def parse(pages: int, deadly: tuple[int, ...], options: ParseOptions) -> Iterator[Parsed]:
    """Give a document of pages; a deadly one aborts the process unless it is avoided or given."""
    texts: list[str] = []
    spans: list[Page] = []
    failed: list[int] = []
    for number in range(1, pages + 1):
        unit = page_unit(number)
        yield Mark(unit)
        if unit in options.given:
            text = options.given[unit]
        elif unit in options.avoid:
            text = ""
            failed.append(number)
        elif number in deadly:
            os.abort()
        else:
            text = f"page {number}"
        start = sum(map(len, texts))
        texts.append(text)
        spans.append(Page(number, start, start + len(text)))
    status = Status.PARTIAL if failed else Status.OK
    reason = f"pages {failed} cannot be read" if failed else None
    structure = Structure(pages=tuple(spans))
    yield ParsedDocument(
        "".join(texts), "pdf", structure=structure, status=status, reason=reason, failed_pages=tuple(failed)
    )


def read_page(number: int, deadly: tuple[int, ...], _: ParseOptions) -> Iterator[str]:
    """Give one page; a deadly one aborts the process here too."""
    if number in deadly:
        os.abort()
    yield f"read apart {number}"
