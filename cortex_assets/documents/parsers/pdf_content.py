"""Tells a blank page from one whose content is lost, for files on whose pages the engine finds nothing and no error.

It looks at the bytes of objects that stand in the file in clear; what it cannot tell counts as blank. Reading pages is
``pdf``'s.
"""

import re
import zlib
from typing import BinaryIO

MAX_BYTES = 64 * 1024 * 1024
_NAMED = re.compile(rb"/Contents\s*(?:\[((?:\s*\d{1,9}\s+\d{1,5}\s+R)*)\s*\]|(\d{1,9}\s+\d{1,5}\s+R))")
_REFERENCE = re.compile(rb"(\d{1,9})\s+(\d{1,5})\s+R")
_STREAM = re.compile(rb"(?:(?!endobj).){0,4000}?\bstream\r?\n", re.DOTALL)
_FILTER = re.compile(rb"/Filter\s*\[?\s*/(\w{1,40})")
_REMEDY = "repair it with qpdf, or save it again from the program that made it"


def lost_content(stream: BinaryIO) -> str | None:
    """Why the pages of a file look blank though they are not; None where they are blank as far as can be told."""
    stream.seek(0)
    data = stream.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES or b"/Encrypt" in data or b"/ObjStm" in data:
        return None
    for match in _NAMED.finditer(data):
        for number, generation in _REFERENCE.findall(match[1] or match[2] or b""):
            what = _damage(data, number, generation)
            if what is not None:
                return f"damaged PDF: the content of a page (object {number.decode()}) {what}; {_REMEDY}"
    return None


def _damage(data: bytes, number: bytes, generation: bytes) -> str | None:
    """What is wrong with a content object; None where nothing is known to be."""
    found = re.search(rb"(?<!\d)0*%s\s+%s\s+obj\b" % (number, generation), data)
    if found is None:
        return "is not in the file"
    head = _STREAM.match(data, found.end())
    if head is None:
        return None
    named = _FILTER.search(head[0])
    packed = data[head.end() : head.end() + 64 * 1024]
    if named is None or packed.startswith(b"endstream"):
        return None
    return None if _unpacks(packed, named[1]) else f"cannot be unpacked as {named[1].decode()}"


def _unpacks(packed: bytes, name: bytes) -> bool:
    """Whether packed bytes begin as their filter says; an unknown filter is believed."""
    if name in (b"FlateDecode", b"Fl"):
        try:
            zlib.decompressobj().decompress(packed, 1)
        except zlib.error:
            return False
    # The first nine bits of LZW are the code that clears the table, 256.
    return name not in (b"LZWDecode", b"LZW") or (packed[:1] == b"\x80" and packed[1:2] < b"\x80")
