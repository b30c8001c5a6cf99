"""What pictures say about themselves in EXIF, IPTC and XMP: titles, captions, keywords, camera, date, author.

Coordinates are never read. Damaged metadata are left out: they are no part of the picture. Formats' own comments are
``image_streams``'s.
"""

import re
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from xml.etree import ElementTree

MAX_VALUE = 10_000
MAX_XMP = 4 * 1024 * 1024
_EXIF_TEXTS = {270: "Description", 315: "Author", 33432: "Copyright"}
_EXIF_WIDE = {40091: "Title", 40092: "Comment", 40094: "Keywords", 40095: "Subject"}
_IPTC = {
    (2, 5): "Title",
    (2, 105): "Headline",
    (2, 120): "Description",
    (2, 25): "Keywords",
    (2, 80): "Author",
    (2, 116): "Copyright",
}
_XMP = {
    "{http://purl.org/dc/elements/1.1/}title": "Title",
    "{http://purl.org/dc/elements/1.1/}description": "Description",
    "{http://purl.org/dc/elements/1.1/}subject": "Keywords",
    "{http://purl.org/dc/elements/1.1/}creator": "Author",
    "{http://purl.org/dc/elements/1.1/}rights": "Copyright",
    "{http://ns.adobe.com/photoshop/1.0/}Headline": "Headline",
}
_ITEM = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}li"
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ufeff\ud800-\udfff]")
_EXIF_BLOCK = 34665
_DAMAGE = (ValueError, SyntaxError, LookupError, TypeError, OSError, EOFError, ArithmeticError, AttributeError)


@dataclass(slots=True)
class Facts:
    """Named texts, each once, in the order they were found."""

    _facts: dict[str, list[str]] = field(default_factory=dict)

    def add(self, name: str, value: object) -> None:
        """Note a text (or bytes that may be one); empty ones and repetitions leave nothing."""
        text = value if isinstance(value, str) else _decoded(value) if isinstance(value, bytes) else ""
        text = " ".join(_CONTROL.sub(" ", text[:MAX_VALUE]).split())
        known = self._facts.setdefault(name, [])
        if text and text not in known:
            known.append(text)

    def first(self, name: str) -> str:
        """The first text of a name, or an empty one."""
        return next(iter(self._facts.get(name, [])), "")

    def lines(self) -> list[str]:
        """``Name: text``, a line each."""
        return [f"{name}: {'; '.join(texts)}" for name, texts in self._facts.items() if texts]


def _decoded(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("cp1252", "replace")


def exif_facts(picture: Any, facts: Facts) -> None:
    """Note what EXIF says: texts, camera and date."""
    with suppress(*_DAMAGE):
        exif = picture.getexif()
        for tag, name in _EXIF_WIDE.items():
            if (wide := exif.get(tag)) is not None:
                facts.add(name, bytes(wide).decode("utf-16-le", "replace").rstrip("\0"))
        for tag, name in _EXIF_TEXTS.items():
            facts.add(name, _repaired(exif.get(tag)))
        details = exif.get_ifd(_EXIF_BLOCK)
        facts.add("Comment", _user_comment(details.get(37510)))
        camera = [" ".join(str(exif.get(tag) or "").replace("\0", " ").split()) for tag in (271, 272)]
        facts.add("Camera", camera[1] if camera[1].startswith(camera[0]) else " ".join(camera).strip())
        facts.add("Taken", _date(details.get(36867) or exif.get(306)))


def _repaired(value: object) -> object:
    """Pillow reads EXIF texts as Latin-1; most are UTF-8."""
    if isinstance(value, str):
        with suppress(UnicodeError):
            return value.encode("latin-1").decode("utf-8")
    return value


def _user_comment(value: object) -> str:
    """A comment with its eight bytes of encoding."""
    if isinstance(value, str):
        return value
    if not isinstance(value, bytes) or len(value) < 9:
        return ""
    if value.startswith(b"UNICODE"):
        body = value[8:]
        return body.decode("utf-16-le" if body[1::2].count(0) >= body[::2].count(0) else "utf-16-be", "replace")
    return _decoded(value[8:] if value[:8] in (b"ASCII\0\0\0", b"\0" * 8) else value)


def _date(value: object) -> str:
    """``2021:05:03 14:22:11`` as ``2021-05-03 14:22:11``."""
    match = re.match(r"(\d{4}):(\d\d):(\d\d)( \d\d:\d\d:\d\d)?", value) if isinstance(value, str) else None
    return f"{match[1]}-{match[2]}-{match[3]}{match[4] or ''}" if match and match[1] != "0000" else ""


def iptc_facts(picture: Any, facts: Facts) -> None:
    """Note what IPTC says."""
    from PIL import IptcImagePlugin

    with suppress(*_DAMAGE):
        stated = IptcImagePlugin.getiptcinfo(picture) or {}
        for key, name in _IPTC.items():
            values = stated.get(key) or []
            for value in values if isinstance(values, list) else [values]:
                facts.add(name, value)


def xmp_facts(packet: object, facts: Facts) -> None:
    """Note what an XMP packet says; one with a document type is not read."""
    raw = packet.encode() if isinstance(packet, str) else packet
    if not isinstance(raw, bytes) or len(raw) > MAX_XMP or b"<!DOCTYPE" in raw or b"<!ENTITY" in raw:
        return
    with suppress(ElementTree.ParseError, *_DAMAGE):
        root = ElementTree.fromstring(raw.strip(b"\0 \r\n\t"))  # noqa: S314 - no document type gets here
        for element in root.iter():
            for key, value in element.attrib.items():
                if key in _XMP:
                    facts.add(_XMP[key], value)
            name = _XMP.get(str(element.tag))
            if name:
                for text in [item.text for item in element.iter(_ITEM)] or [element.text]:
                    facts.add(name, text)
