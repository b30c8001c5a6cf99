"""Outlook messages (MSG): the message as a document, its attachments and the messages within it as inner documents.

Encrypted and rights-protected messages are told apart, with the remedy. Properties are read by ``outlook``, the
document is made by ``mail_text``.
"""

import io
from collections.abc import Iterator

from cortex_assets.documents.errors import in_words
from cortex_assets.documents.mail_body import Segment
from cortex_assets.documents.mail_headers import read_head, readable, text_of
from cortex_assets.documents.mail_message import SMALL_PICTURE, read_message
from cortex_assets.documents.mail_model import PGP_REMEDY, SMIME_REMEDY, Mail
from cortex_assets.documents.mail_smime import signed_content
from cortex_assets.documents.mail_text import Threads, mail_document, message_id
from cortex_assets.documents.members import Members, inner_path
from cortex_assets.documents.model import Mark, Parsed, ParsedDocument, ParseInput
from cortex_assets.documents.outlook import Storage, decompressed_rtf
from cortex_assets.documents.parts import in_parts
from cortex_assets.documents.registry import UNSUPPORTED, parser_for
from cortex_assets.tables import Status

MAX_RECIPIENTS = 2000
MAX_ATTACHMENTS = 2000
RIGHTS_REMEDY = "the message is rights-protected (Microsoft): open it in Outlook as someone who may read it and save it"
_SUBJECT, _HEADERS, _BODY, _HTML, _RTF, _CLASS = 0x0037, 0x007D, 0x1000, 0x1013, 0x1009, 0x001A
_SUBMITTED, _DELIVERED = 0x0039, 0x0E06
_IDS = ((0x1035, "message-id"), (0x1039, "references"), (0x1042, "in-reply-to"))
_SHOWN = ((0x0E04, "to"), (0x0E03, "cc"), (0x0E02, "bcc"))
_KEPT_FIELDS = frozenset({"from", "to", "cc", "bcc", "date", "message-id", "references", "in-reply-to", "content-type"})
_DATA, _METHOD, _EMBEDDED, _BY_REFERENCE = 0x3701, 0x3705, 5, (2, 3, 4, 7)
_CONTENT_ID, _HIDDEN, _MIME = 0x3712, 0x7FFE, 0x370E


def parse_msg(source: ParseInput) -> Iterator[Parsed]:
    """Parse an Outlook message and what is in it."""
    from olefile import OleFileIO

    try:
        ole = OleFileIO(source.stream)
        storages = tuple(tuple(path) for path in ole.listdir(streams=False, storages=True))
    except (OSError, RecursionError, ValueError, IndexError, TypeError) as error:
        if getattr(error, "errno", None) is not None:  # olefile raises OSError for damage as well, without a number
            raise
        reason = f"damaged Outlook message ({in_words(error)}): save it again from Outlook, or as .eml"
        yield ParsedDocument("", "mail", status=Status.FAILED, reason=reason)
        return
    with ole:
        yield from _message(Storage(ole, storages), "", source, Members(source))


def _message(storage: Storage, inner: str, source: ParseInput, members: Members) -> Iterator[Parsed]:
    """The document of a message, then those of its attachments below it."""
    reader = _Reader(storage, members)
    mail = reader.mail()
    own_id = message_id(mail)
    is_blank = not mail.segments and not mail.attachments and not reader.inner_messages and not mail.problems
    if is_blank and not any(mail.fields.values()):
        reason = "no Outlook message in it: its properties are missing; save it again from Outlook, or as .eml"
        yield ParsedDocument("", "mail", inner=inner, status=Status.FAILED, reason=reason)
        return
    label = f"message <{own_id}>" if own_id else ""
    yield from in_parts(mail_document(mail, inner, label, Threads().name(mail, own_id)))
    for attachment in mail.attachments:
        yield from members.parse(f"{inner}/{attachment.name}", attachment.content, attachment.media)
    for refusal in reader.refusals:
        yield members.refused(f"{inner}/{refusal[0]}", refusal[1], refusal[2])
    for name, below in reader.inner_messages:
        yield from _inner_message(below, inner_path(f"{inner}/{name}"), source, members)


def _inner_message(storage: Storage, inner: str, source: ParseInput, members: Members) -> Iterator[Parsed]:
    """A message within a message: a member like any other, though it has no bytes of its own."""
    depth = sum(1 for name in storage.path if name.startswith("__substg1.0_3701"))
    refusal = members.refusal(0)
    if refusal is None and source.options.depth + depth > source.options.limits.depth:
        refusal = f"more than {source.options.limits.depth} messages deep: not opened; save it by itself"
    if refusal is not None:
        yield members.refused(inner, refusal)
        return
    members.count()
    if inner in source.options.avoid:
        yield ParsedDocument("", "mail", inner=inner, status=Status.QUARANTINED, reason=source.options.avoid[inner])
        return
    yield Mark(inner)
    yield from _message(storage, inner, source, members)


class _Reader:
    """Makes a ``Mail`` of a message's properties."""

    def __init__(self, storage: Storage, members: Members) -> None:
        self._storage, self._members = storage, members
        self._mail = Mail()
        self.inner_messages: list[tuple[str, Storage]] = []
        self.refusals: list[tuple[str, str, Status]] = []

    def mail(self) -> Mail:
        """What is in the message; attachments that are messages or cannot be opened are apart."""
        self._fields()
        self._attachments()
        self._body()
        self._mail.apart = [name for name, _ in self.inner_messages] + [refusal[0] for refusal in self.refusals]
        if self._storage.damage:
            self._mail.problem("parts of the file are damaged and not read: save the message again from Outlook")
        return self._mail

    def _fields(self) -> None:
        """Fields, by the headers it came with and else by its properties."""
        storage, fields = self._storage, self._mail.fields
        raw = storage.text(_HEADERS).encode("utf-8", "replace")
        for name, value in read_head(raw).fields if raw else ():
            key = name.lower()
            if key in _KEPT_FIELDS and key not in fields:
                fields[key] = readable(value)
        fields["subject"] = " ".join(storage.text(_SUBJECT).split())
        if not fields.get("from"):
            name = storage.text(0x0C1A) or storage.text(0x0042)
            address = storage.text(0x5D01) or storage.text(0x5D02) or storage.text(0x0C1F) or storage.text(0x0065)
            fields["from"] = _person(name, address)
        people = self._people()
        for number, key in _SHOWN:
            if not fields.get(key):
                fields[key] = people.get(key) or storage.text(number)
        if not fields.get("date"):
            fields["date"] = storage.time(_SUBMITTED) or storage.time(_DELIVERED)
        for number, key in _IDS:
            if not fields.get(key):
                fields[key] = storage.text(number)

    def _people(self) -> dict[str, str]:
        """Recipients by how they are addressed."""
        found: dict[str, list[str]] = {"to": [], "cc": [], "bcc": []}
        for recipient in self._storage.below("__recip_version1.0_#")[:MAX_RECIPIENTS]:
            kind = {1: "to", 2: "cc", 3: "bcc"}.get(recipient.number(0x0C15) or 1)
            address = recipient.text(0x39FE) or recipient.text(0x3003)
            if kind and (person := _person(recipient.text(0x3001), address)):
                found[kind].append(person)
        return {kind: ", ".join(people) for kind, people in found.items()}

    def _body(self) -> None:
        """The body, in the versions that there are; one that came in a signed envelope is there already."""
        storage = self._storage
        if self._mail.segments:
            return
        segment = Segment(plain=storage.text(_BODY).replace("\r\n", "\n").strip("\0"))
        html = storage.text(_HTML)
        segment.html = html or text_of(storage.binary(_HTML), storage.body_charset).text
        has_text = bool(segment.plain.strip() or segment.html.strip())
        if not has_text and not self._mail.problems and (packed := storage.binary(_RTF)):
            segment.plain = self._rtf_text(decompressed_rtf(packed))
        segment.plain = self._mail.without_cipher(segment.plain)
        if segment.plain.strip() or segment.html.strip():
            self._mail.segments.append(segment)

    def _rtf_text(self, raw: bytes) -> str:
        """The text of an RTF body, by the route of RTF files."""
        media = "application/rtf"
        route = parser_for(media)
        if not raw or route is UNSUPPORTED:
            self._mail.problem("its body is RTF that cannot be read: save the message as .eml or .html")
            return ""
        parsed = list(route.parser(ParseInput(io.BytesIO(raw), len(raw), "body.rtf", media)))
        documents = [document for document in parsed if isinstance(document, ParsedDocument)]
        if any(document.status in (Status.FAILED, Status.PARTIAL) for document in documents):
            self._mail.problem("its RTF body is damaged: save the message again from Outlook, or as .eml")
        return "".join(document.text for document in documents)

    def _attachments(self) -> None:
        """Files, messages, and the envelopes of signed, encrypted and protected messages."""
        parts = self._storage.below("__attach_version1.0_#")
        if len(parts) > MAX_ATTACHMENTS:
            self._mail.problem(f"it has more than {MAX_ATTACHMENTS} attachments: the rest is not read")
        names = [_attachment_name(part, number) for number, part in enumerate(parts[:MAX_ATTACHMENTS], start=1)]
        if _is_pgp(self._mail, parts):
            self._mail.problem(PGP_REMEDY)
            return
        message_class = self._storage.text(_CLASS).lower()
        for name, part in zip(names, parts, strict=False):
            kind = part.text(_MIME).lower()
            if kind == "application/x-microsoft-rpmsg-message" or name.lower().endswith(".rpmsg"):
                self._mail.problem(RIGHTS_REMEDY)
            elif "smime" in message_class and name.lower().endswith((".p7m", ".p7s", ".eml")):
                self._envelope(part, is_signed="multipartsigned" in message_class)
            else:
                self._attachment(name, part, kind)
            self._storage.damage += part.damage

    def _envelope(self, part: Storage, is_signed: bool) -> None:
        """The one attachment of an S/MIME message: all of the message, signed or encrypted."""
        raw = part.binary(_DATA)
        content = raw if is_signed and read_head(raw).is_known else signed_content(raw)
        if content is None:
            self._mail.problem(SMIME_REMEDY)
            return
        signed = read_message(content)
        self._mail.segments += signed.segments
        for attachment in signed.attachments:
            self._mail.attach(attachment.name, attachment.content, attachment.media)
        for problem in signed.problems:
            self._mail.problem(problem)

    def _attachment(self, name: str, part: Storage, kind: str) -> None:
        """One attachment, by how it is attached."""
        method = part.number(_METHOD)
        inner = part.at("__substg1.0_3701000D")
        if method == _EMBEDDED or part.ole.exists(list(inner.path)):
            if part.ole.exists([*inner.path, "__properties_version1.0"]):
                self.inner_messages.append((name if name.lower().endswith(".msg") else f"{name}.msg", inner))
            else:
                reason = "an object of another program within the message: open the message and save the object"
                self.refusals.append((name, reason, Status.UNSUPPORTED))
            return
        size = part.size(_DATA)
        if not size and method in _BY_REFERENCE:
            reason = "only a link to a file is in the message: drop the file itself"
            self.refusals.append((name, reason, Status.UNSUPPORTED))
            return
        refusal = self._members.refusal(size)
        if refusal is not None:
            self.refusals.append((name, refusal, Status.TOO_LARGE))
            return
        is_layout = bool(part.text(_CONTENT_ID)) or bool(part.number(_HIDDEN))
        if is_layout and kind.startswith("image/") and size < SMALL_PICTURE:
            return
        if content := part.binary(_DATA):
            self._mail.attach(name, content, "message/rfc822" if kind == "message/rfc822" else None)


def _person(name: str, address: str) -> str:
    """A name with its address; Exchange's own addresses (``/o=...``) say nothing to people."""
    name, address = name.strip(), address.strip()
    if not address or address.startswith("/") or address == name:
        return name
    return f"{name} <{address}>" if name else address


def _attachment_name(part: Storage, number: int) -> str:
    name = part.text(0x3707) or part.text(0x3001) or part.text(0x3704)
    return " ".join(name.replace("\\", "/").rpartition("/")[2].split())[-200:] or f"attachment-{number}"


def _is_pgp(mail: Mail, parts: list[Storage]) -> bool:
    """Whether a message is PGP/MIME: it says so, or has the attachment that says so."""
    if mail.fields.get("content-type", "").lower().startswith("multipart/encrypted"):
        return True
    return any(part.text(_MIME).lower() == "application/pgp-encrypted" for part in parts)
