"""A document's text into chunks: verbatim slices under an exact token bound, each with the context embedded before it.

The promises: every character that is not white space is in exactly one piece; ``text[start_char:end_char]`` is the
piece; context and text together have at most ``limit`` tokens by the given tokenizer, special tokens included (a single
character that alone has more is the one exception); an edited paragraph changes few pieces (``pack`` says how few and
why). How each kind is cut is in ``prose``, ``code`` and ``tables``.
"""

from collections.abc import Sequence
from itertools import pairwise
from operator import add
from typing import NamedTuple

import numpy as np

from cortex_assets.chunks import cut
from cortex_assets.chunks.code import DATA_LEVELS, CodeOutline
from cortex_assets.chunks.context import RESERVED_TOKENS, HeadingPaths, fitted
from cortex_assets.chunks.labels import labels
from cortex_assets.chunks.prose import Span, prose_spans
from cortex_assets.chunks.refine import refine
from cortex_assets.chunks.source import WEIGHT_SHIFT, Source
from cortex_assets.documents.model import Page, Structure
from inference.protocols import Tokenizer

LEAST_LIMIT = 16
PLACES_APART = frozenset({"slides", "book", "mail", "calendar", "contacts"})
"""Kinds of documents whose places are never together in one chunk; cells of a notebook and seconds of speech may be."""


class Piece(NamedTuple):
    """One chunk of a document.

    Attributes:
        start_char: offset of its first character.
        end_char: offset after its last character.
        context: what is embedded before the text; empty, or ends with a line feed.
        symbol: qualified name of its first code symbol, or of the one around it.
        kind: prose, table, code or data.
        token_count: tokens of context and text together, special tokens not counted.
        start_line: line of the first character, from 1.
        end_line: line of the last character, from 1.
        start_page: page of the first character, where the document has pages.
        end_page: page of the last character, where the document has pages.
        place: what people call where it is, beyond lines and pages (``chunks.labels``).
    """

    start_char: int
    end_char: int
    context: str
    symbol: str | None
    kind: str
    token_count: int
    start_line: int
    end_line: int
    start_page: int | None
    end_page: int | None
    place: str | None = None


class Pieces(NamedTuple):
    """The pieces of a document, a column for each field of ``Piece``."""

    start_char: Sequence[int]
    end_char: Sequence[int]
    context: Sequence[str]
    symbol: Sequence[str | None]
    kind: Sequence[str]
    token_count: Sequence[int]
    start_line: Sequence[int]
    end_line: Sequence[int]
    start_page: Sequence[int | None]
    end_page: Sequence[int | None]
    place: Sequence[str | None]

    def rows(self) -> list[Piece]:
        """One by one."""
        return list(map(Piece._make, zip(*self, strict=True)))


NO_PIECES = Pieces(*[()] * len(Piece._fields))


def split(text: str, structure: Structure, kind: str, language: str | None, tokenizer: Tokenizer, limit: int) -> Pieces:
    """Cut a document into pieces, in order.

    Args:
        text: the document's text.
        structure: its headings, pages and blocks, in characters of ``text``.
        kind: the document's kind (one of ``documents.model.KINDS``).
        language: programming language of a document of kind ``code``.
        tokenizer: of the model that will embed the pieces. Its counts add up over white space.
        limit: what the model reads at most, in tokens, special tokens included.

    Raises:
        ValueError: ``limit`` leaves no room for text.
    """
    room = limit - tokenizer.special_tokens
    if room < LEAST_LIMIT:
        raise ValueError(
            f"a limit of {limit} tokens leaves {room} for text: use a model that reads at least "
            f"{LEAST_LIMIT + tokenizer.special_tokens} tokens"
        )
    if not text or text.isspace():
        return NO_PIECES
    source = Source(text, tokenizer)
    body = room - min(RESERVED_TOKENS, limit // 8)
    outline = CodeOutline(text, language) if kind == "code" else None
    if outline is not None:
        spans = _plain_spans(text, "code", refine(source, 0, len(text), outline.levels(), body))
    elif kind == "data" and not structure.blocks:
        spans = _plain_spans(text, "data", refine(source, 0, len(text), DATA_LEVELS, body))
    else:
        base = {"data": "data", "table": "table"}.get(kind, "prose")
        spans = prose_spans(source, structure, base, body, _apart(structure, kind))
    return _pieces(source, _counted(source, _placed(source, _bounded(spans, room)), room), structure, outline, room)


def _apart(structure: Structure, kind: str) -> list[int]:
    """Starts of what is cited by itself: slides, chapters, events, contacts, sheets."""
    if kind == "sheet":
        return [heading.start for heading in structure.headings if heading.level == 1]
    return [place.start for place in structure.places] if kind in PLACES_APART else []


def _plain_spans(text: str, kind: str, cuts: Sequence[int]) -> list[Span]:
    """Spans of one kind between cuts."""
    return [Span(low, high, kind) for low, high in pairwise([0, *cuts, len(text)])]


def _bounded(spans: Sequence[Span], room: int) -> Sequence[Span]:
    """Spans cut by characters where they are long beyond what their tokens explain: characters that make no token."""
    most = 2 * room << WEIGHT_SHIFT
    if all(span[1] - span[0] <= most for span in spans):
        return spans
    return [
        Span(low, min(low + most, span.end), *span[2:]) for span in spans for low in range(span.start, span.end, most)
    ]


class _Placed(NamedTuple):
    """Spans without white space around them, and where they are; a column each."""

    spans: Sequence[Span]
    places: cut.Places


def _placed(source: Source, spans: Sequence[Span]) -> _Placed:
    """Trim spans; those of white space go."""
    places = source.places([span[:2] for span in spans])
    kept = spans if len(places.kept) == len(spans) else [spans[number] for number in places.kept]
    return _Placed(kept, places)


def _counted(source: Source, placed: _Placed, room: int) -> _Placed:
    """Count the tokens of spans that are not cut at white space; cut them further where they are too large."""
    spans, places = placed
    if not places.doubtful:
        return placed
    texts = [source.text[places.starts[n] : places.ends[n]] for n in places.doubtful]
    exact = dict(zip(places.doubtful, source.tokenizer.count_batch(texts), strict=True))
    result: list[tuple[int, Span]] = []
    for n, (count, span, start, end) in enumerate(zip(places.tokens, spans, places.starts, places.ends, strict=True)):
        count = exact.get(n, count)
        most = room - span.header_tokens
        trimmed = span._replace(start=start, end=end)
        result += [(count, trimmed)] if count <= most else _shrunk(source, trimmed, most)
    again = _placed(source, [span for _, span in result])
    return _Placed(again.spans, again.places._replace(tokens=[count for count, _ in result]))


def _shrunk(source: Source, span: Span, most: int) -> list[tuple[int, Span]]:
    """Halve a span until each part has at most ``most`` tokens or is one character."""
    result: list[tuple[int, Span]] = []
    pending = [span]
    while pending:
        part = pending.pop()
        places = source.places([part[:2]])
        for start, end in zip(places.starts, places.ends, strict=True):
            count = source.tokenizer.count_batch([source.text[start:end]])[0]
            if count <= most or end - start < 2:
                result.append((count, part._replace(start=start, end=end)))
                continue
            middle = (start + end) // 2
            pending += [part._replace(start=middle, end=end), part._replace(start=start, end=middle)]
    return result


def _pieces(source: Source, placed: _Placed, structure: Structure, outline: CodeOutline | None, room: int) -> Pieces:
    """Add context, lines and pages to the spans."""
    if not placed.spans:
        return NO_PIECES
    _, starts, ends, begins, counts, first_lines, last_lines, _ = placed.places
    _, _, kinds, headers, header_tokens = zip(*placed.spans, strict=True)
    paths, symbols, known = _surroundings(source, structure, outline, placed.places)
    rooms = [room - count - header for count, header in zip(counts, header_tokens, strict=True)]
    contexts, extras = zip(*fitted(paths, rooms, source.tokenizer, known), strict=True)
    return Pieces(
        starts,
        ends,
        list(map(add, contexts, headers)) if any(headers) else contexts,
        symbols,
        kinds,
        list(map(sum, zip(counts, extras, header_tokens, strict=True))),
        [line + 1 for line in first_lines],
        [line + 1 for line in last_lines],
        _pages(structure.pages, begins),
        _pages(structure.pages, [end - 1 for end in ends]),
        labels(source, structure, list(zip(begins, ends, strict=True))),
    )


def _surroundings(
    source: Source, structure: Structure, outline: CodeOutline | None, places: cut.Places
) -> tuple[list[list[str]], list[str | None], dict[str, int]]:
    """What each span stands under, the symbol it shows, and tokens of titles as far as they are known."""
    if outline is not None:
        symbols = list(map(outline.symbol_of, places.begins, places.ends))
        return list(map(outline.path, places.begins)), symbols, {}
    headings = HeadingPaths(structure.headings)
    numbers = headings.above(places.starts)
    parts = {number: headings.parts(number) for number in set(numbers)}
    return [parts[number] for number in numbers], [None] * len(numbers), headings.counts(source)


def _pages(pages: Sequence[Page], places: Sequence[int]) -> list[int | None]:
    """Number of the page that each place stands on; before the first page, the first."""
    if not pages:
        return [None] * len(places)
    index = np.searchsorted(np.array([page.start for page in pages]), np.asarray(places), side="right") - 1
    return [pages[max(number, 0)].number for number in index.tolist()]
