"""Mail headers: from the bytes of a message's head to readable values, broken ones too.

Fields are kept as text with surrogates for bytes above ASCII, as the standard library's messages want them, and become
readable through ``readable``. The library's own modern policy reads 2.5 MB of small mails a second and raises on some
broken fields; this reads what is there. Bodies and attachments do not belong here.
"""

import binascii
import codecs
import re
from dataclasses import dataclass

from cortex_assets.documents.decode import Decoded, Encoding, NotTextError, decode, decode_as

MAX_FIELD = 64 * 1024
KNOWN_FIELDS = frozenset(
    {
        "from",
        "to",
        "cc",
        "bcc",
        "subject",
        "date",
        "sender",
        "reply-to",
        "message-id",
        "in-reply-to",
        "references",
        "received",
        "return-path",
        "mime-version",
        "content-type",
        "content-transfer-encoding",
        "delivered-to",
        "dkim-signature",
        "status",
        "x-mailer",
        "x-mozilla-status",
        "x-uid",
        "envelope-to",
        "user-agent",
        "resent-from",
        "newsgroups",
        "path",
    }
)
_FIELD = re.compile(rb"([!-9;-~]{1,200})[ \t]*:[ \t]*([^\n]*(?:\n[ \t][^\n]*)*)(?:\n|\Z)")
_ENVELOPE = re.compile(rb">?From [^\n]*\n")
_FOLD = re.compile(r"\r?\n[ \t]*|\r")
_WORD = re.compile(r"=\?([^?\s=]{1,60})\?([bBqQ])\?([^?]*(?:\?(?!=)[^?]*)*)\?=")
_WORD_FORM = r"=\?[^?\s=]{1,60}\?[bBqQ]\?[^?]*(?:\?(?!=)[^?]*)*\?="
_WORDS = re.compile(rf"{_WORD_FORM}(?:[ \t]*{_WORD_FORM})*")
_QUOTED = re.compile(rb"=([0-9A-Fa-f]{2})")
_NOT_BASE64 = bytes(set(range(256)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"))
_NO_CHARSETS = frozenset({"idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined"})
_WIDER = {
    "ascii": None,
    "iso8859-1": "cp1252",
    "iso8859-9": "cp1254",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
    "iso2022_jp": "iso2022_jp_2",
}
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ufeff]")


@dataclass(frozen=True, slots=True)
class Head:
    """The fields of a message in order, and where its body starts in the bytes.

    Attributes:
        fields: name as written, value with its folds and with surrogates for bytes above ASCII.
        body_start: offset behind the blank line.
        is_known: whether one of the fields is one that mails have.
    """

    fields: tuple[tuple[str, str], ...]
    body_start: int
    is_known: bool


def read_head(raw: bytes) -> Head:
    """Read the fields at the start of a message; envelope lines (``From ``) are passed over.

    The head ends at the first blank line, or before the first line that is no field.
    """
    position, size = 0, len(raw)
    while position < size and raw[position] in b"\r\n":
        position += 1
    fields: list[tuple[str, str]] = []
    is_known = False
    while position < size:
        match = _FIELD.match(raw, position)
        if match is not None:
            name = match[1].decode("ascii")
            fields.append((name, match[2][:MAX_FIELD].decode("ascii", "surrogateescape").rstrip("\r")))
            is_known = is_known or name.lower() in KNOWN_FIELDS
            position = match.end()
            continue
        if (envelope := _ENVELOPE.match(raw, position)) is not None:
            position = envelope.end()
            continue
        if raw.startswith(b"\r\n", position):
            position += 2
        elif raw.startswith(b"\n", position):
            position += 1
        break
    return Head(tuple(fields), position, is_known)


def readable(value: str) -> str:
    """A field's value on one line, encoded words and raw bytes decoded, as a person reads it."""
    if value.isascii():
        if value.isprintable() and "=?" not in value and "  " not in value:
            return value.strip()
        if "\n" in value or "\r" in value:
            value = _FOLD.sub(" ", value)
    else:
        value = text_of(_FOLD.sub(" ", value).encode("utf-8", "surrogateescape"), None).text
    if "=?" in value:
        value = _WORDS.sub(_decoded_words, value)
    return " ".join(_CONTROLS.sub(" ", value).split())


def _decoded_words(match: re.Match[str]) -> str:
    """A run of encoded words as text; neighbours of one charset are joined first, for characters cut in two."""
    runs: list[tuple[str, bytes]] = []
    for charset, kind, content in _WORD.findall(match[0]):
        name = charset.partition("*")[0].lower()
        raw = content.encode("ascii", "replace")
        data = base64_bytes(raw) if kind in "bB" else _q_bytes(raw)
        if runs and runs[-1][0] == name:
            runs[-1] = (name, runs[-1][1] + data)
        else:
            runs.append((name, data))
    return "".join(text_of(data, name).text for name, data in runs)


def _q_bytes(raw: bytes) -> bytes:
    return _QUOTED.sub(lambda match: bytes([int(match[1], 16)]), raw.replace(b"_", b" "))


def base64_bytes(raw: bytes) -> bytes:
    """Base64 with whatever does not belong in it left out; an end cut off is read as far as it goes."""
    plain = raw.translate(None, _NOT_BASE64)
    if len(plain) % 4 == 1:
        plain = plain[:-1]
    return binascii.a2b_base64(plain + b"=" * (-len(plain) % 4))


def codec_of(label: str | None) -> str | None:
    """The codec for a declared charset; None where it is unknown, says nothing, or is no charset of mails.

    What is declared as Latin-1 or GB2312 is read with the larger sets that programs really write.
    """
    if not label:
        return None
    try:
        name = codecs.lookup(label.strip().strip("\"'").lower()).name
    except (LookupError, ValueError):
        return None
    if name in _NO_CHARSETS:
        return None
    return _WIDER.get(name, name)


def text_of(data: bytes, charset: str | None) -> Decoded:
    """Bytes of a mail as text, by the declared charset where they agree with it.

    Bytes that are no text in any encoding come as Latin-1 with every one of them counted as bad.
    """
    codec = codec_of(charset)
    try:
        return decode_as(data, codec) if codec else decode(data)
    except NotTextError:
        return Decoded(data.decode("latin-1"), Encoding("latin-1", confidence=0.0, bad_bytes=len(data)))
