"""What the parsers of Office Open XML (DOCX, PPTX, XLSX) and OpenDocument share: opening, judging, embedded files.

What a part means is the formats' own.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import PurePosixPath
from xml.etree import ElementTree

from cortex_assets.documents.members import Members
from cortex_assets.documents.model import Parsed, ParsedDocument, ParseInput, Structure
from cortex_assets.documents.parsers.ole import MAGIC, native_file, parse_ole
from cortex_assets.documents.parsers.package import Package, PackageError
from cortex_assets.documents.parsers.xml_stream import StreamError, TooLongError
from cortex_assets.tables import Status

R = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
_PROBLEM_CHARS = 75
"""Of each of two problems: with a remedy they are the 200 characters of a reason."""
_EMBEDDED = re.compile(r"(?:^|/)embeddings/[^/]+$", re.IGNORECASE)

Read = Callable[[Package, ParseInput], Iterator[Parsed]]


def parse_package(source: ParseInput, what: str, kind: str, read: Read) -> Iterator[Parsed]:
    """Open a zipped document and read it; what stops the reading becomes a row that says why.

    Args:
        source: the file.
        what: the format's name, for messages.
        kind: of its documents.
        read: gives the documents of an opened package.
    """
    source.stream.seek(0)
    head = source.stream.read(8)
    if head == MAGIC:
        yield from parse_ole(source)
        return
    count = 0
    try:
        for item in read(Package(source.stream, what), source):
            count += isinstance(item, ParsedDocument)
            yield item
    except PackageError as error:
        yield ParsedDocument("", kind, inner="rest" if count else "", status=error.status, reason=str(error))
    except RecursionError:
        reason = f"the {what} is nested too deeply to be read; open and save it again"
        yield ParsedDocument("", kind, inner="rest" if count else "", status=Status.FAILED, reason=reason)


def judged(document: ParsedDocument, package: Package, empty: str) -> ParsedDocument:
    """The document with the status that its text and the package's problems come to.

    Args:
        document: as read.
        package: with what could not be read.
        empty: why there is no text, where nothing was wrong.
    """
    problems = list(dict.fromkeys(problem for problem in (document.reason, *package.problems) if problem))
    told = problems + package.limits
    more = f" (and {len(told) - 2} more problems)" if len(told) > 2 else ""
    remedy = "restore it from a copy" if problems else "split it"
    said = "; ".join(_short(problem) for problem in told[:2]) + more
    if not document.text:
        status = Status.FAILED if problems else Status.TOO_LARGE if told else Status.EMPTY
        reason = f"{said}; no text: {remedy}" if told else empty
        return replace(document, text="", structure=Structure(), status=status, reason=reason)
    return replace(document, status=Status.PARTIAL, reason=f"{said}; {remedy}") if told else document


def note_end(package: Package, where: str, error: StreamError | PackageError) -> None:
    """Note why a part was not read to its end: as a limit, or as damage."""
    is_limit = error.status is Status.TOO_LARGE if isinstance(error, PackageError) else isinstance(error, TooLongError)
    (package.limits if is_limit else package.problems).append(f"{where}: {error}")


def _short(problem: str) -> str:
    return problem if len(problem) <= _PROBLEM_CHARS else problem[: _PROBLEM_CHARS - 1] + "…"


def embedded_documents(package: Package, source: ParseInput) -> Iterator[Parsed]:
    """Files that are embedded in the document, each parsed as the file it is; OLE objects that hold no file are none."""
    members = Members(source)
    for name in package.names:
        if not _EMBEDDED.search(name):
            continue
        size, packed = package.size(name)
        refusal = members.refusal(size, packed or None)
        if refusal is not None:
            yield members.refused(name, refusal)
            continue
        try:
            raw = package.content(name, source.options.limits.member_bytes)
        except PackageError as error:
            yield members.refused(name, str(error), error.status)
            continue
        if raw.startswith(MAGIC) and name.lower().endswith(".bin"):
            native = native_file(raw)
            if native is None:
                continue
            inner_name, raw = native
            name = f"{PurePosixPath(name).parent}/{PurePosixPath(inner_name or name).name}"
        yield from members.parse(name, raw)


def attribute(node: ElementTree.Element | None, name: str) -> str:
    """An attribute of an element that may be missing; empty where either is."""
    return (node.get(name) or "") if node is not None else ""


def whole_number(value: str | None) -> int:
    """A count in an attribute; 0 for what is none."""
    return int(value) if value is not None and value.isascii() and value.isdigit() and len(value) < 10 else 0


def one_line(node: ElementTree.Element | None) -> str:
    """All text below an element on one line."""
    return " ".join("".join(node.itertext()).split()) if node is not None else ""
