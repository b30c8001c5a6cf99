"""From a file to rows of the documents table.

``parse_path`` is what runs in the child process of isolated routes (import it by name); ``document_row`` turns what any
parser gave into a row, after ``redact``. Gathering rows is ``gather``'s; calling the sandbox and writing the table, the
derivation's.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from importlib import import_module
from pathlib import PurePosixPath

import polars as pl

from cortex_assets.documents.members import member_title
from cortex_assets.documents.model import Parsed, ParsedDocument, ParseInput, ParseOptions, Parser
from cortex_assets.documents.quality import assess
from cortex_assets.documents.redact import Redacted
from cortex_assets.documents.registry import parser_for
from cortex_assets.documents.schema import DOCUMENTS
from cortex_assets.identity import content_id, document_id, text_hash, with_row_hash
from cortex_assets.tables import Status, short_reason

FRAME_CHARS = 4 * 1024 * 1024
FRAME_ROWS = 512


@dataclass(frozen=True, slots=True)
class FileInput:
    """The columns of a file's row that documents are made from, and the label of the route that parses it."""

    file_id: str
    corpus_id: str
    shard: str
    path: str
    media_type: str
    size: int
    modified_at: datetime
    parser: str


def parse_path(
    raw_path: str, display_path: str, media_type: str, size: int, options: ParseOptions | None = None
) -> Iterator[Parsed]:
    """Open stored bytes and parse them by their media type's route.

    Args:
        raw_path: where the bytes lie.
        display_path: the file's path in its corpus, for its suffix and name.
        media_type: as found by content.
        size: number of bytes.
        options: passwords, limits, and what is to be left out.

    Raises:
        OSError: the bytes cannot be read (transient).
    """
    yield from parse_file(parser_for(media_type).parser, raw_path, display_path, media_type, size, options)


def parse_file(
    parser: Parser, raw_path: str, display_path: str, media_type: str, size: int, options: ParseOptions | None = None
) -> Iterator[Parsed]:
    """Open stored bytes and parse them; what of ``parse_path`` counts in a producer's version (the table of routes does not).

    Raises:
        OSError: the bytes cannot be read (transient).
    """
    with open(raw_path, "rb") as stream:
        yield from parser(ParseInput(stream, size, display_path, media_type, options or ParseOptions()))


def page_text(raw_path: str, media_type: str, number: int, options: ParseOptions) -> Iterator[str]:
    """The text of one page (from 1) by itself; what runs in a fresh process for a page that failed among others.

    Raises:
        OSError: the bytes cannot be read.
        ValueError: the page cannot be read.
    """
    module, _, function = parser_for(media_type).page_function.partition(":")
    with open(raw_path, "rb") as stream:
        yield getattr(import_module(module), function)(stream, number, options)


def failed_document(reason: str, status: Status = Status.FAILED) -> ParsedDocument:
    """The document that stands for a file which gave none, with one line of why."""
    return ParsedDocument("", "none", status=status, reason=short_reason(reason))


def unique_inner(inner: str, seen: dict[str, int]) -> str:
    """An inner name that no earlier document of the file has."""
    name, number = inner, seen.get(inner, 0) + 1
    while name in seen:
        name = f"{inner}#{max(number, 2)}"
        number = max(number, 2) + 1
    seen[inner] = max(seen.get(inner, 0), number - 1, 1)
    seen.setdefault(name, 1)
    return name


def storable_document(document: ParsedDocument) -> ParsedDocument:
    """The document with a text and names that can be stored, whatever its parser gave; the same one where they can be."""
    text = storable(document.text)
    title, inner = storable(document.title), storable(document.inner)
    language = storable(document.language) if document.language else document.language
    if text is document.text and title is document.title and inner is document.inner and language is document.language:
        return document
    return replace(document, text=text, title=title, inner=inner, language=language)


def document_row(file: FileInput, redacted: Redacted, inner: str) -> dict[str, object]:
    """One row, without its row hash; ``inner`` is the name that no other document of the file has."""
    document = redacted.document
    structure = storable(document.structure.to_json())
    hashed_text = text_hash(document.text)
    title = " ".join(document.title.split())
    quality = assess(document)
    return {
        "shard": file.shard,
        "document_id": document_id(file.file_id, inner),
        "file_id": file.file_id,
        "input_key": file.file_id,
        "corpus_id": file.corpus_id,
        "inner": inner,
        "path": file.path,
        "title": title or member_title(inner) or PurePosixPath(file.path).stem,
        "kind": document.kind,
        "language": document.language,
        "text": document.text,
        "text_hash": hashed_text,
        "structure": structure,
        "content_hash": content_id(hashed_text, structure, document.kind, document.language or ""),
        "char_count": len(document.text),
        "page_count": document.page_count,
        "encoding": document.encoding,
        "parser": file.parser,
        "status": document.status.value,
        "failed_pages": list(document.failed_pages),
        "reason": short_reason(storable(document.reason)) if document.reason else None,
        "findings": list(redacted.findings),
        "quality_score": quality.score,
        "quality_notes": [short_reason(storable(note)) for note in quality.notes],
        "modified_at": file.modified_at,
    }


def storable(text: str) -> str:
    """Text that is valid UTF-8: a lone surrogate becomes U+FFFD, one character for one, so that offsets stay."""
    if text.isascii():
        return text
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return "".join("\ufffd" if "\ud800" <= char <= "\udfff" else char for char in text)
    return text


def rows_frame(rows: list[dict[str, object]]) -> pl.DataFrame:
    """Rows with the table's types and row hash."""
    dtypes = {name: dtype for name, dtype in DOCUMENTS.dtypes.items() if name != "row_hash"}
    frame = with_row_hash(pl.DataFrame(rows, schema=dtypes), DOCUMENTS.unhashed)
    return frame.select(list(DOCUMENTS.dtypes))
