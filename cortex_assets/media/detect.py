"""Media type of a file by its content first: magic numbers, then "is it text" with its suffix, then magika.

Values in and out: the caller reads the head and the tail. Add a suffix to ``SUFFIXES``, a name to ``NAMES``, a magic
number to ``MAGIC``. What parses a media type is ``documents.registry``'s.
"""

import io
import re
import zipfile
from functools import cache
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from cortex_assets.media.types import (
    BINARY,
    BINARY_WORKBOOK,
    DAMAGED_SUFFIXES,
    EMPTY,
    MAGIC,
    MAGIKA_TYPES,
    NAMES,
    ODF_SUFFIXES,
    OLE_SUFFIXES,
    OOXML_FOLDERS,
    OOXML_SUFFIXES,
    SHEBANGS,
    SUFFIXES,
    TEXT,
    TYPES,
    ZEROS,
)

if TYPE_CHECKING:
    from magika import Magika

HEAD_BYTES = 16 * 1024
TAIL_BYTES = 4 * 1024
_ZIP_MIMETYPE = re.compile(rb"PK\x03\x04.{26}mimetype.{0,40}?(application/[\w.+-]{1,100}?)(?=PK|[^\w.+-]|$)", re.DOTALL)

_ODF_MEMBERS = frozenset({b"META-INF/manifest.xml", b"META-INF/container.xml", b"content.xml", b"mimetype"})
_SHEBANG = re.compile(rb"#!\s*\S*?/?(?:env\s+(?:-S\s+)?)?([A-Za-z]+)[\d.]*(?:\s|$)")
_SHEBANG_BYTES = 256
"""Most that Linux reads of such a line."""
_PDF_BODY = re.compile(rb"\d \d obj\b|\bstartxref\b|\btrailer\s*<<")
_OUTLOOK = "__properties_version1.0".encode("utf-16-le")
_MBOX_HEAD = re.compile(rb"From [^\n]{0,900}?\d\d:\d\d[^\n]{0,200}\n(?:>?From [^\n]{0,900}\n)*[!-9;-~]{1,100}[ \t]*:")
_FIELDS = re.compile(rb"(?:[!-9;-~]{1,100}+[ \t]*+:[^\n]*+\n(?:[ \t][^\n]*+\n)*+){2,}+")
_MAIL_FIELD = re.compile(
    rb"(?im)^(?:(received|return-path|message-id|mime-version|delivered-to|dkim-signature|x-mailer|in-reply-to)"
    rb"|(from|to|date|subject|cc|sender|reply-to))[ \t]*:"
)
_COMPONENT = re.compile(rb"(?i)BEGIN:(VCALENDAR|VCARD)[ \t]*\r?\n")
_SRT_HEAD = re.compile(rb"\s*\d{1,6}[ \t]*\r?\n[ \t]*\d{1,3}:\d\d:\d\d[,.]\d{1,3}[ \t]*-->")
_GENERIC = frozenset({TEXT, "text/x-log"})
_MARKUP_HEAD = re.compile(rb"(?is)\s*+(?>(?:<!--.{0,2000}?-->\s*+))*+<(?:!doctype\s+html|html|head|body)\b")
_MAGIKA_SURE = 0.5
_CONTROLS = bytes(set(range(0x20)) - set(b"\t\n\r\f\v\b\x1b") | {0x7F})
_BOMS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff", b"\0\0\xfe\xff")


def media_type(head: bytes, tail: bytes, path: str, size: int) -> str:
    """The media type of a file: IANA's where there is one; content is stronger than the suffix.

    Args:
        head: the first ``HEAD_BYTES`` (or all) of the bytes.
        tail: the last ``TAIL_BYTES`` of the bytes; ``b""`` where the head is all.
        path: display path; only its name is looked at.
        size: number of bytes of the file.

    Returns:
        A media type; ``application/octet-stream`` for binary data of no known kind, ``inode/x-empty`` for no bytes
        under a name that says nothing, ``application/x-zeros`` where head and tail are zeros.
    """
    by_name = _by_name(path)
    if size == 0 or not head:
        return by_name or EMPTY
    magic = _by_magic(head, tail, path, size)
    if magic is not None:
        return magic
    if not is_text(head):
        if not (head + tail).strip(b"\0"):
            return ZEROS
        return DAMAGED_SUFFIXES.get(PurePosixPath(path).suffix.lower()) or _by_magika(head, tail, is_binary=True)
    if by_name is None or by_name in _GENERIC:
        content = _by_text(head)
        if content is not None:
            return content
    return by_name or _by_magika(head, tail, is_binary=False)


def is_text(head: bytes) -> bool:
    """Whether the first bytes of a file look like text in any encoding."""
    if head.startswith(_BOMS):
        return True
    controls = len(head) - len(head.translate(None, _CONTROLS))
    if controls * 50 <= len(head) + 100:
        return True
    return _looks_wide(head)


def _looks_wide(head: bytes) -> bool:
    """Whether bytes with many controls are UTF-16 or UTF-32 without a mark, by how plausible their characters are."""
    usable = head[: len(head) // 4 * 4]
    for unit, names in ((4, ("utf-32-le", "utf-32-be")), (2, ("utf-16-le", "utf-16-be"))):
        if len(head) < 2 * unit:
            continue
        for name in names:
            text = usable.decode(name, "replace") if unit == 4 else head[: len(head) // 2 * 2].decode(name, "replace")
            good = sum(1 for char in text if char in "\n\r\t" or char.isprintable())
            plain = sum(1 for char in text if char in "\n\r\t" or " " <= char <= "~" or char.isalnum())
            if good >= 0.95 * len(text) and plain >= 0.6 * len(text) and _is_one_script(text):
                return True
    return False


def _is_one_script(text: str) -> bool:
    """Whether the letters are of few blocks of 128 code points, or East Asian: swapped or binary bytes scatter."""
    letters = [char for char in text if char.isalnum()]
    blocks = {
        0x4E if "\u3040" <= char <= "\u9fff" or "\uac00" <= char <= "\ud7a3" else ord(char) // 128 + 0x1000
        for char in letters
    }
    return len(blocks) <= 6 and ("\n" in text or " " in text or len(text) < 64)


def _by_name(path: str) -> str | None:
    """Media type by file name or suffix; None for one that says nothing."""
    name = PurePosixPath(path).name.lower()
    if name in NAMES:
        return NAMES[name]
    suffix = PurePosixPath(name).suffix
    if not suffix and name.startswith("."):
        suffix = name
    if name.startswith(("dockerfile.", "makefile.")):
        return NAMES[name.partition(".")[0]]
    return SUFFIXES.get(suffix)


def _by_magic(head: bytes, tail: bytes, path: str, size: int) -> str | None:
    """Media type by magic number; None for none."""
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _zip_kind(head, tail, path, size)
    for offset, magic, media in MAGIC:
        if head.startswith(magic, offset):
            if media == "application/x-ole-storage":
                by_suffix = OLE_SUFFIXES.get(PurePosixPath(path).suffix.lower())
                return by_suffix or ("application/vnd.ms-outlook" if _OUTLOOK in head + tail else media)
            if magic == b"BZh" and not head[3:4].isdigit():
                continue
            return media
    # Readers accept a PDF header within the first kilobyte; text that only mentions one has no binary comment line.
    if head.lstrip(b"\r\n \t").startswith(b"%PDF-") or (b"%PDF-" in head[:1024] and not is_text(head)):
        return "application/pdf"
    if PurePosixPath(path).suffix.lower() == ".pdf" and (not is_text(head) or _PDF_BODY.search(head + tail)):
        return "application/pdf"  # its header is damaged: the parser says what is wrong, or reads it all the same
    return None


def _zip_kind(head: bytes, tail: bytes, path: str, size: int) -> str:
    """What a ZIP archive holds, by its member names: Office, OpenDocument, EPUB, Java, else a plain archive."""
    stated = _ZIP_MIMETYPE.match(head)
    suffix = PurePosixPath(path).suffix.lower()
    if stated is not None:
        media = stated[1].decode("ascii")
        if suffix not in ODF_SUFFIXES or media in ODF_SUFFIXES.values():
            return media
    names = _zip_names(head, tail, size)
    if any(name == b"[Content_Types].xml" for name in names) or b"[Content_Types].xml" in head:
        if b"xl/workbook.bin" in names:
            return BINARY_WORKBOOK
        for folder, media in OOXML_FOLDERS:
            if any(name.startswith(folder) for name in names):
                return media
        return OOXML_SUFFIXES.get(suffix, "application/zip")
    if suffix in OOXML_SUFFIXES and any(name.startswith(folder) for folder, _ in OOXML_FOLDERS for name in names):
        return OOXML_SUFFIXES[suffix]
    if suffix in ODF_SUFFIXES and not _ODF_MEMBERS.isdisjoint(names):
        return ODF_SUFFIXES[suffix]
    if any(name == b"META-INF/MANIFEST.MF" for name in names):
        return "application/java-archive"
    return "application/zip"


def _zip_names(head: bytes, tail: bytes, size: int) -> list[bytes]:
    """Member names that can be seen: all of a small archive's, else those in the head and in the directory's end."""
    if size == len(head):
        try:
            return [name.encode("utf-8") for name in zipfile.ZipFile(io.BytesIO(head)).namelist()]
        except (zipfile.BadZipFile, ValueError, NotImplementedError):
            pass
    names: list[bytes] = []
    for data, mark, length_at, name_at in ((head, b"PK\x03\x04", 26, 30), (tail, b"PK\x01\x02", 28, 46)):
        position = data.find(mark)
        while position >= 0:
            length = int.from_bytes(data[position + length_at : position + length_at + 2], "little")
            names.append(data[position + name_at : position + name_at + length])
            position = data.find(mark, position + 4)
    return names


def _by_text(head: bytes) -> str | None:
    """Media type of text that says what it is: a shebang line, an HTML or XML head; None where it does not."""
    plain = head.replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\xff\xfe")
    if match := _SHEBANG.match(plain[:_SHEBANG_BYTES]):
        return SHEBANGS.get(match[1].decode("ascii").lower())
    if _MARKUP_HEAD.match(plain):
        return "text/html"
    if plain.startswith(b"<?xml"):
        return "image/svg+xml" if b"<svg" in plain[:2048] else "application/xml"
    return _by_fields(plain)


def _by_fields(plain: bytes) -> str | None:
    """Media type of text that begins as mailboxes, mails, calendars, contacts and subtitles do; None for other text."""
    if _MBOX_HEAD.match(plain):
        return "application/mbox"
    if (component := _COMPONENT.match(plain)) is not None:
        return "text/vcard" if component[1].upper() == b"VCARD" else "text/calendar"
    if _SRT_HEAD.match(plain):
        return "application/x-subrip"
    if plain.startswith((b"WEBVTT\n", b"WEBVTT\r", b"WEBVTT ")):
        return "text/vtt"
    if plain.startswith((b"[Script Info]\n", b"[Script Info]\r")):
        return "text/x-ssa"
    if re.match(rb"\{\d{1,9}\}\{\d{0,9}\}", plain):
        return "text/x-microdvd"
    fields = _FIELDS.match(plain)
    if fields is None:
        return None
    found = {(match[1] or b"", (match[2] or b"").lower()) for match in _MAIL_FIELD.finditer(fields[0])}
    technical = sum(1 for sure, _ in found if sure)
    return "message/rfc822" if technical + len(found) >= 4 and len(found) >= 2 else None


@cache
def _magika() -> "Magika":
    """The one shared model (0.3 s to load, offline)."""
    from magika import Magika

    return Magika()


def _by_magika(head: bytes, tail: bytes, is_binary: bool) -> str:
    """Media type by magika's model; text stays text and binary stays binary whatever it says."""
    result = _magika().identify_bytes(head + tail)
    output = result.output
    if is_binary:
        return BINARY if output.is_text or result.score < _MAGIKA_SURE else str(output.mime_type)
    if not output.is_text or result.score < _MAGIKA_SURE:
        return TEXT
    label = str(output.label)
    known = MAGIKA_TYPES.get(label) or f"text/x-{label}"
    return known if known in TYPES else TEXT
