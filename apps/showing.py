"""What ``apps.reader`` shows of a source: the text around a chunk with what was cited marked, and a page's picture. Imported late.

Texts come from the stored documents, bytes from the raw store or from below the corpus root, by their hash; nothing else on
the disk is read, whatever a caller asks for.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from apps.browsing import named
from apps.errors import FOUND, USAGE, CommandError
from apps.past import lake_at
from apps.residence import looked_in
from apps.views import SourceLine, SourceShown
from cortex_assets.chunks.schema import CHUNKS
from cortex_assets.corpora.registry import Registered
from cortex_assets.corpora.schema import FILES
from cortex_assets.documents.schema import DOCUMENTS
from cortex_assets.house import House
from cortex_assets.retrieval.highlight import displayable
from resources.lakehouse import Lakehouse
from resources.passwords import read_passwords

PDF = "application/pdf"
MOST_LINES = 2_000
LONGEST_LINE = 4_000
PICTURE = "cortex_assets.documents.page_picture.page_picture"
_SHOWN = ("document_id", "file_id", "path", "inner", "title", "kind", "language", "parser", "status", "reason")
_CHUNK = ("chunk_id", "start_char", "end_char", "start_page", "end_page", "place")


@dataclass(frozen=True, slots=True)
class Asked:
    """Which part of a document is to be shown: a chunk, a cited span in it, and how many lines around."""

    document_id: str
    chunk_id: str
    start_char: int
    end_char: int
    around: int


def source(corpus: str, asked: Asked, as_of: datetime | None) -> SourceShown:
    """See ``apps.reader.source``."""
    with looked_in() as house:
        known = named(house, corpus)
        lake, document = _document(_lakes(house, known, as_of), known, asked.document_id)
        where = {"shard": document["shard"]}
        chunks = lake.near(CHUNKS, where, {"input_key": [asked.document_id]}, _CHUNK)
        chunk = next(chunks.filter(pl.col("chunk_id") == asked.chunk_id).iter_rows(named=True), None)
        if chunk is None:
            raise CommandError(
                "the chunk is not there any more: the document was changed since",
                f"{corpus}/{document['path']}",
                "search again",
                FOUND,
            )
        return _shown(house, known, lake, document, chunk, asked)


def _lakes(house: House, corpus: Registered, as_of: datetime | None) -> dict[str, Lakehouse]:
    """Shard to the lake that it is read from."""
    return dict.fromkeys(corpus.shards, house.lake) if as_of is None else lake_at(house, corpus, as_of)


def _document(lakes: Mapping[str, Lakehouse], corpus: Registered, document_id: str) -> tuple[Lakehouse, dict[str, Any]]:
    """The row of a document with its shard, and the lake that it is in.

    Raises:
        CommandError: the corpus has no such document.
    """
    columns = (*_SHOWN, "text", "findings")
    for shard, lake in lakes.items():
        rows = lake.pick(DOCUMENTS, {"shard": shard}, "document_id", [document_id], columns)
        if rows.height:
            return lake, rows.row(0, named=True) | {"shard": shard}
    raise CommandError("there is no such document", f"{corpus.name}: {document_id[:40]}", "search again", USAGE)


def _shown(
    house: House,
    corpus: Registered,
    lake: Lakehouse,
    document: Mapping[str, Any],
    chunk: Mapping[str, Any],
    asked: Asked,
) -> SourceShown:
    text = document["text"]
    chunk_span = chunk["start_char"], chunk["end_char"]
    quote = max(asked.start_char, chunk_span[0]), min(asked.end_char, chunk_span[1])
    lines, is_cut_above, is_cut_below = marked_lines(text, chunk_span, quote, asked.around)
    first, last = chunk["start_page"], chunk["end_page"]
    pages = tuple(range(first, (last or first) + 1)) if first is not None else ()
    file = _file(lake, document)
    why = why_no_picture(document, file)
    return SourceShown(
        corpus.name,
        displayable(document["path"])[0],
        displayable(document["inner"].partition("#part-")[0])[0] if document["inner"].startswith("/") else "",
        displayable(document["title"])[0],
        document["kind"],
        document["language"] or "",
        document["parser"],
        document["status"],
        document["reason"] or "",
        lines,
        is_cut_above,
        is_cut_below,
        displayable(chunk["place"] or "")[0],
        pages,
        () if why else pages,
        why if pages else "",
        _disk_path(house, corpus, document["path"]),
    )


def _file(lake: Lakehouse, document: Mapping[str, Any]) -> dict[str, Any] | None:
    columns = [name for name in FILES.dtypes if name != "shard"]
    rows = lake.near(FILES, {"shard": document["shard"]}, {"input_key": [document["file_id"]]}, columns)
    return rows.row(0, named=True) if rows.height else None


def why_no_picture(document: Mapping[str, Any], file: Mapping[str, Any] | None) -> str:
    """Why the pages of a document are not drawn; empty where they are."""
    if file is None or file["media_type"] != PDF:
        return "pages of this kind of file are not drawn, only PDF"
    if document["inner"].startswith("/"):
        return "it is inside of another file"
    if document["findings"]:
        return "secrets were masked in its text, and a picture would show them"
    return ""


def _disk_path(house: House, corpus: Registered, path: str) -> str:
    if corpus.source.kind != "folder":
        return ""
    root = Path(corpus.source.uri)
    place = root / path
    return str(place) if place.resolve().is_relative_to(root.resolve()) and place.is_file() else ""


def marked_lines(
    text: str, chunk: tuple[int, int], quote: tuple[int, int], around: int
) -> tuple[tuple[SourceLine, ...], bool, bool]:
    """The lines of a chunk and some around it, with what belongs to it and what was cited.

    Args:
        text: the document's.
        chunk: its first character, and one past its last; ``quote``: of what was cited, within it.
        quote: see ``chunk``; an empty one marks nothing.
        around: how many lines above and below.

    Returns:
        The lines; whether some are cut off above; below.
    """
    begin, end = chunk
    first = text.count("\n", 0, begin)
    above = max(0, first - around)
    at = _start_of_line(text, begin, first - above)
    lines: list[SourceLine] = []
    below = 0
    while at <= len(text) and len(lines) < MOST_LINES and below <= around:
        stop = text.find("\n", at)
        stop = len(text) if stop < 0 else stop
        if at >= end:
            below += 1
            if below > around:
                break
        lines.append(_line(text, above + len(lines) + 1, at, stop, chunk, quote))
        at = stop + 1
    return tuple(lines), above > 0, at <= len(text)


def _start_of_line(text: str, at: int, back: int) -> int:
    """Where the line of a character begins, or one some lines above it."""
    start = text.rfind("\n", 0, at) + 1
    for _ in range(back):
        start = text.rfind("\n", 0, start - 1) + 1
    return start


def _line(text: str, number: int, start: int, stop: int, chunk: tuple[int, int], quote: tuple[int, int]) -> SourceLine:
    if stop - start > LONGEST_LINE:  # of a long line only what is near the quote
        near = min(max(start, quote[0] - LONGEST_LINE // 3), max(start, stop - LONGEST_LINE))
        start, stop = near, min(stop, near + LONGEST_LINE)
    pieces = [(chunk[0], quote[0], False), (*quote, True), (quote[1], chunk[1], False)]
    if quote[0] >= quote[1]:
        pieces = [(*chunk, False)]
    inside = [(max(a, start) - start, min(b, stop) - start, is_quote) for a, b, is_quote in pieces]
    inside = [piece for piece in inside if piece[0] < piece[1]]
    piece = text[start:stop].rstrip("\r")
    shown = displayable(piece)[0]
    spans = [
        (low, high, is_quote)
        for begin, end, is_quote in inside
        for low, high in displayable(piece, [(begin, min(end, len(piece)))])[1]
    ]
    return SourceLine(number, shown, tuple(spans))


def page_picture(corpus: str, document_id: str, page: int, width: int, as_of: datetime | None) -> bytes:
    """See ``apps.reader.page_picture``."""
    with looked_in() as house:
        known = named(house, corpus)
        lake, document = _document(_lakes(house, known, as_of), known, document_id)
        file = _file(lake, document)
        where = f"{corpus}/{document['path']} page {page}"
        why = why_no_picture(document, file)
        if why or file is None:
            raise CommandError(f"the page cannot be drawn: {why}", where, "read its text")
        passwords = read_passwords(house.settings.passwords, corpus)
        with _bytes_of(house, known, file, where) as path:
            call = house.workshop.sandbox().call(PICTURE, str(path), page, width, passwords)
            pictures: Sequence[bytes] = list(call)
        if not pictures:
            raise CommandError("the page cannot be drawn", f"{where}: {call.outcome.reason}"[:300], "read its text")
        return pictures[0]


@contextmanager
def _bytes_of(house: House, corpus: Registered, file: Mapping[str, Any], where: str) -> Iterator[Path]:
    """A path of the bytes that a row of ``bronze/files`` names.

    Raises:
        CommandError: they are not there any more.
    """
    opened = partial(house.workshop.original, corpus, house.register.now())
    try:
        with opened(file) as path:
            yield path
    except OSError as error:
        reason = error.strerror or str(error)
        raise CommandError(f"its bytes cannot be read: {reason}", where, "run again, then search again") from error
