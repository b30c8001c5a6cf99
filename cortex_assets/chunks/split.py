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


def split(
    text: str, structure: Structure, kind: str, language: str | None, tokenizer: Tokenizer, limit: int
) -> list[Piece]:
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
        return []
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
    trimmed = _trimmed(text, _bounded(spans, room))
    counts, trimmed = _counted(source, trimmed, room)
    return _pieces(source, trimmed, counts, structure, outline, room)


def _apart(structure: Structure, kind: str) -> list[int]:
    """Starts of what is cited by itself: slides, chapters, events, contacts, sheets."""
    if kind == "sheet":
        return [heading.start for heading in structure.headings if heading.level == 1]
    return [place.start for place in structure.places] if kind in PLACES_APART else []


def _plain_spans(text: str, kind: str, cuts: Sequence[int]) -> list[Span]:
    """Spans of one kind between cuts."""
    return [Span(low, high, kind) for low, high in pairwise([0, *cuts, len(text)])]


def _bounded(spans: Sequence[Span], room: int) -> list[Span]:
    """Spans cut by characters where they are long beyond what their tokens explain: characters that make no token."""
    most = 2 * room << WEIGHT_SHIFT
    return [
        span if span.end - span.start <= most else Span(low, min(low + most, span.end), *span[2:])
        for span in spans
        for low in range(span.start, span.end, most)
    ]


def _trimmed(text: str, spans: Sequence[Span]) -> list[Span]:
    """Spans without blank lines before and white space after; the first line keeps its indentation. Empty ones go."""
    kept: list[Span] = []
    for start, end, kind, header, header_tokens in spans:
        raw = text[start:end].rstrip()
        if not raw:
            continue
        first = raw.rfind("\n", 0, len(raw) - len(raw.lstrip())) + 1 if raw[0].isspace() else 0
        kept.append(Span(start + first, start + len(raw), kind, header, header_tokens))
    return kept


def _counted(source: Source, spans: list[Span], room: int) -> tuple[list[int], list[Span]]:
    """Token counts of the spans; those not cut at white space are counted again, and cut further where too large."""
    starts, ends = [span.start for span in spans], [span.end for span in spans]
    counts: list[int] = (source.token_at(ends) - source.token_at(starts)).tolist()
    doubtful = source.unclean(starts, ends)
    if not doubtful:
        return counts, spans
    texts = [source.text[spans[n].start : spans[n].end] for n in doubtful]
    exact = dict(zip(doubtful, source.tokenizer.count_batch(texts), strict=True))
    result: list[tuple[int, Span]] = []
    for n, (count, span) in enumerate(zip(counts, spans, strict=True)):
        count = exact.get(n, count)
        most = room - span.header_tokens
        result += [(count, span)] if count <= most else _shrunk(source, span, most)
    return [count for count, _ in result], [span for _, span in result]


def _shrunk(source: Source, span: Span, most: int) -> list[tuple[int, Span]]:
    """Halve a span until each part has at most ``most`` tokens or is one character."""
    result: list[tuple[int, Span]] = []
    pending = [span]
    while pending:
        part = pending.pop()
        for kept in _trimmed(source.text, [part]):
            count = source.tokenizer.count_batch([source.text[kept.start : kept.end]])[0]
            if count <= most or kept.end - kept.start < 2:
                result.append((count, kept))
                continue
            middle = (kept.start + kept.end) // 2
            for low, high in ((middle, kept.end), (kept.start, middle)):
                pending.append(Span(low, high, kept.kind, kept.header, kept.header_tokens))
    return result


def _pieces(
    source: Source,
    spans: list[Span],
    counts: list[int],
    structure: Structure,
    outline: CodeOutline | None,
    room: int,
) -> list[Piece]:
    """Add context, lines and pages to the spans."""
    if not spans:
        return []
    starts, ends, kinds, headers, header_tokens = zip(*spans, strict=True)
    text, begins, last_chars = source.text, list(starts), [end - 1 for end in ends]
    for number, start in enumerate(starts):
        if text[start].isspace():
            begins[number] += _indent(text, spans[number])
    paths, symbols, known = _surroundings(source, structure, outline, spans, begins)
    rooms = [room - count - header for count, header in zip(counts, header_tokens, strict=True)]
    contexts, extras = zip(*fitted(paths, rooms, source.tokenizer, known), strict=True)
    line_at = source.newlines.searchsorted
    columns = (
        starts,
        ends,
        map(add, contexts, headers),
        symbols,
        kinds,
        map(sum, zip(counts, extras, header_tokens, strict=True)),
        (line_at(np.array(starts)) + 1).tolist(),
        (line_at(np.array(last_chars)) + 1).tolist(),
        _pages(structure.pages, begins),
        _pages(structure.pages, last_chars),
        labels(source, structure, list(zip(begins, ends, strict=True))),
    )
    return list(map(Piece._make, zip(*columns, strict=True)))


def _surroundings(
    source: Source, structure: Structure, outline: CodeOutline | None, spans: list[Span], begins: list[int]
) -> tuple[list[list[str]], list[str | None], dict[str, int]]:
    """What each span stands under, the symbol it shows, and tokens of titles as far as they are known."""
    if outline is not None:
        symbols = [outline.symbol_of(begin, span.end) for begin, span in zip(begins, spans, strict=True)]
        return [outline.path(begin) for begin in begins], symbols, {}
    headings = HeadingPaths(structure.headings)
    numbers = headings.above([span.start for span in spans])
    parts = {number: headings.parts(number) for number in set(numbers)}
    return [parts[number] for number in numbers], [None] * len(spans), headings.counts(source)


def _indent(text: str, span: Span) -> int:
    """White space before the first other character of a span."""
    raw = text[span.start : span.end]
    return len(raw) - len(raw.lstrip())


def _pages(pages: Sequence[Page], places: Sequence[int]) -> list[int | None]:
    """Number of the page that each place stands on; before the first page, the first."""
    if not pages:
        return [None] * len(places)
    index = np.searchsorted(np.array([page.start for page in pages]), np.asarray(places), side="right") - 1
    return [pages[max(number, 0)].number for number in index.tolist()]
