"""PDF by pypdfium2: page after page, each marked, with what failed or had no text told by number.

A file is opened by ``pdf_open``; a page's text is ``pdf_text``'s; parts, status and reason are ``pdf_parts``'s;
annotations, form fields, links, attachments and the outline are ``pdf_extras``'s. Optical character recognition does
not belong here.
"""

from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from typing import Any, BinaryIO

from cortex_assets.documents.decode import PART_CHARS
from cortex_assets.documents.model import Mark, Parsed, ParsedDocument, ParseInput, ParseOptions, page_unit
from cortex_assets.documents.parsers.pdf_content import lost_content
from cortex_assets.documents.parsers.pdf_extras import Extras, attachments, outline_of, title_of
from cortex_assets.documents.parsers.pdf_open import PdfError, is_repaired, open_pdf
from cortex_assets.documents.parsers.pdf_parts import BLANK, DRAWN, GAP, IMAGE, Reading
from cortex_assets.documents.parsers.pdf_text import PageText, page_text
from cortex_assets.tables import Status, short_reason

MAX_PAGES = 100_000
MAX_CHARS = 256 * 1024 * 1024
_OUTLINE, _FORM = "outline", "form"
_REPAIRED = "damaged and repaired: its table of objects was rebuilt, something may be missing"
_XFA = "its form is of a kind (XFA) that only some viewers show: print it to PDF from one and drop that"


def parse_pdf(source: ParseInput) -> Iterator[Parsed]:
    """Parse a PDF; text above 4 MiB characters comes in parts that end at pages, attachments follow as members."""
    try:
        document = open_pdf(source.stream, source.options.passwords)
    except PdfError as error:
        yield ParsedDocument("", "pdf", status=Status.FAILED, reason=short_reason(str(error)))
        return
    try:
        if len(document) == 0:
            reason = "damaged PDF: it has no pages; open and save it again, or repair it with qpdf"
            yield ParsedDocument("", "pdf", status=Status.FAILED, reason=reason, page_count=0)
            return
        avoid = source.options.avoid
        yield Mark(_FORM)
        extras = Extras(document, has_form=_FORM not in avoid)
        yield from _documents(document, extras, source)
        yield from attachments(document, extras.files, source)
    finally:
        document.close()


def read_page(stream: BinaryIO, number: int, options: ParseOptions) -> str:
    """The text of one page (from 1), with its annotations and fields, by itself.

    Raises:
        ValueError: the file or the page cannot be read.
    """
    document = open_pdf(stream, options.passwords)
    try:
        read = _read(document, Extras(document, has_form=_FORM not in options.avoid), number)
    finally:
        document.close()
    if read is None:
        raise PdfError(f"page {number} cannot be read")
    return read[0].text


def _documents(document: Any, extras: Extras, source: ParseInput) -> Iterator[Parsed]:
    """Read the pages and give them as one document, or as parts."""
    count, options = len(document), source.options
    yield Mark(_OUTLINE)
    outline = {} if _OUTLINE in options.avoid else outline_of(document)
    reading = Reading(count, title_of(document), _doubts(document, extras, options))
    last = min(count, MAX_PAGES)
    for number in range(1, last + 1):
        unit = page_unit(number)
        yield Mark(unit)
        if reading.chars > MAX_CHARS:
            reading.lose(number, f"the file has more than {MAX_CHARS:,} characters")
        elif unit in options.given:
            reading.add(number, PageText(options.given[unit]), outline.get(number, ()))
        elif unit in options.avoid:
            reading.lose(number, options.avoid[unit])
        else:
            read = _read(document, extras, number)
            if read is None:
                reading.lose(number, "")
            else:
                reading.add(number, read[0], outline.get(number, ()), read[1])
        if reading.part.size > PART_CHARS and number < last:
            yield reading.end_part(extras.take_links(), is_last=False)
    if count > MAX_PAGES:
        reading.lose(MAX_PAGES + 1, f"only the first {MAX_PAGES:,} of {count:,} pages are read")
    is_blank = set(reading.part.empty.values()) == {BLANK}
    found = reading.end_part(extras.take_links(), is_last=True)
    if found.status is Status.EMPTY and is_blank and (why := lost_content(source.stream)):
        found = replace(found, status=Status.FAILED, reason=short_reason(why))
    yield found


def _doubts(document: Any, extras: Extras, options: ParseOptions) -> list[str]:
    """What is doubtful about a file as a whole."""
    doubts = [_REPAIRED] if is_repaired(document) else []
    doubts += [_XFA] if extras.is_xfa else []
    return doubts + [f"its {what} cannot be read: left out" for what in (_OUTLINE, _FORM) if what in options.avoid]


def _read(document: Any, extras: Extras, number: int) -> tuple[PageText, str] | None:
    """A page's text with a line for each annotation and field, and what is on it if it has no text layer.

    None where the page cannot be read.
    """
    pdfium: Any = import_module("pypdfium2")
    try:
        page = document[number - 1]
    except pdfium.PdfiumError:
        return None
    try:
        read = page_text(page)
        look = "" if read.text else _look(page)
        lines = extras.lines(page)
    except pdfium.PdfiumError:
        return None
    finally:
        page.close()
    if lines:
        read = replace(read, text=GAP.join(part for part in (read.text, "\n".join(lines)) if part))
    return read, look


def _look(page: Any) -> str:
    """What is on a page without text."""
    raw: Any = import_module("pypdfium2.raw")
    if next(page.get_objects(filter=(raw.FPDF_PAGEOBJ_IMAGE,), max_depth=3), None) is not None:
        return IMAGE
    return DRAWN if raw.FPDFPage_CountObjects(page) > 0 else BLANK
