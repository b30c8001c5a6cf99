"""What the app's pages are made of: frozen values that ``apps.reader`` and ``apps.actions`` give back, besides ``apps.reports``.

Nothing here reads, computes or knows Streamlit. Times are aware (UTC); texts from files are as they were found, so whoever
draws them escapes them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

INTERRUPTED_NEXT = "What was committed stays. The next run takes up what is left; nothing has to be cleaned up."
SILENT_NEXT = "Its process lives and says nothing: it hangs, or the machine slept. Wait, or end the process; the next run goes on."
FAILED_NEXT = "What was committed stays. Remove the cause and run again; the other shards went on."


@dataclass(frozen=True, slots=True)
class AtWorkLine:
    """A document that a stage works on, and since when."""

    path: str
    stage: str
    since: datetime


@dataclass(frozen=True, slots=True)
class LiveLine:
    """The latest run of a shard.

    Attributes:
        state: ``running``, ``silent``, ``interrupted``, ``ended`` or ``failed``.
        seconds_left: of this stage by its pace so far; None where that cannot be said.
        next_step: what happens now, where a run did not end by itself; empty otherwise.
    """

    corpus: str
    shard: str
    state: str
    trigger: str
    stage: str
    done: int
    total: int
    unit: str
    seconds_left: float | None
    started_at: datetime
    heartbeat_at: datetime
    reason: str
    next_step: str
    documents: tuple[AtWorkLine, ...] = ()

    @property
    def is_working(self) -> bool:
        """Its process lives."""
        return self.state in ("running", "silent")

    @property
    def share(self) -> float:
        """How much of its stage is done, 0..1."""
        return min(1.0, self.done / self.total) if self.total > 0 else 0.0


@dataclass(frozen=True, slots=True)
class CheckLine:
    """The latest result of one check of one asset of a shard."""

    corpus: str
    shard: str
    asset: str
    check: str
    scope: str
    is_passed: bool
    findings: int
    detail: str
    checked_at: datetime


@dataclass(frozen=True, slots=True)
class TableGrowth:
    """Rows of a table now, and how many more than a day before; None where that version is not kept any more."""

    name: str
    rows: int
    version: int
    grown: int | None


@dataclass(frozen=True, slots=True)
class RunStage:
    """What a run did in one stage, in keys; ``calls``: files parsed, documents chunked, texts embedded."""

    stage: str
    status: str
    seconds: float
    new: int
    changed: int
    deleted: int
    failed: int
    remaining: int
    rows: int
    tokens: int
    calls: int
    reason: str


@dataclass(frozen=True, slots=True)
class RunLine:
    """One run of one shard with what it cost: seconds, tokens, rows written."""

    run_id: str
    corpus: str
    shard: str
    trigger: str
    started_at: datetime
    status: str
    reason: str
    seconds: float
    tokens: int
    rows: int
    failed: int
    stages: tuple[RunStage, ...]


@dataclass(frozen=True, slots=True)
class RunsPage:
    """Some runs, newest first, of ``total`` that fit."""

    runs: tuple[RunLine, ...]
    total: int


@dataclass(frozen=True, slots=True)
class FileLine:
    """One file with its standing: its own status, or that of the first of its documents that is not ok."""

    path: str
    status: str
    reason: str
    media_type: str
    size: int
    modified_at: datetime


@dataclass(frozen=True, slots=True)
class FilesPage:
    """Some files of a corpus by path, of ``total`` that fit; ``by_status`` counts those that fit the path text."""

    files: tuple[FileLine, ...]
    total: int
    by_status: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class ColumnDescribed:
    """A column as the table's declaration has it."""

    name: str
    dtype: str
    is_key: bool
    is_partition: bool
    is_nullable: bool
    doc: str


@dataclass(frozen=True, slots=True)
class CommitLine:
    """One version of a table: when, what kind of commit, and how many rows the table had then (None where not asked)."""

    version: int
    at: datetime
    operation: str
    rows: int | None


@dataclass(frozen=True, slots=True)
class TableDescribed:
    """A table: what it is for, its columns and its latest versions."""

    name: str
    kind: str
    doc: str
    rows: int
    version: int
    columns: tuple[ColumnDescribed, ...]
    history: tuple[CommitLine, ...]


@dataclass(frozen=True, slots=True)
class Sample:
    """Some rows of a table; long values are cut, and binary ones shown as their length."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


@dataclass(frozen=True, slots=True)
class SourceLine:
    """One line of a document's text.

    Attributes:
        number: from 1.
        text: without its line break, safe to print, not escaped for HTML.
        spans: (start, end, is_quote) in ``text``: what belongs to the chunk, and what of it was cited.
    """

    number: int
    text: str
    spans: tuple[tuple[int, int, bool], ...]


@dataclass(frozen=True, slots=True)
class SourceShown:
    """A part of a document's text around a chunk, with where it comes from.

    Attributes:
        lines: of the text, marked.
        first_line: number of the first one shown.
        is_cut_above: the text begins before them; ``is_cut_below`` it goes on.
        place: of the chunk: page, slide, cells or section.
        pages: pages of the chunk, where it has any.
        picture_pages: those of them that can be drawn; empty where ``picture_reason`` says why not.
        disk_path: where the file itself lies, where it is on this disk.
    """

    corpus: str
    path: str
    inner: str
    title: str
    kind: str
    language: str
    parser: str
    status: str
    reason: str
    lines: tuple[SourceLine, ...]
    is_cut_above: bool
    is_cut_below: bool
    place: str
    pages: tuple[int, ...]
    picture_pages: tuple[int, ...]
    picture_reason: str
    disk_path: str


@dataclass(frozen=True, slots=True)
class Choices:
    """What a search can be limited to."""

    corpora: tuple[str, ...]
    kinds: tuple[str, ...]
    languages: tuple[str, ...]
    first_day: date | None
    """Of the oldest state that can still be searched; None where nothing was published yet."""


@dataclass(frozen=True, slots=True)
class LineageNode:
    """How many rows or points a stage of a corpus holds, and what its latest run is at."""

    stage: str
    count: int
    not_ok: int
    state: str


@dataclass(frozen=True, slots=True)
class Lineage:
    """The stages of one corpus in the order the data goes; ``shards`` with the state of each."""

    corpus: str
    is_listed: bool
    nodes: tuple[LineageNode, ...]
    shards: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Service:
    """A part that ``cortex up`` started, and where it answers; ``how`` to start it where it is not there."""

    name: str
    url: str
    how: str


@dataclass(frozen=True, slots=True)
class Dropped:
    """A file that was to be written to the inbox: ``written``, ``replaced``, ``same`` (those bytes were there) or ``refused``."""

    name: str
    state: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class DropReport:
    """What became of dropped files, and the corpus that they are in (its name may be settled by the next run)."""

    corpus: str
    folder: str
    files: tuple[Dropped, ...]

    @property
    def written(self) -> int:
        """Files whose bytes are new there."""
        return sum(file.state in ("written", "replaced") for file in self.files)


@dataclass(frozen=True, slots=True)
class Resumed:
    """A corpus that is listed again."""

    corpus: str
