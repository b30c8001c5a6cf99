"""A page of a PDF as a picture, for people to look at; runs in the sandbox, as everything that pdfium reads.

What a page says is ``parsers.pdf``'s.
"""

import io
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from cortex_assets.documents.parsers.pdf_open import open_pdf

MOST_PIXELS = 12_000_000


def page_picture(path: str, number: int, width: int, passwords: Sequence[str] = ()) -> bytes:
    """Draw one page.

    Args:
        path: of the PDF's bytes.
        number: of the page, from 1.
        width: of the picture in pixels; less where a long page would have more than ``MOST_PIXELS``.
        passwords: tried in order.

    Returns:
        A PNG.

    Raises:
        ValueError: it has no such page, or cannot be opened.
        OSError: the bytes cannot be read.
    """
    with open(path, "rb") as stream:
        document = open_pdf(stream, passwords)
        try:
            if not 1 <= number <= len(document):
                raise ValueError(f"it has {len(document)} pages, so no page {number}")
            page = document[number - 1]
            try:
                return _drawn(page, width)
            finally:
                page.close()
        finally:
            document.close()


def _drawn(page: Any, width: int) -> bytes:
    wide, high = (max(1.0, side) for side in page.get_size())
    scale = min(width / wide, (MOST_PIXELS / (wide * high)) ** 0.5)
    import_module("PIL.Image")
    picture = page.render(scale=scale, draw_annots=True).to_pil()
    target = io.BytesIO()
    picture.convert("RGB").save(target, "PNG")
    return target.getvalue()
