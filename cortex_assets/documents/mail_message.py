"""From the bytes of one internet message (RFC 5322, MIME) to what is in it: fields, body, attachments, and what is wrong.

The standard library takes multipart messages apart; which part is the body, which an attachment and which neither is
decided here. Making a document of it is ``mail_text``'s, opening attachments is the parsers'.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.errors import (
    CloseBoundaryNotFoundDefect,
    MessageError,
    NoBoundaryInMultipartDefect,
    StartBoundaryNotFoundDefect,
)
from email.feedparser import BytesFeedParser
from email.message import Message
from email.policy import Compat32, compat32

from cortex_assets.documents.mail_body import Segment, content_bytes, flowed, transfer_decoded
from cortex_assets.documents.mail_headers import Head, read_head, readable, text_of
from cortex_assets.documents.mail_model import PGP_REMEDY, SMIME_REMEDY, Mail
from cortex_assets.documents.mail_smime import is_enveloped, signed_content

MAX_PARTS = 2000
SMALL_PICTURE = 16 * 1024
"""A picture that belongs to the layout (has a content id or stands among related parts) and is smaller is left out."""
_FEED = 1024 * 1024
_UNFOLDED = compat32.clone(max_line_length=0)


class _Raw(Compat32):
    """Gives fields as they are: the library's own policy replaces every byte above ASCII, which ``readable`` can read."""

    def header_fetch_parse(self, name: str, value: str) -> str:
        """The value with surrogates for such bytes."""
        return value


_RAW = _Raw()
_SIGNATURES = frozenset(
    {
        "application/pkcs7-signature",
        "application/x-pkcs7-signature",
        "application/pgp-signature",
        "application/pgp-keys",
    }
)
_ENVELOPES = frozenset({"application/pkcs7-mime", "application/x-pkcs7-mime"})
_BODIES = frozenset(
    (
        "text/plain",
        "text/html",
        "text/enriched",
        "text/richtext",
        "text/markdown",
        "text/rfc822-headers",
        "message/partial",
    )
)
_LAYOUT = frozenset(
    {"text/css", "text/javascript", "application/javascript", "application/x-javascript", "text/x-amp-html"}
)
_NAMES = {"text/calendar": "invite.ics", "text/vcard": "contact.vcf", "text/x-vcard": "contact.vcf"}
_CUT_OFF = "the message ends before its last part does (cut off): get it again"


def read_message(raw: bytes, head: Head | None = None) -> Mail:
    """Read one message.

    Args:
        raw: its bytes; an envelope line at the start is passed over.
        head: its head where it was read already.
    """
    head = head or read_head(raw)
    mail = Mail()
    for name, value in head.fields:
        key = name.lower()
        if key not in mail.fields:
            mail.fields[key] = readable(value) if key in _SHOWN else value
    if not head.is_known:
        mail.problem("no mail header was found: read as plain text; save the message again as .eml")
        decoded = text_of(raw, None)
        mail.segments.append(Segment(plain=decoded.text.replace("\r\n", "\n")))
        return mail
    walk = _Walk(mail)
    if not _read_simple(walk, raw, head):
        walk.parts(_message(raw, head, mail))
    return mail


def _read_simple(walk: "_Walk", raw: bytes, head: Head) -> bool:
    """Read a message that is one text, as most in mailing lists are, without taking it apart; whether it is one."""
    fields = walk.mail.fields
    kind_field = fields.get("content-type", "text/plain").lower()
    kind = kind_field.partition(";")[0].strip()
    if kind not in ("text/plain", "text/html") or "content-disposition" in fields:
        return False
    if "name" in kind_field or "*" in kind_field:
        return False
    raw, doubt = transfer_decoded(raw[head.body_start :], fields.get("content-transfer-encoding", ""), True)
    charset = _CHARSET.search(kind_field)
    is_flowed = kind == "text/plain" and _FLOWED.search(kind_field) is not None
    body = TextPart(
        kind, charset[1] if charset else None, is_flowed, is_flowed and _DELSP.search(kind_field) is not None
    )
    walk.text(raw, body, doubt, None)
    return True


_CHARSET = re.compile(r"""[;\s]charset\s*=\s*["']?([^\s"';]{1,60})""")
_FLOWED = re.compile(r"""[;\s]format\s*=\s*["']?flowed""")
_DELSP = re.compile(r"""[;\s]delsp\s*=\s*["']?yes""")


@dataclass(frozen=True, slots=True)
class TextPart:
    """What a text part says about itself: media type, charset, and how its lines are to be joined."""

    kind: str
    charset: str | None
    is_flowed: bool
    is_joined_tight: bool


_SHOWN = frozenset(
    {"from", "to", "cc", "bcc", "date", "subject", "message-id", "references", "in-reply-to", "reply-to"}
)


def _message(raw: bytes, head: Head, mail: Mail) -> "Message[str, str]":
    """The message taken apart; one that cannot be is one part with its raw body."""
    top = _single(raw, head)
    if not top.get_content_type().startswith(("multipart/", "message/")):
        return top
    try:
        parser: BytesFeedParser[Message[str, str]] = BytesFeedParser(policy=_RAW)
        for name, value in head.fields:
            parser.feed(b"%s: %s\n" % (name.encode("ascii"), value.encode("ascii", "surrogateescape")))
        parser.feed(b"\n")
        for start in range(head.body_start, len(raw), _FEED):
            parser.feed(raw[start : start + _FEED])
        return parser.close()
    except (RecursionError, MessageError, ValueError, LookupError, TypeError, AttributeError):
        mail.problem("its parts cannot be told apart (nested too deep or damaged): the raw body is given")
        top.replace_header("Content-Type", "text/plain")
        return top


def _single(raw: bytes, head: Head) -> "Message[str, str]":
    """A message that is not taken apart: its fields, and its body as it is. Much faster than the library's feed."""
    message: Message[str, str] = Message(policy=_RAW)
    for name, value in head.fields:
        message.set_raw(name, value)
    message.set_payload(raw[head.body_start :].decode("ascii", "surrogateescape"))
    return message


class _Walk:
    """Goes through the parts of a message in order, without recursion, and puts what it finds into a ``Mail``."""

    def __init__(self, mail: Mail) -> None:
        self.mail = mail
        self._count = 0

    def parts(self, top: "Message[str, str]") -> None:
        """Take all parts in."""
        pending: list[tuple[Message[str, str], Segment | None, bool]] = [(top, None, False)]
        while pending:
            part, choice, is_related = pending.pop()
            self._count += 1
            if self._count > MAX_PARTS:
                self.mail.problem(f"it has more than {MAX_PARTS} parts: the rest is not read")
                return
            kind = part.get_content_type()
            if any(isinstance(defect, _CUT) for defect in part.defects):
                self.mail.problem(_CUT_OFF)
            if not kind.startswith("multipart/"):
                self._leaf(part, kind, choice, is_related)
                continue
            children = part.get_payload()
            if not isinstance(children, list):
                self._text(part, "text/plain", choice)
                continue
            if kind == "multipart/encrypted":
                self.mail.problem(PGP_REMEDY)
                continue
            if kind == "multipart/alternative" and choice is None:
                choice = Segment()
                self.mail.segments.append(choice)
            is_related = is_related or kind == "multipart/related"
            pending.extend((child, choice, is_related) for child in reversed(children) if isinstance(child, Message))

    def _leaf(self, part: "Message[str, str]", kind: str, choice: Segment | None, is_related: bool) -> None:
        """A part without parts: body, attachment, or neither."""
        if kind in _SIGNATURES or (kind in _LAYOUT and not _is_attached(part, by_name=False)):
            return
        if kind == "message/rfc822":
            self._inner_mail(part)
        elif kind in _ENVELOPES:
            self._envelope(part)
        elif kind == "message/delivery-status":
            self._report(part)
        elif kind in _BODIES and not _is_attached(part):
            self._text(part, kind, choice)
        else:
            self._attachment(part, kind, is_related)

    def _text(self, part: "Message[str, str]", kind: str, choice: Segment | None) -> None:
        """A text part among others."""
        raw, doubt = content_bytes(part)
        is_flowed = kind == "text/plain" and str(part.get_param("format", "")).lower() == "flowed"
        is_joined_tight = is_flowed and str(part.get_param("delsp", "")).lower() == "yes"
        self.text(raw, TextPart(kind, part.get_content_charset(), is_flowed, is_joined_tight), doubt, choice)

    def text(self, raw: bytes, part: TextPart, doubt: str | None, choice: Segment | None) -> None:
        """Take a text of the body in; in an alternative it joins the segment that stands for all of them."""
        decoded = text_of(raw, part.charset)
        if decoded.encoding.confidence == 0:
            self.mail.problem(f"a text of {len(raw)} bytes is left out, it is in no known encoding: save it by itself")
            return
        self.mail.confidence = min(self.mail.confidence, decoded.encoding.confidence)
        if decoded.encoding.is_partial:
            self.mail.problem(f"text part: {decoded.encoding.reason}")
        elif decoded.encoding.reason:
            self.mail.doubts.append(decoded.encoding.reason)
        if doubt:
            self.mail.doubts.append(doubt)
        text = decoded.text.replace("\r\n", "\n")
        if part.is_flowed:
            text = flowed(text, part.is_joined_tight)
        text = self.mail.without_cipher(text)
        segment = choice
        if segment is None:
            segment = Segment()
            self.mail.segments.append(segment)
        segment.add(text, is_html=part.kind == "text/html")

    def _inner_mail(self, part: "Message[str, str]") -> None:
        """A forwarded message, as bytes again."""
        children = part.get_payload()
        if not isinstance(children, list) or not children or not isinstance(children[0], Message):
            return
        try:
            raw = children[0].as_bytes(policy=_UNFOLDED)
        except (MessageError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
            self.mail.problem("a forwarded message in it is damaged and not read: save that one by itself")
            return
        name = _file_name(part) or f"message-{len(self.mail.attachments) + 1}.eml"
        self.mail.attach(name, raw, "message/rfc822")

    def _envelope(self, part: "Message[str, str]") -> None:
        """An S/MIME envelope: signed content is read as a message of its own, an encrypted one is said to be."""
        raw, _ = content_bytes(part)
        inner = None if is_enveloped(raw) else signed_content(raw)
        if inner is None:
            self.mail.problem(SMIME_REMEDY)
            return
        signed = read_message(inner)
        self.mail.segments += signed.segments
        for attachment in signed.attachments:
            self.mail.attach(attachment.name, attachment.content, attachment.media)
        for problem in signed.problems:
            self.mail.problem(problem)

    def _report(self, part: "Message[str, str]") -> None:
        """A delivery report: its fields, readable."""
        blocks = part.get_payload()
        if isinstance(blocks, list):
            lines = ["\n".join(f"{name}: {readable(str(value))}" for name, value in _raw_items(b)) for b in blocks]
            self.mail.segments.append(Segment(plain="\n\n".join(line for line in lines if line)))

    def _attachment(self, part: "Message[str, str]", kind: str, is_related: bool) -> None:
        """A file, unless it is a small picture of the layout."""
        raw, _ = content_bytes(part)
        if not raw:
            return
        is_layout = is_related or part.get("content-id") is not None
        is_small = kind.startswith("image/") and len(raw) < SMALL_PICTURE
        if is_small and is_layout and not _is_attached(part, by_name=False):
            return
        name = _file_name(part) or _NAMES.get(kind) or f"attachment-{len(self.mail.attachments) + 1}"
        self.mail.attach(name, raw)


_CUT = (CloseBoundaryNotFoundDefect, StartBoundaryNotFoundDefect, NoBoundaryInMultipartDefect)


def _raw_items(part: object) -> Iterator[tuple[str, str]]:
    return part.raw_items() if isinstance(part, Message) else iter(())


def _is_attached(part: "Message[str, str]", by_name: bool = True) -> bool:
    """Whether a part is a file: it says so, or (where that counts) it has a file name."""
    if part.get_content_disposition() == "attachment":
        return True
    return by_name and _file_name(part) != ""


_PATHS = re.compile(r"[/\\]+")


def _file_name(part: "Message[str, str]") -> str:
    """The file name of a part as a person reads it, without folders; empty for none."""
    try:
        name = part.get_filename() or ""
    except (MessageError, ValueError, LookupError, TypeError):
        return ""
    return _PATHS.split(readable(str(name)).rstrip("/\\"))[-1][-200:]
