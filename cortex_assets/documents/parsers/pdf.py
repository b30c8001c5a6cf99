"""PDF by pypdfium2: page after page, each marked, with what failed or had no text told by number.

Pages are read by ``pdf_text``, opened by ``pdf_open``; annotations, form fields, links, attachments and the outline are
``pdf_extras``'s. Optical character recognition does not belong here.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any, BinaryIO

from cortex_assets.documents.decode import PART_CHARS
from cortex_assets.documents.model import (
    Block,
    Heading,
    Mark,
    Page,
    Parsed,
    ParsedDocument,
    ParseInput,
    ParseOptions,
    Structure,
    page_unit,
)
from cortex_assets.documents.parsers.pdf_extras import Extras, attachments, outline_of, title_of
from cortex_assets.documents.parsers.pdf_open import PdfError, is_repaired, open_pdf
from cortex_assets.documents.parsers.pdf_text import PageText, page_text
from cortex_assets.tables import Status, short_reason

MAX_PAGES = 100_000
MAX_CHARS = 256 * 1024 * 1024
_GAP = "\n\n"
_IMAGE_OBJECT = 3  # FPDF_PAGEOBJ_IMAGE
_OUTLINE, _FORM = "outline", "form"
_REPAIRED = "damaged and repaired: its table of objects was rebuilt, something may be missing"


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
        yield from _documents(document, extras, source.options)
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
    return read.text


def _documents(document: Any, extras: Extras, options: ParseOptions) -> Iterator[Parsed]:
    """Read the pages and give them as one document, or as parts."""
    count = len(document)
    yield Mark(_OUTLINE)
    outline = {} if _OUTLINE in options.avoid else outline_of(document)
    title = title_of(document)
    doubts = [_REPAIRED] if is_repaired(document) else []
    doubts += [f"its {what} cannot be read: left out" for what in (_OUTLINE, _FORM) if what in options.avoid]
    reading = _Reading(count, title, doubts)
    last = min(count, MAX_PAGES)
    for number in range(1, last + 1):
        unit = page_unit(number)
        yield Mark(unit)
        if reading.chars > MAX_CHARS:
            reading.lose(number, f"the file has more than {MAX_CHARS:,} characters")
        elif unit in options.given:
            reading.add(number, PageText(options.given[unit]), False, outline.get(number, ()))
        elif unit in options.avoid:
            reading.lose(number, options.avoid[unit])
        else:
            read = _read(document, extras, number)
            if read is None:
                reading.lose(number, "")
            else:
                is_image = not read.text and _has_image(document, number)
                reading.add(number, read, is_image, outline.get(number, ()))
        if reading.part.size > PART_CHARS and number < last:
            yield reading.end_part(extras.take_links(), is_last=False)
    if count > MAX_PAGES:
        reading.lose(MAX_PAGES + 1, f"only the first {MAX_PAGES:,} of {count:,} pages are read")
    yield reading.end_part(extras.take_links(), is_last=True)


def _read(document: Any, extras: Extras, number: int) -> PageText | None:
    """A page's text, then a line for each annotation and field; None where the page cannot be read."""
    pdfium: Any = import_module("pypdfium2")
    try:
        page = document[number - 1]
    except pdfium.PdfiumError:
        return None
    try:
        read = page_text(page)
        lines = extras.lines(page)
    except pdfium.PdfiumError:
        return None
    finally:
        page.close()
    if not lines:
        return read
    return replace(read, text=_GAP.join(part for part in (read.text, "\n".join(lines)) if part))


def _has_image(document: Any, number: int) -> bool:
    """Whether there is an image on a page."""
    page = document[number - 1]
    try:
        return next(page.get_objects(filter=(_IMAGE_OBJECT,), max_depth=3), None) is not None
    finally:
        page.close()


class _Reading:
    """The pages of one file as they are read, and what is to be said about them.

    Args:
        count: pages of the file.
        title: of the file.
        doubts: about the file as a whole.
    """

    def __init__(self, count: int, title: str, doubts: Sequence[str]) -> None:
        self._count, self._title, self._doubts = count, title, tuple(doubts)
        self._parts = 0
        self.chars = 0
        self.part = _Part()

    def add(self, number: int, page: PageText, is_image: bool, outline: Sequence[tuple[int, str]]) -> None:
        """Take a page in."""
        self.part.add(number, page, outline)
        self.chars += len(page.text)
        if page.is_cut:
            self.part.failed.setdefault(number, "it has more than 4 million characters: the rest is left out")
        if not page.text:
            self.part.empty.append(number)
            if is_image:
                self.part.scanned.append(number)

    def lose(self, number: int, why: str) -> None:
        """Note a page that cannot be read."""
        self.part.add(number, PageText(""), ())
        self.part.failed[number] = why

    def end_part(self, links: tuple[str, ...], is_last: bool) -> ParsedDocument:
        """The pages since the last part as a document; the next page begins another."""
        part, self.part = self.part, _Part()
        self._parts += 1
        is_whole = is_last and self._parts == 1
        pages = part.pages
        found = ParsedDocument(
            _GAP.join(part.texts),
            "pdf",
            self._title,
            inner="" if is_whole else f"part-{self._parts:04d}",
            structure=Structure(tuple(part.headings), tuple(pages), tuple(part.blocks), links),
            failed_pages=tuple(part.failed),
            page_count=self._count,
            empty_pages=tuple(part.empty),
        )
        status, reason = self._judged(part, is_whole)
        doubts = list(self._doubts)
        if part.scanned and status is not Status.EMPTY:
            doubts.append(f"no text layer on {_pages(part.scanned)} (images only): scan with text recognition")
        if status in (Status.FAILED, Status.EMPTY):
            found = replace(found, text="", structure=Structure(links=links))
        return replace(found, status=status, reason=reason, doubt=short_reason("; ".join(doubts)) if doubts else None)

    def _judged(self, part: "_Part", is_whole: bool) -> tuple[Status, str | None]:
        """Status and reason of a part."""
        what = "the file" if is_whole else "this part"
        if part.failed:
            why = next((f" ({why})" for why in part.failed.values() if why), "")
            remedy = "save the file again in a viewer and drop it"
            if len(part.failed) == len(part.pages) and not part.has_text:
                return Status.FAILED, short_reason(f"damaged PDF: no page of {what} can be read{why}: {remedy}")
            named = _pages(list(part.failed))
            return Status.PARTIAL, short_reason(f"{named} cannot be read{why}: {remedy}")
        if part.has_text:
            return Status.OK, None
        if part.scanned:
            named = _pages(part.scanned)
            return Status.EMPTY, short_reason(f"no text layer: {named} scanned? (images only); run text recognition on it")
        return Status.EMPTY, f"no text layer: the pages of {what} are empty or drawn; open it to see whether that is right"


class _Part:
    """Pages gathered into one document's text."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.pages: list[Page] = []
        self.headings: list[Heading] = []
        self.blocks: list[Block] = []
        self.failed: dict[int, str] = {}
        self.empty: list[int] = []
        self.scanned: list[int] = []
        self.size = 0
        self.has_text = False

    def add(self, number: int, page: PageText, outline: Sequence[tuple[int, str]]) -> None:
        """Append a page, with the outline's headings that are found on it."""
        start = self.size + (len(_GAP) if self.texts else 0)
        self.texts.append(page.text)
        self.size = start + len(page.text)
        self.has_text = self.has_text or bool(page.text)
        self.pages.append(Page(number, start, self.size))
        self.blocks += [
            replace(
                block,
                start=block.start + start,
                end=block.end + start,
                head_end=None if block.head_end is None else block.head_end + start,
            )
            for block in page.tables
        ]
        self.headings += [
            Heading(level, title, start + place) for level, title, place in _places(page.text, outline)
        ]


def _places(text: str, outline: Sequence[tuple[int, str]]) -> list[tuple[int, str, int]]:
    """The outline's entries that are found in a page's text, with the start of their lines, in order."""
    if not outline:
        return []
    lines = _line_index(text)
    found: list[tuple[int, str, int]] = []
    position = 0
    for level, title in outline:
        place = _find_title(lines, title, position)
        if place is not None:
            position = place
            found.append((level, title, place))
    return sorted(found, key=lambda entry: entry[2])


def _line_index(text: str) -> list[tuple[int, str]]:
    """Start and letters-only form of each line."""
    index: list[tuple[int, str]] = []
    start = 0
    for line in text.split("\n"):
        index.append((start, _letters(line)))
        start += len(line) + 1
    return index


def _letters(text: str) -> str:
    return "".join(char for char in text.casefold() if char.isalnum())


def _find_title(lines: list[tuple[int, str]], title: str, position: int) -> int | None:
    """Start of the line where a title stands, perhaps after a number such as ``2.1`` and over two lines, else None."""
    wanted = _letters(title)
    if not wanted:
        return None
    for number, (start, line) in enumerate(lines):
        if start < position or not line:
            continue
        bare = line.lstrip("0123456789")
        joined = line + (lines[number + 1][1] if number + 1 < len(lines) else "")
        if (
            line == wanted
            or bare == wanted
            or (len(line) < len(wanted) and joined.lstrip("0123456789") in (wanted, wanted.lstrip("0123456789")))
        ):
            return start
    return None


def _pages(numbers: list[int]) -> str:
    """``[1, 2, 3, 7]`` as ``pages 1-3, 7``, ``[4]`` as ``page 4``; at most ten ranges are named."""
    spans: list[list[int]] = []
    for number in numbers:
        if spans and number == spans[-1][1] + 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    named = ", ".join(str(low) if low == high else f"{low}-{high}" for low, high in spans[:10])
    more = f" and {len(spans) - 10} more ranges" if len(spans) > 10 else ""
    return f"{'page' if len(numbers) == 1 else 'pages'} {named}{more}"
