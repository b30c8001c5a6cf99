"""Bytes to text: which encoding a whole file is in, and its text in parts of bounded size.

Byte order mark first, then strict UTF-8, then UTF-16/32 without a mark by how plausible the result is, then the legacy
encodings that ``encodings`` knows, then charset-normalizer's opinion. What is not certain is said (``is_doubtful``).
Lines in a Western encoding within UTF-8 are read by letters: a byte that makes a letter of a word is that letter. Where
both are frequent the file is mixed: what is UTF-8 is read as that, every other byte as cp1252.
Text is kept verbatim but for the byte order mark: newlines are not rewritten and NULs stay (both are valid UTF-8).
What a parser does with the text, and charsets declared inside a format (HTML), do not belong here.
"""

import codecs
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from cortex_assets.documents.encodings import is_mojibake, legacy_guess, utf16_guess

PART_CHARS = 4 * 1024 * 1024
WHOLE_BYTES = 16 * 1024 * 1024
_BLOCK = 1024 * 1024
_DOUBT = 0.9
_UNFIT = 0.5
"""An encoding less sure than this was taken because none fits."""
_FEW_BAD = 50
"""A declared charset is believed where at most one of so many bytes above ASCII contradicts it."""
_ISO_2022_JP = b"\x1b$"
"""The escape to two-byte characters; terminals have no such sequence, and all other bytes of the encoding are ASCII."""
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_ASCII = bytes(range(0x80))
_BOM_STARTS = tuple(bom for bom, _ in _BOMS)
_STRUCTURE = (re.compile(r"\r?\n[ \t]*\r?\n"), re.compile(r"\n|\r(?!\n)"), re.compile(r"[ \t\u3000]"))
_JOINS_BACK = re.compile(r"[\u0300-\u036f\u200d\ufe00-\ufe0f\U0001f3fb-\U0001f3ff\n]")


class NotTextError(ValueError):
    """The bytes are no text in any encoding that is tried."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """How bytes are to be read.

    Attributes:
        name: codec name, such as ``utf-8``.
        bom: number of bytes of the byte order mark to skip.
        confidence: 0..1; 1 for a mark or strict UTF-8.
        bad_bytes: how many bytes the codec cannot read and are replaced by U+FFFD (0 where strict decoding succeeds).
        is_mixed: UTF-8 and cp1252 in one file; ``bad_bytes`` are then those read as cp1252.
    """

    name: str
    bom: int = 0
    confidence: float = 1.0
    bad_bytes: int = 0
    is_mixed: bool = False

    @property
    def errors(self) -> str:
        """The error handler to decode with."""
        return WESTERN if self.is_mixed else MIXED

    @property
    def is_partial(self) -> bool:
        """Whether some of the text is likely wrong: bytes were replaced, or no encoding that is known fits."""
        return self.bad_bytes > 0 or self.confidence < _UNFIT

    @property
    def is_doubtful(self) -> bool:
        """Whether the encoding is a guess, or bytes were replaced."""
        return self.confidence < _DOUBT or self.bad_bytes > 0

    @property
    def reason(self) -> str | None:
        """What to tell a person about it; None where there is no doubt."""
        if self.is_mixed:
            return f"UTF-8 and cp1252 are mixed (read as cp1252: {self.bad_bytes} bytes): save the file as UTF-8"
        if self.bad_bytes:
            mixed = "read as cp1252 within words, else " if self.name == "utf-8" else ""
            bytes_are = "1 byte is" if self.bad_bytes == 1 else f"{self.bad_bytes} bytes are"
            return f"{bytes_are} not {self.name}, {mixed}replaced by U+FFFD: save the file as UTF-8"
        if self.is_partial:
            return f"no encoding fits well, read as {self.name} ({self.confidence:.2f}): save the file as UTF-8"
        if self.is_doubtful:
            return f"encoding guessed as {self.name} ({self.confidence:.2f}): save the file as UTF-8 to be sure"
        return None


@dataclass(frozen=True, slots=True)
class Decoded:
    """A whole text and the encoding it was in."""

    text: str
    encoding: Encoding


def _mixed(error: UnicodeError) -> tuple[str, int]:
    """What stands for bytes that are not UTF-8: a Western letter within a word, else U+FFFD as ``replace`` gives it."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    raw, start = error.object, error.start
    beside = raw[max(0, start - 1) : start] + raw[start + 1 : start + 2]
    if (
        error.encoding.startswith("utf-8")
        and raw[start] >= 0xC0
        and any(chr(byte).isalpha() for byte in beside if byte < 0x80)
    ):
        return raw[start : start + 1].decode("cp1252"), start + 1
    return "\ufffd", error.end


def _western(error: UnicodeError) -> tuple[str, int]:
    """A byte that is not UTF-8 as cp1252 reads it."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return error.object[error.start : error.start + 1].decode("cp1252", "replace"), error.start + 1


MIXED, WESTERN = "cortex-mixed", "cortex-western"
codecs.register_error(MIXED, _mixed)
codecs.register_error(WESTERN, _western)


def detect(data: bytes) -> Encoding:
    """Find the encoding of a whole file's bytes.

    Raises:
        NotTextError: the bytes are binary.
    """
    for bom, name in _BOMS:
        if data.startswith(bom):
            if name == "utf-32-le" and not _decodes(data[4:], name) and _decodes(data[2:], "utf-16-le"):
                continue
            return Encoding(name, len(bom), 1.0, _bad_bytes(data[len(bom) :], name))
    has_nul = b"\0" in data
    if has_nul or _has_controls(data):
        wide = utf16_guess(data)
        if wide is not None:
            return Encoding(wide[0], 0, wide[1])
        _refuse_binary(data)
    if _decodes(data, "utf-8"):
        return Encoding("utf-8", confidence=0.7 if has_nul else 1.0)
    return _not_utf8(data)


def decode(data: bytes) -> Decoded:
    """Decode a whole file.

    Raises:
        NotTextError: the bytes are binary.
    """
    if not data.startswith(_BOM_STARTS) and b"\0" not in data and not _has_controls(data):
        try:
            if _ISO_2022_JP not in data or not _decodes(data, "iso2022_jp"):
                return Decoded(data.decode("utf-8"), Encoding("utf-8"))
            encoding = Encoding("iso2022_jp", confidence=0.95)
        except UnicodeDecodeError:
            encoding = _not_utf8(data)
    else:
        encoding = detect(data)
    return Decoded(data[encoding.bom :].decode(encoding.name, encoding.errors), encoding)


def decode_as(data: bytes, declared: str | None) -> Decoded:
    """Decode with a charset that the format declares, where the bytes agree with it; else as ``decode`` does.

    A byte order mark and strictly valid UTF-8 with non-ASCII characters are stronger than a declaration.
    """
    if declared is None or data.startswith(_BOM_STARTS):
        return decode(data)
    if not data.isascii() and _decodes(data, "utf-8"):
        return decode(data)
    try:
        name = codecs.lookup(declared).name
    except LookupError:
        return decode(data)
    bad = _bad_bytes(data, name)
    if bad * _FEW_BAD > len(data.translate(None, _ASCII)):
        return decode(data)
    return Decoded(data.decode(name, "replace"), Encoding(name, bad_bytes=bad))


def text_parts(stream: BinaryIO, size: int, limit: int = PART_CHARS) -> Iterator[tuple[str, Encoding]]:
    """Yield a file's text in parts of at most ``limit`` characters, with the encoding of the whole file.

    The parts joined are the whole text. A part ends at a blank line, else a line end, else white space; never inside a
    character, a CRLF or before a combining mark. Of the last quarter's blank lines the one with the least checksum of
    what follows is taken, so that the same places are found again after an edit further up. Files above 16 MB are read
    twice in blocks (first to decide the encoding on all of it), so memory does not grow with the file.

    Raises:
        NotTextError: the bytes are binary.
    """
    if size <= WHOLE_BYTES:
        decoded = decode(stream.read())
        yield from ((part, decoded.encoding) for part in _split([decoded.text], limit))
        return
    encoding = _detect_stream(stream)
    stream.seek(encoding.bom)
    decoder = codecs.getincrementaldecoder(encoding.name)(encoding.errors)
    blocks = (decoder.decode(block, final=not block) for block in _blocks(stream))
    yield from ((part, encoding) for part in _split(blocks, limit))


def _blocks(stream: BinaryIO) -> Iterator[bytes]:
    """The stream in blocks, with an empty one at the end (which flushes a decoder)."""
    while block := stream.read(_BLOCK):
        yield block
    yield b""


def _split(texts: "Iterator[str] | list[str]", limit: int) -> Iterator[str]:
    """Join pieces of text and cut them again at structure into parts of at most ``limit`` characters."""
    pieces: list[str] = []
    held = 0
    for piece in texts:
        pieces.append(piece)
        held += len(piece)
        while held > limit:
            text = "".join(pieces)
            cut = _cut(text, limit)
            yield text[:cut]
            pieces = [text[cut:]]
            held -= cut
    rest = "".join(pieces)
    if rest:
        yield rest


def _cut(text: str, limit: int) -> int:
    """Where to end a part within the last quarter before ``limit``."""
    low = limit - limit // 4
    for pattern in _STRUCTURE:
        ends = [match.end() for match in pattern.finditer(text, low, limit)]
        # A CR at the limit may be half of a CRLF, which the pattern cannot see beyond its end.
        ends = [end for end in ends if text[end - 1 : end + 1] != "\r\n"]
        if ends:
            return min(ends, key=lambda end: (zlib.crc32(text[end : end + 64].encode("utf-8", "replace")), end))
    cut = limit
    while cut > low and _JOINS_BACK.match(text, cut):
        cut -= 1
    return cut if cut > low else limit


def _decodes(data: bytes, name: str) -> bool:
    try:
        data.decode(name)
    except UnicodeError:
        return False
    return True


def _bad_bytes(data: bytes, name: str) -> int:
    """How many byte runs ``name`` cannot decode, as U+FFFD that replacing makes (0 where it decodes strictly)."""
    if _decodes(data, name):
        return 0
    genuine = "\ufffd".encode(name, "ignore")  # most 8-bit encodings have no such character
    return max(1, data.decode(name, "replace").count("\ufffd") - (data.count(genuine) if genuine else 0))


def is_blank(text: str) -> bool:
    """Whether a text has nothing to see: white space, controls and characters without width only."""
    return not text or text.isspace() or not any(char.isprintable() and not char.isspace() for char in text)


def _has_controls(data: bytes) -> bool:
    """Whether control characters are frequent, which text has not and UTF-16 and binary data have."""
    sample = data if len(data) <= _BLOCK else data[: _BLOCK // 2] + data[-_BLOCK // 2 :]
    return len(sample.translate(None, _TEXT_BYTES)) * 100 > len(sample)


_TEXT_BYTES = bytes(set(range(0x20, 0x7F)) | set(b"\t\n\r\f\v\b\x1b") | set(range(0x80, 0x100)))


def _refuse_binary(data: bytes) -> None:
    """Raise for bytes with too many NULs or controls to be text in an 8-bit encoding."""
    controls = len(data.translate(None, _TEXT_BYTES))
    if controls * 50 > len(data) + 100:
        raise NotTextError(f"binary: {controls} of {len(data)} bytes are controls in no known text encoding")


def _declared(head: bytes) -> str | None:
    """The 8-bit encoding that an XML declaration or a coding line names; None where none is, or none that is known."""
    match = _DECLARED.match(head)
    if match is None:
        return None
    try:
        name = codecs.lookup((match[1] or match[2]).decode("ascii")).name
    except LookupError:
        return None
    return None if name.startswith("utf") else name


_DECLARED = re.compile(
    rb"\s*<\?xml[^>]{0,200}?encoding\s*=\s*[\"']([A-Za-z0-9._-]{2,40})[\"']"
    rb"|(?:[^\n]{0,400}\n)?[ \t]*[#%;/*]+[^\n]{0,200}?coding[:=][ \t]*([A-Za-z0-9._-]{2,40})"
)


def _not_utf8(data: bytes) -> Encoding:
    """Encoding of bytes that are not strict UTF-8: UTF-8 with a few bad bytes, or a legacy encoding."""
    declared = _declared(data[:1024])
    if declared is not None and _decodes(data, declared):
        return Encoding(declared)
    broken = data.decode("utf-8", "replace")
    bad = max(1, broken.count("\ufffd") - data.count(b"\xef\xbf\xbd"))
    # Valid sequences of three bytes and more are hardly ever there by chance.
    good = sum(4 if char >= "\u0800" else 1 for char in _NON_ASCII.findall(broken) if char != "\ufffd")
    if good > 2 * bad:
        return Encoding("utf-8", 0, 0.8, bad)
    name, confidence = legacy_guess(data)
    if is_mojibake(data, name, confidence):
        return Encoding("utf-8", 0, _UNFIT, bad, is_mixed=True)
    if confidence < _DOUBT and (wide := utf16_guess(data)) is not None:
        return Encoding(wide[0], 0, min(wide[1], 0.8))
    return Encoding(name, 0, confidence, _bad_bytes(data, name))


_NON_ASCII = re.compile(r"[^\x00-\x7f]")


def _detect_stream(stream: BinaryIO) -> Encoding:
    """Encoding of a large file: strict UTF-8 is tried on all of it in blocks, anything else is told from samples."""
    stream.seek(0)
    head = stream.read(2 * _BLOCK)
    if head.startswith(_BOM_STARTS[1:]) or b"\0" in head or _has_controls(head):
        return detect(head[: (head.rfind(b"\n") + 4) // 4 * 4] or head)
    stream.seek(0)
    decoder = codecs.getincrementaldecoder("utf-8")()
    position = 0
    for block in _blocks(stream):
        try:
            decoder.decode(block, final=not block)
        except UnicodeDecodeError:
            stream.seek(max(0, position - _BLOCK))
            return _sampled(head, stream.read(2 * _BLOCK))
        position += len(block)
    return Encoding("utf-8", len(codecs.BOM_UTF8) if head.startswith(codecs.BOM_UTF8) else 0)


def _sampled(head: bytes, around: bytes) -> Encoding:
    """Encoding by the lines around the first bytes that are not UTF-8; whole lines, so that no character is halved."""
    lines = around[around.find(b"\n") + 1 : around.rfind(b"\n") + 1] or around
    declared = _declared(head[:1024])
    if declared is not None and _decodes(lines, declared):
        return Encoding(declared)
    guess = detect(lines) if not _decodes(lines, "utf-8") else Encoding("utf-8", 0, 0.8)
    bom = len(codecs.BOM_UTF8) if head.startswith(codecs.BOM_UTF8) else 0
    name = "utf-8" if bom else guess.name
    return Encoding(name, bom, min(guess.confidence, 0.8), guess.bad_bytes, guess.is_mixed)
