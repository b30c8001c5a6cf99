"""What ``apps.reader`` and ``apps.actions`` give back: frozen values that a page, a table or ``--json`` is made of.

Nothing here reads or computes. Add a field when a reader must see it; ``cortex_assets`` never imports this module.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

from apps.alert_reports import AlertLine


@dataclass(frozen=True, slots=True)
class AddOptions:
    """Choices of a registration, kept in the corpus' settings.

    Attributes:
        include: globs of paths to take; empty = everything that is not ignored.
        exclude: globs of paths to leave out, besides ignore files and the defaults.
        copies_raw: copy bytes to the raw store even though the folder is outside the inbox.
        keeps_last_good: an edit that no longer parses keeps the old rows, marked stale.
        code_model: model of another embedder for code; None: the same one.
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    copies_raw: bool = False
    keeps_last_good: bool = False
    code_model: str | None = None


@dataclass(frozen=True, slots=True)
class Ignored:
    """Files left out for one reason."""

    reason: str
    files: int
    bytes: int


@dataclass(frozen=True, slots=True)
class AddPreview:
    """What a registration would take in; nothing is written yet. ``seconds`` and ``disk_bytes`` are estimates."""

    name: str
    kind: str
    uri: str
    files: int
    bytes: int
    ignored: tuple[Ignored, ...]
    seconds: float
    disk_bytes: int
    options: AddOptions = AddOptions()
    is_registered: bool = False


@dataclass(frozen=True, slots=True)
class Registered:
    """A corpus that is registered now."""

    corpus_id: str
    name: str
    kind: str
    uri: str
    is_new: bool = True


@dataclass(frozen=True, slots=True)
class StageLine:
    """What a run did in one stage of one shard, in input keys; ``unchanged`` are those it found right, ``remaining`` is as of the end."""

    corpus: str
    shard: str
    stage: str
    new: int = 0
    changed: int = 0
    unchanged: int = 0
    deleted: int = 0
    quarantined: int = 0
    failed: int = 0
    remaining: int = 0
    tokens: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Withheld:
    """Deletes that the guard holds back until a person confirms the scan."""

    corpus: str
    scan_id: str
    files: int
    reason: str


@dataclass(frozen=True, slots=True)
class RunReport:
    """One run over some corpora.

    Attributes:
        busy: the shards that another run holds: they are queued there.
        errors: what ended the run of a shard or corpus, as ``shard: error``; the others went on.
    """

    stages: tuple[StageLine, ...] = ()
    withheld: tuple[Withheld, ...] = ()
    busy: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    run_id: str | None = None
    errors: tuple[str, ...] = ()

    @property
    def failed(self) -> int:
        """Keys that failed or were quarantined in this run."""
        return sum(line.failed + line.quarantined for line in self.stages)

    @property
    def is_clean(self) -> bool:
        """Nothing failed and nothing was withheld."""
        return not self.failed and not self.withheld and not self.errors


@dataclass(frozen=True, slots=True)
class RunRequested:
    """Corpora that are brought up to date soon, and by whom: ``worker`` or ``process``."""

    corpora: tuple[str, ...]
    how: str


@dataclass(frozen=True, slots=True)
class Confirmed:
    """A scan whose withheld deletes were accepted."""

    scan_id: str
    corpus: str
    files: int


@dataclass(frozen=True, slots=True)
class Retried:
    """Failed and quarantined keys that the next run takes up again."""

    target: str | None
    keys: int


@dataclass(frozen=True, slots=True)
class Removed:
    """A corpus that is no longer listed; ``rows`` and ``points`` are what a purge deleted."""

    corpus: str
    is_purged: bool
    rows: int = 0
    points: int = 0


@dataclass(frozen=True, slots=True)
class MaintainedTable:
    """What maintenance did, or would do, for one table or store. ``rows``: deleted for their age, or as named by nothing."""

    name: str
    files_before: int
    files_after: int
    bytes_freed: int
    seconds: float
    rows: int = 0


@dataclass(frozen=True, slots=True)
class MaintainReport:
    """One maintenance, in turns under the lake lease.

    Attributes:
        tables: what was done.
        seconds: it took.
        busy: steps that were left out because runs were at work.
        longest_hold: seconds for which runs were kept out at a time, at most.
        is_dry_run: nothing was done: this is what would go.
    """

    tables: tuple[MaintainedTable, ...]
    seconds: float
    busy: tuple[str, ...] = ()
    longest_hold: float = 0.0
    is_dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """Where a table or index disagrees with what it is made from, in rows or points."""

    table: str
    shard: str
    missing: int = 0
    extra: int = 0
    stale: int = 0
    orphans: int = 0
    detail: str = ""
    is_repaired: bool = False


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """The result of comparing every table and index with its source; shards in ``busy`` were left to the run that has them."""

    findings: tuple[Finding, ...]
    checked: int
    seconds: float
    busy: tuple[str, ...] = ()

    @property
    def is_sound(self) -> bool:
        """Nothing disagrees, or everything that did was repaired."""
        return all(finding.is_repaired for finding in self.findings)


@dataclass(frozen=True, slots=True)
class ModelLine:
    """A model this machine can or could use."""

    name: str
    purpose: str
    source: str
    is_present: bool
    bytes: int
    digest: str = ""


@dataclass(frozen=True, slots=True)
class PlanLine:
    """What a run would do in one stage of one shard; an estimate says in ``basis`` what it rests on."""

    stage: str
    shard: str
    new: int
    stale: int
    orphaned: int
    unchanged: int
    is_exact: bool = True
    basis: str = ""


@dataclass(frozen=True, slots=True)
class PlanReport:
    """A plan over some corpora; making it parsed and wrote nothing."""

    lines: tuple[PlanLine, ...]
    withheld: tuple[Withheld, ...] = ()
    seconds: float = 0.0

    @property
    def is_empty(self) -> bool:
        """A run would change nothing."""
        return not any(line.new or line.stale or line.orphaned for line in self.lines)


def not_ok(files: Mapping[str, int]) -> int:
    """Files that a person may have to look at, of files by status; what was ignored on purpose is not among them."""
    return sum(number for status, number in files.items() if status not in ("ok", "ignored"))


@dataclass(frozen=True, slots=True)
class CorpusStatus:
    """One corpus as it stands in the lake.

    Attributes:
        freshness: ``current``, or what most needs to be known: ``withheld``, ``running``, ``interrupted``, ``never run``,
            ``unpublished`` (taken, and not in the index yet) or ``behind`` (not listed for a week).
        machine: which of the machines that share the lake runs it; empty where nobody shares it.
        is_here: whether that is this one.
        takes_files: whether files can be dropped into it: it is a folder of this machine's inbox.
        migration: how its migration to other embedding models stands, in a sentence; empty for none.
    """

    name: str
    kind: str
    uri: str
    is_listed: bool
    files: Mapping[str, int]
    documents: int
    chunks: int
    vectors: int
    points: int
    last_scan: datetime | None = None
    last_run: datetime | None = None
    withheld: Withheld | None = None
    freshness: str = "current"
    machine: str = ""
    is_here: bool = True
    takes_files: bool = False
    migration: str = ""

    @property
    def file_count(self) -> int:
        """All its files."""
        return sum(self.files.values())

    @property
    def not_ok(self) -> int:
        """See the function."""
        return not_ok(self.files)


@dataclass(frozen=True, slots=True)
class FailureGroup:
    """Rows that are not ok for one reason, with at most a handful of example paths."""

    corpus: str
    status: str
    reason: str
    rows: int
    examples: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StatusReport:
    """All corpora of a lake, on request what failed in them, and the alerts that fire."""

    lake: str
    corpora: tuple[CorpusStatus, ...]
    failures: tuple[FailureGroup, ...] = ()
    alerts: tuple[AlertLine, ...] = ()


@dataclass(frozen=True, slots=True)
class ChunkExplained:
    """One chunk: where it is, how many tokens it has and how it begins."""

    ordinal: int
    place: str
    kind: str
    tokens: int
    has_vector: bool
    begins: str


@dataclass(frozen=True, slots=True)
class DocumentExplained:
    """What a parser made of a file, or of one member or part of it.

    Attributes:
        inner: which member or part; empty for the whole file.
        facts: name to value of what else is known, for people: title, encoding, pages, quality and so on.
        chunk_count: how many chunks it has; ``chunks`` shows the first of them.
    """

    inner: str
    kind: str
    parser: str
    status: str
    reason: str
    facts: Mapping[str, str]
    chunk_count: int
    chunks: tuple[ChunkExplained, ...] = ()


@dataclass(frozen=True, slots=True)
class FileExplained:
    """All that is known of one file, from the disk to the chunks.

    Attributes:
        facts: name to value: size, media type, hash, where the bytes are read, times.
        waits: what is to come: stages whose next attempt has a time, or that wait for a change.
        document_count: how many documents were made of it; ``documents`` shows the first of them.
    """

    corpus: str
    path: str
    status: str
    reason: str
    facts: Mapping[str, str]
    waits: tuple[str, ...] = ()
    document_count: int = 0
    documents: tuple[DocumentExplained, ...] = ()


@dataclass(frozen=True, slots=True)
class TableLine:
    """A table of the lake with its number of rows and its Delta version."""

    name: str
    kind: str
    rows: int
    version: int


def plain(report: Any) -> Any:
    """A report as dictionaries and lists."""
    if isinstance(report, (list, tuple)):
        return [plain(item) for item in report]
    return report if isinstance(report, Mapping) else asdict(report)


def to_json(report: Any) -> str:
    """A report, or a list of reports, as indented JSON: times in ISO 8601, paths as text."""
    return json.dumps(plain(report), indent=2, ensure_ascii=False, default=_plain)


def _plain(value: object) -> str:
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"a report holds a {type(value).__name__}, which has no JSON form; see apps.reports")
