"""Documents of files that are lists of entries (events, contacts, cues): each entry with a heading and a place.

Text comes in parts above 4 MiB characters, cut between entries. What an entry says is the parsers'.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from cortex_assets.documents.decode import PART_CHARS, Encoding
from cortex_assets.documents.model import Heading, ParsedDocument, Place, Structure
from cortex_assets.tables import Status, short_reason

_UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ufeff\ud800-\udfff]")
_LABEL_CHARS = 120


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry: its heading (level 0: none), what people call it, and its text below the heading."""

    level: int
    title: str
    label: str
    body: str
    links: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is known of a file once it is read.

    Attributes:
        title: as the file says.
        problem: what could not be read, with the remedy; the last document is then partial.
        doubt: what makes the text doubtful.
        nothing: status and reason of a file in which no entry was found.
    """

    title: str = ""
    problem: str | None = None
    doubt: str | None = None
    nothing: tuple[Status, str] = (Status.EMPTY, "nothing is in the file")


def entry_documents(
    entries: Iterator[Entry], kind: str, encoding: Encoding, outcome: Callable[[], Outcome]
) -> Iterator[ParsedDocument]:
    """Yield one document for all entries, or parts where their text is long.

    Args:
        entries: in the order of the file.
        kind: of the documents.
        encoding: of the file; bytes that could not be read make the last document partial.
        outcome: asked when all entries are read.
    """
    number, count = 0, 0
    text = _Text()
    for entry in entries:
        count += 1
        if text.size + len(entry.body) > PART_CHARS and text.size:
            number += 1
            yield text.document(kind, f"part-{number:04d}", encoding, Outcome())
            text = _Text()
        text.add(entry)
    last = outcome()
    if not count:
        status, reason = last.nothing
        reason = "; ".join(part for part in (last.problem, reason) if part)
        yield ParsedDocument("", kind, last.title, status=status, reason=short_reason(reason), encoding=encoding.name)
        return
    problems = [part for part in (last.problem, encoding.reason if encoding.is_partial else None) if part]
    doubts = [part for part in (last.doubt, None if encoding.is_partial else encoding.reason) if part]
    final = Outcome(last.title, "; ".join(problems) or None, "; ".join(doubts) or None)
    yield text.document(kind, f"part-{number + 1:04d}" if number else "", encoding, final)


class _Text:
    """Text of one document under construction."""

    def __init__(self) -> None:
        self.size = 0
        self._pieces: list[str] = []
        self._headings: list[Heading] = []
        self._places: list[Place] = []
        self._links: dict[str, None] = {}

    def add(self, entry: Entry) -> None:
        """Add an entry behind a blank line."""
        title = " ".join(_UNSEEN.sub("", entry.title).split())[:500]
        body = _UNSEEN.sub("", entry.body.replace("\r\n", "\n").replace("\r", "\n")).strip("\n").rstrip()
        head = f"{'#' * entry.level} {title}" if entry.level and title else ""
        piece = "\n".join(part for part in (head, body) if part)
        if not piece:
            return
        gap = "\n\n" if self._pieces else ""
        start = self.size + len(gap)
        self._pieces.append(gap + piece)
        self.size = start + len(piece)
        if head:
            self._headings.append(Heading(entry.level, title, start))
        if label := " ".join(_UNSEEN.sub("", entry.label).split()):
            self._places.append(Place(label[:_LABEL_CHARS], start, self.size))
        self._links.update(dict.fromkeys(entry.links))

    def document(self, kind: str, inner: str, encoding: Encoding, outcome: Outcome) -> ParsedDocument:
        """The document so far."""
        structure = Structure(tuple(self._headings), (), (), tuple(self._links), tuple(self._places))
        status, reason = (Status.PARTIAL, outcome.problem) if outcome.problem else (Status.OK, None)
        text = "".join(self._pieces)
        if not text and status is Status.OK:
            status, reason = Status.EMPTY, "its entries have no text"
        return ParsedDocument(
            text,
            kind,
            outcome.title,
            inner=inner,
            structure=structure,
            status=status,
            reason=short_reason(reason) if reason else None,
            encoding=encoding.name,
            confidence=encoding.confidence,
            doubt=short_reason(outcome.doubt) if outcome.doubt else None,
        )


def decoded_texts(texts: Iterator[tuple[str, Encoding]]) -> tuple[Encoding, Iterator[str]]:
    """The encoding of a file's text parts, and the texts alone; nothing but the first part is read yet."""
    first = next(texts, ("", Encoding("utf-8")))

    def alone() -> Iterator[str]:
        yield first[0]
        for text, _ in texts:
            yield text

    return first[1], alone()
