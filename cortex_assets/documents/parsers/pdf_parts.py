"""Pages of a PDF gathered into documents: parts at pages, headings where the outline's titles stand, status and reason.

Reading pages and opening files are ``pdf``'s and ``pdf_open``'s.
"""

from collections.abc import Sequence
from dataclasses import replace

from cortex_assets.documents.model import Block, Heading, Page, ParsedDocument, Structure
from cortex_assets.documents.parsers.pdf_text import PageText
from cortex_assets.tables import Status, short_reason

GAP = "\n\n"
IMAGE, DRAWN, BLANK = "image", "drawn", "blank"
"""What is on a page that has no text."""
_SAVE_AGAIN = "save the file again in a viewer and drop it"


class Reading:
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
        self.part = Part()

    def add(self, number: int, page: PageText, outline: Sequence[tuple[int, str]], look: str = "") -> None:
        """Take a page in; ``look`` says what is on one without a text layer."""
        self.part.add(number, page, outline)
        self.chars += len(page.text)
        if page.is_cut:
            self.part.failed.setdefault(number, "it has more than 4 million characters: the rest is left out")
        if look:
            self.part.empty[number] = look

    def lose(self, number: int, why: str) -> None:
        """Note a page that cannot be read."""
        self.part.add(number, PageText(""), ())
        self.part.failed[number] = why

    def end_part(self, links: tuple[str, ...], is_last: bool) -> ParsedDocument:
        """The pages since the last part as a document; the next page begins another."""
        part, self.part = self.part, Part()
        self._parts += 1
        is_whole = is_last and self._parts == 1
        pages = part.pages
        found = ParsedDocument(
            GAP.join(part.texts),
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
        scanned = [number for number, look in part.empty.items() if look == IMAGE]
        if scanned and status is not Status.EMPTY:
            doubts.append(f"no text layer on {_pages(scanned)} (images only): run text recognition on them")
        if status in (Status.FAILED, Status.EMPTY):
            found = replace(found, text="", structure=Structure(links=links))
        return replace(found, status=status, reason=reason, doubt=short_reason("; ".join(doubts)) if doubts else None)

    def _judged(self, part: "Part", is_whole: bool) -> tuple[Status, str | None]:
        """Status and reason of a part."""
        what = "the file" if is_whole else "this part"
        if part.failed:
            why = next((f" ({why})" for why in part.failed.values() if why), "")
            if len(part.failed) == len(part.pages) and not part.has_text:
                return Status.FAILED, short_reason(f"damaged PDF: no page of {what} can be read{why}: {_SAVE_AGAIN}")
            return Status.PARTIAL, short_reason(f"{_pages(list(part.failed))} cannot be read{why}: {_SAVE_AGAIN}")
        if part.has_text:
            return Status.OK, None
        looks = set(part.empty.values())
        if IMAGE in looks:
            scanned = _pages([number for number, look in part.empty.items() if look == IMAGE])
            return Status.EMPTY, short_reason(
                f"no text layer: {scanned} scanned (images only); run text recognition on it"
            )
        if DRAWN in looks:
            return Status.EMPTY, f"no text layer: the pages of {what} are drawn; print it to PDF again with text"
        reason = (
            f"no text layer: nothing is on the pages of {what} (blank, or damaged); open it, save it again if not blank"
        )
        return Status.EMPTY, reason


class Part:
    """Pages gathered into one document's text."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.pages: list[Page] = []
        self.headings: list[Heading] = []
        self.blocks: list[Block] = []
        self.failed: dict[int, str] = {}
        self.empty: dict[int, str] = {}
        self.size = 0
        self.has_text = False

    def add(self, number: int, page: PageText, outline: Sequence[tuple[int, str]]) -> None:
        """Append a page, with the outline's headings that are found on it."""
        start = self.size + (len(GAP) if self.texts else 0)
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
        self.headings += [Heading(level, title, start + place) for level, title, place in _places(page.text, outline)]


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
