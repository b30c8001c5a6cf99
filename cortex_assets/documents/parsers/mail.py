"""Mail in one file (EML): the message as a document, its attachments as inner documents.

Mailboxes are ``mbox``'s, Outlook's own format is ``msg``'s; both give their messages through ``message_documents``.
"""

import re
from collections.abc import Iterator

from cortex_assets.documents.decode import NotTextError, decode
from cortex_assets.documents.mail_headers import read_head
from cortex_assets.documents.mail_message import read_message
from cortex_assets.documents.mail_model import Mail
from cortex_assets.documents.mail_text import Threads, mail_document, message_id
from cortex_assets.documents.members import Members
from cortex_assets.documents.model import NO_BYTES, Parsed, ParsedDocument, ParseInput
from cortex_assets.documents.parts import in_parts
from cortex_assets.tables import Status

MAX_MESSAGE = 64 * 1024 * 1024
"""So many bytes of a message are read; attachments beyond are lost, and the message says so."""
CUT_REMEDY = f"the message is above {MAX_MESSAGE // (1024 * 1024)} MB: what is beyond is not read; save its attachments"
_COUNT_LINE = re.compile(rb"[0-9]{1,10}[ \t]*\r?\n")
_WIDE = (b"\xff\xfe", b"\xfe\xff")


def parse_mail(source: ParseInput) -> Iterator[Parsed]:
    """Parse one message and what came with it."""
    raw = source.stream.read(MAX_MESSAGE)
    if not raw.strip():
        reason = NO_BYTES if source.size == 0 else "the file has only white space"
        yield ParsedDocument("", "mail", status=Status.EMPTY, reason=reason)
        return
    raw = _plain_start(raw)
    head = read_head(raw)
    if not head.is_known:
        try:
            decode(raw)
        except NotTextError:
            reason = "no mail: it has no header and its bytes are no text; export the message again as .eml"
            yield ParsedDocument("", "mail", status=Status.FAILED, reason=reason)
            return
    mail = read_message(raw, head)
    if source.size > MAX_MESSAGE:
        mail.problems.insert(0, CUT_REMEDY)
    own_id = message_id(mail)
    label = f"message <{own_id}>" if own_id else ""
    yield from message_documents(mail, "", label, Threads().name(mail, own_id), Members(source))


def message_documents(mail: Mail, inner: str, label: str, thread: str, members: Members) -> Iterator[Parsed]:
    """The document of a message, then those of its attachments below it.

    Args:
        mail: what is in the message.
        inner: its inner path; empty for a message that is the whole file.
        label: how people know it.
        thread: name of its thread.
        members: of the file it is in.
    """
    yield from in_parts(mail_document(mail, inner, label, thread))
    for attachment in mail.attachments:
        yield from members.parse(f"{inner}/{attachment.name}", attachment.content, attachment.media)


def _plain_start(raw: bytes) -> bytes:
    """The message as mail programs send it: without byte order mark, count line (Apple's .emlx) or lone CRs."""
    if raw.startswith(_WIDE):
        return raw.decode("utf-16", "replace").encode()
    raw = raw.removeprefix(b"\xef\xbb\xbf")
    if (count := _COUNT_LINE.match(raw)) is not None:
        return raw[count.end() : count.end() + int(count[0])]
    return raw if b"\n" in raw[:MAX_MESSAGE] else raw.replace(b"\r", b"\n")
