"""What is in a message, whatever format it came in; and what to say of messages that cannot be read.

Filled by ``mail_message`` and the ``msg`` parser, made a document by ``mail_text``.
"""

import re
from dataclasses import dataclass, field

from cortex_assets.documents.mail_body import Segment

SMIME_REMEDY = "the body is encrypted (S/MIME): open it in a mail program that has the key and save it unencrypted"
PGP_REMEDY = "the body is encrypted (PGP): decrypt it in a mail program that has the key and save it unencrypted"
_CIPHER = re.compile(r"-----BEGIN PGP MESSAGE-----.*?(?:-----END PGP MESSAGE-----|\Z)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that came with a message: its name, its bytes, and its media type where the message is sure of it."""

    name: str
    content: bytes
    media: str | None = None


@dataclass(slots=True)
class Mail:
    """What is in one message.

    Attributes:
        fields: lower-case name to readable value; of repeated fields the first.
        segments: the body, in order.
        attachments: in order, each under a name of its own.
        apart: names of what came with it and is no attachment with bytes: messages within, links, objects.
        problems: what could not be read, one sentence each with its remedy; the document is then partial.
        doubts: what makes the text doubtful.
        confidence: 0..1, how sure the encoding of the least sure text is.
    """

    fields: dict[str, str] = field(default_factory=dict)
    segments: list[Segment] = field(default_factory=list)
    attachments: list[Attachment] = field(default_factory=list)
    apart: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)
    confidence: float = 1.0

    def attach(self, name: str, content: bytes, media: str | None = None) -> None:
        """Add an attachment; a repeated name gets a number before its suffix."""
        taken = {attachment.name for attachment in self.attachments}
        stem, dot, suffix = name.rpartition(".") if "." in name[1:] else (name, "", "")
        number, unique = 1, name
        while unique in taken:
            number += 1
            unique = f"{stem} ({number}){dot}{suffix}"
        self.attachments.append(Attachment(unique, content, media))

    def without_cipher(self, text: str) -> str:
        """Text without what PGP encrypted in it, which is noted as a problem."""
        if "-----BEGIN PGP MESSAGE-----" not in text:
            return text
        self.problem(PGP_REMEDY)
        return _CIPHER.sub("", text)

    def problem(self, sentence: str) -> None:
        """Note something that could not be read, once."""
        if sentence not in self.problems:
            self.problems.append(sentence)
