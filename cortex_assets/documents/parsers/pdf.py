"""PDF: the text layer, page by page, by pypdfium2; the outline as headings where its titles are found on their pages.

Pages that cannot be read make the document ``partial`` and are listed; pages that hold only images are named in the
reason. Optical character recognition does not belong here.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from typing import Any

from cortex_assets.documents.decode import PART_CHARS
from cortex_assets.documents.model import Heading, Page, ParsedDocument, ParseInput, Structure
from cortex_assets.tables import Status

_GAP = "\n\n"
_SOFT_HYPHEN = re.compile("[\ufffe\x02\u00ad]\r?\n?(?=(.)?)")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufdd0-\ufdef\ufffe\uffff\ud800-\udfff]")
_DULL_TITLE = re.compile(
    r"(?i)\s*(?:untitled|unknown|document\d*|title)?\s*$|microsoft word\b|.*\.(?:docx?|pdf|tex|indd|dvi|qxd)\s*$"
)
_MAX_OUTLINE = 5000
_IMAGE_OBJECT = 3  # FPDF_PAGEOBJ_IMAGE


def parse_pdf(source: ParseInput) -> Iterator[ParsedDocument]:
    """Parse a PDF; text above 4 MiB characters comes in parts that end at pages."""
    pdfium: Any = import_module("pypdfium2")
    try:
        document = pdfium.PdfDocument(source.stream)
    except pdfium.PdfiumError as error:
        yield ParsedDocument("", "pdf", status=Status.FAILED, reason=_open_reason(error))
        return
    try:
        yield from _documents(document)
    finally:
        document.close()


def _open_reason(error: Exception) -> str:
    """Why a PDF cannot be opened; a password is told apart from damage."""
    message = str(error)
    if "password" in message.lower():
        return "encrypted: a password is needed; save a copy without one (qpdf --decrypt --password=... in.pdf out.pdf)"
    return f"damaged PDF: {message}; open and save it again, or repair it with qpdf"


def _documents(document: Any) -> Iterator[ParsedDocument]:
    """Read the pages and give them as one document, or as parts."""
    count = len(document)
    if count == 0:
        yield ParsedDocument("", "pdf", status=Status.FAILED, reason="damaged PDF: it has no pages", page_count=0)
        return
    outline = _outline(document)
    title = _title(document)
    state = _Reading()
    held = _Part()
    waiting: ParsedDocument | None = None
    number_of_parts = 0
    for number in range(1, count + 1):
        held.add(number, state.read(document, number), outline.get(number, ()))
        if held.size > PART_CHARS and number < count:
            number_of_parts += 1
            waiting = held.document(title, count, f"part-{number_of_parts:04d}")
            held = _Part()
            yield waiting
    inner = f"part-{number_of_parts + 1:04d}" if number_of_parts else ""
    yield state.judged(held.document(title, count, inner), count, has_earlier=number_of_parts > 0)


class _Reading:
    """What went wrong while pages were read."""

    def __init__(self) -> None:
        self.failed: list[int] = []
        self.image_only: list[int] = []
        self.has_text = False

    def read(self, document: Any, number: int) -> str:
        """Text of a page; ``""`` for one that fails, which is noted."""
        import pypdfium2 as pdfium

        try:
            page = document[number - 1]
        except pdfium.PdfiumError:
            self.failed.append(number)
            return ""
        try:
            textpage = page.get_textpage()
            try:
                text = _clean(textpage.get_text_range())
            finally:
                textpage.close()
            if text:
                self.has_text = True
            elif next(page.get_objects(filter=(_IMAGE_OBJECT,), max_depth=3), None) is not None:
                self.image_only.append(number)
        except pdfium.PdfiumError:
            self.failed.append(number)
            text = ""
        finally:
            page.close()
        return text

    def judged(self, last: ParsedDocument, count: int, has_earlier: bool) -> ParsedDocument:
        """The last (or only) document with the status of the whole reading."""
        if len(self.failed) == count:
            return replace(
                last,
                text="",
                structure=Structure(),
                status=Status.FAILED,
                failed_pages=tuple(self.failed),
                reason="damaged PDF: no page can be read",
            )
        if self.failed:
            reason = f"pages {_ranges(self.failed)} cannot be read"
            return replace(last, status=Status.PARTIAL, failed_pages=tuple(self.failed), reason=reason)
        if not self.has_text:
            what = "scanned?" if self.image_only else "the pages are empty or drawn"
            return replace(last, text="", structure=Structure(), status=Status.EMPTY, reason=f"no text layer: {what}")
        if self.image_only:
            return replace(last, reason=f"no text layer on pages {_ranges(self.image_only)} (images only)")
        return last


class _Part:
    """Pages gathered into one document's text."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.pages: list[Page] = []
        self.headings: list[Heading] = []
        self.size = 0

    def add(self, number: int, text: str, outline: "tuple[tuple[int, str], ...] | list[tuple[int, str]]") -> None:
        """Append a page and the outline's headings that are found on it."""
        start = self.size + (len(_GAP) if self.texts else 0)
        self.texts.append(text)
        self.size = start + len(text)
        self.pages.append(Page(number, start, self.size))
        lines = _line_index(text) if outline else []
        position = 0
        for level, title in outline:
            place = _find_title(lines, title, position)
            if place is not None:
                position = place
                self.headings.append(Heading(level, title, start + place))

    def document(self, title: str, count: int, inner: str) -> ParsedDocument:
        """The pages as a document."""
        self.headings.sort(key=lambda heading: heading.start)
        structure = Structure(tuple(self.headings), tuple(self.pages))
        return ParsedDocument(_GAP.join(self.texts), "pdf", title, inner=inner, structure=structure, page_count=count)


def _clean(text: str) -> str:
    """Page text with line feeds, words that were hyphenated at a line end joined, and no control characters."""
    text = _SOFT_HYPHEN.sub(lambda match: "" if (match[1] or "").islower() else "-", text)
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _CONTROL.sub("", text).strip()


def _title(document: Any) -> str:
    """The title in the metadata, unless it is what an editor put there by itself."""
    title = " ".join(_CONTROL.sub("", document.get_metadata_value("Title")).split())
    return "" if _DULL_TITLE.match(title) else title


def _outline(document: Any) -> dict[int, list[tuple[int, str]]]:
    """Bookmarks by page number: (level 1..6, title); empty where the outline is broken."""
    import pypdfium2 as pdfium

    found: dict[int, list[tuple[int, str]]] = {}
    try:
        for number, bookmark in enumerate(document.get_toc(max_depth=6)):
            target = bookmark.get_dest()
            index = target.get_index() if target is not None else None
            title = " ".join(_CONTROL.sub("", bookmark.get_title()).split())
            if index is not None and index >= 0 and title and number < _MAX_OUTLINE:
                found.setdefault(index + 1, []).append((min(6, bookmark.level + 1), title))
    except pdfium.PdfiumError:
        return found
    return found


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


def _ranges(numbers: list[int]) -> str:
    """``[1, 2, 3, 7]`` as ``1-3, 7``; at most ten ranges are named."""
    spans: list[list[int]] = []
    for number in numbers:
        if spans and number == spans[-1][1] + 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    named = ", ".join(str(low) if low == high else f"{low}-{high}" for low, high in spans[:10])
    return named + (f" and {len(spans) - 10} more ranges" if len(spans) > 10 else "")
