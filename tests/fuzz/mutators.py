"""Ways to damage bytes: any bytes, ZIP members from the inside, and packed streams of a PDF.

Each is ``(pick, data, other) -> bytes``; ``other`` is another file to take bytes from. Add one to ``PLAIN`` or, where it
knows a format, to ``AWARE``.
"""

import io
import random
import re
import zipfile
import zlib
from collections.abc import Callable

Mutate = Callable[[random.Random, bytes, bytes], bytes]
MOST_BYTES = 2 * 1024 * 1024
_TAG = re.compile(rb"<[^<>]{1,200}>")
_NUMBER = re.compile(rb"\d{1,10}")
_STREAM = re.compile(rb"stream\r?\n")
_EDGES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF)
_ODD_BYTES = (
    b"\0",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80",
    b"\x1b$B",
    "\u202e\u0300\u2028".encode(),
    b"\r",
    b"\x0c",
    b"\x1a",
    b"\\ud800",
    b"&#xd800;&#0;",
    b"%s%n{}",
    b'"',
    b"<!--",
    b"]]>",
    b"\\",
)
_ENTITIES = (
    b'<!DOCTYPE a [<!ENTITY x "xxxxxxxxxx"><!ENTITY y "&x;&x;&x;&x;&x;&x;&x;&x;">'
    b'<!ENTITY z "&y;&y;&y;&y;&y;&y;&y;&y;">]>'
)


def flip_bits(pick: random.Random, data: bytes, other: bytes) -> bytes:
    """A few bits, anywhere."""
    out = bytearray(data)
    for _ in range(pick.choice([1, 2, 8, 64])):
        out[pick.randrange(len(out))] ^= 1 << pick.randrange(8)
    return bytes(out)


def truncate(pick: random.Random, data: bytes, other: bytes) -> bytes:
    """The beginning only, or the end only."""
    cut = pick.randrange(len(data))
    return data[:cut] if pick.random() < 0.8 else data[cut:]


def splice(pick: random.Random, data: bytes, other: bytes) -> bytes:
    """The beginning of one file and the end of the other."""
    return data[: pick.randrange(len(data))] + other[pick.randrange(len(other)) :]


def _span(pick: random.Random, data: bytes) -> tuple[int, int]:
    start = pick.randrange(len(data))
    return start, min(len(data), start + pick.choice([1, 4, 16, 128, 1024, 16384]))


def duplicate(pick: random.Random, data: bytes, other: bytes) -> bytes:
    """A piece again, a few times or very often (depth, width)."""
    start, end = _span(pick, data)
    count = pick.choice([1, 2, 10, 1000, 20_000])
    count = min(count, max(1, MOST_BYTES // (end - start)))
    return data[:end] + data[start:end] * count + data[end:]


def remove(pick: random.Random, data: bytes, other: bytes) -> bytes:
    """Without a piece."""
    start, end = _span(pick, data)
    return data[:start] + data[end:]


def move(pick: random.Random, data: bytes, other: bytes) -> bytes:
    """A piece elsewhere."""
    start, end = _span(pick, data)
    rest = data[:start] + data[end:]
    place = pick.randrange(len(rest) + 1)
    return rest[:place] + data[start:end] + rest[place:]


def insert(pick: random.Random, data: bytes, other: bytes) -> bytes:
    """Bytes that text tools trip over, or a piece of the other file."""
    place = pick.randrange(len(data) + 1)
    start, end = _span(pick, other)
    piece = pick.choice(_ODD_BYTES) * pick.choice([1, 1, 3, 500]) if pick.random() < 0.7 else other[start:end]
    return data[:place] + piece + data[place:]


def overwrite_length(pick: random.Random, data: bytes, other: bytes) -> bytes:
    """An integer of 1 to 8 bytes at an extreme: a length, a count, an offset."""
    width = pick.choice([1, 2, 4, 8])
    if len(data) < width:
        return data
    place = pick.randrange(len(data) - width + 1)
    value = pick.choice(_EDGES) & ((1 << (8 * width)) - 1)
    return data[:place] + value.to_bytes(width, pick.choice(["little", "big"])) + data[place + width :]


def change_number(pick: random.Random, data: bytes, other: bytes) -> bytes:
    """A number in digits at an extreme."""
    found = list(_NUMBER.finditer(data[:200_000]))
    if not found:
        return flip_bits(pick, data, other)
    match = pick.choice(found)
    value = pick.choice([b"0", b"-1", b"1e999", b"99999999999", b"4294967295", b"1" * 5000, b"1048576", b"0x10"])
    return data[: match.start()] + value + data[match.end() :]


def change_tags(pick: random.Random, data: bytes, other: bytes) -> bytes:
    """A tag away, twice, very often, or where it does not belong; a document type with entities."""
    found = list(_TAG.finditer(data[:400_000]))
    if not found:
        return duplicate(pick, data, other)
    one, two = pick.choice(found), pick.choice(found)
    how = pick.randrange(5)
    if how == 0:
        return data[: one.start()] + data[one.end() :]
    if how == 1:
        return data[: one.start()] + one.group() * pick.choice([2, 300, 20_000]) + data[one.end() :]
    if how == 2:
        return data[: one.start()] + two.group() + data[one.end() :]
    if how == 3:
        head = data.find(b"?>") + 2
        return data[:head] + _ENTITIES + data[head:].replace(b">", b">&z;", 3)
    return data[: one.end()] + pick.choice([b"&z;", b"\xff", b"&#x110000;", b"<![CDATA["]) + data[one.end() :]


def recode(pick: random.Random, data: bytes, other: bytes) -> bytes:
    """The text in another encoding."""
    text = data.decode("utf-8", "replace")
    name = pick.choice(["utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp932", "gbk", "cp1252", "koi8-r", "utf-7"])
    return text.encode(name, "replace")


PLAIN: tuple[Mutate, ...] = (
    flip_bits,
    truncate,
    splice,
    duplicate,
    remove,
    move,
    insert,
    overwrite_length,
    change_number,
    change_tags,
    recode,
)


def inside_zip(pick: random.Random, data: bytes, other: bytes) -> bytes:
    """Damage in a member, packed again as a sound archive; or a bad name, a lost, a repeated or a bloated member."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = [
                (info.filename, archive.read(info)) for info in archive.infolist()[:200] if info.file_size < 2**22
            ]
    except (zipfile.BadZipFile, zlib.error, ValueError, NotImplementedError, RuntimeError, EOFError, OSError):
        return flip_bits(pick, data, other)
    if not members:
        return flip_bits(pick, data, other)
    place = pick.randrange(len(members))
    name, content = members[place]
    how = pick.randrange(12)
    if how == 0:
        del members[place]
    elif how == 1:
        members.append(members[place])
    elif how == 2:
        members[place] = (pick.choice(["../../" + name, "/" + name, "a\nb", "\u202e" + name, "x" * 5000]), content)
    elif how == 3:
        members.append((name + ".bloated.xml", b"<a>" * 400_000))
    else:
        wounded = pick.choice(PLAIN)(pick, content, other) if content else b"\0"
        members[place] = (name, wounded)
    return _packed(members)


def _packed(members: list[tuple[str, bytes]]) -> bytes:
    import warnings

    out = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # names that are there twice, on purpose
        with zipfile.ZipFile(out, "w") as archive:
            for number, (name, content) in enumerate(members):
                info = zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0))
                is_first = number == 0 and name == "mimetype"
                info.compress_type = zipfile.ZIP_STORED if is_first else zipfile.ZIP_DEFLATED
                archive.writestr(info, content)
    return out.getvalue()


def inside_pdf(pick: random.Random, data: bytes, other: bytes) -> bytes:
    """Damage in an unpacked stream, packed again; its length is left as it was."""
    starts = [match.end() for match in _STREAM.finditer(data) if data[match.start() - 3 : match.start()] != b"end"]
    if not starts:
        return flip_bits(pick, data, other)
    start = pick.choice(starts)
    end = data.find(b"endstream", start)
    if end < 0:
        return flip_bits(pick, data, other)
    try:
        content = zlib.decompressobj().decompress(data[start:end], MOST_BYTES)
    except zlib.error:
        return flip_bits(pick, data, other)
    wounded = pick.choice(PLAIN)(pick, content, other) if content else b"BT"
    return data[:start] + zlib.compress(wounded) + b"\n" + data[end:]


AWARE: tuple[tuple[bytes, Mutate], ...] = ((b"PK\x03\x04", inside_zip), (b"%PDF", inside_pdf))
"""The first bytes of a format, and what knows how to damage it from the inside."""


def mutate(pick: random.Random, data: bytes, other: bytes) -> bytes:
    """One to four damages, one after the other."""
    for _ in range(pick.choice([1, 1, 1, 2, 4])):
        if not data:
            return data
        aware = [known for magic, known in AWARE if data.startswith(magic)]
        change = pick.choice(aware) if aware and pick.random() < 0.6 else pick.choice(PLAIN)
        data = change(pick, data, other or b"\0")[: 2 * MOST_BYTES]
    return data
