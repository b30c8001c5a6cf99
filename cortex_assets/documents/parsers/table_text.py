"""Tables of databases as text: schema with a profile of each column, and the first rows as a Markdown table.

Everything is bounded: columns shown, rows sampled, rows profiled, characters of a cell. Opening databases, and the
tables of spreadsheets and documents, do not belong here.
"""

import datetime as dt
import decimal
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from cortex_assets.documents.decode import PART_CHARS
from cortex_assets.documents.markup_text import Cell, MarkupText
from cortex_assets.documents.model import Block, Heading, ParsedDocument, Place, Structure

SAMPLE_ROWS = 200
SAMPLE_CHARS = 256 * 1024
SAMPLE_COLUMNS = 60
MAX_COLUMNS = 200
PROFILED_ROWS = 50_000
PROFILED_CELLS = 1_000_000
CELL_CHARS = 200
_VALUES = 5
_VALUE_CHARS = 40
_NUMBERS = (int, float, decimal.Decimal)
_MOMENTS = (dt.datetime, dt.date, dt.time, dt.timedelta)


class Opaque(str):
    """Text that stands for a value without order, such as bytes or a list."""

    __slots__ = ()


@dataclass(slots=True)
class Profile:
    """A column: its name and type, and what was seen of its values."""

    name: str
    type: str
    nulls: int = 0
    lows: dict[str, object] = field(default_factory=dict)
    highs: dict[str, object] = field(default_factory=dict)
    values: dict[str, None] = field(default_factory=dict)
    has_more_values: bool = False

    def add(self, value: object) -> None:
        """Take a value in."""
        if value is None:
            self.nulls += 1
            return
        if not self.has_more_values and not isinstance(value, Opaque):
            text = cell_text(value, _VALUE_CHARS)
            if text and text not in self.values:
                self.has_more_values = len(self.values) >= _VALUES
                if not self.has_more_values:
                    self.values[text] = None
        kind = _comparable(value)
        if kind:
            self.limit(kind, value, value)

    def limit(self, kind: str, low: object, high: object) -> None:
        """Widen the limits."""
        if kind not in self.lows or low < self.lows[kind]:  # type: ignore[operator]
            self.lows[kind] = low
        if kind not in self.highs or high > self.highs[kind]:  # type: ignore[operator]
            self.highs[kind] = high

    def cells(self) -> list[Cell]:
        """Its line in the table of columns."""
        kind = next(iter(self.lows), "") if len(self.lows) == 1 else ""
        shown = list(self.values) + (["…"] if self.has_more_values else [])
        texts = (
            self.name[:CELL_CHARS],
            self.type[:80],
            f"{self.nulls:,}",
            cell_text(self.lows.get(kind), _VALUE_CHARS),
            cell_text(self.highs.get(kind), _VALUE_CHARS),
            ", ".join(shown),
        )
        return [Cell(one_line(text)) for text in texts]


def _comparable(value: object) -> str:
    """The kind of values that a value can be compared with; empty for none."""
    if isinstance(value, bool) or value != value:
        return ""
    if isinstance(value, _NUMBERS):
        return "number"
    if isinstance(value, str):
        return "" if isinstance(value, Opaque) else "text"
    if isinstance(value, _MOMENTS):
        return f"{type(value).__name__} {getattr(value, 'tzinfo', None) is None}"
    return ""


def cell_text(value: object, most: int = CELL_CHARS) -> str:
    """A value as text, cut to ``most`` characters; bytes are only counted."""
    if value is None:
        return ""
    if isinstance(value, bytes):
        return f"({len(value):,} bytes)"
    if isinstance(value, str):
        text = value
    elif isinstance(value, (dict, list, tuple)):
        text = json.dumps(value, ensure_ascii=False, default=cell_text)
    else:
        text = str(value)
    return text if len(text) <= most else text[: most - 1] + "…"


def one_line(text: str) -> str:
    """Text without line breaks and runs of white space."""
    return " ".join(text.split())


@dataclass(slots=True)
class TableText:
    """One table as a section: heading, counts, columns, first rows.

    Attributes:
        label: what it is called, such as ``table orders``.
        profiles: its columns.
        sample: the first rows, as text.
        profiled: rows that the profile is of.
        note: what went wrong.
    """

    label: str
    profiles: list[Profile]
    sample: list[list[str]] = field(default_factory=list)
    profiled: int = 0
    note: str = ""

    def read(self, rows: Iterable[Sequence[object]]) -> None:
        """Take in rows, as many as are profiled; the first become the sample."""
        most = most_profiled(len(self.profiles))
        chars = 0
        for row in rows:
            if self.profiled >= most:
                break
            self.profiled += 1
            if len(self.sample) == self.profiled - 1 < SAMPLE_ROWS and chars < SAMPLE_CHARS:
                texts = [one_line(cell_text(value)) for value in row[:SAMPLE_COLUMNS]]
                chars += sum(map(len, texts))
                self.sample.append(texts)
            for profile, value in zip(self.profiles, row, strict=False):
                profile.add(value)

    def section(self, total: int | None, at_least: bool, columns: int) -> tuple[str, Structure]:
        """Text and structure.

        Args:
            total: rows that the table has; None where nobody knows.
            at_least: it has more rows than were counted.
            columns: columns that the table has, those included that are not shown.
        """
        out = MarkupText()
        out.open_heading(2)
        out.words(one_line(self.label)[:CELL_CHARS])
        out.close_heading()
        count = "an unknown number of" if total is None else f"{'more than ' if at_least else ''}{total:,}"
        out.words(f"{count} rows, {columns:,} columns")
        out.end_block()
        if self.note:
            out.words(self.note)
            out.end_block()
        is_part = total is None or at_least or total > self.profiled
        caption = f"Columns (profile of the first {self.profiled:,} rows)" if is_part and self.profiled else "Columns"
        header = [Cell(name, True) for name in ("column", "type", "nulls", "min", "max", "values")]
        out.table([header, *(profile.cells() for profile in self.profiles)], caption)
        if self.sample:
            names = [Cell(one_line(profile.name)[:CELL_CHARS], True) for profile in self.profiles[:SAMPLE_COLUMNS]]
            rows = [[Cell(text) for text in row] for row in self.sample]
            out.table([names, *rows], self.sample_note(total, at_least) or "All rows")
        return out.text(), out.structure()

    def sample_note(self, total: int | None, at_least: bool) -> str:
        """That the rows shown are not all; empty where they are."""
        if not self.sample or (total == len(self.sample) and not at_least):
            return ""
        of = "" if total is None else f" of {'more than ' if at_least else ''}{total:,}"
        return f"First {len(self.sample):,}{of} rows"


def most_profiled(columns: int) -> int:
    """How many rows of so many columns are looked at."""
    return max(SAMPLE_ROWS, min(PROFILED_ROWS, PROFILED_CELLS // max(1, columns)))


@dataclass(slots=True)
class Sections:
    """Sections gathered into documents of at most about 4 MiB characters."""

    kind: str
    title: str = ""
    _texts: list[str] = field(default_factory=list)
    _headings: list[Heading] = field(default_factory=list)
    _blocks: list[Block] = field(default_factory=list)
    _places: list[Place] = field(default_factory=list)
    _size: int = 0
    _parts: int = 0

    def add(self, text: str, structure: Structure, label: str = "") -> Iterator[ParsedDocument]:
        """Take a section in, with the name of the place that it is; gives the part that it did not fit in any more."""
        if self._texts and self._size + len(text) > PART_CHARS:
            self._parts += 1
            yield self._document(f"part-{self._parts:04d}")
        start = self._size + (2 if self._texts else 0)
        self._texts.append(text)
        self._size = start + len(text)
        self._headings += [Heading(h.level, h.title, h.start + start) for h in structure.headings]
        self._blocks += [
            Block(b.kind, b.start + start, b.end + start, b.head_end + start if b.head_end else None, b.language)
            for b in structure.blocks
        ]
        if label:
            self._places.append(Place(label, start, self._size))

    def last(self) -> ParsedDocument:
        """The document, or its last part."""
        return self._document(f"part-{self._parts + 1:04d}" if self._parts else "")

    def _document(self, inner: str) -> ParsedDocument:
        structure = Structure(tuple(self._headings), (), tuple(self._blocks), (), tuple(self._places))
        document = ParsedDocument("\n\n".join(self._texts), self.kind, self.title, inner=inner, structure=structure)
        self._texts, self._headings, self._blocks, self._places, self._size = [], [], [], [], 0
        return document
