"""All reads that a person can ask for: plan, status, tables, search, models. Nothing here writes.

The command line and the app's pages call these functions and nothing below them. Engine code is imported inside
functions. Writes are in ``apps.actions``.
"""

import contextlib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from apps.alert_reports import AlertsReport
from apps.doctor.report import DoctorReport
from apps.errors import USAGE, CommandError
from apps.evaluation_reports import AskedNow, CandidatesReport, EvaluationReport, QualityReport
from apps.lane_reports import LanesReport, RouteReport
from apps.migration_reports import MigrationsReport
from apps.reports import FileExplained, ModelLine, PlanReport, StatusReport, TableLine
from apps.search_reports import SearchFilters, SearchResponse, Wishes
from apps.sql_reports import SqlResult, SqlTableLine
from apps.views import (
    CheckLine,
    Choices,
    FilesPage,
    Lineage,
    LiveLine,
    RunsPage,
    Sample,
    Service,
    SourceShown,
    TableDescribed,
    TableGrowth,
)

MOST_HITS = 100


def stay_open() -> None:
    """Say that this process lives long (the app): from now on reads share open tables, indexes and models."""
    from apps import residence

    residence.stay_open()


def plan(corpora: Sequence[str] | None = None) -> PlanReport:
    """What a run would do, stage by stage; parses and writes nothing."""
    from apps import looking

    return looking.plan(corpora)


def status(corpus: str | None = None, failed: bool = False) -> StatusReport:
    """How the corpora stand; with ``failed`` also what failed, grouped by reason.

    Raises:
        CommandError: no corpus has that name.
    """
    from apps import looking

    return looking.status(corpus, failed)


def explain(file: str, member: str | None = None, most: int = 10) -> FileExplained:
    """What was found in a file, which parser read it, its pages and its chunks.

    Args:
        file: ``corpus/path``, or a path on the disk.
        member: only documents whose member's path contains this.
        most: how many documents, and chunks of each, are shown.

    Raises:
        CommandError: nothing is known of such a file.
    """
    from apps import explaining

    return explaining.explain(file, member, most)


def migrations(corpus: str | None = None) -> MigrationsReport:
    """Migrations of embedding spaces that are under way, and what is kept of those that are done."""
    from apps import migrating

    return migrating.migrations(corpus)


def route(text: str, lane: str = "", task: str = "") -> RouteReport:
    """Which lane of models serves a text, and why; nobody is asked.

    Args:
        text: what would be asked.
        lane: that is asked for by name; empty = let the text say.
        task: what is to be done; empty = let the text say.

    Raises:
        CommandError: there is no such lane.
        ConfigInvalid: ``inference.yaml`` cannot be used.
    """
    from apps import generating

    return generating.route(text, lane, task)


def lanes() -> LanesReport:
    """The lanes of models: engines, how they stand, and their last 24 hours.

    Raises:
        ConfigInvalid: ``inference.yaml`` cannot be used.
    """
    from apps import generating

    return generating.lanes_report()


def metrics() -> str:
    """Calls of models, engines, budgets, tables and runs in numbers, in the text format that Prometheus reads."""
    from apps import metering

    return metering.metrics()


def alerts() -> AlertsReport:
    """What a person must look at: growth, failures, freshness, disk, soundness, webhooks."""
    from apps import looking

    return looking.alerts()


def tables() -> list[TableLine]:
    """Every table of the lake with its rows, in the order the data goes."""
    from apps import looking

    return looking.tables()


def sql(query: str, limit: int = 1000) -> SqlResult:
    """Ask the lake's tables in SQL: one statement that reads, at one set of versions, within ten seconds.

    Args:
        query: SELECT, WITH, FROM, VALUES, DESCRIBE, SUMMARIZE, SHOW or EXPLAIN, as DuckDB understands them.
        limit: rows that come back at most.

    Raises:
        CommandError: it is refused, fails, or takes more time or memory than is allowed.
    """
    from apps import querying

    return querying.sql(query, limit)


def sql_tables() -> list[SqlTableLine]:
    """Every table that ``sql`` can read, with its columns."""
    from apps import querying

    return querying.tables()


def search(
    question: str,
    k: int = 10,
    filters: SearchFilters | None = None,
    as_of: datetime | None = None,
    wishes: Wishes = Wishes(),
) -> SearchResponse:
    """Answer a question with at most ``k`` ranked hits, each with a verified citation.

    Args:
        question: words or a whole question.
        k: most hits.
        filters: what the search is limited to.
        as_of: search what was published by then (an aware time) instead of what is now: exact, without an index, slower.
        wishes: what is asked for besides hits.

    Raises:
        CommandError: the question is empty, ``k`` is not between 1 and 100, a filter names a kind or a corpus that there is
            none of, or the lake is not kept as it was then.
    """
    if not question.strip():
        raise CommandError("the question is empty", "", 'ask something: cortex search "high water in November"', USAGE)
    if not 1 <= k <= MOST_HITS:
        raise CommandError(f"{k} hits cannot be shown", "--limit", f"choose between 1 and {MOST_HITS}", USAGE)
    filters = _checked(filters or SearchFilters())
    if "apps.searching" not in sys.modules and as_of is None:
        from apps.worker import client
        from resources.settings import load_settings

        with contextlib.suppress(client.NoWorker):  # then it is done here
            return client.search(load_settings().up, question, k, filters, wishes)
        _load_search()
    from apps import searching

    return searching.search(question, k, filters, as_of, wishes)


def _checked(filters: SearchFilters) -> SearchFilters:
    """The filters with languages by their names, where nothing of them leaves out everything by a slip."""
    if filters.kinds:
        _check_kinds(filters.kinds)
    if filters.after is not None and filters.before is not None and filters.after >= filters.before:
        raise CommandError(
            f"nothing can have changed on or after {filters.after} and before {filters.before}",
            "--after, --before",
            "give an --after that is earlier than --before",
            USAGE,
        )
    return replace(filters, languages=tuple(_language(name) for name in filters.languages))


def _language(name: str) -> str:
    """A language as documents have it: ``py`` is ``python``."""
    from cortex_assets.syntax.languages import canonical

    return canonical(name) or name.lower()


def _check_kinds(kinds: Sequence[str]) -> None:
    from cortex_assets.documents.model import KINDS

    unknown = next((kind for kind in kinds if kind not in KINDS), None)
    if unknown is not None:
        raise CommandError("there is no such kind of document", unknown, f"there are: {', '.join(KINDS)}", USAGE)


def _load_search() -> None:
    """Import what a search needs into a fresh process, without what it does not need."""
    from resources.memory import loading
    from resources.readahead import libraries_ahead

    libraries_ahead()
    with loading():
        from cortex_assets.lean import import_dataframely

        import_dataframely()
        from apps import searching  # noqa: F401


def evaluations(name: str | None = None, against: str | None = None) -> EvaluationReport:
    """The latest evaluation of every golden set, or of one, with its history and what changed rank; asks nothing.

    Args:
        name: of a set; None = all.
        against: how the id of the evaluation begins that the latest is compared with; None = its baseline.

    Raises:
        CommandError: no set of that name was evaluated.
        GoldenError: no evaluation of the set has such an id.
    """
    from apps import evaluating

    return evaluating.evaluations(name, against)


def quality() -> QualityReport:
    """Every golden set with its latest evaluation, those never evaluated too; asks nothing."""
    from apps import evaluating

    return evaluating.quality()


def asked_now(name: str, question_id: str) -> AskedNow:
    """What the search shows now for a question of a golden set, and where its gold is.

    Raises:
        CommandError: the set or the question is not there any more.
    """
    from apps import evaluating

    return evaluating.asked_now(name, question_id)


def candidates() -> CandidatesReport:
    """Questions that might go into a golden set, from what people clicked on and from headings."""
    from apps import proposing

    return proposing.candidates()


def models() -> list[ModelLine]:
    """The models that are configured, and whether their files are here."""
    from apps import looking

    return looking.models()


def live() -> tuple[LiveLine, ...]:
    """The latest run of every shard: stage, how far, documents at work, and whether it lives. Cheap while nothing runs."""
    from apps import watching

    return watching.live()


def checks() -> tuple[CheckLine, ...]:
    """The latest result of every check of every shard, failing ones first."""
    from apps import watching

    return watching.checks()


def growth() -> tuple[TableGrowth, ...]:
    """Rows of the tables that grow with the sources, and how many more than a day before."""
    from apps import watching

    return watching.growth()


def runs(corpus: str | None = None, status: str | None = None, limit: int = 20, offset: int = 0) -> RunsPage:
    """Past runs that did something, newest first, with what they cost.

    Args:
        corpus: only of this one.
        status: only ``ok``, ``partial``, ``failed`` or ``interrupted`` ones.
        limit: how many.
        offset: how many newer ones are passed over.
    """
    from apps import watching

    return watching.runs(corpus, status, limit, offset)


def dagster() -> Service:
    """Where the Dagster UI answers, or how to start it."""
    from apps import watching

    return watching.dagster()


def lineage() -> tuple[Lineage, ...]:
    """Of every corpus what each stage holds, and what its shards are at."""
    from apps import browsing

    return browsing.lineage()


def files(corpus: str, status: str | None = None, text: str = "", limit: int = 50, offset: int = 0) -> FilesPage:
    """Files of a corpus by path, with their status and why.

    Args:
        corpus: its name.
        status: only files of this status.
        text: only paths that contain it, upper and lower case alike.
        limit: how many.
        offset: how many are passed over.

    Raises:
        CommandError: no corpus has that name.
    """
    from apps import browsing

    return browsing.files(corpus, status, text, limit, offset)


def choices() -> Choices:
    """What a search can be limited to: corpora, kinds, languages, and from which day on there are earlier states."""
    from apps import browsing

    return browsing.choices()


def table(name: str) -> TableDescribed:
    """What a table is for, its columns and its latest versions.

    Raises:
        CommandError: there is no such table.
    """
    from apps import browsing

    return browsing.described(name)


def sample(
    name: str,
    columns: Sequence[str] = (),
    contains: Mapping[str, str] | None = None,
    limit: int = 50,
    version: int | None = None,
) -> Sample:
    """Some rows of a table, long values cut.

    Args:
        name: of the table.
        columns: to be shown; none = all.
        contains: column to a text that its value contains, upper and lower case alike.
        limit: how many rows.
        version: of the table; None = the latest.

    Raises:
        CommandError: there is no such table or column, or the column holds lists or bytes.
    """
    from apps import browsing

    return browsing.sample(name, columns, contains or {}, limit, version)


def source(
    corpus: str,
    document_id: str,
    chunk_id: str,
    start_char: int = 0,
    end_char: int = 0,
    around: int = 12,
    as_of: datetime | None = None,
) -> SourceShown:
    """The text around a chunk, with the chunk and what was cited of it marked.

    Args:
        corpus: its name.
        document_id: which document.
        chunk_id: which chunk of it.
        start_char: first character of what was cited; an empty span marks nothing.
        end_char: one past the last.
        around: lines above and below.
        as_of: as it was published by then.

    Raises:
        CommandError: there is no such document or chunk any more.
    """
    from apps import showing

    return showing.source(corpus, showing.Asked(document_id, chunk_id, start_char, end_char, around), as_of)


def page_picture(corpus: str, document_id: str, page: int, width: int = 1400, as_of: datetime | None = None) -> bytes:
    """A page of a PDF as a PNG, drawn in a process of its own from the bytes that the document was made of.

    Args:
        corpus: its name.
        document_id: which document.
        page: from 1.
        width: in pixels.
        as_of: as it was published by then.

    Raises:
        CommandError: it is no PDF, secrets were found in it, or its bytes cannot be read.
    """
    from apps import showing

    return showing.page_picture(corpus, document_id, page, width, as_of)


def doctor() -> DoctorReport:
    """What is wrong with machine, folders, models, leases, tables and what is up, each with a remedy."""
    from apps.doctor.examine import examine
    from resources.settings import load_settings

    return examine(load_settings())
