"""Mailboxes (MBOX): one message at a time, each a document, its attachments below it; memory does not grow with the file.

A separator is a ``From `` line with a time in it, or one before a field that mails have; a line of a body that only
begins with ``From `` is none. ``>From `` is undone as mboxrd does, which reads mboxo as well. Reading a message is
``mail_message``'s.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from cortex_assets.documents.mail_headers import KNOWN_FIELDS, read_head
from cortex_assets.documents.mail_message import read_message
from cortex_assets.documents.mail_text import Threads, message_id
from cortex_assets.documents.members import Members, inner_path
from cortex_assets.documents.model import NO_BYTES, Mark, Parsed, ParsedDocument, ParseInput
from cortex_assets.documents.parsers.mail import CUT_REMEDY, MAX_MESSAGE, message_documents
from cortex_assets.documents.registry import PARSE_ERRORS
from cortex_assets.tables import Status

BLOCK = 1024 * 1024
MAX_ID = 200
_AHEAD = 4096
"""Bytes looked at behind ``From `` to tell whether it parts messages."""
_NAMES = b"|".join(re.escape(name.encode()) for name in sorted(KNOWN_FIELDS))
_SEPARATOR = re.compile(
    rb"From (?:[^\n]{0,900}?\d\d:\d\d[^\n]{0,200}\n(?:>?From [^\n]{0,900}\n)*(?:[!-9;-~]{1,100}[ \t]*:|X-)"
    rb"|[^\n]{0,900}\n(?:(?i:" + _NAMES + rb")[ \t]*:|X-[!-9;-~]{1,100}:))"
)
_ESCAPED = re.compile(rb"^>(>*From )", re.MULTILINE)
_NOT_IN_NAME = re.compile(r"[/\\#\x00-\x20\x7f-\x9f]")


@dataclass(frozen=True, slots=True)
class RawMessage:
    """One message of a mailbox: its bytes without the separator, and whether bytes beyond the limit were left out."""

    content: bytes
    is_cut: bool


def parse_mbox(source: ParseInput) -> Iterator[Parsed]:
    """Parse a mailbox; a message that cannot be read costs only itself."""
    members, threads, names = Members(source), Threads(), _Names()
    count = 0
    for raw in raw_messages(source.stream):
        count += 1
        members.begin()
        yield from _message(raw, count, source, members, threads, names)
    if not count:
        reason = NO_BYTES if source.size == 0 else "the mailbox has no message in it"
        yield ParsedDocument("", "mail", status=Status.EMPTY, reason=reason)


def _message(
    raw: RawMessage, number: int, source: ParseInput, members: Members, threads: Threads, names: "_Names"
) -> Iterator[Parsed]:
    """What one message gives: documents, or one row that says why not."""
    inner = f"/message-{number:06d}"
    try:
        head = read_head(raw.content)
        stated = next((value for name, value in head.fields if name.lower() == "message-id"), "")
        inner = names.inner(stated, number)
        if inner in source.options.avoid:
            reason = source.options.avoid[inner]
            yield ParsedDocument("", "mail", inner=inner, status=Status.QUARANTINED, reason=reason)
            return
        yield Mark(inner)
        mail = read_message(raw.content, head)
        own_id = message_id(mail)
        if raw.is_cut:
            mail.problems.insert(0, CUT_REMEDY)
        label = f"message <{own_id}>" if own_id else f"message {number}"
        yield from message_documents(mail, inner, label, threads.name(mail, own_id), members)
    except PARSE_ERRORS:
        reason = f"message {number} is damaged and cannot be read: save it by itself as .eml"
        yield ParsedDocument("", "mail", inner=inner, status=Status.FAILED, reason=reason)


class _Names:
    """Inner paths of messages: by message id, by number where there is none or it repeats."""

    def __init__(self) -> None:
        self._seen: set[str] = set()

    def inner(self, message_id_field: str, number: int) -> str:
        """The inner path of the message with this field."""
        name = _NOT_IN_NAME.sub("_", message_id_field.strip().strip("<>").encode("ascii", "replace").decode())
        path = inner_path(name) if name and len(name) <= MAX_ID else f"/message-{number:06d}"
        if path in self._seen:
            path = f"/message-{number:06d}"
        self._seen.add(path)
        return path


def raw_messages(stream: BinaryIO) -> Iterator[RawMessage]:
    """Yield the messages of a mailbox in order; text before the first separator is one as well."""
    held = bytearray()
    is_cut = False
    looked = 0
    while block := stream.read(BLOCK):
        held += block
        start = 0
        for position in _separators(held, looked, len(held) - _AHEAD):
            if (message := _stripped(bytes(held[start:position]))) or is_cut:
                yield RawMessage(message[:MAX_MESSAGE], is_cut)
            start, is_cut = position, False
        del held[:start]
        looked = max(0, len(held) - _AHEAD - 1)
        if len(held) > MAX_MESSAGE + 2 * BLOCK:
            del held[MAX_MESSAGE : len(held) - BLOCK]
            looked, is_cut = max(0, len(held) - _AHEAD - 1), True
    start = 0
    for position in _separators(held, looked, len(held)):
        if message := _stripped(bytes(held[start:position])):
            yield RawMessage(message[:MAX_MESSAGE], is_cut)
        start, is_cut = position, False
    if message := _stripped(bytes(held[start:])):
        yield RawMessage(message[:MAX_MESSAGE], is_cut)


def _separators(held: bytearray, start: int, end: int) -> Iterator[int]:
    """Where separators begin, from ``start`` to before ``end``, the very beginning left out."""
    position = held.find(b"\nFrom ", max(0, start))
    while 0 <= position < end:
        if _SEPARATOR.match(held, position + 1) is not None:
            yield position + 1
        position = held.find(b"\nFrom ", position + 5)


def _stripped(message: bytes) -> bytes:
    """A message without its separator line, its ``>From `` undone; empty where nothing is in it."""
    if message.startswith(b"From "):
        message = message[message.find(b"\n") + 1 :] if b"\n" in message else b""
    if b">From " in message:
        message = _ESCAPED.sub(rb"\1", message)
    return message if message.strip() else b""
