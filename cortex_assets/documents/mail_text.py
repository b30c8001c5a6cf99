"""The document of a mail: readable header lines, then the body, with its thread as heading and its id as place.

The subject comes first, so that the heading of the thread stands on a line of its own. Quoted earlier mails stay, each
line behind ``>``, also where the mail is HTML. Reading messages is ``mail_message``'s and the parsers'.
"""

import re
from bisect import bisect_right
from dataclasses import replace

from cortex_assets.documents.mail_body import Segment
from cortex_assets.documents.mail_model import Mail
from cortex_assets.documents.model import Block, Heading, ParsedDocument, Place, Structure
from cortex_assets.documents.parsers.html import MAX_BYTES, html_document
from cortex_assets.tables import Status, short_reason

MAX_LINE = 4000
"""A list of recipients longer than this many characters ends with how many more characters it has."""
MOST_THREADED = 500_000
"""So many message ids are remembered; replies to later ones are told by their subject."""
MOST_QUOTES = 1000
"""HTML with more quotes than this, which no mail has, is read without telling them apart."""
_LINES = (("Subject", "subject"), ("From", "from"), ("To", "to"), ("Cc", "cc"), ("Bcc", "bcc"), ("Date", "date"))
_REPLY = re.compile(
    r"(?i)^(?:\s*(?:re|fwd?|aw|wg|sv|vs|vl|antw|tr|rif|res|enc|odp|ynt|回复|答复|转发)(?:\s*\[\d{1,4}\])?\s*[:：])+\s*"
)
_ID = re.compile(r"<([^<>\s]{1,500})>")
_LINK = re.compile(r"\b(?:https?://|ftp://|mailto:)[^\s<>\"'\])}]{3,2000}")
_UNSEEN = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufeff]")
_DEEPEST = 8
_OPEN, _CLOSE = "\ue000", "\ue001"
_QUOTE_START = re.compile(r"<blockquote\b[^<>]{0,2000}>", re.IGNORECASE)
_QUOTE_END = re.compile(r"</blockquote\s*>", re.IGNORECASE)


def message_id(mail: Mail) -> str:
    """The message's id without brackets; empty where it has none."""
    raw = mail.fields.get("message-id", "")
    match = _ID.search(raw)
    return match[1] if match else raw.strip("<> ").partition(" ")[0][:500]


def base_subject(subject: str) -> str:
    """A subject without what replies and forwards put before it."""
    return _REPLY.sub("", subject).strip()


class Threads:
    """Names the thread of each message of a mailbox, in order, by what it answers and else by its subject."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    def name(self, mail: Mail, own_id: str) -> str:
        """The thread's name: the subject of the first message that this one goes back to."""
        answered = _ID.findall(mail.fields.get("references", "")[:20_000])
        answered += _ID.findall(mail.fields.get("in-reply-to", "")[:2000])
        known = next((self._names[other] for other in answered if other in self._names), None)
        name = known if known is not None else base_subject(mail.fields.get("subject", ""))
        if own_id and len(self._names) < MOST_THREADED:
            self._names.setdefault(own_id, name)
        return name


def mail_document(mail: Mail, inner: str, label: str, thread: str) -> ParsedDocument:
    """Make the document of a message.

    Args:
        mail: what is in it.
        inner: its inner path.
        label: how people know it, such as ``message <id>``; empty for no place.
        thread: name of its thread; empty for no heading.
    """
    out = _Text()
    lines = [f"{name}: {_shortened(mail.fields[key])}" for name, key in _LINES if mail.fields.get(key)]
    if names := [*(attachment.name for attachment in mail.attachments), *mail.apart]:
        lines.append(f"Attachments: {_shortened(', '.join(names))}")
    if thread:
        out.headings.append(Heading(1, thread[:500], 0))
    out.add("\n".join(lines))
    for segment in mail.segments:
        try:
            _add_segment(out, segment)
        except _TooLargeError:
            mail.problem(f"its HTML is above the limit of {MAX_BYTES} bytes and not read: save its text by itself")
    text = out.text()
    places = (Place(label, 0, len(text)),) if label and text else ()
    structure = Structure(tuple(out.headings), (), tuple(out.blocks), tuple(out.links), places)
    if not text and not mail.problems:
        reason = "the message has no subject, sender, body or attachment"
        return ParsedDocument("", "mail", inner=inner, status=Status.EMPTY, reason=reason)
    return ParsedDocument(
        text,
        "mail",
        mail.fields.get("subject", ""),
        inner=inner,
        structure=structure,
        status=Status.PARTIAL if mail.problems else Status.OK,
        reason=short_reason("; ".join(mail.problems)) if mail.problems else None,
        confidence=mail.confidence,
        doubt=short_reason("; ".join(dict.fromkeys(mail.doubts))) if mail.doubts else None,
    )


def _moved(block: Block, by: int) -> Block:
    head_end = None if block.head_end is None else block.head_end + by
    return replace(block, start=block.start + by, end=block.end + by, head_end=head_end)


def _shortened(line: str) -> str:
    return line if len(line) <= MAX_LINE else f"{line[:MAX_LINE]}… ({len(line) - MAX_LINE} more characters)"


class _TooLargeError(ValueError):
    """HTML above the limit."""


class _Text:
    """Text under construction; pieces are parted by a blank line."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._size = 0
        self.headings: list[Heading] = []
        self.blocks: list[Block] = []
        self.links: dict[str, None] = {}

    def add(self, piece: str) -> int:
        """Add a piece and return where it starts; an empty one leaves nothing."""
        if not piece:
            return self._size
        gap = "\n\n" if self._pieces else ""
        start = self._size + len(gap)
        self._pieces.append(gap + piece)
        self._size = start + len(piece)
        return start

    def find_links(self, plain: str) -> None:
        """Note the addresses in plain text."""
        if "://" in plain or "mailto:" in plain:
            self.links.update(dict.fromkeys(_LINK.findall(plain)))

    def text(self) -> str:
        """All text so far."""
        return "".join(self._pieces)


def _add_segment(out: _Text, segment: Segment) -> None:
    """One stretch of the body, in the version that says more."""
    plain = _UNSEEN.sub("", segment.plain.replace("\r", "\n")).strip("\n").rstrip()
    if not segment.html or len(plain) >= 4 * len(segment.html):
        out.find_links(plain)
        out.add(plain)
        return
    if len(segment.html) > MAX_BYTES:
        out.add(plain)
        raise _TooLargeError
    page = None if plain and len(plain) * 20 >= len(segment.html) else _quoted_page(segment.html)
    if page is None or not page.text or segment.prefers_plain(page.text):
        out.find_links(plain)
        out.add(plain)
        return
    start = out.add(page.text)
    structure = page.structure
    out.headings += [Heading(min(6, h.level + 1), h.title, h.start + start) for h in structure.headings]
    out.blocks += [_moved(block, start) for block in structure.blocks]
    out.links.update(dict.fromkeys(structure.links))


def _quoted_page(html: str) -> ParsedDocument:
    """The text of an HTML body, with the lines of quotes behind ``>``."""
    if not 0 < len(_QUOTE_START.findall(html)) <= MOST_QUOTES:
        return html_document(html)
    plain = html.replace(_OPEN, " ").replace(_CLOSE, " ")
    marked = _QUOTE_START.sub(rf"\g<0><p>{_OPEN}</p>", plain)
    page = html_document(_QUOTE_END.sub(rf"<p>{_CLOSE}</p>\g<0>", marked))
    return _Quoter().page(page)


class _Quoter:
    """Turns the marks of quotes into ``>`` before their lines, and moves the structure with them."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._size = 0
        self._olds: list[int] = []
        self._news: list[int] = []
        self._depths: list[int] = []

    def page(self, page: ParsedDocument) -> ParsedDocument:
        """The page without marks; headings of quotes are no headings of the mail."""
        depth, old = 0, 0
        blanks: list[int] = []
        is_after_mark = False
        for line in page.text.split("\n"):
            bare = line.strip()
            is_mark = bare in (_OPEN, _CLOSE)
            if is_mark:
                depth = depth + 1 if bare == _OPEN else max(0, depth - 1)
            elif bare:
                between = min(depth, self._depths[-1]) if self._depths else 0
                for blank in blanks if self._lines else ():
                    self._add("", between, blank)
                blanks = []
                self._add(line.replace(_OPEN, " ").replace(_CLOSE, " "), depth, old)
            elif not (blanks and is_after_mark):
                blanks.append(old)
            is_after_mark = is_mark
            old += len(line) + 1
        if not self._lines:
            return replace(page, text="", structure=Structure())
        text = "\n".join(self._lines)
        headings = tuple(
            heading._replace(start=self._moved(heading.start))
            for heading in page.structure.headings
            if not self._depths[self._line(heading.start)]
        )
        blocks = tuple(
            replace(
                block,
                start=self._moved(block.start),
                end=min(len(text), self._moved(block.end)),
                head_end=None if block.head_end is None else self._moved(block.head_end),
            )
            for block in page.structure.blocks
        )
        return replace(page, text=text, structure=replace(page.structure, headings=headings, blocks=blocks))

    def _add(self, line: str, depth: int, old: int) -> None:
        """Add a line behind as many ``>`` as it is deep."""
        depth = min(depth, _DEEPEST)
        self._lines.append(("> " * depth + line).rstrip() if not line else "> " * depth + line)
        self._olds.append(old)
        self._news.append(self._size)
        self._depths.append(depth)
        self._size += len(self._lines[-1]) + 1

    def _line(self, old: int) -> int:
        return max(0, bisect_right(self._olds, old) - 1)

    def _moved(self, old: int) -> int:
        """Where a position of the marked text is now; the start of a line stays before its ``>``."""
        line = self._line(old)
        within = old - self._olds[line]
        return self._news[line] + (within + 2 * self._depths[line] if within else 0)
