"""Parts of a zipped office document (Office Open XML, OpenDocument, EPUB): read within limits, also from a damaged zip.

Every XML part goes through here: sizes are bounded, document type declarations are refused (so no entity is ever
expanded), and the namespaces of strict Office Open XML become the usual ones. A part that cannot be read whole is
named in ``problems``, and what can be read of it is given. What the parts mean does not belong here.
"""

import posixpath
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, cast
from urllib.parse import unquote
from xml.etree import ElementTree

from cortex_assets.documents.parsers.salvage import LooseMembers
from cortex_assets.tables import Status

MAX_TREE_BYTES = 64 * 1024 * 1024
MAX_TREE_TAGS = 5_000_000
MAX_STREAM_BYTES = 2 * 1024 * 1024 * 1024
MAX_TOTAL_BYTES = 4 * 1024 * 1024 * 1024
MAX_MEMBERS = 100_000
_BLOCK = 256 * 1024
_RELATION = "{http://schemas.openxmlformats.org/package/2006/relationships}Relationship"
_DC_TITLE = "{http://purl.org/dc/elements/1.1/}title"
_STRICT = re.compile(
    rb"http://purl\.oclc\.org/ooxml/(officeDocument|wordprocessingml|spreadsheetml|presentationml|drawingml)/"
)
_DECLARED = re.compile(rb"\s*<\?xml[^>]{0,200}?encoding\s*=\s*[\"']([A-Za-z0-9_.:-]{1,40})")
_BARE_DOCTYPE = re.compile(rb"<!DOCTYPE[^\[\]<>]{0,500}>")
"""One that only names its kind; nothing is loaded from there."""
_PLAIN_ENCODING = re.compile(rb"(?i)utf-?8|us-ascii|ascii|iso-8859-\d{1,2}|windows-125\d|cp125\d|latin-?1")
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    OverflowError,
    ValueError,
    OSError,
)


class PackageError(ValueError):
    """A package or one of its parts is not read; the message says what, where and the remedy.

    Attributes:
        status: what the document's status is where this part is all of it.
    """

    def __init__(self, message: str, status: Status = Status.FAILED) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Relation:
    """What a part refers to: its kind (the last word of the type), and a part's name, or an address outside."""

    kind: str
    target: str
    is_external: bool


class Package:
    """A zipped document, whose parts are found whatever the case and slashes of their names.

    ``problems`` says what is damaged in it, ``limits`` what is left out of it because it is too large.

    Args:
        stream: the zip file.
        what: what it should be, for messages: ``DOCX``.

    Raises:
        PackageError: there is no readable member, or too many.
    """

    def __init__(self, stream: BinaryIO, what: str) -> None:
        self.what = what
        self.problems: list[str] = []
        self.limits: list[str] = []
        self._stream = stream
        self._loose: LooseMembers | None = None
        self._zip: zipfile.ZipFile | None = None
        self._read = 0
        try:
            self._zip = zipfile.ZipFile(stream)
            names = self._zip.namelist()
        except _DAMAGE:
            names = list(self._salvaged().names)
            if not names:
                raise PackageError(f"damaged {what}: no part of it can be read; open and save it again") from None
            self.problems.append("the zip file is damaged or cut off")
        if len(names) > MAX_MEMBERS:
            raise PackageError(f"the {what} has {len(names)} parts, the limit is {MAX_MEMBERS}", Status.TOO_LARGE)
        self._names: dict[str, str] = {}
        for name in names:
            self._names.setdefault(_folded(name), name)

    def __contains__(self, name: str) -> bool:
        return _folded(name) in self._names

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all members, in the order of the package."""
        return tuple(self._names.values())

    def size(self, name: str) -> tuple[int, int]:
        """Unpacked and packed size as the package states them (they may lie); zeros where it does not say."""
        if self._zip is None:
            return 0, 0
        info = self._zip.getinfo(self._actual(name))
        return info.file_size, info.compress_size

    def blocks(self, name: str, limit: int = MAX_STREAM_BYTES) -> Iterator[bytes]:
        """The bytes of a part in blocks; where it is damaged, those before the damage, and a problem is noted.

        Raises:
            PackageError: there is no such part, it is encrypted, or it is larger than ``limit``.
        """
        actual = self._actual(name)
        size = 0
        for block in self._raw_blocks(actual):
            size += len(block)
            self._read += len(block)
            if size > limit or self._read > MAX_TOTAL_BYTES:
                raise PackageError(f"{_short(name)} unpacks to more than {limit:,} bytes: not read", Status.TOO_LARGE)
            yield block

    def content(self, name: str, limit: int = MAX_TREE_BYTES) -> bytes:
        """All bytes of a part; see ``blocks``."""
        return b"".join(self.blocks(name, limit))

    def tree(self, name: str) -> ElementTree.Element:
        """A part as an element tree; of one that is cut off, what came before, and a problem is noted.

        Raises:
            PackageError: there is no such part, it is too large, has a document type, or is no XML.
        """
        raw = self.content(name)
        if raw.count(b"<") > MAX_TREE_TAGS:
            raise PackageError(f"{_short(name)} has more than {MAX_TREE_TAGS:,} tags: split the file", Status.TOO_LARGE)
        return self._parsed(name, checked_xml(name, raw))

    def optional(self, name: str) -> ElementTree.Element | None:
        """A part that may be missing or unreadable: then None; an unreadable one is noted as a problem."""
        if name not in self:
            return None
        try:
            return self.tree(name)
        except PackageError as error:
            self._note(str(error), name)
            return None

    def relations(self, name: str) -> dict[str, Relation]:
        """What a part refers to, by id; the package itself is the part ``""``."""
        folder, base = posixpath.split(name)
        root = self.optional(posixpath.join(folder, "_rels", f"{base}.rels"))
        found: dict[str, Relation] = {}
        for node in root.findall(_RELATION) if root is not None else ():
            target = node.get("Target", "")
            is_external = node.get("TargetMode") == "External"
            if not is_external:
                target = resolved(folder, target)
            found[node.get("Id", "")] = Relation(node.get("Type", "").rpartition("/")[2], target, is_external)
        return found

    def main_part(self, fallback: str) -> str:
        """Name of the main part of an Office Open XML package.

        Raises:
            PackageError: it names none, and there is none where it usually is.
        """
        for relation in self.relations("").values():
            if relation.kind == "officeDocument" and relation.target in self:
                return relation.target
        if fallback in self:
            return fallback
        raise PackageError(f"damaged {self.what}: it names no main document; open and save it again")

    def title(self) -> str:
        """The title in the core properties of an Office Open XML package."""
        root = self.optional("docProps/core.xml")
        node = root.find(_DC_TITLE) if root is not None else None
        return " ".join((node.text or "").split()) if node is not None else ""

    def _actual(self, name: str) -> str:
        actual = self._names.get(_folded(name))
        if actual is None:
            raise PackageError(f"damaged {self.what}: {_short(name)} is missing; open and save it again")
        return actual

    def _salvaged(self) -> LooseMembers:
        if self._loose is None:
            self._loose = LooseMembers(self._stream)
        return self._loose

    def _raw_blocks(self, actual: str) -> Iterator[bytes]:
        """A member's bytes by the zip's directory; from where that fails, by the member's own header."""
        done = 0
        if self._zip is not None:
            if self._zip.getinfo(actual).flag_bits & 1:
                raise PackageError(f"encrypted {self.what}: a password is needed; save a copy without one")
            try:
                with self._zip.open(actual) as member:
                    while block := member.read(_BLOCK):
                        done += len(block)
                        yield block
                    return
            except _DAMAGE:
                pass
        loose = self._salvaged()
        passed = 0
        for block in loose.blocks(actual):
            passed += len(block)
            if passed > done:
                yield block[max(0, len(block) - (passed - done)) :]
        if self._zip is not None or not loose.is_whole(actual):
            self._note(f"{_short(actual)} is damaged", actual)

    def _parsed(self, name: str, raw: bytes) -> ElementTree.Element:
        try:
            return ElementTree.fromstring(raw)  # noqa: S314 - no document type gets here
        except ElementTree.ParseError as error:
            root = _beginning(raw)
            if root is None:
                place = f"line {error.position[0]}"
                raise PackageError(f"damaged {self.what}: {_short(name)} is no XML at {place}") from error
            self._note(f"{_short(name)} is damaged at line {error.position[0]}, the rest is missing", name)
            return root
        except (LookupError, ValueError) as error:  # an encoding that does not exist
            raise PackageError(f"damaged {self.what}: the encoding of {_short(name)} is unknown") from error

    def _note(self, problem: str, part: str) -> None:
        """Note what is wrong with a part, once."""
        if not any(_short(part) in noted for noted in self.problems):
            self.problems.append(problem)


def checked_xml(name: str, raw: bytes) -> bytes:
    """XML that is safe to parse, in an encoding in which nothing hides, with the usual namespaces.

    Raises:
        PackageError: it has a document type (or entities), or an encoding that no office program writes.
    """
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in raw[:4]:
        text = raw.decode("utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-16-le", "replace")
        text = re.sub(r"^\ufeff?\s*<\?xml.*?\?>", "", text, count=1, flags=re.DOTALL)
        raw = text.encode("utf-8", "replace")
    declared = _DECLARED.match(raw.removeprefix(b"\xef\xbb\xbf"))
    if declared is not None and not _PLAIN_ENCODING.fullmatch(declared[1]):
        raise PackageError(f"{_short(name)} is in an encoding that office programs do not write: not read")
    if b"<!DOCTYPE" in raw:
        raw = _BARE_DOCTYPE.sub(b"", raw, count=1)
    if b"<!DOCTYPE" in raw or b"<!ENTITY" in raw:
        raise PackageError(f"{_short(name)} declares a document type or entities, which it has no need of: not read")
    if b"purl.oclc.org/ooxml" in raw:
        raw = _STRICT.sub(rb"http://schemas.openxmlformats.org/\1/2006/", raw)
    return raw


def resolved(folder: str, target: str) -> str:
    """A member's name that a reference in a folder means; nothing in it points out of the package."""
    path = unquote(target.partition("#")[0]).replace("\\", "/")
    joined = path if path.startswith("/") else posixpath.join("/", folder, path)
    return posixpath.normpath(joined).lstrip("/") if path else ""


def _beginning(raw: bytes) -> ElementTree.Element | None:
    """The tree of XML that breaks off, as far as it goes; None where not even its first element begins."""
    parser: ElementTree.XMLPullParser[Any] = ElementTree.XMLPullParser(("start",))
    root: ElementTree.Element | None = None
    for start in range(0, len(raw), _BLOCK):
        try:
            parser.feed(raw[start : start + _BLOCK])
            for _, element in cast("Iterator[tuple[str, ElementTree.Element]]", parser.read_events()):
                root = element if root is None else root
        except ElementTree.ParseError:
            break
    return root


def _folded(name: str) -> str:
    return name.replace("\\", "/").lstrip("/").lower()


def _short(name: str) -> str:
    return name if len(name) <= 60 else "…" + name[-59:]
