"""The one loop of all text families: bytes to parts of verbatim text, each analysed and given as a document.

A family brings an ``Analyse``: text of one part to its structure. What all of them share is here: decoding, parts above
4 MiB with inner names, empty files, binary files, doubtful encodings. Extracted text does not belong here.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from cortex_assets.documents.decode import Encoding, NotTextError, is_blank, text_parts
from cortex_assets.documents.model import NO_BYTES, ParsedDocument, ParseInput, Structure
from cortex_assets.tables import Status, short_reason


@dataclass(frozen=True, slots=True)
class Analysis:
    """What a family found in one part of a text; ``problem`` (one sentence) makes the part's status ``partial``."""

    title: str = ""
    structure: Structure = field(default_factory=Structure)
    problem: str | None = None
    language: str | None = None


Analyse = Callable[[str, bool], Analysis]
"""``(text of a part, whether it is the whole file) -> Analysis``; called once per part, in order."""


def verbatim(source: ParseInput, kind: str, analyse: Analyse) -> Iterator[ParsedDocument]:
    """Yield a text file as one document, or as parts ``part-0001``... where it is above 4 MiB characters.

    The texts joined are the decoded file, character for character. A binary file gives one document of kind ``none``,
    status ``unsupported``; a file without visible characters one of status ``empty``, and so for each part.
    """
    try:
        parts = text_parts(source.stream, source.size)
        first = next(parts, None)
        second = next(parts, None)
        if first is None or (second is None and is_blank(first[0])):
            yield _empty(source, kind, first)
            return
        if second is None:
            yield _document(first, kind, analyse(first[0], True))
            return
        yield from _parts(first, second, parts, kind, analyse)
    except NotTextError as error:
        yield ParsedDocument("", "none", status=Status.UNSUPPORTED, reason=str(error))


def _parts(
    first: tuple[str, Encoding],
    second: tuple[str, Encoding],
    rest: Iterator[tuple[str, Encoding]],
    kind: str,
    analyse: Analyse,
) -> Iterator[ParsedDocument]:
    """Documents of a file that has at least two parts, numbered from 1."""
    number, title = 0, ""
    part: tuple[str, Encoding] | None = first
    upcoming: tuple[str, Encoding] | None = second
    while part is not None:
        number += 1
        document = _document(part, kind, analyse(part[0], False))
        title = title or document.title
        name = f"{title} (part {number})" if title else ""
        yield replace(document, title=name, inner=f"part-{number:04d}")
        part, upcoming = upcoming, next(rest, None) if upcoming is not None else None


def _document(part: tuple[str, Encoding], kind: str, analysis: Analysis) -> ParsedDocument:
    """One part as a document; bytes that could not be read and a family's problem make it partial."""
    text, encoding = part
    if is_blank(text):
        reason = "this part of the file has nothing to see in it; the other parts may"
        return ParsedDocument(text, kind, status=Status.EMPTY, reason=reason, encoding=encoding.name)
    problems = [problem for problem in (analysis.problem, encoding.reason) if problem]
    is_partial = analysis.problem is not None or encoding.is_partial
    return ParsedDocument(
        text=text,
        kind=kind,
        title=analysis.title,
        language=analysis.language,
        structure=analysis.structure,
        status=Status.PARTIAL if is_partial else Status.OK,
        reason=short_reason("; ".join(problems)) or None,
        encoding=encoding.name,
        confidence=encoding.confidence,
    )


def _empty(source: ParseInput, kind: str, first: tuple[str, Encoding] | None) -> ParsedDocument:
    """The document of a file with nothing to read in it."""
    reason = NO_BYTES if source.size == 0 else "the file has nothing in it that can be seen"
    text, encoding = first if first is not None else ("", Encoding("utf-8"))
    return ParsedDocument(text, kind, status=Status.EMPTY, reason=reason, encoding=encoding.name)
