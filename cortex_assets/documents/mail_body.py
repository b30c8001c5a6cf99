"""The text of a mail's body: transfer encodings undone, format=flowed joined, plain and HTML versions chosen between.

Which part of a message is its body is ``mail_message``'s.
"""

import binascii
import quopri
import re
from dataclasses import dataclass
from email.message import Message

from cortex_assets.documents.mail_headers import base64_bytes

_SOFT_BREAK = re.compile(rb"=\r?\n")
_ESCAPE = re.compile(rb"=[0-9A-F]{2}")
_QUOTES = re.compile(r">*")
_STUB = 300
"""A plain version shorter than this many characters, of an HTML version four times as long, stands in for nothing."""


@dataclass(slots=True)
class Segment:
    """One stretch of a body: its plain version, its HTML version, or both."""

    plain: str = ""
    html: str = ""

    def add(self, text: str, is_html: bool) -> None:
        """Add a part's text to its version."""
        if is_html:
            self.html += text
        elif text.strip():
            self.plain = f"{self.plain}\n{text}" if self.plain else text

    def prefers_plain(self, html_text: str) -> bool:
        """Whether the plain version says what the HTML version does, given the text of the latter."""
        plain = self.plain.strip()
        return bool(plain) and (len(plain) >= _STUB or len(html_text) < 4 * len(plain))


def content_bytes(part: "Message[str, str]") -> tuple[bytes, str | None]:
    """The bytes of a part with its transfer encoding undone as far as it goes, and a doubt about that.

    The library undoes encodings less leniently, and text only by its declared charset; so the bytes are asked for as
    if they had no encoding, which is left noted in the part.
    """
    encoding = str(part.get("content-transfer-encoding", ""))
    if encoding:
        part.replace_header("Content-Transfer-Encoding", "8bit")
    raw = part.get_payload(decode=True)
    if not isinstance(raw, bytes):
        return b"", None
    return transfer_decoded(raw, encoding, part.get_content_maintype() == "text")


def transfer_decoded(raw: bytes, encoding: str, is_text: bool) -> tuple[bytes, str | None]:
    """Bytes with a transfer encoding undone as far as it goes, and a doubt about that.

    Text that is quoted-printable without saying so is told by its soft line breaks.
    """
    name = encoding.strip().strip("\"'").lower()
    if name == "quoted-printable":
        return quopri.decodestring(raw), None
    if name == "base64":
        return base64_bytes(raw), None
    if name in ("x-uuencode", "uuencode", "uue", "x-uue"):
        return _uu_bytes(raw), None
    if (
        is_text
        and (b"=\n" in raw or b"=\r\n" in raw)
        and len(_SOFT_BREAK.findall(raw)) >= 2
        and len(_ESCAPE.findall(raw)) >= 2
    ):
        return quopri.decodestring(raw), "quoted-printable that is not declared was decoded"
    return raw, None


def _uu_bytes(raw: bytes) -> bytes:
    """Uuencoded lines between ``begin`` and ``end``; a broken line is left out."""
    lines = raw.splitlines()
    start = next((number for number, line in enumerate(lines) if line.startswith(b"begin ")), None)
    if start is None:
        return raw
    decoded: list[bytes] = []
    for line in lines[start + 1 :]:
        if line.strip() == b"end":
            break
        try:
            decoded.append(binascii.a2b_uu(line[: 1 + (((line[0] - 32) & 63) * 4 + 5) // 3] if line else line))
        except binascii.Error:
            continue
    return b"".join(decoded)


def flowed(text: str, is_joined_tight: bool) -> str:
    """Join the lines of format=flowed text (RFC 3676) to paragraphs, quoted ones per depth.

    Args:
        text: with plain line ends.
        is_joined_tight: DelSp=yes, the space at a soft line end belongs to the break.
    """
    done: list[str] = []
    open_depth: int | None = None
    for line in text.split("\n"):
        depth = len(_QUOTES.match(line)[0])  # type: ignore[index]
        content = line[depth:]
        content = content[1:] if content.startswith(" ") else content
        is_signature = content == "-- "
        if open_depth == depth and not is_signature:
            done[-1] += content
        else:
            done.append(f"{'>' * depth} {content}" if depth else content)
        is_soft = content.endswith(" ") and not is_signature
        if is_soft and is_joined_tight:
            done[-1] = done[-1][:-1]
        open_depth = depth if is_soft else None
    return "\n".join(done)
