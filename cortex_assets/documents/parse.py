"""From a file to rows of the documents table.

``parse_path`` is what runs in the child process of isolated routes (import it by name); ``document_rows`` turns what
any parser gave into frames. Calling the sandbox and writing the table is the derivation's.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from importlib import import_module
from pathlib import PurePosixPath

import polars as pl

from cortex_assets.documents.members import member_title
from cortex_assets.documents.model import Parsed, ParsedDocument, ParseInput, ParseOptions, Parser
from cortex_assets.documents.registry import PARSE_ERRORS, parser_for
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


def document_rows(file: FileInput, parsed: Iterable[ParsedDocument]) -> Iterator[pl.DataFrame]:
    """Yield frames of the documents table for one file, each of at most 512 rows or about 4 MiB characters.

    An error of the parser becomes a row of status ``failed``, beside the parts that came before it. A file for which
    the parser gives nothing becomes an ``empty`` row. Repeated inner names get ``#2``, ``#3``... in order.

    Args:
        file: what the rows are about.
        parsed: what the file's parser yields.

    Raises:
        OSError: the file cannot be read.
        MemoryError: there is not enough memory.
    """
    seen: dict[str, int] = {}
    rows: list[dict[str, object]] = []
    chars = 0
    for document in _caught(parsed):
        rows.append(document_row(file, document, unique_inner(document.inner, seen)))
        chars += len(document.text)
        if chars >= FRAME_CHARS or len(rows) >= FRAME_ROWS:
            yield rows_frame(rows)
            rows, chars = [], 0
    if rows:
        yield rows_frame(rows)


def _caught(parsed: Iterable[ParsedDocument]) -> Iterator[ParsedDocument]:
    """The documents; then, for an error, a failed one; and never none at all."""
    count = 0
    try:
        for document in parsed:
            yield document
            count += 1
    except PARSE_ERRORS as error:
        reason = short_reason(f"{type(error).__name__}: {error}")
        yield ParsedDocument("", "none", inner="rest" if count else "", status=Status.FAILED, reason=reason)
        return
    if count == 0:
        yield ParsedDocument("", "none", status=Status.EMPTY, reason="the parser found no document in the file")


def unique_inner(inner: str, seen: dict[str, int]) -> str:
    """An inner name that no earlier document of the file has."""
    name, number = inner, seen.get(inner, 0) + 1
    while name in seen:
        name = f"{inner}#{max(number, 2)}"
        number = max(number, 2) + 1
    seen[inner] = max(seen.get(inner, 0), number - 1, 1)
    seen.setdefault(name, 1)
    return name


def document_row(file: FileInput, document: ParsedDocument, inner: str) -> dict[str, object]:
    """One row, without its row hash."""
    text = _storable(document.text)
    structure = _storable(document.structure.to_json())
    hashed_text = text_hash(text)
    title = " ".join(_storable(document.title).split())
    return {
        "shard": file.shard,
        "document_id": document_id(file.file_id, inner),
        "file_id": file.file_id,
        "input_key": file.file_id,
        "corpus_id": file.corpus_id,
        "inner": _storable(inner),
        "path": file.path,
        "title": title or member_title(inner) or PurePosixPath(file.path).stem,
        "kind": document.kind,
        "language": document.language,
        "text": text,
        "text_hash": hashed_text,
        "structure": structure,
        "content_hash": content_id(hashed_text, structure, document.kind, document.language or ""),
        "char_count": len(text),
        "page_count": document.page_count,
        "encoding": document.encoding,
        "parser": file.parser,
        "status": document.status.value,
        "failed_pages": list(document.failed_pages),
        "reason": short_reason(_storable(document.reason)) if document.reason else None,
        "modified_at": file.modified_at,
    }


def _storable(text: str) -> str:
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
